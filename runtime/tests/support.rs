//! Processes that the tests talk to: a cluster, and clients that may have to be installed first.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// A process that speaks in lines; ended when dropped.
pub struct Talker {
    pub process: Child,
    says: Lines<BufReader<ChildStdout>>,
    pub hears: Option<ChildStdin>,
}

impl Talker {
    pub fn start(command: &mut Command) -> Talker {
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let says = BufReader::new(process.stdout.take().expect("piped")).lines();
        let hears = process.stdin.take();
        Talker { process, says, hears }
    }

    pub fn tell(&mut self, line: &str) {
        let hears = self.hears.as_mut().expect("piped");
        writeln!(hears, "{line}").expect("it listens");
    }

    pub fn next(&mut self) -> String {
        self.says.next().expect("it goes on").expect("it speaks text")
    }
}

/// Does with the cluster what the client says, until it says `end`.
pub fn obey(cluster: &mut Talker, client: &mut Talker) {
    loop {
        let line = client.next();
        if line == "end" {
            break client.tell("done");
        }
        cluster.tell(&line);
        let done = cluster.next();
        assert!(["stopped", "started"].iter().any(|word| done.ends_with(word)), "{done}");
        client.tell("done");
    }
    assert!(client.process.wait().expect("it ends").success());
}

impl Drop for Talker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

static TURN: AtomicU16 = AtomicU16::new(0);

/// Keeps no client waiting longer than it must.
pub const BRISK: &[&str] = &[
    "broker.heartbeat.interval.ms=500",
    "group.initial.rebalance.delay.ms=0",
    "group.consumer.heartbeat.interval.ms=500",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms=500",
];

/// A cluster of three, and its bootstrap list. What it complains of goes to `complaints`.
pub fn cluster_with(complaints: Stdio) -> (Talker, String) {
    cluster_set(&[], complaints)
}

pub fn cluster_set(settings: &[&str], complaints: Stdio) -> (Talker, String) {
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
    command.args(settings.iter().flat_map(|setting| ["--set", setting]));
    let mut cluster = Talker::start(command.stderr(complaints));
    let line = cluster.next();
    let bootstrap = line.strip_prefix("bootstrap: ").expect("the first line").to_owned();
    (cluster, bootstrap)
}

pub fn cluster() -> (Talker, String) {
    cluster_with(Stdio::inherit())
}

pub fn succeeds(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Says why on the process's own standard error: the test harness keeps what a passing test prints.
pub fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

pub fn kcat() -> Option<&'static str> {
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
pub fn python() -> Option<String> {
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

pub fn run(program: &str, args: &[&str], input: &str) -> String {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.spawn().expect("it starts");
    process.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads its input");
    let output = process.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{program} {args:?}");
    String::from_utf8(output.stdout).expect("text")
}
