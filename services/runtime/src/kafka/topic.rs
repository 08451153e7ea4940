//! What Kafka says of a topic: its partitions, and the id that tells it from one of the same name made after it
//! (KIP-516).
//!
//! librdkafka knows the id, its Rust client does not show it; so librdkafka is called by hand.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};

use super::error::KafkaError;

/// A topic as a broker describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Described {
    /// Tells the lives of a topic apart: folded from Kafka's topic id; 0 where the broker knows no ids.
    pub(super) life: u32,
    /// How many partitions it has.
    pub(super) partitions: i32,
}

/// Asks for a topic; blocks for up to `wait`. `None`: there is no topic of that name now.
pub(super) fn describe<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    wait: Duration,
) -> Result<Option<Described>, KafkaError> {
    let failed = |code: Code| KafkaError::of(format!("ask for topic {topic}"), ClientError::Global(code));
    let name = CString::new(topic).map_err(|_| failed(Code::InvalidArgument))?;
    let wait = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client outlives the call, for it is borrowed. Each object made here is destroyed here, once, after
    // its last use: a description lives as long as its event, and `read` copies out of it. librdkafka copies the names
    // and the options; a request still running when the queue is destroyed is answered into nothing.
    let answer = unsafe {
        let client = client.native_ptr();
        let queue = rd::rd_kafka_queue_new(client);
        let options = rd::rd_kafka_AdminOptions_new(client, rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        rd::rd_kafka_AdminOptions_set_request_timeout(options, wait, std::ptr::null_mut(), 0);
        let mut names = [name.as_ptr()];
        let topics = rd::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        rd::rd_kafka_DescribeTopics(client, topics, options, queue);
        let event = rd::rd_kafka_queue_poll(queue, wait);
        let answer = if event.is_null() { Err(Code::OperationTimedOut) } else { read(event) };
        if !event.is_null() {
            rd::rd_kafka_event_destroy(event);
        }
        rd::rd_kafka_TopicCollection_destroy(topics);
        rd::rd_kafka_AdminOptions_destroy(options);
        rd::rd_kafka_queue_destroy(queue);
        answer
    };
    match answer {
        Ok(described) => Ok(Some(described)),
        Err(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownTopicId) => Ok(None),
        Err(code) => Err(failed(code)),
    }
}

/// Reads the only description of an answer.
///
/// # Safety
/// `event` is an answer to `rd_kafka_DescribeTopics` that was not destroyed.
unsafe fn read(event: *mut rd::rd_kafka_event_t) -> Result<Described, Code> {
    // SAFETY: as the caller promises; every pointer is looked at before it is followed, and none outlives the event.
    unsafe {
        let error = rd::rd_kafka_event_error(event);
        if error != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(error.into());
        }
        let result = rd::rd_kafka_event_DescribeTopics_result(event);
        let mut count = 0;
        let described = rd::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if described.is_null() || count == 0 {
            return Err(Code::UnknownTopicOrPartition);
        }
        let topic = *described;
        let error = rd::rd_kafka_error_code(rd::rd_kafka_TopicDescription_error(topic));
        if error != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(error.into());
        }
        let mut partitions = 0;
        rd::rd_kafka_TopicDescription_partitions(topic, &raw mut partitions);
        let id = rd::rd_kafka_TopicDescription_topic_id(topic);
        let life = if id.is_null() {
            0
        } else {
            let high = rd::rd_kafka_Uuid_most_significant_bits(id);
            fold(high, rd::rd_kafka_Uuid_least_significant_bits(id))
        };
        Ok(Described { life, partitions: i32::try_from(partitions).unwrap_or(i32::MAX) })
    }
}

/// An id of 128 bits, most of them random, in 32; 0 only for the id that says that there is none.
fn fold(high: i64, low: i64) -> u32 {
    let bits = (high ^ low).cast_unsigned();
    let folded = (bits >> 32) as u32 ^ bits as u32;
    if (high, low) == (0, 0) { 0 } else { folded.max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_no_id_is_no_life() {
        assert_eq!(fold(0, 0), 0);
        assert_eq!(fold(7, 7), 1);
        assert_ne!(fold(0x1234_5678_9abc_4def, -1), fold(0x1234_5678_9abc_4dee, -1));
    }
}
