//! What is told of groups from outside, and how they are deleted.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::BTreeSet;
use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, GroupId,
    ListGroupsRequest, ListGroupsResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::group::Group;
use crate::groups::Groups;
use crate::routes::{Call, Engine, Serve, code};

/// What Kafka calls this kind of group.
const KIND: &str = "classic";

impl Groups {
    /// Calls `tell` with each group that has members, had some, or committed something.
    fn each<T>(&self, mut tell: impl FnMut(&str, &Group) -> T) -> Vec<T> {
        let committed = self.offsets.groups();
        let mut groups = self.lock();
        groups.values_mut().for_each(|group| group.tick(Instant::now()));
        let names: BTreeSet<&String> = groups.keys().chain(&committed).collect();
        let empty = Group::default();
        names.into_iter().map(|name| tell(name, groups.get(name).unwrap_or(&empty))).collect()
    }

    fn delete(&self, name: &str) -> Result<(), ResponseError> {
        let mut groups = self.lock();
        if let Some(group) = groups.get_mut(name) {
            group.tick(Instant::now());
            if !group.members.is_empty() {
                return Err(ResponseError::NonEmptyGroup);
            }
        }
        let (lived, committed) = (groups.remove(name).is_some(), self.offsets.forget(name));
        if lived || committed { Ok(()) } else { Err(ResponseError::GroupIdNotFound) }
    }
}

impl Serve for ListGroupsRequest {
    type Response = ListGroupsResponse;

    async fn serve(self, engine: &Engine, _: &Call) -> ListGroupsResponse {
        let among = |wanted: &[StrBytes], found: &str| {
            wanted.is_empty() || wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(found))
        };
        let groups = engine.groups.each(|name, group| {
            let wanted = among(&self.states_filter, group.state()) && among(&self.types_filter, KIND);
            wanted.then(|| {
                ListedGroup::default()
                    .with_group_id(StrBytes::from(name.to_owned()).into())
                    .with_protocol_type(group.protocol_type.clone().into())
                    .with_group_state(group.state().into())
                    .with_group_type(KIND.into())
            })
        });
        ListGroupsResponse::default().with_groups(groups.into_iter().flatten().collect())
    }
}

impl Serve for DescribeGroupsRequest {
    type Response = DescribeGroupsResponse;

    async fn serve(self, engine: &Engine, call: &Call) -> DescribeGroupsResponse {
        let known = engine.groups.each(|name, group| (name.to_owned(), described(name, group)));
        let groups = self.groups.into_iter().map(|wanted| {
            let found = known.iter().find(|(name, _)| *name == **wanted);
            found.map_or_else(|| unknown(wanted, call.version), |(_, described)| described.clone())
        });
        DescribeGroupsResponse::default().with_groups(groups.collect())
    }
}

fn described(name: &str, group: &Group) -> DescribedGroup {
    let members = group.members.iter().map(|(id, member)| {
        DescribedGroupMember::default()
            .with_member_id(id.clone().into())
            .with_group_instance_id(member.instance.clone())
            .with_client_id(member.client.id.clone().into())
            .with_client_host(format!("/{}", member.client.host).into())
            .with_member_metadata(member.metadata(&group.protocol))
            .with_member_assignment(Bytes::clone(&member.assignment))
    });
    DescribedGroup::default()
        .with_group_id(StrBytes::from(name.to_owned()).into())
        .with_group_state(group.state().into())
        .with_protocol_type(group.protocol_type.clone().into())
        .with_protocol_data(group.protocol.clone().into())
        .with_members(members.collect())
}

/// Until version 6 a group that is not there is dead.
fn unknown(name: GroupId, version: i16) -> DescribedGroup {
    let error = if version < 6 { 0 } else { ResponseError::GroupIdNotFound.code() };
    DescribedGroup::default().with_group_id(name).with_group_state("Dead".into()).with_error_code(error)
}

impl Serve for DeleteGroupsRequest {
    type Response = DeleteGroupsResponse;

    async fn serve(self, engine: &Engine, _: &Call) -> DeleteGroupsResponse {
        let results = self.groups_names.into_iter().map(|name| {
            let outcome = engine.groups.delete(&name);
            DeletableGroupResult::default().with_error_code(code(&outcome)).with_group_id(name)
        });
        DeleteGroupsResponse::default().with_results(results.collect())
    }
}
