//! `thalweg release promote`, and what `release status` says of challengers.

use std::collections::BTreeMap;

use laboratory::output;
use laboratory::shown::plain;
use runtime::Context;
use schemas::audit::Chain;
use schemas::checkpoint::{Contest, Interval};
use schemas::control::Promotion;
use schemas::{Manifest, Releases, Timestamp, Topics};
use serde_json::{Value, json};

use super::{Change, log, releases};
use crate::commands::checkpoints;
use crate::config::Config;
use crate::error::Error;

/// A challenger, as its log has it.
#[derive(Debug)]
pub(super) struct Challenger {
    name: String,
    /// Its newest version; `None` where it has published none.
    newest: Option<Manifest>,
}

/// Every challenger that has a topic.
pub(super) async fn read(config: &Config) -> Result<Vec<Challenger>, Error> {
    let mut challengers = Vec::new();
    for (name, topic) in checkpoints::challengers(config).await? {
        let versions = log::read_named(&topic, config, false).await?;
        challengers.push(Challenger { name, newest: versions.newest().cloned() });
    }
    Ok(challengers)
}

impl Challenger {
    fn contest(&self) -> Option<Contest> {
        self.newest.as_ref()?.contest
    }

    /// As a row of `release status`.
    pub(super) fn row(&self, releases: &Releases) -> Vec<String> {
        let promotion = releases.promotion().filter(|promotion| promotion.name == self.name);
        let role = match promotion.map(|promotion| promotion.epoch) {
            Some(Some(epoch)) => format!("the trainer since epoch {epoch}"),
            Some(None) => "to be promoted".to_owned(),
            None => match &self.newest {
                Some(newest) => format!("{}, made {}", newest.version, Timestamp(newest.made_at)),
                None => "no version yet".to_owned(),
            },
        };
        let told = self.contest().map_or_else(|| "compared with nothing yet".to_owned(), compared);
        vec![format!("challenger {}", self.name), format!("{role}; {told}")]
    }

    /// The same as JSON.
    pub(super) fn json(&self) -> Value {
        let newest = self.newest.as_ref();
        json!({
            "name": self.name, "version": newest.map(|newest| newest.version),
            "made_at": newest.map(|newest| newest.made_at), "contest": self.contest(),
        })
    }
}

/// Both differences, each with its interval, in points.
fn compared(Contest { live, tests, hr20, mrr20 }: Contest) -> String {
    let told = |Interval { mean, lower, upper }: Interval| {
        format!("{:+.2} ({:+.2} to {:+.2})", mean * 100.0, lower * 100.0, upper * 100.0)
    };
    format!("HR@20 {}, MRR@20 {} points beside {live} in {tests} tests", told(hr20), told(mrr20))
}

/// Writes that a challenger is to be the trainer.
pub(super) async fn promote(name: String, change: Change, config: &Config) -> Result<(), Error> {
    let (by, reason) = change.said("promote changes what is served")?;
    let Change { dry_run, json, .. } = change;
    let ctx = Context::new("thalweg");
    let releases = releases(config, &ctx).await?;
    let promotion = Promotion { name, by, reason, at: releases.moment(ctx.now()), epoch: None };
    if let Some(problem) = promotion.problem() {
        return Err(Error::Other(format!("it {problem}: `thalweg release status` lists the challengers there are")));
    }
    if releases.promotion().is_some_and(|before| before.made(&promotion.name)) {
        return Err(Error::Other(format!("challenger {} is the trainer already", promotion.name)));
    }
    let all = read(config).await?;
    let found = all.into_iter().find(|challenger| challenger.name == promotion.name);
    let contest = match found {
        Some(challenger @ Challenger { newest: Some(_), .. }) => challenger.contest(),
        Some(Challenger { newest: None, .. }) => {
            let waits = "has published no version yet: it does once it has learned what is on interactions";
            return Err(Error::Other(format!("challenger {} {waits}", promotion.name)));
        }
        None => {
            let unknown = "there is no challenger of this name: start a trainer with trainer.role = \"challenger\" and";
            return Err(Error::Other(format!("{unknown} trainer.name = \"{}\"", promotion.name)));
        }
    };
    if !dry_run {
        let producer = config.producer(&ctx)?;
        let mut chain = Chain::new(format!("thalweg-{}-{:x}", std::process::id(), promotion.at));
        let topics = Topics::new(&config.kafka.topic_prefix);
        let numbers = contest.map(|contest| {
            [("tests", contest.tests as f64), ("hr20_lower", contest.hr20.lower), ("mrr20_lower", contest.mrr20.lower)]
        });
        let evidence: BTreeMap<String, f64> =
            numbers.into_iter().flatten().map(|(figure, value)| (figure.to_owned(), value)).collect();
        versions::promote(&promotion, evidence, ctx.now(), &mut chain, (&producer, &topics)).await?;
    }
    if json {
        return Ok(output::json(&json!({"written": !dry_run, "promotion": promotion, "contest": contest}))?);
    }
    let done = if dry_run { "would be written" } else { "written" };
    let Promotion { name, by, reason, .. } = &promotion;
    output::line(format!("{done}: promote {name}, by {}: {}", plain(by), plain(reason)));
    output::note(match contest {
        Some(contest) if contest.hr20.lower <= 0.0 || contest.mrr20.lower <= 0.0 => {
            format!("it is not known to be better: {}", compared(contest))
        }
        Some(contest) => compared(contest),
        None => "it was compared with nothing yet".to_owned(),
    });
    if !dry_run {
        output::note("the challenger answers within seconds if it runs; `thalweg release status` shows when");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_in_points_with_its_interval() {
        let interval = |mean: f64| Interval { mean, lower: mean - 0.01, upper: mean + 0.01 };
        let live = schemas::VersionId { epoch: 3, sequence: 120 };
        let contest = Contest { live, tests: 20_000, hr20: interval(0.012), mrr20: interval(-0.004) };
        assert_eq!(
            compared(contest),
            "HR@20 +1.20 (+0.20 to +2.20), MRR@20 -0.40 (-1.40 to +0.60) points beside 000003-00000120 in 20000 tests"
        );
    }
}
