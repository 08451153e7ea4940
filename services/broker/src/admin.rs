//! What an operator does to topics: create, delete, give more partitions, delete records.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse, DeleteRecordsRequest,
    DeleteRecordsResponse, DeleteTopicsRequest, DeleteTopicsResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::routes::{Call, Engine, Serve, code};
use crate::settings::OF_TOPIC;
use crate::topics::{Found, Topics};

/// Partitions and copies of a topic whose creator leaves it to the broker.
const DEFAULT: i32 = 1;

impl Serve for CreateTopicsRequest {
    type Response = CreateTopicsResponse;

    async fn serve(self, engine: &Engine, call: &Call) -> CreateTopicsResponse {
        let created = self.topics.into_iter().map(|topic| {
            let outcome = create(&engine.topics, &topic, self.validate_only);
            let result = CreatableTopicResult::default()
                .with_error_code(code(&outcome))
                .with_error_message(outcome.as_ref().err().map(|error| StrBytes::from(explain(*error))));
            let result = match outcome {
                // What was made is told since version 5; nobody is kept from knowing it.
                Ok(found) if call.version >= 5 => result
                    .with_topic_id(found.id)
                    .with_num_partitions(found.partitions)
                    .with_replication_factor(1)
                    .with_configs(Some(
                        topic
                            .configs
                            .iter()
                            .map(|config| {
                                CreatableTopicConfigs::default()
                                    .with_name(config.name.clone())
                                    .with_value(config.value.clone())
                                    .with_config_source(OF_TOPIC)
                            })
                            .collect(),
                    )),
                _ => result,
            };
            result.with_name(topic.name)
        });
        CreateTopicsResponse::default().with_topics(created.collect())
    }
}

fn create(topics: &Topics, topic: &CreatableTopic, only_check: bool) -> Result<Found, ResponseError> {
    // -1 leaves it to the broker; there is one broker, for one copy.
    if !matches!(topic.replication_factor, -1 | 1) || topic.assignments.iter().any(|one| one.broker_ids.len() != 1) {
        return Err(ResponseError::InvalidReplicationFactor);
    }
    let partitions = match topic.num_partitions {
        -1 if topic.assignments.is_empty() => DEFAULT,
        -1 => i32::try_from(topic.assignments.len()).unwrap_or(i32::MAX),
        given => given,
    };
    let settings = topic
        .configs
        .iter()
        .filter_map(|config| config.value.as_ref().map(|value| (config.name.to_string(), value.to_string())));
    topics.create(&topic.name, partitions, settings.collect::<BTreeMap<_, _>>(), only_check)
}

/// For who reads it in a client's log.
fn explain(error: ResponseError) -> String {
    match error {
        ResponseError::InvalidReplicationFactor => {
            "the embedded broker is alone and keeps one copy: ask for a replication factor of 1".to_owned()
        }
        other => other.to_string(),
    }
}

impl Serve for DeleteTopicsRequest {
    type Response = DeleteTopicsResponse;

    async fn serve(self, engine: &Engine, _: &Call) -> DeleteTopicsResponse {
        let delete = |name: &str| {
            let outcome = engine.topics.delete(name);
            if let Ok(found) = outcome {
                engine.log.forget(found.id);
            }
            let result = DeletableTopicResult::default().with_name(Some(TopicName(name.to_owned().into())));
            result.with_error_code(code(&outcome)).with_topic_id(outcome.map_or_else(|_| Default::default(), |f| f.id))
        };
        // By name until version 5, by name or id since.
        let named = self.topic_names.iter().map(|name| delete(name));
        let stated = self.topics.iter().map(|topic| match (&topic.name, engine.topics.name_of(topic.topic_id)) {
            (Some(name), _) => delete(name),
            (None, Some((name, _))) => delete(&name),
            (None, None) => DeletableTopicResult::default()
                .with_name(None)
                .with_topic_id(topic.topic_id)
                .with_error_code(ResponseError::UnknownTopicId.code()),
        });
        DeleteTopicsResponse::default().with_responses(named.chain(stated).collect())
    }
}

impl Serve for CreatePartitionsRequest {
    type Response = CreatePartitionsResponse;

    async fn serve(self, engine: &Engine, _: &Call) -> CreatePartitionsResponse {
        let results = self.topics.into_iter().map(|topic| {
            let outcome = engine.topics.grow(&topic.name, topic.count, self.validate_only);
            CreatePartitionsTopicResult::default()
                .with_error_code(code(&outcome))
                .with_error_message(outcome.err().map(|error| StrBytes::from(error.to_string())))
                .with_name(topic.name)
        });
        CreatePartitionsResponse::default().with_results(results.collect())
    }
}

impl Serve for DeleteRecordsRequest {
    type Response = DeleteRecordsResponse;

    async fn serve(self, engine: &Engine, _: &Call) -> DeleteRecordsResponse {
        let topics = self.topics.into_iter().map(|topic| {
            let found = engine.topics.named(&topic.name);
            let partitions = topic.partitions.iter().map(|wanted| {
                let outcome = found
                    .filter(|found| found.has(wanted.partition_index))
                    .ok_or(ResponseError::UnknownTopicOrPartition)
                    .and_then(|found| engine.log.delete_before((found.id, wanted.partition_index), wanted.offset));
                DeleteRecordsPartitionResult::default()
                    .with_partition_index(wanted.partition_index)
                    .with_error_code(code(&outcome))
                    .with_low_watermark(outcome.unwrap_or(-1))
            });
            DeleteRecordsTopicResult::default().with_partitions(partitions.collect()).with_name(topic.name)
        });
        DeleteRecordsResponse::default().with_topics(topics.collect())
    }
}
