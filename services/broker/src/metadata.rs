//! What clients ask before anything else: who the brokers are, which topics there are, who coordinates a group.

use std::net::SocketAddr;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, DescribeClusterRequest, DescribeClusterResponse, DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse, FindCoordinatorRequest, FindCoordinatorResponse, InitProducerIdRequest,
    InitProducerIdResponse, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, MetadataRequest,
    MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::routes::{Call, Engine, Serve};
use crate::topics::Found;

/// The only broker there is: leader of every partition, coordinator of every group.
const NODE: BrokerId = BrokerId(111);
const CLUSTER: &str = "thalweg";

/// The kind of a consumer group among those that have a coordinator; transactions are another.
const GROUP: i8 = 0;

/// What who wants transactions is told: of all errors the one upon which every client gives up at once.
const NOBODY_MAY: ResponseError = ResponseError::TransactionalIdAuthorizationFailed;

fn host(addr: SocketAddr) -> StrBytes {
    addr.ip().to_string().into()
}

fn port(addr: SocketAddr) -> i32 {
    addr.port().into()
}

/// An error, or that there is none.
fn code_of(error: Option<ResponseError>) -> i16 {
    error.map_or(0, |error| error.code())
}

impl Serve for MetadataRequest {
    type Response = MetadataResponse;

    async fn serve(self, engine: &Engine, call: &Call) -> MetadataResponse {
        let topics = &engine.topics;
        let every = || topics.all().into_iter().map(|(name, found)| described(Some(name), Ok(found)));
        let topics = match self.topics {
            None => every().collect(),
            // Until version 1 an empty list meant all.
            Some(wanted) if wanted.is_empty() && call.version == 0 => every().collect(),
            Some(wanted) => {
                let found = wanted.into_iter().map(|topic| match topic.name {
                    Some(name) => {
                        let found = topics.named(&name).ok_or(ResponseError::UnknownTopicOrPartition);
                        described(Some(name.to_string()), found)
                    }
                    None => match topics.name_of(topic.topic_id) {
                        Some((name, found)) => described(Some(name), Ok(found)),
                        None => described(None, Err(ResponseError::UnknownTopicId)).with_topic_id(topic.topic_id),
                    },
                });
                found.collect()
            }
        };
        let broker = MetadataResponseBroker::default()
            .with_node_id(NODE)
            .with_host(host(engine.addr))
            .with_port(port(engine.addr));
        MetadataResponse::default()
            .with_brokers(vec![broker])
            .with_cluster_id(Some(CLUSTER.into()))
            .with_controller_id(NODE)
            .with_topics(topics)
    }
}

fn described(name: Option<String>, found: Result<Found, ResponseError>) -> MetadataResponseTopic {
    let partitions = (0..found.map_or(0, |found| found.partitions)).map(|partition| {
        MetadataResponsePartition::default()
            .with_partition_index(partition)
            .with_leader_id(NODE)
            .with_leader_epoch(0)
            .with_replica_nodes(vec![NODE])
            .with_isr_nodes(vec![NODE])
    });
    MetadataResponseTopic::default()
        .with_error_code(code_of(found.err()))
        .with_name(name.map(|name| TopicName(name.into())))
        .with_topic_id(found.map_or(Uuid::nil(), |found| found.id))
        .with_partitions(partitions.collect())
}

impl Serve for DescribeTopicPartitionsRequest {
    type Response = DescribeTopicPartitionsResponse;

    async fn serve(self, engine: &Engine, _: &Call) -> DescribeTopicPartitionsResponse {
        let mut names: Vec<String> = self.topics.iter().map(|topic| topic.name.to_string()).collect();
        if names.is_empty() {
            names = engine.topics.all().into_iter().map(|(name, _)| name).collect();
        }
        names.sort_unstable();
        let (from, mut first) = self
            .cursor
            .map_or((String::new(), 0), |cursor| (cursor.topic_name.to_string(), cursor.partition_index.max(0)));
        let mut room = self.response_partition_limit.max(1);
        let (mut topics, mut next) = (Vec::new(), None);
        for name in names.into_iter().filter(|name| *name >= from) {
            if name != from {
                first = 0;
            }
            if room == 0 {
                next = Some(cursor(name, first));
                break;
            }
            let found = engine.topics.named(&name);
            let all = found.map_or(0, |found| found.partitions);
            let end = all.min(first.saturating_add(room));
            room -= (end - first).max(0);
            topics.push(partitions(&name, found, first..end));
            if end < all {
                next = Some(cursor(name, end));
                break;
            }
        }
        DescribeTopicPartitionsResponse::default().with_topics(topics).with_next_cursor(next)
    }
}

fn cursor(topic: String, partition: i32) -> Cursor {
    Cursor::default().with_topic_name(TopicName(topic.into())).with_partition_index(partition)
}

fn partitions(name: &str, found: Option<Found>, range: std::ops::Range<i32>) -> DescribeTopicPartitionsResponseTopic {
    let partitions = range.map(|partition| {
        DescribeTopicPartitionsResponsePartition::default()
            .with_partition_index(partition)
            .with_leader_id(NODE)
            .with_leader_epoch(0)
            .with_replica_nodes(vec![NODE])
            .with_isr_nodes(vec![NODE])
            // Kafka's client in Java takes no null here.
            .with_eligible_leader_replicas(Some(Vec::new()))
            .with_last_known_elr(Some(Vec::new()))
    });
    let missing = found.is_none().then_some(ResponseError::UnknownTopicOrPartition);
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(code_of(missing))
        .with_name(Some(TopicName(name.to_owned().into())))
        .with_topic_id(found.map_or(Uuid::nil(), |found| found.id))
        .with_partitions(partitions.collect())
}

impl Serve for DescribeClusterRequest {
    type Response = DescribeClusterResponse;

    async fn serve(self, engine: &Engine, _: &Call) -> DescribeClusterResponse {
        let broker = DescribeClusterBroker::default()
            .with_broker_id(NODE)
            .with_host(host(engine.addr))
            .with_port(port(engine.addr));
        DescribeClusterResponse::default()
            .with_cluster_id(CLUSTER.into())
            .with_controller_id(NODE)
            .with_brokers(vec![broker])
    }
}

impl Serve for FindCoordinatorRequest {
    type Response = FindCoordinatorResponse;

    async fn serve(self, engine: &Engine, call: &Call) -> FindCoordinatorResponse {
        let (error, message) = if self.key_type == GROUP {
            (0, None)
        } else {
            (
                NOBODY_MAY.code(),
                Some("the embedded broker has no transactions: it coordinates consumer groups only".into()),
            )
        };
        let (host, port) = (host(engine.addr), port(engine.addr));
        if call.version < 4 {
            return FindCoordinatorResponse::default()
                .with_error_code(error)
                .with_error_message(message)
                .with_node_id(NODE)
                .with_host(host)
                .with_port(port);
        }
        let coordinators = self.coordinator_keys.into_iter().map(|key| {
            Coordinator::default()
                .with_key(key)
                .with_error_code(error)
                .with_error_message(message.clone())
                .with_node_id(NODE)
                .with_host(host.clone())
                .with_port(port)
        });
        FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
    }
}

impl Serve for InitProducerIdRequest {
    type Response = InitProducerIdResponse;

    async fn serve(self, engine: &Engine, _: &Call) -> InitProducerIdResponse {
        if self.transactional_id.is_some() {
            return InitProducerIdResponse::default()
                .with_error_code(NOBODY_MAY.code())
                .with_producer_id((-1).into())
                .with_producer_epoch(-1);
        }
        InitProducerIdResponse::default().with_producer_id(engine.next_producer().into()).with_producer_epoch(0)
    }
}

impl Serve for ListPartitionReassignmentsRequest {
    type Response = ListPartitionReassignmentsResponse;

    /// There is nowhere to move to; `kafka-topics --describe` asks.
    async fn serve(self, _: &Engine, _: &Call) -> ListPartitionReassignmentsResponse {
        ListPartitionReassignmentsResponse::default()
    }
}
