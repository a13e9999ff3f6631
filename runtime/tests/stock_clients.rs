//! Clients that know nothing of seedlog: Debian's kcat and Python's confluent-kafka against
//! `seedlog up`. Where they cannot be installed, a test says so and passes.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// A process that speaks in lines; ended when dropped.
struct Talker {
    process: Child,
    says: Lines<BufReader<ChildStdout>>,
    hears: Option<ChildStdin>,
}

impl Talker {
    fn start(command: &mut Command) -> Talker {
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let says = BufReader::new(process.stdout.take().expect("piped")).lines();
        let hears = process.stdin.take();
        Talker { process, says, hears }
    }

    fn tell(&mut self, line: &str) {
        let hears = self.hears.as_mut().expect("piped");
        writeln!(hears, "{line}").expect("it listens");
    }

    fn next(&mut self) -> String {
        self.says.next().expect("it goes on").expect("it speaks text")
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

static TURN: AtomicU16 = AtomicU16::new(0);

/// A cluster of three, and its bootstrap list.
fn cluster() -> (Talker, String) {
    // Three ports in a row, below those that the system gives to clients: a client that dials a
    // stopped broker must not end up on its port.
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let first = u16::try_from(std::process::id() % 1_000).expect("below a thousand") * 10;
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let port = (0..100)
        .map(|step| 20_000 + (first + turn * 10 + step * 100) % 10_000)
        .find(|port| (0..3).all(|next| free(port + next)))
        .expect("there are three free ports");
    let mut command = Command::new(env!("CARGO_BIN_EXE_seedlog"));
    command.args(["up", "--brokers", "3", "--controllers", "3", "--port", &port.to_string()]);
    let mut cluster = Talker::start(&mut command);
    let line = cluster.next();
    let bootstrap = line.strip_prefix("bootstrap: ").expect("the first line").to_owned();
    (cluster, bootstrap)
}

fn succeeds(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Says why on the process's own standard error: the test harness keeps what a passing test prints.
fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

fn kcat() -> Option<&'static str> {
    let installed = || succeeds("kcat", &["-V"]);
    let install =
        || succeeds("apt-get", &["update"]) && succeeds("apt-get", &["install", "-y", "kcat"]);
    if installed() || (install() && installed()) {
        return Some("kcat");
    }
    skipped("kcat is not installed, and apt-get cannot install it here");
    None
}

/// A Python that has confluent-kafka, in an environment of its own if need be.
fn python() -> Option<String> {
    let import = ["-c", "import confluent_kafka"];
    if succeeds("python3", &import) {
        return Some("python3".to_owned());
    }
    let room = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("confluent");
    let python = room.join("bin/python3").display().to_string();
    let made = || succeeds("python3", &["-m", "venv", &room.display().to_string()]);
    let install = || succeeds(&python, &["-m", "pip", "install", "-q", "confluent-kafka"]);
    if succeeds(&python, &import) || (made() && install() && succeeds(&python, &import)) {
        return Some(python);
    }
    skipped("Python's confluent-kafka is not installed, and pip cannot install it here");
    None
}

fn run(program: &str, args: &[&str], input: &str) -> String {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.spawn().expect("it starts");
    process.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads its input");
    let output = process.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{program} {args:?}");
    String::from_utf8(output.stdout).expect("text")
}

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
