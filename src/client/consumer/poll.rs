//! Polls: what the application is handed, one thing at a time.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::client::consumer::Consumer;
use crate::client::consumer::autocommit::Moment;
use crate::client::consumer::position::{Slot, State};
use crate::error::ErrorCode;
use crate::ids::CallId;
use crate::machine::{Effect, Effects};
use crate::op::{ConsumedRecord, Outcome};
use crate::record::Record;
use crate::time::{Duration, Instant};

/// A poll that waits for records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Poll {
    pub call: CallId,
    max_records: usize,
    pub until: Instant,
}

impl Consumer {
    /// Begins a poll: the application is done with what it got before.
    pub(super) fn poll(
        &mut self,
        now: Instant,
        call: CallId,
        max_records: usize,
        timeout: Duration,
    ) -> Result<(), ErrorCode> {
        if self.poll.is_some() {
            return Err(ErrorCode::InvalidRequest);
        }
        self.poll = Some(Poll { call, max_records, until: now + timeout });
        self.auto_commit(now, Moment::Poll);
        if let Some((mut ctx, group)) = self.context(now) {
            group.holding.polled();
            if let Some(membership) = &mut group.membership {
                membership.polled(&mut ctx);
            }
        }
        Ok(())
    }

    /// Answers the waiting poll if there is something to answer with, or if its time is up.
    pub(super) fn deliver(&mut self, now: Instant, out: &mut Effects) {
        let Some(poll) = self.poll else { return };
        let found = self.rebalanced(now).or_else(|| self.records(now, poll));
        let late = (poll.until <= now).then(|| Outcome::Polled(Arc::new([])));
        let Some(outcome) = found.or(late) else { return };
        self.poll = None;
        if let Some((ctx, group)) = self.context(now)
            && let Some(membership) = &mut group.membership
        {
            membership.poll_answered(&ctx);
        }
        out.push(Effect::Return { call: poll.call, outcome });
    }

    /// What has become of the membership, which goes before records.
    fn rebalanced(&mut self, now: Instant) -> Option<Outcome> {
        let group = self.group.as_ref()?;
        group.membership.as_ref()?;
        if group.holding.shall_revoke() {
            self.commit_for_itself(now, now + self.setup.config.api_timeout);
        }
        let group = self.group.as_mut()?;
        if let Some(notice) = group.holding.notice() {
            return Some(Outcome::Rebalanced(Arc::new(notice)));
        }
        group.membership.as_ref()?.failure().map(Outcome::Failed)
    }

    fn records(&mut self, now: Instant, poll: Poll) -> Option<Outcome> {
        // What is being given up is not read on.
        if self.group.as_ref().is_some_and(|group| group.holding.is_acknowledged()) {
            return None;
        }
        let mut taken = Vec::new();
        let count = self.slots.len();
        for step in 0..count {
            if taken.len() == poll.max_records {
                break;
            }
            let slot = &mut self.slots[(self.turn + step) % count];
            take(slot, poll.max_records, &mut taken);
        }
        let failed = self.slots.iter().find_map(|slot| match slot.state {
            State::Failed(error) => Some(error),
            State::Committed | State::Reset(_) | State::At(_) => None,
        });
        let outcome = match failed {
            Some(error) if taken.is_empty() => Outcome::Failed(error),
            Some(_) | None if taken.is_empty() => return None,
            Some(_) | None => Outcome::Polled(taken.into()),
        };
        self.turn = self.turn.wrapping_add(1);
        self.auto_commit(now, Moment::Delivery);
        Some(outcome)
    }
}

/// Moves records of one partition to the application.
fn take(slot: &mut Slot, max_records: usize, taken: &mut Vec<ConsumedRecord>) {
    if slot.paused {
        return;
    }
    while taken.len() < max_records {
        let Some(position) = slot.position() else { return };
        match slot.buffer.next(position.offset) {
            Ok(None) => return,
            Ok(Some((record, reached))) => {
                slot.reached(reached);
                let Some(record) = record else { continue };
                if slot.not_older_than.is_some_and(|time| record.timestamp < time) {
                    continue;
                }
                slot.not_older_than = None;
                taken.push(consumed(slot, record));
            }
            Err(error) => {
                slot.buffer.clear();
                slot.state = State::Failed(error.code());
            }
        }
    }
}

fn consumed(slot: &Slot, record: Record) -> ConsumedRecord {
    let headers = record.headers.into_iter().map(|(key, value)| {
        let key = alloc::string::String::from_utf8_lossy(&key);
        (Arc::from(&*key), value)
    });
    ConsumedRecord {
        topic: slot.topic.clone(),
        partition: slot.partition,
        offset: record.offset,
        timestamp: record.timestamp,
        key: record.key,
        value: record.value,
        headers: headers.collect(),
    }
}
