//! Kafka's wire protocol for the APIs that stock clients need: frames, headers, versions.
//!
//! The messages are the core's; [`kafka_protocol`] lays out the bytes of each version. A connection
//! that breaks the rules is closed, as Kafka does.
#![expect(clippy::wildcard_enum_match_arm, reason = "the protocol has many more APIs")]

mod convert;
mod messages;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{self as wire, ApiKey};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};
use seedlog::error::ErrorCode;
use seedlog::ids::LeaderEpoch;
use seedlog::message::produce::Acks;
use seedlog::message::{Api, Request, Response};
use wire::api_versions_response::ApiVersion;

use self::convert::Wire;

/// Bytes that are no message of a version that is spoken.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CodecError(String);

impl CodecError {
    fn new(why: impl std::fmt::Display) -> Self {
        CodecError(why.to_string())
    }

    fn not_served(api: impl std::fmt::Debug) -> Self {
        CodecError(format!("{api:?} is not served"))
    }
}

pub type Result<T> = std::result::Result<T, CodecError>;

/// What is served: the oldest version that is advertised, the oldest and the newest that are
/// spoken.
/// Old librdkafka looks for single old versions (KAFKA-18659), so some are advertised that are
/// refused when used, as Kafka 4 does.
const SERVED: &[(ApiKey, i16, i16, i16)] = &[
    (ApiKey::Produce, 0, 3, 13),
    (ApiKey::Fetch, 0, 4, 16),
    (ApiKey::ListOffsets, 0, 1, 7),
    (ApiKey::Metadata, 0, 0, 12),
    (ApiKey::FindCoordinator, 0, 0, 4),
    (ApiKey::ApiVersions, 0, 0, 4),
    (ApiKey::CreateTopics, 2, 2, 7),
    (ApiKey::InitProducerId, 0, 0, 4),
    (ApiKey::OffsetForLeaderEpoch, 2, 2, 4),
];

fn serves(key: ApiKey, version: i16) -> bool {
    SERVED.iter().any(|(api, _, from, to)| *api == key && (*from..=*to).contains(&version))
}

/// A request as it came off the wire, and what its answer needs to know of it.
pub struct Incoming {
    pub head: Head,
    pub body: Body,
}

#[derive(Clone, Copy, Debug)]
pub struct Head {
    version: i16,
    correlation: i32,
}

pub enum Body {
    Broker(Arc<Request>),
    /// Answered already, by what the connection itself knows.
    Answered(Bytes),
}

/// Whether a client waits for an answer: with acks=0 there is none.
pub fn is_answered(request: &Request) -> bool {
    !matches!(request, Request::Produce(produce) if produce.acks == Acks::None)
}

/// Reads a request without its length.
pub fn decode_request(mut frame: Bytes) -> Result<Incoming> {
    if frame.len() < 8 {
        return Err(CodecError::new("a request shorter than its header"));
    }
    let mut peek = &frame[..];
    let (key, version, correlation) = (peek.get_i16(), peek.get_i16(), peek.get_i32());
    let key = ApiKey::try_from(key).map_err(|()| CodecError::new("an unknown API"))?;
    let head = Head { version, correlation };
    if key == ApiKey::ApiVersions && !serves(key, version) {
        // KIP-511: a version from the future is told in the oldest form what there is.
        let head = Head { version: 0, ..head };
        let body = Body::Answered(api_versions(head, ErrorCode::UnsupportedVersion)?);
        return Ok(Incoming { head, body });
    }
    if !serves(key, version) {
        return Err(CodecError::new(format!("{key:?} version {version} is not served")));
    }
    let frame = &mut frame;
    decode::<wire::RequestHeader>(frame, key.request_header_version(version))?;
    let body = match key {
        ApiKey::ApiVersions => Body::Answered(api_versions(head, ErrorCode::None)?),
        ApiKey::FindCoordinator => Body::Answered(find_coordinator(head, decode(frame, version)?)?),
        key => {
            let mut request = read_request(key, version, frame)?;
            if let Request::Metadata(request) = &mut request
                && version == 0
            {
                // No null there: an empty list is all topics.
                request.topics = request.topics.take().filter(|topics| !topics.is_empty());
            }
            Body::Broker(Arc::new(request))
        }
    };
    Ok(Incoming { head, body })
}

/// The APIs that go through to the core, by the names that Kafka gives to all their parts.
macro_rules! apis {
    ($($api:ident: $request:ident, $response:ident;)*) => {
        fn read_request(key: ApiKey, version: i16, frame: &mut Bytes) -> Result<Request> {
            Ok(match key {
                $(ApiKey::$api => {
                    Request::$api(Wire::back(decode::<wire::$request>(frame, version)?))
                })*
                other => return Err(CodecError::not_served(other)),
            })
        }

        fn write_request(header: &wire::RequestHeader, request: &Request) -> Result<Bytes> {
            match request {
                $(Request::$api(request) => ask::<wire::$request>(header, &request.out()),)*
                other => Err(CodecError::not_served(other.api())),
            }
        }

        fn read_response(api: Api, version: i16, frame: &mut Bytes) -> Result<Response> {
            let header = api_key(api)?.response_header_version(version);
            decode::<wire::ResponseHeader>(frame, header)?;
            Ok(match api {
                $(Api::$api => {
                    Response::$api(Wire::back(decode::<wire::$response>(frame, version)?))
                })*
                other => return Err(CodecError::not_served(other)),
            })
        }

        fn write_response(head: Head, response: &Response) -> Result<Bytes> {
            match response {
                $(Response::$api(response) => answer::<wire::$response>(head, &response.out()),)*
                other => Err(CodecError::not_served(other.api())),
            }
        }

        fn api_key(api: Api) -> Result<ApiKey> {
            match api {
                $(Api::$api => Ok(ApiKey::$api),)*
                other => Err(CodecError::not_served(other)),
            }
        }
    };
}

apis! {
    Produce: ProduceRequest, ProduceResponse;
    Fetch: FetchRequest, FetchResponse;
    ListOffsets: ListOffsetsRequest, ListOffsetsResponse;
    Metadata: MetadataRequest, MetadataResponse;
    CreateTopics: CreateTopicsRequest, CreateTopicsResponse;
    InitProducerId: InitProducerIdRequest, InitProducerIdResponse;
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse;
}

/// Writes the answer to a request, with its length.
pub fn encode_response(head: Head, mut response: Arc<Response>) -> Result<Bytes> {
    // What an older version cannot say must not be set.
    match Arc::make_mut(&mut response) {
        Response::Produce(r) if head.version < 10 => {
            r.partitions.iter_mut().for_each(|partition| partition.current_leader = None);
        }
        Response::Fetch(r) if head.version < 12 => {
            r.partitions.iter_mut().for_each(|partition| partition.current_leader = None);
        }
        Response::ListOffsets(r) if head.version < 4 => {
            r.partitions.iter_mut().for_each(|listed| listed.leader_epoch = LeaderEpoch::NONE);
        }
        // Clients dial every broker that they see.
        Response::Metadata(r) => r.brokers.retain(|broker| !broker.fenced),
        _ => {}
    }
    write_response(head, &response)
}

fn answer<T: Encodable + HeaderVersion>(head: Head, body: &T) -> Result<Bytes> {
    let header = wire::ResponseHeader::default().with_correlation_id(head.correlation);
    framed(&header, T::header_version(head.version), body, head.version)
}

fn framed<H: Encodable, T: Encodable>(
    header: &H,
    header_version: i16,
    body: &T,
    version: i16,
) -> Result<Bytes> {
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    header.encode(&mut frame, header_version).map_err(CodecError::new)?;
    body.encode(&mut frame, version).map_err(CodecError::new)?;
    let length = i32::try_from(frame.len() - 4).map_err(CodecError::new)?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame.freeze())
}

fn decode<T: Decodable>(frame: &mut Bytes, version: i16) -> Result<T> {
    T::decode(frame, version).map_err(CodecError::new)
}

/// Without any tagged field: librdkafka before 2.2.0 stumbles over them.
fn api_versions(head: Head, error: ErrorCode) -> Result<Bytes> {
    let keys = SERVED.iter().map(|&(key, from, _, to)| {
        let out = ApiVersion::default().with_api_key(key_of(key));
        out.with_min_version(from).with_max_version(to)
    });
    let body = wire::ApiVersionsResponse::default().with_api_keys(keys.collect());
    answer(head, &body.with_error_code(error.code()))
}

/// There are no coordinators: clients that ask keep asking, and assign partitions themselves.
fn find_coordinator(head: Head, request: wire::FindCoordinatorRequest) -> Result<Bytes> {
    let none = ErrorCode::CoordinatorNotAvailable.code();
    let mut body = wire::FindCoordinatorResponse::default();
    if head.version < 4 {
        (body.error_code, body.node_id, body.port) = (none, (-1).into(), -1);
    }
    body.coordinators.extend(request.coordinator_keys.into_iter().map(|key| {
        let out = wire::find_coordinator_response::Coordinator::default().with_key(key);
        out.with_node_id((-1).into()).with_port(-1).with_error_code(none)
    }));
    answer(head, &body)
}

/// The newest version of each API that both ends of an outbound connection speak.
pub struct Versions(Vec<(i16, i16)>);

/// The first request on an outbound connection.
pub fn ask_versions() -> Result<Bytes> {
    let header = wire::RequestHeader::default().with_request_api_key(key_of(ApiKey::ApiVersions));
    framed(&header, 1, &wire::ApiVersionsRequest::default(), 0)
}

/// Reads the answer to [`ask_versions`], without its length.
pub fn learn_versions(mut frame: Bytes) -> Result<Versions> {
    decode::<wire::ResponseHeader>(&mut frame, 0)?;
    let response: wire::ApiVersionsResponse = decode(&mut frame, 0)?;
    let both = |theirs: &ApiVersion| {
        let ours = SERVED.iter().find(|(key, ..)| key_of(*key) == theirs.api_key)?;
        Some((theirs.api_key, ours.3.min(theirs.max_version)))
    };
    Ok(Versions(response.api_keys.iter().filter_map(both).collect()))
}

/// Writes a request, with its length; the version is needed to read the answer.
pub fn encode_request(
    versions: &Versions,
    correlation: i32,
    client_id: &str,
    request: &Request,
) -> Result<(Bytes, i16)> {
    let key = key_of(api_key(request.api())?);
    let version = versions.0.iter().find(|(known, _)| *known == key).map(|(_, top)| *top);
    let version = version.ok_or_else(|| CodecError::not_served(request.api()))?;
    let header = wire::RequestHeader::default()
        .with_request_api_key(key)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(convert::string(client_id)));
    Ok((write_request(&header, request)?, version))
}

fn ask<T: Encodable + HeaderVersion>(header: &wire::RequestHeader, body: &T) -> Result<Bytes> {
    let version = header.request_api_version;
    framed(header, T::header_version(version), body, version)
}

/// The correlation id of an answer, without its length.
pub fn correlation_of(frame: &Bytes) -> Result<i32> {
    let id = frame.first_chunk().ok_or_else(|| CodecError::new("an answer without a header"))?;
    Ok(i32::from_be_bytes(*id))
}

/// Reads the answer to a request, without its length.
pub fn decode_response(request: &Request, version: i16, mut frame: Bytes) -> Result<Response> {
    let mut response = read_response(request.api(), version, &mut frame)?;
    // The core's clients read answers in the order of what they asked; brokers group by topic.
    macro_rules! sort {
        ($($api:ident),*) => {
            match (request, &mut response) {
                $((Request::$api(asked), Response::$api(answers)) => {
                    answers.partitions.sort_by_key(|answer| {
                        asked.partitions.iter().position(|asked| {
                            asked.topic == answer.topic && asked.partition == answer.partition
                        })
                    });
                })*
                _ => {}
            }
        };
    }
    sort!(Produce, Fetch, ListOffsets, OffsetForLeaderEpoch);
    Ok(response)
}

fn key_of(key: ApiKey) -> i16 {
    let number = (0..100).find(|number| ApiKey::try_from(*number) == Ok(key));
    number.expect("every API has a number below 100")
}
