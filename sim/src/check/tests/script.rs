//! The shortest ways to feed checkers with a history.

use super::*;

pub const TOPIC: Uuid = Uuid([0, 0, 0, 1]);
pub const P0: PartitionId = PartitionId { topic: TOPIC, partition: 0 };
pub const META: LogId = LogId(0);
pub const DATA: LogId = LogId(1);
pub const B1: NodeId = NodeId(1);
pub const B2: NodeId = NodeId(2);
pub const B3: NodeId = NodeId(3);
pub const C1: NodeId = NodeId(101);
pub const C2: NodeId = NodeId(102);
pub const C3: NodeId = NodeId(103);

/// Checkers, and the shortest ways to feed them.
pub struct Script {
    pub checkers: Checkers,
    pub metadata_end: Offset,
}

/// Registrations and unfencings take turns in the metadata log.
pub fn epoch_of(node: NodeId) -> BrokerEpoch {
    BrokerEpoch(2 * i64::from(node.0 - 1))
}

pub fn records(first: u64, count: u64) -> Vec<RecordId> {
    (first..first + count).map(|number| RecordId { source: 1, number }).collect()
}

/// A batch at `base` in `epoch` of producer 9, whose sequence is its base offset.
pub fn batch(base: i64, epoch: i32, ids: &[RecordId]) -> Bytes {
    batch_of(base, epoch, 0, i32::try_from(base).unwrap(), ids)
}

pub fn batch_of(base: i64, epoch: i32, session: i16, sequence: i32, ids: &[RecordId]) -> Bytes {
    let producer = (ProducerId(9), ProducerEpoch(session));
    let mut builder = Builder::new()
        .producer(producer.0, producer.1, sequence)
        .at(Offset(base), LeaderEpoch(epoch));
    for id in ids {
        builder.append(Timestamp(1), None, Some(&id.to_value(16)));
    }
    builder.build()
}

impl Script {
    /// Three brokers and three controllers, one partition on all brokers led by b1 in epoch 0.
    pub fn new() -> Self {
        Script::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut CheckSettings)) -> Self {
        let promises = Promises { no_duplicates: true, ordered: true, durable: true };
        let mut settings = CheckSettings {
            voters: vec![C1, C2, C3],
            promises,
            sequence_max: i32::MAX,
            elr_enabled: true,
            isolation: IsolationLevel::ReadCommitted,
            reset: OffsetReset::Earliest,
            transaction_limit: Duration::from_secs(30),
            pipelines: Vec::new(),
            duties: Vec::new(),
        };
        change(&mut settings);
        let checkers = Checkers::new(settings);
        let mut script = Script { checkers, metadata_end: Offset::ZERO };
        for node in [B1, B2, B3, C1, C2, C3] {
            script.checkers.started(node, &Survived::default());
            script.effect(node, Effect::Create { log: META, name: Arc::new(LogName::Metadata) });
        }
        let mut changes = Vec::new();
        for node in [B1, B2, B3] {
            changes.push(MetadataRecord::RegisterBroker {
                node,
                epoch: epoch_of(node),
                incarnation: Uuid::ZERO,
                directory: Uuid::ZERO,
                endpoint: Endpoint { host: "b".into(), port: 1 },
                rack: None,
            });
            changes.push(MetadataRecord::BrokerChange {
                node,
                epoch: epoch_of(node),
                fenced: false,
                in_controlled_shutdown: false,
            });
        }
        changes.push(MetadataRecord::Topic { name: "orders".into(), id: TOPIC });
        changes.push(MetadataRecord::Config {
            resource: seedlog::message::admin::ConfigResource::Topic("orders".into()),
            name: "min.insync.replicas".into(),
            value: Some("2".into()),
        });
        changes.push(MetadataRecord::Partition { id: P0, state: registration() });
        script.commit_metadata(&changes);
        for node in [B1, B2, B3] {
            let name = LogName::Partition { topic: "orders".into(), id: P0 };
            script.effect(node, Effect::Create { log: DATA, name: Arc::new(name) });
            script.note(node, Event::Registered { epoch: epoch_of(node) });
        }
        script.leads(B1, 0);
        script.expect_nothing();
        script
    }

    pub fn effect(&mut self, node: NodeId, effect: Effect) {
        self.checkers.effects(node, &[effect]);
    }

    pub fn note(&mut self, node: NodeId, event: Event) {
        self.effect(node, Effect::Note(event));
    }

    pub fn commit_metadata(&mut self, changes: &[MetadataRecord]) {
        let mut builder = Builder::new().at(self.metadata_end, LeaderEpoch(1));
        for change in changes {
            builder.append(Timestamp(1), None, Some(&change.encode()));
        }
        let base = self.metadata_end;
        self.metadata_end += i64::try_from(changes.len()).unwrap();
        self.metadata_batch(base, builder.build());
        self.quorum_mark(C1, self.metadata_end);
    }

    pub fn metadata_batch(&mut self, base: Offset, batch: Bytes) {
        let upto = LogPoint { epoch: LeaderEpoch(1), offset: self.metadata_end };
        for node in [C1, C2, C3] {
            self.effect(node, Effect::Append { log: META, base, batch: batch.clone() });
            self.checkers.flushed(node, META, upto.offset);
        }
    }

    pub fn quorum_mark(&mut self, node: NodeId, offset: Offset) {
        self.note(node, Event::QuorumHighWatermark { epoch: QuorumEpoch(1), offset, leads: true });
    }

    pub fn append(&mut self, nodes: &[NodeId], base: i64, bytes: &Bytes) {
        for node in nodes {
            let batch = bytes.clone();
            self.effect(*node, Effect::Append { log: DATA, base: Offset(base), batch });
        }
    }

    pub fn mark(&mut self, node: NodeId, epoch: i32, offset: i64, leads: bool) {
        let (leader_epoch, offset) = (LeaderEpoch(epoch), Offset(offset));
        self.note(node, Event::HighWatermark { partition: P0, leader_epoch, offset, leads });
    }

    pub fn leads(&mut self, node: NodeId, epoch: i32) {
        let (leader_epoch, start) = (LeaderEpoch(epoch), Offset::ZERO);
        self.note(node, Event::LeaderStarted { partition: P0, leader_epoch, start });
    }

    pub fn change(&mut self, change: PartitionChange) {
        self.commit_metadata(&[MetadataRecord::PartitionChange { id: P0, change }]);
    }

    pub fn acknowledged(&mut self, record: RecordId, offset: i64) {
        self.checkers.acknowledged(&"orders".into(), 0, record, Offset(offset));
    }

    pub fn poll(&mut self, offset: i64, record: RecordId) {
        let consumed = ConsumedRecord {
            topic: "orders".into(),
            partition: 0,
            offset: Offset(offset),
            timestamp: Timestamp(1),
            key: None,
            value: Some(record.to_value(16)),
            headers: Vec::new(),
        };
        self.checkers.polled(1, &[consumed]);
    }

    pub fn codes(&self) -> Vec<&'static str> {
        let mut codes: Vec<_> =
            self.checkers.violations().iter().map(|violation| violation.check.code()).collect();
        codes.dedup();
        codes
    }

    #[track_caller]
    pub fn expect(&self, code: &str) {
        assert!(self.codes().contains(&code), "{code} in {:?}", self.checkers.violations());
    }

    #[track_caller]
    pub fn expect_nothing(&self) {
        assert_eq!(self.checkers.violations(), []);
    }
}

pub fn registration() -> PartitionImage {
    let all: Arc<[NodeId]> = [B1, B2, B3].into();
    let none: Arc<[NodeId]> = [].into();
    PartitionImage {
        replicas: all.clone(),
        isr: all,
        elr: none.clone(),
        last_known_elr: none.clone(),
        leader: B1,
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(0),
        recovery: LeaderRecovery::Recovered,
        adding: none.clone(),
        removing: none,
    }
}

pub fn isr(nodes: &[NodeId]) -> PartitionChange {
    PartitionChange { isr: Some(nodes.to_vec()), ..PartitionChange::default() }
}
