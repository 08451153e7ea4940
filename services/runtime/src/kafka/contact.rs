//! How patient a service is with Kafka: at its start it says what is wrong and ends, later it waits.

use super::error::KafkaError;
use super::link::Link;
use crate::context::{Context, Outage, Pauses, chain};

/// Tries `op` until it succeeds, with pauses of 100 ms to 5 s. Meanwhile the condition `kafka` is red, with the reason.
///
/// It gives up where Kafka has not answered once: then the address may be wrong. It gives up for a topic or a right
/// that is missing as long as the service starts ([`Context::started`]).
///
/// # Errors
/// What is not waited for, at once; anything else only once the service is draining.
pub async fn contact<T, Fut>(ctx: &Context, mut op: impl FnMut() -> Fut) -> Result<T, KafkaError>
where
    Fut: Future<Output = Result<T, KafkaError>>,
{
    let (link, mut pauses) = (Link::new(ctx), Pauses::begin());
    loop {
        let error = match op().await {
            Ok(value) => {
                ctx.reached();
                return Ok(value);
            }
            Err(error) => error,
        };
        if !waits(&error, ctx) {
            return Err(error);
        }
        link.refused(chain(&error));
        tokio::select! {
            () = ctx.drained() => return Err(cut_off(error)),
            () = tokio::time::sleep(pauses.next()) => {}
        }
    }
}

/// Whether the service waits for it to be mended.
fn waits(error: &KafkaError, ctx: &Context) -> bool {
    (error.is_outage() && ctx.has_reached()) || (error.is_refusal() && ctx.has_started())
}

/// A drain cut the wait off, which is no failure.
fn cut_off(error: KafkaError) -> KafkaError {
    if error.is_outage() { error } else { KafkaError::Draining { what: format!("wait, for {error}") } }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn away() -> KafkaError {
        KafkaError::Unreachable { brokers: "b:9092".into() }
    }

    fn missing() -> KafkaError {
        KafkaError::MissingTopic { topic: "x".into() }
    }

    /// Fails twice.
    async fn third_time(ctx: &Context, error: fn() -> KafkaError) -> Result<bool, KafkaError> {
        let (tries, red) = (Cell::new(0), Cell::new(true));
        let outcome = contact(ctx, || {
            tries.set(tries.get() + 1);
            let told = |(name, state): (&str, Result<(), String>)| name == "kafka" && state.is_err();
            red.set(red.get() && (tries.get() == 1 || ctx.readiness().into_iter().any(told)));
            let fails = tries.get() < 3;
            async move { if fails { Err(error()) } else { Ok(()) } }
        });
        outcome.await.map(|()| red.get() && ctx.is_ready())
    }

    #[tokio::test]
    async fn only_the_first_contact_gives_up_and_later_an_outage_is_waited_for_and_told() {
        let ctx = Context::new("test");
        assert!(matches!(third_time(&ctx, away).await, Err(KafkaError::Unreachable { .. })), "it was never reached");
        assert!(contact(&ctx, async || Ok(())).await.is_ok());
        assert!(third_time(&ctx, away).await.expect("it waits"), "red meanwhile, and green afterwards");
    }

    #[tokio::test]
    async fn a_topic_that_is_missing_ends_a_start_and_is_an_outage_while_running() {
        let ctx = Context::new("test");
        assert!(contact(&ctx, async || Ok(())).await.is_ok());
        assert!(matches!(third_time(&ctx, missing).await, Err(KafkaError::MissingTopic { .. })));
        ctx.started();
        assert!(third_time(&ctx, missing).await.expect("it waits"), "red meanwhile, and green afterwards");
    }

    #[tokio::test]
    async fn a_drain_ends_the_wait_for_a_topic_and_is_no_failure() {
        let ctx = Context::new("test");
        ctx.started();
        ctx.drain();
        let outcome = contact(&ctx, async || Err::<(), _>(missing())).await;
        assert!(ctx.finish(outcome).is_ok());
    }
}
