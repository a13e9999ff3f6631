//! Records at work: processed, sent on, answered for.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem::take;

use bytes::Bytes;

use crate::client::app::claim::{fence, told};
use crate::client::app::engine::{Ask, Engine, Partition, Purpose, Todo};
use crate::client::app::lane::{Lane, Order, Work};
use crate::client::app::processor::{Context, Processor, Wishes};
use crate::config::Delivery;
use crate::defect::Defect;
use crate::event::{ApplicationNote, UnsentNote};
use crate::ids::Offset;
use crate::message::store::{Apply, StoreRequest, StoreResponse};
use crate::op::{Op, Outcome, SendRecord};
use crate::time::{Instant, Now};

/// A record that is being worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TaskRef {
    pub partition: Partition,
    pub ownership: u64,
    pub offset: Offset,
}

/// A send or a question that failed and goes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resend {
    pub at: Instant,
    pub task: TaskRef,
    pub what: Ask,
}

impl<P: Processor> Engine<P> {
    /// Processes what can be, as far as the pool of workers goes.
    pub(super) fn start_tasks(&mut self, now: Now, todo: &mut Todo) {
        let order = self.order();
        let mut started = false;
        let partitions: Vec<Partition> = self.lanes.keys().cloned().collect();
        for partition in partitions {
            let busy = self.busy();
            // What a transaction holds is bounded by its own size.
            let room = match order {
                Order::Transaction => self.room_in_transaction(),
                Order::Key | Order::Free => self.setup.config.workers.saturating_sub(busy),
            };
            let below = self.startable_below(&partition);
            let lane = self.lanes.get(&partition).expect("a partition of the table");
            let ownership = lane.ownership;
            let (offsets, later) = lane.startable(now.mono, order, below, room);
            later.into_iter().for_each(|at| self.wake_at(at));
            for offset in offsets {
                started = true;
                let task = TaskRef { partition: partition.clone(), ownership, offset };
                let is_done = self.run(now, &task, None, todo);
                if !is_done && order == Order::Transaction {
                    break;
                }
            }
        }
        if started {
            let busy = u64::try_from(self.busy()).expect("a length fits u64");
            self.counters.busiest = self.counters.busiest.max(busy);
        }
    }

    /// Records in work, of all partitions.
    fn busy(&self) -> usize {
        self.lanes.values().map(Lane::busy).sum()
    }

    /// Where the records of a partition end that may be started.
    fn startable_below(&self, partition: &Partition) -> Offset {
        let lane = &self.lanes[partition];
        if self.commits_first() {
            return lane.committed.unwrap_or(Offset::ZERO);
        }
        // A record that comes again holds back the position of those after it: what is done of them
        // would be done once more by the next owner.
        if self.leaves(partition) { lane.begun().unwrap_or(Offset::ZERO) } else { Offset::MAX }
    }

    /// Processes one record, or goes on with one that the store was asked about; false if it must
    /// come again.
    fn run(
        &mut self,
        now: Now,
        task: &TaskRef,
        answer: Option<(&StoreRequest, &StoreResponse)>,
        todo: &mut Todo,
    ) -> bool {
        let lane = self.lanes.get_mut(&task.partition).expect("only what is held is run");
        let index = lane.entries.binary_search_by_key(&task.offset, |entry| entry.record.offset);
        let entry = &mut lane.entries[index.expect("only what is held is run")];
        let fence = fence(&self.setup, &task.partition, lane.right);
        let mut context = Context {
            now,
            rng: &mut self.rng,
            state: &mut lane.state,
            attempt: entry.attempts,
            client: &self.setup.client_id,
            group: &self.setup.group,
            fence,
            wishes: Wishes::default(),
        };
        match answer {
            None => {
                entry.attempts += 1;
                self.processor.process(&entry.record, &mut context);
            }
            Some((request, response)) => {
                self.processor.answered(&entry.record, request, response, &mut context);
            }
        }
        let wishes = context.conclude();
        self.carry_out(now.mono, task, wishes, todo)
    }

    /// Takes the store's answer, or asks once more.
    pub(super) fn store_answered(
        &mut self,
        now: Now,
        task: TaskRef,
        request: StoreRequest,
        outcome: &Outcome,
        todo: &mut Todo,
    ) {
        if self.entry(&task).is_none_or(|entry| entry.work != Work::Calling) {
            return;
        }
        match told(outcome) {
            // What has no effect is not done: the processor begins with it again.
            Some(StoreResponse::Fenced) => return self.fenced(&task, &request),
            // Whoever was asked is no store.
            Some(StoreResponse::Failed(_)) | None => {}
            Some(response) => {
                self.run(now, &task, Some((&request, response)), todo);
                return;
            }
        }
        // Whether it was applied is not known: the same id asks again (Jepsen: indeterminate).
        let request = if self.setup.defects.has(Defect::RetryFreshId) {
            with_fresh_id(request, self.rng.next_u64())
        } else {
            request
        };
        let at = now.mono + self.setup.config.retry_backoff;
        let what = Ask::Store(Purpose::Store(task.clone(), request.clone()), request);
        self.resend.push(Resend { at, task, what });
    }

    fn carry_out(&mut self, now: Instant, task: &TaskRef, wishes: Wishes, todo: &mut Todo) -> bool {
        wishes.notes.iter().for_each(|note| self.count(note));
        todo.notes.extend(wishes.notes);
        if let Some(request) = wishes.call {
            self.entry(task).expect("the record was just processed").work = Work::Calling;
            let purpose = Purpose::Store(task.clone(), request.clone());
            todo.asks.push(Ask::Store(purpose, request));
            return false;
        }
        let mut emitted = wishes.emitted;
        emitted.extend(self.changelog(&task.partition, &wishes.changed));
        let entry = self.entry(task).expect("the record was just processed");
        entry.work = match wishes.again_after {
            Some(delay) => Work::Waiting { not_before: now + delay },
            None => Work::Sending { unanswered: emitted.len() },
        };
        if let Some(delay) = wishes.again_after {
            self.wake_at(now + delay);
        }
        let is_done = wishes.again_after.is_none();
        if is_done {
            self.transaction.records += 1;
            self.remember(task, wishes.changed);
        }
        for record in emitted {
            let purpose = Purpose::Send(task.clone(), record.clone());
            todo.asks.push(Ask::Producer(purpose, Op::Send(record)));
        }
        self.finish(task, todo);
        is_done
    }

    /// Keeps what a record has changed, where only this process can take it back.
    fn remember(&mut self, task: &TaskRef, changed: Vec<(Bytes, Option<Bytes>)>) {
        if !self.is_transactional() || self.has_changelog() {
            return;
        }
        let lane = self.lanes.get_mut(&task.partition).expect("its record was just processed");
        let undo = changed.into_iter().map(|(key, before)| (task.offset, key, before));
        lane.undo.extend(undo);
    }

    pub(super) fn entry(&mut self, task: &TaskRef) -> Option<&mut super::lane::Entry> {
        let lane = self.lanes.get_mut(&task.partition)?;
        if lane.ownership != task.ownership {
            return None;
        }
        lane.find(task.offset)
    }

    /// A record is done when all its sends are.
    fn finish(&mut self, task: &TaskRef, todo: &mut Todo) {
        let Some(entry) = self.entry(task) else { return };
        if entry.work != (Work::Sending { unanswered: 0 }) {
            return;
        }
        entry.work = Work::Done;
        // What a transaction has processed is told when it is committed.
        if !self.is_transactional() {
            self.counters.processed += 1;
            todo.notes.push(self.processed(&task.partition, task.offset));
        }
        let lane = self.lanes.get_mut(&task.partition).expect("its entry was just found");
        if !matches!(self.setup.config.delivery, Delivery::ExactlyOnce) {
            lane.settle();
        }
    }

    pub(super) fn processed(&self, partition: &Partition, offset: Offset) -> ApplicationNote {
        ApplicationNote::Processed {
            group: Arc::clone(&self.setup.group),
            topic: Arc::clone(&partition.0),
            partition: partition.1,
            offset,
        }
    }

    /// Takes what became of a send.
    pub(super) fn sent(
        &mut self,
        now: Instant,
        task: TaskRef,
        record: SendRecord,
        outcome: &Outcome,
        todo: &mut Todo,
    ) {
        let accepted = matches!(outcome, Outcome::Sent { .. });
        if accepted {
            self.counters.published += 1;
        }
        if self.entry(&task).is_none() {
            return;
        }
        if !accepted {
            todo.notes.push(unsent(&task, &record, outcome));
        }
        match self.setup.config.delivery {
            Delivery::AtLeastOnce if !accepted => {
                let at = now + self.setup.config.retry_backoff;
                let what =
                    Ask::Producer(Purpose::Send(task.clone(), record.clone()), Op::Send(record));
                return self.resend.push(Resend { at, task, what });
            }
            Delivery::ExactlyOnce if !accepted => {
                return self.transaction_broke(now, outcome, todo);
            }
            // At most once does not try twice.
            Delivery::AtMostOnce | Delivery::AtLeastOnce | Delivery::ExactlyOnce => {}
        }
        let entry = self.entry(&task).expect("it was there a moment ago");
        if let Work::Sending { unanswered } = &mut entry.work {
            *unanswered -= 1;
        }
        self.finish(&task, todo);
    }

    /// Sends again what failed, unless its partition is gone.
    pub(super) fn send_again(&mut self, now: Instant, todo: &mut Todo) {
        for resend in take(&mut self.resend) {
            if self.entry(&resend.task).is_none() {
                continue;
            }
            if resend.at > now {
                self.wake_at(resend.at);
                self.resend.push(resend);
                continue;
            }
            todo.asks.push(resend.what);
        }
    }

    fn count(&mut self, note: &ApplicationNote) {
        match note {
            ApplicationNote::Retried { .. } => {
                self.counters.failed += 1;
                self.counters.retried += 1;
            }
            ApplicationNote::DeadLettered { .. } => {
                self.counters.failed += 1;
                self.counters.dead_lettered += 1;
            }
            ApplicationNote::Duplicate { .. } => self.counters.duplicates += 1,
            ApplicationNote::Processed { .. }
            | ApplicationNote::Applied(_)
            | ApplicationNote::Malformed(_)
            | ApplicationNote::Astray(_)
            | ApplicationNote::Restored(_)
            | ApplicationNote::Rebalanced { .. }
            | ApplicationNote::Unsent(_)
            | ApplicationNote::Worked(_)
            | ApplicationNote::Counters { .. } => {}
        }
    }
}

fn unsent(task: &TaskRef, record: &SendRecord, outcome: &Outcome) -> ApplicationNote {
    ApplicationNote::Unsent(UnsentNote {
        topic: Arc::clone(&task.partition.0),
        partition: task.partition.1,
        offset: task.offset,
        to: record.topic.clone(),
        outcome: outcome.clone(),
    })
}

/// The same changes, as if nobody had asked for them before.
fn with_fresh_id(request: StoreRequest, fresh: u64) -> StoreRequest {
    match request {
        StoreRequest::Apply(apply) => {
            let once = apply.once.map(|id| format!("{id}-{fresh:016x}").into());
            StoreRequest::Apply(Apply { once, ..apply })
        }
        StoreRequest::Get { .. }
        | StoreRequest::Put { .. }
        | StoreRequest::Tokens { .. }
        | StoreRequest::Claim { .. } => request,
    }
}
