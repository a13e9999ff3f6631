//! A coordinator of transactions and all that it asks, in memory.

use super::*;
use crate::config::BrokerConfig;
use crate::coordinator::group::tests::rig;
use crate::ids::{ConnId, CorrelationId, NodeId, ProducerId};
use crate::message::produce::InitProducerIdRequest;
use crate::message::transaction::{AddPartitionsToTxnRequest, AddedTransaction, EndTxnRequest};
use crate::metadata::Image;
use crate::time::Now;

pub const CLIENT: Requester = (ConnId(1), CorrelationId(1));
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// A log in memory, which refuses when it is told to.
#[derive(Default)]
pub struct Log {
    pub batches: Vec<Bytes>,
    pub refuses: Option<ErrorCode>,
    pub ids: i64,
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
    pub fn end(&self) -> Offset {
        Offset(i64::try_from(self.batches.len()).unwrap())
    }
}

/// A coordinator with everything around it.
pub struct Desk {
    pub coordinator: TransactionCoordinator,
    pub log: Log,
    pub config: BrokerConfig,
    pub defects: Defects,
    pub now: Now,
    pub out: Effects,
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
    pub fn new() -> Self {
        Desk::with(Defects::NONE)
    }

    pub fn with(defects: Defects) -> Self {
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

    pub fn lead(&mut self) {
        with_ctx!(self, |ctx, coordinator, log, out| {
            coordinator.lead(ctx, LeaderEpoch(7), log, out);
        });
    }

    /// A new coordinator over the same log.
    pub fn fail_over(&mut self) {
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

    pub fn ask(&mut self, request: Request) {
        with_ctx!(self, |ctx, coordinator, log, out| {
            coordinator.request(ctx, log, CLIENT, &Arc::new(request), out);
        });
        self.coordinator.check();
    }

    /// Everything that is appended gets committed.
    pub fn commit(&mut self) {
        with_ctx!(self, |ctx, coordinator, log, out| {
            let end = log.end();
            coordinator.committed(ctx, log, end, out);
        });
        self.coordinator.check();
    }

    pub fn pass(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.wall = self.now.wall.saturating_add(time);
        with_ctx!(self, |ctx, coordinator, log, out| coordinator.wake(ctx, log, out));
    }

    /// Every marker that is to be delivered is written; how many.
    pub fn deliver(&mut self) -> usize {
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
    pub fn answers(&mut self) -> Vec<Response> {
        let answered = |effect: Effect| {
            let Effect::Respond { response, .. } = effect else { return None };
            Some(Response::clone(&response))
        };
        self.out.drain().filter_map(answered).collect()
    }

    pub fn error(&mut self) -> Option<ErrorCode> {
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

    pub fn state(&self) -> TransactionState {
        self.coordinator.entry("t").unwrap().state
    }

    pub fn session(&self) -> (i64, i16) {
        let entry = self.coordinator.entry("t").unwrap();
        (entry.producer_id.0, entry.producer_epoch.0)
    }

    /// To the state, with producer id 1001.
    pub fn bring_to(&mut self, state: TransactionState) {
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

pub fn init(given: Option<(i64, i16)>) -> Request {
    let (id, epoch) = given.unwrap_or((-1, -1));
    Request::InitProducerId(InitProducerIdRequest {
        transactional_id: Some("t".into()),
        transaction_timeout: TIMEOUT,
        producer_id: ProducerId(id),
        producer_epoch: ProducerEpoch(epoch),
    })
}

pub fn add((id, epoch): (i64, i16), verify_only: bool) -> Request {
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

pub fn end((id, epoch): (i64, i16), commit: bool, version: TransactionVersion) -> Request {
    Request::EndTxn(EndTxnRequest {
        transactional_id: "t".into(),
        producer_id: ProducerId(id),
        producer_epoch: ProducerEpoch(epoch),
        commit,
        version,
    })
}
