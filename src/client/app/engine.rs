//! What an application does next: a machine of its own between the embedded clients, which it asks
//! by [`Ask`] and which answer it with outcomes.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem::take;

use crate::client::app::AppSetup;
use crate::client::app::claim::Claims;
use crate::client::app::commit::Commit;
use crate::client::app::lane::{Entry, Lane, Order, Work};
use crate::client::app::membership::Membership;
use crate::client::app::processor::Processor;
use crate::client::app::restore::Restore;
use crate::client::app::task::{Resend, TaskRef};
use crate::client::app::transaction::Transaction;
use crate::config::{AppConfig, Delivery};
use crate::defect::Defect;
use crate::event::{ApplicationNote, Counters};
use crate::ids::{Offset, TopicName};
use crate::message::store::StoreRequest;
use crate::op::{Op, Outcome, SendRecord};
use crate::rng::Rng;
use crate::time::{Instant, Now, earliest};

/// A partition by its topic's name.
pub(super) type Partition = (TopicName, i32);

/// What an outcome is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Subscribe,
    Poll,
    /// Positions by partition and ownership.
    Commit(Vec<(Partition, u64, Offset)>),
    /// To go back to it.
    Committed,
    Seek,
    Send(TaskRef, SendRecord),
    Init,
    Begin,
    Offsets,
    EndCommit,
    EndAbort,
    /// A question to the external store.
    Store(TaskRef, StoreRequest),
    /// The newest tokens of the store.
    Tokens,
    /// Whether it may claim the next ones.
    CommitClaimed,
    Claim,
    /// Where changelogs end.
    Ends,
    /// Of the consumer of changelogs.
    RestoreAssign,
    RestoreSeek,
    RestorePoll,
    CloseConsumer,
    CloseProducer,
}

/// What the engine wants of the clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Consumer(Purpose, Op),
    Producer(Purpose, Op),
    /// The consumer of changelogs.
    Restorer(Purpose, Op),
    Admin(Purpose, Op),
    Store(Purpose, StoreRequest),
    /// Another producer in the place of this one, whose calls are answered no longer.
    RenewProducer,
}

/// What a turn of the engine wants done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Todo {
    pub asks: Vec<Ask>,
    pub notes: Vec<ApplicationNote>,
}

/// How far a graceful stop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    No,
    /// Finishes what is being processed.
    Draining,
    /// Waits for the clients to close.
    Clients {
        open: usize,
    },
    Done,
}

#[derive(Clone, Debug)]
pub(super) struct Engine<P> {
    pub setup: Arc<AppSetup>,
    pub processor: P,
    pub rng: Rng,
    pub lanes: BTreeMap<Partition, Lane>,
    pub ownerships: u64,
    pub membership: Membership,
    pub commit: Commit,
    pub claims: Claims,
    pub transaction: Transaction,
    pub restore: Restore,
    /// Sends that failed and go again.
    pub resend: Vec<Resend>,
    pub closing: Closing,
    /// Not noted yet.
    pub counters: Counters,
    pub wake: Option<Instant>,
}

impl<P: Processor> Engine<P> {
    pub fn new(setup: &Arc<AppSetup>, processor: P, rng: Rng) -> Self {
        Engine {
            setup: Arc::clone(setup),
            processor,
            rng,
            lanes: BTreeMap::new(),
            ownerships: 0,
            membership: Membership::default(),
            commit: Commit::default(),
            claims: Claims::default(),
            transaction: Transaction::default(),
            restore: Restore::default(),
            resend: Vec::new(),
            closing: Closing::No,
            counters: Counters::default(),
            wake: None,
        }
    }

    pub fn is_transactional(&self) -> bool {
        self.setup.config.delivery == Delivery::ExactlyOnce
    }

    /// Whether the state is kept in a changelog.
    pub fn has_changelog(&self) -> bool {
        self.is_transactional() && self.setup.changelog.is_some()
    }

    /// Whether positions are committed before their records are processed.
    pub fn commits_first(&self) -> bool {
        match self.setup.config.delivery {
            Delivery::AtMostOnce => true,
            // At least once is: first the effect, then the commit (Kafka's documentation).
            Delivery::AtLeastOnce => self.setup.defects.has(Defect::CommitThenProcess),
            Delivery::ExactlyOnce => false,
        }
    }

    pub fn order(&self) -> Order {
        match (self.is_transactional(), self.setup.config.ordered) {
            (true, _) => Order::Transaction,
            (false, true) => Order::Key,
            (false, false) => Order::Free,
        }
    }

    /// Asks for a graceful stop.
    pub fn close(&mut self) {
        if self.closing == Closing::No {
            self.closing = Closing::Draining;
        }
    }

    /// Takes the answer to something that was asked.
    pub fn returned(&mut self, now: Now, purpose: Purpose, outcome: &Outcome, todo: &mut Todo) {
        match purpose {
            Purpose::Subscribe => self.subscribed(now.mono, outcome),
            Purpose::Poll => self.polled(now.mono, outcome, todo),
            Purpose::Commit(positions) => self.commit_ended(now.mono, &positions, outcome),
            Purpose::Committed => self.committed(now.mono, outcome, todo),
            Purpose::Seek => self.sought(now.mono, outcome),
            Purpose::Send(task, record) => self.sent(now.mono, task, record, outcome, todo),
            Purpose::Init => self.initialised(now.mono, outcome, todo),
            Purpose::Begin => self.begun(now.mono, outcome, todo),
            Purpose::Offsets => self.offsets_sent(now.mono, outcome, todo),
            Purpose::EndCommit => self.transaction_committed(now.mono, outcome, todo),
            Purpose::EndAbort => self.transaction_aborted(now.mono, outcome, todo),
            Purpose::Store(task, request) => {
                self.store_answered(now, task, request, outcome, todo);
            }
            Purpose::Tokens => self.tokens_told(now.mono, outcome),
            Purpose::CommitClaimed => self.claimed_committed(now.mono, outcome, todo),
            Purpose::Claim => self.claimed(now.mono, outcome),
            Purpose::Ends => self.ends_told(now.mono, outcome, todo),
            Purpose::RestoreAssign => {}
            Purpose::RestoreSeek => self.restore_sought(),
            Purpose::RestorePoll => self.restore_polled(now.mono, outcome),
            Purpose::CloseConsumer | Purpose::CloseProducer => {
                if let Closing::Clients { open } = self.closing {
                    let left = open - 1;
                    self.closing =
                        if left == 0 { Closing::Done } else { Closing::Clients { open: left } };
                }
            }
        }
    }

    /// Everything that is possible now, and when to look again.
    pub fn work(&mut self, now: Now, todo: &mut Todo) {
        self.wake = None;
        if !matches!(self.closing, Closing::No | Closing::Draining) {
            return;
        }
        self.subscribe(now.mono, todo);
        self.send_again(now.mono, todo);
        self.go_back(now.mono, todo);
        self.claim_lanes(now.mono, todo);
        if self.is_transactional() {
            self.restore_lanes(now.mono, todo);
            self.transact(now, todo);
        } else {
            self.start_tasks(now, todo);
            self.commit_positions(now.mono, todo);
        }
        self.give_up(now.mono, todo);
        self.poll(now.mono, todo);
        self.shut_down(todo);
    }

    /// What was counted since this was asked last, if anything was. A crash comes between steps, so
    /// noted with each step nothing is left out.
    pub fn counted(&mut self) -> Option<ApplicationNote> {
        let counters = take(&mut self.counters);
        let group = Arc::clone(&self.setup.group);
        (counters != Counters::default()).then_some(ApplicationNote::Counters { group, counters })
    }

    pub fn wake_at(&mut self, at: Instant) {
        self.wake = earliest(self.wake, Some(at));
    }

    /// Leaves the group and closes the clients once nothing is on its way any longer.
    fn shut_down(&mut self, todo: &mut Todo) {
        if self.closing != Closing::Draining || !self.is_settled() {
            return;
        }
        todo.asks.push(Ask::Consumer(Purpose::CloseConsumer, Op::Close));
        todo.asks.push(Ask::Producer(Purpose::CloseProducer, Op::Close));
        self.processor.closing();
        self.closing = Closing::Clients { open: 2 };
    }

    /// Whether all that was begun is finished and committed.
    fn is_settled(&self) -> bool {
        if self.is_transactional() {
            return self.transaction.is_between();
        }
        self.resend.is_empty()
            && self.commit.in_flight.is_none()
            && self.lanes.values().all(|lane| lane.begun().is_none() && !self.has_unfinished(lane))
            && self.uncommitted(true).is_empty()
    }

    /// Whether a partition is about to be somebody else's.
    pub(super) fn leaves(&self, partition: &Partition) -> bool {
        self.closing == Closing::Draining || self.membership.is_revoked(partition)
    }

    /// Whether a lane holds records that nobody else will get: those committed already.
    pub(super) fn has_unfinished(&self, lane: &Lane) -> bool {
        self.commits_first()
            && lane.entries.iter().any(|entry| Some(entry.record.offset) < lane.committed)
    }

    /// The invariants of what it holds.
    pub fn check(&self) {
        let order = self.order();
        let (mut held, mut busy) = (0, 0);
        for lane in self.lanes.values() {
            lane.check();
            assert!(lane.ownership <= self.ownerships, "ownerships are counted");
            held += lane.entries.len();
            // Not as `Lane::busy` counts, on which the bound of it rests.
            let at_work = |entry: &Entry| !matches!(entry.work, Work::Waiting { .. } | Work::Done);
            for (index, entry) in lane.entries.iter().enumerate().filter(|(_, e)| at_work(e)) {
                busy += 1;
                let follows = |first: &Entry| {
                    first.work != Work::Done && first.record.key == entry.record.key
                };
                let overtakes = order == Order::Key && lane.entries.range(..index).any(follows);
                assert!(!overtakes, "a record waits for those before it with its key");
            }
        }
        let AppConfig { workers, buffered_records, .. } = self.setup.config;
        assert!(held <= buffered_records, "no more is held than there is room for");
        assert!(order == Order::Transaction || busy <= workers, "a worker has one record");
        self.processor.check();
    }
}
