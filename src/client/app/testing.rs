//! What the tests of applications share.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::client::app::AppSetup;
use crate::client::app::copy::Copy;
use crate::client::app::engine::{Ask, Engine, Purpose, Todo};
use crate::client::app::processor::Processor;
use crate::client::testing::endpoint;
use crate::config::{AppConfig, ConsumerConfig, Delivery, ProducerConfig};
use crate::defect::Defects;
use crate::event::ApplicationNote;
use crate::ids::Offset;
use crate::message::Response;
use crate::message::store::StoreResponse;
use crate::op::{ConsumedRecord, GroupMetadata, Op, Outcome, Rebalance};
use crate::rng::Rng;
use crate::time::{Duration, Instant, Now, Timestamp};

pub fn setup(delivery: Delivery) -> AppSetup {
    AppSetup {
        client_id: "x1".into(),
        bootstrap: [endpoint(1)].into(),
        consumer: ConsumerConfig::default(),
        producer: ProducerConfig::default(),
        config: AppConfig { delivery, ..AppConfig::default() },
        defects: Defects::NONE,
        group: "g".into(),
        instance: None,
        inputs: ["in".into()].into(),
        changelog: None,
        store: None,
    }
}

/// An engine whose clients are the test.
#[derive(Clone)]
pub struct Rig<P> {
    pub engine: Engine<P>,
    pub now: Now,
    /// What it asked for and has no answer yet, oldest first.
    pub asks: Vec<Ask>,
    /// What it noted of its work.
    pub notes: Vec<ApplicationNote>,
}

pub fn copy() -> Copy {
    Copy { output: "out".into() }
}

pub fn generation(generation: i32) -> GroupMetadata {
    GroupMetadata { group: "g".into(), member: "m".into(), instance: None, generation }
}

pub fn record(partition: i32, offset: i64, key: &str, value: &str) -> ConsumedRecord {
    ConsumedRecord {
        topic: "in".into(),
        partition,
        offset: Offset(offset),
        timestamp: Timestamp(1_000),
        key: Some(Bytes::from(alloc::string::String::from(key))),
        value: Some(Bytes::from(alloc::string::String::from(value))),
        headers: Vec::new(),
    }
}

impl Ask {
    /// What an answer to it is about; a new producer is no question.
    pub fn purpose(&self) -> Option<&Purpose> {
        match self {
            Ask::Consumer(purpose, _)
            | Ask::Producer(purpose, _)
            | Ask::Restorer(purpose, _)
            | Ask::Admin(purpose, _)
            | Ask::Store(purpose, _) => Some(purpose),
            Ask::RenewProducer => None,
        }
    }
}

/// What the store says.
pub fn answered(response: StoreResponse) -> Outcome {
    Outcome::Answered(Arc::new(Response::Store(response)))
}

impl<P: Processor> Rig<P> {
    /// Subscribed, and polling.
    pub fn new(setup: AppSetup, processor: P) -> Self {
        let engine = Engine::new(&Arc::new(setup), processor, Rng::from_number(1));
        let now = Now { mono: Instant::ZERO + Duration::from_secs(1), wall: Timestamp(1_000) };
        let mut rig = Rig { engine, now, asks: Vec::new(), notes: Vec::new() };
        rig.turn(|_, _, _| ());
        rig.answer(|purpose| *purpose == Purpose::Subscribe, Outcome::Done);
        rig
    }

    fn turn(&mut self, before: impl FnOnce(&mut Engine<P>, Now, &mut Todo)) {
        let mut todo = Todo::default();
        before(&mut self.engine, self.now, &mut todo);
        self.engine.work(self.now, &mut todo);
        self.engine.check();
        self.asks.extend(todo.asks);
        self.notes.extend(todo.notes.into_iter().filter(|note| !note.is_aside()));
    }

    /// Answers the oldest question of that kind.
    pub fn answer(&mut self, which: impl Fn(&Purpose) -> bool, outcome: Outcome) {
        let index = self.asks.iter().position(|ask| ask.purpose().is_some_and(&which));
        let index = index.unwrap_or_else(|| panic!("not asked: {:?}", self.asks));
        let asked = self.asks.remove(index);
        let purpose = asked.purpose().expect("a question was looked for").clone();
        self.turn(|engine, now, todo| engine.returned(now, purpose, &outcome, todo));
    }

    pub fn polled(&mut self, records: Vec<ConsumedRecord>) {
        self.answer(|purpose| *purpose == Purpose::Poll, Outcome::Polled(records.into()));
    }

    pub fn rebalanced(&mut self, change: Rebalance) {
        let outcome = Outcome::Rebalanced(Arc::new(change));
        self.answer(|purpose| *purpose == Purpose::Poll, outcome);
    }

    pub fn assigned(&mut self, partitions: &[i32]) {
        let partitions = partitions.iter().map(|partition| ("in".into(), *partition)).collect();
        self.rebalanced(Rebalance::Assigned(partitions, generation(1)));
    }

    pub fn sent(&mut self) {
        let outcome =
            Outcome::Sent { partition: 0, offset: Offset(0), timestamp: Timestamp(1_000) };
        self.answer(|purpose| matches!(purpose, Purpose::Send(..)), outcome);
    }

    /// Gets the token after that one for what it claims.
    pub fn claims(&mut self, newest: i64) {
        let told = answered(StoreResponse::Tokens([newest].into()));
        self.answer(|asked| *asked == Purpose::Tokens, told);
        self.done(&Purpose::CommitClaimed);
        let given = answered(StoreResponse::Claimed([true].into()));
        self.answer(|asked| *asked == Purpose::Claim, given);
    }

    pub fn done(&mut self, purpose: &Purpose) {
        self.answer(|asked| asked == purpose, Outcome::Done);
    }

    pub fn pass(&mut self, time: Duration) {
        self.now.mono += time;
        self.turn(|_, _, _| ());
    }

    pub fn close(&mut self) {
        self.turn(|engine, _, _| engine.close());
    }

    /// The calls that wait for an answer, but for polls, by name and what matters of them.
    pub fn calls(&self) -> Vec<alloc::string::String> {
        let mut calls = Vec::new();
        for ask in &self.asks {
            calls.push(match ask {
                Ask::Consumer(_, op) | Ask::Producer(_, op) => describe(op),
                Ask::Restorer(_, op) => alloc::format!("restorer: {}", describe(op)),
                Ask::Admin(..) => "ends?".into(),
                Ask::Store(_, request) => alloc::format!("{request:?}"),
                Ask::RenewProducer => "new producer".into(),
            });
        }
        calls.retain(|call| call != "poll");
        calls
    }
}

fn describe(op: &Op) -> alloc::string::String {
    use alloc::format;
    let text = |bytes: &Option<Bytes>| {
        bytes.as_ref().map_or_else(
            || "-".into(),
            |bytes| alloc::string::String::from_utf8_lossy(bytes).into_owned(),
        )
    };
    let positions = |list: &[crate::op::Position]| {
        let each = list.iter().map(|at| format!(" {}@{}", at.partition, at.offset));
        each.collect::<alloc::string::String>()
    };
    match op {
        Op::Send(record) => {
            format!("send {} {}={}", record.topic, text(&record.key), text(&record.value))
        }
        Op::Poll { .. } => "poll".into(),
        Op::Commit(Some(list)) => format!("commit{}", positions(list)),
        Op::SendOffsets { positions: list, group } => {
            format!("offsets{} of {:?} {}", positions(list), &*group.member, group.generation)
        }
        Op::Seek { partition, to, .. } => format!("seek {partition} {to:?}"),
        Op::Assign(list) => format!("assign {}", list.len()),
        Op::Committed(list) => format!("committed? {}", list.len()),
        Op::InitTransactions => "init".into(),
        Op::BeginTransaction => "begin".into(),
        Op::CommitTransaction => "commit transaction".into(),
        Op::AbortTransaction => "abort transaction".into(),
        Op::Subscribe(_) => "subscribe".into(),
        Op::Close => "close".into(),
        Op::Commit(None)
        | Op::Flush
        | Op::Pause { .. }
        | Op::Resume { .. }
        | Op::Unsubscribe
        | Op::Admin(_) => panic!("no application asks for this: {op:?}"),
    }
}
