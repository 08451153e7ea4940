//! Signs of life: since when each task and thread is at one piece of work. Waiting is no work, so it is no stall.
#![allow(clippy::disallowed_methods, reason = "measures how long work takes")]

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{self, Poll};
use std::time::{Duration, Instant};

use crate::lock::lock;

/// Work whose length depends on how much there is (a snapshot, a restore) may take so many times `frame.stall`.
const LONG: u32 = 10;

/// A task's or thread's sign of life. Clones are of the same.
#[derive(Debug, Clone)]
pub struct Pulse {
    beat: Arc<Beat>,
}

#[derive(Debug)]
struct Beat {
    name: &'static str,
    at: Mutex<Option<Work>>,
}

#[derive(Debug, Clone, Copy)]
struct Work {
    what: &'static str,
    since: Instant,
    long: bool,
}

/// Work under way; it is over when this is dropped.
#[derive(Debug)]
pub struct Busy<'a> {
    beat: &'a Beat,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        *lock(&self.beat.at) = None;
    }
}

impl Pulse {
    /// Marks a piece of work as begun; it may take `frame.stall`.
    pub fn work(&self, what: &'static str) -> Busy<'_> {
        self.begin(what, false)
    }

    /// Marks work as begun whose length depends on how much there is: it may take ten times `frame.stall`.
    pub fn long_work(&self, what: &'static str) -> Busy<'_> {
        self.begin(what, true)
    }

    fn begin(&self, what: &'static str, long: bool) -> Busy<'_> {
        *lock(&self.beat.at) = Some(Work { what, since: Instant::now(), long });
        Busy { beat: &self.beat }
    }
}

impl Beat {
    /// What has been under way for longer than it may, for people.
    fn stalled(&self, stall: Duration, now: Instant) -> Option<String> {
        let work = (*lock(&self.at))?;
        let age = now.saturating_duration_since(work.since);
        let most = if work.long { stall.saturating_mul(LONG) } else { stall };
        (age > most).then(|| format!("{} is at one piece of work ({}) for {} s", self.name, work.what, age.as_secs()))
    }
}

/// The signs of life of one service.
#[derive(Debug, Default)]
pub(super) struct Beats {
    /// Of tasks and threads.
    held: Mutex<Vec<Weak<Beat>>>,
    /// Streams that have not moved for longer than they may, with the reason.
    standstills: Mutex<BTreeMap<String, String>>,
}

impl Beats {
    pub(super) fn add(&self, name: &'static str) -> Pulse {
        let beat = Arc::new(Beat { name, at: Mutex::default() });
        let mut held = lock(&self.held);
        held.retain(|beat| beat.strong_count() > 0);
        held.push(Arc::downgrade(&beat));
        Pulse { beat }
    }

    fn alive(&self) -> Vec<Arc<Beat>> {
        lock(&self.held).iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn stalled(&self, stall: Duration, now: Instant) -> Vec<String> {
        let mut stalled: Vec<String> = self.alive().iter().filter_map(|beat| beat.stalled(stall, now)).collect();
        stalled.extend(lock(&self.standstills).values().cloned());
        stalled
    }

    pub(super) fn patience(&self, usual: Duration, now: Instant) -> Duration {
        let is_long = |work: Work| work.long && now.saturating_duration_since(work.since) >= usual / 2;
        let long = self.alive().into_iter().any(|beat| (*lock(&beat.at)).is_some_and(is_long));
        if long { usual.saturating_mul(LONG) } else { usual }
    }

    pub(super) fn stands_still(&self, stream: &str, reason: Option<String>) {
        let mut standstills = lock(&self.standstills);
        match reason {
            Some(reason) => standstills.insert(stream.to_owned(), reason),
            None => standstills.remove(stream),
        };
    }
}

/// A future that shows when one of its steps does not come back.
pub(crate) struct Watched<F> {
    pulse: Pulse,
    future: Pin<Box<F>>,
}

impl<F: Future> Watched<F> {
    pub(super) fn new(pulse: Pulse, future: F) -> Self {
        Self { pulse, future: Box::pin(future) }
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let _busy = this.pulse.work("a step");
        this.future.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;

    const STALL: Duration = Duration::from_millis(150);

    fn context() -> Context {
        Context::with_limits("test", Duration::from_secs(1), STALL)
    }

    #[test]
    fn work_that_does_not_come_back_is_a_stall_and_waiting_is_none() {
        let ctx = context();
        let pulse = ctx.pulse("learner");
        std::thread::sleep(STALL * 2);
        assert_eq!(ctx.stalled(), [""; 0], "it waits");
        let busy = pulse.work("observe");
        assert_eq!(ctx.stalled(), [""; 0], "it has only begun");
        std::thread::sleep(STALL * 2);
        assert!(ctx.stalled().iter().any(|told| told.contains("learner") && told.contains("observe")));
        drop(busy);
        assert_eq!(ctx.stalled(), [""; 0], "it is done");
    }

    #[test]
    fn work_that_takes_long_by_its_nature_is_no_stall_for_ten_times_as_long() {
        let ctx = context();
        let pulse = ctx.pulse("encode");
        let _busy = pulse.long_work("a snapshot");
        assert_eq!(ctx.patience(STALL), STALL, "it has only begun");
        std::thread::sleep(STALL * 2);
        assert_eq!((ctx.stalled().len(), ctx.patience(STALL)), (0, STALL * LONG));
        std::thread::sleep(STALL * LONG);
        assert_eq!(ctx.stalled().len(), 1);
    }

    #[test]
    fn what_is_gone_is_not_watched() {
        let ctx = context();
        let pulse = ctx.pulse("gone");
        std::mem::forget(pulse.work("for ever"));
        drop(pulse);
        std::thread::sleep(STALL * 2);
        assert_eq!(ctx.stalled(), [""; 0]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_task_that_blocks_its_thread_is_a_stall_and_one_that_sleeps_is_none() {
        let ctx = context();
        let asleep = tokio::spawn(ctx.watched("asleep", tokio::time::sleep(STALL * 4)));
        tokio::time::sleep(STALL * 2).await;
        assert_eq!(ctx.stalled(), [""; 0]);
        let stuck = tokio::spawn(ctx.watched("stuck", async { std::thread::sleep(STALL * 4) }));
        tokio::time::sleep(STALL * 2).await;
        assert!(ctx.stalled().iter().any(|told| told.starts_with("stuck ")), "{:?}", ctx.stalled());
        let _ = tokio::join!(asleep, stuck);
        assert_eq!(ctx.stalled(), [""; 0]);
    }
}
