//! Which service answers which request: tansu's, except for the three over our own log.

use std::sync::Arc;

use rama::layer::{MapErrLayer, MapStateLayer};
use rama::{Layer as _, Service};
use tansu_broker::Error;
use tansu_broker::coordinator::group::administrator::Controller;
use tansu_broker::service::{auth, coordinator, storage as tansu};
use tansu_sans_io::{ApiKey as _, FetchRequest, ListOffsetsRequest, ProduceRequest};
use tansu_service::{
    BytesFrameLayer, FrameRequestLayer, FrameRouteService, TcpBytesLayer, TcpContext, TcpContextLayer,
};
use tansu_storage::StorageContainer;
use tokio::net::TcpStream;

use crate::log::Log;
use crate::services::{Fetch, ListOffsets, Produce, Records};

/// What outlives the connections.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    pub(crate) cluster: &'static str,
    /// Topics, settings, committed offsets, producer ids.
    pub(crate) storage: StorageContainer,
    pub(crate) groups: Controller<StorageContainer>,
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

    let (errors, of) = (|| MapErrLayer::new(Error::from), |records: &Records| records.clone());
    let (produce, fetch, list) = (of(&records), of(&records), of(&records));
    let builder = builder
        .with_route(
            ProduceRequest::KEY,
            (errors(), MapStateLayer::new(|()| produce), FrameRequestLayer::<ProduceRequest>::new())
                .into_layer(Produce)
                .boxed(),
        )?
        .with_route(
            FetchRequest::KEY,
            (errors(), MapStateLayer::new(|()| fetch), FrameRequestLayer::<FetchRequest>::new())
                .into_layer(Fetch)
                .boxed(),
        )?
        .with_route(
            ListOffsetsRequest::KEY,
            (errors(), MapStateLayer::new(|()| list), FrameRequestLayer::<ListOffsetsRequest>::new())
                .into_layer(ListOffsets)
                .boxed(),
        )?;
    let route = coordinator::services(builder, engine.groups).and_then(auth::services)?.build()?;
    Ok((
        TcpContextLayer::new(TcpContext::default().cluster_id(Some(engine.cluster.into()))),
        TcpBytesLayer::default(),
        BytesFrameLayer::default().with_sasl_config(None),
    )
        .into_layer(route))
}
