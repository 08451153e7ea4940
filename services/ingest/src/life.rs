//! Which life of `events` a partition is in, and where its work goes on. Pure.
//!
//! Offsets alone name no event: a topic that is deleted and made again counts them from 0, and one that lost its end
//! gives some of them out twice. Each life has an incarnation, a later one a larger. A life is the same when Kafka's id
//! of the topic is (KIP-516), and the events lie where `interactions` says that they came from. The first event of a
//! life gives it its number: our own clock may be wrong, and that of another instance would give another number.

use std::collections::BTreeMap;

use runtime::kafka::{Done, Next};
use schemas::position::{began_at, incarnation, life_of};
use schemas::{Interaction, Source};
use xxhash_rust::xxh3::xxh3_64;

/// What an event is known by, at its offset.
pub(crate) type Marks = BTreeMap<i64, u64>;

/// What the tail of a partition of `interactions` says of where it came from, by incarnation of `events`.
#[derive(Debug, Default)]
pub(crate) struct Written {
    lives: BTreeMap<u64, Marks>,
}

/// The partition of `events` as it is now: it holds `low..high`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log {
    /// Folded from Kafka's id of the topic; 0 where the broker does not say.
    pub(crate) life: u32,
    pub(crate) low: Next,
    pub(crate) high: Next,
}

/// The life that events are judged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// It has its incarnation.
    Known(u64),
    /// It begins with the next event, comes behind the incarnation `after`, and has this id.
    New { after: u64, id: u32 },
}

impl Life {
    /// Its incarnation, which it gets from its first event if it has none; that arrived `at`, milliseconds since 1970.
    pub(crate) fn incarnation(&mut self, at: i64) -> u64 {
        let number = match *self {
            Self::Known(number) => number,
            Self::New { after, id } => {
                let seconds = u32::try_from(at / 1_000).unwrap_or(u32::MAX);
                incarnation(if after == 0 { seconds } else { seconds.max(began_at(after).saturating_add(1)) }, id)
            }
        };
        *self = Self::Known(number);
        number
    }
}

/// Where work goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Course {
    /// The life that events are judged in.
    pub(crate) life: Life,
    /// What of it needs no more work.
    pub(crate) through: Done,
    /// A new life begins, and this is to be read first; `None`: go on where the group is.
    pub(crate) from: Option<Next>,
}

/// What tells an event from another at the same offset: what no setting of ours changes.
pub(crate) fn mark(of: &Interaction) -> u64 {
    let Interaction { user_id, item_id, kind, ts, event_id, .. } = of.clone();
    let event = Interaction { user_id, item_id, kind, ts, event_id, ..Interaction::default() };
    xxh3_64(&schemas::Message::encode_to_vec(&event))
}

impl Written {
    /// Takes note of an interaction; false: it lay there before. A producer that did not hear of the acknowledgement
    /// writes once more, and so does an owner that does not know yet that it lost the partition.
    pub(crate) fn note(&mut self, source: &Source, interaction: &Interaction) -> bool {
        let mark = mark(interaction);
        self.lives.entry(source.incarnation).or_default().insert(source.offset, mark) != Some(mark)
    }

    /// The life that could be the present one, and what came from it. An id never comes back; a life without one may be
    /// any.
    fn latest(&self, life: u32) -> Option<(u64, &Marks)> {
        let newest = |wanted: u32| self.lives.iter().rev().find(|(incarnation, _)| life_of(**incarnation) == wanted);
        let found = if life == 0 { self.lives.last_key_value() } else { newest(life).or_else(|| newest(0)) };
        found.map(|(incarnation, marks)| (*incarnation, marks))
    }

    /// Events to be held against what `interactions` says: the last, or with `all` every one that is still there.
    pub(crate) fn to_check(&self, log: &Log, all: bool) -> Option<(Next, Next)> {
        let (_, marks) = self.latest(log.life)?;
        let (first, last) = (*marks.first_key_value()?.0, *marks.last_key_value()?.0);
        let all = all || !log.high.is_past(last);
        let from = Next(if all { first } else { last });
        let range = (from.max(log.low), Next::behind(last).min(log.high));
        (range.0 < range.1).then_some(range)
    }

    /// Whether the events `there` are not those that `interactions` says: then all of them are to be looked at.
    pub(crate) fn differs(&self, log: &Log, there: &Marks) -> bool {
        let Some((_, marks)) = self.latest(log.life) else { return false };
        there.iter().any(|(offset, mark)| marks.get(offset).is_some_and(|written| written != mark))
    }

    /// Decides, from the events that are `there` now.
    pub(crate) fn course(&self, log: &Log, there: &Marks) -> Course {
        let newest = self.lives.last_key_value().map_or(0, |(incarnation, _)| *incarnation);
        let begin = |from: Option<Next>| {
            let through = from.map_or(Done::NOTHING, Next::done);
            Course { life: Life::New { after: newest, id: log.life }, through, from }
        };
        if self.lives.is_empty() {
            return begin(None);
        }
        // None that could be this life: the topic was deleted and made again.
        let Some((latest, marks)) = self.latest(log.life) else { return begin(Some(log.low)) };
        let last = marks.last_key_value().map_or(Done::NOTHING, |(offset, _)| Done(*offset));
        let through = if last.next() <= log.low { Some(last) } else { agreed(marks, log, there) };
        let known = log.life == 0 || life_of(latest) == log.life;
        if through == Some(last) && latest == newest && known {
            return Course { life: Life::Known(latest), through: last, from: None };
        }
        begin(Some(through.map_or(log.low, |through| through.next().max(log.low))))
    }
}

/// Through which offset the events are those that `interactions` came from. What retention took is not held against it,
/// nor what would be refused by now.
fn agreed(marks: &Marks, log: &Log, there: &Marks) -> Option<Done> {
    let mut through = None;
    for (offset, mark) in marks {
        match there.get(offset) {
            Some(found) if found != mark => break,
            None if !log.high.is_past(*offset) => break,
            Some(_) | None => through = Some(Done(*offset)),
        }
    }
    through
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;
    const OURS: u64 = incarnation(1_600_000_000, 7);

    fn written(lives: &[(u64, &[(i64, u64)])]) -> Written {
        let lives = lives.iter().map(|(incarnation, marks)| (*incarnation, marks.iter().copied().collect()));
        Written { lives: lives.collect() }
    }

    fn log(life: u32, high: i64) -> Log {
        Log { life, low: Next(0), high: Next(high) }
    }

    #[test]
    fn what_was_written_twice_is_known_by_its_place_its_life_and_what_it_says() {
        let mut written = Written::default();
        let source = |offset, incarnation| Source { partition: 3, offset, incarnation, ..Source::default() };
        let view = |item: &str| Interaction { item_id: item.into(), ..Interaction::default() };
        assert!(written.note(&source(7, OURS), &view("i1")));
        assert!(!written.note(&source(7, OURS), &view("i1")), "ours again");
        assert!(written.note(&source(8, OURS), &view("i1")));
        assert!(written.note(&source(7, OURS + 1), &view("i1")), "another life");
        assert!(written.note(&source(7, OURS), &view("i2")), "nobody writes another event of one place");
    }

    #[test]
    fn the_same_topic_goes_on_where_it_was() {
        let written = written(&[(OURS, &[(3, 30), (9, 90)])]);
        assert_eq!(written.to_check(&log(7, 50), false), Some((Next(9), Next(10))));
        let there = Marks::from([(9, 90)]);
        assert!(!written.differs(&log(7, 50), &there));
        assert_eq!(
            written.course(&log(7, 50), &there),
            Course { life: Life::Known(OURS), through: Done(9), from: None }
        );
    }

    #[test]
    fn a_topic_made_again_begins_a_life_and_is_read_from_its_beginning_however_long_it_has_grown() {
        let written = written(&[(OURS, &[(9, 90)])]);
        let course = written.course(&log(8, 5_000), &Marks::new());
        assert_eq!(
            course,
            Course { life: Life::New { after: OURS, id: 8 }, through: Done::NOTHING, from: Some(Next(0)) }
        );
    }

    #[test]
    fn a_topic_made_again_is_noticed_without_ids_too() {
        let written = written(&[(incarnation(1_600_000_000, 0), &[(3, 30), (9, 90)])]);
        let there = Marks::from([(9, 91)]);
        assert!(written.differs(&log(0, 50), &there));
        assert_eq!(written.to_check(&log(0, 50), true), Some((Next(3), Next(10))));
        assert_eq!(written.course(&log(0, 50), &[(3, 31), (9, 91)].into()).from, Some(Next(0)));
    }

    #[test]
    fn a_log_that_lost_its_end_begins_a_life_where_it_was_cut() {
        let written = written(&[(OURS, &[(3, 30), (7, 70), (9, 90)])]);
        assert_eq!(written.to_check(&log(7, 8), false), Some((Next(3), Next(8))), "all that is still there");
        let mut cut = written.course(&log(7, 8), &[(3, 30), (7, 70)].into());
        assert_eq!((cut.through, cut.from), (Done(7), Some(Next(8))));
        assert!(cut.life.incarnation(NOW) > OURS);
        let grown = written.course(&log(7, 50), &[(3, 30), (7, 71), (9, 91)].into());
        assert_eq!((grown.through, grown.from), (Done(3), Some(Next(4))), "others were written where the end was");
    }

    #[test]
    fn an_offset_from_nowhere_on_interactions_skips_no_event() {
        let written = written(&[(OURS, &[(9, 90), (1 << 40, 1)])]);
        assert_eq!(written.course(&log(7, 50), &[(9, 90)].into()).from, Some(Next(10)));
    }

    #[test]
    fn interactions_of_before_there_were_lives_are_gone_on_from() {
        let written = written(&[(0, &[(9, 90)])]);
        let course = written.course(&log(7, 50), &[(9, 90)].into());
        assert_eq!(course, Course { life: Life::New { after: 0, id: 7 }, through: Done(9), from: Some(Next(10)) });
    }

    #[test]
    fn the_first_event_of_a_life_gives_it_its_number_and_no_later_one_another() {
        let mut life = Life::New { after: OURS, id: 8 };
        assert_eq!(life.incarnation(NOW), incarnation(1_700_000_000, 8));
        assert_eq!(life.incarnation(NOW + 5_000), incarnation(1_700_000_000, 8));
    }

    #[test]
    fn a_clock_set_back_still_gives_a_later_life() {
        assert!(Life::New { after: OURS, id: 8 }.incarnation(1_000) > OURS);
    }

    #[test]
    fn an_empty_topic_interactions_begins_a_life_where_the_group_is() {
        assert_eq!(Written::default().course(&log(7, 50), &Marks::new()).from, None);
    }

    #[test]
    fn what_retention_took_is_not_held_against_the_log() {
        let written = written(&[(OURS, &[(3, 30), (9, 90)])]);
        let aged = Log { life: 7, low: Next(20), high: Next(50) };
        assert_eq!(written.to_check(&aged, false), None);
        assert_eq!(
            written.course(&aged, &Marks::new()),
            Course { life: Life::Known(OURS), through: Done(9), from: None }
        );
    }
}
