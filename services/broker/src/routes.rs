//! Which requests are answered, in which versions, and how an answer comes from the bytes of a request.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};

use crate::group::Client;
use crate::groups::Groups;
use crate::log::Log;
use crate::probe;
use crate::topics::Topics;

/// What outlives the connections.
#[derive(Debug)]
pub(crate) struct Engine {
    /// Where clients find this broker.
    pub(crate) addr: SocketAddr,
    pub(crate) topics: Topics,
    pub(crate) log: Log,
    pub(crate) groups: Groups,
    producers: AtomicI64,
}

impl Engine {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            topics: Topics::default(),
            log: Log::default(),
            groups: Groups::default(),
            producers: AtomicI64::new(0),
        }
    }

    /// An id that no producer has.
    pub(crate) fn next_producer(&self) -> i64 {
        self.producers.fetch_add(1, Ordering::Relaxed)
    }
}

/// A request's header.
#[derive(Debug, Clone, Default)]
pub(crate) struct Call {
    key: i16,
    pub(crate) version: i16,
    correlation: i32,
    pub(crate) client: Client,
}

impl Call {
    fn broken(&self, error: &str) -> Broken {
        Broken::Request(format!("request {}, version {}: {error}", self.key, self.version))
    }
}

/// Why a connection is closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// What was read is no request.
    #[error("what came is no request of Kafka's protocol: {0}")]
    Request(String),
    /// Kafka closes the connection as well.
    #[error(
        "request {key} in version {version} is not answered here: the client did not ask for what is, or does not care"
    )]
    Unknown { key: i16, version: i16 },
    /// A defect of ours.
    #[error("the answer to request {key} in version {version} cannot be written: {error}")]
    Answer { key: i16, version: i16, error: String },
}

/// A request that is answered.
pub(crate) trait Serve: Decodable {
    type Response: Encodable + HeaderVersion;

    /// Whether the client does not read an answer.
    fn wants_no_answer(&self) -> bool {
        false
    }

    async fn serve(self, engine: &Engine, call: &Call) -> Self::Response;
}

/// The error of an outcome as the protocol has it; 0 if there is none.
pub(crate) fn code<T>(outcome: &Result<T, ResponseError>) -> i16 {
    outcome.as_ref().err().map_or(0, ResponseError::code)
}

/// One line for each request: its first and last version. Those of `kafka-protocol`, which begins where Kafka 4 does.
macro_rules! routes {
    ($($key:ident($request:ident) $first:literal to $last:literal,)+) => {
        use kafka_protocol::messages::{$($request),+};

        /// The requests that are answered, with their first and last version.
        const ANSWERED: &[(ApiKey, i16, i16)] = &[$((ApiKey::$key, $first, $last)),+];

        /// What goes back, if anything does.
        async fn route(engine: &Engine, call: &Call, body: Bytes) -> Result<Option<Bytes>, Broken> {
            match ApiKey::try_from(call.key) {
                $(Ok(ApiKey::$key) if ($first..=$last).contains(&call.version) => {
                    let request: $request = probe::decode(body, call.version).map_err(|error| call.broken(&error))?;
                    let (silent, response) = (request.wants_no_answer(), request.serve(engine, call).await);
                    if silent { Ok(None) } else { encode(call, &response).map(Some) }
                })+
                _ => Err(Broken::Unknown { key: call.key, version: call.version }),
            }
        }

        /// The answer to a request that says nothing.
        #[cfg(test)]
        pub(crate) async fn answer_to_nothing(engine: &Engine, call: &Call) -> Result<Bytes, Broken> {
            match ApiKey::try_from(call.key) {
                $(Ok(ApiKey::$key) => encode(call, &$request::default().serve(engine, call).await),)+
                _ => Err(Broken::Unknown { key: call.key, version: call.version }),
            }
        }
    };
}

routes! {
    Produce(ProduceRequest) 3 to 13,
    Fetch(FetchRequest) 4 to 18,
    ListOffsets(ListOffsetsRequest) 1 to 10,
    Metadata(MetadataRequest) 0 to 13,
    OffsetCommit(OffsetCommitRequest) 2 to 9,
    OffsetFetch(OffsetFetchRequest) 1 to 9,
    FindCoordinator(FindCoordinatorRequest) 0 to 6,
    JoinGroup(JoinGroupRequest) 0 to 9,
    Heartbeat(HeartbeatRequest) 0 to 4,
    LeaveGroup(LeaveGroupRequest) 0 to 5,
    SyncGroup(SyncGroupRequest) 0 to 5,
    DescribeGroups(DescribeGroupsRequest) 0 to 6,
    ListGroups(ListGroupsRequest) 0 to 5,
    ApiVersions(ApiVersionsRequest) 0 to 4,
    CreateTopics(CreateTopicsRequest) 2 to 7,
    DeleteTopics(DeleteTopicsRequest) 1 to 6,
    DeleteRecords(DeleteRecordsRequest) 0 to 2,
    InitProducerId(InitProducerIdRequest) 0 to 5,
    DescribeConfigs(DescribeConfigsRequest) 1 to 4,
    AlterConfigs(AlterConfigsRequest) 0 to 2,
    CreatePartitions(CreatePartitionsRequest) 0 to 3,
    DeleteGroups(DeleteGroupsRequest) 0 to 2,
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest) 0 to 1,
    ListPartitionReassignments(ListPartitionReassignmentsRequest) 0 to 0,
    DescribeCluster(DescribeClusterRequest) 0 to 2,
    DescribeTopicPartitions(DescribeTopicPartitionsRequest) 0 to 0,
}

/// Carries a request out; the answer, behind its length, if the client wants one.
pub(crate) async fn answer(engine: &Engine, host: &str, mut frame: Bytes) -> Result<Option<Bytes>, Broken> {
    let mut start = frame.clone();
    let mut field = || start.try_get_i16().map_err(|_| Broken::Request("it ends within its header".to_owned()));
    let (key, version) = (field()?, field()?);
    let api = ApiKey::try_from(key).map_err(|()| Broken::Unknown { key, version })?;
    if api == ApiKey::ApiVersions && !(0..=4).contains(&version) {
        return too_new(key, start).map(Some);
    }
    let header = RequestHeader::decode(&mut frame, api.request_header_version(version));
    let header = header.map_err(|error| Broken::Request(format!("its header: {error}")))?;
    let client = Client { id: header.client_id.unwrap_or_default().to_string(), host: host.to_owned() };
    route(engine, &Call { key, version, correlation: header.correlation_id, client }, frame).await
}

fn encode<R: Encodable + HeaderVersion>(call: &Call, response: &R) -> Result<Bytes, Broken> {
    let write = || {
        let mut bytes = BytesMut::with_capacity(16 + response.compute_size(call.version)?);
        bytes.put_i32(0);
        let header = ResponseHeader::default().with_correlation_id(call.correlation);
        header.encode(&mut bytes, R::header_version(call.version))?;
        response.encode(&mut bytes, call.version)?;
        let length = i32::try_from(bytes.len() - 4)?;
        (&mut bytes[..4]).put_i32(length);
        Ok(bytes.freeze())
    };
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| Broken::Answer {
        key: call.key,
        version: call.version,
        error: error.to_string(),
    };
    write().map_err(failed)
}

impl Serve for ApiVersionsRequest {
    type Response = ApiVersionsResponse;

    async fn serve(self, _: &Engine, _: &Call) -> ApiVersionsResponse {
        let keys = ANSWERED.iter().map(|(key, first, last)| {
            // As Kafka 4 says: librdkafka takes who does not know the oldest Produce for one that cannot compress.
            let first = if *key == ApiKey::Produce { 0 } else { *first };
            ApiVersion::default().with_api_key(*key as i16).with_min_version(first).with_max_version(*last)
        });
        ApiVersionsResponse::default().with_api_keys(keys.collect())
    }
}

/// What a client is told whose first question is newer than we are: in the oldest form, which all can read.
fn too_new(key: i16, mut rest: Bytes) -> Result<Bytes, Broken> {
    let correlation = rest.try_get_i32().map_err(|_| Broken::Request("it ends within its header".to_owned()))?;
    let known = ApiVersion::default().with_api_key(key).with_min_version(0).with_max_version(4);
    let response = ApiVersionsResponse::default()
        .with_error_code(ResponseError::UnsupportedVersion.code())
        .with_api_keys(vec![known]);
    encode(&Call { key, correlation, ..Call::default() }, &response)
}

#[cfg(test)]
mod tests;
