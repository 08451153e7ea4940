//! The requests of consumer groups: joining, staying, leaving. [`Group`] decides; here is the waiting.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use tokio::sync::Notify;

use crate::group::Group;
use crate::offsets::Offsets;
use crate::routes::{Call, Engine, Serve, code};

/// How often who waits looks for members that fell silent; changes wake it at once.
const LOOK: Duration = Duration::from_millis(50);

/// All groups and what they committed.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: Mutex<HashMap<String, Group>>,
    changed: Notify,
    members: AtomicU64,
    pub(crate) offsets: Offsets,
}

impl Groups {
    /// Does something to a group, and wakes who waits for a change.
    pub(crate) fn with<T>(&self, id: &str, act: impl FnOnce(&mut Group) -> T) -> T {
        let outcome = self.at(id, act);
        self.changed.notify_waiters();
        outcome
    }

    /// Waits until `look` has an answer.
    async fn until<T>(&self, id: &str, mut look: impl FnMut(&mut Group) -> Option<T>) -> T {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(answer) = self.at(id, &mut look) {
                self.changed.notify_waiters();
                return answer;
            }
            // Nobody cares whether it was a change or the time.
            let _ = tokio::time::timeout(LOOK, changed).await;
        }
    }

    /// A question about a group that never was leaves nothing behind.
    fn at<T>(&self, id: &str, act: impl FnOnce(&mut Group) -> T) -> T {
        let mut groups = self.lock();
        let group = groups.entry(id.to_owned()).or_default();
        let outcome = act(group);
        if group.generation == 0 && group.members.is_empty() {
            groups.remove(id);
        }
        outcome
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, HashMap<String, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Serve for JoinGroupRequest {
    type Response = JoinGroupResponse;

    async fn serve(self, engine: &Engine, call: &Call) -> JoinGroupResponse {
        let (groups, group, known) = (&engine.groups, self.group_id.to_string(), self.member_id.to_string());
        if group.is_empty() {
            return refused(&known, ResponseError::InvalidGroupId);
        }
        let mut id = known.clone();
        if id.is_empty() {
            id = format!("member-{}", groups.members.fetch_add(1, Ordering::Relaxed));
        }
        let joined = groups.with(&group, |group| {
            group.tick(Instant::now());
            if !known.is_empty() && !group.members.contains_key(&id) {
                return Err(ResponseError::UnknownMemberId);
            }
            let generation = group.generation;
            group.join(&id, self, call.client.clone(), Instant::now());
            Ok(generation)
        });
        let before = match joined {
            Ok(generation) => generation,
            Err(error) => return refused(&id, error),
        };
        let look = |group: &mut Group| {
            group.tick(Instant::now());
            if !group.members.contains_key(&id) {
                return Some(refused(&id, ResponseError::UnknownMemberId));
            }
            (group.generation > before).then(|| welcome(group, &id))
        };
        groups.until(&group, look).await
    }
}

fn welcome(group: &Group, id: &str) -> JoinGroupResponse {
    let described = group.members.iter().filter(|_| group.leader == id).map(|(member_id, member)| {
        JoinGroupResponseMember::default()
            .with_member_id(member_id.clone().into())
            .with_group_instance_id(member.instance.clone())
            .with_metadata(member.metadata(&group.protocol))
    });
    JoinGroupResponse::default()
        .with_generation_id(group.generation)
        .with_protocol_type(Some(group.protocol_type.clone().into()))
        .with_protocol_name(Some(group.protocol.clone().into()))
        .with_leader(group.leader.clone().into())
        .with_member_id(id.to_owned().into())
        .with_members(described.collect())
}

fn refused(id: &str, error: ResponseError) -> JoinGroupResponse {
    JoinGroupResponse::default()
        .with_error_code(error.code())
        .with_generation_id(-1)
        .with_protocol_type(Some(StrBytes::new()))
        .with_protocol_name(Some(StrBytes::new()))
        .with_member_id(id.to_owned().into())
}

impl Serve for SyncGroupRequest {
    type Response = SyncGroupResponse;

    async fn serve(self, engine: &Engine, _: &Call) -> SyncGroupResponse {
        let look = |group: &mut Group| group.sync(&self, Instant::now()).transpose();
        let outcome = engine.groups.until(&self.group_id, look).await;
        SyncGroupResponse::default()
            .with_error_code(code(&outcome))
            .with_assignment(outcome.unwrap_or_default())
            .with_protocol_type(self.protocol_type.or(Some(StrBytes::new())))
            .with_protocol_name(self.protocol_name.or(Some(StrBytes::new())))
    }
}

impl Serve for HeartbeatRequest {
    type Response = HeartbeatResponse;

    async fn serve(self, engine: &Engine, _: &Call) -> HeartbeatResponse {
        let outcome = engine.groups.with(&self.group_id, |group| group.heartbeat(&self, Instant::now()));
        HeartbeatResponse::default().with_error_code(code(&outcome))
    }
}

impl Serve for LeaveGroupRequest {
    type Response = LeaveGroupResponse;

    async fn serve(self, engine: &Engine, call: &Call) -> LeaveGroupResponse {
        let leave = |id: &str| code(&engine.groups.with(&self.group_id, |group| group.leave(id, Instant::now())));
        if call.version < 3 {
            return LeaveGroupResponse::default().with_error_code(leave(&self.member_id));
        }
        let members = self.members.iter().map(|member| {
            MemberResponse::default()
                .with_member_id(member.member_id.clone())
                .with_group_instance_id(member.group_instance_id.clone())
                .with_error_code(leave(&member.member_id))
        });
        LeaveGroupResponse::default().with_members(members.collect())
    }
}
