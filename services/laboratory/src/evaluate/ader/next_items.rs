//! Predicts every next item of a block's sessions with a frozen model.

use std::collections::HashMap;

use model::{Catalog, Model, Rank, Scored, Seen, UserView, rank_of};
use schemas::{Kind, UserKey, key_of};

use crate::error::Error;
use crate::evaluate::blocks::{Block, Test};
use crate::evaluate::breakdown::{self, Breakdown};
use crate::evaluate::items::Items;

/// Items that are predicted at once; fixed, so that figures do not depend on the number of threads.
const AT_ONCE: usize = 128;

/// What was learned before: the evaluation's own record.
#[derive(Debug, Default)]
pub(super) struct Learned {
    events: usize,
    items: Items,
}

impl Learned {
    pub(super) fn take_in(&mut self, block: &Block) {
        for (n, (_, item)) in block.events.iter().enumerate() {
            self.items.meet(key_of(item), block.ts(n), (self.events + n) as u64);
        }
        self.events += block.events.len();
    }

    pub(super) fn events(&self) -> usize {
        self.events
    }

    pub(super) fn items(&self) -> usize {
        self.items.len()
    }

    pub(super) fn knows(&self, item: &str) -> bool {
        self.items.get(key_of(item)).is_some()
    }
}

/// A next item to predict.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'t> {
    /// What the model is shown: the session's items before it.
    pub(super) view: UserView<'t>,
    pub(super) key: u64,
    /// Place in the block.
    pub(super) event: usize,
    /// How many items of the session came before.
    pub(super) earlier: usize,
}

/// The sessions of a test, as a model sees them.
pub(super) fn histories(block: &Block, test: &Test) -> Vec<Vec<Seen>> {
    test.sessions.iter().map(|session| session.iter().map(|n| seen(block, *n)).collect()).collect()
}

/// Every next item of every session, predicted from at most `remembered` items before it.
pub(super) fn asks<'t>(test: &Test, sessions: &'t [Vec<Seen>], remembered: usize) -> Vec<Ask<'t>> {
    let nexts = |(events, items): (&Vec<usize>, &'t Vec<Seen>)| {
        let ask = |at: usize| {
            let history = &items[at.saturating_sub(remembered)..at];
            let view = UserView { user: UserKey::NOBODY, history, ts: items[at - 1].ts };
            Ask { view, key: items[at].key, event: events[at], earlier: at }
        };
        (1..items.len()).map(ask).collect::<Vec<_>>()
    };
    test.sessions.iter().zip(sessions).flat_map(nexts).collect()
}

/// The rank of each next item.
///
/// # Errors
/// When a model is shown anything but what came before: then no figure could be trusted.
pub(super) fn predict(
    model: &Model,
    block: &Block,
    learned: &Learned,
    asks: &[Ask<'_>],
    remembered: usize,
    breakdown: &mut Breakdown,
) -> Result<Vec<Rank>, Error> {
    check_for_leaks(block, learned, asks, remembered)?;
    let answers = answers(model, asks);
    for (ask, (rank, source)) in asks.iter().zip(&answers) {
        breakdown.record(&breakdown::Test {
            rank: *rank,
            source: *source,
            known: model.knows(ask.key), // what was never seen is not tested, but it may have expired
            first: learned.items.get(ask.key),
            offset: (learned.events + ask.event) as u64,
            ts: block.ts(ask.event),
            earlier: u32::try_from(ask.earlier).unwrap_or(u32::MAX),
            repeat: ask.view.history.iter().any(|seen| seen.key == ask.key),
        });
    }
    Ok(answers.into_iter().map(|(rank, _)| rank).collect())
}

/// The `n`-th event of a block, as a history holds it.
fn seen(block: &Block, n: usize) -> Seen {
    Seen { key: key_of(&block.events[n].1), kind: Kind::View, ts: block.ts(n) }
}

/// Goes through the block once more, event by event, and holds what the model is to be shown, and asked for, against
/// it.
fn check_for_leaks(block: &Block, learned: &Learned, asks: &[Ask<'_>], remembered: usize) -> Result<(), Error> {
    let by_event: HashMap<usize, &Ask<'_>> = asks.iter().map(|ask| (ask.event, ask)).collect();
    let mut earlier: HashMap<&str, Vec<Seen>> = HashMap::new();
    let mut honest = 0;
    for (n, (session, item)) in block.events.iter().enumerate() {
        let earlier = earlier.entry(session).or_default();
        if let Some(Ask { view, key, .. }) = by_event.get(&n) {
            let before = &earlier[earlier.len().saturating_sub(remembered)..];
            let asked_at = before.last().map(|seen| seen.ts);
            if view.history != before || Some(view.ts) != asked_at || *key != key_of(item) {
                return Err(Error::Other(format!(
                    "a leak: what is shown for event {n} of the block is not what came before it in its session"
                )));
            }
            honest += 1;
        }
        if learned.knows(item) {
            earlier.push(seen(block, n));
        }
    }
    if honest == asks.len() {
        return Ok(());
    }
    Err(Error::Other(format!("{} of {} tests are not of an event of the block", asks.len() - honest, asks.len())))
}

/// The rank of each answer, and who named it; the model is frozen, so every core takes a share.
fn answers<'t>(model: &Model, asks: &[Ask<'t>]) -> Vec<(Rank, Option<&'static str>)> {
    let batches: Vec<&[Ask<'t>]> = asks.chunks(AT_ONCE).collect();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = batches.len().div_ceil(threads).max(1);
    let catalog = Catalog::default();
    let answer = |batch: &&[Ask<'t>]| -> Vec<_> {
        let views: Vec<UserView<'t>> = batch.iter().map(|ask| ask.view).collect();
        let scored = model.scored(&views, &catalog).into_iter();
        let answer = |(ask, scored): (&Ask<'t>, Vec<Scored>)| {
            let rank = rank_of(ask.key, scored.iter().map(|s| (s.key, s.score)));
            (rank, scored.iter().find(|s| s.key == ask.key).map(|s| s.source))
        };
        batch.iter().zip(scored).map(answer).collect()
    };
    std::thread::scope(|scope| {
        let spawned: Vec<_> = batches
            .chunks(share)
            .map(|batches| scope.spawn(move || batches.iter().flat_map(answer).collect::<Vec<_>>()))
            .collect();
        spawned.into_iter().flat_map(|thread| thread.join().expect("ranking does not panic")).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: usize, events: &[(&str, &str)]) -> Block {
        Block::new(number, events.iter().map(|(session, item)| ((*session).to_owned(), (*item).to_owned())).collect())
    }

    /// The block's test with one change to what is asked.
    fn predict_with(change: impl for<'t> Fn(&mut Ask<'t>, &'t [Seen])) -> Result<Vec<Rank>, Error> {
        let mut learned = Learned::default();
        learned.take_in(&block(0, &[("0", "a"), ("0", "b"), ("0", "c")]));
        let block = block(1, &[("1", "a"), ("2", "b"), ("1", "b"), ("1", "new"), ("1", "c"), ("2", "a")]);
        let test = block.test(|item| learned.knows(item));
        let sessions = histories(&block, &test);
        let mut asks = asks(&test, &sessions, 8);
        assert_eq!(asks.iter().map(|ask| ask.event).collect::<Vec<_>>(), [2, 4, 5]);
        change(&mut asks[1], &sessions[0]);
        let model = Model::empty("flex").expect("flex opens");
        predict(&model, &block, &learned, &asks, 8, &mut Breakdown::default())
    }

    #[test]
    fn a_label_planted_in_the_history_stops_the_run() {
        assert_eq!(predict_with(|_, _| {}).expect("nothing leaks").len(), 3);
        // Session 1 is a, b and then c, which is asked for.
        let leak = predict_with(|ask, session| ask.view.history = session).expect_err("the label is shown").to_string();
        assert!(leak.contains("a leak") && leak.contains("event 4"), "{leak}");
        assert!(predict_with(|ask, session| ask.view.history = &session[..1]).is_err(), "the last item is missing");
        assert!(predict_with(|ask, session| ask.view.ts = session[2].ts).is_err(), "the label's time is shown");
        assert!(predict_with(|ask, session| ask.key = session[1].key).is_err(), "another item is asked for");
        assert!(predict_with(|ask, _| ask.event = 2).is_err(), "one event is asked for twice");
        assert!(predict_with(|ask, _| ask.event = 6).is_err(), "there is no such event");
    }
}
