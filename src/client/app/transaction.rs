//! Exactly-once: what records cause and that they were taken, in one transaction (KIP-98, KIP-447).

use alloc::vec::Vec;

use crate::client::app::commit::position;
use crate::client::app::engine::{Ask, Closing, Engine, Partition, Purpose, Todo};
use crate::client::app::lane::{Lane, Work};
use crate::client::app::processor::Processor;
use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::ids::Offset;
use crate::op::{GroupMetadata, Op, Outcome, Position};
use crate::time::{Instant, Now};

#[derive(Clone, Debug)]
pub(super) struct Transaction {
    stage: Stage,
    /// Records processed in it.
    pub records: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The transactional id is wanted, and whoever has it fenced.
    Fresh {
        not_before: Instant,
    },
    Initialising,
    /// Nothing is open.
    Between,
    Beginning,
    Open {
        until: Instant,
    },
    /// Can only be aborted.
    Broken,
    SendingOffsets,
    Committing,
    Aborting,
}

impl Default for Transaction {
    fn default() -> Self {
        Transaction { stage: Stage::Fresh { not_before: Instant::ZERO }, records: 0 }
    }
}

impl Transaction {
    /// Whether nothing is open, nor about to be.
    pub fn is_between(&self) -> bool {
        matches!(self.stage, Stage::Between | Stage::Fresh { .. })
    }

    /// How far it is.
    #[cfg(test)]
    pub fn stage_name(&self) -> alloc::string::String {
        alloc::format!("{:?}", self.stage)
    }

    /// Whether it is known what became of the last transaction.
    pub fn is_known(&self) -> bool {
        !matches!(self.stage, Stage::Fresh { .. } | Stage::Initialising)
    }

    /// What is open can only be aborted.
    pub fn break_off(&mut self) {
        if matches!(self.stage, Stage::Open { .. }) {
            self.stage = Stage::Broken;
        }
    }
}

/// Whether another producer has taken the transactional id.
fn is_fenced(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Failed(error) | Outcome::Unknown(error) if matches!(
            error,
            ErrorCode::ProducerFenced
                | ErrorCode::InvalidProducerEpoch
                | ErrorCode::InvalidProducerIdMapping
        )
    )
}

/// How far a lane has come in the open transaction: the offset after the records that are done.
fn reached(lane: &Lane) -> Option<Offset> {
    let done = lane.entries.iter().take_while(|entry| entry.work == Work::Done);
    done.last().map(|entry| entry.record.offset.next())
}

impl<P: Processor> Engine<P> {
    pub(super) fn room_in_transaction(&self) -> usize {
        self.setup.config.max_poll_records.saturating_sub(self.transaction.records)
    }

    /// Moves the open transaction on.
    pub(super) fn transact(&mut self, now: Now, todo: &mut Todo) {
        match self.transaction.stage {
            Stage::Fresh { not_before } if not_before > now.mono => self.wake_at(not_before),
            Stage::Fresh { .. } => {
                if self.closing == Closing::No {
                    self.transaction.stage = Stage::Initialising;
                    todo.asks.push(Ask::Producer(Purpose::Init, Op::InitTransactions));
                }
            }
            Stage::Between => {
                if self.may_begin(now.mono) {
                    self.transaction.stage = Stage::Beginning;
                    todo.asks.push(Ask::Producer(Purpose::Begin, Op::BeginTransaction));
                }
            }
            Stage::Open { until } => {
                let hurries = self.closing != Closing::No || self.membership.is_revoking();
                let ends = hurries || until <= now.mono || self.room_in_transaction() == 0;
                if !ends {
                    self.wake_at(until);
                    return self.start_tasks(now, todo);
                }
                if self.lanes.values().all(|lane| lane.busy() == 0) {
                    self.send_offsets(todo);
                }
            }
            Stage::Broken => self.abort(todo),
            Stage::Initialising
            | Stage::Beginning
            | Stage::SendingOffsets
            | Stage::Committing
            | Stage::Aborting => {}
        }
    }

    /// Whether there is something to begin with.
    fn may_begin(&mut self, now: Instant) -> bool {
        let stops = self.closing != Closing::No || self.membership.is_revoking();
        if stops || self.commit.is_going_back() {
            return false;
        }
        let order = self.order();
        let mut any = self.claims.is_seen();
        let mut later = None;
        for lane in self.lanes.values() {
            let (found, at) = lane.startable(now, order, Offset::MAX, 1);
            any |= !found.is_empty();
            later = crate::time::earliest(later, at);
        }
        later.into_iter().for_each(|at| self.wake_at(at));
        any
    }

    pub(super) fn initialised(&mut self, now: Instant, outcome: &Outcome, todo: &mut Todo) {
        if *outcome == Outcome::Done {
            self.transaction.stage = Stage::Between;
        } else {
            self.renew(now, todo);
        }
    }

    pub(super) fn begun(&mut self, now: Instant, outcome: &Outcome, todo: &mut Todo) {
        if *outcome != Outcome::Done {
            return self.renew(now, todo);
        }
        let until = now + self.setup.config.commit_interval;
        self.transaction = Transaction { stage: Stage::Open { until }, records: 0 };
        if self.claims.is_seen() {
            let positions = self.claimed_positions(now);
            self.add_offsets(positions, todo);
        }
    }

    /// A part of the transaction failed.
    pub(super) fn transaction_broke(&mut self, now: Instant, outcome: &Outcome, todo: &mut Todo) {
        if is_fenced(outcome) { self.renew(now, todo) } else { self.transaction.break_off() }
    }

    /// Adds the positions to the transaction, fenced by the membership that they come from.
    fn send_offsets(&mut self, todo: &mut Todo) {
        let positions: Vec<_> = self
            .lanes
            .iter()
            .filter_map(|(partition, lane)| Some(position(partition, reached(lane)?)))
            .collect();
        self.add_offsets(positions, todo);
    }

    fn add_offsets(&mut self, positions: Vec<Position>, todo: &mut Todo) {
        if positions.is_empty() {
            return self.ask_to_commit(todo);
        }
        let group = self.group_metadata();
        self.transaction.stage = Stage::SendingOffsets;
        todo.asks.push(Ask::Producer(Purpose::Offsets, Op::SendOffsets { positions, group }));
    }

    fn group_metadata(&self) -> GroupMetadata {
        let bare = || GroupMetadata {
            group: self.setup.group.clone(),
            member: "".into(),
            instance: None,
            generation: -1,
        };
        // Whoever lost its partitions must not commit for them (KIP-447). Before, only a stable
        // transactional id fenced it.
        if self.setup.defects.has(Defect::RandomTransactionalId) {
            return bare();
        }
        self.membership.metadata.clone().unwrap_or_else(bare)
    }

    pub(super) fn offsets_sent(&mut self, now: Instant, outcome: &Outcome, todo: &mut Todo) {
        if *outcome == Outcome::Done {
            self.ask_to_commit(todo);
        } else if is_fenced(outcome) {
            self.renew(now, todo);
        } else {
            self.abort(todo);
        }
    }

    fn ask_to_commit(&mut self, todo: &mut Todo) {
        let mut done: Vec<(Partition, Offset)> = Vec::new();
        for (partition, lane) in &self.lanes {
            let entries = lane.entries.iter().take_while(|entry| entry.work == Work::Done);
            done.extend(entries.map(|entry| (partition.clone(), entry.record.offset)));
        }
        todo.notes
            .extend(done.iter().map(|(partition, offset)| self.processed(partition, *offset)));
        self.counters.processed += u64::try_from(done.len()).expect("a length fits u64");
        self.transaction.stage = Stage::Committing;
        todo.asks.push(Ask::Producer(Purpose::EndCommit, Op::CommitTransaction));
    }

    pub(super) fn transaction_committed(
        &mut self,
        now: Instant,
        outcome: &Outcome,
        todo: &mut Todo,
    ) {
        match outcome {
            Outcome::Done => {
                self.transaction.stage = Stage::Between;
                for lane in self.lanes.values_mut() {
                    lane.settle();
                    lane.committed = lane.done;
                }
                self.claim_transacted(now, true, todo);
            }
            Outcome::Failed(_) if !is_fenced(outcome) => self.abort(todo),
            // Whether it is committed is known when the next producer has the id.
            Outcome::Failed(_)
            | Outcome::Unknown(_)
            | Outcome::Sent { .. }
            | Outcome::Polled(_)
            | Outcome::Rebalanced(_)
            | Outcome::Committed(_)
            | Outcome::Answered(_) => self.renew(now, todo),
        }
    }

    fn abort(&mut self, todo: &mut Todo) {
        self.transaction.stage = Stage::Aborting;
        todo.asks.push(Ask::Producer(Purpose::EndAbort, Op::AbortTransaction));
    }

    pub(super) fn transaction_aborted(&mut self, now: Instant, outcome: &Outcome, todo: &mut Todo) {
        if *outcome != Outcome::Done {
            return self.renew(now, todo);
        }
        self.transaction.stage = Stage::Between;
        self.start_over(now, todo);
    }

    /// Takes another producer, which finds out what became of the last transaction.
    fn renew(&mut self, now: Instant, todo: &mut Todo) {
        let not_before = now + self.setup.config.retry_backoff;
        self.transaction.stage = Stage::Fresh { not_before };
        todo.asks.push(Ask::RenewProducer);
        self.start_over(now, todo);
    }

    /// Nothing of the transaction has happened: its records are taken once more.
    fn start_over(&mut self, now: Instant, todo: &mut Todo) {
        self.claim_transacted(now, false, todo);
        // An abort takes back the outputs, not the position (KAFKA-17582).
        if self.setup.defects.has(Defect::NoRewindOnAbort) {
            for lane in self.lanes.values_mut() {
                lane.entries.iter_mut().for_each(|entry| {
                    if !matches!(entry.work, Work::Waiting { .. }) {
                        entry.work = Work::Done;
                    }
                });
                lane.settle();
            }
        } else {
            self.commit.want_back();
            self.forget_uncommitted();
        }
    }
}
