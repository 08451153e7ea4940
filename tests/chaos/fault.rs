//! The faults that a campaign draws from: what each is called, whom it strikes, and how it is done.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use tests::Name;

use crate::field::{Field, Whose};
use crate::word::Word;
use crate::{harm, senders, service_faults, stranger, word};

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    KillService(Name),
    TerminateService(Name),
    FreezeService(Name),
    KillInRebalance(Name),
    ReplaceFrozenTrainer,
    BrokerFrozen,
    BrokerKilled,
    BrokerRestarted,
    RedisFull,
    RedisReadOnly,
    RedisWithoutReplicas,
    RedisCannotSave,
    RedisBusy,
    RedisFrozen,
    RedisSlow,
    RedisFlushed,
    RedisLost,
    RedisRestored,
    RedisLoading,
    ForeignKeys,
    BadEvents,
    BadItems,
    BadInteractions,
    BadCheckpoints,
    RepeatedEvents,
    TransactionAborted,
    TransactionHanging,
    ClocksSkewed,
    PartitionAdded,
    StrangersVersion,
    VersionPinned,
    OldestPinned,
    VersionHeld,
    RolledBack,
    KilledMeanwhile(Word),
}

/// Whom a fault strikes: two that strike one target do not fall together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    Ingest,
    Trainer,
    Scorer,
    Broker,
    Redis,
    Records,
    Release,
}

/// What a fault came to.
#[derive(Debug, Default)]
pub(crate) struct Struck {
    /// How long the services that cannot work now took to say so; `None` where none had to.
    pub(crate) red_within: Option<Duration>,
    /// What was not as it must be.
    pub(crate) wrong: Vec<String>,
}

use Fault as F;
use Name::{Ingest, Scorer, Trainer};

impl Fault {
    /// Every fault.
    pub(crate) const ALL: [Self; 46] = [
        F::KillService(Ingest),
        F::KillService(Trainer),
        F::KillService(Scorer),
        F::TerminateService(Ingest),
        F::TerminateService(Trainer),
        F::TerminateService(Scorer),
        F::FreezeService(Ingest),
        F::FreezeService(Trainer),
        F::FreezeService(Scorer),
        F::KillInRebalance(Ingest),
        F::KillInRebalance(Scorer),
        F::ReplaceFrozenTrainer,
        F::BrokerFrozen,
        F::BrokerKilled,
        F::BrokerRestarted,
        F::RedisFull,
        F::RedisReadOnly,
        F::RedisWithoutReplicas,
        F::RedisCannotSave,
        F::RedisBusy,
        F::RedisFrozen,
        F::RedisSlow,
        F::RedisFlushed,
        F::RedisLost,
        F::RedisRestored,
        F::RedisLoading,
        F::ForeignKeys,
        F::BadEvents,
        F::BadItems,
        F::BadInteractions,
        F::BadCheckpoints,
        F::RepeatedEvents,
        F::TransactionAborted,
        F::TransactionHanging,
        F::ClocksSkewed,
        F::PartitionAdded,
        F::StrangersVersion,
        F::VersionPinned,
        F::OldestPinned,
        F::VersionHeld,
        F::RolledBack,
        F::KilledMeanwhile(Word::Pin),
        F::KilledMeanwhile(Word::Unpin),
        F::KilledMeanwhile(Word::Rollback),
        F::KilledMeanwhile(Word::Hold),
        F::KilledMeanwhile(Word::Resume),
    ];

    /// As it is shown and chosen.
    pub(crate) fn name(self) -> String {
        match self {
            Self::KillService(name) => format!("{name}-killed"),
            Self::TerminateService(name) => format!("{name}-terminated"),
            Self::FreezeService(name) => format!("{name}-frozen"),
            Self::KillInRebalance(name) => format!("{name}-killed-in-rebalance"),
            Self::ReplaceFrozenTrainer => "trainer-replaced-while-frozen".to_owned(),
            Self::BrokerFrozen => "broker-frozen".to_owned(),
            Self::BrokerKilled => "broker-killed".to_owned(),
            Self::BrokerRestarted => "broker-restarted".to_owned(),
            Self::RedisFull => "redis-full".to_owned(),
            Self::RedisReadOnly => "redis-read-only".to_owned(),
            Self::RedisWithoutReplicas => "redis-without-replicas".to_owned(),
            Self::RedisCannotSave => "redis-cannot-save".to_owned(),
            Self::RedisBusy => "redis-busy".to_owned(),
            Self::RedisFrozen => "redis-frozen".to_owned(),
            Self::RedisSlow => "redis-slow".to_owned(),
            Self::RedisFlushed => "redis-flushed".to_owned(),
            Self::RedisLost => "redis-lost".to_owned(),
            Self::RedisRestored => "redis-restored".to_owned(),
            Self::RedisLoading => "redis-loading".to_owned(),
            Self::ForeignKeys => "foreign-keys".to_owned(),
            Self::BadEvents => "bad-events".to_owned(),
            Self::BadItems => "bad-items".to_owned(),
            Self::BadInteractions => "bad-interactions".to_owned(),
            Self::BadCheckpoints => "bad-checkpoints".to_owned(),
            Self::RepeatedEvents => "repeated-events".to_owned(),
            Self::TransactionAborted => "transaction-aborted".to_owned(),
            Self::TransactionHanging => "transaction-hanging".to_owned(),
            Self::VersionPinned => "version-pinned".to_owned(),
            Self::VersionHeld => "version-held".to_owned(),
            Self::RolledBack => "version-rolled-back".to_owned(),
            Self::ClocksSkewed => "clocks-skewed".to_owned(),
            Self::PartitionAdded => "partition-added".to_owned(),
            Self::StrangersVersion => "strangers-version".to_owned(),
            Self::OldestPinned => "oldest-version-pinned".to_owned(),
            Self::KilledMeanwhile(word) => format!("killed-during-{}", word.as_str()),
        }
    }

    /// What is done, in a few words.
    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::KillService(_) => "SIGKILL, started again at once",
            Self::TerminateService(_) => "SIGTERM, a clean end, started again",
            Self::FreezeService(_) => "SIGSTOP beyond the session's time-out, then SIGCONT: a fenced zombie",
            Self::KillInRebalance(_) => "another joins the group; one is killed before that has settled",
            Self::ReplaceFrozenTrainer => "SIGSTOP, a second trainer takes over, SIGCONT: the first must end",
            Self::BrokerFrozen => "SIGSTOP: sockets stay open, nothing is answered",
            Self::BrokerKilled => "SIGKILL, started again",
            Self::BrokerRestarted => "stopped and started",
            Self::RedisFull => "maxmemory with noeviction: OOM",
            Self::RedisReadOnly => "a replica after a failover: READONLY",
            Self::RedisWithoutReplicas => "min-replicas-to-write: NOREPLICAS",
            Self::RedisCannotSave => "its disk is full: MISCONF",
            Self::RedisBusy => "a script that does not end: BUSY",
            Self::RedisFrozen => "SIGSTOP",
            Self::RedisSlow => "every command waits, alone for longer than a scorer does",
            Self::RedisFlushed => "FLUSHALL",
            Self::RedisLost => "killed, and back empty",
            Self::RedisRestored => "killed, and back with an older snapshot",
            Self::RedisLoading => "killed, and back with so much that it loads for a while: LOADING",
            Self::ForeignKeys => "keys of ours with another type, and keys that are not UTF-8",
            Self::BadEvents => "nonsense on events",
            Self::BadItems => "nonsense on items",
            Self::BadInteractions => "nonsense on interactions",
            Self::BadCheckpoints => "torn and forged versions, absurd claims",
            Self::RepeatedEvents => "the application sends again what was acknowledged",
            Self::TransactionAborted => "events in a transaction that is aborted",
            Self::TransactionHanging => "events in a transaction that hangs, and is committed after all",
            Self::VersionPinned => "an older version is pinned for a moment",
            Self::VersionHeld => "the newest version is held for a moment",
            Self::RolledBack => "an operator goes back to the newest snapshot but one",
            Self::ClocksSkewed => "senders an hour behind, nearly one ahead, and two: these are dead letters",
            Self::PartitionAdded => "interactions and events get one more, up to eight",
            Self::StrangersVersion => "a sound version by a stranger, unsigned and signed; only with --signed",
            Self::OldestPinned => "the oldest version that there is, which may know nothing, is pinned for a moment",
            Self::KilledMeanwhile(_) => "scorers and the trainer are killed while an operator says this; it stands",
        }
    }

    /// Whom it strikes.
    pub(crate) const fn targets(self) -> &'static [Target] {
        match self {
            Self::KillService(name)
            | Self::TerminateService(name)
            | Self::FreezeService(name)
            | Self::KillInRebalance(name) => match name {
                Name::Ingest => &[Target::Ingest],
                Name::Trainer => &[Target::Trainer],
                _ => &[Target::Scorer],
            },
            Self::ReplaceFrozenTrainer => &[Target::Trainer],
            Self::BrokerFrozen | Self::BrokerKilled | Self::BrokerRestarted => &[Target::Broker],
            Self::RedisFull
            | Self::RedisReadOnly
            | Self::RedisWithoutReplicas
            | Self::RedisCannotSave
            | Self::RedisBusy
            | Self::RedisFrozen
            | Self::RedisSlow
            | Self::RedisFlushed
            | Self::RedisLost
            | Self::RedisRestored
            | Self::RedisLoading => &[Target::Redis],
            Self::ForeignKeys
            | Self::BadEvents
            | Self::BadItems
            | Self::BadInteractions
            | Self::BadCheckpoints
            | Self::RepeatedEvents
            | Self::TransactionAborted
            | Self::TransactionHanging
            | Self::ClocksSkewed
            | Self::PartitionAdded
            | Self::StrangersVersion => &[Target::Records],
            Self::VersionPinned | Self::OldestPinned | Self::VersionHeld | Self::RolledBack => &[Target::Release],
            Self::KilledMeanwhile(_) => &[Target::Release, Target::Scorer, Target::Trainer],
        }
    }

    /// Who must say within 15 s that it cannot work, where the fault falls alone; `None`: it is too short for that, or
    /// nobody is kept from work.
    pub(crate) const fn red(self, cluster: bool) -> Option<Whose> {
        match self {
            Self::BrokerFrozen => Some(Whose::Each(&[Name::Ingest, Name::Trainer, Name::Scorer])),
            // Of three nodes two are left.
            Self::BrokerKilled | Self::BrokerRestarted if cluster => None,
            Self::BrokerKilled | Self::BrokerRestarted => {
                Some(Whose::Each(&[Name::Ingest, Name::Trainer, Name::Scorer]))
            }
            Self::RedisFull
            | Self::RedisReadOnly
            | Self::RedisWithoutReplicas
            | Self::RedisCannotSave
            | Self::RedisBusy
            | Self::RedisFrozen
            | Self::RedisSlow
            | Self::RedisLost
            | Self::RedisRestored
            | Self::RedisLoading => Some(Whose::OneOf(&[Name::Scorer])),
            Self::TransactionHanging => Some(Whose::OneOf(&[Name::Ingest])),
            _ => None,
        }
    }

    /// Lets it fall, and heals it.
    pub(crate) async fn strike(self, field: &Field, chance: &mut ChaCha8Rng, alone: bool) -> Struck {
        match self {
            Self::KillService(name) => service_faults::kill(field, name, chance).await,
            Self::TerminateService(name) => service_faults::terminate(field, name, chance).await,
            Self::FreezeService(name) => service_faults::freeze(field, name, chance).await,
            Self::KillInRebalance(name) => service_faults::kill_in_rebalance(field, name, chance).await,
            Self::ReplaceFrozenTrainer => service_faults::replace_frozen_trainer(field).await,
            Self::BrokerFrozen | Self::BrokerKilled | Self::BrokerRestarted => {
                harm::broker(field, self, chance, alone).await
            }
            Self::TransactionAborted | Self::TransactionHanging => harm::transaction(field, self, chance, alone).await,
            Self::ClocksSkewed => senders::skewed_clocks(field, chance).await,
            Self::PartitionAdded => senders::added_partition(field).await,
            Self::StrangersVersion => stranger::version(field, chance, alone).await,
            Self::VersionPinned | Self::OldestPinned | Self::VersionHeld | Self::RolledBack => {
                word::release(field, self, chance).await
            }
            Self::KilledMeanwhile(word) => word::killed_meanwhile(field, word, chance).await,
            _ if self.targets() == [Target::Redis] => harm::redis(field, self, chance, alone).await,
            _ => harm::records(field, self, chance).await,
        }
    }
}
