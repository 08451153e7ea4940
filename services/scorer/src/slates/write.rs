//! Writes what a micro-batch comes to, and takes in what Redis says of it.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use runtime::redis::Answer;
use schemas::{Entry, Slate, StoredProfile};
use tracing::{debug, warn};

use super::{Acting, Ranked, Slates, Work};
use crate::error::Error;
use crate::fit::{Fitted, fit};
use crate::marks::Renewal;
use crate::script::Cause;
use crate::users::User;
use crate::{metrics as names, profile, script};

impl Slates {
    /// Writes profiles and slates, and marks behind them: whom somebody else has written since they were read, and what
    /// became of the marks.
    pub(super) async fn write(
        &mut self,
        mut works: Vec<Work>,
        (model, lists): Ranked,
        marks: &[Renewal],
    ) -> Result<(Vec<Acting>, Vec<Answer<i64>>), Error> {
        let (now, mut lists) = (self.ctx.now(), lists.into_iter());
        let mut calls = Vec::with_capacity(works.len() + marks.len());
        let (mut trimmed, mut slates) = (0, Vec::with_capacity(works.len()));
        for work in &mut works {
            let items = if work.is_shown() { lists.next() } else { None };
            if items.as_ref().is_some_and(Vec::is_empty) {
                // It takes the place of one whose items are all gone, not of nothing, nor of what a version made that
                // knew more than the live one.
                let lies = &work.user.stored.profile.slate;
                work.keeps = lies.is_empty() || (model == Slate::NO_MODEL && self.may_stay(lies));
            }
            let items = items.filter(|_| !work.keeps);
            let mut slate = items.map(|items| self.slate(&work.user, model.clone(), items, now));
            let user = &mut work.user;
            let cause = match () {
                () if !work.arrived.is_empty() => Cause::Acted,
                () if user.stored.profile.owed => Cause::Owed,
                () => Cause::Renewed,
            };
            if let Some(slate) = &slate {
                user.stored.profile.owed = slate.model == Slate::NO_MODEL;
            } else if work.past || work.keeps {
                user.stored.profile.owed = true; // who goes on after us finds it
            }
            let fitted = fit(&mut user.stored, slate.as_mut(), self.settings.encoding, self.settings.max_user_bytes);
            trimmed += u64::from(fitted.trimmed);
            slates.push(slate.is_some());
            let read = std::mem::replace(&mut user.lies, StoredProfile::header(&fitted.profile).into());
            calls.push(self.call(&work.acting.name, user, &read, fitted, cause));
        }
        calls.extend(marks.iter().map(|renewal| renewal.call.clone()));
        let mut answers = self.ctx.retry("redis", || self.redis.eval_many(&self.script, calls.clone())).await?;
        counter!(names::SLATES_TRIMMED).increment(trimmed);
        let marks = answers.split_off(works.len().min(answers.len()));
        Ok((self.settle(works, &answers, &slates), marks))
    }

    fn call(&self, name: &str, user: &User, read: &[u8], fitted: Fitted, cause: Cause) -> script::Call {
        let first = profile::is_first(&user.stored.profile);
        let longest = if first { self.settings.first_ttl } else { Duration::MAX };
        let ttl = (self.settings.user_ttl.min(longest), self.settings.recs_ttl.min(longest));
        script::call(&self.keys, name, read, fitted, ttl, cause)
    }

    fn slate(&self, user: &User, model: String, items: Vec<Entry>, now: i64) -> Slate {
        let source = &user.stored.source;
        Slate {
            v: Slate::V,
            model,
            source: Slate::source_of(&self.events.topic, source.partition, source.offset),
            event_ts: user.stored.profile.last_ts,
            made_at: now,
            items,
        }
    }

    /// Redis has answered: what it took is readable from now on. Who was written by somebody else since is returned, to
    /// be read again: that instance may have applied the same, or what came through another partition.
    fn settle(&mut self, works: Vec<Work>, answers: &[Answer<i64>], slates: &[bool]) -> Vec<Acting> {
        let now = self.ctx.now();
        let (mut written, mut renewed, mut applied, mut dropped, mut split) = (0, 0, 0, 0, 0);
        let (mut refused, mut later) = (Vec::new(), Vec::new());
        for ((work, answer), slate) in works.into_iter().zip(answers).zip(slates) {
            let taken = match answer {
                Ok(script::REFUSED) => {
                    debug!(user = &*work.acting.name, "another instance has written this user since it was read");
                    refused.push(work.acting);
                    continue; // forgotten: read again
                }
                Ok(taken) => *taken,
                Err(wrong) => {
                    self.sources.foreign.found(self.keys.user(&work.acting.name), wrong);
                    continue;
                }
            };
            applied += work.arrived.len();
            dropped += work.acting.interactions.len() - work.arrived.len();
            split += u64::from(work.split);
            if taken == script::WITHOUT_SLATE {
                self.sources.foreign.found(self.keys.recs(&work.acting.name), "it holds no string");
            } else if *slate {
                written += 1;
                renewed += u64::from(work.arrived.is_empty());
                for arrived_at in &work.arrived {
                    let age = u64::try_from(now.saturating_sub(*arrived_at)).unwrap_or(0); // clocks of two machines may differ
                    self.freshness.record(Duration::from_millis(age));
                }
            } else if work.past {
                later.push(Arc::clone(&work.acting.name));
            }
            self.users.put(work.acting.name, work.user.shown_anew());
        }
        self.renewals.extend(later);
        self.found_split(split);
        counter!(names::INTERACTIONS).increment(applied as u64);
        counter!(names::REPLAYED).increment(dropped as u64);
        counter!(names::SLATES).increment(written);
        counter!(names::SLATES_RENEWED).increment(renewed);
        counter!(names::SLATES_REFUSED).increment(refused.len() as u64);
        refused
    }

    /// Two applications key events by different partitioners, or partitions were added: nothing is lost, but it is
    /// told.
    fn found_split(&mut self, users: u64) {
        counter!(names::SPLIT_USERS).increment(users);
        if users > 0 && !std::mem::replace(&mut self.told_split, true) {
            warn!(
                users,
                "events of one user come through several partitions: partitions were added, or applications key events by \
                 different partitioners (librdkafka: partitioner=murmur2_random places a key as Java's clients do); each \
                 event counts once, but not always in order"
            );
        }
    }
}
