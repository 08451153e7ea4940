//! The outcome for people: how the search went, what it found, what that gains.

use std::time::Duration;

use super::budget::Budget;
use super::change::spell;
use super::comparison::{Comparison, METHOD};
use super::ladder::RUNGS;
use super::verdict::Verdict;
use super::{objective, search};
use crate::error::Error;
use crate::evaluate::interval;
use crate::output;

/// The outcome for people.
pub(crate) fn tell(verdict: &Verdict, budget: &Budget, written: &str) -> Result<(), Error> {
    output::line(format!("{}, in %, after the first 20 % of each rung:", objective::NAME));
    output::table(&rungs(verdict));
    let changes = verdict.changes()?;
    if !changes.is_empty() {
        output::line("");
        let mut table = vec![["setting", "start", "tuned"].map(str::to_owned).to_vec()];
        table.extend(changes.into_iter().map(|c| vec![c.key, spell(&c.before), spell(&c.after)]));
        output::table(&table);
    }
    if let Some(comparison) = &verdict.comparison {
        output::line("");
        output::table(&gains(comparison));
        output::line(METHOD);
    }
    output::line("");
    output::line(verdict.sentence());
    verdict.shortened().into_iter().chain(verdict.caution()).for_each(output::line);
    let took = whole_seconds(budget.elapsed());
    output::line(if verdict.is_gain() {
        format!("{written} holds the tuned settings; it took {took}. Use it: trainer --config {written}")
    } else {
        format!("{written} holds the starting settings, so that there is nothing to change; it took {took}.")
    });
    Ok(())
}

/// How the search went, one row a rung.
fn rungs(verdict: &Verdict) -> Vec<Vec<String>> {
    let heads = ["rung", "interactions", "trials", "tests", "start", "best", "best trial"];
    let mut table = vec![heads.map(str::to_owned).to_vec()];
    for rung in 0..RUNGS {
        let scores = search::on(&verdict.trials, rung);
        let Some((number, best)) = search::top(&scores) else { break };
        let start = verdict.trials[0].scores.get(rung);
        let spell = |start: &objective::Score| format!("{:.2}", start.objective());
        table.push(vec![
            format!("{} of {RUNGS}", rung + 1),
            verdict.ladder.rungs[rung].to_string(),
            scores.len().to_string(),
            verdict.trials[number].scores[rung].tests.to_string(),
            start.map_or_else(|| "-".to_owned(), spell),
            format!("{best:.2}"),
            if number == 0 { "the start".to_owned() } else { (number + 1).to_string() },
        ]);
    }
    table
}

/// The comparison, one row a measure.
fn gains(comparison: &Comparison) -> Vec<Vec<String>> {
    let mut table = vec![["in %", "start", "tuned", "gain", "95 %"].map(str::to_owned).to_vec()];
    let of = |name: &str, score: &objective::Score| match name {
        "hr_20" => ("HR@20", score.hr),
        "first_time_hr_20" => ("first-time HR@20", score.first_time_hr),
        "mrr_20" => ("MRR@20", score.mrr),
        _ => (objective::NAME, score.objective()),
    };
    for (name, gain) in comparison.gains() {
        let ((head, start), (_, tuned)) = (of(name, &comparison.start), of(name, &comparison.tuned));
        let [gain, interval] = interval::cells(gain);
        let figures = [format!("{start:.2}"), format!("{tuned:.2}"), gain, interval];
        table.push([head.to_owned()].into_iter().chain(figures).collect());
    }
    table
}

/// As `--time` takes it.
pub(crate) fn whole_seconds(time: Duration) -> String {
    humantime::format_duration(Duration::from_secs(time.as_secs().max(1))).to_string().replace(' ', "")
}
