//! Two ways to say how far a partition is, told apart by their types: what comes next, and what is done.

use std::fmt;

/// The offset to read, to apply or to write next: everything before it is behind us.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Next(pub i64);

/// The highest offset that needs no more work, and neither does any before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Done(pub i64);

impl Next {
    /// Behind the record at this offset.
    #[must_use]
    pub const fn behind(offset: i64) -> Self {
        Self(offset.saturating_add(1))
    }

    /// Whether the record at this offset lies before.
    #[must_use]
    pub const fn is_past(self, offset: i64) -> bool {
        offset < self.0
    }

    /// How many offsets lie from here up to `end`; 0 if it is not ahead.
    #[must_use]
    pub fn until(self, end: Self) -> u64 {
        u64::try_from(end.0.saturating_sub(self.0)).unwrap_or(0)
    }

    /// What is done when this is next.
    #[must_use]
    pub const fn done(self) -> Done {
        Done(self.0.saturating_sub(1))
    }
}

impl Done {
    /// Nothing yet.
    pub const NOTHING: Self = Self(-1);

    /// Whether the record at this offset needs no more work.
    #[must_use]
    pub const fn covers(self, offset: i64) -> bool {
        offset <= self.0
    }

    /// What is next when this is done.
    #[must_use]
    pub const fn next(self) -> Next {
        Next::behind(self.0)
    }
}

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number alone, as the log and Kafka's own tools show it.
impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// As [`Next`] is.
impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_and_what_is_next_are_one_apart() {
        assert_eq!((Done(7).next(), Next(8).done(), Next::behind(7)), (Next(8), Done(7), Next(8)));
        assert!(Done(7).covers(7) && !Done(7).covers(8) && Next(8).is_past(7) && !Next(8).is_past(8));
        assert_eq!((Done::NOTHING.next(), Next(0).done()), (Next(0), Done::NOTHING));
    }

    #[test]
    fn hostile_offsets_do_not_overflow() {
        assert_eq!(Next::behind(i64::MAX), Next(i64::MAX));
        assert_eq!((Next(i64::MIN).until(Next(i64::MAX)), Next(9).until(Next(3))), (i64::MAX.unsigned_abs(), 0));
        assert_eq!(Next(i64::MIN).done(), Done(i64::MIN));
    }
}
