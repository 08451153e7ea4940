//! The Redis keys. The braces are part of a key: a cluster keeps what is about one user together.

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
    /// [`new`](Self::new_items) key, and neither [`recs`](Self::recs) nor [`applied`](Self::applied).
    #[must_use]
    pub fn swept(&self) -> String {
        let prefix: String = self.prefix.chars().flat_map(escaped).collect();
        format!("{prefix}[ushn]*")
    }

    /// The user of a [`user`](Self::user) key; `None` for another key.
    #[must_use]
    pub fn name_of_user<'a>(&self, key: &'a str) -> Option<&'a str> {
        self.name(key, "user:{")
    }

    /// The item of a [`similar`](Self::similar) key; `None` for another key.
    #[must_use]
    pub fn name_of_similar<'a>(&self, key: &'a str) -> Option<&'a str> {
        self.name(key, "similar:{")
    }

    /// Whether a key that matches [`swept`](Self::swept) is spelt as one of ours, in whatever bytes its name is.
    #[must_use]
    pub fn is_swept(&self, key: &[u8]) -> bool {
        let named = |name: &[u8]| {
            ["user:{", "similar:{", "hot:{", "new:{"].iter().any(|list| name.starts_with(list.as_bytes()))
        };
        let name = key.strip_prefix(self.prefix.as_bytes());
        name.is_some_and(|name| matches!(name, b"hot" | b"new") || (named(name) && name.ends_with(b"}")))
    }

    /// Whether it is a [`hot`](Self::hot) or a [`new`](Self::new_items) key, of a category or of all.
    #[must_use]
    pub fn is_top(&self, key: &str) -> bool {
        let name = key.strip_prefix(&self.prefix);
        name.is_some_and(|name| matches!(name, "hot" | "new"))
            || ["hot:{", "new:{"].iter().any(|list| self.name(key, list).is_some())
    }

    fn name<'a>(&self, key: &'a str, list: &str) -> Option<&'a str> {
        key.strip_prefix(&self.prefix)?.strip_prefix(list)?.strip_suffix('}')
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
    fn a_users_key_gives_the_user_back_and_no_other_key_does() {
        let keys = Keys::new("shop:");
        for user in ["u42", "a{b}c", "ü"] {
            assert_eq!(keys.name_of_user(&keys.user(user)), Some(user));
        }
        assert_eq!(keys.name_of_user(&keys.recs("u42")), None);
        assert_eq!(keys.name_of_user(&Keys::default().user("u42")), None);
        assert_eq!(Keys::new("a*").swept(), r"a\*[ushn]*");
    }

    #[test]
    fn hot_and_new_of_a_category_and_of_all_are_tops() {
        let keys = Keys::new("shop:");
        for key in [keys.hot(None), keys.hot(Some("a:b")), keys.new_items(None), keys.new_items(Some("shoes"))] {
            assert!(keys.is_top(&key), "{key}");
        }
        assert!(
            keys.is_swept(b"shop:user:{\xff}") && keys.is_swept(b"shop:hot") && !keys.is_swept(b"shop:session\xff")
        );
        for key in ["hot", "shop:hotter", "shop:new:shoes", "shop:recs:{hot}", "shop:user:{new}"] {
            assert!(!keys.is_top(key), "{key}");
        }
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
    }
}
