//! Kafka's wire protocol for the APIs that stock clients need: frames, headers, versions.
//!
//! The messages are the core's; [`kafka_protocol`] lays out the bytes of each version. A connection
//! that breaks the rules is closed, as Kafka does.

mod admin;
mod fetch;
mod metadata;
mod offsets;
mod produce;

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{self as wire, ApiKey};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use seedlog::error::ErrorCode;
use seedlog::ids::{TopicRef, Uuid};
use seedlog::message::{Api, Request, Response};

/// Bytes that are no message of a version that is spoken.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CodecError(String);

impl CodecError {
    fn new(why: impl std::fmt::Display) -> Self {
        CodecError(why.to_string())
    }
}

pub type Result<T> = std::result::Result<T, CodecError>;

/// An API as it is advertised: old librdkafka looks for single old versions, so some are advertised
/// that are refused when used, as Kafka 4 does (KAFKA-18659).
struct Served {
    key: ApiKey,
    advertised_from: i16,
    from: i16,
    to: i16,
}

const fn served(key: ApiKey, advertised_from: i16, from: i16, to: i16) -> Served {
    Served { key, advertised_from, from, to }
}

const SERVED: &[Served] = &[
    served(ApiKey::Produce, 0, 3, 13),
    served(ApiKey::Fetch, 0, 4, 16),
    served(ApiKey::ListOffsets, 0, 1, 7),
    served(ApiKey::Metadata, 0, 0, 12),
    served(ApiKey::FindCoordinator, 0, 0, 4),
    served(ApiKey::ApiVersions, 0, 0, 4),
    served(ApiKey::CreateTopics, 2, 2, 7),
    served(ApiKey::InitProducerId, 0, 0, 4),
    served(ApiKey::OffsetForLeaderEpoch, 2, 2, 4),
];

fn serves(key: ApiKey, version: i16) -> bool {
    SERVED.iter().any(|api| api.key == key && (api.from..=api.to).contains(&version))
}

/// A request as it came off the wire.
pub struct Incoming {
    pub head: Head,
    pub body: Body,
}

/// What an answer needs to know of its request.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    version: i16,
    correlation: i32,
}

pub enum Body {
    /// For the broker; false: the client waits for no answer.
    Broker(Arc<Request>, bool),
    /// Answered already, by what the connection itself knows.
    Answered(Bytes),
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
    let header_version = key.request_header_version(version);
    decode::<wire::RequestHeader>(&mut frame, header_version)?;
    let body = match key {
        ApiKey::ApiVersions => Body::Answered(api_versions(head, ErrorCode::None)?),
        ApiKey::FindCoordinator => Body::Answered(find_coordinator(head, &mut frame)?),
        ApiKey::Produce => produce::request_in(decode(&mut frame, version)?, version)?,
        ApiKey::Fetch => broker(fetch::request_in(decode(&mut frame, version)?, version)),
        ApiKey::ListOffsets => broker(offsets::list_in(decode(&mut frame, version)?)),
        ApiKey::Metadata => broker(metadata::request_in(decode(&mut frame, version)?, version)),
        ApiKey::CreateTopics => broker(admin::create_in(decode(&mut frame, version)?)),
        ApiKey::InitProducerId => broker(admin::init_in(decode(&mut frame, version)?)),
        ApiKey::OffsetForLeaderEpoch => broker(offsets::epochs_in(decode(&mut frame, version)?)),
        other => return Err(CodecError::new(format!("{other:?} is not served"))),
    };
    Ok(Incoming { head, body })
}

fn broker(request: Request) -> Body {
    Body::Broker(Arc::new(request), true)
}

/// Writes the answer to a request, with its length.
pub fn encode_response(head: Head, response: &Response) -> Result<Bytes> {
    let version = head.version;
    match response {
        Response::Produce(r) => answer(head, &produce::response_out(r, version)),
        Response::Fetch(r) => answer(head, &fetch::response_out(r, version)),
        Response::ListOffsets(r) => answer(head, &offsets::list_out(r, version)),
        Response::Metadata(r) => answer(head, &metadata::response_out(r)),
        Response::CreateTopics(r) => answer(head, &admin::create_out(r, version)),
        Response::InitProducerId(r) => answer(head, &admin::init_out(r)),
        Response::OffsetForLeaderEpoch(r) => answer(head, &offsets::epochs_out(r)),
        other => Err(CodecError::new(format!("{:?} has no wire form here", other.api()))),
    }
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
    let keys = SERVED.iter().map(|api| {
        wire::api_versions_response::ApiVersion::default()
            .with_api_key(key_of(api.key))
            .with_min_version(api.advertised_from)
            .with_max_version(api.to)
    });
    let body = wire::ApiVersionsResponse::default()
        .with_error_code(error.code())
        .with_api_keys(keys.collect());
    answer(head, &body)
}

/// There are no coordinators: clients that ask keep asking, and assign partitions themselves.
fn find_coordinator(head: Head, frame: &mut Bytes) -> Result<Bytes> {
    let request: wire::FindCoordinatorRequest = decode(frame, head.version)?;
    let none = ErrorCode::CoordinatorNotAvailable.code();
    let mut body = wire::FindCoordinatorResponse::default();
    if head.version >= 4 {
        let coordinators = request.coordinator_keys.into_iter().map(|key| {
            wire::find_coordinator_response::Coordinator::default()
                .with_key(key)
                .with_node_id((-1).into())
                .with_port(-1)
                .with_error_code(none)
        });
        body.coordinators = coordinators.collect();
    } else {
        body.error_code = none;
        body.node_id = (-1).into();
        body.port = -1;
    }
    answer(head, &body)
}

/// The versions that both ends of an outbound connection speak.
#[derive(Clone, Debug, Default)]
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
    let ours = |key: i16| SERVED.iter().find(|api| key_of(api.key) == key);
    let both = |theirs: &wire::api_versions_response::ApiVersion| {
        let top = ours(theirs.api_key)?.to.min(theirs.max_version);
        Some((theirs.api_key, top))
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
    let version = version.ok_or_else(|| CodecError::new("the broker does not serve the API"))?;
    let header = wire::RequestHeader::default()
        .with_request_api_key(key)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(string(client_id)));
    let frame = match request {
        Request::Produce(r) => ask(&header, &produce::request_out(r)),
        Request::Fetch(r) => ask(&header, &fetch::request_out(r)),
        Request::ListOffsets(r) => ask(&header, &offsets::list_ask(r)),
        Request::Metadata(r) => ask(&header, &metadata::request_out(r)),
        Request::InitProducerId(r) => ask(&header, &admin::init_ask(r)),
        Request::OffsetForLeaderEpoch(r) => ask(&header, &offsets::epochs_ask(r)),
        other => Err(CodecError::new(format!("{:?} has no wire form here", other.api()))),
    };
    Ok((frame?, version))
}

fn ask<T: Encodable + HeaderVersion>(header: &wire::RequestHeader, body: &T) -> Result<Bytes> {
    let version = header.request_api_version;
    framed(header, T::header_version(version), body, version)
}

/// The correlation id of an answer, without its length.
pub fn correlation_of(frame: &Bytes) -> Result<i32> {
    frame
        .first_chunk()
        .map(|id| i32::from_be_bytes(*id))
        .ok_or_else(|| CodecError::new("cut short"))
}

/// Reads the answer to a request, without its length.
pub fn decode_response(request: &Request, version: i16, mut frame: Bytes) -> Result<Response> {
    let key = api_key(request.api())?;
    decode::<wire::ResponseHeader>(&mut frame, key.response_header_version(version))?;
    let frame = &mut frame;
    match request {
        Request::Produce(r) => Ok(produce::response_in(decode(frame, version)?, r, version)),
        Request::Fetch(r) => Ok(fetch::response_in(decode(frame, version)?, r, version)),
        Request::ListOffsets(r) => Ok(offsets::list_answer(decode(frame, version)?, r)),
        Request::Metadata(_) => Ok(metadata::response_in(decode(frame, version)?)),
        Request::InitProducerId(_) => Ok(admin::init_answer(decode(frame, version)?)),
        Request::OffsetForLeaderEpoch(r) => Ok(offsets::epochs_answer(decode(frame, version)?, r)),
        other => Err(CodecError::new(format!("{:?} has no wire form here", other.api()))),
    }
}

fn api_key(api: Api) -> Result<ApiKey> {
    let found = SERVED.iter().find(|served| format!("{:?}", served.key) == api.name());
    found.map(|served| served.key).ok_or_else(|| CodecError::new("no wire form here"))
}

fn key_of(key: ApiKey) -> i16 {
    let number = (0..100).find(|number| ApiKey::try_from(*number) == Ok(key));
    number.expect("every API has a number below 100")
}

fn string(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn uuid_out(id: Uuid) -> uuid::Uuid {
    uuid::Uuid::from_bytes(id.to_bytes())
}

fn uuid_in(id: uuid::Uuid) -> Uuid {
    Uuid::from_bytes(id.into_bytes())
}

/// How a request of the newer versions (`by_id`) or the older ones names its topic.
fn topic_in(name: &wire::TopicName, id: uuid::Uuid, by_id: bool) -> TopicRef {
    if by_id { TopicRef::Id(uuid_in(id)) } else { TopicRef::Name(name.0.as_str().into()) }
}

fn topic_out(topic: &TopicRef) -> (wire::TopicName, uuid::Uuid) {
    match topic {
        TopicRef::Name(name) => (string(name).into(), uuid::Uuid::nil()),
        TopicRef::Id(id) => (StrBytes::new().into(), uuid_out(*id)),
    }
}

/// Puts items of one topic together, topics and items in the order in which they come.
fn by_topic<T>(items: &[T], topic: impl Fn(&T) -> &TopicRef) -> Vec<(&TopicRef, Vec<&T>)> {
    let mut groups: Vec<(&TopicRef, Vec<&T>)> = Vec::new();
    for item in items {
        let of = topic(item);
        match groups.iter_mut().find(|(known, _)| *known == of) {
            Some((_, group)) => group.push(item),
            None => groups.push((of, vec![item])),
        }
    }
    groups
}

/// Answers in the order of what was asked: a broker groups them by topic.
fn in_order<A: Clone>(
    asked: impl Iterator<Item = (TopicRef, i32)>,
    answers: &[A],
    of: impl Fn(&A) -> (TopicRef, i32),
) -> Vec<A> {
    asked.filter_map(|key| answers.iter().find(|answer| of(answer) == key).cloned()).collect()
}

fn millis_in(millis: i32) -> seedlog::time::Duration {
    seedlog::time::Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

fn millis_out(duration: seedlog::time::Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
