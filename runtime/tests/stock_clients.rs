//! Clients that know nothing of seedlog: Debian's kcat and Python's confluent-kafka against
//! `seedlog up`. Where they cannot be installed, a test says so and passes.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::{Talker, cluster, kcat, python, run};

#[test]
fn kcat_reads_back_what_it_was_told_is_stored() {
    let Some(kcat) = kcat() else { return };
    let (_cluster, bootstrap) = cluster();
    let mut expected = String::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let lines: String = (0..50).map(|i| format!("k{i}:{codec}-{i}\n")).collect();
        let all = ["-X", "acks=all", "-X", "enable.idempotence=true", "-z", codec];
        let to = ["-P", "-b", &bootstrap, "-t", "orders", "-K:", "-H", "codec=x"];
        run(kcat, &[&to[..], &all[..]].concat(), &lines);
        expected.extend((0..50).map(|i| format!("k{i} {codec}-{i} codec=x\n")));
    }
    // -Z: an empty value is null, which has length -1.
    run(kcat, &["-P", "-b", &bootstrap, "-t", "orders", "-K:", "-Z"], "gone:\n");
    expected.push_str("gone  \n");
    let from = ["-C", "-b", &bootstrap, "-t", "orders", "-o", "beginning", "-e", "-q"];
    let read = run(kcat, &[&from[..], &["-f", "%k %s %h\n"]].concat(), "");
    assert_eq!(read, expected);
    let sizes = run(kcat, &[&from[..], &["-f", "%S\n"]].concat(), "");
    assert_eq!(sizes.lines().last(), Some("-1"));
}

#[test]
fn kcat_loses_and_repeats_nothing_while_its_leader_stops() {
    let Some(kcat) = kcat() else { return };
    let (mut cluster, bootstrap) = cluster();
    let lines: Vec<String> = (0..600).map(|i| format!("spend {i}")).collect();
    // The topic's only partition has a leader before the run begins.
    run(kcat, &["-P", "-b", &bootstrap, "-t", "spends"], "first\n");
    let listed = run(kcat, &["-L", "-b", &bootstrap, "-t", "spends"], "");
    let leader = listed.lines().find_map(|line| {
        let leader = line.trim().strip_prefix("partition 0, leader ")?;
        leader.split(',').next()
    });
    let leader = leader.expect("kcat names the leader");
    let mut producer = Command::new(kcat);
    producer.args(["-P", "-E", "-b", &bootstrap, "-t", "spends", "-X", "acks=all"]);
    producer.args(["-X", "enable.idempotence=true", "-X", "linger.ms=2"]);
    let mut producer = Talker::start(&mut producer);
    let said = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for line in &lines {
                producer.tell(line);
                said.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(5));
            }
            producer.hears = None;
        });
        while said.load(Ordering::Relaxed) < 200 {
            thread::sleep(Duration::from_millis(1));
        }
        cluster.tell(&format!("broker stop {leader}"));
        assert_eq!(cluster.next(), format!("broker {leader} stopped"));
        assert!(said.load(Ordering::Relaxed) < lines.len(), "the run goes on");
    });
    // It ends when nothing is left unanswered.
    assert!(producer.process.wait().expect("it ends").success());
    let from = ["-C", "-b", &bootstrap, "-t", "spends", "-o", "beginning", "-e", "-q"];
    let read = run(kcat, &from, "");
    let expected = ["first".to_owned()].into_iter().chain(lines);
    assert!(read.lines().eq(expected), "in order and once: {read}");
}

#[test]
fn kcat_and_the_cores_own_clients_open_each_others_batches() {
    let Some(kcat) = kcat() else { return };
    let (_cluster, bootstrap) = cluster();
    let seedlog = env!("CARGO_BIN_EXE_seedlog");
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        let lines: String = (0..500).map(|i| format!("{codec} of a line, {i}\n")).collect();
        run(kcat, &["-P", "-b", &bootstrap, "-t", codec, "-z", codec], &lines);
        let at = ["--bootstrap", &bootstrap, "--topic", codec];
        run(seedlog, &[&["produce", "--compression", codec][..], &at].concat(), &lines);
        let expected = lines.repeat(2);
        let args = ["consume", "--from-beginning", "--count", "1000"];
        let read = run(seedlog, &[&args[..], &at].concat(), "");
        let values = read.lines().map(|line| line.rsplit('\t').next().unwrap_or_default());
        assert!(values.eq(expected.lines()), "{codec} by kcat");
        let args = ["-C", "-b", &bootstrap, "-t", codec, "-o", "beginning", "-e", "-q"];
        assert!(run(kcat, &args, "") == expected, "{codec} by seedlog");
    }
}

#[test]
fn confluent_kafka_loses_and_repeats_nothing_while_leaders_stop() {
    let Some(python) = python() else { return };
    let (mut cluster, bootstrap) = cluster();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/confluent.py");
    let mut client = Talker::start(Command::new(python).args([script, &bootstrap]));
    let mut stopped = 0;
    loop {
        let line = client.next();
        let words: Vec<&str> = line.split(' ').collect();
        match &words[..] {
            ["stop", leader] => {
                stopped += 1;
                cluster.tell(&format!("broker stop {leader}"));
                assert_eq!(cluster.next(), format!("broker {leader} stopped"));
            }
            ["start", leader] => {
                cluster.tell(&format!("broker start {leader}"));
                assert_eq!(cluster.next(), format!("broker {leader} started"));
                client.tell("started");
            }
            ["done"] => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stopped, 2);
    assert!(client.process.wait().expect("it ends").success());
}

#[test]
fn the_cores_own_clients_speak_the_same_protocol() {
    let (mut cluster, bootstrap) = cluster();
    let seedlog = env!("CARGO_BIN_EXE_seedlog");
    let at = ["--bootstrap", &bootstrap, "--topic", "own"];
    let lines: String = (0..1_000).map(|i| format!("key:{i}\n")).collect();
    run(seedlog, &[&["produce"][..], &at, &["--key-separator", ":"]].concat(), &lines);
    let ends = ["--from-beginning", "--count", "1000"];
    let read = run(seedlog, &[&["consume"][..], &at, &ends].concat(), "");
    let expected: String = (0..1_000).map(|i| format!("0\t{i}\tkey\t{i}\n")).collect();
    assert_eq!(read, expected);
    let mut whole = expected;
    for (number, codec) in (1..).zip(["gzip", "snappy", "lz4", "zstd"]) {
        let args = ["--key-separator", ":", "--compression", codec];
        run(seedlog, &[&["produce"][..], &at, &args].concat(), &lines);
        whole.extend((0..1_000).map(|i| format!("0\t{}\tkey\t{i}\n", number * 1_000 + i)));
    }
    let read = run(
        seedlog,
        &[&["consume"][..], &at, &["--from-beginning", "--count", "5000"]].concat(),
        "",
    );
    assert!(read == whole, "what was compressed reads back");
    cluster.tell("status");
    let status: Vec<String> = (0..3).map(|_| cluster.next()).collect();
    assert!(status.iter().all(|line| line.contains("serving")), "{status:?}");
    cluster.tell("nonsense");
    assert!(cluster.next().starts_with("unknown command"));
}

#[test]
fn the_end_of_its_input_stops_the_cluster() {
    let (mut cluster, _) = cluster();
    cluster.hears = None;
    assert!(cluster.process.wait().expect("it ends").success());
}
