//! Kafka's wire protocol for the APIs that stock clients need: frames, headers, versions.
//!
//! The messages are the core's; [`kafka_protocol`] lays out the bytes of each version. A connection
//! that breaks the rules is closed, as Kafka does.
//!
//! - `table`: the APIs, their versions, and how each is read and written;
//! - `shape`: what a request must look like before it is decoded;
//! - `convert`: values and lists of the core and of the wire; one file per API family beside it.

mod commit;
mod configs;
mod consumer_group;
mod convert;
mod fetch;
mod group;
mod metadata;
mod offsets;
mod produce;
mod shape;
mod table;
#[cfg(test)]
mod tests;
mod topics;
mod transaction;

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages as wire;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};
use seedlog::error::ErrorCode;
use seedlog::message::produce::Acks;
use seedlog::message::{Request, Response};
use wire::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};

use self::convert::Asks;
use self::shape::{Shape, TEXT, Walk};
use self::table::TABLE;
use crate::cluster::seed;

/// Bytes that are no message of a version that is spoken.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CodecError(String);

impl CodecError {
    fn new(why: impl std::fmt::Display) -> Self {
        CodecError(why.to_string())
    }

    fn cut() -> Self {
        CodecError::new("a message that ends too early")
    }
}

pub type Result<T> = std::result::Result<T, CodecError>;

/// ApiVersions never reaches the core: its number, its newest version, and its request since
/// version 3.
const API_VERSIONS: i16 = 18;
const API_VERSIONS_TO: i16 = 4;
const API_VERSIONS_SHAPE: Shape = &[TEXT, TEXT];

/// The level of the feature of that name (KIP-890): clients that know it leave it to the brokers to
/// enrol partitions and groups, and get a new epoch with each transaction.
const TRANSACTION_VERSION: i16 = 2;

/// A request as it came off the wire, and what its answer needs to know of it.
pub struct Incoming {
    pub head: Head,
    pub body: Body,
}

#[derive(Clone, Copy, Debug)]
pub struct Head {
    key: i16,
    version: i16,
    correlation: i32,
    asks: Asks,
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

/// Reads a request without its length, from a client at that host.
pub fn decode_request(mut frame: Bytes, host: &Arc<str>) -> Result<Incoming> {
    if frame.len() < 8 {
        return Err(CodecError::cut());
    }
    let mut peek = &frame[..];
    let (key, version, correlation) = (peek.get_i16(), peek.get_i16(), peek.get_i32());
    let mut head = Head { key, version, correlation, asks: Asks::default() };
    if key == API_VERSIONS {
        let body = Body::Answered(versions_asked(head, frame)?);
        return Ok(Incoming { head, body });
    }
    let (alter_configs, to, shape) = configs::ALTER_CONFIGS;
    if key == alter_configs && (0..=to).contains(&version) {
        let header = wire::AlterConfigsRequest::header_version(version);
        walk(&frame, version, header, shape)?;
        decode::<wire::RequestHeader>(&mut frame, header)?;
        let request = configs::altered(decode(&mut frame, version)?, version);
        let body = Body::Broker(Arc::new(Request::IncrementalAlterConfigs(request)));
        return Ok(Incoming { head: Head { key: 44, version: version / 2, ..head }, body });
    }
    let row = table::by_key(key).filter(|row| row.serves(version));
    let row = row
        .ok_or_else(|| CodecError::new(format!("version {version} of API {key} is not served")))?;
    let header = (row.request_header)(version);
    walk(&frame, version, header, row.shape)?;
    let client = decode::<wire::RequestHeader>(&mut frame, header)?.client_id;
    let (mut request, asks) = (row.read_request)(&mut frame, version)?;
    head.asks = asks;
    let client = || client.as_deref().unwrap_or_default().into();
    if let Request::JoinGroup(join) = &mut request {
        (join.client_id, join.client_host) = (client(), Arc::clone(host));
        // The oldest version has one timeout for both.
        if version == 0 {
            join.rebalance_timeout = join.session_timeout;
        }
    } else if let Request::ConsumerGroupHeartbeat(beat) = &mut request {
        (beat.client_id, beat.client_host) = (client(), Arc::clone(host));
        // KIP-1082: the oldest version leaves the id to the broker.
        if version == 0 && beat.member_epoch == 0 && beat.member.is_empty() {
            let id = *seed().first_chunk().expect("it is longer");
            beat.member = uuid::Uuid::from_bytes(id).to_string().into();
        }
    }
    Ok(Incoming { head, body: Body::Broker(Arc::new(request)) })
}

/// Whether everything is there that a request announces.
fn walk(frame: &Bytes, version: i16, header: i16, shape: Shape) -> Result<()> {
    let mut walk = Walk::new(&frame[8..], version, header >= 2);
    walk.header()?;
    walk.body(shape)
}

/// Writes the answer to a request, with its length.
pub fn encode_response(head: Head, response: &Response) -> Result<Bytes> {
    let row = table::by_key(head.key).expect("it was asked");
    (row.write_response)(head, response)
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

fn versions_asked(head: Head, mut frame: Bytes) -> Result<Bytes> {
    if !(0..=API_VERSIONS_TO).contains(&head.version) {
        // KIP-511: a version from the future is told in the oldest form what there is.
        return api_versions(Head { version: 0, ..head }, ErrorCode::UnsupportedVersion);
    }
    let header = wire::ApiVersionsRequest::header_version(head.version);
    let shape = if head.version >= 3 { API_VERSIONS_SHAPE } else { &[] };
    walk(&frame, head.version, header, shape)?;
    decode::<wire::RequestHeader>(&mut frame, header)?;
    let request: wire::ApiVersionsRequest = decode(&mut frame, head.version)?;
    let names = [request.client_software_name, request.client_software_version];
    if head.version >= 3 && !names.iter().all(|name| is_software_name(name)) {
        let body = wire::ApiVersionsResponse::default();
        return answer(head, &body.with_error_code(ErrorCode::InvalidRequest.code()));
    }
    api_versions(head, ErrorCode::None)
}

/// KIP-511: letters, digits, and between them dots and hyphens.
fn is_software_name(name: &str) -> bool {
    let plain = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    let within = bytes.iter().all(|byte| plain(Some(byte)) || matches!(byte, b'.' | b'-'));
    within && plain(bytes.first()) && plain(bytes.last())
}

/// Features are told from version 4 on: they are tagged fields, over which librdkafka before 2.2.0
/// stumbles in version 3, and no librdkafka asks with a newer one.
fn api_versions(head: Head, error: ErrorCode) -> Result<Bytes> {
    let rows = TABLE.iter().map(|row| (row.key, row.advertised, row.to));
    let (alter_configs, altered_to, _) = configs::ALTER_CONFIGS;
    let others = [(API_VERSIONS, 0, API_VERSIONS_TO), (alter_configs, 0, altered_to)];
    let keys = rows.chain(others).map(|(key, from, to)| {
        ApiVersion::default().with_api_key(key).with_min_version(from).with_max_version(to)
    });
    let mut body = wire::ApiVersionsResponse::default().with_api_keys(keys.collect());
    if head.version >= 4 {
        let name = || convert::string("transaction.version");
        let supported = SupportedFeatureKey::default().with_name(name());
        let finalized = FinalizedFeatureKey::default().with_name(name());
        body.supported_features = vec![supported.with_max_version(TRANSACTION_VERSION)];
        body.finalized_features = vec![
            finalized
                .with_max_version_level(TRANSACTION_VERSION)
                .with_min_version_level(TRANSACTION_VERSION),
        ];
        body.finalized_features_epoch = 0;
    }
    answer(head, &body.with_error_code(error.code()))
}

/// The newest version of each API that both ends of an outbound connection speak.
pub struct Versions(Vec<(i16, i16)>);

/// The first request on an outbound connection.
pub fn ask_versions() -> Result<Bytes> {
    let header = wire::RequestHeader::default().with_request_api_key(API_VERSIONS);
    framed(&header, 1, &wire::ApiVersionsRequest::default(), 0)
}

/// Reads the answer to [`ask_versions`], without its length.
pub fn learn_versions(mut frame: Bytes) -> Result<Versions> {
    decode::<wire::ResponseHeader>(&mut frame, 0)?;
    let response: wire::ApiVersionsResponse = decode(&mut frame, 0)?;
    let both = |theirs: &ApiVersion| {
        let ours = table::by_key(theirs.api_key)?;
        Some((theirs.api_key, ours.to.min(theirs.max_version)))
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
    let row = table::by_api(request.api())?;
    let version = versions.0.iter().find(|(known, _)| *known == row.key).map(|(_, top)| *top);
    let version = version.filter(|version| row.serves(*version));
    let unknown = || CodecError::new(format!("no common version of {}", row.api.name()));
    let version = version.ok_or_else(unknown)?;
    let header = wire::RequestHeader::default()
        .with_request_api_key(row.key)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(convert::string(client_id)));
    Ok(((row.write_request)(&header, request)?, version))
}

fn ask<T: Encodable + HeaderVersion>(header: &wire::RequestHeader, body: &T) -> Result<Bytes> {
    let version = header.request_api_version;
    framed(header, T::header_version(version), body, version)
}

/// The correlation id of an answer, without its length.
pub fn correlation_of(frame: &Bytes) -> Result<i32> {
    let id = frame.first_chunk().ok_or_else(CodecError::cut)?;
    Ok(i32::from_be_bytes(*id))
}

/// Reads the answer to a request, without its length.
pub fn decode_response(request: &Request, version: i16, mut frame: Bytes) -> Result<Response> {
    let row = table::by_api(request.api())?;
    let mut response = (row.read_response)(&mut frame, version)?;
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
