//! Where a candidate comes from.

/// A source of candidates; the one that names an item highest stands in the slate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Repeat,
    Covisitation,
    Sessions,
    Sequence,
    Content,
    Popularity,
    New,
}

impl Origin {
    /// In the order of their numbers.
    pub(crate) const ALL: [Self; ORIGINS] =
        [Self::Repeat, Self::Covisitation, Self::Sessions, Self::Sequence, Self::Content, Self::Popularity, Self::New];

    /// As it stands in a slate.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Repeat => "repeat",
            Self::Covisitation => "covisitation",
            Self::Sessions => "sessions",
            Self::Sequence => "sequence",
            Self::Content => "content",
            Self::Popularity => "popularity",
            Self::New => "new",
        }
    }

    /// The origin that names an item highest; an item that the user chose before is always a repeat. `None` where no
    /// origin names it.
    pub(crate) fn highest(places: &Places) -> Option<Self> {
        if places[Self::Repeat as usize].is_some() {
            return Some(Self::Repeat);
        }
        let named = Self::ALL.into_iter().filter(|origin| places[*origin as usize].is_some());
        named.min_by_key(|origin| places[*origin as usize])
    }
}

/// How many origins there are.
pub(crate) const ORIGINS: usize = 7;

/// An item's place in the list of each origin, from 0.
pub(crate) type Places = [Option<u16>; ORIGINS];
