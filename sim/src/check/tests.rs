//! Every check is broken once by a history made for it, and the histories that must not be flagged
//! are not.

mod applications;
mod cluster;
mod groups;
mod long;
mod transactions;

use std::sync::Arc;

use bytes::Bytes;
use seedlog::error::ErrorCode;
use seedlog::event::{IsrView, RaftRole};
use seedlog::ids::{ConnId, CorrelationId, TopicRef};
use seedlog::ids::{
    Endpoint, LeaderEpoch, LogPoint, PartitionEpoch, ProducerEpoch, ProducerId, QuorumEpoch, Uuid,
};
use seedlog::message::partition::LeaderRecovery;
use seedlog::message::produce::{
    Acks, ProducePartition, ProduceRequest, ProduceResponse, ProducedPartition,
};
use seedlog::message::transaction::TransactionVersion;
use seedlog::message::{Records, Request};
use seedlog::metadata::record::PartitionChange;
use seedlog::record::Builder;
use seedlog::time::Timestamp;

use super::*;

mod losses;

const TOPIC: Uuid = Uuid([0, 0, 0, 1]);
const P0: PartitionId = PartitionId { topic: TOPIC, partition: 0 };
const META: LogId = LogId(0);
const DATA: LogId = LogId(1);
const B1: NodeId = NodeId(1);
const B2: NodeId = NodeId(2);
const B3: NodeId = NodeId(3);
const C1: NodeId = NodeId(101);
const C2: NodeId = NodeId(102);
const C3: NodeId = NodeId(103);

/// Checkers, and the shortest ways to feed them.
pub struct Script {
    checkers: Checkers,
    metadata_end: Offset,
}

/// Registrations and unfencings take turns in the metadata log.
fn epoch_of(node: NodeId) -> BrokerEpoch {
    BrokerEpoch(2 * i64::from(node.0 - 1))
}

fn records(first: u64, count: u64) -> Vec<RecordId> {
    (first..first + count).map(|number| RecordId { source: 1, number }).collect()
}

/// A batch at `base` in `epoch` of producer 9, whose sequence is its base offset.
fn batch(base: i64, epoch: i32, ids: &[RecordId]) -> Bytes {
    batch_of(base, epoch, 0, i32::try_from(base).unwrap(), ids)
}

fn batch_of(base: i64, epoch: i32, session: i16, sequence: i32, ids: &[RecordId]) -> Bytes {
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
    fn new() -> Self {
        Script::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut CheckSettings)) -> Self {
        let promises = Promises { no_duplicates: true, ordered: true, durable: true };
        let mut settings = CheckSettings {
            voters: vec![C1, C2, C3],
            promises,
            sequence_max: i32::MAX,
            elr_enabled: true,
            isolation: IsolationLevel::ReadCommitted,
            reset: OffsetReset::Earliest,
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

    fn effect(&mut self, node: NodeId, effect: Effect) {
        self.checkers.effects(node, &[effect]);
    }

    fn note(&mut self, node: NodeId, event: Event) {
        self.effect(node, Effect::Note(event));
    }

    fn commit_metadata(&mut self, changes: &[MetadataRecord]) {
        let mut builder = Builder::new().at(self.metadata_end, LeaderEpoch(1));
        for change in changes {
            builder.append(Timestamp(1), None, Some(&change.encode()));
        }
        let base = self.metadata_end;
        self.metadata_end += i64::try_from(changes.len()).unwrap();
        self.metadata_batch(base, builder.build());
        self.quorum_mark(C1, self.metadata_end);
    }

    fn metadata_batch(&mut self, base: Offset, batch: Bytes) {
        let upto = LogPoint { epoch: LeaderEpoch(1), offset: self.metadata_end };
        for node in [C1, C2, C3] {
            self.effect(node, Effect::Append { log: META, base, batch: batch.clone() });
            self.checkers.flushed(node, META, upto.offset);
        }
    }

    fn quorum_mark(&mut self, node: NodeId, offset: Offset) {
        self.note(node, Event::QuorumHighWatermark { epoch: QuorumEpoch(1), offset, leads: true });
    }

    fn append(&mut self, nodes: &[NodeId], base: i64, bytes: &Bytes) {
        for node in nodes {
            let batch = bytes.clone();
            self.effect(*node, Effect::Append { log: DATA, base: Offset(base), batch });
        }
    }

    fn mark(&mut self, node: NodeId, epoch: i32, offset: i64, leads: bool) {
        let (leader_epoch, offset) = (LeaderEpoch(epoch), Offset(offset));
        self.note(node, Event::HighWatermark { partition: P0, leader_epoch, offset, leads });
    }

    fn leads(&mut self, node: NodeId, epoch: i32) {
        let (leader_epoch, start) = (LeaderEpoch(epoch), Offset::ZERO);
        self.note(node, Event::LeaderStarted { partition: P0, leader_epoch, start });
    }

    fn change(&mut self, change: PartitionChange) {
        self.commit_metadata(&[MetadataRecord::PartitionChange { id: P0, change }]);
    }

    fn acknowledged(&mut self, record: RecordId, offset: i64) {
        self.checkers.acknowledged(&"orders".into(), 0, record, Offset(offset));
    }

    fn poll(&mut self, offset: i64, record: RecordId) {
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

    fn codes(&self) -> Vec<&'static str> {
        let mut codes: Vec<_> =
            self.checkers.violations().iter().map(|violation| violation.check.code()).collect();
        codes.dedup();
        codes
    }

    #[track_caller]
    fn expect(&self, code: &str) {
        assert!(self.codes().contains(&code), "{code} in {:?}", self.checkers.violations());
    }

    #[track_caller]
    fn expect_nothing(&self) {
        assert_eq!(self.checkers.violations(), []);
    }
}

fn registration() -> PartitionImage {
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

fn isr(nodes: &[NodeId]) -> PartitionChange {
    PartitionChange { isr: Some(nodes.to_vec()), ..PartitionChange::default() }
}

#[test]
fn a_healthy_history_is_not_flagged_and_everything_is_counted() {
    let mut t = Script::new();
    t.append(&[B1, B2, B3], 0, &batch(0, 0, &records(1, 2)));
    t.mark(B1, 0, 2, true);
    t.mark(B2, 0, 2, false);
    t.acknowledged(records(1, 2)[0], 0);
    t.acknowledged(records(1, 2)[1], 1);
    t.poll(0, records(1, 2)[0]);
    t.poll(1, records(1, 2)[1]);
    t.change(PartitionChange { leader: Some(B2), ..isr(&[B2, B3]) });
    t.leads(B2, 1);
    t.checkers.ended();
    t.expect_nothing();
    for check in [Check::LogMatching, Check::LeaderCompleteness, Check::CandidateCompleteness] {
        assert!(t.checkers.count(check).checked > 0, "{}", check.code());
    }
}

#[test]
fn r1_a_follower_with_other_content_below_its_high_watermark() {
    let mut t = Script::new();
    t.append(&[B1, B3], 0, &batch(0, 0, &records(1, 1)));
    t.append(&[B2], 0, &batch(0, 1, &records(2, 1)));
    t.change(isr(&[B1, B3]));
    t.mark(B1, 0, 1, true);
    t.mark(B2, 0, 1, false);
    t.expect("R1");
}

#[test]
fn r2_two_contents_at_one_epoch_and_offset() {
    let mut t = Script::new();
    t.append(&[B1], 0, &batch(0, 0, &records(1, 1)));
    t.append(&[B2], 0, &batch(0, 0, &records(2, 1)));
    assert_eq!(t.codes(), ["R2"]);
}

#[test]
fn r3_a_leader_without_a_committed_record() {
    let mut t = Script::new();
    t.append(&[B1, B2], 0, &batch(0, 0, &records(1, 1)));
    t.change(isr(&[B1, B2]));
    t.mark(B1, 0, 1, true);
    t.expect_nothing();
    t.change(PartitionChange { leader: Some(B3), ..isr(&[B3, B2]) });
    t.leads(B3, 1);
    t.expect("R3");
}

#[test]
fn r4_a_member_of_the_isr_that_lacks_a_committed_record() {
    let mut t = Script::new();
    t.append(&[B1, B2], 0, &batch(0, 0, &records(1, 1)));
    t.mark(B1, 0, 1, true);
    assert_eq!(t.codes(), ["R4"]);
}

#[test]
fn r4_a_stopped_member_is_no_candidate_until_it_is_registered_again() {
    let mut t = Script::new();
    t.append(&[B1, B2], 0, &batch(0, 0, &records(1, 1)));
    t.checkers.stopped(B3);
    t.mark(B1, 0, 1, true);
    t.checkers.started(B3, &Survived::default());
    t.expect_nothing();
    t.note(B3, Event::Registered { epoch: epoch_of(B3) });
    t.expect("R4");
}

#[test]
fn r5_a_leader_that_does_not_wait_for_a_candidate() {
    let mut t = Script::new();
    let view = |maximal: &[NodeId]| {
        Arc::new(IsrView {
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            committed: [B1, B2, B3].into(),
            maximal: maximal.into(),
        })
    };
    t.note(B1, Event::Isr { partition: P0, view: view(&[B1, B2, B3]) });
    t.expect_nothing();
    t.note(B1, Event::Isr { partition: P0, view: view(&[B1, B2]) });
    assert_eq!(t.codes(), ["R5"]);
}

#[test]
fn r6_a_leaders_high_watermark_that_falls() {
    let mut t = Script::new();
    t.append(&[B1, B2, B3], 0, &batch(0, 0, &records(1, 2)));
    t.mark(B1, 0, 2, true);
    t.mark(B1, 0, 0, true);
    assert_eq!(t.codes(), ["R6"]);
}

#[test]
fn r6_a_followers_high_watermark_may_fall() {
    let mut t = Script::new();
    t.append(&[B1, B2, B3], 0, &batch(0, 0, &records(1, 2)));
    t.mark(B1, 0, 2, true);
    t.mark(B2, 0, 2, false);
    t.mark(B2, 0, 0, false);
    t.expect_nothing();
}

#[test]
fn r7_registrations_that_make_no_sense() {
    for (change, rule) in [
        (PartitionChange { leader: Some(B1), ..isr(&[B2, B3]) }, "leader"),
        (isr(&[B1, B2, C1]), "within"),
        (PartitionChange { elr: Some(vec![B2]), ..isr(&[B1, B2]) }, "overlap"),
        (PartitionChange { elr: Some(vec![B3]), ..isr(&[B1, B2]) }, "not empty"),
    ] {
        let mut t = Script::new();
        t.change(change);
        t.expect("R7");
        assert!(t.checkers.violations()[0].detail.contains(rule), "{:?}", t.checkers.violations());
    }
    let mut t = Script::new();
    t.commit_metadata(&[MetadataRecord::BrokerChange {
        node: B3,
        epoch: epoch_of(B3),
        fenced: true,
        in_controlled_shutdown: false,
    }]);
    t.change(isr(&[B1, B2, B3]));
    t.expect("R7");
}

#[test]
fn r8_a_high_watermark_above_the_log_end() {
    let mut t = Script::new();
    t.mark(B2, 0, 5, false);
    assert_eq!(t.codes(), ["R8"]);
}

#[test]
fn r9_two_leaders_in_one_epoch() {
    let mut t = Script::new();
    t.leads(B2, 0);
    assert_eq!(t.codes(), ["R9"]);
}

#[test]
fn r10_a_partition_epoch_that_falls() {
    let mut t = Script::new();
    let next = PartitionId { partition: 1, ..P0 };
    let mut state = registration();
    t.commit_metadata(&[MetadataRecord::Partition { id: next, state: state.clone() }]);
    t.expect_nothing();
    let older = state.clone();
    state.partition_epoch = PartitionEpoch(7);
    t.checkers.partitions.entry(next).or_default().registered(
        Some(&state),
        &Surroundings { image: Some(&older), min_insync_replicas: 2, current: &|_| false },
        &|_| false,
        true,
        &mut t.checkers.tally,
    );
    t.expect("R10");
}

#[test]
fn r10_one_incarnation_registered_twice() {
    let again = |epoch: Offset| MetadataRecord::RegisterBroker {
        node: B1,
        epoch: BrokerEpoch(epoch.0),
        incarnation: Uuid([1; 4]),
        directory: Uuid::ZERO,
        endpoint: Endpoint { host: "b".into(), port: 1 },
        rack: None,
    };
    let mut t = Script::new();
    t.commit_metadata(&[again(t.metadata_end)]);
    t.expect_nothing();
    t.commit_metadata(&[again(t.metadata_end)]);
    t.expect("R10");
}

#[test]
fn r11_an_acknowledged_record_that_is_not_committed() {
    let mut t = Script::new();
    t.append(&[B1], 0, &batch(0, 0, &records(1, 1)));
    t.acknowledged(records(1, 1)[0], 0);
    t.expect("R11");
}

#[test]
fn k1_two_leaders_of_a_quorum_epoch() {
    let mut t = Script::new();
    let leads = |epoch| Event::RoleChanged { epoch, role: RaftRole::Leader, leader: C1 };
    t.note(C1, leads(QuorumEpoch(2)));
    t.note(C2, leads(QuorumEpoch(3)));
    t.expect_nothing();
    t.note(C3, leads(QuorumEpoch(3)));
    assert_eq!(t.codes(), ["K1"]);
}

#[test]
fn k2_a_quorum_leader_without_a_committed_record() {
    let mut t = Script::new();
    t.effect(C2, Effect::Truncate { log: META, to: Offset(0) });
    let epoch = QuorumEpoch(2);
    t.note(C2, Event::RoleChanged { epoch, role: RaftRole::Leader, leader: C2 });
    t.expect("K2");
}

#[test]
fn k3_two_contents_at_one_place_of_the_metadata_log() {
    let mut t = Script::new();
    let base = t.metadata_end;
    t.effect(C1, Effect::Append { log: META, base, batch: batch(base.0, 2, &records(1, 1)) });
    t.effect(C2, Effect::Append { log: META, base, batch: batch(base.0, 2, &records(2, 1)) });
    assert_eq!(t.codes(), ["K3"]);
}

#[test]
fn k4_a_quorum_high_watermark_that_falls() {
    let mut t = Script::new();
    t.quorum_mark(C1, Offset(1));
    assert_eq!(t.codes(), ["K4"]);
}

/// A deposed leader that was paused answers what came while it slept (swarm, seed 1).
#[test]
fn a_deposed_quorum_leader_learns_late_what_was_committed_and_forgets_nothing() {
    let mut t = Script::new();
    let (known, epoch) = (t.metadata_end, QuorumEpoch(2));
    t.note(C2, Event::RoleChanged { epoch, role: RaftRole::Leader, leader: C2 });
    t.metadata_end = known.next();
    t.metadata_batch(known, batch(known.0, 2, &records(1, 1)));
    t.note(C2, Event::QuorumHighWatermark { epoch, offset: known.next(), leads: true });
    t.quorum_mark(C1, known);
    t.expect_nothing();
    t.quorum_mark(C1, Offset(known.0 - 1));
    assert_eq!(t.codes(), ["K4"]);
}

#[test]
fn k5_a_high_watermark_that_no_majority_has_flushed() {
    let mut t = Script::new();
    let base = t.metadata_end;
    let bytes = batch(base.0, 1, &records(1, 1));
    for node in [C1, C2] {
        t.effect(node, Effect::Append { log: META, base, batch: bytes.clone() });
    }
    t.checkers.flushed(C1, META, base.next());
    t.quorum_mark(C1, base.next());
    assert_eq!(t.codes(), ["K5"]);
}

#[test]
fn k6_two_votes_in_one_epoch() {
    let mut t = Script::new();
    let epoch = QuorumEpoch(4);
    t.note(C1, Event::Voted { epoch, for_node: C2 });
    t.note(C1, Event::Voted { epoch, for_node: C2 });
    t.expect_nothing();
    t.note(C1, Event::Voted { epoch, for_node: C3 });
    assert_eq!(t.codes(), ["K6"]);
}

#[test]
fn k7_two_states_after_the_same_record() {
    let mut t = Script::new();
    t.note(C1, Event::StateApplied { offset: Offset(3), state: 7 });
    t.note(B1, Event::MetadataApplied { offset: Offset(3), state: 7 });
    t.expect_nothing();
    t.note(B2, Event::MetadataApplied { offset: Offset(3), state: 8 });
    assert_eq!(t.codes(), ["K7"]);
}

#[test]
fn k8_a_leader_that_loads_a_snapshot_and_one_of_what_is_not_committed() {
    let mut t = Script::new();
    let point = LogPoint { epoch: LeaderEpoch(1), offset: Offset(1) };
    let epoch = QuorumEpoch(2);
    t.note(C2, Event::RoleChanged { epoch, role: RaftRole::Leader, leader: C2 });
    t.note(C2, Event::Snapshot { point, loaded: true });
    assert_eq!(t.codes(), ["K8"]);

    let mut t = Script::new();
    let point = LogPoint { epoch: LeaderEpoch(1), offset: t.metadata_end.next() };
    t.note(C2, Event::Snapshot { point, loaded: false });
    assert_eq!(t.codes(), ["K8"]);
}

#[test]
fn k9_a_reply_ahead_of_its_commit() {
    let mut t = Script::new();
    let end = t.metadata_end;
    t.note(C1, Event::ControllerReplied { offset: end, committed: end });
    t.expect_nothing();
    t.note(C1, Event::ControllerReplied { offset: end.next(), committed: end.next() });
    assert_eq!(t.codes(), ["K9"]);
}

/// Commits batches on all brokers, in order.
fn committed(batches: &[Bytes]) -> Script {
    let mut t = Script::new();
    for bytes in batches {
        let ghost = GhostBatch::read(bytes).unwrap();
        t.append(&[B1, B2, B3], ghost.base.0, bytes);
        t.mark(B1, 0, ghost.last.0 + 1, true);
    }
    t
}

#[test]
fn p1_a_gap_in_the_sequences() {
    let t = committed(&[batch(0, 0, &records(1, 1)), batch_of(1, 0, 0, 2, &records(3, 1))]);
    assert_eq!(t.codes(), ["P1"]);
    let t = committed(&[batch_of(0, 0, 1, 5, &records(1, 1))]);
    assert_eq!(t.codes(), ["P1"], "a session begins with 0");
}

#[test]
fn p1_sequences_wrap_at_their_maximum() {
    let mut t = Script::new();
    t.checkers.settings.sequence_max = 2;
    for (base, sequence) in [(0, 0), (1, 1), (2, 2), (3, 0)] {
        let ids = records(u64::try_from(base).unwrap() + 1, 1);
        t.append(&[B1, B2, B3], base, &batch_of(base, 0, 0, sequence, &ids));
        t.mark(B1, 0, base + 1, true);
    }
    t.expect_nothing();
    t.append(&[B1, B2, B3], 4, &batch_of(4, 0, 0, 4, &records(5, 1)));
    t.mark(B1, 0, 5, true);
    assert_eq!(t.codes(), ["P1"], "a number that is the right one, but for the wrap");
}

#[test]
fn p2_a_sequence_twice() {
    let t = committed(&[batch(0, 0, &records(1, 1)), batch_of(1, 0, 0, 0, &records(2, 1))]);
    assert_eq!(t.codes(), ["P2"]);
}

#[test]
fn p3_records_in_another_order_than_they_were_sent() {
    let t = committed(&[batch(0, 0, &records(2, 1)), batch(1, 0, &records(1, 1))]);
    assert_eq!(t.codes(), ["P3"]);
}

#[test]
fn p4_an_acknowledged_offset_with_another_record() {
    let mut t = committed(&[batch(0, 0, &records(1, 1))]);
    t.acknowledged(records(2, 1)[0], 0);
    t.expect("P4");
}

#[test]
fn p5_a_producer_epoch_that_falls() {
    let t =
        committed(&[batch_of(0, 0, 1, 0, &records(1, 1)), batch_of(1, 0, 0, 0, &records(2, 1))]);
    t.expect("P5");
}

/// What is found when b1 refuses a batch as out of order, with `held` in its log, so many events
/// after it arrived.
fn refused(held: &[Bytes], sent: Bytes, later: u64) -> Vec<&'static str> {
    let mut t = Script::new();
    for (base, batch) in (0..).zip(held) {
        t.append(&[B1], base, batch);
    }
    let topic = TopicRef::Id(TOPIC);
    let records = Records::Inline(vec![sent]);
    let request = Request::Produce(ProduceRequest {
        transactional_id: None,
        version: TransactionVersion::V2,
        acks: Acks::All,
        timeout: seedlog::time::Duration::from_secs(1),
        partitions: vec![ProducePartition { topic: topic.clone(), partition: 0, records }],
    });
    let (to, correlation) = (ConnId(1), CorrelationId(7));
    t.checkers.at(Instant::ZERO, 9);
    t.checkers.requested(B1, to, correlation, &Arc::new(request));
    t.checkers.at(Instant::ZERO, 9 + later);
    let answer = ProducedPartition {
        topic,
        partition: 0,
        error: ErrorCode::OutOfOrderSequenceNumber,
        base_offset: Offset::NONE,
        log_append_time: Timestamp::NONE,
        log_start_offset: Offset::ZERO,
        current_leader: None,
    };
    let response = Arc::new(Response::Produce(ProduceResponse { partitions: vec![answer] }));
    t.effect(B1, Effect::Respond { to, correlation, response });
    t.codes()
}

#[test]
fn p6_a_retry_of_what_is_there_is_refused() {
    let one = |base: i64| batch(base, 0, &records(1 + base.unsigned_abs(), 1));
    let held: Vec<Bytes> = (0..6).map(one).collect();
    let none: Vec<&str> = Vec::new();
    assert_eq!(refused(&held, one(1), 0), ["P6"]);
    assert_eq!(refused(&held, one(0), 0), none, "the sixth last may be forgotten");
    assert_eq!(refused(&held, one(7), 0), none, "a gap");
    assert_eq!(refused(&held, one(1), 1), none, "it may have come after the refusal");
}

#[test]
fn j1_an_offset_read_with_a_record_that_is_not_there() {
    let mut t = committed(&[batch(0, 0, &records(1, 1))]);
    t.poll(0, records(5, 1)[0]);
    assert_eq!(t.codes(), ["J1"]);
}

#[test]
fn j2_a_record_at_two_offsets() {
    let t = committed(&[batch(0, 0, &records(1, 1)), batch(1, 0, &records(1, 1))]);
    t.expect("J2");
}

#[test]
fn j3_a_failed_send_that_is_committed_after_all() {
    let mut t = committed(&[batch(0, 0, &records(1, 1))]);
    t.checkers.send_failed(records(1, 1)[0]);
    assert_eq!(t.codes(), ["J3"]);

    let mut t = Script::new();
    t.checkers.send_failed(records(1, 1)[0]);
    t.append(&[B1, B2, B3], 0, &batch(0, 0, &records(1, 1)));
    t.mark(B1, 0, 1, true);
    assert_eq!(t.codes(), ["J3"]);
}

#[test]
fn j4_an_acknowledged_record_that_a_consumer_never_met() {
    let mut t = committed(&[batch(0, 0, &records(1, 2))]);
    t.poll(0, records(1, 1)[0]);
    t.poll(1, records(2, 1)[0]);
    t.acknowledged(records(7, 1)[0], 1);
    t.expect("J4");
}

#[test]
fn j5_a_poll_that_leaves_a_record_out() {
    let mut t = committed(&[batch(0, 0, &records(1, 3))]);
    t.poll(0, records(1, 1)[0]);
    t.poll(2, records(3, 1)[0]);
    assert_eq!(t.codes(), ["J5"]);
}

#[test]
fn j5_a_consumer_that_moved_may_leave_records_out() {
    let mut t = committed(&[batch(0, 0, &records(1, 3))]);
    t.poll(0, records(1, 1)[0]);
    t.checkers.consumer_moved(1, &"orders".into(), 0);
    t.poll(2, records(3, 1)[0]);
    t.expect_nothing();
}

#[test]
fn j5_only_what_is_deleted_may_be_left_out() {
    for (deleted, codes) in [(2, &[][..]), (1, &["J5"])] {
        let place = |(base, number)| batch(base, 0, &records(number, 1));
        let mut t = committed(&[(0, 1), (1, 2), (2, 3)].map(place));
        t.poll(0, records(1, 1)[0]);
        t.effect(B1, Effect::Trim { log: DATA, to: Offset(deleted) });
        t.poll(2, records(3, 1)[0]);
        assert_eq!(t.codes(), codes);
    }
}

#[test]
fn j5_what_a_log_begins_behind_is_deleted_although_its_batch_is_there() {
    let mut t = committed(&[batch(0, 0, &records(1, 3))]);
    t.poll(0, records(1, 1)[0]);
    let (file, value) = (FileKey::LogStart(DATA), log::encode_offset(Offset(2)));
    t.effect(B1, Effect::Save { file, value });
    t.poll(2, records(3, 1)[0]);
    t.expect_nothing();
}

#[test]
fn j6_a_poll_that_goes_back() {
    let mut t = committed(&[batch(0, 0, &records(1, 3))]);
    t.poll(0, records(1, 1)[0]);
    t.poll(0, records(1, 1)[0]);
    assert_eq!(t.codes(), ["J6"]);
}

#[test]
fn j7_acknowledgements_in_another_order_than_the_sends() {
    let mut t = committed(&[batch(0, 0, &records(1, 2))]);
    t.acknowledged(records(1, 1)[0], 1);
    t.acknowledged(records(2, 1)[0], 0);
    t.expect("J7");
}

#[test]
fn j8_an_acknowledged_record_that_nobody_read_in_the_end() {
    let mut t = committed(&[batch(0, 0, &records(1, 2))]);
    t.acknowledged(records(1, 1)[0], 0);
    t.acknowledged(records(2, 1)[0], 1);
    t.poll(0, records(1, 1)[0]);
    t.checkers.ended();
    assert_eq!(t.codes(), ["J8"]);
}

#[test]
fn a_send_in_doubt_may_be_committed_later() {
    // Neither acknowledged nor failed for sure: a timeout, or an error after the append.
    let t = committed(&[batch(0, 0, &records(1, 1))]);
    t.expect_nothing();
}

#[test]
fn duplicates_without_idempotence_are_no_anomaly() {
    let mut t = Script::new();
    t.checkers.settings.promises = Promises { no_duplicates: false, ordered: false, durable: true };
    for base in [0, 1] {
        let mut builder = Builder::new().at(Offset(base), LeaderEpoch(0));
        builder.append(Timestamp(1), None, Some(&records(1, 1)[0].to_value(16)));
        t.append(&[B1, B2, B3], base, &builder.build());
        t.mark(B1, 0, base + 1, true);
        t.poll(base, records(1, 1)[0]);
    }
    t.expect_nothing();
}
