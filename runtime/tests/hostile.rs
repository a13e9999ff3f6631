//! Peers that send what no client sends: the broker hangs up on them and goes on serving.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use seedlog::record::{Builder, Compression, HEADER_BYTES, repack, verify};
use seedlog::time::Timestamp;

use crate::support::{Talker, cluster, cluster_with, run};

fn dial(bootstrap: &str) -> TcpStream {
    let first = bootstrap.split(',').next().expect("a list has a first");
    let stream = TcpStream::connect(first).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket has a timeout");
    stream
}

/// All that comes back until the broker hangs up, at the latest because no more bytes will come.
fn answer_to(bootstrap: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = dial(bootstrap);
    // The broker may hang up in the middle of it.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => answer,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => answer,
        Err(error) => panic!("the connection stays open: {error}"),
    }
}

fn frame(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let length = i32::try_from(10 + body.len()).expect("small");
    frame.extend(length.to_be_bytes());
    frame.extend(key.to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend([0, 0, 0, 7, 0xff, 0xff]);
    frame.extend(body);
    frame
}

fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// What is advertised: key, oldest and newest version.
fn served(bootstrap: &str) -> Vec<(i16, i16, i16)> {
    let mut stream = dial(bootstrap);
    stream.write_all(&frame(18, 0, &[])).expect("it reads");
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("it answers");
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).expect("a length")];
    stream.read_exact(&mut answer).expect("a whole answer");
    assert_eq!(answer[..6], [0, 0, 0, 7, 0, 0]);
    let rows = answer[10..].chunks_exact(6);
    rows.map(|row| (i16_at(row, 0), i16_at(row, 2), i16_at(row, 4))).collect()
}

fn all_serve(cluster: &mut Talker) {
    cluster.tell("status");
    for _ in 0..3 {
        let line = cluster.next();
        assert!(line.contains("serving"), "{line}");
    }
}

#[test]
fn garbage_in_any_version_of_any_api_costs_its_sender_the_connection_and_nobody_else() {
    let (mut cluster, bootstrap) = cluster_with(Stdio::null());
    let apis = served(&bootstrap);
    assert!(apis.len() >= 12, "{apis:?}");
    for (key, from, to) in apis {
        for version in from..=to {
            let mut bodies = vec![vec![]];
            bodies.extend([0, 0x7f, 0x80, 0xff].map(|byte| vec![byte; 64]));
            // The largest count, wherever the first lists may stand, after zeros and after nulls.
            for before in 0..24 {
                bodies.push([&vec![0; before][..], &[0x7f, 0xff, 0xff, 0xff]].concat());
                bodies.push([&vec![0; before][..], &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat());
                bodies.push([&[0xff, 0xff], &vec![0; before][..], &[0x7f; 4]].concat());
            }
            for body in bodies {
                answer_to(&bootstrap, &frame(key, version, &body));
            }
        }
        all_serve(&mut cluster);
    }
}

#[test]
fn frames_that_are_none_cost_their_sender_the_connection() {
    let (mut cluster, bootstrap) = cluster_with(Stdio::null());
    let metadata = frame(3, 1, &[0xff, 0xff, 0xff, 0xff]);
    assert!(!answer_to(&bootstrap, &metadata).is_empty(), "a good request is answered");
    let over_long = (100_i32 << 20) + 1;
    let hostile: [&[u8]; 9] = [
        &[],
        &[0, 0],
        &[0, 0, 0, 0],
        &[0, 0, 0, 4, 0, 3, 0, 1],
        &[0x80, 0, 0, 0, 0, 3, 0, 1],
        &[0xff, 0xff, 0xff, 0xff],
        &over_long.to_be_bytes(),
        &metadata[..metadata.len() - 1],
        // A client id that is longer than the frame.
        &[0, 0, 0, 10, 0, 3, 0, 1, 0, 0, 0, 7, 0x7f, 0xff],
    ];
    for bytes in hostile {
        assert!(answer_to(&bootstrap, bytes).is_empty(), "{bytes:?}");
    }
    for key in [-1, 4, 77, 999, i16::MAX] {
        assert!(answer_to(&bootstrap, &frame(key, 0, &[0; 16])).is_empty(), "API {key}");
    }
    for (key, _, to) in served(&bootstrap).into_iter().filter(|(key, ..)| *key != 18) {
        for version in [-1, to + 1, i16::MAX] {
            let answer = answer_to(&bootstrap, &frame(key, version, &[0; 16]));
            assert!(answer.is_empty(), "version {version} of API {key}");
        }
    }
    all_serve(&mut cluster);
}

#[cfg(target_os = "linux")]
#[test]
fn a_frame_that_promises_much_and_brings_nothing_reserves_nothing() {
    let (mut cluster, bootstrap) = cluster_with(Stdio::null());
    let promise = (100_i32 << 20).to_be_bytes();
    let mut waiting: Vec<TcpStream> = (0..200).map(|_| dial(&bootstrap)).collect();
    waiting.iter_mut().for_each(|stream| stream.write_all(&promise).expect("it reads"));
    all_serve(&mut cluster);
    let status = format!("/proc/{}/status", cluster.process.id());
    let status = std::fs::read_to_string(status).expect("a process has a status");
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).expect("its size");
    let kib: u64 = size.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(kib < 4 << 20, "200 promises of 100 MiB took {kib} KiB of addresses");
}

#[test]
fn api_versions_of_the_future_leave_the_connection_open() {
    let (_cluster, bootstrap) = cluster();
    for version in [5, 6, 99, i16::MAX] {
        let asked = [frame(18, version, &[0x7f; 40]), frame(18, 0, &[])].concat();
        let answer = answer_to(&bootstrap, &asked);
        let length = usize::try_from(i16_at(&answer, 2)).expect("a length");
        assert_eq!(answer[4..10], [0, 0, 0, 7, 0, 35], "UNSUPPORTED_VERSION in the oldest form");
        let next = &answer[4 + length..];
        assert_eq!(next[4..10], [0, 0, 0, 7, 0, 0], "and the next request is answered");
        assert_eq!(next[10..], answer[10..4 + length], "with the same list");
    }
}

#[test]
fn a_batch_that_cannot_be_opened_is_one_clear_line() {
    let (_cluster, bootstrap) = cluster();
    let seedlog = env!("CARGO_BIN_EXE_seedlog");
    let at = ["--bootstrap", &bootstrap, "--topic", "broken"];
    run(seedlog, &[&["produce"][..], &at].concat(), "good\n");
    let mut builder = Builder::new();
    builder.append(Timestamp(1), None, Some(b"lost"));
    let good = builder.build();
    let header = verify(&good).expect("whole");
    let bad = repack(&header, Compression::Zstd, &good[HEADER_BYTES..]);
    let length = |bytes: &[u8]| i32::try_from(bytes.len()).expect("small").to_be_bytes();
    // Produce 3: no transactional id, acks=all, 5 s, one topic, its partition 0. One of the three
    // leads.
    let mut body = vec![0xff, 0xff, 0xff, 0xff, 0, 0, 0x13, 0x88, 0, 0, 0, 1, 0, 6];
    body.extend(b"broken\0\0\0\x01\0\0\0\0");
    body.extend(length(&bad));
    body.extend(&bad[..]);
    let stored = bootstrap.split(',').filter(|broker| {
        let mut stream = dial(broker);
        stream.write_all(&frame(0, 3, &body)).expect("it reads");
        let mut answer = [0; 50];
        stream.read_exact(&mut answer).expect("it answers");
        // Length, correlation id, one topic, its name, one partition, its index, its error.
        i16_at(&answer, 4 + 4 + 4 + 2 + 6 + 4 + 4) == 0
    });
    assert_eq!(stored.count(), 1);
    let mut consume = Command::new(seedlog);
    consume.arg("consume").args(at).args(["--from-beginning", "--count", "2"]);
    let output = consume.output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0\t0\tnull\tgood\n");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let start = "seedlog: topic broken cannot be read on: partition 0, offset 1: zstd: ";
    assert!(error.starts_with(start) && error.lines().count() == 1, "{error}");
}
