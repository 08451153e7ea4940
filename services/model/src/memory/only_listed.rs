//! Whether lists show only what the catalog lists.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// The setting `model.only_listed`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnlyListed {
    /// As soon as the catalog lists an item that is to be had.
    #[default]
    Auto,
    /// Always: without a catalog nothing is shown.
    Yes,
    /// Never: whatever is not delisted may be shown.
    No,
}

impl Serialize for OnlyListed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Yes => serializer.serialize_bool(true),
            Self::No => serializer.serialize_bool(false),
        }
    }
}

impl<'de> Deserialize<'de> for OnlyListed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = OnlyListed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"auto\", true or false")
            }
            fn visit_bool<E: Error>(self, yes: bool) -> Result<OnlyListed, E> {
                Ok(if yes { OnlyListed::Yes } else { OnlyListed::No })
            }
            fn visit_str<E: Error>(self, word: &str) -> Result<OnlyListed, E> {
                match word {
                    "auto" => Ok(OnlyListed::Auto),
                    "true" => Ok(OnlyListed::Yes),
                    "false" => Ok(OnlyListed::No),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }
        }
        deserializer.deserialize_any(Words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_auto_or_yes_or_no_as_a_word_or_as_a_boolean() {
        let read = |text: &str| serde_json::from_str::<OnlyListed>(text).ok();
        for (text, wanted) in [("\"auto\"", OnlyListed::Auto), ("true", OnlyListed::Yes), ("\"false\"", OnlyListed::No)]
        {
            assert_eq!(read(text), Some(wanted), "{text}");
        }
        assert_eq!((read("\"sometimes\""), read("7")), (None, None));
        for setting in [OnlyListed::Auto, OnlyListed::Yes, OnlyListed::No] {
            assert_eq!(read(&serde_json::to_string(&setting).expect("serialises")), Some(setting));
        }
    }
}
