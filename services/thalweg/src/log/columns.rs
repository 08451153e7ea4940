//! Which column of a recorded log plays which role: the value of `--columns`.

use std::fmt;
use std::str::FromStr;

/// What a column says about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Who acted; required.
    User,
    /// On what; required.
    Item,
    /// When; without it rows are in order, a second apart.
    Time,
    /// The visit.
    Session,
    /// The kind of event.
    Type,
    /// Price, quantity, rating.
    Value,
}

impl Role {
    /// Every role; the first two are required.
    pub const ALL: [Self; 6] = [Self::User, Self::Item, Self::Time, Self::Session, Self::Type, Self::Value];

    /// The role's name in `--columns`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Item => "item",
            Self::Time => "time",
            Self::Session => "session",
            Self::Type => "type",
            Self::Value => "value",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Column names by role; parsed from `user=session_id,item=click_article_id,time=click_timestamp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    names: [Option<String>; 6],
}

impl Columns {
    /// The column that plays `role`.
    #[must_use]
    pub fn get(&self, role: Role) -> Option<&str> {
        self.names[role as usize].as_deref()
    }

    /// Finds every named column among `header`; a role without a column gives `None`.
    ///
    /// # Errors
    /// With the first column that is not there.
    pub(super) fn resolve<'h>(
        &self,
        header: impl Iterator<Item = &'h str> + Clone,
    ) -> Result<[Option<usize>; 6], (Role, String)> {
        let mut found = [None; 6];
        for role in Role::ALL {
            let Some(name) = self.get(role) else { continue };
            let at = header.clone().position(|column| column.trim() == name);
            found[role as usize] = Some(at.ok_or_else(|| (role, name.to_owned()))?);
        }
        Ok(found)
    }
}

impl FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let roles = || Role::ALL.map(Role::as_str).join(", ");
        let mut names: [Option<String>; 6] = Default::default();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (role, name) = pair
                .split_once('=')
                .map(|(role, name)| (role.trim(), name.trim()))
                .filter(|(_, name)| !name.is_empty())
                .ok_or_else(|| format!("`{pair}` is not of the form role=column, such as user=customer_id"))?;
            let known = Role::ALL.into_iter().find(|known| known.as_str() == role);
            let known = known.ok_or_else(|| format!("`{role}` is no role; the roles are {}", roles()))?;
            if names[known as usize].replace(name.to_owned()).is_some() {
                return Err(format!("`{role}` is given twice; name one column for it"));
            }
        }
        let missing: Vec<_> = Role::ALL[..2].iter().filter(|role| names[**role as usize].is_none()).collect();
        if let Some(first) = missing.first() {
            let list = missing.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
            return Err(format!("no column is named for {list}; add {first}=COLUMN"));
        }
        Ok(Self { names })
    }
}

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = Role::ALL.into_iter().filter_map(|role| Some(format!("{role}={}", self.get(role)?)));
        f.write_str(&pairs.collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_as_they_are_written() {
        let text = "user=session_id,item=click_article_id,time=click_timestamp";
        let columns: Columns = text.parse().expect("parses");
        assert_eq!(columns.get(Role::User), Some("session_id"));
        assert_eq!(columns.get(Role::Value), None);
        assert_eq!(columns.to_string(), text);
    }

    #[test]
    fn a_wrong_specification_says_what_to_change() {
        let error = |text: &str| text.parse::<Columns>().expect_err("is wrong");
        assert!(error("user=a,time=b").contains("add item=COLUMN"));
        assert!(error("user=a,item=b,when=c").contains("the roles are user, item, time"));
        assert!(error("user=a,user=b").contains("twice"));
        assert!(error("user").contains("role=column"));
        assert!(error("user=").contains("role=column"));
    }
}
