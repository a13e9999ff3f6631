mod decisions;

use std::format;
use std::string::String;

use super::decide::{End, Ending, Prepared};
use super::*;
use crate::config::BrokerConfig;
use crate::coordinator::group::tests::rig;
use crate::defect::Defects;
use crate::event::Event;
use crate::ids::{ConnId, CorrelationId, NodeId, ProducerId};
use crate::machine::Effect;
use crate::message::Response;
use crate::message::produce::InitProducerIdRequest;
use crate::message::transaction::{
    AddPartitionsToTxnRequest, AddedTransaction, DescribeTransactionsRequest, EndTxnRequest,
    ListTransactionsRequest, TransactionVersion,
};
use crate::metadata::Image;
use crate::time::{Duration, Now, Timestamp};

const CLIENT: Requester = (ConnId(1), CorrelationId(1));
const TIMEOUT: Duration = Duration::from_secs(60);

/// A log in memory, which refuses when it is told to.
#[derive(Default)]
struct Log {
    batches: Vec<Bytes>,
    refuses: Option<ErrorCode>,
    ids: i64,
}

impl Journal for Log {
    fn append(&mut self, batch: &Bytes, _out: &mut Effects) -> Result<Offset, ErrorCode> {
        if let Some(error) = self.refuses {
            return Err(error);
        }
        self.batches.push(batch.clone());
        Ok(self.end() + -1)
    }

    fn producer_id(&mut self) -> Option<ProducerId> {
        self.ids += 1;
        Some(ProducerId(1_000 + self.ids))
    }
}

impl Log {
    fn end(&self) -> Offset {
        Offset(i64::try_from(self.batches.len()).unwrap())
    }
}

/// A coordinator with everything around it.
struct Desk {
    coordinator: TransactionCoordinator,
    log: Log,
    config: BrokerConfig,
    defects: Defects,
    now: Now,
    out: Effects,
}

macro_rules! with_ctx {
    ($desk:expr, |$ctx:ident, $coordinator:ident, $log:ident, $out:ident| $call:expr) => {{
        let Desk { coordinator: $coordinator, log: $log, config, defects, now, out: $out } =
            &mut *$desk;
        let mut image = Image::default();
        rig::topic(&mut image, "orders", 1, 2);
        rig::topic(&mut image, "__consumer_offsets", 2, 1);
        let (image, node) = (&Arc::new(image), NodeId(1));
        let $ctx = &Context { now: *now, node, image, config, defects: *defects };
        $call
    }};
}

impl Desk {
    fn new() -> Self {
        Desk::with(Defects::NONE)
    }

    fn with(defects: Defects) -> Self {
        let mut desk = Desk {
            coordinator: TransactionCoordinator::new(3),
            log: Log::default(),
            config: BrokerConfig { producer_epoch_max: 5, ..BrokerConfig::default() },
            defects,
            now: Now { mono: Instant::ZERO, wall: Timestamp(1_000_000) },
            out: Effects::new(),
        };
        desk.lead();
        desk
    }

    fn lead(&mut self) {
        with_ctx!(self, |ctx, coordinator, log, out| {
            coordinator.lead(ctx, LeaderEpoch(7), log, out);
        });
    }

    /// A new coordinator over the same log.
    fn fail_over(&mut self) {
        let old = core::mem::replace(&mut self.coordinator, TransactionCoordinator::new(3));
        old.resign(&mut self.out);
        let batches = self.log.batches.clone();
        with_ctx!(self, |ctx, coordinator, _log, _out| {
            for batch in &batches {
                coordinator.replay(ctx, batch);
            }
        });
        self.lead();
    }

    fn ask(&mut self, request: Request) {
        with_ctx!(self, |ctx, coordinator, log, out| {
            coordinator.request(ctx, log, CLIENT, &Arc::new(request), out);
        });
        self.coordinator.check();
    }

    /// Everything that is appended gets committed.
    fn commit(&mut self) {
        with_ctx!(self, |ctx, coordinator, log, out| {
            let end = log.end();
            coordinator.committed(ctx, log, end, out);
        });
        self.coordinator.check();
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.wall = self.now.wall.saturating_add(time);
        with_ctx!(self, |ctx, coordinator, log, out| coordinator.wake(ctx, log, out));
    }

    /// Every marker that is to be delivered is written; how many.
    fn deliver(&mut self) -> usize {
        let markers = self.coordinator.take_markers();
        for marker in &markers {
            let at = (marker.topic.clone(), marker.partition);
            with_ctx!(self, |ctx, coordinator, log, out| {
                coordinator.delivered(ctx, log, &marker.key, &at, Delivery::Written, out);
            });
        }
        markers.len()
    }

    /// The answers since the last look.
    fn answers(&mut self) -> Vec<Response> {
        let answered = |effect: Effect| {
            let Effect::Respond { response, .. } = effect else { return None };
            Some(Response::clone(&response))
        };
        self.out.drain().filter_map(answered).collect()
    }

    fn error(&mut self) -> Option<ErrorCode> {
        let answers = self.answers();
        let [answer] = &*answers else { return None };
        if let Response::InitProducerId(answer) = answer {
            return Some(answer.error);
        }
        if let Response::AddPartitionsToTxn(answer) = answer {
            return Some(answer.transactions[0].1[0].2);
        }
        let Response::EndTxn(answer) = answer else { panic!("{answer:?}") };
        Some(answer.error)
    }

    fn state(&self) -> TransactionState {
        self.coordinator.entry("t").unwrap().state
    }

    fn session(&self) -> (i64, i16) {
        let entry = self.coordinator.entry("t").unwrap();
        (entry.producer_id.0, entry.producer_epoch.0)
    }

    /// To the state, with producer id 1001.
    fn bring_to(&mut self, state: TransactionState) {
        use TransactionState::{CompleteAbort, CompleteCommit, Empty, Ongoing, PrepareCommit};
        self.ask(init(None));
        self.commit();
        let commit = matches!(state, PrepareCommit | CompleteCommit);
        if state != Empty {
            self.ask(add(self.session(), false));
            self.commit();
        }
        if !matches!(state, Empty | Ongoing) {
            self.ask(end(self.session(), commit, TransactionVersion::V2));
            self.commit();
        }
        if matches!(state, CompleteCommit | CompleteAbort) {
            self.deliver();
            self.commit();
        }
        self.answers();
        assert_eq!(self.state(), state);
    }
}

fn init(given: Option<(i64, i16)>) -> Request {
    let (id, epoch) = given.unwrap_or((-1, -1));
    Request::InitProducerId(InitProducerIdRequest {
        transactional_id: Some("t".into()),
        transaction_timeout: TIMEOUT,
        producer_id: ProducerId(id),
        producer_epoch: ProducerEpoch(epoch),
    })
}

fn add((id, epoch): (i64, i16), verify_only: bool) -> Request {
    Request::AddPartitionsToTxn(AddPartitionsToTxnRequest {
        transactions: alloc::vec![AddedTransaction {
            transactional_id: "t".into(),
            producer_id: ProducerId(id),
            producer_epoch: ProducerEpoch(epoch),
            verify_only,
            by_client: !verify_only,
            partitions: alloc::vec![("orders".into(), 0)],
        }],
    })
}

fn end((id, epoch): (i64, i16), commit: bool, version: TransactionVersion) -> Request {
    Request::EndTxn(EndTxnRequest {
        transactional_id: "t".into(),
        producer_id: ProducerId(id),
        producer_epoch: ProducerEpoch(epoch),
        commit,
        version,
    })
}

/// When the last transaction began, and whether it is listed among those older than that.
fn seen(desk: &mut Desk, age: Duration) -> (Timestamp, bool) {
    let transactional_ids = alloc::vec!["t".into()];
    desk.ask(Request::DescribeTransactions(DescribeTransactionsRequest { transactional_ids }));
    desk.ask(Request::ListTransactions(ListTransactionsRequest {
        states: Vec::new(),
        producer_ids: Vec::new(),
        longer_than: Some(age),
    }));
    let answers = desk.answers();
    let [Response::DescribeTransactions(described), Response::ListTransactions(listed)] = &*answers
    else {
        panic!("{answers:?}")
    };
    (described.transactions[0].start, !listed.transactions.is_empty())
}

#[test]
fn a_filter_that_names_no_state_is_told() {
    let mut desk = Desk::new();
    desk.bring_to(TransactionState::Empty);
    let states = alloc::vec!["Empty".into(), "Asleep".into()];
    let ask = ListTransactionsRequest { states, producer_ids: Vec::new(), longer_than: None };
    desk.ask(Request::ListTransactions(ask));
    let answers = desk.answers();
    let [Response::ListTransactions(listed)] = &*answers else { panic!("{answers:?}") };
    assert_eq!(listed.unknown_states, ["Asleep".into()]);
    assert_eq!(listed.transactions.len(), 1);
}

#[test]
fn when_the_last_transaction_began_is_told_until_the_next_session() {
    let age = Duration::from_secs(10);
    let mut desk = Desk::new();
    desk.bring_to(TransactionState::Empty);
    assert_eq!(seen(&mut desk, age), (Timestamp::NONE, true), "what never began is old to Kafka");
    desk.bring_to(TransactionState::CompleteCommit);
    let began = desk.now.wall;
    assert_eq!(seen(&mut desk, age), (began, false));
    desk.pass(age + Duration::from_millis(1));
    assert_eq!(seen(&mut desk, age), (began, true));
    desk.fail_over();
    assert_eq!(seen(&mut desk, age), (began, true));
    desk.ask(init(None));
    desk.commit();
    desk.answers();
    assert_eq!(seen(&mut desk, age), (Timestamp::NONE, true));
}

#[test]
fn nothing_is_answered_or_told_before_it_is_committed() {
    let mut desk = Desk::new();
    desk.ask(init(None));
    assert_eq!(desk.error(), None);
    desk.ask(init(None));
    assert_eq!(desk.error(), Some(ErrorCode::ConcurrentTransactions));
    desk.commit();
    assert_eq!(desk.error(), Some(ErrorCode::None));
    assert_eq!(desk.session(), (1001, 0));
    desk.ask(add((1001, 0), false));
    desk.commit();
    desk.answers();
    desk.ask(end((1001, 0), true, TransactionVersion::V2));
    assert_eq!((desk.error(), desk.coordinator.take_markers()), (None, Vec::new()));
    desk.commit();
    assert_eq!(desk.error(), Some(ErrorCode::None));
    assert_eq!(desk.deliver(), 1);
    desk.commit();
    assert_eq!((desk.state(), desk.session()), (TransactionState::CompleteCommit, (1001, 1)));
}

#[test]
fn with_the_switch_a_decision_is_told_before_it_is_durable() {
    let mut desk = Desk::with(Defects::NONE.with(Defect::TcDecideBeforeDurable));
    desk.bring_to(TransactionState::Ongoing);
    desk.ask(end((1001, 0), true, TransactionVersion::V2));
    let told = !desk.coordinator.take_markers().is_empty();
    assert_eq!(told, cfg!(feature = "defects"));
}

#[test]
fn a_refused_append_leaves_the_entry_as_it_was() {
    let mut desk = Desk::new();
    desk.bring_to(TransactionState::Ongoing);
    desk.log.refuses = Some(ErrorCode::NotEnoughReplicas);
    desk.ask(end((1001, 0), true, TransactionVersion::V2));
    assert_eq!(desk.error(), Some(ErrorCode::CoordinatorNotAvailable));
    desk.log.refuses = Some(ErrorCode::NotLeaderOrFollower);
    desk.ask(end((1001, 0), true, TransactionVersion::V2));
    assert_eq!(desk.error(), Some(ErrorCode::NotCoordinator));
    desk.log.refuses = None;
    desk.ask(end((1001, 0), true, TransactionVersion::V2));
    desk.commit();
    assert_eq!(desk.error(), Some(ErrorCode::None));
}

#[test]
fn a_new_coordinator_delivers_the_markers_of_what_was_decided_before() {
    for dropped in [false, true] {
        let defect = Defects::NONE.with(Defect::TcLoadDropsPrepare);
        let mut desk = Desk::with(if dropped { defect } else { Defects::NONE });
        desk.bring_to(TransactionState::PrepareCommit);
        desk.fail_over();
        let delivers = !(dropped && cfg!(feature = "defects"));
        assert_eq!(desk.deliver() == 1, delivers);
        desk.commit();
        assert_eq!(desk.state() == TransactionState::CompleteCommit, delivers);
    }
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_with_an_epoch_that_fences() {
    let mut desk = Desk::new();
    desk.bring_to(TransactionState::Ongoing);
    desk.pass(Duration::from_secs(10));
    desk.commit();
    assert_eq!(desk.state(), TransactionState::Ongoing);
    desk.pass(TIMEOUT);
    desk.commit();
    let markers = desk.coordinator.markers.clone().take_fresh();
    assert_eq!(markers[0].key.1, ProducerEpoch(1));
    assert_eq!(desk.deliver(), 1);
    desk.commit();
    assert_eq!(desk.state(), TransactionState::CompleteAbort);
    desk.ask(add((1001, 0), false));
    assert_eq!(desk.error(), Some(ErrorCode::ProducerFenced));
    desk.ask(end((1001, 0), true, TransactionVersion::V2));
    assert_eq!(desk.error(), Some(ErrorCode::InvalidTxnState));
    for commit in [false, true] {
        desk.ask(end((1001, 0), commit, TransactionVersion::V1));
        assert_eq!(desk.error(), Some(ErrorCode::ProducerFenced));
    }
    desk.ask(end((1001, 0), false, TransactionVersion::V2));
    let answers = desk.answers();
    let [Response::EndTxn(answer)] = &*answers else { panic!("{answers:?}") };
    assert_eq!((answer.error, answer.producer_epoch), (ErrorCode::None, ProducerEpoch(1)));
}

#[test]
fn an_abort_in_time_takes_one_epoch_whatever_was_spoken_before() {
    for version in [TransactionVersion::V1, TransactionVersion::V2] {
        let mut desk = Desk::new();
        desk.config.producer_epoch_max = 100;
        desk.bring_to(TransactionState::Ongoing);
        desk.ask(end(desk.session(), true, version));
        desk.commit();
        desk.deliver();
        desk.commit();
        desk.ask(init(None));
        desk.commit();
        let (id, epoch) = desk.session();
        desk.ask(add((id, epoch), false));
        desk.commit();
        desk.pass(TIMEOUT * 2);
        desk.commit();
        let markers = desk.coordinator.take_markers();
        let told = (markers[0].key.1, markers[0].version);
        assert_eq!(told, (ProducerEpoch(epoch + 1), TransactionVersion::V2));
    }
}

#[test]
fn a_session_that_goes_on_at_its_last_epoch_gets_another_id_and_the_same_one_when_it_asks_again() {
    let mut desk = Desk::new();
    desk.bring_to(TransactionState::Empty);
    let mut sessions = Vec::new();
    for _ in 0..12 {
        let session = desk.session();
        desk.ask(init(Some(session)));
        desk.commit();
        assert_eq!(desk.error(), Some(ErrorCode::None), "{session:?}");
        let next = desk.session();
        desk.ask(init(Some(session)));
        desk.commit();
        assert_eq!((desk.error(), desk.session()), (Some(ErrorCode::None), next));
        sessions.push(next);
    }
    let expected = (1..=12).map(|n| (1001 + i64::from(n / 5), n % 5));
    assert_eq!(sessions, expected.collect::<Vec<(i64, i16)>>());
}

#[test]
fn the_last_epoch_of_an_id_ends_its_open_transaction_and_the_next_id_goes_on() {
    let mut desk = Desk::new();
    desk.bring_to(TransactionState::Empty);
    for _ in 0..4 {
        desk.ask(init(None));
        desk.commit();
    }
    assert_eq!(desk.session(), (1001, 4));
    desk.ask(add((1001, 4), false));
    desk.commit();
    desk.pass(TIMEOUT * 2);
    desk.commit();
    assert_eq!((desk.state(), desk.session()), (TransactionState::PrepareAbort, (1001, 5)));
    desk.answers();
    // Whoever knows the next id already has to wait for it.
    for request in
        [add((1002, 0), false), end((1002, 0), true, TransactionVersion::V2), init(Some((1002, 0)))]
    {
        desk.ask(request);
        assert_eq!(desk.error(), Some(ErrorCode::ConcurrentTransactions));
    }
    desk.deliver();
    desk.commit();
    assert_eq!((desk.state(), desk.session()), (TransactionState::CompleteAbort, (1002, 0)));
    desk.ask(add((1001, 4), false));
    assert_eq!(desk.error(), Some(ErrorCode::InvalidProducerIdMapping));
}

#[test]
fn init_producer_id_aborts_what_is_open_and_then_gives_a_session_above() {
    let mut desk = Desk::new();
    desk.bring_to(TransactionState::Ongoing);
    desk.ask(init(None));
    assert_eq!(desk.error(), Some(ErrorCode::ConcurrentTransactions));
    desk.commit();
    desk.deliver();
    desk.commit();
    desk.ask(init(None));
    desk.commit();
    assert_eq!(desk.error(), Some(ErrorCode::None));
    assert_eq!((desk.state(), desk.session()), (TransactionState::Empty, (1001, 2)));
}

#[test]
fn when_epochs_run_out_the_producer_goes_on_with_another_id() {
    let mut desk = Desk::new();
    desk.bring_to(TransactionState::CompleteCommit);
    for _ in 0..10 {
        let session = desk.session();
        desk.ask(add(session, false));
        desk.commit();
        desk.ask(end(session, true, TransactionVersion::V2));
        desk.commit();
        desk.deliver();
        desk.commit();
        assert!(desk.session().1 < 5);
        // The answer was lost: the same question is asked again.
        desk.answers();
        desk.ask(end(session, true, TransactionVersion::V2));
        let answers = desk.answers();
        let [Response::EndTxn(answer)] = &*answers else { panic!("{answers:?}") };
        assert_eq!(answer.error, ErrorCode::None, "{session:?}");
        assert_eq!((answer.producer_id.0, answer.producer_epoch.0), desk.session());
    }
    assert!(desk.session().0 > 1001);
}

#[test]
fn an_end_that_comes_late_ends_no_other_transaction_but_with_one_epoch_for_all() {
    for version in [TransactionVersion::V1, TransactionVersion::V2] {
        let mut desk = Desk::new();
        desk.ask(init(None));
        desk.commit();
        let first = desk.session();
        desk.ask(add(first, false));
        desk.commit();
        desk.ask(end(first, true, version));
        desk.commit();
        desk.deliver();
        desk.commit();
        desk.ask(add(desk.session(), false));
        desk.commit();
        desk.answers();
        desk.ask(end(first, true, version));
        desk.commit();
        let ends = desk.state() == TransactionState::PrepareCommit;
        assert_eq!(ends, version == TransactionVersion::V1, "KAFKA-17754");
    }
}

#[test]
fn the_last_epoch_fences_too() {
    let entry = |epoch| Entry {
        producer_epoch: ProducerEpoch(epoch),
        state: TransactionState::Ongoing,
        ..Entry::new(ProducerId(1), TIMEOUT, Timestamp(0))
    };
    let rules = Rules { now: Timestamp(9), epoch_max: ProducerEpoch(5), defects: Defects::NONE };
    let fenced = |epoch| {
        let Prepared { entry, rotates } = decide::fence(&entry(epoch), false, rules);
        (entry.producer_epoch.0, entry.version, rotates)
    };
    assert_eq!(fenced(0), (1, TransactionVersion::V2, false));
    assert_eq!(fenced(3), (4, TransactionVersion::V2, false));
    assert_eq!(fenced(4), (5, TransactionVersion::V2, true));
    assert_eq!(fenced(5), (5, TransactionVersion::V1, true), "another program's");
    let ending = Ending {
        session: (ProducerId(1), ProducerEpoch(4)),
        commit: true,
        version: TransactionVersion::V2,
    };
    let ended = decide::end(&entry(4), ending, false, rules);
    let Ok(End::Prepare(Prepared { entry, rotates })) = ended else {
        panic!("an open transaction")
    };
    assert_eq!((entry.producer_epoch.0, rotates), (5, true));
}

#[test]
fn of_partitions_that_are_not_all_known_none_is_added() {
    let mut desk = Desk::new();
    desk.bring_to(TransactionState::Empty);
    let Request::AddPartitionsToTxn(mut request) = add(desk.session(), false) else { panic!() };
    let added = &mut request.transactions[0].partitions;
    added.extend([("orders".into(), 2), ("payments".into(), 0)]);
    desk.ask(Request::AddPartitionsToTxn(request));
    let unknown = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(added_to(&mut desk), [ErrorCode::OperationNotAttempted, unknown, unknown]);
    assert_eq!(desk.state(), TransactionState::Empty);
}

/// What became of each partition.
fn added_to(desk: &mut Desk) -> Vec<ErrorCode> {
    let answers = desk.answers();
    let [Response::AddPartitionsToTxn(answer)] = &*answers else { panic!("{answers:?}") };
    answer.transactions[0].1.iter().map(|at| at.2).collect()
}

#[test]
fn a_client_adds_no_internal_topic_to_its_transaction_and_a_broker_does() {
    for by_client in [true, false] {
        let mut desk = Desk::new();
        desk.bring_to(TransactionState::Empty);
        let Request::AddPartitionsToTxn(mut request) = add(desk.session(), false) else { panic!() };
        request.transactions[0].by_client = by_client;
        request.transactions[0].partitions.push(("__consumer_offsets".into(), 0));
        desk.ask(Request::AddPartitionsToTxn(request));
        if by_client {
            let refused = ErrorCode::TopicAuthorizationFailed;
            assert_eq!(added_to(&mut desk), [ErrorCode::OperationNotAttempted, refused]);
            assert_eq!(desk.state(), TransactionState::Empty);
        } else {
            desk.commit();
            assert_eq!(desk.state(), TransactionState::Ongoing);
        }
    }
}

#[test]
fn the_transition_table() {
    type Trigger = (&'static str, fn(&mut Desk));
    let triggers: [Trigger; 13] = [
        ("InitProducerId", |desk| desk.ask(init(None))),
        ("InitProducerId, own session", |desk| desk.ask(init(Some(desk.session())))),
        ("InitProducerId, foreign session", |desk| desk.ask(init(Some((9, 0))))),
        ("AddPartitions", |desk| desk.ask(add(desk.session(), false))),
        ("AddPartitions, verify only", |desk| desk.ask(add(desk.session(), true))),
        ("EndTxn commit, v1", |desk| desk.ask(end(desk.session(), true, TransactionVersion::V1))),
        ("EndTxn abort, v1", |desk| desk.ask(end(desk.session(), false, TransactionVersion::V1))),
        ("EndTxn commit, v2", |desk| desk.ask(end(desk.session(), true, TransactionVersion::V2))),
        ("EndTxn abort, v2", |desk| desk.ask(end(desk.session(), false, TransactionVersion::V2))),
        ("EndTxn commit, v2, epoch before", |desk| {
            let (id, epoch) = desk.session();
            desk.ask(end((id, epoch - 1), true, TransactionVersion::V2));
        }),
        ("EndTxn abort, v2, epoch before", |desk| {
            let (id, epoch) = desk.session();
            desk.ask(end((id, epoch - 1), false, TransactionVersion::V2));
        }),
        ("markers written", |desk| {
            desk.deliver();
        }),
        ("time passes", |desk| desk.pass(TIMEOUT * 2)),
    ];
    let mut table = String::new();
    for state in [
        TransactionState::Empty,
        TransactionState::Ongoing,
        TransactionState::PrepareCommit,
        TransactionState::PrepareAbort,
        TransactionState::CompleteCommit,
        TransactionState::CompleteAbort,
    ] {
        for (name, trigger) in triggers {
            let mut desk = Desk::new();
            desk.bring_to(state);
            trigger(&mut desk);
            let mut path = String::new();
            for effect in desk.out.as_slice() {
                if let Effect::Note(Event::Transaction(note)) = effect {
                    path.push_str(&format!(" -> {:?} epoch {}", note.to, note.producer_epoch));
                }
            }
            desk.commit();
            let error = desk.error().map_or_else(|| "-".into(), |error| format!("{error}"));
            table.push_str(&format!(
                "{:14} | {name:31} | {error:24} |{path}\n",
                format!("{state:?}")
            ));
        }
    }
    insta::assert_snapshot!(table);
}
