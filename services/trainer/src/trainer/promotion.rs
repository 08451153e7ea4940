//! A challenger that becomes the trainer: it is called, or calls itself, goes on under a claim of its own, and says so.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::BTreeMap;
use std::time::Instant;

use schemas::Topics;
use schemas::checkpoint::Contest;
use schemas::control::Promotion;
use tracing::{info, warn};
use versions::{deed_of_promotion, say_promotion};

use super::{End, Trainer};
use crate::challenger::Promote;
use crate::error::Error;
use crate::metrics::show_contest;

impl Trainer {
    /// The promotion that calls this challenger, once it can follow: there is a version of it to go on from.
    pub(super) fn called(&mut self) -> Option<Promotion> {
        self.rival.as_ref()?;
        let promotion = self.control.releases().promotion()?;
        let promotion = promotion.calls(&self.config.name, self.ctx.now()).then(|| promotion.clone())?;
        (self.may_publish() && self.bookmarks.has_published()).then_some(promotion)
    }

    /// Writes what is learned as a last version of its own, and ends as a challenger: the next start goes on from
    /// there. Until that one claims, the trainer before publishes, so no gap is to be seen.
    pub(super) async fn rise(mut self, promotion: Promotion) -> Result<End, Error> {
        warn!(name = promotion.name, by = promotion.by, reason = promotion.reason, "promoted: becoming the trainer");
        while let Some(outcome) = self.publications.join_next().await {
            self.finish_last(outcome).await?;
        }
        if let Some(order) = self.schedule.last(Instant::now()) {
            self.publish(order).await?;
            if let Some(outcome) = self.publications.join_next().await {
                self.finish_last(outcome).await?;
            }
        }
        self.attendance.settle().await;
        self.survey.shutdown().await;
        self.learning.end().await?;
        if let Some(rival) = self.rival {
            rival.end(&self.ctx).await;
        }
        show_contest(None);
        Ok(End::Promoted(promotion))
    }

    /// With the first version under our claim the promotion is answered: from now on we are the trainer at every start.
    pub(super) async fn answer_promotion(&mut self) -> Result<(), Error> {
        let Some(promotion) = self.promotion.take() else { return Ok(()) };
        let answered = Promotion { epoch: Some(self.own.epoch), ..promotion };
        info!(name = answered.name, epoch = self.own.epoch, "the challenger is the trainer");
        let evidence = BTreeMap::from([("epoch".to_owned(), f64::from(self.own.epoch))]);
        self.say_promotion(&answered, evidence, self.ctx.now()).await
    }

    /// Writes it to the audit, and then says it. An audit that takes no record keeps no challenger from its place.
    async fn say_promotion(
        &mut self,
        promotion: &Promotion,
        evidence: BTreeMap<String, f64>,
        now: i64,
    ) -> Result<(), Error> {
        self.audit_deed(deed_of_promotion(promotion, evidence), now).await;
        let topics = Topics::new(&self.kafka.topic_prefix);
        say_promotion(promotion, (&self.publisher.producer, &topics)).await?;
        Ok(())
    }

    /// Calls itself, once it is better beyond doubt and may do so; never while an operator keeps a version.
    pub(super) async fn propose(&mut self, contest: Option<&Contest>) -> Result<(), Error> {
        let (settings, now) = (&self.config.challenger, self.ctx.now());
        let (Some(contest), Promote::WhenBetter) = (contest, settings.promote) else { return Ok(()) };
        let releases = self.control.releases();
        let name = &self.config.name;
        let called = releases.promotion().is_some_and(|promotion| promotion.calls(name, now));
        if self.rival.is_none() || called || !settings.is_better(contest) || releases.pin(now).is_some() {
            return Ok(());
        }
        let Contest { live, tests, hr20, mrr20 } = contest;
        let percent = |share: f64| share * 100.0;
        let reason = format!(
            "better than {live} in {tests} tests: hits {:+.2} points or more, reciprocal rank {:+.2}",
            percent(hr20.lower),
            percent(mrr20.lower)
        );
        let evidence = [("tests", *tests as f64), ("hr20_lower", hr20.lower), ("mrr20_lower", mrr20.lower)];
        let evidence = evidence.into_iter().map(|(figure, value)| (figure.to_owned(), value)).collect();
        let promotion = Promotion {
            name: name.clone(),
            by: format!("challenger {name}"),
            reason,
            at: releases.moment(now),
            epoch: None,
        };
        self.say_promotion(&promotion, evidence, now).await
    }
}
