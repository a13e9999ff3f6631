//! Builds a world from a scenario: every process with its settings, every server's disk formatted.

use std::sync::Arc;

use bytes::Bytes;
use seedlog::broker::BrokerSetup;
use seedlog::client::{AdminSetup, ConsumerSetup, GroupSetup, ProducerSetup, SPACE};
use seedlog::config::{ServerConfig, Voter};
use seedlog::controller::ControllerSetup;
use seedlog::defect::Defect;
use seedlog::format::MetaProperties;
use seedlog::ids::{Endpoint, NodeId, Uuid};
use seedlog::machine::FileKey;
use seedlog::message::raft::ReplicaKey;

use super::{Process, Setup};
use crate::app::HostSetup;
use crate::scenario::script::{Names, Role, Who};
use crate::scenario::{CONTROLLER_BASE, Scenario};
use crate::world::{self, NetworkFaults, ProcessId, Seed, World, WorldConfig};

/// Who is who among the processes of a world. Fixed for a run.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub brokers: u32,
    pub controllers: u32,
    pub producers: u32,
    pub consumers: u32,
    pub stores: u32,
    pub feeds: u32,
    pub apps: u32,
}

/// The cluster id that every disk is formatted with.
const CLUSTER_ID: &str = "seedlog";

impl Cluster {
    #[must_use]
    pub fn of(scenario: &Scenario) -> Self {
        Cluster {
            brokers: scenario.cluster.brokers,
            controllers: scenario.cluster.controllers,
            producers: scenario.workload.producers,
            consumers: scenario.workload.consumers,
            stores: u32::from(scenario.store.is_some()),
            feeds: scenario.feed_processes(),
            apps: scenario.app_processes(),
        }
    }

    /// The names that scripts may use.
    #[must_use]
    pub fn names(&self) -> Names {
        Names {
            brokers: self.brokers,
            controllers: self.controllers,
            producers: self.producers,
            consumers: self.consumers,
            stores: self.stores,
            feeds: self.feeds,
            apps: self.apps,
        }
    }

    /// How many processes come before those of this role.
    fn base(&self, role: Role) -> u32 {
        match role {
            Role::Broker => 0,
            Role::Controller => self.brokers,
            Role::Producer => self.brokers + self.controllers,
            Role::Consumer => self.brokers + self.controllers + self.producers,
            Role::Admin => self.base(Role::Consumer) + self.consumers,
            Role::Store => self.base(Role::Admin) + 1,
            Role::Feed => self.base(Role::Store) + self.stores,
            Role::App => self.base(Role::Feed) + self.feeds,
        }
    }

    #[must_use]
    pub fn count(&self, role: Role) -> u32 {
        match role {
            Role::Broker => self.brokers,
            Role::Controller => self.controllers,
            Role::Producer => self.producers,
            Role::Consumer => self.consumers,
            Role::Admin => 1,
            Role::Store => self.stores,
            Role::Feed => self.feeds,
            Role::App => self.apps,
        }
    }

    #[must_use]
    pub fn process(&self, who: Who) -> ProcessId {
        ProcessId(self.base(who.role) + who.number - 1)
    }

    #[must_use]
    pub fn who(&self, process: ProcessId) -> Who {
        let roles = [
            Role::App,
            Role::Feed,
            Role::Store,
            Role::Admin,
            Role::Consumer,
            Role::Producer,
            Role::Controller,
            Role::Broker,
        ];
        let role = roles.into_iter().find(|role| process.0 >= self.base(*role));
        let role = role.expect("brokers begin at zero");
        Who { role, number: process.0 - self.base(role) + 1 }
    }

    pub fn all(&self, role: Role) -> impl Iterator<Item = ProcessId> + use<> {
        let base = self.base(role);
        (base..base + self.count(role)).map(ProcessId)
    }

    /// Brokers and controllers.
    pub fn servers(&self) -> impl Iterator<Item = ProcessId> + use<> {
        (0..self.brokers + self.controllers).map(ProcessId)
    }

    /// Everybody but brokers and controllers: producers, consumers, the admin client, stores, feeds
    /// and applications.
    pub fn clients(&self) -> impl Iterator<Item = ProcessId> + use<> {
        (self.base(Role::Producer)..self.processes()).map(ProcessId)
    }

    pub fn everybody(&self) -> impl Iterator<Item = ProcessId> + use<> {
        (0..self.processes()).map(ProcessId)
    }

    fn processes(&self) -> u32 {
        self.base(Role::App) + self.apps
    }

    #[must_use]
    pub fn admin(&self) -> ProcessId {
        ProcessId(self.base(Role::Admin))
    }

    /// A server's node id.
    #[must_use]
    pub fn node(&self, process: ProcessId) -> Option<NodeId> {
        let who = self.who(process);
        let number = i32::try_from(who.number).expect("few processes");
        match who.role {
            Role::Broker => Some(NodeId(number)),
            Role::Controller => Some(NodeId(CONTROLLER_BASE + number)),
            Role::Producer
            | Role::Consumer
            | Role::Admin
            | Role::Store
            | Role::Feed
            | Role::App => None,
        }
    }

    /// The process of a node id.
    #[must_use]
    pub fn of_node(&self, node: NodeId) -> Option<ProcessId> {
        let number = |id: i32| u32::try_from(id).ok().filter(|number| *number > 0);
        let who = match number(node.0 - CONTROLLER_BASE) {
            Some(number) => Who { role: Role::Controller, number },
            None => Who { role: Role::Broker, number: number(node.0)? },
        };
        (who.number <= self.count(who.role)).then(|| self.process(who))
    }

    /// What formatting writes on a server's disk. A new disk gets a new directory id each time.
    #[must_use]
    pub fn format(&self, seed: Seed, process: ProcessId, times_formatted: u64) -> Option<Bytes> {
        let node = self.node(process)?;
        let directory = directory(seed, node, times_formatted);
        Some(MetaProperties { cluster_id: CLUSTER_ID.into(), node, directory }.encode())
    }
}

fn directory(seed: Seed, node: NodeId, times_formatted: u64) -> Uuid {
    let entity = u64::try_from(node.0).expect("nodes have positive ids");
    let bytes = seed.bytes("directory", entity, times_formatted);
    let mut rng = seedlog::rng::Rng::new(bytes);
    let mut uuid = [0; 16];
    uuid[..8].copy_from_slice(&rng.next_u64().to_be_bytes());
    uuid[8..].copy_from_slice(&rng.next_u64().to_be_bytes());
    Uuid::from_bytes(uuid)
}

fn endpoint(name: &str) -> Endpoint {
    Endpoint { host: name.into(), port: 9092 }
}

/// A ratio as the world draws it.
#[must_use]
pub fn world_ratio(ratio: crate::scenario::value::Ratio) -> world::Ratio {
    let shrink = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    world::Ratio::new(shrink(ratio.numerator), shrink(ratio.denominator))
}

/// A span as the world draws it.
#[must_use]
pub fn world_span(span: crate::scenario::value::Span) -> world::Span {
    world::Span::new(span.low, span.high)
}

/// Networks and disks before any fault.
#[must_use]
pub fn world_config(scenario: &Scenario) -> WorldConfig {
    let mut config = WorldConfig::default();
    config.network =
        NetworkFaults { latency: world_span(scenario.network.delay), ..config.network };
    config.disk.flush = world_span(scenario.disk.flush);
    config.disk.save = world_span(scenario.disk.save);
    config.disk.load = world_span(scenario.disk.load);
    config.disk.torn_saves = scenario.defects.has(Defect::CheckpointNotFsynced);
    config
}

/// A world with all processes of a scenario, all of them down, and who is who.
#[must_use]
pub fn build(scenario: &Scenario, seed: Seed) -> (World<Process>, Cluster) {
    let cluster = Cluster::of(scenario);
    let mut world = World::new(seed, world_config(scenario));
    for process in cluster.everybody() {
        let name = cluster.who(process).to_string();
        let added = world.add(&name, setup(scenario, &cluster, seed, process));
        assert_eq!(added, process, "processes are numbered in the order of adding");
        if let Some(format) = cluster.format(seed, process, 0) {
            world.format(process, FileKey::MetaProperties, format);
        }
    }
    (world, cluster)
}

fn setup(scenario: &Scenario, cluster: &Cluster, seed: Seed, process: ProcessId) -> Setup {
    let who = cluster.who(process);
    let client_id: Arc<str> = who.to_string().into();
    let bootstrap: Arc<[Endpoint]> = cluster
        .all(Role::Broker)
        .map(|broker| endpoint(&cluster.who(broker).to_string()))
        .collect();
    let defects = scenario.defects;
    match who.role {
        Role::Broker => Setup::Broker(Arc::new(BrokerSetup {
            server: server(scenario, cluster, seed, process),
            broker: scenario.broker.clone(),
        })),
        Role::Controller => Setup::Controller(Arc::new(ControllerSetup {
            server: Arc::unwrap_or_clone(server(scenario, cluster, seed, process)),
            controller: scenario.controller.clone(),
        })),
        Role::Producer | Role::Feed => Setup::Producer(Arc::new(ProducerSetup {
            client_id,
            bootstrap,
            config: scenario.producer.clone(),
            defects,
            partitioner: None,
            transactional_id: transactional_id(scenario, who),
            space: SPACE,
        })),
        Role::Consumer => Setup::Consumer(Arc::new(ConsumerSetup {
            client_id,
            bootstrap,
            config: scenario.consumer.clone(),
            group: group(scenario, who),
            defects,
            space: SPACE,
        })),
        Role::App | Role::Store => {
            let (table, instance) = scenario.cast(who).expect("its processes were counted");
            let store = cluster.all(Role::Store).next().filter(|_| table.store);
            Setup::App(Arc::new(HostSetup {
                client_id,
                instance,
                bootstrap,
                store: store.map(|store| endpoint(&cluster.who(store).to_string())),
                defects,
                table: Arc::clone(table),
            }))
        }
        Role::Admin => Setup::Admin(Arc::new(AdminSetup {
            client_id,
            bootstrap,
            config: scenario.admin.clone(),
            defects,
        })),
    }
}

/// The transactional id of a producer, if it has one.
fn transactional_id(scenario: &Scenario, who: Who) -> Option<Arc<str>> {
    let transactions = scenario.transactions.as_ref()?;
    if who.role == Role::Producer { transactions.id(who.number - 1) } else { None }
}

/// The group of a consumer, if it is a member of one.
fn group(scenario: &Scenario, who: Who) -> Option<GroupSetup> {
    let group = scenario.group.as_ref().filter(|group| who.number <= group.members)?;
    let instance = group.instance(who.number - 1, &who.to_string());
    Some(GroupSetup { id: Arc::clone(&group.id), instance, assignor: scenario.assignor })
}

fn server(
    scenario: &Scenario,
    cluster: &Cluster,
    seed: Seed,
    process: ProcessId,
) -> Arc<ServerConfig> {
    let who = cluster.who(process);
    let node = cluster.node(process).expect("a server has a node id");
    let voters = cluster.all(Role::Controller).map(|controller| {
        let node = cluster.node(controller).expect("a controller has a node id");
        let key = ReplicaKey { node, directory: directory(seed, node, 0) };
        Voter { key, endpoint: endpoint(&cluster.who(controller).to_string()) }
    });
    let racks = &scenario.cluster.racks;
    let index = usize::try_from(who.number - 1).expect("few processes");
    let rack = match who.role {
        Role::Broker if !racks.is_empty() => Some(racks[index % racks.len()].as_str().into()),
        Role::Broker
        | Role::Controller
        | Role::Producer
        | Role::Consumer
        | Role::Admin
        | Role::Store
        | Role::Feed
        | Role::App => None,
    };
    Arc::new(ServerConfig {
        node,
        cluster_id: CLUSTER_ID.into(),
        endpoint: endpoint(&who.to_string()),
        rack,
        voters: voters.collect(),
        quorum: scenario.quorum.clone(),
        defects: scenario.defects,
    })
}
