//! What can be wrong with the section `[kafka]` of a configuration.

use super::client::{refused_properties, reserved_properties};
use crate::config::{Kafka, Require, Validate};

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
        if self.signatures.require_signature == Require::Yes && self.signatures.trust.is_empty() {
            let advice = "or leave require_signature \"auto\"";
            problems.push(format!("kafka.trust: name the keys whose signatures count (`thalweg keys show`), {advice}"));
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
    use crate::config::Signatures;

    fn kafka(brokers: &str, properties: BTreeMap<String, String>) -> Kafka {
        let signatures = Signatures::default();
        Kafka { brokers: brokers.into(), topic_prefix: String::new(), properties, signatures }
    }

    #[test]
    fn signatures_are_asked_for_as_soon_as_a_key_is_trusted_and_never_without_one() {
        let problems = |trust: &[&str], require_signature| {
            let trust = trust.iter().map(|key| (*key).to_owned()).collect();
            let signatures = Signatures { trust, require_signature };
            (signatures.required(), Kafka { signatures, ..kafka("b:9092", BTreeMap::new()) }.problems().len())
        };
        assert_eq!(problems(&[], Require::Auto), (false, 0));
        assert_eq!(problems(&["a key"], Require::Auto), (true, 0));
        assert_eq!(problems(&["a key"], Require::No), (false, 0));
        assert_eq!(problems(&[], Require::Yes), (true, 1));
    }

    #[test]
    fn a_broker_without_a_port_is_a_problem() {
        let kafka = |brokers: &str| kafka(brokers, BTreeMap::new());
        assert!(kafka("a:9092, b:9093").problems().is_empty());
        assert_eq!(kafka("a:9092,b").problems().len(), 1);
        assert_eq!(kafka("").problems().len(), 1);
    }

    #[test]
    fn what_librdkafka_refuses_is_a_problem_before_the_start() {
        let problems = |key: &str, value: &str| kafka("b:9092", [(key.to_owned(), value.to_owned())].into()).problems();
        assert!(problems("fetch.min.bytes", "1000").is_empty());
        for (key, value) in [("fetch.min.byte", "1000"), ("fetch.min.bytes", "many")] {
            let told = problems(key, value);
            assert!(told.len() == 1 && told[0].starts_with(&format!("kafka.properties.{key}: ")), "{told:?}");
        }
    }
}
