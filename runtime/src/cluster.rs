//! A whole cluster in one process: controllers and brokers that talk in memory, and brokers'
//! sockets.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use seedlog::broker::{Broker, BrokerSetup};
use seedlog::config::{BrokerConfig, ControllerConfig, QuorumConfig, ServerConfig, Voter};
use seedlog::controller::{Controller, ControllerSetup};
use seedlog::defect::Defects;
use seedlog::format::MetaProperties;
use seedlog::ids::{CallId, Endpoint, NodeId, Uuid};
use seedlog::machine::{Effect, FileKey, Input};
use seedlog::message::raft::ReplicaKey;
use seedlog::op::Op;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::disk::Disk;
use crate::node::{Clock, Handle, Mail, Network, Node};
use crate::socket;

/// Controllers count from here: brokers and controllers share one number space.
const FIRST_CONTROLLER: i32 = 1_000_001;
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

/// Runs brokers 1..=n, on consecutive ports, and their controllers.
pub struct Cluster {
    port: u16,
    nodes: Arc<Mutex<BTreeMap<Endpoint, Handle>>>,
    clock: Clock,
    voters: Arc<[Voter]>,
    config: BrokerConfig,
    brokers: Vec<Slot>,
}

enum Slot {
    Up { handle: Handle, node: JoinHandle<Disk>, listener: JoinHandle<()> },
    Down(Disk),
}

/// Randomness of one incarnation.
pub fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    let source =
        std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut seed));
    source.expect("the system has randomness");
    seed
}

/// What the brokers of such a cluster are set to unless a user says otherwise.
pub fn defaults(brokers: u16) -> BrokerConfig {
    let replicas = i16::try_from(brokers.min(3)).expect("at most three");
    BrokerConfig {
        auto_create_topics: true,
        default_replication_factor: replicas,
        offsets_topic_replication_factor: replicas,
        transaction_log_replication_factor: replicas,
        transaction_log_min_isr: u32::from(brokers.min(2)),
        ..BrokerConfig::default()
    }
}

impl Cluster {
    /// Starts everything; the brokers serve once [`Self::ready`] says so.
    pub async fn start(
        brokers: u16,
        controllers: u16,
        port: u16,
        config: BrokerConfig,
    ) -> std::io::Result<Cluster> {
        let voters = (0..i32::from(controllers)).zip(1..).map(|(index, number)| Voter {
            key: ReplicaKey {
                node: NodeId(FIRST_CONTROLLER + index),
                directory: Uuid([0x5eed, 0, 0, number]),
            },
            endpoint: Endpoint { host: format!("controller-{number}").into(), port: 0 },
        });
        let mut cluster = Cluster {
            port,
            nodes: Arc::default(),
            clock: Clock::start(),
            voters: voters.collect(),
            config,
            brokers: (0..brokers).map(|_| Slot::Down(Disk::default())).collect(),
        };
        for index in 0..cluster.voters.len() {
            cluster.start_controller(index);
        }
        for number in 1..=cluster.brokers.len() {
            cluster.start_broker(number).await?;
        }
        Ok(cluster)
    }

    fn server(&self, node: NodeId, endpoint: Endpoint) -> ServerConfig {
        ServerConfig {
            node,
            cluster_id: "seedlog".into(),
            endpoint,
            rack: None,
            voters: Arc::clone(&self.voters),
            quorum: QuorumConfig::default(),
            defects: Defects::NONE,
        }
    }

    fn start_controller(&mut self, index: usize) {
        let Voter { key: ReplicaKey { node, directory }, endpoint } = self.voters[index].clone();
        let mut disk = Disk::default();
        let properties = MetaProperties { cluster_id: "seedlog".into(), node, directory };
        let formatted = Effect::Save { file: FileKey::MetaProperties, value: properties.encode() };
        disk.carry_out(formatted).expect("a disk keeps files");
        let setup = Arc::new(ControllerSetup {
            server: self.server(node, endpoint.clone()),
            controller: ControllerConfig {
                default_replication_factor: self.config.default_replication_factor,
                ..ControllerConfig::default()
            },
        });
        let (mail, inbox) = mpsc::unbounded_channel();
        let (returns, _) = mpsc::unbounded_channel();
        self.nodes.lock().expect("no panic").insert(endpoint, Handle::new(mail.clone()));
        let network = Network::Process(Arc::clone(&self.nodes));
        let node = Node::new(mail, disk, network, self.clock, |_| (true, String::new()), returns);
        let start = move |disk: &Disk, now, out: &mut _| {
            Controller::start(&setup, seed(), now, disk.survived(), out)
        };
        tokio::spawn(node.run(start, inbox));
    }

    fn endpoint(&self, number: usize) -> Endpoint {
        let offset = u16::try_from(number - 1).expect("brokers are few");
        Endpoint { host: "127.0.0.1".into(), port: self.port + offset }
    }

    /// Starts a broker over what its last incarnation left.
    pub async fn start_broker(&mut self, number: usize) -> std::io::Result<()> {
        let endpoint = self.endpoint(number);
        let Slot::Down(disk) = &mut self.brokers[number - 1] else { return Ok(()) };
        let listener = TcpListener::bind((&*endpoint.host, endpoint.port)).await?;
        let disk = std::mem::take(disk);
        let id = i32::try_from(number).expect("brokers are few");
        let setup = Arc::new(BrokerSetup {
            server: Arc::new(self.server(NodeId(id), endpoint.clone())),
            broker: self.config.clone(),
        });
        let (mail, inbox) = mpsc::unbounded_channel();
        let (returns, _) = mpsc::unbounded_channel();
        let handle = Handle::new(mail.clone());
        self.nodes.lock().expect("no panic").insert(endpoint, handle.clone());
        let network = Network::Process(Arc::clone(&self.nodes));
        let node = Node::new(mail, disk, network, self.clock, report, returns);
        let start = move |disk: &Disk, now, out: &mut _| {
            Broker::start(&setup, seed(), now, disk.survived(), out)
        };
        let node = tokio::spawn(node.run(start, inbox));
        let accepting = handle.clone();
        let listener = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(socket::serve(stream, accepting.clone()));
            }
        });
        self.brokers[number - 1] = Slot::Up { handle, node, listener };
        Ok(())
    }

    /// Shuts a broker down in order: it hands over what it leads, then stops.
    pub async fn stop_broker(&mut self, number: usize) {
        let slot = &mut self.brokers[number - 1];
        let Slot::Up { handle, mut node, listener } =
            std::mem::replace(slot, Slot::Down(Disk::default()))
        else {
            return;
        };
        let close = Input::Call { call: CallId(0), op: Arc::new(Op::Close) };
        let _ = handle.mail.send(Mail::Input(close));
        let disk = match tokio::time::timeout(SHUTDOWN_PATIENCE, &mut node).await {
            Ok(disk) => disk,
            Err(_) => {
                let _ = handle.mail.send(Mail::Stop);
                node.await
            }
        };
        listener.abort();
        let _ = listener.await;
        let endpoint = self.endpoint(number);
        self.nodes.lock().expect("no panic").remove(&endpoint);
        self.brokers[number - 1] = Slot::Down(disk.unwrap_or_default());
    }

    /// Ends a broker at once: nothing is kept when the whole cluster ends.
    pub fn stop_now(&mut self, number: usize) {
        if let Slot::Up { handle, node, listener } = &self.brokers[number - 1] {
            let _ = handle.mail.send(Mail::Stop);
            node.abort();
            listener.abort();
        }
    }

    pub fn runs(&self, number: usize) -> bool {
        matches!(self.brokers[number - 1], Slot::Up { .. })
    }

    /// How many brokers there are, running or not.
    pub fn len(&self) -> usize {
        self.brokers.len()
    }

    /// A line for each broker, and whether all of them serve.
    pub async fn status(&self) -> (bool, String) {
        let (mut all, mut lines) = (true, String::new());
        for (number, slot) in (1..).zip(&self.brokers) {
            let (serves, text) = match slot {
                Slot::Down(_) => (false, "stopped".to_owned()),
                Slot::Up { handle, .. } => {
                    let (ask, answer) = oneshot::channel();
                    let _ = handle.mail.send(Mail::Inspect(ask));
                    answer.await.unwrap_or((false, "failed".to_owned()))
                }
            };
            all &= serves;
            lines += &format!("broker {number} {}: {text}\n", self.endpoint(number));
        }
        (all, lines)
    }

    /// Waits until every broker serves.
    pub async fn ready(&self) {
        while !self.status().await.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn bootstrap(&self) -> String {
        let endpoints = (1..=self.len()).map(|number| self.endpoint(number).to_string());
        endpoints.collect::<Vec<_>>().join(",")
    }
}

fn report(broker: &Broker) -> (bool, String) {
    let (image, own) = (broker.image(), broker.setup().server.node);
    let known = image.brokers.get(&own).is_some_and(|broker| !broker.fenced);
    let led = image.topics.values().flat_map(|topic| {
        let partitions = topic.partitions.iter().zip(0..);
        let led = partitions.filter(|(partition, _)| partition.leader == own);
        led.map(|(_, index)| format!("{}-{index}", topic.name))
    });
    let led: Vec<String> = led.collect();
    let state = if known { "serving" } else { "starting" };
    (known, format!("{state}, leads [{}]", led.join(" ")))
}
