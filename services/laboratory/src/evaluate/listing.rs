//! When the learner gets to know what a log says about its items.

/// The moment at which a record reaches the learner. The variants' texts are what `--help` says.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Listing {
    /// After the micro-batch with the item's first event: nothing is known of an item that was never chosen.
    // Any earlier would be a leak: an item would be listed just because it is about to be chosen.
    #[default]
    AsMet,
    /// Before the first event, as in a shop that lists its items before it sells them: items never chosen can be
    /// recommended.
    FromStart,
}

impl Listing {
    /// As it is written, in options and reports alike.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::AsMet => "as-met",
            Self::FromStart => "from-start",
        }
    }
}

impl serde::Serialize for Listing {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn a_listing_has_one_name_in_options_and_reports() {
        for listing in Listing::value_variants() {
            assert_eq!(Listing::from_str(listing.as_str(), false), Ok(*listing));
        }
    }
}
