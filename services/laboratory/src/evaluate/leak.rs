//! Catches a label that is shown before it is asked for.

use model::Seen;

/// Whether a history that a method was shown holds nothing but what the stream says came earlier: each of its entries
/// is found in `earlier`, in the same order. `earlier` may be cut off in the past, as `count` tells; then only what
/// is left can be judged.
pub(crate) fn is_honest(shown: &[Seen], earlier: &[Seen], count: usize) -> bool {
    if shown.len() > count {
        return false;
    }
    let shown = &shown[shown.len().saturating_sub(earlier.len())..];
    let mut rest = earlier.iter();
    shown.iter().all(|seen| rest.any(|other| other == seen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::Kind;

    fn seen(keys: &[u64]) -> Vec<Seen> {
        keys.iter().map(|key| Seen { key: *key, kind: Kind::View, ts: *key as i64 }).collect()
    }

    #[test]
    fn a_history_that_holds_the_label_is_not_honest() {
        let earlier = seen(&[1, 2, 3]);
        assert!(is_honest(&earlier, &earlier, 3));
        assert!(is_honest(&earlier[1..], &earlier, 3) && is_honest(&[], &earlier, 3) && is_honest(&[], &[], 0));
        assert!(!is_honest(&seen(&[1, 2, 3, 4]), &earlier, 3), "4 is what comes next");
        assert!(!is_honest(&seen(&[2, 3, 4]), &earlier, 3), "4 is what comes next");
        assert!(!is_honest(&seen(&[4]), &[], 0), "4 is what comes next");
        assert!(!is_honest(&seen(&[2, 1]), &earlier, 3), "the order is another");
    }

    #[test]
    fn what_was_cut_off_is_not_held_against_it() {
        assert!(is_honest(&seen(&[1, 2, 3]), &seen(&[2, 3]), 3));
        assert!(!is_honest(&seen(&[1, 2, 4]), &seen(&[2, 3]), 3));
    }
}
