//! What came last. The catalog's date counts; of what has none, when it was first met.
//!
//! What nobody lists and only one user chose is not shown here: anybody can invent an id. Nor is what comes later.

use std::iter::Peekable;

use crate::catalog::Catalog;
use crate::knowledge::Knowledge;

/// So many of the newest items are looked at, at most.
pub(crate) const LOOKED_AT: usize = 1_000;

/// Items with their dates, newest first, of those that have come by `now`, milliseconds since 1970.
pub(crate) fn newest<'a>(
    knowledge: &'a Knowledge,
    catalog: &'a Catalog,
    now: i64,
) -> impl Iterator<Item = (i64, u64)> + 'a {
    // Whoever has a date stands where that says.
    let undated = move |(at, key): &(i64, u64)| *at <= now && catalog.published(*key).is_none();
    let dated = catalog.come(now).peekable();
    let met = knowledge.newest.iter().rev().copied().filter(undated).peekable();
    let met_once = knowledge.unproven.iter().rev().copied().filter(undated);
    let met_once = met_once.filter(|(_, key)| catalog.is_listed(*key)).peekable();
    later(later(dated, met).peekable(), met_once).take(LOOKED_AT)
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
