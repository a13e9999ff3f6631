//! Every version that is served can be written and read back, and no bytes do harm.

mod groups;
mod requests;
mod responses;
mod transactions;

use proptest::prelude::*;
use seedlog::ids::{NodeId, TopicRef, Uuid};
use seedlog::message::metadata::{MetadataRequest, MetadataResponse};

use super::table::Row;
use super::*;

const HOST: &str = "/192.0.2.1";

fn decode_request(frame: Bytes) -> Result<Incoming> {
    super::decode_request(frame, &HOST.into())
}

/// A message as a version can say it, and the first version that says all of it.
type Sample<T> = (fn(i16) -> T, i16);

fn topic(version: i16, ids_from: i16) -> TopicRef {
    if version < ids_from { TopicRef::Name("orders".into()) } else { TopicRef::Id(Uuid([7; 4])) }
}

/// Every version of every API, with its request, whether that says all of it, and its frame.
fn requests() -> Vec<(&'static Row, i16, Request, bool, Bytes)> {
    let mut all = Vec::new();
    for row in TABLE {
        let samples = [requests::REQUESTS, groups::REQUESTS, transactions::REQUESTS].concat();
        let sample = samples.iter().find(|(request, _)| request(row.to).api() == row.api);
        let (request, whole_from) = sample.unwrap_or_else(|| panic!("{:?}", row.api));
        for version in row.from..=row.to {
            let request = request(version);
            let versions = Versions(vec![(row.key, version)]);
            let frame = encode_request(&versions, 9, "client", &request);
            let (frame, _) = frame.unwrap_or_else(|e| panic!("{:?} {version}: {e}", row.api));
            all.push((row, version, request, version >= *whole_from, frame.slice(4..)));
        }
    }
    all
}

#[test]
fn every_served_version_of_a_request_is_walked_to_its_end_and_reads_back() {
    for (row, version, request, whole, frame) in requests() {
        let api = row.api;
        let mut walk = Walk::new(&frame[8..], version, (row.request_header)(version) >= 2);
        walk.header().and_then(|()| walk.body(row.shape)).expect("all is there");
        assert!(walk.rest().is_empty(), "{api:?} {version}: {:?} is left", walk.rest());
        let incoming = decode_request(frame).unwrap_or_else(|e| panic!("{api:?} {version}: {e}"));
        let Body::Broker(back) = incoming.body else { panic!("{api:?} is for the core") };
        assert!(!whole || *back == request, "{api:?} {version}: {back:?}");
    }
}

/// What a client of that version reads of an answer.
fn over_the_wire(key: i16, version: i16, response: &Response) -> Response {
    let row = table::by_key(key).expect("it is served");
    let written =
        encode_response(Head { key, version, correlation: 9, asks: Asks::default() }, response);
    let mut frame = written.expect("it can be written").split_off(4);
    (row.read_response)(&mut frame, version).expect("it can be read")
}

#[test]
fn every_served_version_of_an_answer_reads_back() {
    for row in TABLE {
        let samples = [responses::RESPONSES, groups::RESPONSES, transactions::RESPONSES].concat();
        let sample = samples.iter().find(|(response, _)| response(row.to).api() == row.api);
        let (response, whole_from) = sample.unwrap_or_else(|| panic!("{:?}", row.api));
        for version in row.from..=row.to {
            let what = format!("{:?} {version}", row.api);
            let (response, head) = (
                response(version),
                Head { key: row.key, version, correlation: 9, asks: Asks::default() },
            );
            let bytes = encode_response(head, &response);
            let mut frame = bytes.unwrap_or_else(|e| panic!("{what}: {e}")).split_off(4);
            assert_eq!(correlation_of(&frame).expect("a header"), 9);
            let back = (row.read_response)(&mut frame, version);
            let back = back.unwrap_or_else(|e| panic!("{what}: {e}"));
            assert!(frame.is_empty(), "{what}");
            assert!(version < *whole_from || back == response, "{what}: {back:?}");
        }
    }
}

/// A request of AlterConfigs for one topic, with these values.
fn alter_configs(version: i16, values: &[(&str, &str)]) -> Bytes {
    use wire::alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let header = wire::RequestHeader::default().with_request_api_key(33);
    let header = header.with_request_api_version(version);
    let set = |(name, value): &(&str, &str)| {
        let value = Some(convert::string(value));
        AlterableConfig::default().with_name(convert::string(name)).with_value(value)
    };
    let topic = AlterConfigsResource::default().with_resource_type(2);
    let topic = topic.with_resource_name(convert::string("orders"));
    let topic = topic.with_configs(values.iter().map(set).collect());
    let request = wire::AlterConfigsRequest::default().with_resources(vec![topic]);
    ask(&header, &request).expect("it can be written").slice(4..)
}

#[test]
fn alter_configs_sets_what_it_names_and_takes_back_the_rest() {
    use seedlog::message::admin::ConfigChange;
    for version in 0..=2 {
        let frame = alter_configs(version, &[("retention.ms", "5"), ("no.such", "1")]);
        for cut in 0..frame.len() {
            assert!(decode_request(frame.slice(..cut)).is_err(), "{version} cut to {cut} bytes");
        }
        let Incoming { head, body } = decode_request(frame).expect("it is served");
        let Body::Broker(request) = body else { panic!("it is for the core") };
        let Request::IncrementalAlterConfigs(request) = &*request else { panic!("{request:?}") };
        let changes = &request.resources[0].1;
        let found = |name: &str| {
            let changes = changes.iter().filter(|change| *change.name == *name);
            changes.map(|change| change.change.clone()).collect::<Vec<_>>()
        };
        assert_eq!(found("retention.ms"), [ConfigChange::Set("5".into())]);
        assert_eq!(found("no.such"), [ConfigChange::Set("1".into())]);
        assert_eq!(found("cleanup.policy"), [ConfigChange::Delete]);
        assert_eq!(found("num.partitions"), []);
        // The answer is read as AlterConfigs' own.
        let (answer, _) = responses::RESPONSES
            .iter()
            .find(|(answer, _)| matches!(answer(0), Response::IncrementalAlterConfigs(_)))
            .expect("there is a sample");
        let mut bytes = encode_response(head, &answer(0)).expect("it can be written").split_off(4);
        type Answer = wire::AlterConfigsResponse;
        let header = Answer::header_version(version);
        let read = decode::<wire::ResponseHeader>(&mut bytes, header).expect("a header");
        assert_eq!(read.correlation_id, head.correlation);
        let Response::IncrementalAlterConfigs(sample) = answer(0) else { panic!("by its API") };
        let answer: Answer = decode(&mut bytes, version).expect("an answer");
        assert!(bytes.is_empty());
        let codes: Vec<i16> = answer.responses.iter().map(|one| one.error_code).collect();
        let sent: Vec<i16> = sample.resources.iter().map(|one| one.1.code()).collect();
        assert_eq!(codes, sent);
    }
}

#[test]
fn a_request_that_is_cut_anywhere_is_refused() {
    for (row, version, _, _, frame) in requests() {
        for cut in 0..frame.len() {
            let read = decode_request(frame.slice(..cut));
            assert!(read.is_err(), "{:?} {version} cut to {cut} bytes", row.api);
        }
    }
}

#[test]
fn no_length_anywhere_reserves_what_is_not_there() {
    let lengths: [&[u8]; 5] = [
        &[0x7f, 0xff, 0xff, 0xff],
        &[0xff, 0xff, 0xff, 0xfe],
        &[0x7f, 0xff],
        &[0x80, 0x00],
        &[0xff, 0xff, 0xff, 0xff, 0x0f],
    ];
    for (_, _, _, _, frame) in requests() {
        for at in 8..frame.len() {
            for length in lengths {
                // In place of as many bytes, or of one, as a varint would stand there.
                for end in [at + length.len().min(frame.len() - at), at + 1] {
                    let hostile = [&frame[..at], length, &frame[end..]].concat();
                    let _ = decode_request(hostile.into());
                }
            }
        }
    }
}

#[test]
fn a_request_of_more_items_than_it_may_hold_is_refused() {
    let ask = |count: usize| {
        let topics = Some(vec![TopicRef::Name("".into()); count]);
        let ask = MetadataRequest { topics, allow_auto_topic_creation: false };
        let versions = Versions(vec![(3, 9)]);
        let (frame, _) = encode_request(&versions, 1, "client", &Request::Metadata(ask))?;
        decode_request(frame.slice(4..)).map(|_| ())
    };
    // Each topic counts.
    assert!(ask((1 << 18) - 1).is_ok());
    let refused = ask((1 << 18) + 1).expect_err("too many");
    assert_eq!(refused.to_string(), "more items than a request may hold");
}

fn answered(request: &'static [u8]) -> Bytes {
    let Body::Answered(answer) = decode_request(request.into()).expect("answered").body else {
        panic!("the broker is not asked")
    };
    answer
}

#[test]
fn api_versions_from_the_future_are_answered_in_the_oldest_form() {
    let answer = answered(&[0, 18, 0, 99, 0, 0, 0, 5, 0xff, 0xff]);
    assert_eq!(answer[4..10], [0, 0, 0, 5, 0, 35], "correlation id, then UNSUPPORTED_VERSION");
}

#[test]
fn features_are_told_where_no_client_stumbles_over_them() {
    let name: &[u8] = b"transaction.version";
    let told = |version: u8| {
        let ask = [0, 18, 0, version, 0, 0, 0, 5, 0xff, 0xff, 0, 2, b'k', 2, b'1', 0];
        let Ok(Incoming { body: Body::Answered(answer), .. }) =
            decode_request(Bytes::copy_from_slice(&ask))
        else {
            panic!("the broker is not asked")
        };
        answer.windows(name.len()).filter(|part| *part == name).count()
    };
    assert_eq!([told(3), told(4)], [0, 2], "as supported and as finalized");
}

#[test]
fn a_client_software_name_that_is_none_is_an_invalid_request() {
    let good = answered(&[0, 18, 0, 3, 0, 0, 0, 5, 0xff, 0xff, 0, 2, b'k', 2, b'1', 0]);
    assert_eq!(good[4..10], [0, 0, 0, 5, 0, 0]);
    let bad = answered(&[0, 18, 0, 3, 0, 0, 0, 5, 0xff, 0xff, 0, 2, b'-', 2, b'1', 0]);
    assert_eq!(bad[4..], [0, 0, 0, 5, 0, 42, 1, 0, 0, 0, 0, 0], "INVALID_REQUEST and no API");
}

#[test]
fn a_client_that_asks_what_it_may_do_is_told_in_the_answer_only() {
    // Metadata 8 of no topic: may topics be made, what may be done with the cluster, and with each.
    let asks = |cluster, each| {
        let frame = [0, 3, 0, 8, 0, 0, 0, 5, 0xff, 0xff, 0, 0, 0, 0, 0, cluster, each];
        decode_request(Bytes::copy_from_slice(&frame)).expect("good").head
    };
    assert_eq!(asks(0, 1).asks, Asks { cluster: false, each: true });
    let ends_in = |head| {
        let metadata = MetadataResponse {
            cluster_id: "c".into(),
            controller: NodeId(1),
            brokers: Vec::new(),
            topics: Vec::new(),
        };
        let answer = encode_response(head, &Response::Metadata(metadata)).expect("good");
        i32::from_be_bytes(*answer.last_chunk().expect("long enough"))
    };
    assert_eq!((ends_in(asks(0, 0)), ends_in(asks(1, 0))), (i32::MIN, 8096));
}

#[test]
fn what_is_only_advertised_is_refused() {
    let produce_2 = Bytes::from_static(&[0, 0, 0, 2, 0, 0, 0, 5, 0xff, 0xff]);
    assert!(decode_request(produce_2).is_err());
    assert!(decode_request(Bytes::from_static(&[0, 0])).is_err());
}

proptest! {
    #[test]
    fn garbage_behind_any_header_is_refused_or_read(
        row in 0..TABLE.len(), version in 0..20_i16,
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let (key, version) = (TABLE[row].key.to_be_bytes(), version.to_be_bytes());
        let header = [&key[..], &version, &[0, 0, 0, 1, 0xff, 0xff]].concat();
        let _ = decode_request([&header[..], &bytes].concat().into());
        let _ = decode_request(bytes.into());
    }
}
