//! What ingest knows of one partition: how far `interactions` was written, and which event ids it holds.
//!
//! Both are read back from the tail of that partition of `interactions` (the log is the truth, I1), so a restart writes
//! nothing twice and forgets no event id (I2).

use std::collections::BTreeMap;

use runtime::kafka::Done;
use schemas::{Interaction, Position};

use crate::life::Life;
use crate::window::Window;

/// The partitions this instance owns.
#[derive(Debug)]
pub struct Progress {
    window: usize,
    partitions: BTreeMap<i32, Partition>,
}

#[derive(Debug)]
struct Partition {
    /// The life of `events` that is worked on.
    life: Life,
    /// What of it needs no more work.
    done: Done,
    window: Window,
}

impl Partition {
    fn new(window: usize) -> Self {
        Self { life: Life::Known(0), done: Done::NOTHING, window: Window::new(window) }
    }
}

impl Progress {
    /// Owns nothing yet; remembers `window` event ids per partition.
    #[must_use]
    pub fn new(window: usize) -> Self {
        Self { window, partitions: BTreeMap::new() }
    }

    /// Starts a partition afresh, before its tail is given to [`Progress::remember`].
    pub fn begin(&mut self, partition: i32) {
        self.partitions.insert(partition, Partition::new(self.window));
    }

    /// Forgets a partition that another instance owns now.
    pub fn forget(&mut self, partition: i32) {
        self.partitions.remove(&partition);
    }

    /// Whether `partition` is ours. Records read before it left are its new owner's: without our window they would be
    /// judged otherwise than there.
    #[must_use]
    pub fn owns(&self, partition: i32) -> bool {
        self.partitions.contains_key(&partition)
    }

    /// Takes note of an interaction that lies in partition `partition` of `interactions`.
    pub fn remember(&mut self, partition: i32, written: &Interaction) {
        let Some(state) = self.partitions.get_mut(&partition) else { return };
        let source = written.source.as_ref().filter(|source| source.partition == partition);
        if let (Life::Known(incarnation), Some(source)) = (state.life, source) {
            let done = Position { incarnation, offset: state.done.0 }.max(source.position());
            (state.life, state.done) = (Life::Known(done.incarnation), Done(done.offset));
        }
        if !written.event_id.is_empty() {
            state.window.insert(&written.user_id, &written.event_id);
        }
    }

    /// Goes on in this life of `events`, behind what is done of it.
    pub(crate) fn go_on(&mut self, partition: i32, life: Life, done: Done) {
        if let Some(state) = self.partitions.get_mut(&partition) {
            (state.life, state.done) = (life, done);
        }
    }

    /// The life of `events` that is worked on. A new one is numbered by the time `at` of its first event.
    pub fn incarnation(&mut self, partition: i32, at: i64) -> u64 {
        self.partitions.get_mut(&partition).map_or(0, |state| state.life.incarnation(at))
    }

    /// Whether the event at `offset` was judged before: in this run, or before a restart and had its effect.
    ///
    /// A batch's dead letters are acknowledged before its first interaction is sent, so one written interaction vouches
    /// for every event before it, whatever became of it.
    #[must_use]
    pub fn is_done(&self, partition: i32, offset: i64) -> bool {
        self.done_through(partition).covers(offset)
    }

    /// What of `events` needs no more work.
    #[must_use]
    pub fn done_through(&self, partition: i32) -> Done {
        self.partitions.get(&partition).map_or(Done::NOTHING, |state| state.done)
    }

    /// Takes note that the event at `offset` was judged.
    pub fn advance(&mut self, partition: i32, offset: i64) {
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.done = state.done.max(Done(offset));
        }
    }

    /// Whether an interaction is the first with its event id; one without an id always is.
    pub fn is_first(&mut self, partition: i32, interaction: &Interaction) -> bool {
        interaction.event_id.is_empty()
            || self
                .partitions
                .get_mut(&partition)
                .is_none_or(|state| state.window.insert(&interaction.user_id, &interaction.event_id))
    }

    /// How many event ids are remembered, over all partitions.
    #[must_use]
    pub fn window_len(&self) -> usize {
        self.partitions.values().map(|state| state.window.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use schemas::Source;

    use super::*;

    fn owning(partitions: &[i32]) -> Progress {
        let mut progress = Progress::new(10);
        for partition in partitions {
            progress.begin(*partition);
        }
        progress
    }

    fn interaction(offset: i64, event_id: &str) -> Interaction {
        Interaction {
            user_id: "u1".into(),
            event_id: event_id.into(),
            source: Some(Source { partition: 3, offset, ..Source::default() }),
            ..Interaction::default()
        }
    }

    #[test]
    fn after_a_restart_what_was_written_is_known_and_so_are_its_event_ids() {
        let mut progress = owning(&[3]);
        progress.remember(3, &interaction(7, "a"));
        progress.remember(3, &interaction(9, ""));
        assert!(progress.is_done(3, 8), "8 was a dead letter or a repeat: it is done as well");
        assert!(progress.is_done(3, 9));
        assert!(!progress.is_done(3, 10));
        assert!(!progress.is_first(3, &interaction(10, "a")));
    }

    #[test]
    fn an_older_record_behind_a_newer_one_does_not_set_the_clock_back() {
        let mut progress = owning(&[3, 4]);
        progress.remember(3, &interaction(9, "b"));
        progress.remember(3, &interaction(7, "a"));
        assert_eq!(progress.done_through(3), Done(9));
    }

    #[test]
    fn a_new_life_of_events_begins_before_its_first_event() {
        let mut progress = owning(&[3]);
        progress.remember(3, &interaction(900, "a"));
        progress.go_on(3, Life::Known(7), Done::NOTHING);
        assert!(!progress.is_done(3, 0) && progress.incarnation(3, 0) == 7);
        assert!(!progress.is_first(3, &interaction(0, "a")), "an event id is known over all lives");
        progress.advance(3, 0);
        assert!(progress.is_done(3, 0) && !progress.is_done(3, 1));
    }

    #[test]
    fn partitions_do_not_know_of_each_other() {
        let mut progress = owning(&[3, 4]);
        progress.remember(3, &interaction(7, "a"));
        assert!(!progress.is_done(4, 0));
        assert!(progress.is_first(4, &interaction(0, "a")));
    }

    #[test]
    fn a_partition_that_left_and_came_back_starts_from_its_tail() {
        let mut progress = owning(&[3, 4]);
        progress.remember(3, &interaction(7, "a"));
        progress.forget(3);
        assert!(!progress.owns(3));
        assert_eq!(progress.window_len(), 0);
        progress.begin(3);
        assert_eq!(progress.done_through(3), Done::NOTHING);
    }

    #[test]
    fn events_without_an_id_are_never_repeats() {
        let mut progress = owning(&[3, 4]);
        assert!(progress.is_first(3, &interaction(0, "")));
        assert!(progress.is_first(3, &interaction(1, "")));
    }
}
