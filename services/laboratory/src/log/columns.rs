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
    /// What people read for the item.
    Title,
    /// The item's category; a dotted one says the general ones too: `electronics.audio`.
    Category,
    /// The item's maker.
    Brand,
    /// What the item costs.
    Price,
}

/// How many roles there are.
pub(super) const ROLES: usize = Role::ALL.len();

impl Role {
    /// Every role; the first two are required.
    pub const ALL: [Self; 10] = [
        Self::User,
        Self::Item,
        Self::Time,
        Self::Session,
        Self::Type,
        Self::Value,
        Self::Title,
        Self::Category,
        Self::Brand,
        Self::Price,
    ];

    /// The roles that say something about the item, not about the event.
    pub const CONTENT: [Self; 4] = [Self::Title, Self::Category, Self::Brand, Self::Price];

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
            Self::Title => "title",
            Self::Category => "category",
            Self::Brand => "brand",
            Self::Price => "price",
        }
    }

    /// Whether it says something about the item: nothing depends on its being there.
    #[must_use]
    pub fn is_content(self) -> bool {
        Self::CONTENT.contains(&self)
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
    names: [Option<String>; ROLES],
}

impl Columns {
    /// The column that plays `role`.
    #[must_use]
    pub fn get(&self, role: Role) -> Option<&str> {
        self.names[role as usize].as_deref()
    }

    /// Whether a column says something about the items, so that the log carries a catalog.
    #[must_use]
    pub fn has_content(&self) -> bool {
        Role::CONTENT.into_iter().any(|role| self.get(role).is_some())
    }

    /// What makes an event of a row, as it is written: the catalog's columns do not change it.
    pub(super) fn of_events(&self) -> String {
        self.spell(|role| !role.is_content())
    }

    fn spell(&self, wanted: impl Fn(Role) -> bool) -> String {
        let wanted = Role::ALL.into_iter().filter(|role| wanted(*role));
        wanted.filter_map(|role| Some(format!("{role}={}", self.get(role)?))).collect::<Vec<_>>().join(",")
    }
}

impl FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let roles = || Role::ALL.map(Role::as_str).join(", ");
        let mut names: [Option<String>; ROLES] = Default::default();
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
        f.write_str(&self.spell(|_| true))
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
    fn columns_for_the_items_make_a_catalog_and_leave_the_events_as_they_are() {
        let columns = |more: &str| format!("user=u,item=i,value=price{more}").parse::<Columns>().expect("parses");
        let (plain, with) = (columns(""), columns(",title=name,category=code,brand=brand,price=price"));
        assert!(with.has_content() && !plain.has_content());
        assert_eq!(Role::CONTENT.map(|role| with.get(role)), ["name", "code", "brand", "price"].map(Some));
        assert_eq!(with.of_events(), plain.to_string());
        assert!(with.to_string().ends_with(",title=name,category=code,brand=brand,price=price"));
        let none = "user=u,item=i,colour=c".parse::<Columns>().expect_err("no role");
        assert!(none.contains("title, category, brand, price"), "{none}");
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
