//! An Apache Kafka beside seedlog, and what the scripts that stop brokers find there.
//!
//! Maven fetches it; `SEEDLOG_TEST_KAFKA=host:port,..` names one that runs for the tests that stop
//! nothing.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::peers::{Asker, jars, room};
use crate::support::{BRISK, Brokers, Talker, free_ports, obey, skipped, succeeds};
use crate::transactions::{PACED, each_output_once};

const KAFKA_HERE: &str = "SEEDLOG_TEST_KAFKA";
/// Any id of 16 bytes in base64.
const CLUSTER_ID: &str = "c2VlZGxvZy1wZWVycy0tMQ";

/// An Apache Kafka; what was started here ends when this is dropped.
pub struct Kafka {
    pub bootstrap: String,
    nodes: Vec<Node>,
}

struct Node {
    port: u16,
    room: PathBuf,
    process: Child,
}

impl Kafka {
    /// One that runs already, or one of a single node.
    pub fn find() -> Option<Kafka> {
        if let Ok(bootstrap) = std::env::var(KAFKA_HERE) {
            return Some(Kafka { bootstrap, nodes: Vec::new() });
        }
        Kafka::start(1)
    }

    fn start(nodes: u16) -> Option<Kafka> {
        let jars = jars()?;
        let port = free_ports(nodes * 2);
        let start = |number| {
            let room = room().join(format!("kafka-{}", port + number));
            let _ = fs::remove_dir_all(&room);
            fs::create_dir_all(&room).expect("the room is ours");
            let settings = room.join("server.properties").display().to_string();
            let written = fs::write(&settings, properties(number, nodes, port, &room));
            written.expect("the room is ours");
            let format = ["format", "-t", CLUSTER_ID, "-c", &settings];
            let storage = [&["-cp", jars, "kafka.tools.StorageTool"][..], &format].concat();
            assert!(succeeds("java", &storage), "a new Kafka can be formatted");
            Node { port: port + number, process: spawn(jars, &room), room }
        };
        let nodes: Vec<Node> = (0..nodes).map(start).collect();
        let bootstrap = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
        let bootstrap = bootstrap.collect::<Vec<_>>().join(",");
        nodes.iter().for_each(Node::wait);
        Some(Kafka { bootstrap, nodes })
    }
}

impl Brokers for Kafka {
    fn stop(&mut self, broker: usize) {
        let process = &mut self.nodes[broker - 1].process;
        assert!(succeeds("kill", &[&process.id().to_string()]));
        let _ = process.wait();
    }

    fn start(&mut self, broker: usize) {
        let node = &mut self.nodes[broker - 1];
        node.process = spawn(jars().expect("it ran before"), &node.room);
        node.wait();
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            let _ = node.process.kill();
            let _ = node.process.wait();
            let _ = fs::remove_dir_all(&node.room);
        }
    }
}

impl Node {
    fn wait(&self) {
        let patience = Instant::now() + Duration::from_secs(120);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < patience, "Kafka serves");
            thread::sleep(Duration::from_millis(200));
        }
    }
}

fn spawn(jars: &str, room: &Path) -> Child {
    let mut kafka = Command::new("java");
    kafka.args(["-Xmx512m", "-cp", jars, "kafka.Kafka"]).arg(room.join("server.properties"));
    kafka.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    kafka.spawn().expect("Java starts")
}

/// Of the node of that index: brokers listen from the first port on, controllers behind them.
fn properties(index: u16, nodes: u16, first: u16, room: &Path) -> String {
    let voters = (0..nodes).map(|node| format!("{}@127.0.0.1:{}", node + 1, first + nodes + node));
    let (port, controller) = (first + index, first + nodes + index);
    format!(
        "process.roles=broker,controller\n\
         node.id={}\n\
         controller.quorum.voters={}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\n\
         log.dirs={}\n\
         offsets.topic.replication.factor={nodes}\n\
         offsets.topic.num.partitions=5\n\
         transaction.state.log.replication.factor={nodes}\n\
         transaction.state.log.num.partitions=5\n\
         transaction.state.log.min.isr={}\n\
         group.consumer.min.heartbeat.interval.ms=500\n\
         {}\n",
        index + 1,
        voters.collect::<Vec<_>>().join(","),
        room.join("log").display(),
        nodes.min(2),
        BRISK.join("\n")
    )
}

/// Both clients at once, and each with groups, transactions and a pipeline: a Kafka takes longer
/// to stop and to start than all that they ask of it.
#[test]
fn apache_kafkas_groups_and_pipelines_survive_the_same() {
    let clients = [
        (Asker::confluent("survive.py"), Asker::confluent("pipeline.py"), "confluent-"),
        (Asker::java("Survive"), Asker::java("Pipeline"), "java-"),
    ];
    let found = clients
        .into_iter()
        .filter_map(|(groups, pipeline, prefix)| Some((groups?, pipeline?, prefix)));
    let clients: Vec<(Asker, Asker, &str)> = found.collect();
    if clients.is_empty() || std::env::var(KAFKA_HERE).is_ok() {
        return skipped("no Apache Kafka whose brokers may be stopped");
    }
    let Some(mut kafka) = Kafka::start(3) else { return };
    let bootstrap = kafka.bootstrap.clone();
    let start = |(groups, _, prefix): &(Asker, Asker, &str)| groups.start(&bootstrap, prefix, &[]);
    let mut groups: Vec<Talker> = clients.iter().map(start).collect();
    let (outputs, first) = mpsc::channel();
    thread::scope(|scope| {
        for (_, pipeline, prefix) in &clients {
            let (bootstrap, outputs) = (&bootstrap, outputs.clone());
            scope.spawn(move || {
                each_output_once(pipeline, bootstrap, prefix, &PACED, |_| {
                    let _ = outputs.send(());
                });
            });
        }
        drop(outputs);
        // Brokers stop while outputs come.
        for _ in &clients {
            first.recv().expect("a pipeline runs");
        }
        obey(&mut kafka, &mut groups);
    });
}
