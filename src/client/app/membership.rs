//! A member of its group: polls, takes what it is given, gives up what it must.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem::replace;

use crate::client::app::engine::{Ask, Closing, Engine, Partition, Purpose, Todo};
use crate::client::app::lane::{Lane, Right, Work};
use crate::client::app::processor::Processor;
use crate::event::ApplicationNote;
use crate::op::{ConsumedRecord, GroupMetadata, Op, Outcome, Rebalance};
use crate::time::{Duration, Instant};

/// How long a poll waits for records, and how often whoever has no room for any asks what became of
/// its membership: it would be taken for dead (KIP-62), and not hear of it (`everything` seed 1
/// over 30 minutes: two full processes held partitions that they had lost, for ever).
const POLL_TIMEOUT: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, Default)]
pub(super) struct Membership {
    /// What fences whoever has these partitions next from what is done here.
    pub metadata: Option<GroupMetadata>,
    subscription: Subscription,
    polling: bool,
    /// Whether it polls for no records since there is no room.
    paused: bool,
    poll_not_before: Instant,
    /// When it last heard of its membership.
    heard: Instant,
    /// To give up before the next poll.
    revoked: Option<Vec<Partition>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Subscription {
    #[default]
    Wanted,
    Asked,
    Done,
}

impl Membership {
    pub fn is_revoked(&self, partition: &Partition) -> bool {
        self.revoked.as_ref().is_some_and(|revoked| revoked.contains(partition))
    }

    pub fn is_revoking(&self) -> bool {
        self.revoked.is_some()
    }
}

impl<P: Processor> Engine<P> {
    pub(super) fn subscribe(&mut self, now: Instant, todo: &mut Todo) {
        if self.membership.subscription != Subscription::Wanted || self.closing != Closing::No {
            return;
        }
        if self.membership.poll_not_before > now {
            return self.wake_at(self.membership.poll_not_before);
        }
        self.membership.subscription = Subscription::Asked;
        todo.asks.push(Ask::Consumer(Purpose::Subscribe, Op::Subscribe(self.setup.inputs.clone())));
    }

    pub(super) fn subscribed(&mut self, now: Instant, outcome: &Outcome) {
        if *outcome == Outcome::Done {
            self.membership.subscription = Subscription::Done;
        } else {
            self.membership.subscription = Subscription::Wanted;
            self.membership.poll_not_before = now + self.setup.config.retry_backoff;
        }
    }

    /// Polls if nothing must be given up first, for as many records as there is room for.
    pub(super) fn poll(&mut self, now: Instant, todo: &mut Todo) {
        let Membership { subscription, polling, poll_not_before, heard, ref revoked, .. } =
            self.membership;
        let may = subscription == Subscription::Done && !polling && revoked.is_none();
        if !may || self.closing != Closing::No {
            return;
        }
        let held: usize = self.lanes.values().map(|lane| lane.entries.len()).sum();
        let room = self.setup.config.buffered_records.saturating_sub(held);
        let was_paused = replace(&mut self.membership.paused, room == 0);
        let (not_before, timeout) = if room == 0 {
            self.counters.paused += u64::from(!was_paused);
            (poll_not_before.max(heard + POLL_TIMEOUT), Duration::ZERO)
        } else {
            (poll_not_before, POLL_TIMEOUT)
        };
        if not_before > now {
            return self.wake_at(not_before);
        }
        self.membership.polling = true;
        let max_records = self.setup.config.max_poll_records.min(room);
        let poll = Op::Poll { max_records, timeout };
        todo.asks.push(Ask::Consumer(Purpose::Poll, poll));
    }

    pub(super) fn polled(&mut self, now: Instant, outcome: &Outcome, todo: &mut Todo) {
        self.membership.polling = false;
        self.membership.heard = now;
        match outcome {
            Outcome::Polled(records) => self.take_records(now, records),
            Outcome::Rebalanced(change) => {
                let (group, change) = (Arc::clone(&self.setup.group), Arc::clone(change));
                self.rebalanced(&change);
                todo.notes.push(ApplicationNote::Rebalanced { group, change });
            }
            Outcome::Failed(_)
            | Outcome::Unknown(_)
            | Outcome::Done
            | Outcome::Sent { .. }
            | Outcome::Committed(_)
            | Outcome::Answered(_) => {
                self.membership.poll_not_before = now + self.setup.config.retry_backoff;
            }
        }
    }

    fn take_records(&mut self, now: Instant, records: &[ConsumedRecord]) {
        if self.closing != Closing::No {
            return;
        }
        if self.commit.is_going_back() {
            // Polled before the position went back: all that will come again. A partition without a
            // committed position begins here all the same (`everything` seed 47).
            self.membership.poll_not_before = now + self.setup.config.retry_backoff;
            for record in records {
                let partition = (record.topic.clone(), record.partition);
                if let Some(lane) = self.lanes.get_mut(&partition) {
                    lane.start.get_or_insert(record.offset);
                }
            }
            return;
        }
        for record in records {
            let partition = (record.topic.clone(), record.partition);
            if let Some(lane) = self.lanes.get_mut(&partition) {
                lane.push(record.clone());
                self.counters.received += 1;
            }
        }
    }

    fn rebalanced(&mut self, change: &Arc<Rebalance>) {
        match &**change {
            Rebalance::Revoked(partitions) => {
                self.membership.revoked = Some(partitions.clone());
            }
            Rebalance::Lost(partitions) => {
                for partition in partitions {
                    self.lanes.remove(partition);
                }
                self.processor.revoked(partitions);
                self.transaction.break_off();
            }
            Rebalance::Assigned(partitions, metadata) => {
                self.membership.metadata = Some(metadata.clone());
                // What is polled on the way back is dropped, of partitions too that were not there
                // when it began (`ledger_double_spend` seed 7879).
                if self.commit.is_going_back() {
                    self.commit.want_back();
                }
                let restored = !self.has_changelog();
                let right = if self.setup.store.is_some() { Right::Wanted } else { Right::Free };
                for partition in partitions {
                    self.ownerships += 1;
                    let lane = Lane::new(self.ownerships, right, restored);
                    self.lanes.insert(partition.clone(), lane);
                }
                self.processor.assigned(partitions);
            }
        }
    }

    /// Gives up what was revoked, once what was begun of it is finished and committed.
    pub(super) fn give_up(&mut self, now: Instant, todo: &mut Todo) {
        let Some(revoked) = self.membership.revoked.take() else { return };
        let (transactional, first) = (self.is_transactional(), self.commits_first());
        let mut ready = if transactional {
            self.transaction.is_between()
        } else {
            // What a commit on its way accepts must still be processed.
            !first || self.commit.in_flight.is_none()
        };
        for partition in &revoked {
            let Some(lane) = self.lanes.get_mut(partition) else { continue };
            if !transactional && ready {
                let committed = lane.committed;
                let stays = |offset| first && Some(offset) < committed;
                // Where work comes first, what was not begun stays in its place: a position past it
                // would say that it is done (`at_least_once` seed 2).
                lane.entries.retain(|entry| {
                    let waits = matches!(entry.work, Work::Waiting { .. });
                    !(first && waits) || stays(entry.record.offset)
                });
                ready &= lane.begun().is_none();
                ready &= !lane.entries.iter().any(|entry| stays(entry.record.offset));
            }
        }
        if ready && !transactional && !first {
            ready = self.commit_before_leaving(now, &revoked, todo);
        }
        if !ready {
            self.membership.revoked = Some(revoked);
            return;
        }
        for partition in &revoked {
            self.lanes.remove(partition);
        }
        self.processor.revoked(&revoked);
    }
}
