//! A script with what transactions and groups need: two partitions of data, and the logs of both
//! coordinators.

use std::ops::{Deref, DerefMut};

use seedlog::coordinator::schema::Writer;
use seedlog::event::{GroupMemberNote, GroupNote, OffsetNote, TransactionNote, TransactionState};
use seedlog::op::Position;
use seedlog::record::marker;

use super::*;

pub const P1: PartitionId = PartitionId { topic: TOPIC, partition: 1 };
pub const DECISIONS: PartitionId = PartitionId { topic: Uuid([0, 0, 0, 2]), partition: 0 };
pub const OFFSETS: PartitionId = PartitionId { topic: Uuid([0, 0, 0, 3]), partition: 0 };
pub const COPIES: PartitionId = PartitionId { topic: Uuid([0, 0, 0, 4]), partition: 0 };
pub const PRODUCER: ProducerId = ProducerId(70);

/// All of them, with the log that brokers keep each in.
const LOGS: [(PartitionId, &str, LogId); 5] = [
    (P0, "orders", DATA),
    (P1, "orders", LogId(2)),
    (DECISIONS, "__transaction_state", LogId(3)),
    (OFFSETS, "__consumer_offsets", LogId(4)),
    (COPIES, "copies", LogId(5)),
];

pub struct Cluster {
    script: Script,
    ends: BTreeMap<PartitionId, i64>,
    state: TransactionState,
    /// Whose transitions the coordinator writes.
    pub producer: ProducerId,
    /// The leader epoch of the coordinator of groups that writes and says.
    pub reign: LeaderEpoch,
}

impl Deref for Cluster {
    type Target = Script;
    fn deref(&self) -> &Script {
        &self.script
    }
}

impl DerefMut for Cluster {
    fn deref_mut(&mut self) -> &mut Script {
        &mut self.script
    }
}

/// Records of the first session.
pub fn ids(numbers: &[u64]) -> Vec<RecordId> {
    numbers.iter().map(|number| RecordId { source: 1, number: *number }).collect()
}

pub fn transaction(number: u64) -> TransactionRef {
    TransactionRef { source: 1, number }
}

pub fn orders(partition: i32) -> (TopicName, i32) {
    ("orders".into(), partition)
}

/// A place in the first partition.
pub fn position(offset: i64) -> Position {
    Position {
        topic: "orders".into(),
        partition: 0,
        offset: Offset(offset),
        leader_epoch: LeaderEpoch::NONE,
        metadata: None,
    }
}

impl Cluster {
    pub fn new() -> Self {
        Cluster::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut CheckSettings)) -> Self {
        let mut script = Script::with(change);
        let mut changes = Vec::new();
        for (id, name, _) in &LOGS[1..] {
            if id.partition == 0 {
                changes.push(MetadataRecord::Topic { name: (*name).into(), id: id.topic });
            }
            changes.push(MetadataRecord::Partition { id: *id, state: registration() });
        }
        script.commit_metadata(&changes);
        for (id, name, log) in &LOGS[1..] {
            for node in [B1, B2, B3] {
                let name = LogName::Partition { topic: (*name).into(), id: *id };
                script.effect(node, Effect::Create { log: *log, name: Arc::new(name) });
            }
            let (leader_epoch, start) = (LeaderEpoch(0), Offset::ZERO);
            script.note(B1, Event::LeaderStarted { partition: *id, leader_epoch, start });
        }
        script.expect_nothing();
        let (ends, state) = (BTreeMap::new(), TransactionState::Empty);
        Cluster { script, ends, state, producer: PRODUCER, reign: LeaderEpoch(0) }
    }

    /// Where the next record of a partition comes.
    pub fn end(&self, id: PartitionId) -> i64 {
        self.ends.get(&id).copied().unwrap_or(0)
    }

    /// All brokers have the batch.
    pub fn append_to(&mut self, id: PartitionId, batch: &Bytes) -> i64 {
        let base = self.end(id);
        let epoch = if id == OFFSETS { self.reign } else { LeaderEpoch(0) };
        let batch = record::stamp(batch, Offset(base), epoch);
        let last = BatchHeader::parse(&batch).unwrap().last_offset();
        let log = LOGS.iter().find(|(other, ..)| *other == id).unwrap().2;
        for node in [B1, B2, B3] {
            let (base, batch) = (Offset(base), batch.clone());
            self.script.effect(node, Effect::Append { log, base, batch });
        }
        self.ends.insert(id, last.0 + 1);
        base
    }

    /// Everything of a partition is committed.
    pub fn commit(&mut self, id: PartitionId) {
        let (leader_epoch, offset) = (LeaderEpoch(0), Offset(self.end(id)));
        let mark = Event::HighWatermark { partition: id, leader_epoch, offset, leads: true };
        self.script.note(B1, mark);
    }

    pub fn put(&mut self, id: PartitionId, batch: &Bytes) -> i64 {
        let base = self.append_to(id, batch);
        self.commit(id);
        base
    }

    /// Records of a transaction.
    pub fn data(&mut self, id: PartitionId, epoch: i16, sequence: i32, ids: &[RecordId]) -> i64 {
        self.data_of(PRODUCER, id, epoch, sequence, ids)
    }

    pub fn data_of(
        &mut self,
        producer: ProducerId,
        id: PartitionId,
        epoch: i16,
        sequence: i32,
        ids: &[RecordId],
    ) -> i64 {
        let builder = Builder::new().producer(producer, ProducerEpoch(epoch), sequence);
        let mut builder = builder.transactional();
        for id in ids {
            builder.append(Timestamp(1), Some(b"k"), Some(&id.to_value(16)));
        }
        let batch = builder.build();
        self.put(id, &batch)
    }

    pub fn marker(&mut self, id: PartitionId, epoch: i16, commit: bool) -> i64 {
        self.marker_of(PRODUCER, id, epoch, commit)
    }

    pub fn marker_of(&mut self, of: ProducerId, id: PartitionId, epoch: i16, commit: bool) -> i64 {
        let batch = marker(of, ProducerEpoch(epoch), commit, 0, Timestamp(1));
        self.put(id, &batch)
    }

    fn transition(&self, epoch: i16, to: TransactionState, committed: bool) -> TransactionNote {
        TransactionNote {
            transactional_id: "t".into(),
            producer_id: self.producer,
            producer_epoch: ProducerEpoch(epoch),
            from: self.state,
            to,
            shard: 0,
            offset: Offset(self.end(DECISIONS)),
            coordinator_epoch: LeaderEpoch(0),
            committed,
            partitions: [orders(0), orders(1), ("__consumer_offsets".into(), 0)].into(),
        }
    }

    /// The coordinator writes a transition, and notes that it has.
    pub fn write(&mut self, epoch: i16, to: TransactionState) {
        let note = self.transition(epoch, to, false);
        self.note(B1, Event::Transaction(Arc::new(note)));
    }

    /// It acts on it, committed or not.
    pub fn act(&mut self, epoch: i16, to: TransactionState) {
        let note = self.transition(epoch, to, true);
        self.note(B1, Event::Transaction(Arc::new(note)));
    }

    /// A transition, written and committed.
    pub fn transit(&mut self, epoch: i16, to: TransactionState) {
        self.write(epoch, to);
        let mut builder = Builder::new();
        builder.append(Timestamp(1), Some(b"t"), Some(b"entry"));
        self.put(DECISIONS, &builder.build());
        self.state = to;
    }

    /// A transaction is open in that epoch; the one before is complete.
    pub fn begin(&mut self, epoch: i16) {
        self.complete(epoch);
        self.transit(epoch, TransactionState::Ongoing);
    }

    /// It is decided; its markers have that epoch.
    pub fn decide(&mut self, epoch: i16, commit: bool) {
        use TransactionState::{PrepareAbort, PrepareCommit};
        self.transit(epoch, if commit { PrepareCommit } else { PrepareAbort });
    }

    /// What is decided is complete.
    pub fn complete(&mut self, epoch: i16) {
        use TransactionState::{CompleteAbort, CompleteCommit, PrepareAbort, PrepareCommit};
        if self.state == PrepareCommit {
            self.transit(epoch, CompleteCommit);
        } else if self.state == PrepareAbort {
            self.transit(epoch, CompleteAbort);
        }
    }

    /// One record of the transaction of that number in the first partition, all asked for.
    pub fn sent(&mut self, number: u64, records: &[RecordId]) {
        for record in records {
            self.checkers.transaction_sent(transaction(number), *record);
        }
    }

    /// A group as its coordinator has it: members with their epochs and partitions.
    pub fn group(&mut self, generation: i32, members: &[(&str, i32, &[i32])]) {
        let member = |(member, epoch, owned): &(&str, i32, &[i32])| GroupMemberNote {
            member: (*member).into(),
            epoch: *epoch,
            assigned: owned.iter().map(|partition| orders(*partition)).collect(),
            revoking: [].into(),
        };
        let note = GroupNote {
            group: "g".into(),
            generation,
            shard: 0,
            coordinator_epoch: self.reign,
            members: members.iter().map(member).collect(),
        };
        self.note(B1, Event::Group(Arc::new(note)));
    }

    /// A record that commits an offset of the first partition, in a transaction or not.
    pub fn offset(&mut self, offset: i64, producer: Option<(ProducerId, i16)>) -> i64 {
        self.offset_of(0, offset, producer)
    }

    /// The same of any partition.
    pub fn offset_of(
        &mut self,
        partition: i32,
        offset: i64,
        producer: Option<(ProducerId, i16)>,
    ) -> i64 {
        let mut key = Writer::new();
        key.i16(1);
        key.string("g");
        key.string("orders");
        key.i32(partition);
        let mut value = Writer::new();
        value.i16(3);
        value.i64(offset);
        let mut builder = Builder::new();
        if let Some((id, epoch)) = producer {
            builder = builder.producer(id, ProducerEpoch(epoch), -1).transactional();
        }
        builder.append(Timestamp(1), Some(&key.finish()), Some(&value.finish()));
        self.put(OFFSETS, &builder.build())
    }

    /// What a round of a classic group came to, in its log: members with their instances, and what
    /// each was given.
    pub fn round(&mut self, generation: i32, members: &[(&str, Option<&str>, &str)]) {
        let mut value = Writer::new();
        value.i16(3);
        value.string("consumer");
        value.i32(generation);
        value.nullable(Some("range"));
        value.nullable(None);
        value.i64(1);
        value.length(members.len());
        for (member, instance, given) in members {
            value.string(member);
            value.nullable(*instance);
            value.string("client");
            value.string("");
            value.i32(60_000);
            value.i32(10_000);
            value.blob(b"wants");
            value.blob(given.as_bytes());
        }
        self.log_of_groups(&[(2, "", Some(value.finish()))]);
    }

    /// One batch of records of the group: the kind of each, its member if it is about one, and its
    /// value.
    pub fn log_of_groups(&mut self, records: &[(i16, &str, Option<Vec<u8>>)]) {
        let mut builder = Builder::new();
        for (kind, member, value) in records {
            let mut key = Writer::new();
            key.i16(*kind);
            key.string("g");
            if !member.is_empty() {
                key.string(member);
            }
            builder.append(Timestamp(1), Some(&key.finish()), value.as_deref());
        }
        self.put(OFFSETS, &builder.build());
    }

    /// The coordinator says that the record at `at` counts.
    pub fn counts(&mut self, offset: i64, at: i64, by: (&str, i32), producer: Option<ProducerId>) {
        self.counts_of(TOPIC, offset, at, by, producer);
    }

    /// The same of another incarnation of the topic.
    pub fn counts_of(
        &mut self,
        topic_id: TopicId,
        offset: i64,
        at: i64,
        by: (&str, i32),
        producer: Option<ProducerId>,
    ) {
        let note = OffsetNote {
            group: "g".into(),
            topic: "orders".into(),
            topic_id,
            partition: 0,
            offset: Offset(offset),
            member: by.0.into(),
            generation: by.1,
            producer: producer.map(|id| (id, ProducerEpoch(1))),
            shard: 0,
            at: Offset(at),
            coordinator_epoch: self.reign,
        };
        self.note(B1, Event::OffsetCommitted(Arc::new(note)));
    }
}
