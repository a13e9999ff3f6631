//! One rule a test: replicas of one partition on brokers 1 to 3, with messages carried by hand.

mod alter;
mod following;
mod leading;
mod model;
mod roles;
mod serving;
mod table;
#[cfg(feature = "defects")]
mod zoo;

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::*;
use crate::config::{BrokerConfig, TopicConfig};
#[cfg(feature = "defects")]
use crate::defect::Defect;
use crate::defect::Defects;
use crate::error::ErrorCode;
use crate::event::Event;
use crate::ids::{BrokerEpoch, Endpoint, LogId, TopicId, Uuid};
use crate::log::{Appended, LogConfig};
use crate::machine::{Effect, Effects, LogName};
use crate::message::Records;
use crate::message::fetch::{FetchPartition, FetchedPartition, Isolation};
use crate::message::partition::{AlterPartition, AlteredPartition, LeaderRecovery};
use crate::message::produce::Acks;
use crate::metadata::{BrokerImage, Image, PartitionImage};
use crate::record::{BatchHeader, Builder};
use crate::time::{Duration, Instant, Now, Timestamp};

const ID: PartitionId = PartitionId { topic: TopicId::ZERO, partition: 0 };
const CONSUMER: Reader = Reader::Consumer(Isolation::ReadUncommitted);
const BUDGET: Budget = Budget { bytes: 1 << 20, at_least_one: true };

/// Brokers 1, 2 and 3 in incarnations 10, 20 and 30, and what they agree on.
struct World {
    now: Now,
    image: Image,
    config: BrokerConfig,
    defects: Defects,
    min_isr: u32,
}

impl World {
    fn new(min_isr: u32) -> Self {
        let mut world = World {
            now: Now { mono: Instant::ZERO, wall: Timestamp(1_000) },
            image: Image::default(),
            config: BrokerConfig::default(),
            defects: Defects::NONE,
            min_isr,
        };
        for node in 1..=3 {
            world.register(node, i64::from(node) * 10);
        }
        world
    }

    #[cfg(feature = "defects")]
    fn with(min_isr: u32, on: bool, defect: Defect) -> Self {
        let mut world = World::new(min_isr);
        if on {
            world.defects = world.defects.with(defect);
        }
        world
    }

    fn register(&mut self, node: i32, epoch: i64) {
        let broker = BrokerImage {
            epoch: BrokerEpoch(epoch),
            incarnation: Uuid::ZERO,
            directory: Uuid::ZERO,
            endpoint: Endpoint { host: "b".into(), port: 9092 },
            rack: None,
            fenced: false,
            in_controlled_shutdown: false,
        };
        self.image.brokers.insert(NodeId(node), broker);
    }

    fn broker(&mut self, node: i32) -> &mut BrokerImage {
        self.image.brokers.get_mut(&NodeId(node)).unwrap()
    }

    fn pass(&mut self, seconds: u64) {
        self.now.mono += Duration::from_secs(seconds);
    }

    fn host(&self, node: i32) -> Host {
        let topic = TopicConfig { min_insync_replicas: self.min_isr, ..TopicConfig::default() };
        let config = LogConfig::new(Arc::new(topic), &self.config, self.defects);
        let name = LogName::Partition { topic: "t".into(), id: ID };
        let log = Log::create(LogId(1), Arc::new(name), config, &mut Effects::new());
        Host {
            node: NodeId(node),
            epoch: BrokerEpoch(i64::from(node) * 10),
            replica: Replica::new(ID, log),
            batches: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// All three, led by broker 1 in epoch 1, all in the ISR.
    fn cluster(&self) -> [Host; 3] {
        let mut hosts = [1, 2, 3].map(|node| self.host(node));
        for host in &mut hosts {
            host.apply(self, &partition(1, 1, &[1, 2, 3]));
        }
        hosts
    }
}

/// Leader epoch and partition epoch are the same in most tests.
fn partition(leader: i32, epoch: i32, isr: &[i32]) -> PartitionImage {
    let none: Arc<[NodeId]> = Arc::new([]);
    PartitionImage {
        replicas: [1, 2, 3].map(NodeId).into(),
        isr: isr.iter().copied().map(NodeId).collect(),
        elr: Arc::clone(&none),
        last_known_elr: Arc::clone(&none),
        leader: NodeId(leader),
        leader_epoch: LeaderEpoch(epoch),
        partition_epoch: PartitionEpoch(epoch * 10),
        recovery: LeaderRecovery::Recovered,
        adding: Arc::clone(&none),
        removing: none,
    }
}

fn nodes(list: &[i32]) -> Vec<NodeId> {
    list.iter().copied().map(NodeId).collect()
}

fn batch(value: &str) -> Bytes {
    let mut builder = Builder::new();
    builder.append(Timestamp(5), None, Some(value.as_bytes()));
    builder.build()
}

/// One broker: its replica, its disk, and what it noted.
#[derive(Clone)]
struct Host {
    node: NodeId,
    epoch: BrokerEpoch,
    replica: Replica,
    batches: Vec<Bytes>,
    notes: Vec<Event>,
}

impl Host {
    fn ctx<'a>(&self, world: &'a World) -> Context<'a> {
        Context {
            now: world.now,
            node: self.node,
            broker_epoch: self.epoch,
            config: &world.config,
            defects: world.defects,
            image: &world.image,
        }
    }

    /// Carries out what the replica did to its log, and checks it.
    fn settle(&mut self, mut out: Effects) {
        for effect in out.drain() {
            if let Effect::Append { batch, .. } = effect {
                self.batches.push(batch);
            } else if let Effect::Truncate { to, .. } = effect {
                let base = |batch: &Bytes| BatchHeader::parse(batch).unwrap().base_offset;
                self.batches.retain(|batch| base(batch) < to);
            } else if let Effect::Note(event) = effect {
                self.notes.push(event);
            }
        }
        self.replica.check();
    }

    fn apply(&mut self, world: &World, image: &PartitionImage) {
        let mut out = Effects::new();
        let ctx = self.ctx(world);
        self.replica.apply(&ctx, image, &mut out);
        self.settle(out);
    }

    fn append(&mut self, world: &World, acks: Acks, value: &str) -> Result<Appended, ErrorCode> {
        let mut out = Effects::new();
        let ctx = self.ctx(world);
        let appended = self.replica.append(&ctx, acks, &batch(value), &mut out);
        self.settle(out);
        appended
    }

    /// Appends and gives the offset.
    fn put(&mut self, world: &World, value: &str) -> i64 {
        self.append(world, Acks::Leader, value).unwrap().base.0
    }

    fn ask(&self, world: &World) -> Option<FetchPartition> {
        self.replica.fetch_request(&self.ctx(world))
    }

    /// Answers a follower's fetch, with the records themselves in it.
    fn serve(
        &mut self,
        world: &World,
        from: (NodeId, BrokerEpoch),
        ask: &FetchPartition,
    ) -> FetchedPartition {
        let reader = Reader::of(Some(from), Isolation::ReadUncommitted);
        self.serve_to(world, reader, ask)
    }

    fn serve_to(
        &mut self,
        world: &World,
        reader: Reader,
        ask: &FetchPartition,
    ) -> FetchedPartition {
        let mut out = Effects::new();
        let ctx = self.ctx(world);
        let mut answer = self.replica.fetch(&ctx, ask, reader, BUDGET, &mut out);
        self.settle(out);
        if let Records::Stored(range) = answer.records {
            let header = |batch: &&Bytes| BatchHeader::parse(batch).unwrap().base_offset;
            let within = |batch: &&Bytes| (range.from..range.to).contains(&header(batch));
            let batches: Vec<Bytes> = self.batches.iter().filter(within).cloned().collect();
            answer.records = Records::Inline(batches);
        }
        answer
    }

    fn take(&mut self, world: &World, ask: &FetchPartition, answer: &FetchedPartition) -> Fetched {
        let mut out = Effects::new();
        let ctx = self.ctx(world);
        let fetched = self.replica.fetched(&ctx, ask, answer, &mut out);
        self.settle(out);
        fetched
    }

    /// One fetch from `leader`, there and back.
    fn pull(&mut self, world: &World, leader: &mut Host) -> Fetched {
        let ask = self.ask(world).expect("a follower that may fetch");
        let answer = leader.serve(world, (self.node, self.epoch), &ask);
        self.take(world, &ask, &answer)
    }

    /// Fetches until the leader has seen that nothing is missing.
    fn catch_up(&mut self, world: &World, leader: &mut Host) {
        for _ in 0..10 {
            if self.pull(world, leader) == Fetched::Idle {
                return;
            }
        }
        panic!("no end in sight: {:?}", self.replica);
    }

    fn tick(&mut self, world: &World) {
        let mut out = Effects::new();
        let ctx = self.ctx(world);
        self.replica.tick(&ctx, &mut out);
        self.settle(out);
    }

    fn proposal(&mut self, world: &World) -> Option<AlterPartition> {
        let ctx = self.ctx(world);
        self.replica.isr_proposal(&ctx)
    }

    /// The controller's answer to a proposal: accepted in the next partition epoch, or refused.
    fn answer(&mut self, world: &World, sent: &AlterPartition, error: ErrorCode) {
        let altered = AlteredPartition {
            partition: ID,
            error,
            leader: self.node,
            leader_epoch: sent.leader_epoch,
            partition_epoch: sent.partition_epoch.next(),
            isr: sent.new_isr.iter().map(|(node, _)| *node).collect(),
            recovery: LeaderRecovery::Recovered,
        };
        self.answer_with(world, sent, Ok(&altered));
    }

    fn answer_with(
        &mut self,
        world: &World,
        sent: &AlterPartition,
        answer: Result<&AlteredPartition, ErrorCode>,
    ) {
        let mut out = Effects::new();
        let ctx = self.ctx(world);
        self.replica.isr_answer(&ctx, sent, answer, &mut out);
        self.settle(out);
    }

    fn acked(&self, world: &World, required: i64) -> Option<Result<(), ErrorCode>> {
        self.replica.acked(&self.ctx(world), Offset(required))
    }

    fn hw(&self) -> i64 {
        self.replica.high_watermark().0
    }

    fn leo(&self) -> i64 {
        self.replica.log().end_offset().0
    }

    fn isr(&self) -> (Vec<NodeId>, Vec<NodeId>) {
        let view = self.replica.isr_view().unwrap();
        (view.committed.to_vec(), view.maximal.to_vec())
    }

    /// Each stored batch as its leader epoch and its one record's value.
    fn content(&self) -> Vec<(i32, Bytes)> {
        let each = self.batches.iter().map(|batch| {
            let header = BatchHeader::parse(batch).unwrap();
            let records = crate::record::records(batch).unwrap();
            (header.leader_epoch.0, records[0].value.clone().unwrap())
        });
        each.collect()
    }

    fn values(&self) -> Vec<(i32, alloc::string::String)> {
        let text = |value: Bytes| alloc::string::String::from_utf8(value.to_vec()).unwrap();
        self.content().into_iter().map(|(epoch, value)| (epoch, text(value))).collect()
    }
}
