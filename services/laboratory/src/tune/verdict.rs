//! What the search came to, in words and as JSON: what was gained, how sure that is, and which settings are written.

use model::Settings;
use serde_json::{Value, json};

use super::budget::Budget;
use super::change::{Change, changes};
use super::comparison::Comparison;
use super::ladder::{Ladder, RUNGS};
use super::objective;
use super::search::{Best, Trial};
use super::space::SPACE;
use crate::error::Error;
use crate::evaluate::peak_memory_bytes;

/// Everything that is told.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The log's name, without its folder.
    pub(crate) log: String,
    pub(crate) ladder: Ladder,
    pub(crate) micro_batch: usize,
    /// The start first.
    pub(crate) trials: Vec<Trial>,
    pub(crate) ran_out: bool,
    pub(crate) best: Option<Best>,
    /// Where the best is a draw.
    pub(crate) comparison: Option<Comparison>,
}

impl Verdict {
    fn start(&self) -> &Settings {
        &self.trials[0].settings
    }

    /// The draw that won, sure or not.
    pub(crate) fn winner(&self) -> Option<&Settings> {
        self.best.filter(|best| best.number != 0).map(|best| &self.trials[best.number].settings)
    }

    /// Whether the winner's settings are the ones to use.
    pub(crate) fn is_gain(&self) -> bool {
        self.comparison.as_ref().is_some_and(Comparison::is_sure)
    }

    /// What is written: the winner only when it is surely better.
    pub(crate) fn chosen(&self) -> &Settings {
        self.winner().filter(|_| self.is_gain()).unwrap_or_else(|| self.start())
    }

    /// What the winner changes.
    pub(crate) fn changes(&self) -> Result<Vec<Change>, Error> {
        self.winner().map_or(Ok(Vec::new()), |winner| changes(self.start(), winner))
    }

    /// One sentence, the same for the terminal, the JSON and the file.
    pub(crate) fn sentence(&self) -> String {
        let (Some(best), comparison) = (self.best, &self.comparison) else {
            return "Nothing was compared with the starting settings before time ran out, so they stay: give more --time, \
                    or a smaller --limit."
                .to_owned();
        };
        let held_back = self.ladder.length - self.ladder.held_back();
        match comparison {
            None => format!(
                "No draw did better than the starting settings on the first {} interactions, so they stay: nothing is \
                 gained.",
                self.ladder.rungs[best.rung]
            ),
            Some(comparison) if comparison.is_sure() => format!(
                "{} gains {} over the starting settings on the last {held_back} interactions, which no trial saw: its \
                 settings are the ones to use.",
                self.name(best),
                comparison.spell()
            ),
            Some(comparison) => format!(
                "{} changes {} by {} on the last {held_back} interactions, which no trial saw: {}, so the starting \
                 settings stay.",
                self.name(best),
                objective::NAME,
                comparison.spell(),
                if comparison.is_loss() { "it is worse" } else { "that may be chance" }
            ),
        }
    }

    fn name(&self, best: Best) -> String {
        format!("Trial {} of {}", best.number + 1, self.trials.len())
    }

    /// Said when the search did not come to its end.
    pub(crate) fn shortened(&self) -> Option<String> {
        let reached = self.best.map_or(1, |best| best.rung + 1);
        self.ran_out.then(|| {
            format!(
                "The search stopped on rung {reached} of {RUNGS}: another run, and the comparison after it, would not have \
                 ended in the time given."
            )
        })
    }

    /// A change of the network's shape, which no running trainer can take up.
    pub(crate) fn caution(&self) -> Option<String> {
        let (before, after) = (self.start().history, self.chosen().history);
        (before != after).then(|| {
            format!(
                "history was {before}: another shape of the network, which a trainer can take up only on a topic \
                 `checkpoints` without versions of the old one."
            )
        })
    }

    /// What stands at the head of the file.
    pub(crate) fn heading(&self) -> String {
        let log = format!(
            "Written by `thalweg tune` from {} interactions of {}, seed {}, micro-batches of {}. In per cent:",
            self.ladder.length,
            self.log,
            self.start().seed,
            self.micro_batch
        );
        let lines = [Some(log), Some(self.sentence()), self.shortened(), self.caution()];
        lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn json(&self, budget: &Budget, written: &str) -> Result<Value, Error> {
        let settings = |list: Vec<Change>| -> Value {
            list.into_iter().map(|c| (c.key, json!({ "start": c.before, "tuned": c.after }))).collect()
        };
        let mut trials = Vec::new();
        for (number, trial) in self.trials.iter().enumerate() {
            let changes = settings(changes(self.start(), &trial.settings)?);
            let scores: Vec<Value> = trial.scores.iter().map(objective::Score::json).collect();
            trials.push(json!({ "trial": number + 1, "changes": changes, "rungs": scores }));
        }
        Ok(json!({
            "interactions": self.ladder.length,
            "rungs": self.ladder.rungs,
            "held_back": { "from": self.ladder.held_back(), "to": self.ladder.length },
            "objective": objective::NAME,
            "searched": SPACE.map(|dimension| dimension.key),
            "seed": self.start().seed,
            "micro_batch": self.micro_batch,
            "trials": trials,
            "best": self.best.map(|best| json!({ "trial": best.number + 1, "rung": best.rung + 1 })),
            "changes": settings(self.changes()?),
            "comparison": self.comparison.as_ref().map(Comparison::json),
            "sure": self.is_gain(),
            "verdict": self.sentence(),
            "written": { "file": written, "settings": if self.is_gain() { "tuned" } else { "start" } },
            "seconds": { "given": budget.given().map(|given| given.as_secs_f64()), "taken": budget.elapsed().as_secs_f64() },
            "time_ran_out": self.ran_out,
            "interactions_per_second": budget.rate(),
            "peak_memory_bytes": peak_memory_bytes(),
        }))
    }
}
