//! Where reading goes on when a topic is not what it was: made again, cut off at its end, or passed by retention. Pure.

use std::collections::BTreeMap;

use super::Next;

/// What a group noted with an offset: the life of the topic that it counts in.
pub(super) fn note(life: u32) -> String {
    format!("life={life:08x}")
}

/// Reads a [`note`]; 0 if it is none, as in commits of before and of other tools.
pub(super) fn noted(metadata: &str) -> u32 {
    metadata.strip_prefix("life=").and_then(|life| u32::from_str_radix(life, 16).ok()).unwrap_or(0)
}

/// Where a group continues in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resume {
    /// The next offset to read.
    pub(super) next: Next,
    /// The log is another than the one that was committed for: it is read from its beginning.
    pub(super) reborn: bool,
    /// Records between the commit and the oldest that is still there.
    pub(super) missed: u64,
}

/// Decides for a partition that holds `low..high` in the life `life` (0: not known), and of which the group committed
/// `(offset, life)`.
pub(super) fn resume(committed: Option<(Next, u32)>, life: u32, low: Next, high: Next) -> Resume {
    match committed {
        Some((next, before)) if next > high || (before != 0 && life != 0 && before != life) => {
            Resume { next: low, reborn: true, missed: 0 }
        }
        Some((next, _)) => Resume { next: next.max(low), reborn: false, missed: next.until(low) },
        None => Resume { next: low, reborn: false, missed: 0 },
    }
}

/// What a record says about the log, by where the next one was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is the one.
    Next,
    /// Offsets were passed over: a transaction's markers, or records that are gone.
    Gap,
    /// It is before what was read: the log was cut off, and reading began anew.
    Back,
}

/// Compares the offset of a record with the one expected.
pub(super) fn step(expected: Next, offset: i64) -> Step {
    match offset.cmp(&expected.0) {
        std::cmp::Ordering::Less => Step::Back,
        std::cmp::Ordering::Equal => Step::Next,
        std::cmp::Ordering::Greater => Step::Gap,
    }
}

/// Offsets that were passed over, until it is known what was there.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    ranges: BTreeMap<i32, Vec<(i64, i64)>>,
}

impl Gaps {
    /// I7: so many ranges of a partition are kept apart; further ones are added to the last.
    const MOST: usize = 1_024;

    /// Takes note that nothing was read in `from..to`.
    pub(super) fn note(&mut self, partition: i32, from: i64, to: i64) {
        let ranges = self.ranges.entry(partition).or_default();
        let full = ranges.len() >= Self::MOST;
        match ranges.last_mut().filter(|_| full) {
            Some(last) => last.1 = to,
            None => ranges.push((from, to)),
        }
    }

    /// Partitions with gaps.
    pub(super) fn partitions(&self) -> Vec<i32> {
        self.ranges.keys().copied().collect()
    }

    /// Forgets the gaps of a partition whose oldest record is at `low`, and tells how many records before that are gone
    /// unread. Where the log still is, a gap is no loss: a marker of a transaction, or what compaction took.
    pub(super) fn settle(&mut self, partition: i32, low: i64) -> u64 {
        let ranges = self.ranges.remove(&partition).unwrap_or_default();
        ranges.iter().map(|(from, to)| u64::try_from(low.min(*to).saturating_sub(*from)).unwrap_or(0)).sum()
    }

    /// Forgets a partition.
    pub(super) fn forget(&mut self, partition: i32) {
        self.ranges.remove(&partition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_committed_in_another_life_of_the_topic_skips_nothing_of_this_one() {
        assert_eq!(
            resume(Some((Next(100), 7)), 8, Next(0), Next(500)),
            Resume { next: Next(0), reborn: true, missed: 0 }
        );
        assert_eq!(
            resume(Some((Next(100), 7)), 7, Next(0), Next(500)),
            Resume { next: Next(100), reborn: false, missed: 0 }
        );
        assert_eq!(resume(None, 7, Next(20), Next(500)), Resume { next: Next(20), reborn: false, missed: 0 });
    }

    #[test]
    fn an_offset_beyond_the_end_is_of_another_log_even_where_there_are_no_ids() {
        assert_eq!(
            resume(Some((Next(100), 0)), 0, Next(0), Next(40)),
            Resume { next: Next(0), reborn: true, missed: 0 }
        );
        assert!(!resume(Some((Next(100), 0)), 9, Next(0), Next(100)).reborn, "a commit of before there were lives");
    }

    #[test]
    fn records_deleted_before_the_group_came_back_are_counted() {
        assert_eq!(
            resume(Some((Next(100), 7)), 7, Next(130), Next(500)),
            Resume { next: Next(130), reborn: false, missed: 30 }
        );
    }

    #[test]
    fn a_note_is_read_back_and_what_is_none_says_nothing() {
        assert_eq!(noted(&note(0xdead_beef)), 0xdead_beef);
        assert_eq!((noted(""), noted("life=x"), noted("somebody's")), (0, 0, 0));
    }

    #[test]
    fn a_gap_is_a_loss_only_where_the_log_begins_behind_it() {
        let mut gaps = Gaps::default();
        gaps.note(0, 10, 12);
        gaps.note(0, 40, 90);
        gaps.note(1, 5, 6);
        assert_eq!(gaps.partitions(), [0, 1]);
        assert_eq!(gaps.settle(0, 70), 2 + 30);
        assert_eq!((gaps.settle(0, 70), gaps.settle(1, 0)), (0, 0), "a marker of a transaction");
    }

    #[test]
    fn gaps_are_bounded_and_none_is_lost() {
        let mut gaps = Gaps::default();
        (0..5_000).for_each(|n| gaps.note(0, n * 2, n * 2 + 1));
        assert!(gaps.ranges[&0].len() <= Gaps::MOST && gaps.settle(0, 10_000) >= 5_000);
    }

    #[test]
    fn a_record_before_what_was_read_shows_that_the_log_was_cut_off() {
        assert_eq!([step(Next(5), 5), step(Next(5), 6), step(Next(5), 4)], [Step::Next, Step::Gap, Step::Back]);
    }
}
