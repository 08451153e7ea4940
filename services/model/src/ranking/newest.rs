//! The newest items. The catalog's date counts, or else when an item was first met.
//!
//! An item that nobody lists and one user alone chose is not shown here, because anybody can invent an id. Nor is an
//! item whose date is in the future.

use std::iter::Peekable;

use crate::knowledge::Knowledge;
use crate::memory::catalog::Catalog;

/// So many of the newest items are looked at, at most: of those with a date, and of those without.
pub(crate) const LOOKED_AT: usize = 1_000;

/// Items that may be shown with their dates, newest first, of those that have come by `now`, milliseconds since 1970.
pub(crate) fn newest<'a>(
    knowledge: &'a Knowledge,
    catalog: &'a Catalog,
    now: i64,
) -> impl Iterator<Item = (i64, u64)> + 'a {
    let only_listed = knowledge.settings().only_listed;
    let shown = move |(_, key): &(i64, u64)| catalog.shows(*key, only_listed);
    // Whoever has a date stands where that says.
    let undated = move |(at, key): &(i64, u64)| *at <= now && catalog.published(*key).is_none();
    let met = knowledge.newest().iter().rev().copied().filter(undated).peekable();
    let met_once = knowledge.unproven().iter().rev().copied().filter(undated);
    let met_once = met_once.filter(|(_, key)| catalog.is_listed(*key)).peekable();
    // Bounded each for itself, and before what is not shown goes: a flood of invented items takes no place of a dated
    // one, and nobody walks through all of it.
    let dated = catalog.come(now).take(LOOKED_AT).filter(shown).peekable();
    let undated = later(met, met_once).take(LOOKED_AT).filter(shown).peekable();
    later(dated, undated).take(LOOKED_AT)
}

/// Two falling sequences as one.
fn later<A, B>(mut a: Peekable<A>, mut b: Peekable<B>) -> impl Iterator<Item = (i64, u64)>
where
    A: Iterator<Item = (i64, u64)>,
    B: Iterator<Item = (i64, u64)>,
{
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(x), Some(y)) if x < y => b.next(),
        (None, _) => b.next(),
        _ => a.next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_falling_sequences_become_one() {
        let falling = |list: &'static [i64]| list.iter().map(|at| (*at, 0)).peekable();
        let both: Vec<i64> = later(falling(&[9, 4, 1]), falling(&[7, 4, 2])).map(|(at, _)| at).collect();
        assert_eq!(both, [9, 7, 4, 4, 2, 1]);
        assert_eq!(later(falling(&[]), falling(&[3])).count(), 1);
    }
}
