//! One partition in an application's hands: what was polled of it and how far each record is.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use bytes::Bytes;

use crate::client::app::processor::State;
use crate::ids::Offset;
use crate::op::ConsumedRecord;
use crate::time::{Instant, earliest};

/// A partition from its assignment to its end here.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    /// Which of the application's ownerships this is: answers that an earlier one asked for are
    /// stale.
    pub ownership: u64,
    /// Polled and not known to be done, in offset order.
    pub entries: VecDeque<Entry>,
    /// The first record that it got.
    pub start: Option<Offset>,
    /// All records below are done.
    pub done: Option<Offset>,
    /// Where the group's committed offset is, as far as this ownership has moved it.
    pub committed: Option<Offset>,
    pub state: State,
    /// What the open transaction has changed in a state that no changelog has: each record's keys,
    /// in order, with the values that they had.
    pub undo: Vec<(Offset, Bytes, Option<Bytes>)>,
    /// Whether the state is what the changelog says.
    pub restored: bool,
    pub right: Right,
}

/// Whether what is done for a partition may go to the external store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// There is no store to write to.
    Free,
    /// To be claimed, before anything is worked on.
    Wanted,
    /// With the token that the store gave out for it.
    Held(i64),
}

/// A record on its way.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub record: ConsumedRecord,
    pub attempts: u32,
    pub work: Work,
}

/// How far a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Waiting {
        not_before: Instant,
    },
    /// Waits for the external store.
    Calling,
    /// Processed; so many of its sends have no answer yet.
    Sending {
        unanswered: usize,
    },
    Done,
}

/// Which records of a lane must wait for which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// For none.
    Free,
    /// For those before them with the same key, until they are done.
    Key,
    /// For all before them, until they are processed: what they send is one transaction.
    Transaction,
}

impl Lane {
    pub fn new(ownership: u64, right: Right, restored: bool) -> Self {
        Lane {
            ownership,
            entries: VecDeque::new(),
            start: None,
            done: None,
            committed: None,
            state: State::new(),
            undo: Vec::new(),
            restored,
            right,
        }
    }

    /// Takes a record in. One from before the end takes the place of what a log has lost that was
    /// cut below what was read (KIP-320; `everything` without its atlas, seed 33).
    pub fn push(&mut self, record: ConsumedRecord) {
        while self.entries.back().is_some_and(|entry| entry.record.offset >= record.offset) {
            self.entries.pop_back();
        }
        self.done = self.done.map(|done| done.min(record.offset));
        self.start.get_or_insert(record.offset);
        let work = Work::Waiting { not_before: Instant::ZERO };
        self.entries.push_back(Entry { record, attempts: 0, work });
    }

    pub fn find(&mut self, offset: Offset) -> Option<&mut Entry> {
        let index = self.entries.binary_search_by_key(&offset, |entry| entry.record.offset).ok()?;
        self.entries.get_mut(index)
    }

    /// The offset after the last record that was polled.
    pub fn end(&self) -> Option<Offset> {
        self.entries.back().map(|entry| entry.record.offset.next()).or(self.done)
    }

    /// Moves over what is done at the front, for good.
    pub fn settle(&mut self) {
        self.undo.clear();
        while self.entries.front().is_some_and(|entry| entry.work == Work::Done) {
            let entry = self.entries.pop_front().expect("the front was just seen");
            self.done = Some(entry.record.offset.next());
        }
    }

    /// Takes back what records have changed that are not committed; none: no record is.
    pub fn undo_from(&mut self, committed: Option<Offset>) {
        while let Some((_, key, before)) =
            self.undo.pop_if(|(offset, _, _)| committed.is_none_or(|at| *offset >= at))
        {
            match before {
                Some(value) => drop(self.state.insert(key, value)),
                None => drop(self.state.remove(&key)),
            }
        }
        self.undo.clear();
    }

    /// Records whose effects are not all made.
    pub fn busy(&self) -> usize {
        let is_busy = |work| matches!(work, Work::Sending { .. } | Work::Calling);
        self.entries.iter().filter(|entry| is_busy(entry.work)).count()
    }

    /// The offset after the last record that is being worked on, or done although one before it is
    /// not; none if all that is held only waits.
    pub fn begun(&self) -> Option<Offset> {
        let is_begun = |entry: &&Entry| !matches!(entry.work, Work::Waiting { .. });
        self.entries.iter().rev().find(is_begun).map(|entry| entry.record.offset.next())
    }

    /// The offsets that could be processed now, at most `room`, and when to look again.
    pub fn startable(
        &self,
        now: Instant,
        order: Order,
        below: Offset,
        room: usize,
    ) -> (Vec<Offset>, Option<Instant>) {
        let mut found = Vec::new();
        let mut later = None;
        let mut blocked: BTreeSet<Option<&Bytes>> = BTreeSet::new();
        if !self.restored || self.right == Right::Wanted {
            return (found, later);
        }
        for entry in &self.entries {
            if entry.record.offset >= below || found.len() == room {
                break;
            }
            let key = entry.record.key.as_ref();
            let free = !(order == Order::Key && blocked.contains(&key));
            match entry.work {
                Work::Waiting { not_before } if free && not_before <= now => {
                    found.push(entry.record.offset);
                }
                Work::Waiting { not_before } => {
                    if free {
                        later = earliest(later, Some(not_before));
                    }
                    if order == Order::Transaction {
                        break;
                    }
                }
                Work::Calling if order == Order::Transaction => break,
                Work::Sending { .. } | Work::Calling => {}
                Work::Done => continue,
            }
            blocked.insert(key);
        }
        (found, later)
    }

    /// The invariants of what it holds.
    pub fn check(&self) {
        let offsets = || self.entries.iter().map(|entry| entry.record.offset);
        assert!(offsets().is_sorted_by(|a, b| a < b), "records are held in order, each once");
        if let (Some(done), Some(first)) = (self.done, offsets().next()) {
            assert!(done <= first, "what is done is not held any longer");
        }
    }
}
