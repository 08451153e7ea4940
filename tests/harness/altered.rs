//! What an operator alters on a Kafka that runs: settings of a topic, and who may write to it.
//!
//! The client library has no call for rights, and Kafka's jars no tool; the requests are two short ones.

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use schemas::Topic;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::World;

/// Numbers of Kafka's protocol: requests, and what a right is about.
const CREATE_ACLS: i16 = 30;
const DELETE_ACLS: i16 = 31;
const VERSION: i16 = 1;
const TOPIC: u8 = 2;
const LITERAL: u8 = 3;
const ANY: u8 = 1;
const ALL: u8 = 2;
const WRITE: u8 = 4;
const DENY: u8 = 2;
const ALLOW: u8 = 3;

/// Who everybody is without a password.
const EVERYBODY: &str = "User:ANONYMOUS";

impl World {
    /// Gives a topic the settings of the contract, with these over them.
    ///
    /// # Panics
    /// When Kafka does not.
    pub async fn alter(&self, topic: Topic, settings: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.kafka.brokers).create().expect("the settings are good");
        let name = self.topics.name(topic);
        let mut altered = AlterConfig::new(ResourceSpecifier::Topic(&name));
        for (key, value) in topic.settings() {
            if settings.iter().all(|(other, _)| other != key) {
                altered = altered.set(key, value);
            }
        }
        for (key, value) in settings {
            altered = altered.set(key, value);
        }
        let answers = admin.alter_configs(&[altered], &AdminOptions::new()).await.expect("Kafka answers");
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }

    /// From now on nobody may write to a topic, in a world with [`rights`](crate::Servers::rights).
    ///
    /// # Panics
    /// When Kafka does not take it.
    pub async fn forbid_writing(&self, topic: Topic) {
        let name = self.topics.name(topic);
        let mut body = Vec::new();
        // Where something is said of a topic, what is not allowed is forbidden; and what is forbidden comes first.
        count(&mut body, 2);
        for (what, permission) in [(ALL, ALLOW), (WRITE, DENY)] {
            body.push(TOPIC);
            text(&mut body, &name);
            body.push(LITERAL);
            text(&mut body, EVERYBODY);
            text(&mut body, "*");
            body.extend([what, permission]);
        }
        self.ask(CREATE_ACLS, &body).await;
    }

    /// Takes back what was said of a topic.
    ///
    /// # Panics
    /// When Kafka does not take it.
    pub async fn permit_writing(&self, topic: Topic) {
        let mut body = Vec::new();
        count(&mut body, 1);
        body.push(TOPIC);
        text(&mut body, &self.topics.name(topic));
        body.push(LITERAL);
        body.extend(NOTHING); // whomever
        body.extend(NOTHING); // from wherever
        body.extend([ANY, ANY]);
        self.ask(DELETE_ACLS, &body).await;
    }

    /// Sends a request, whose answer begins with a time and results, each of which begins with an error's number.
    async fn ask(&self, request: i16, body: &[u8]) {
        let mut message = Vec::new();
        message.extend(request.to_be_bytes());
        message.extend(VERSION.to_be_bytes());
        message.extend(1_i32.to_be_bytes());
        text(&mut message, "tests");
        message.extend(body);
        let mut stream = TcpStream::connect(&self.kafka.brokers).await.expect("Kafka listens");
        let length = i32::try_from(message.len()).expect("a short request");
        stream.write_all(&length.to_be_bytes()).await.expect("it is sent");
        stream.write_all(&message).await.expect("it is sent");
        let length = stream.read_i32().await.expect("Kafka answers");
        let mut answer = vec![0; usize::try_from(length).expect("a length")];
        stream.read_exact(&mut answer).await.expect("Kafka answers");
        // The request's number, the throttle time, the count of results, and the first of them.
        let error = answer.get(12..14).map(|bytes| i16::from_be_bytes([bytes[0], bytes[1]]));
        assert_eq!(error, Some(0), "request {request}: {answer:?}");
    }
}

/// No text.
const NOTHING: [u8; 2] = (-1_i16).to_be_bytes();

fn count(bytes: &mut Vec<u8>, number: i32) {
    bytes.extend(number.to_be_bytes());
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(i16::try_from(text.len()).expect("a short text").to_be_bytes());
    bytes.extend(text.as_bytes());
}
