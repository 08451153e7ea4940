//! The Redis keys. The braces are part of a key: a cluster keeps what is about one user together.

use crate::MAX_ID_BYTES;
use crate::item::MAX_NAME_BYTES;

/// What lies under a key that matches [`Keys::swept`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'k> {
    /// The feature cache of this user.
    User(&'k str),
    /// What goes with this item.
    Similar(&'k str),
    /// A `hot` or a `new` list, of a category or of all.
    Top,
    /// None of ours, though it is spelt so: its name is no UTF-8, or longer than any that we write.
    Odd,
}

/// Spells Redis keys under one prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// Puts `prefix` in front of every key; an empty prefix leaves the bare names.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into() }
    }

    /// `recs:{user}`: the user's slate.
    #[must_use]
    pub fn recs(&self, user: &str) -> String {
        format!("{}recs:{{{user}}}", self.prefix)
    }

    /// `user:{user}`: the user's feature cache.
    #[must_use]
    pub fn user(&self, user: &str) -> String {
        format!("{}user:{{{user}}}", self.prefix)
    }

    /// A glob pattern that matches every [`user`](Self::user), [`similar`](Self::similar), [`hot`](Self::hot) and
    /// [`new`](Self::new_items) key, and neither [`recs`](Self::recs) nor a mark ([`applied`](Self::applied),
    /// [`lists`](Self::lists)).
    #[must_use]
    pub fn swept(&self) -> String {
        let prefix: String = self.prefix.chars().flat_map(escaped).collect();
        format!("{prefix}[ushn]*")
    }

    /// What lies under a key; `None` if it is none that is [`swept`](Self::swept).
    #[must_use]
    pub fn kind<'k>(&self, key: &'k [u8]) -> Option<Kind<'k>> {
        let key = key.strip_prefix(self.prefix.as_bytes())?;
        if matches!(key, b"hot" | b"new") {
            return Some(Kind::Top);
        }
        let named = |list: &str, kind: fn(&'k str) -> Kind<'k>| {
            let name = key.strip_prefix(list.as_bytes())?.strip_suffix(b"}")?;
            let name = std::str::from_utf8(name).ok().filter(|name| name.len() <= MAX_ID_BYTES.max(MAX_NAME_BYTES));
            Some(name.map_or(Kind::Odd, kind))
        };
        named("user:{", Kind::User)
            .or_else(|| named("similar:{", Kind::Similar))
            .or_else(|| named("hot:{", |_| Kind::Top))
            .or_else(|| named("new:{", |_| Kind::Top))
    }

    /// `similar:{item}`: what goes with an item.
    #[must_use]
    pub fn similar(&self, item: &str) -> String {
        format!("{}similar:{{{item}}}", self.prefix)
    }

    /// `hot` or `hot:{category}`: what is popular now.
    #[must_use]
    pub fn hot(&self, category: Option<&str>) -> String {
        self.list("hot", category)
    }

    /// `new` or `new:{category}`: what arrived last.
    #[must_use]
    pub fn new_items(&self, category: Option<&str>) -> String {
        self.list("new", category)
    }

    /// `model`: the live version and its figures.
    #[must_use]
    pub fn model(&self) -> String {
        format!("{}model", self.prefix)
    }

    /// `applied:{group/partition}`: how far a group of scorers has applied a partition to the profiles beside this key.
    #[must_use]
    pub fn applied(&self, group: &str, partition: i32) -> String {
        format!("{}applied:{{{group}/{partition}}}", self.prefix)
    }

    /// `lists:{instance}`: shows an instance of the scorer whether the lists that it wrote lie beside this key.
    #[must_use]
    pub fn lists(&self, instance: u64) -> String {
        format!("{}lists:{{{instance:016x}}}", self.prefix)
    }

    fn list(&self, name: &str, category: Option<&str>) -> String {
        match category {
            Some(category) => format!("{}{name}:{{{category}}}", self.prefix),
            None => format!("{}{name}", self.prefix),
        }
    }
}

/// A character as it stands for itself in a glob pattern of Redis.
fn escaped(c: char) -> impl Iterator<Item = char> {
    matches!(c, '*' | '?' | '[' | ']' | '\\' | '^').then_some('\\').into_iter().chain([c])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_what_lies_under_it_and_gives_its_name_back() {
        let keys = Keys::new("shop:");
        for name in ["u42", "a{b}c", "ü", ""] {
            assert_eq!(keys.kind(keys.user(name).as_bytes()), Some(Kind::User(name)));
            assert_eq!(keys.kind(keys.similar(name).as_bytes()), Some(Kind::Similar(name)));
        }
        for key in [keys.hot(None), keys.hot(Some("a:b")), keys.new_items(None), keys.new_items(Some("shoes"))] {
            assert_eq!(keys.kind(key.as_bytes()), Some(Kind::Top), "{key}");
        }
        for key in ["hot", "shop:hotter", "shop:new:shoes", "shop:recs:{hot}", "shop:session", "shop:user:{u42"] {
            assert_eq!(keys.kind(key.as_bytes()), None, "{key}");
        }
        assert_eq!(keys.kind(b"shop:user:{\xff}"), Some(Kind::Odd));
        assert_eq!(keys.kind(b"shop:session\xff"), None);
        let name = |length: usize| "x".repeat(length);
        for key in [Keys::user, Keys::similar] {
            assert_ne!(keys.kind(key(&keys, &name(MAX_ID_BYTES)).as_bytes()), Some(Kind::Odd));
            assert_eq!(keys.kind(key(&keys, &name(MAX_ID_BYTES + 1)).as_bytes()), Some(Kind::Odd), "a name too long");
        }
        assert_eq!(keys.kind(keys.hot(Some(&name(MAX_NAME_BYTES + 1))).as_bytes()), Some(Kind::Odd));
        assert_eq!(Keys::default().kind(keys.user("u42").as_bytes()), None);
    }

    #[test]
    fn a_pattern_takes_the_prefix_as_it_stands() {
        assert_eq!(Keys::new("a*").swept(), r"a\*[ushn]*");
    }

    #[test]
    fn the_keys_are_those_of_the_contract() {
        let keys = Keys::default();
        assert_eq!(keys.recs("u42"), "recs:{u42}");
        assert_eq!(keys.user("u42"), "user:{u42}");
        assert_eq!(keys.similar("i9"), "similar:{i9}");
        assert_eq!(keys.hot(None), "hot");
        assert_eq!(keys.hot(Some("shoes")), "hot:{shoes}");
        assert_eq!(keys.new_items(Some("shoes")), "new:{shoes}");
        assert_eq!(Keys::new("shop:").model(), "shop:model");
        assert_eq!(keys.applied("scorer", 3), "applied:{scorer/3}");
        assert_eq!(keys.lists(255), "lists:{00000000000000ff}");
    }
}
