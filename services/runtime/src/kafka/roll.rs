//! How many members a group has: whoever waits for its place to become vacant looks here, and joins nothing.
//!
//! librdkafka asks every broker. Its Rust client gives no answer while one of them is away, though the one that
//! coordinates the group answered, so librdkafka is called by hand, as for a topic's id. Its newer call, which asks the
//! coordinator alone (`DescribeConsumerGroups`), aborts the process when the broker goes away meanwhile: an assertion
//! of librdkafka 2.12.1 on requests that are answered twice.
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
    /// No broker answers, or the one that coordinates the group refuses.
    pub async fn members(&self) -> Result<usize, KafkaError> {
        let (client, group) = (Arc::clone(&self.client), self.group.clone());
        blocking("ask who is in a group", move || {
            let failed = |code| KafkaError::of(format!("ask who is in group {group}"), ClientError::Global(code));
            count(client.inner(), &group).map_err(failed)
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
    let mut list = std::ptr::null();
    // SAFETY: the client outlives the call, for it is borrowed; librdkafka gives a list or none, and says so by the
    // pointer. It is destroyed here, once, after its last use: `read` copies out of it.
    unsafe {
        let code = rd::rd_kafka_list_groups(client.native_ptr(), name.as_ptr(), &raw mut list, wait);
        let answer = read(code, list);
        if !list.is_null() {
            rd::rd_kafka_group_list_destroy(list);
        }
        answer
    }
}

/// Reads the members of the only group of an answer. Where a broker is missing from it, a group that is not there is
/// not known.
///
/// # Safety
/// `list` is null, or an answer of `rd_kafka_list_groups` that was not destroyed.
unsafe fn read(code: rd::rd_kafka_resp_err_t, list: *const rd::rd_kafka_group_list) -> Result<usize, Code> {
    let (good, partial) =
        (rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR, rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTIAL);
    if list.is_null() || (code != good && code != partial) {
        return Err(if code == good { Code::OperationTimedOut } else { code.into() });
    }
    // SAFETY: as the caller promises; the first group is looked at only if there is one.
    let group = unsafe {
        let found = usize::try_from((*list).group_cnt).unwrap_or(0);
        if found == 0 {
            return if code == good { Ok(0) } else { Err(code.into()) };
        }
        *(*list).groups
    };
    if group.err != good {
        return Err(group.err.into());
    }
    Ok(usize::try_from(group.member_cnt).unwrap_or(0))
}
