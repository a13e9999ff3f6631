//! The command line: what a user has got wrong is said in one line, and ends the process.

use std::fs::File;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Talker, cluster, free_ports};

/// A port that nobody listens on.
const NOBODY: &str = "127.0.0.1:1";

fn seedlog(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seedlog"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What it says and how it ends, which it does within that time.
fn ends(command: &mut Command, within: Duration) -> (Option<i32>, String) {
    let started = Instant::now();
    let Output { status, stderr, .. } = command.output().expect("it starts");
    let said = String::from_utf8(stderr).expect("text");
    assert!(started.elapsed() < within, "{:?}: {said}", started.elapsed());
    (status.code(), said)
}

fn soon(command: &mut Command) -> (Option<i32>, String) {
    ends(command, Duration::from_secs(20))
}

#[test]
fn a_setting_that_is_none_is_a_usage_error_that_says_how_to_mend_it() {
    let table = [
        ("foo", "'foo' for '--set <NAME=VALUE>': expected NAME=VALUE"),
        ("num.partition=3", "unknown setting; did you mean \"num.partitions\"?"),
        ("log.retention.ms=5", "topics have that one: give them \"retention.ms\""),
        ("num.partitions=no", "num.partitions = \"no\": expected a number"),
        ("offsets.topic.replication.factor=5", "there are 3 replicas at most"),
        ("transaction.state.log.min.isr=5", "transaction.state.log.min.isr = 5: there are 3"),
    ];
    for (setting, said) in table {
        let (code, error) = soon(&mut seedlog(&["up", "--set", setting]));
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains(said), "{error}");
    }
    for client in ["produce", "consume"] {
        let mistake = ["--topic", "t", "--set", "retry.backof.ms=1"];
        let (code, error) = soon(&mut seedlog(&[&[client][..], &mistake].concat()));
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains("did you mean \"retry.backoff.ms\"?"), "{error}");
        let (code, error) = soon(&mut seedlog(&[client, "--topic", "t", "--bootstrap", "here"]));
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains("\"here\": expected host:port"), "{error}");
    }
    let help = seedlog(&["up", "--help"]).output().expect("it starts").stdout;
    assert!(String::from_utf8(help).expect("text").contains("offsets.retention.minutes"));
}

#[test]
fn where_nobody_answers_the_clients_say_so_once_and_end() {
    let refused = format!("seedlog: {NOBODY}: Connection refused (os error 111)\n");
    let idle = ["--bootstrap", NOBODY, "--topic", "t", "--idle-seconds", "2"];
    let (code, said) = soon(&mut seedlog(&[&["consume"][..], &idle].concat()));
    assert_eq!(code, Some(1));
    assert_eq!(said, format!("{refused}seedlog: no broker answers\n"));
    let brief = ["--bootstrap", NOBODY, "--topic", "t", "--set", "delivery.timeout.ms=2000"];
    let mut producer = seedlog(&[&["produce"][..], &brief].concat());
    // Its input does not end.
    let mut producer = producer.stdin(Stdio::piped()).spawn().expect("it starts");
    let mut input = producer.stdin.take().expect("piped");
    std::io::Write::write_all(&mut input, b"a\nb\n").expect("it reads");
    let output = producer.wait_with_output().expect("it ends");
    drop(input);
    assert_eq!(output.status.code(), Some(1));
    let gave_up = "seedlog: 2 records were not acknowledged: REQUEST_TIMED_OUT\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), format!("{refused}{gave_up}"));
}

#[test]
fn a_topic_whose_name_is_none_fails_at_once() {
    let (_cluster, bootstrap) = cluster();
    let at = ["--bootstrap", &bootstrap, "--topic", "bad name!"];
    let mut producer =
        Talker::start(seedlog(&[&["produce"][..], &at].concat()).stderr(Stdio::inherit()));
    producer.tell("a");
    assert_eq!(producer.process.wait().expect("it ends").code(), Some(1));
    let (code, said) = soon(&mut seedlog(&[&["consume"][..], &at].concat()));
    assert_eq!(code, Some(1));
    assert_eq!(said, "seedlog: no topic \"bad name!\": INVALID_TOPIC_EXCEPTION\n");
}

#[test]
fn the_end_of_its_output_stops_the_cluster_and_a_full_disk_is_an_error() {
    let up = || {
        let port = free_ports(1).to_string();
        seedlog(&["up", "--brokers", "1", "--port", &port])
    };
    // Its input stays open, or it would end for that.
    let mut cluster = up().stdin(Stdio::piped()).spawn().expect("it starts");
    let input = cluster.stdin.take();
    drop(cluster.stdout.take());
    let output = cluster.wait_with_output().expect("it ends");
    drop(input);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let full = File::options().write(true).open("/dev/full").expect("Linux has one");
    let (code, said) = soon(up().stdout(full));
    assert_eq!(code, Some(2));
    assert!(said.starts_with("seedlog: the output cannot be written: "), "{said}");
}

#[test]
fn the_console_says_what_is_so_already() {
    let (mut cluster, _) = cluster();
    for (command, answer) in [
        ("broker start 1", "broker 1 is started already"),
        ("broker stop 2", "broker 2 stopped"),
        ("broker stop 2", "broker 2 is stopped already"),
        ("broker start 2", "broker 2 started"),
        ("broker start 2", "broker 2 is started already"),
        ("broker stop 4", "no broker 4: there are 1 to 3"),
    ] {
        cluster.tell(command);
        assert_eq!(cluster.next(), answer);
    }
}
