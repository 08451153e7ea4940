//! Waiting for a neighbour to come back: exponential backoff that shows in the readiness.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tracing::{debug, warn};

use super::Context;
use super::failure::chain;

/// The first pause: longer than a reconnect on a local network, too short to be felt.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause: how late the end of an outage may be noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The pauses between tries: 100 ms to 5 s, with jitter.
#[derive(Debug)]
pub(crate) struct Pauses(ExponentialBackoff);

impl Pauses {
    pub(crate) fn begin() -> Self {
        let pauses = ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_delay(LONGEST_PAUSE);
        Self(pauses.without_max_times().with_jitter().build())
    }

    pub(crate) fn next(&mut self) -> Duration {
        self.0.next().unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE)
    }
}

/// An error of a neighbour.
pub trait Outage: Error {
    /// Whether waiting can help: the neighbour is away rather than refusing.
    fn is_outage(&self) -> bool;
}

impl Context {
    /// How a service ended: a drain that an absent neighbour cut off is no failure, for what it left is uncommitted and
    /// is done after the restart (I3). The log says what that is.
    ///
    /// # Errors
    /// Any other.
    pub fn finish<E: Outage>(&self, outcome: Result<(), E>) -> Result<(), E> {
        match outcome {
            Err(error) if self.draining() && error.is_outage() => {
                warn!(service = self.name(), left = chain(&error), "left uncommitted; it is done after the restart");
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Tries `op` until it succeeds, with pauses of 100 ms to 5 s and jitter.
    ///
    /// `condition` turns red at the first failure and green at the next success.
    ///
    /// # Errors
    /// What waiting does not mend, at once; anything else only once the service is draining.
    pub async fn retry<T, E, Fut>(&self, condition: &'static str, mut op: impl FnMut() -> Fut) -> Result<T, E>
    where
        E: Outage,
        Fut: Future<Output = Result<T, E>>,
    {
        let mut pauses = Pauses::begin();
        let mut failures = 0_u64;
        loop {
            let error = match op().await {
                Ok(value) => {
                    self.set(condition, Ok(()));
                    return Ok(value);
                }
                Err(error) => error,
            };
            failures += 1;
            let reason = chain(&error);
            debug!(service = self.name(), condition, reason, failures, "retrying");
            self.set(condition, Err(reason)); // warns when it turns red
            if !error.is_outage() {
                return Err(error);
            }
            tokio::select! {
                () = self.drained() => return Err(error),
                () = tokio::time::sleep(pauses.next()) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[derive(Debug, PartialEq, thiserror::Error)]
    enum Trouble {
        #[error("connection refused")]
        Away,
        #[error("wrong password")]
        Refused,
    }

    impl Outage for Trouble {
        fn is_outage(&self) -> bool {
            *self == Self::Away
        }
    }

    #[tokio::test]
    async fn what_waiting_does_not_mend_is_returned_at_once() {
        let ctx = Context::new("test");
        let result: Result<(), _> = ctx.retry("redis", || async { Err(Trouble::Refused) }).await;
        assert_eq!(result, Err(Trouble::Refused));
        assert!(!ctx.is_ready() && !ctx.draining());
    }

    #[tokio::test]
    async fn a_retry_turns_its_condition_red_and_then_green() {
        let ctx = Context::new("test");
        let calls = Cell::new(0);
        let result = ctx
            .retry("redis", || {
                calls.set(calls.get() + 1);
                let seen_red = !ctx.is_ready();
                let call = calls.get();
                async move {
                    assert!(call == 1 || seen_red);
                    if call < 3 { Err(Trouble::Away) } else { Ok(call) }
                }
            })
            .await;
        assert_eq!(result, Ok(3));
        assert!(ctx.is_ready());
    }

    #[test]
    fn a_drain_that_an_outage_cuts_off_is_no_failure_and_a_refusal_is_one() {
        let ctx = Context::new("test");
        assert_eq!(ctx.finish(Err(Trouble::Away)), Err(Trouble::Away), "it was not asked to end");
        ctx.drain();
        assert_eq!(ctx.finish(Err(Trouble::Away)), Ok(()));
        assert_eq!(ctx.finish(Err(Trouble::Refused)), Err(Trouble::Refused));
    }

    #[tokio::test]
    async fn a_drain_ends_the_retries() {
        let ctx = Context::new("test");
        let other = ctx.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(150)).await;
            other.drain();
        });
        let result: Result<(), _> = ctx.retry("redis", || async { Err(Trouble::Away) }).await;
        assert_eq!(result, Err(Trouble::Away));
    }
}
