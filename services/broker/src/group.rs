//! One consumer group of the classic protocol: who is in it, which round it is in. No I/O; time is passed in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol as Protocol;
use kafka_protocol::messages::{HeartbeatRequest, JoinGroupRequest, SyncGroupRequest};
use kafka_protocol::protocol::StrBytes;

/// An empty group waits for more members before its first round, so that those who start together share it.
const FIRST_ROUND: Duration = Duration::from_millis(100);

/// A group's members and its round.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) generation: i32,
    phase: Phase,
    pub(crate) members: BTreeMap<String, Member>,
    pub(crate) leader: String,
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nobody, or everybody with an assignment.
    Stable,
    /// Members join anew; the round ends when all did, not before `not_before`, and at `deadline` without the rest.
    Joining { not_before: Instant, deadline: Instant },
    /// The leader works the assignments out.
    Syncing,
}

/// Who is behind a member.
#[derive(Debug, Clone, Default)]
pub(crate) struct Client {
    /// What it calls itself.
    pub(crate) id: String,
    /// Its address.
    pub(crate) host: String,
}

/// A member of a group.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) client: Client,
    pub(crate) instance: Option<StrBytes>,
    session: Duration,
    patience: Duration,
    protocols: Vec<Protocol>,
    seen: Instant,
    joined: bool,
    pub(crate) assignment: Bytes,
}

impl Member {
    /// What it told under `protocol`.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let told = self.protocols.iter().find(|known| *known.name == *protocol);
        told.map(|known| known.metadata.clone()).unwrap_or_default()
    }
}

impl Default for Group {
    fn default() -> Self {
        Self {
            generation: 0,
            phase: Phase::Stable,
            members: BTreeMap::new(),
            leader: String::new(),
            protocol_type: String::new(),
            protocol: String::new(),
        }
    }
}

impl Group {
    /// Takes `id` into the round, starting one if there is none. The round is over when the generation is a newer one.
    pub(crate) fn join(&mut self, id: &str, request: JoinGroupRequest, client: Client, now: Instant) {
        let first = self.members.is_empty();
        let session = millis(request.session_timeout_ms);
        let member = Member {
            client,
            instance: request.group_instance_id,
            session,
            // Told since version 1.
            patience: if request.rebalance_timeout_ms < 0 { session } else { millis(request.rebalance_timeout_ms) },
            protocols: request.protocols,
            seen: now,
            joined: true,
            assignment: Bytes::new(),
        };
        self.protocol_type = request.protocol_type.to_string();
        if !matches!(self.phase, Phase::Joining { .. }) {
            self.begin(if first { now + FIRST_ROUND } else { now }, now);
        }
        self.members.insert(id.to_owned(), member);
    }

    /// Lets time pass: drops members that fell silent, and ends the round if it can end.
    pub(crate) fn tick(&mut self, now: Instant) {
        let joining = matches!(self.phase, Phase::Joining { .. });
        let before = self.members.len();
        self.members.retain(|_, member| (joining && member.joined) || now < member.seen + member.session);
        if self.members.len() < before && !joining {
            self.begin(now, now);
        }
        let Phase::Joining { not_before, deadline } = self.phase else { return };
        if now >= deadline {
            self.members.retain(|_, member| member.joined);
        }
        if self.members.is_empty() {
            self.phase = Phase::Stable;
        } else if now >= not_before && self.members.values().all(|member| member.joined) {
            self.end_round(now);
        }
    }

    /// Takes the leader's assignments; the member's own when they are there, `None` while they are not.
    pub(crate) fn sync(&mut self, request: &SyncGroupRequest, now: Instant) -> Result<Option<Bytes>, ResponseError> {
        self.contact(&request.member_id, request.generation_id, now)?;
        if self.phase == Phase::Syncing && *request.member_id == *self.leader {
            for given in &request.assignments {
                if let Some(member) = self.members.get_mut(given.member_id.as_str()) {
                    member.assignment = given.assignment.clone();
                }
            }
            self.phase = Phase::Stable;
        }
        match self.phase {
            Phase::Stable => Ok(self.members.get(request.member_id.as_str()).map(|member| member.assignment.clone())),
            Phase::Syncing => Ok(None),
            Phase::Joining { .. } => Err(ResponseError::RebalanceInProgress),
        }
    }

    /// Hears that a member is alive.
    pub(crate) fn heartbeat(&mut self, request: &HeartbeatRequest, now: Instant) -> Result<(), ResponseError> {
        self.contact(&request.member_id, request.generation_id, now)?;
        match self.phase {
            Phase::Joining { .. } => Err(ResponseError::RebalanceInProgress),
            Phase::Stable | Phase::Syncing => Ok(()),
        }
    }

    /// Whether `id` may commit; a generation below 0 commits from outside, to a group without members.
    pub(crate) fn may_commit(&mut self, id: &str, generation: i32, now: Instant) -> Result<(), ResponseError> {
        match generation {
            ..0 if self.members.is_empty() => Ok(()),
            ..0 => Err(ResponseError::UnknownMemberId),
            _ => self.contact(id, generation, now),
        }
    }

    /// Lets a member go.
    pub(crate) fn leave(&mut self, id: &str, now: Instant) -> Result<(), ResponseError> {
        self.members.remove(id).ok_or(ResponseError::UnknownMemberId)?;
        if !matches!(self.phase, Phase::Joining { .. }) {
            self.begin(now, now);
        }
        self.tick(now);
        Ok(())
    }

    /// What Kafka calls the group's state.
    pub(crate) fn state(&self) -> &'static str {
        match self.phase {
            Phase::Stable if self.members.is_empty() => "Empty",
            Phase::Stable => "Stable",
            Phase::Joining { .. } => "PreparingRebalance",
            Phase::Syncing => "CompletingRebalance",
        }
    }

    fn contact(&mut self, id: &str, generation: i32, now: Instant) -> Result<(), ResponseError> {
        self.tick(now);
        let current = self.generation;
        let member = self.members.get_mut(id).ok_or(ResponseError::UnknownMemberId)?;
        if generation != current {
            return Err(ResponseError::IllegalGeneration);
        }
        member.seen = now;
        Ok(())
    }

    fn begin(&mut self, not_before: Instant, now: Instant) {
        let patience = self.members.values().map(|member| member.patience).max().unwrap_or(Duration::from_secs(60));
        self.phase = Phase::Joining { not_before, deadline: now + patience };
        for member in self.members.values_mut() {
            member.joined = false;
        }
    }

    fn end_round(&mut self, now: Instant) {
        self.generation += 1;
        self.phase = Phase::Syncing;
        if !self.members.contains_key(&self.leader) {
            self.leader = self.members.keys().next().cloned().unwrap_or_default();
        }
        let everybody_knows =
            |name: &str| self.members.values().all(|member| member.protocols.iter().any(|known| *known.name == *name));
        let wishes = self.members.get(&self.leader).map_or(&[][..], |leader| &leader.protocols[..]);
        let chosen = wishes.iter().find(|wish| everybody_knows(&wish.name)).or(wishes.first());
        self.protocol = chosen.map(|wish| wish.name.to_string()).unwrap_or_default();
        for member in self.members.values_mut() {
            member.seen = now;
            member.assignment = Bytes::new();
        }
    }
}

fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests;
