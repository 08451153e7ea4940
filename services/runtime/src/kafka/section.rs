//! What can be wrong with the section `[kafka]` of a configuration.

use super::client::{refused_properties, reserved_properties};
use crate::config::{Kafka, Validate};

impl Validate for Kafka {
    fn problems(&self) -> Vec<String> {
        let named = |broker: &str| {
            broker.trim().rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        let mut problems = Vec::new();
        if !self.brokers.split(',').all(named) {
            problems.push("kafka.brokers: write host:port, several separated by commas".to_owned());
        }
        if !self.topic_prefix.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
            problems.push("kafka.topic_prefix: use only letters, digits, '.', '_' and '-'".to_owned());
        }
        problems.extend(reserved_properties(&self.properties));
        problems.extend(refused_properties(&self.properties));
        problems
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_broker_without_a_port_is_a_problem() {
        let kafka =
            |brokers: &str| Kafka { brokers: brokers.into(), topic_prefix: String::new(), properties: BTreeMap::new() };
        assert!(kafka("a:9092, b:9093").problems().is_empty());
        assert_eq!(kafka("a:9092,b").problems().len(), 1);
        assert_eq!(kafka("").problems().len(), 1);
    }

    #[test]
    fn what_librdkafka_refuses_is_a_problem_before_the_start() {
        let problems = |key: &str, value: &str| {
            let properties = [(key.to_owned(), value.to_owned())].into();
            Kafka { brokers: "b:9092".into(), topic_prefix: String::new(), properties }.problems()
        };
        assert!(problems("fetch.min.bytes", "1000").is_empty());
        for (key, value) in [("fetch.min.byte", "1000"), ("fetch.min.bytes", "many")] {
            let told = problems(key, value);
            assert!(told.len() == 1 && told[0].starts_with(&format!("kafka.properties.{key}: ")), "{told:?}");
        }
    }
}
