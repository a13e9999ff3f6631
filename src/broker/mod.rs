//! The process that serves clients: it follows the metadata quorum, hosts replicas of partitions
//! and answers for those it leads.
//!
//! One step does what its input asks for and then *settles*: committed metadata is acted upon,
//! partitions that moved complete who waited for them, and fetchers and errands to the controller
//! go out. So whatever a step changes, its consequences leave in the same step, in one order.

mod checkpoint;
mod configs;
mod controller_channel;
mod coordination;
mod errands;
mod fetch;
mod fetcher;
mod forward;
mod isr_changes;
mod lifecycle;
mod lookup;
mod maintenance;
mod metadata_api;
mod metadata_log;
mod offsets;
mod partitions;
mod produce;
mod producer_ids;
mod publish;
mod purgatory;
mod recovery;
mod serve;
mod settle;
mod shutdown;
#[cfg(test)]
mod tests;
mod transaction;

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::broker::controller_channel::ControllerChannel;
use crate::broker::coordination::Coordinators;
use crate::broker::fetcher::Fetchers;
use crate::broker::forward::Forwards;
use crate::broker::isr_changes::IsrChanges;
use crate::broker::lifecycle::Lifecycle;
use crate::broker::lookup::Lookup;
use crate::broker::metadata_log::Metadata;
use crate::broker::offsets::DelayedDeletion;
use crate::broker::partitions::Partitions;
use crate::broker::producer_ids::ProducerIds;
use crate::broker::purgatory::Purgatory;
use crate::broker::recovery::Found;
use crate::broker::shutdown::Shutdown;
use crate::broker::transaction::Transactions;
use crate::config::{BrokerConfig, ServerConfig};
use crate::error::ErrorCode;
use crate::ids::{BrokerEpoch, CallId, ConnId, CorrelationId, LogId, PartitionId, TopicName};
use crate::machine::{Effect, Effects, Input, Machine};
use crate::message::Response;
use crate::metadata::Image;
use crate::op::{Op, Outcome};
use crate::raft::Raft;
use crate::replica::Replica;
use crate::rng::Rng;
use crate::time::{Instant, Now, Timers, earliest};

/// The metadata quorum's log; partitions' logs count from the next.
const METADATA_LOG: LogId = LogId(0);

/// What a broker is started with.
#[derive(Clone, Debug)]
pub struct BrokerSetup {
    pub server: Arc<ServerConfig>,
    pub broker: BrokerConfig,
}

/// What a broker does from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Write down the high watermarks.
    Checkpoint,
    /// Remove old records.
    Retention,
    /// Give up a controlled shutdown that the controller does not answer.
    Shutdown,
}

/// A broker.
#[derive(Clone, Debug)]
pub struct Broker {
    setup: Arc<BrokerSetup>,
    rng: Rng,
    raft: Raft,
    metadata: Metadata,
    lifecycle: Lifecycle,
    controller: ControllerChannel,
    forwards: Forwards,
    isr_changes: IsrChanges,
    producer_ids: ProducerIds,
    partitions: Partitions,
    fetchers: Fetchers,
    purgatory: Purgatory,
    coordinators: Coordinators,
    transactions: Transactions,
    timers: Timers<Timer>,
    /// Topics that are being made because somebody asked about them.
    auto_creating: BTreeSet<TopicName>,
    /// What the disk held at the start, until the metadata tells what to do with it: empty then.
    found: Found,
    /// The last checkpoint of high watermarks, not to write the same again.
    written_high_watermarks: Bytes,
    deletions: Vec<DelayedDeletion>,
    lookups: Vec<Lookup>,
    shutdown: Option<Shutdown>,
}

/// What a replica is told with a call; only borrows the fields that it needs.
macro_rules! context {
    ($broker:expr, $now:expr) => {
        crate::replica::Context {
            now: $now,
            node: $broker.setup.server.node,
            broker_epoch: $broker.lifecycle.epoch(),
            config: &$broker.setup.broker,
            defects: $broker.setup.server.defects,
            image: $broker.metadata.image(),
        }
    };
}
use context;

impl Broker {
    #[must_use]
    pub fn setup(&self) -> &Arc<BrokerSetup> {
        &self.setup
    }

    /// The cluster's metadata as far as this broker has applied it.
    #[must_use]
    pub fn image(&self) -> &Arc<Image> {
        self.metadata.image()
    }

    /// The epoch of this incarnation's registration, [`BrokerEpoch::NONE`] before it.
    #[must_use]
    pub fn epoch(&self) -> BrokerEpoch {
        self.lifecycle.epoch()
    }

    /// The metadata quorum's observer in this broker.
    #[must_use]
    pub fn raft(&self) -> &Raft {
        &self.raft
    }

    /// This broker's replica of a partition, if it hosts one.
    #[must_use]
    pub fn replica(&self, partition: PartitionId) -> Option<&Replica> {
        self.partitions.get(partition)
    }

    /// All replicas that this broker hosts, in the order of their ids. Empty until the broker knows
    /// its own registration from the metadata log.
    pub fn replicas(&self) -> impl Iterator<Item = (PartitionId, &Replica)> {
        self.partitions.iter()
    }

    /// Internal invariants; called by the simulator after every step.
    ///
    /// # Panics
    /// If one is broken: a bug of the broker.
    pub fn check(&self) {
        self.raft.check();
        self.lifecycle.check();
        self.producer_ids.check();
        self.purgatory.check();
        self.coordinators.check();
        self.partitions.check();
        self.fetchers.check();
    }

    fn respond((to, correlation): (ConnId, CorrelationId), response: Response, out: &mut Effects) {
        out.push(Effect::Respond { to, correlation, response: Arc::new(response) });
    }

    fn opened(&mut self, now: Now, conn: ConnId, out: &mut Effects) {
        match conn.space() {
            fetcher::SPACE => self.fetchers.opened(conn),
            controller_channel::SPACE => self.controller.opened(conn),
            transaction::SPACE => self.transactions.opened(conn),
            _ => self.raft.opened(now, conn, out),
        }
    }

    fn closed(&mut self, now: Now, conn: ConnId, out: &mut Effects) {
        match conn.space() {
            fetcher::SPACE => self.fetchers.closed(now.mono, conn, &mut self.rng),
            controller_channel::SPACE => {
                let failed = self.controller.closed(now.mono, conn, &mut self.rng);
                self.errands_failed(now, &failed, out);
            }
            transaction::SPACE => self.transactions_closed(now, conn),
            0 => {
                self.hang_up(conn);
                self.raft.closed(now, conn, out);
            }
            _ => self.raft.closed(now, conn, out),
        }
    }

    /// A client is gone: nothing that waits for it has to be answered.
    fn hang_up(&mut self, conn: ConnId) {
        self.purgatory.hang_up(conn);
        self.coordinators.hang_up(conn);
        self.transactions.hang_up(conn);
        self.forwards.hang_up(conn);
        self.producer_ids.hang_up(conn);
        self.forget_deletions(conn);
        self.forget_lookups(conn);
    }

    fn response(
        &mut self,
        now: Now,
        conn: ConnId,
        correlation: CorrelationId,
        response: &Arc<Response>,
        out: &mut Effects,
    ) {
        match conn.space() {
            fetcher::SPACE => self.fetch_answered(now, conn, correlation, response, out),
            controller_channel::SPACE => {
                self.errand_answered(now, conn, correlation, response, out);
            }
            transaction::SPACE => {
                self.transactions_answered(now, conn, correlation, response, out);
            }
            _ => self.raft.response(now, conn, correlation, response, out),
        }
    }

    fn call(&mut self, now: Now, call: CallId, op: &Op, out: &mut Effects) {
        match op {
            Op::Close => self.shut_down(now, call, out),
            Op::Send(_)
            | Op::Flush
            | Op::Assign(_)
            | Op::Poll { .. }
            | Op::Seek { .. }
            | Op::Pause { .. }
            | Op::Resume { .. }
            | Op::Subscribe(_)
            | Op::Unsubscribe
            | Op::Commit(_)
            | Op::Committed(_)
            | Op::InitTransactions
            | Op::BeginTransaction
            | Op::SendOffsets { .. }
            | Op::CommitTransaction
            | Op::AbortTransaction
            | Op::Admin(_) => {
                let outcome = Outcome::Failed(ErrorCode::InvalidRequest);
                out.push(Effect::Return { call, outcome });
            }
        }
    }

    fn wake(&mut self, now: Now, out: &mut Effects) {
        self.raft.wake(now, out);
        self.fetchers.expire(now.mono, &mut self.rng, out);
        let failed = self.controller.expire(now.mono, &mut self.rng, out);
        self.errands_failed(now, &failed, out);
        self.expire_requests(now, out);
        self.expire_transactions(now, out);
        while let Some(timer) = self.timers.pop_due(now.mono) {
            match timer {
                Timer::Checkpoint => self.checkpoint(now, out),
                Timer::Retention => self.retain(now, out),
                Timer::Shutdown => self.flush_and_leave(now, out),
            }
        }
        self.wake_replicas(now, out);
        self.wake_coordinators(now, out);
    }

    /// The disk failed under a log or a file. What it holds is no longer known, and a replica that
    /// serves from memory what its disk has lost would count where it must not.
    fn disk_failed(&mut self, log: Option<LogId>, out: &mut Effects) {
        let lost = log.and_then(|log| self.partitions.by_log(log));
        let goes_on = lost.is_some_and(|replica| {
            replica.log_mut().lost();
            !replica.log().is_lost()
        });
        if !goes_on {
            out.push(Effect::Halt);
        }
    }
}

impl Machine for Broker {
    fn listens(&self) -> bool {
        // Kafka's `BrokerServer` opens its port once it was unfenced. Before, it leads nothing, and
        // what a producer with acks=0 sends it is lost.
        self.lifecycle.was_unfenced()
    }

    fn step(&mut self, now: Now, input: Input, out: &mut Effects) {
        self.partitions.begin();
        self.coordinators.begin();
        match input {
            Input::Wake => self.wake(now, out),
            Input::Opened { conn } => self.opened(now, conn, out),
            Input::Closed { conn } => self.closed(now, conn, out),
            Input::Request { from, correlation, request } => {
                self.serve(now, (from, correlation), &request, out);
            }
            Input::Response { conn, correlation, response } => {
                self.response(now, conn, correlation, &response, out);
            }
            Input::Flushed { log, upto } if log == METADATA_LOG => {
                self.raft.flushed(now, upto, out)
            }
            Input::Flushed { log, upto } => self.flushed(log, upto, out),
            Input::Saved { file } => {
                if !self.raft.saved(now, file, out) {
                    self.saved(file, out);
                }
            }
            Input::Loaded { log, from, batches } => self.loaded(now, log, from, &batches, out),
            Input::Lost { log } => self.disk_failed(Some(log), out),
            Input::LostFile { .. } => self.disk_failed(None, out),
            Input::Call { call, op } => self.call(now, call, &op, out),
        }
        self.settle(now, out);
    }

    fn deadline(&self) -> Option<Instant> {
        let parked = earliest(self.purgatory.deadline(), self.timers.next());
        let fetchers = earliest(self.fetchers.deadline(), self.partitions.deadline());
        let parked = earliest(parked, self.deletions_deadline());
        let parked = earliest(parked, self.lookups_deadline());
        let parked = earliest(parked, self.coordinators.deadline());
        let parked = earliest(parked, self.transactions.deadline());
        let own = earliest(earliest(parked, fetchers), self.errands_deadline());
        earliest(own, self.raft.deadline())
    }
}
