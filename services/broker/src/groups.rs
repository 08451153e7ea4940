//! The requests of consumer groups: joining, staying, leaving. [`Group`] decides; here is the waiting.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rama::{Context, Service};
use tansu_sans_io::join_group_response::JoinGroupResponseMember;
use tansu_sans_io::leave_group_response::MemberResponse;
use tansu_sans_io::{
    ErrorCode, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use tansu_storage::Error;
use tokio::sync::Notify;

use crate::group::Group;
use crate::offsets::Offsets;

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
        let outcome = act(self.lock().entry(id.to_owned()).or_default());
        self.changed.notify_waiters();
        outcome
    }

    /// Waits until `look` has an answer.
    async fn until<T>(&self, id: &str, mut look: impl FnMut(&mut Group) -> Option<T>) -> T {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let answer = look(self.lock().entry(id.to_owned()).or_default());
            if let Some(answer) = answer {
                self.changed.notify_waiters();
                return answer;
            }
            // Nobody cares whether it was a change or the time.
            let _ = tokio::time::timeout(LOOK, changed).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers the group's requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Membership;

impl Service<Arc<Groups>, JoinGroupRequest> for Membership {
    type Response = JoinGroupResponse;
    type Error = Error;

    async fn serve(&self, ctx: Context<Arc<Groups>>, request: JoinGroupRequest) -> Result<JoinGroupResponse, Error> {
        let (groups, group) = (ctx.state(), request.group_id.clone());
        let mut id = request.member_id.clone();
        if id.is_empty() {
            id = format!("member-{}", groups.members.fetch_add(1, Ordering::Relaxed));
        }
        let joined = groups.with(&group, |group| {
            group.tick(Instant::now());
            if !request.member_id.is_empty() && !group.members.contains_key(&id) {
                return Err(ErrorCode::UnknownMemberId);
            }
            let generation = group.generation;
            group.join(&id, request, Instant::now());
            Ok(generation)
        });
        let before = match joined {
            Ok(generation) => generation,
            Err(error) => return Ok(refused(&id, error)),
        };
        let look = |group: &mut Group| {
            group.tick(Instant::now());
            if !group.members.contains_key(&id) {
                return Some(refused(&id, ErrorCode::UnknownMemberId));
            }
            (group.generation > before).then(|| welcome(group, &id))
        };
        Ok(groups.until(&group, look).await)
    }
}

fn welcome(group: &Group, id: &str) -> JoinGroupResponse {
    let described = group.members.iter().filter(|_| group.leader == id).map(|(member_id, member)| {
        JoinGroupResponseMember::default()
            .member_id(member_id.clone())
            .group_instance_id(member.instance.clone())
            .metadata(member.metadata(&group.protocol))
    });
    JoinGroupResponse::default()
        .throttle_time_ms(Some(0))
        .error_code(ErrorCode::None.into())
        .generation_id(group.generation)
        .protocol_type(Some(group.protocol_type.clone()))
        .protocol_name(Some(group.protocol.clone()))
        .leader(group.leader.clone())
        .skip_assignment(Some(false))
        .member_id(id.to_owned())
        .members(Some(described.collect()))
}

fn refused(id: &str, error: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse::default()
        .throttle_time_ms(Some(0))
        .error_code(error.into())
        .generation_id(-1)
        .protocol_type(Some(String::new()))
        .protocol_name(Some(String::new()))
        .skip_assignment(Some(false))
        .member_id(id.to_owned())
        .members(Some(Vec::new()))
}

impl Service<Arc<Groups>, SyncGroupRequest> for Membership {
    type Response = SyncGroupResponse;
    type Error = Error;

    async fn serve(&self, ctx: Context<Arc<Groups>>, request: SyncGroupRequest) -> Result<SyncGroupResponse, Error> {
        let outcome =
            ctx.state().until(&request.group_id, |group| group.sync(&request, Instant::now()).transpose()).await;
        let (assignment, error) =
            outcome.map_or_else(|error| (bytes::Bytes::new(), error), |assignment| (assignment, ErrorCode::None));
        Ok(SyncGroupResponse::default()
            .throttle_time_ms(Some(0))
            .error_code(error.into())
            .protocol_type(request.protocol_type.or(Some(String::new())))
            .protocol_name(request.protocol_name.or(Some(String::new())))
            .assignment(assignment))
    }
}

impl Service<Arc<Groups>, HeartbeatRequest> for Membership {
    type Response = HeartbeatResponse;
    type Error = Error;

    async fn serve(&self, ctx: Context<Arc<Groups>>, request: HeartbeatRequest) -> Result<HeartbeatResponse, Error> {
        let outcome = ctx.state().with(&request.group_id, |group| group.heartbeat(&request, Instant::now()));
        let error = outcome.err().unwrap_or(ErrorCode::None);
        Ok(HeartbeatResponse::default().throttle_time_ms(Some(0)).error_code(error.into()))
    }
}

impl Service<Arc<Groups>, LeaveGroupRequest> for Membership {
    type Response = LeaveGroupResponse;
    type Error = Error;

    async fn serve(&self, ctx: Context<Arc<Groups>>, request: LeaveGroupRequest) -> Result<LeaveGroupResponse, Error> {
        let leave = |id: &str| {
            let outcome = ctx.state().with(&request.group_id, |group| group.leave(id, Instant::now()));
            i16::from(outcome.err().unwrap_or(ErrorCode::None))
        };
        let error = request.member_id.as_deref().map_or(i16::from(ErrorCode::None), leave);
        let members = request.members.iter().flatten().map(|member| {
            MemberResponse::default()
                .member_id(member.member_id.clone())
                .group_instance_id(member.group_instance_id.clone())
                .error_code(leave(&member.member_id))
        });
        let members = members.collect();
        Ok(LeaveGroupResponse::default().throttle_time_ms(Some(0)).error_code(error).members(Some(members)))
    }
}
