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

/// A cluster whose brokers, from 1 on, are stopped and started.
pub trait Brokers {
    fn stop(&mut self, broker: usize);
    fn start(&mut self, broker: usize);
}

/// A cluster of seedlog's, by the commands that it takes.
impl Brokers for Talker {
    fn stop(&mut self, broker: usize) {
        self.tell(&format!("broker stop {broker}"));
        assert_eq!(self.next(), format!("broker {broker} stopped"));
    }

    fn start(&mut self, broker: usize) {
        self.tell(&format!("broker start {broker}"));
        assert_eq!(self.next(), format!("broker {broker} started"));
    }
}

/// Does with the cluster what the clients say, once all of them say it, until they say `end`.
pub fn obey(cluster: &mut dyn Brokers, clients: &mut [Talker]) {
    loop {
        let lines: Vec<String> = clients.iter_mut().map(Talker::next).collect();
        assert!(lines.iter().all(|line| *line == lines[0]), "{lines:?}");
        let words: Vec<&str> = lines[0].split(' ').collect();
        match &words[..] {
            ["broker", "stop", broker] => cluster.stop(broker.parse().expect("a number")),
            ["broker", "start", broker] => cluster.start(broker.parse().expect("a number")),
            _ => assert_eq!(words, ["end"]),
        }
        clients.iter_mut().for_each(|client| client.tell("done"));
        if words == ["end"] {
            break;
        }
    }
    for client in clients {
        assert!(client.process.wait().expect("it ends").success());
    }
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

/// The first of some ports in a row, below those that the system gives to clients: a client that
/// dials a stopped broker must not end up on its port.
pub fn free_ports(count: u16) -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let first = u16::try_from(std::process::id() % 1_000).expect("below a thousand") * 10;
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    (0..100)
        .map(|step| 20_000 + (first + turn * 10 + step * 100) % 10_000)
        .find(|port| (0..count).all(|next| free(port + next)))
        .expect("there are free ports")
}

pub fn cluster_set(settings: &[&str], complaints: Stdio) -> (Talker, String) {
    let port = free_ports(3);
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

/// Forbids the tests to install what they lack.
const NO_INSTALL: &str = "SEEDLOG_TEST_NO_INSTALL";

/// A step of an installation: whether it may be taken, and succeeds.
pub fn installs(program: &str, args: &[&str]) -> bool {
    std::env::var_os(NO_INSTALL).is_none() && succeeds(program, args)
}

/// Why a test is skipped that lacks something.
pub fn lacks(what: &str, installer: &str) -> String {
    match std::env::var_os(NO_INSTALL) {
        Some(_) => format!("there is no {what} here, and {NO_INSTALL} is set"),
        None => format!("there is no {what} here, and {installer} cannot install it"),
    }
}

/// Says why on the process's own standard error: the test harness keeps what a passing test prints.
pub fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

pub fn kcat() -> Option<&'static str> {
    let installed = || succeeds("kcat", &["-V"]);
    let install =
        || installs("apt-get", &["update"]) && installs("apt-get", &["install", "-y", "kcat"]);
    if installed() || (install() && installed()) {
        return Some("kcat");
    }
    skipped(&lacks("kcat", "apt-get"));
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
    let made = || installs("python3", &["-m", "venv", &room.display().to_string()]);
    let install = || installs(&python, &["-m", "pip", "install", "-q", "confluent-kafka"]);
    if succeeds(&python, &import) || (made() && install() && succeeds(&python, &import)) {
        return Some(python);
    }
    skipped(&lacks("confluent-kafka for Python", "pip"));
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
