//! Follows the product through the stream: lets the baselines try the same tests, and adds up who hit what.

use std::collections::HashMap;

use model::baselines::{Ask, Baseline, Choice, Ranked};
use model::{Histories, Rank, Seen, rank_of};
use schemas::{Kind, UserKey};
use serde::Serialize;

use super::breakdown::{self, Breakdown};
use super::cold_start::{self, Young};
use super::figures::{Figures, Outcome, Tally};
use super::interval::{self, Paired};
use super::items::Items;
use super::leak;
use super::methods::{ByMethod, PRODUCT};
use super::sum::{CUT, hit};
use crate::error::Error;

/// Parts of the stream that are told apart.
pub(crate) const WINDOWS: u64 = 50;
/// Users whose history is kept for the baselines.
const USERS: usize = 200_000;

/// One interaction of the stream.
#[derive(Debug, Clone)]
pub(crate) struct Happened {
    pub(crate) user: String,
    pub(crate) key: u64,
    pub(crate) kind: Kind,
    pub(crate) ts: i64,
}

/// A positive interaction as the product was tested on it.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) key: u64,
    pub(crate) rank: Rank,
    pub(crate) list: Vec<u64>,
    /// Who named the item, when it is in the list.
    pub(crate) source: Option<&'static str>,
    /// Whether the learner knew the item.
    pub(crate) known: bool,
    pub(crate) history: Vec<Seen>,
}

/// What the product has gone through, in order.
#[derive(Default)]
pub(crate) struct MicroBatch {
    pub(crate) happened: Vec<Happened>,
    /// One for each positive interaction.
    pub(crate) shown: Vec<Shown>,
    /// A baseline that joins before this micro-batch.
    pub(crate) joins: Option<Box<dyn Baseline>>,
}

/// A positive interaction, as the baselines see it.
struct Step {
    user: UserKey,
    history: Vec<Seen>,
    earlier: u32,
    key: u64,
    asked_at: i64,
    ts: i64,
    offset: u64,
}

impl Step {
    /// Whether it counts: only who acted before can be told apart from everybody.
    fn is_tested(&self) -> bool {
        self.earlier > 0
    }
}

/// One method's sums.
#[derive(Debug, Default)]
struct Method {
    name: &'static str,
    overall: Tally,
    after: Tally,
    window: Tally,
    hr: Paired,
    mrr: Paired,
    young: Young,
}

/// A finished part of the stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Window {
    /// Places in the stream.
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) tests: u64,
    /// Of those that were tested in it.
    pub(crate) methods: ByMethod<Figures>,
}

/// See the file's first line.
pub(crate) struct Judge {
    length: u64,
    /// Place in the stream where the first 20 % end.
    split: u64,
    offset: u64,
    baselines: Vec<Box<dyn Baseline>>,
    /// The product, then the baselines in their order.
    methods: Vec<Method>,
    histories: Histories,
    earlier: HashMap<UserKey, u32>,
    items: Items,
    breakdown: Breakdown,
    windows: Vec<Window>,
    keep_from: u64,
    kept: Vec<Placed>,
}

/// Where the product placed a tested choice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Placed {
    /// The choice's place in the stream.
    pub(crate) offset: u64,
    pub(crate) rank: Rank,
    /// The user had chosen the item before.
    pub(crate) repeat: bool,
}

/// Where the first 20 % of a stream end.
pub(crate) fn split(length: u64) -> u64 {
    length.div_ceil(5)
}

impl Judge {
    /// `remembered` interactions of a user are kept for the baselines, and to tell a repeat: as many as the product
    /// remembers, for the frozen copy must see what the product sees.
    pub(crate) fn new(length: u64, remembered: usize, baselines: Vec<Box<dyn Baseline>>) -> Self {
        let names = [PRODUCT].into_iter().chain(baselines.iter().map(|baseline| baseline.name()));
        Self {
            length,
            split: split(length),
            offset: 0,
            methods: names.map(|name| Method { name, ..Method::default() }).collect(),
            baselines,
            histories: Histories::new(USERS, remembered),
            earlier: HashMap::new(),
            items: Items::default(),
            breakdown: Breakdown::default(),
            windows: Vec::new(),
            keep_from: u64::MAX,
            kept: Vec::new(),
        }
    }

    /// Keeps where the product placed each tested choice, from this place in the stream on.
    pub(crate) fn keep_from(&mut self, offset: u64) {
        self.keep_from = offset;
    }

    /// Takes in a micro-batch.
    ///
    /// # Errors
    /// When the product was shown a history that the stream does not bear out: then no figure could be trusted.
    pub(crate) fn follow(&mut self, batch: MicroBatch) -> Result<(), Error> {
        if let Some(baseline) = batch.joins {
            self.methods.push(Method { name: baseline.name(), ..Method::default() });
            self.baselines.push(baseline);
        }
        let steps = self.steps(&batch.happened);
        let aligned = steps.len() == batch.shown.len()
            && steps.iter().zip(&batch.shown).all(|(step, shown)| step.key == shown.key);
        if !aligned {
            return Err(Error::Other("the learner did not test every choice once, in order".to_owned()));
        }
        for (step, shown) in steps.iter().zip(&batch.shown) {
            if !leak::is_honest(&shown.history, &step.history, step.earlier as usize) {
                return Err(Error::Other(format!(
                    "a leak: the history shown for event {} is not what the stream says came before it",
                    step.offset
                )));
            }
        }
        let lists: Vec<Vec<Ranked>> =
            self.baselines.iter_mut().map(|baseline| compete(baseline.as_mut(), &steps)).collect();
        for (n, (step, shown)) in steps.iter().zip(&batch.shown).enumerate() {
            self.begin_window(step.offset);
            if step.is_tested() {
                self.judge(step, shown, lists.iter().map(|lists| &lists[n]));
            }
            self.items.meet(step.key, step.ts, step.offset);
        }
        Ok(())
    }

    /// The choices with what came before them, by the evaluation's own record.
    fn steps(&mut self, happened: &[Happened]) -> Vec<Step> {
        let mut steps = Vec::with_capacity(happened.len());
        for Happened { user, key, kind, ts } in happened {
            let (id, offset) = (UserKey::of(user), self.offset);
            self.offset += 1;
            if kind.is_positive() {
                let history = self.histories.as_of(user, *ts).to_vec();
                let asked_at = history.last().map_or(*ts, |seen| seen.ts);
                let earlier = self.earlier.get(&id).copied().unwrap_or(0);
                steps.push(Step { user: id, history, earlier, key: *key, asked_at, ts: *ts, offset });
            }
            if *kind != Kind::Impression {
                self.histories.push(user, Seen { key: *key, kind: *kind, ts: *ts });
                *self.earlier.entry(id).or_default() += 1;
            }
        }
        steps
    }

    fn judge<'l>(&mut self, step: &Step, shown: &Shown, lists: impl Iterator<Item = &'l Ranked>) {
        let after = step.offset >= self.split;
        let place = interval::place(step.offset, self.split, self.length);
        let (hit_own, reciprocal_own) = hit(shown.rank, CUT);
        let first = self.items.get(step.key);
        let repeat = step.history.iter().any(|seen| seen.key == step.key && seen.kind.is_positive());
        if step.offset >= self.keep_from {
            self.kept.push(Placed { offset: step.offset, rank: shown.rank, repeat });
        }
        let mut list = Vec::with_capacity(CUT + 1);
        let mut ranked = lists;
        for (n, method) in self.methods.iter_mut().enumerate() {
            let rank = if n == 0 {
                list.clone_from(&shown.list);
                shown.rank
            } else {
                let Some(ranked) = ranked.next() else { break };
                list.clear();
                list.extend(ranked.iter().map(|(key, _)| *key));
                rank_of(step.key, ranked.iter().copied())
            };
            let outcome = Outcome { rank, list: &list, ts: step.asked_at, repeat };
            method.overall.record(outcome, &self.items);
            method.window.record(outcome, &self.items);
            if after {
                method.after.record(outcome, &self.items);
                let (hit, reciprocal) = hit(rank, CUT);
                #[allow(clippy::cast_precision_loss)] // 0 or 1
                method.hr.record(place, hit_own as f64 - hit as f64);
                method.mrr.record(place, reciprocal_own - reciprocal);
                let source = shown.source.filter(|_| n == 0);
                method.young.record(&cold_start::Choice { rank, source, first, offset: step.offset, ts: step.ts });
            }
        }
        if after {
            self.breakdown.record(&breakdown::Test {
                rank: shown.rank,
                source: shown.source,
                known: shown.known,
                first,
                offset: step.offset,
                ts: step.ts,
                earlier: step.earlier,
                repeat,
            });
        }
    }

    /// Finishes every window that ends before `offset`.
    fn begin_window(&mut self, offset: u64) {
        let edge = |n: u64| (u128::from(self.length) * u128::from(n)).div_ceil(u128::from(WINDOWS)) as u64;
        while (self.windows.len() as u64) < WINDOWS && offset >= edge(self.windows.len() as u64 + 1) {
            let n = self.windows.len() as u64;
            let known = self.items.len();
            let tallies: Vec<_> =
                self.methods.iter_mut().map(|method| (method.name, std::mem::take(&mut method.window))).collect();
            self.windows.push(Window {
                from: edge(n),
                to: edge(n + 1),
                tests: tallies.first().map_or(0, |(_, tally)| tally.tests()),
                methods: tallies
                    .iter()
                    .filter(|(_, tally)| tally.tests() > 0)
                    .map(|(name, tally)| (*name, tally.figures(known)))
                    .collect(),
            });
        }
    }

    /// Ends the last window and gives what it all came to.
    pub(crate) fn finish(mut self) -> Judged {
        self.begin_window(u64::MAX);
        Judged {
            known: self.items.len(),
            methods: self.methods,
            windows: self.windows,
            breakdown: self.breakdown,
            kept: self.kept,
        }
    }
}

/// Lets a baseline rank and then learn, one choice after the other or the whole micro-batch; a choice that is not
/// tested gets an empty list.
fn compete(baseline: &mut dyn Baseline, steps: &[Step]) -> Vec<Ranked> {
    let at_once = if baseline.in_batches() { steps.len().max(1) } else { 1 };
    let mut lists = Vec::with_capacity(steps.len());
    for steps in steps.chunks(at_once) {
        let asks: Vec<_> = steps
            .iter()
            .filter(|step| step.is_tested())
            .map(|step| Ask { user: step.user, history: &step.history, ts: step.asked_at })
            .collect();
        let mut ranked = if asks.is_empty() { Vec::new() } else { baseline.rank(&asks) }.into_iter();
        let of = |step: &Step| if step.is_tested() { ranked.next().unwrap_or_default() } else { Ranked::new() };
        lists.extend(steps.iter().map(of));
        let choices: Vec<_> = steps
            .iter()
            .map(|step| Choice { user: step.user, history: &step.history, key: step.key, ts: step.ts })
            .collect();
        baseline.learn(&choices);
    }
    lists
}

/// What it all came to.
#[derive(Debug)]
pub(crate) struct Judged {
    /// Items met in the stream.
    pub(crate) known: usize,
    methods: Vec<Method>,
    pub(crate) windows: Vec<Window>,
    pub(crate) breakdown: Breakdown,
    /// Where the product placed the choices that were to be kept, in order.
    pub(crate) kept: Vec<Placed>,
}

impl Judged {
    /// Each method's sums over the whole stream; for a baseline that joined late, since then: its number of tests says
    /// so.
    pub(crate) fn overall(&self) -> impl Iterator<Item = (&'static str, &Tally)> {
        self.methods.iter().map(|method| (method.name, &method.overall))
    }

    /// Each method's sums without the first 20 %.
    pub(crate) fn after(&self) -> impl Iterator<Item = (&'static str, &Tally)> {
        self.methods.iter().map(|method| (method.name, &method.after))
    }

    /// Each method's sums over young items, without the first 20 %; the product stands first.
    pub(crate) fn young(&self) -> Vec<(&'static str, &Young)> {
        self.methods.iter().map(|method| (method.name, &method.young)).collect()
    }

    /// Each baseline's paired differences in hit rate and mean reciprocal rank.
    pub(crate) fn differences(&self) -> impl Iterator<Item = (&'static str, &Paired, &Paired)> {
        self.methods.iter().skip(1).map(|method| (method.name, &method.hr, &method.mrr))
    }
}

#[cfg(test)]
mod tests;
