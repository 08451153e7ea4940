//! Which service answers which request: tansu's, except for those over our own log and groups.

use std::sync::Arc;

use rama::layer::{MapErrLayer, MapStateLayer};
use rama::{Layer as _, Service};
use tansu_broker::Error;
use tansu_broker::service::{auth, storage as tansu};
use tansu_sans_io::{
    ApiKey as _, FetchRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, ListOffsetsRequest,
    OffsetCommitRequest, OffsetFetchRequest, ProduceRequest, SyncGroupRequest,
};
use tansu_service::{
    BytesFrameLayer, FrameRequestLayer, FrameRouteService, TcpBytesLayer, TcpContext, TcpContextLayer,
};
use tansu_storage::StorageContainer;
use tokio::net::TcpStream;

use crate::groups::{Groups, Membership};
use crate::log::Log;
use crate::offsets::{Commit, Tell};
use crate::services::{Fetch, ListOffsets, Produce, Records};

/// What outlives the connections.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    pub(crate) cluster: &'static str,
    /// Topics, settings, producer ids.
    pub(crate) storage: StorageContainer,
    pub(crate) groups: Arc<Groups>,
    pub(crate) log: Arc<Log>,
}

/// What answers one connection.
pub(crate) fn connection(engine: Engine) -> Result<impl Service<(), TcpStream, Response = (), Error = Error>, Error> {
    let records = Records { topics: engine.storage.clone(), log: engine.log };
    let builder = [
        tansu::add_offsets_to_txn,
        tansu::add_partitions_to_txn,
        tansu::alter_user_scram_credentials,
        tansu::consumer_group_describe,
        tansu::create_acls,
        tansu::create_topics,
        tansu::delete_groups,
        tansu::delete_topics,
        tansu::describe_acls,
        tansu::describe_cluster,
        tansu::describe_configs,
        tansu::describe_groups,
        tansu::describe_topic_partitions,
        tansu::describe_user_scram_credentials,
        tansu::find_coordinator,
        tansu::get_telemetry_subscriptions,
        tansu::incremental_alter_configs,
        tansu::init_producer_id,
        tansu::list_groups,
        tansu::list_partition_reassignments,
        tansu::metadata,
        tansu::txn_offset_commit_request,
    ]
    .into_iter()
    .try_fold(FrameRouteService::<(), Error>::builder(), |builder, route| route(builder, engine.storage.clone()))?;

    let groups = engine.groups;
    // A macro, for every request has its own types.
    macro_rules! route {
        ($builder:expr, $request:ty, $service:expr, $state:expr) => {{
            let state = $state.clone();
            let layers =
                (MapErrLayer::new(Error::from), MapStateLayer::new(|()| state), FrameRequestLayer::<$request>::new());
            $builder.with_route(<$request>::KEY, layers.into_layer($service).boxed())?
        }};
    }
    let builder = route!(builder, ProduceRequest, Produce, records);
    let builder = route!(builder, FetchRequest, Fetch, records);
    let builder = route!(builder, ListOffsetsRequest, ListOffsets, records);
    let builder = route!(builder, JoinGroupRequest, Membership, groups);
    let builder = route!(builder, SyncGroupRequest, Membership, groups);
    let builder = route!(builder, HeartbeatRequest, Membership, groups);
    let builder = route!(builder, LeaveGroupRequest, Membership, groups);
    let builder = route!(builder, OffsetCommitRequest, Commit, groups);
    let builder = route!(builder, OffsetFetchRequest, Tell, groups);
    let route = auth::services(builder)?.build()?;
    Ok((
        TcpContextLayer::new(TcpContext::default().cluster_id(Some(engine.cluster.into()))),
        TcpBytesLayer::default(),
        BytesFrameLayer::default().with_sasl_config(None),
    )
        .into_layer(route))
}
