//! What can go wrong with the log, in words that say what to change.

use rdkafka::error::{KafkaError as Client, RDKafkaErrorCode as Code};

use crate::context::Outage;

/// A failure of Kafka that waiting does not mend.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant says what its fields are")]
pub enum KafkaError {
    /// No broker could be reached when the service started.
    #[error("no Kafka broker answers at {brokers}; start one or set kafka.brokers")]
    Unreachable { brokers: String },
    /// A topic is missing.
    #[error(
        "topic {topic} does not exist; create it with `thalweg topics apply`, with the same --topic-prefix if there is one"
    )]
    MissingTopic { topic: String },
    /// A record was for a partition that the topic does not have.
    #[error(
        "topic {topic} has no partition for what comes from the same partition of its twin: interactions must have as many \
         as events; add partitions to {topic} by `thalweg topics partitions N`"
    )]
    MissingPartition { topic: String },
    /// A topic has fewer partitions than the one that its partitions are written from.
    #[error(
        "topics {from} and {to} have {from_partitions} and {to_partitions} partitions; {to} must have as many or more: \
         add partitions to it by `thalweg topics partitions N` or recreate it"
    )]
    FewerPartitions { from: String, from_partitions: usize, to: String, to_partitions: usize },
    /// More copies are asked for than there are brokers.
    #[error(
        "topic {topic} shall have {copies} copies and there are {brokers} brokers; start more, or ask for fewer by \
         --replication-factor"
    )]
    TooFewBrokers { topic: String, copies: usize, brokers: usize },
    /// Partitions cannot be taken away.
    #[error(
        "topic {topic} has {found} partitions, more than {wanted}; Kafka takes none away: ask for at least {found}"
    )]
    MorePartitions { topic: String, found: usize, wanted: usize },
    /// librdkafka refuses a setting.
    #[error("librdkafka refuses the settings; correct kafka.properties or kafka.brokers")]
    Settings(#[source] Client),
    /// The topic's own settings refuse the record.
    #[error(
        "topic {topic} refuses records (InvalidRecord): set its cleanup.policy to delete if it holds compact, for they have \
         no keys, and take off limits on message.timestamp (`thalweg topics check` names settings that are not as they \
         should be)"
    )]
    Invalid { topic: String },
    /// The service may not do it.
    #[error("Kafka does not allow to {what}; give the service's user the right to {}", right(source))]
    Denied { what: String, source: Client },
    /// A record is bigger than the topic takes.
    #[error(
        "a record of {bytes} bytes is too big for topic {topic}; raise its max.message.bytes and the client's message.max.bytes, or send less"
    )]
    TooBig { topic: String, bytes: usize },
    /// The service is draining and its grace is over.
    #[error("gave up to {what}: the service is draining; what was not committed is done after the restart")]
    Draining { what: String },
    /// Anything else.
    #[error("cannot {what}")]
    Failed { what: String, source: Client },
}

impl KafkaError {
    /// Names what was tried, and sorts out what an operator can mend.
    pub(super) fn of(what: impl Into<String>, source: Client) -> Self {
        let what = what.into();
        if is_denied(&source) { Self::Denied { what, source } } else { Self::Failed { what, source } }
    }

    /// Whether somebody else may mend it while we run: a right, a topic, a partition that is missing, a topic that
    /// takes no record of that size. Nothing is wrong with what was asked for.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Denied { .. }
                | Self::MissingTopic { .. }
                | Self::MissingPartition { .. }
                | Self::FewerPartitions { .. }
                | Self::TooBig { .. }
                | Self::Invalid { .. }
        )
    }

    /// A call off the async threads did not come back.
    pub(super) fn interrupted(what: impl Into<String>) -> Self {
        Self::Failed { what: what.into(), source: Client::Canceled }
    }
}

/// The right that is missing, as Kafka's ACLs have it.
fn right(error: &Client) -> &'static str {
    match error.rdkafka_error_code() {
        Some(Code::GroupAuthorizationFailed) => "(READ on the group)",
        Some(Code::TopicAuthorizationFailed) => "(READ on topics that it reads, WRITE on those that it writes)",
        Some(Code::ClusterAuthorizationFailed) => "(on the cluster: IDEMPOTENT_WRITE to write, CREATE to make topics)",
        _ => "(see its name and password in kafka.properties)",
    }
}

impl Outage for KafkaError {
    fn is_outage(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Failed { .. } | Self::Draining { .. })
    }
}

/// Whether waiting mends it: the broker or its coordinator is away, too slow, or does not know yet who leads. All that
/// the protocol calls retriable, but for topics that are not there (callers tell those from one that is just being
/// made).
pub(super) fn is_outage(error: &Client) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::Resolve
                | Code::OperationTimedOut
                | Code::MessageTimedOut
                | Code::RequestTimedOut
                | Code::WaitingForCoordinator
                | Code::CoordinatorLoadInProgress
                | Code::CoordinatorNotAvailable
                | Code::NotCoordinator
                | Code::BrokerNotAvailable
                | Code::ReplicaNotAvailable
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
                | Code::NotEnoughReplicas
                | Code::NotEnoughReplicasAfterAppend
                | Code::NetworkException
                | Code::NotController
                | Code::KafkaStorageError
                | Code::FetchSessionIdNotFound
                | Code::InvalidFetchSessionEpoch
                | Code::ListenerNotFound
                | Code::FencedLeaderEpoch
                | Code::UnknownLeaderEpoch
                | Code::OffsetNotAvailable
                | Code::PreferredLeaderNotAvailable
                | Code::EligibleLeadersNotAvailable
                | Code::UnstableOffsetCommit
                | Code::ThrottlingQuotaExceeded
                | Code::RebootstrapRequired
                | Code::TimedOutQueue
                | Code::Retry
                | Code::InProgress
                | Code::PreviousInProgress
        )
    )
}

/// Whether there is no such topic, or a broker has not heard of it.
pub(super) fn is_missing(error: &Client) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(Code::UnknownPartition | Code::UnknownTopic | Code::UnknownTopicOrPartition)
    )
}

/// Whether the service has not the right to it.
pub(super) fn is_denied(error: &Client) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::SaslAuthenticationFailed
        )
    )
}

/// Whether a commit was refused because the partition or the membership went to somebody else.
pub(super) fn is_lost_partition(error: &Client) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::RebalanceInProgress
                | Code::IllegalGeneration
                | Code::UnknownMemberId
                | Code::StaleMemberEpoch
                | Code::FencedMemberEpoch
                | Code::FencedInstanceId
                | Code::AssignmentLost
                | Code::NoOffset
                | Code::UnknownGroup
                | Code::State
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_that_is_missing_is_named_and_somebody_else_may_mend_it() {
        for (code, right) in [
            (Code::TopicAuthorizationFailed, "WRITE on those that it writes"),
            (Code::GroupAuthorizationFailed, "READ on the group"),
            (Code::ClusterAuthorizationFailed, "IDEMPOTENT_WRITE"),
        ] {
            let error = KafkaError::of("write to topic x", Client::MessageProduction(code));
            let told = error.to_string();
            assert!(told.contains("does not allow to write to topic x") && told.contains(right), "{told}");
            assert!(error.is_refusal() && !error.is_outage(), "{told}");
        }
        assert!(!KafkaError::Unreachable { brokers: String::new() }.is_refusal());
    }

    #[test]
    fn what_the_protocol_calls_retriable_is_waited_out() {
        // https://kafka.apache.org/protocol#protocol_error_codes, without those of topics, transactions and records.
        let retriable = [5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 41, 56, 70, 71, 72, 74, 75, 78, 80, 83, 88, 89, 129];
        for code in retriable {
            let code = rdkafka::types::RDKafkaRespErr::try_from(code).expect("librdkafka knows it");
            let error = Client::OffsetFetch(Code::from(code));
            assert!(is_outage(&error), "{error}");
        }
    }
}
