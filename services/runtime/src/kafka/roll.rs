//! How many members a group has, asked of the broker that coordinates it: whoever waits for its place to become vacant
//! looks here, and joins nothing.
//!
//! librdkafka can ask one group's coordinator; its Rust client asks every broker, and has no answer while one of them
//! is away. So librdkafka is called by hand, as for a topic's id.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::bindings as rd;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};

use super::client::{Role, blocking, settings};
use super::error::KafkaError;
use super::link::Quiet;
use crate::config;

/// The longest question.
const QUESTION: Duration = Duration::from_secs(2);

/// Asks who attends a group.
pub struct Roll {
    group: String,
    client: Arc<AdminClient<Quiet>>,
}

impl Roll {
    /// Asks for this group, as the service of this name.
    ///
    /// # Errors
    /// librdkafka refuses a setting.
    pub fn open(config: &config::Kafka, service: &str, group: &str) -> Result<Self, KafkaError> {
        let client = settings(config, service, Role::Admin).create_with_context(Quiet).map_err(KafkaError::Settings)?;
        Ok(Self { group: group.to_owned(), client: Arc::new(client) })
    }

    /// How many members the group has; 0 where there is no such group. Takes two seconds at most.
    ///
    /// # Errors
    /// The coordinator does not answer, or refuses.
    pub async fn members(&self) -> Result<usize, KafkaError> {
        let (client, group) = (Arc::clone(&self.client), self.group.clone());
        blocking("ask who is in a group", move || {
            let failed = |code| KafkaError::of(format!("ask who is in group {group}"), ClientError::Global(code));
            match count(client.inner(), &group) {
                Err(Code::GroupIdNotFound) => Ok(0),
                answer => answer.map_err(failed),
            }
        })
        .await
    }
}

impl fmt::Debug for Roll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roll").field("group", &self.group).finish_non_exhaustive()
    }
}

/// Asks; blocks for up to [`QUESTION`].
fn count<C: ClientContext>(client: &Client<C>, group: &str) -> Result<usize, Code> {
    let name = CString::new(group).map_err(|_| Code::InvalidArgument)?;
    let wait = i32::try_from(QUESTION.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client outlives the call, for it is borrowed. Each object made here is destroyed here, once, after
    // its last use: a description lives as long as its event, and `read` copies out of it. librdkafka copies the names
    // and the options; a request still running when the queue is destroyed is answered into nothing.
    unsafe {
        let client = client.native_ptr();
        let queue = rd::rd_kafka_queue_new(client);
        let asked = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
        let options = rd::rd_kafka_AdminOptions_new(client, asked);
        rd::rd_kafka_AdminOptions_set_request_timeout(options, wait, std::ptr::null_mut(), 0);
        let mut names = [name.as_ptr()];
        rd::rd_kafka_DescribeConsumerGroups(client, names.as_mut_ptr(), names.len(), options, queue);
        let event = rd::rd_kafka_queue_poll(queue, wait);
        let answer = if event.is_null() { Err(Code::OperationTimedOut) } else { read(event) };
        if !event.is_null() {
            rd::rd_kafka_event_destroy(event);
        }
        rd::rd_kafka_AdminOptions_destroy(options);
        rd::rd_kafka_queue_destroy(queue);
        answer
    }
}

/// Reads the only description of an answer.
///
/// # Safety
/// `event` is an answer to `rd_kafka_DescribeConsumerGroups` that was not destroyed.
unsafe fn read(event: *mut rd::rd_kafka_event_t) -> Result<usize, Code> {
    // SAFETY: as the caller promises; every pointer is looked at before it is followed, and none outlives the event.
    unsafe {
        let error = rd::rd_kafka_event_error(event);
        if error != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(error.into());
        }
        let result = rd::rd_kafka_event_DescribeConsumerGroups_result(event);
        let mut found = 0;
        let groups = rd::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut found);
        if groups.is_null() || found == 0 {
            return Err(Code::GroupIdNotFound);
        }
        let group = *groups;
        let error = rd::rd_kafka_error_code(rd::rd_kafka_ConsumerGroupDescription_error(group));
        if error != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(error.into());
        }
        Ok(rd::rd_kafka_ConsumerGroupDescription_member_count(group))
    }
}
