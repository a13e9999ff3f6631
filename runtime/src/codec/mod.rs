//! Kafka's wire protocol for the APIs that stock clients need: frames, headers, versions.
//!
//! The messages are the core's; [`kafka_protocol`] lays out the bytes of each version. A connection
//! that breaks the rules is closed, as Kafka does.
#![expect(clippy::wildcard_enum_match_arm, reason = "the protocol has many more APIs")]

mod admin;
mod convert;
mod fetch;
mod metadata;
mod offsets;
mod produce;

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{self as wire, ApiKey};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};
use seedlog::error::ErrorCode;
use seedlog::message::produce::Acks;
use seedlog::message::{Api, Request, Response};
use wire::api_versions_response::ApiVersion;

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

/// What is served: the oldest version that is advertised, the oldest and the newest that are spoken.
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
    let request = match key {
        ApiKey::ApiVersions => {
            let body = Body::Answered(api_versions(head, ErrorCode::None)?);
            return Ok(Incoming { head, body });
        }
        ApiKey::FindCoordinator => {
            let body = Body::Answered(find_coordinator(head, decode(frame, version)?)?);
            return Ok(Incoming { head, body });
        }
        ApiKey::Produce => Request::Produce(produce::request_in(decode(frame, version)?, version)?),
        ApiKey::Fetch => Request::Fetch(fetch::request_in(decode(frame, version)?, version)),
        ApiKey::ListOffsets => Request::ListOffsets(offsets::list_in(decode(frame, version)?)),
        ApiKey::Metadata => {
            Request::Metadata(metadata::request_in(decode(frame, version)?, version))
        }
        ApiKey::CreateTopics => Request::CreateTopics(admin::create_in(&decode(frame, version)?)),
        ApiKey::InitProducerId => {
            Request::InitProducerId(produce::init_in(decode(frame, version)?))
        }
        ApiKey::OffsetForLeaderEpoch => {
            Request::OffsetForLeaderEpoch(offsets::epochs_in(decode(frame, version)?))
        }
        other => return Err(CodecError::not_served(other)),
    };
    Ok(Incoming { head, body: Body::Broker(Arc::new(request)) })
}

/// Writes the answer to a request, with its length.
pub fn encode_response(head: Head, response: &Response) -> Result<Bytes> {
    let version = head.version;
    match response {
        Response::Produce(r) => answer(head, &produce::response_out(r.clone(), version)),
        Response::Fetch(r) => answer(head, &fetch::response_out(r.clone(), version)),
        Response::ListOffsets(r) => answer(head, &offsets::list_out(r.clone(), version)),
        Response::Metadata(r) => answer(head, &metadata::response_out(r)),
        Response::CreateTopics(r) => answer(head, &admin::create_out(r)),
        Response::InitProducerId(r) => answer(head, &produce::init_out(r)),
        Response::OffsetForLeaderEpoch(r) => answer(head, &offsets::epochs_out(r)),
        other => Err(CodecError::not_served(other.api())),
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
    let frame = match request {
        Request::Produce(r) => ask(&header, &produce::request_out(r)),
        Request::Fetch(r) => ask(&header, &fetch::request_out(r)),
        Request::ListOffsets(r) => ask(&header, &offsets::list_ask(r)),
        Request::Metadata(r) => ask(&header, &metadata::request_out(r)),
        Request::InitProducerId(r) => ask(&header, &produce::init_ask(r)),
        Request::OffsetForLeaderEpoch(r) => ask(&header, &offsets::epochs_ask(r)),
        other => Err(CodecError::not_served(other.api())),
    };
    Ok((frame?, version))
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
    let key = api_key(request.api())?;
    let frame = &mut frame;
    decode::<wire::ResponseHeader>(frame, key.response_header_version(version))?;
    Ok(match request {
        Request::Produce(r) => {
            Response::Produce(produce::response_in(decode(frame, version)?, r, version))
        }
        Request::Fetch(r) => {
            Response::Fetch(fetch::response_in(decode(frame, version)?, r, version))
        }
        Request::ListOffsets(r) => {
            Response::ListOffsets(offsets::list_answer(decode(frame, version)?, r))
        }
        Request::Metadata(_) => Response::Metadata(metadata::response_in(&decode(frame, version)?)),
        Request::InitProducerId(_) => {
            Response::InitProducerId(produce::init_answer(&decode(frame, version)?))
        }
        Request::OffsetForLeaderEpoch(r) => {
            Response::OffsetForLeaderEpoch(offsets::epochs_answer(decode(frame, version)?, r))
        }
        other => return Err(CodecError::not_served(other.api())),
    })
}

fn api_key(api: Api) -> Result<ApiKey> {
    let found = SERVED.iter().find(|(key, ..)| format!("{key:?}") == api.name());
    found.map(|(key, ..)| *key).ok_or_else(|| CodecError::not_served(api))
}

fn key_of(key: ApiKey) -> i16 {
    let number = (0..100).find(|number| ApiKey::try_from(*number) == Ok(key));
    number.expect("every API has a number below 100")
}
