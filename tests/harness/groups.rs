//! Consumer groups as operators' tools see them: state and members.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::world::World;

/// The longest question.
const QUESTION: Duration = Duration::from_secs(5);

/// A group, as `kafka-consumer-groups --describe` shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// `Stable`, `Empty`, …
    pub state: String,
    /// Its members.
    pub members: Vec<Member>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What it calls itself.
    pub client_id: String,
    /// Where it is.
    pub host: String,
    /// Its partitions, as Kafka encodes them.
    pub assignment: Vec<u8>,
}

impl Member {
    /// Whether it was given partitions of a topic.
    #[must_use]
    pub fn has(&self, topic: &str) -> bool {
        self.assignment.windows(topic.len()).any(|bytes| bytes == topic.as_bytes())
    }
}

impl World {
    /// What the broker says of a group.
    ///
    /// # Errors
    /// It says nothing.
    pub async fn group(&self, name: &str) -> Result<Group, String> {
        let (brokers, name) = (self.kafka.brokers.clone(), name.to_owned());
        let ask = move || {
            let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
            client.fetch_group_list(Some(&name), QUESTION).map(|list| {
                let found = list.groups().iter().find(|group| group.name() == name);
                found.map_or_else(Group::default, |group| Group {
                    state: group.state().to_owned(),
                    members: group.members().iter().map(member).collect(),
                })
            })
        };
        let answer = tokio::task::spawn_blocking(ask).await.expect("no panic");
        answer.map_err(|error| error.to_string())
    }
}

fn member(member: &rdkafka::groups::GroupMemberInfo) -> Member {
    Member {
        client_id: member.client_id().to_owned(),
        host: member.client_host().to_owned(),
        assignment: member.assignment().unwrap_or_default().to_vec(),
    }
}
