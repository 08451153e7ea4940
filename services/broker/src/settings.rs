//! The settings of topics: told, and changed one by one or as a whole. Nothing here obeys them.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse as Replaced;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse as Altered;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::routes::{Call, Engine, Serve, code};

/// That a setting was made for its topic, in Kafka's list of sources.
pub(crate) const OF_TOPIC: i8 = 1;

/// Kinds of what has settings.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Settings are text here: of the kinds that Kafka tells apart, the second.
const TEXT: i8 = 2;

impl Serve for DescribeConfigsRequest {
    type Response = DescribeConfigsResponse;

    async fn serve(self, engine: &Engine, _: &Call) -> DescribeConfigsResponse {
        let results = self.resources.into_iter().map(|resource| {
            let outcome = told(engine, &resource);
            DescribeConfigsResult::default()
                .with_error_code(code(&outcome))
                .with_error_message(outcome.as_ref().err().map(|error| StrBytes::from(error.to_string())))
                .with_configs(outcome.unwrap_or_default())
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name)
        });
        DescribeConfigsResponse::default().with_results(results.collect())
    }
}

fn told(
    engine: &Engine,
    resource: &DescribeConfigsResource,
) -> Result<Vec<DescribeConfigsResourceResult>, ResponseError> {
    let settings = match resource.resource_type {
        TOPIC => engine.topics.get(&resource.resource_name).ok_or(ResponseError::UnknownTopicOrPartition)?.settings,
        // It has none, which is no reason for a tool to fail that asks.
        BROKER => BTreeMap::new(),
        _ => return Err(ResponseError::InvalidRequest),
    };
    let wanted = |name: &str| {
        let names = resource.configuration_keys.as_ref().filter(|names| !names.is_empty());
        names.is_none_or(|names| names.iter().any(|wanted| **wanted == *name))
    };
    let wanted = settings.into_iter().filter(|(name, _)| wanted(name));
    let told = wanted.map(|(name, value)| {
        DescribeConfigsResourceResult::default()
            .with_name(name.into())
            .with_value(Some(value.into()))
            .with_config_source(OF_TOPIC)
            .with_config_type(TEXT)
    });
    Ok(told.collect())
}

/// Changes the settings of a topic: nothing else has any.
fn alter(
    engine: &Engine,
    (kind, name): (i8, &str),
    change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), ResponseError>,
    only_check: bool,
) -> Result<(), ResponseError> {
    if kind == TOPIC { engine.topics.set(name, change, only_check) } else { Err(ResponseError::InvalidRequest) }
}

impl Serve for AlterConfigsRequest {
    type Response = AlterConfigsResponse;

    async fn serve(self, engine: &Engine, _: &Call) -> AlterConfigsResponse {
        let responses = self.resources.into_iter().map(|resource| {
            let given = resource
                .configs
                .iter()
                .filter_map(|config| config.value.as_ref().map(|value| (config.name.to_string(), value.to_string())));
            let replace = |settings: &mut BTreeMap<String, String>| {
                *settings = given.collect();
                Ok(())
            };
            let outcome = alter(engine, (resource.resource_type, &resource.resource_name), replace, self.validate_only);
            Replaced::default()
                .with_error_code(code(&outcome))
                .with_error_message(outcome.err().map(|error| StrBytes::from(error.to_string())))
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name)
        });
        AlterConfigsResponse::default().with_responses(responses.collect())
    }
}

impl Serve for IncrementalAlterConfigsRequest {
    type Response = IncrementalAlterConfigsResponse;

    async fn serve(self, engine: &Engine, _: &Call) -> IncrementalAlterConfigsResponse {
        let responses = self.resources.into_iter().map(|resource| {
            let change = |settings: &mut BTreeMap<String, String>| {
                resource.configs.iter().try_for_each(|one| step(settings, one))
            };
            let outcome = alter(engine, (resource.resource_type, &resource.resource_name), change, self.validate_only);
            Altered::default()
                .with_error_code(code(&outcome))
                .with_error_message(outcome.err().map(|error| StrBytes::from(error.to_string())))
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name)
        });
        IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
    }
}

/// Sets (0), removes (1), or adds to (2) or takes from (3) a list.
fn step(settings: &mut BTreeMap<String, String>, config: &AlterableConfig) -> Result<(), ResponseError> {
    let name = config.name.to_string();
    let value = config.value.as_ref().ok_or(ResponseError::InvalidConfig);
    let list = |settings: &BTreeMap<String, String>| -> Vec<String> {
        let words = settings.get(&name).map_or("", String::as_str).split(',');
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    match config.config_operation {
        0 => settings.insert(name, value?.to_string()),
        1 => settings.remove(&name),
        2 => {
            let mut words = list(settings);
            let known = words.clone();
            words.extend(value?.split(',').filter(|word| !known.iter().any(|known| known == word)).map(str::to_owned));
            settings.insert(name, words.join(","))
        }
        3 => {
            let (mut words, gone) = (list(settings), value?);
            words.retain(|word| !gone.split(',').any(|gone| gone == word));
            settings.insert(name, words.join(","))
        }
        _ => return Err(ResponseError::InvalidRequest),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_set_removed_and_their_lists_added_to_and_taken_from() {
        let mut settings = BTreeMap::new();
        let mut change = |operation: i8, value: Option<&str>| {
            let config = AlterableConfig::default()
                .with_name("cleanup.policy".into())
                .with_config_operation(operation)
                .with_value(value.map(|value| value.to_owned().into()));
            step(&mut settings, &config).map(|()| settings.get("cleanup.policy").cloned())
        };
        assert_eq!(change(2, Some("delete")), Ok(Some("delete".into())));
        assert_eq!(change(2, Some("compact,delete")), Ok(Some("delete,compact".into())));
        assert_eq!(change(3, Some("delete")), Ok(Some("compact".into())));
        assert_eq!(change(0, Some("delete")), Ok(Some("delete".into())));
        assert_eq!(change(0, None), Err(ResponseError::InvalidConfig));
        assert_eq!(change(4, Some("x")), Err(ResponseError::InvalidRequest));
        assert_eq!(change(1, None), Ok(None));
    }
}
