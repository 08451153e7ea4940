//! Ingest, trainer and scorer in this process, through the `run` that their binaries call.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::time::{Duration, Instant};

use runtime::{Context, TaskError};
use serde::de::DeserializeOwned;

use super::servers::Servers;
use crate::error::Error;

/// The running services; each has a context of its own, so that its readiness and latencies are its own.
pub(super) struct Services {
    pub(super) ingest: Context,
    pub(super) trainer: Context,
    pub(super) scorer: Context,
    root: Context,
}

/// How long the services may take to be ready.
const STARTUP: Duration = Duration::from_secs(60);

impl Services {
    pub(super) fn start(servers: &Servers, only_listed: &str) -> Result<Self, Error> {
        let grace = Duration::from_secs(20);
        let context = |name: &str| Context::with_grace(name, grace);
        let services = Self {
            ingest: context("ingest"),
            trainer: context("trainer"),
            scorer: context("scorer"),
            root: context("demo"),
        };
        let (ingest, trainer, scorer) = (services.ingest.clone(), services.trainer.clone(), services.scorer.clone());
        // A demo lives for a minute or two: show a second snapshot in that time.
        let snapshots = ("trainer.snapshot_every", "30s".to_owned());
        // Groups of its own, too: on named servers it must not meet services that run there, whatever its prefix.
        let group = |name: &str| format!("{}demo-{name}", servers.kafka.topic_prefix);
        let config = settings(ingest::DEFAULTS, servers, false, &[("ingest.group", group("ingest"))])?;
        services.root.spawn("ingest", ingest::run(config, ingest));
        let only_listed = ("model.only_listed", only_listed.to_owned());
        let of_trainer = [snapshots, only_listed, ("trainer.group", group("trainer"))];
        let config = settings(trainer::DEFAULTS, servers, false, &of_trainer)?;
        services.root.spawn("trainer", trainer::run(config, trainer));
        let config = settings(scorer::DEFAULTS, servers, true, &[("scorer.group", group("scorer"))])?;
        services.root.spawn("scorer", scorer::run(config, scorer));
        Ok(services)
    }

    pub(super) fn all(&self) -> [&Context; 3] {
        [&self.ingest, &self.trainer, &self.scorer]
    }

    /// Waits until every service says that it is ready.
    pub(super) async fn ready(&self) -> Result<(), Error> {
        let started = Instant::now();
        while !self.all().iter().all(|ctx| ctx.is_ready()) {
            if let Some(failure) = self.failure() {
                return Err(Error::Other(format!("a service ended: {}", runtime::chain(&failure))));
            }
            if started.elapsed() > STARTUP {
                return Err(Error::Other(format!("not ready after {} s: {}", STARTUP.as_secs(), self.missing())));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// What is not as it should be, in words.
    pub(super) fn missing(&self) -> String {
        let red = |ctx: &&Context| {
            let name = ctx.name().to_owned();
            ctx.readiness()
                .into_iter()
                .filter_map(move |(condition, state)| Some(format!("{name} {condition}: {}", state.err()?)))
                .collect::<Vec<_>>()
        };
        self.all().iter().flat_map(red).collect::<Vec<_>>().join("; ")
    }

    /// The first service that ended by itself.
    pub(super) fn failure(&self) -> Option<TaskError> {
        self.root.failure()
    }

    /// Drains all and waits for them.
    pub(super) async fn stop(self) -> Result<(), TaskError> {
        self.all().iter().for_each(|ctx| ctx.drain());
        self.root.drain();
        self.root.join().await?;
        for ctx in self.all() {
            ctx.join().await?;
        }
        Ok(())
    }
}

fn settings<C: DeserializeOwned + runtime::Validate>(
    defaults: &str,
    servers: &Servers,
    with_redis: bool,
    more: &[(&str, String)],
) -> Result<C, Error> {
    let mut given = vec![
        ("kafka.brokers", servers.kafka.brokers.clone()),
        ("kafka.topic_prefix", servers.kafka.topic_prefix.clone()),
        ("frame.admin.listen", String::new()),
    ];
    if with_redis {
        given.push(("redis.url", servers.redis.url.clone()));
        given.push(("redis.key_prefix", servers.redis.key_prefix.clone()));
    }
    given.extend_from_slice(more);
    Ok(runtime::config::load(defaults, None, &given, true)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn the_environment_may_hold_the_sections_of_every_service_and_no_others() {
        let headings = [ingest::DEFAULTS, trainer::DEFAULTS, scorer::DEFAULTS, crate::config::DEFAULTS].concat();
        let sections = headings.lines().filter_map(|line| line.strip_prefix('[')?.split(['.', ']']).next());
        assert_eq!(sections.collect::<BTreeSet<_>>(), runtime::config::SECTIONS.into());
    }
}
