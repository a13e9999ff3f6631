//! The metadata log: batches in memory from the snapshot on, and what of them survives a power
//! loss.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::ids::{LeaderEpoch, LogId, LogPoint, Offset};
use crate::machine::{Effect, Effects};
use crate::record::{BatchError, BatchHeader};

/// Batches behind one `Arc`: a fork of a world shares all of them but the newest few.
const SEALED: usize = 32;

/// One batch of the metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub base: Offset,
    pub last: Offset,
    /// The epoch of the leader that appended it.
    pub epoch: LeaderEpoch,
    /// Whether it is raft's own (LeaderChange), not the state machine's.
    pub control: bool,
    pub batch: Bytes,
}

impl Entry {
    pub(super) fn new(header: &BatchHeader, batch: Bytes) -> Self {
        Entry {
            base: header.base_offset,
            last: header.last_offset(),
            epoch: header.leader_epoch,
            control: header.is_control(),
            batch,
        }
    }
}

/// The log of one node. It emits its own effects.
#[derive(Clone, Debug)]
pub(super) struct QuorumLog {
    id: LogId,
    /// Where it starts: the end of the snapshot, with the epoch of the last record in that.
    start: LogPoint,
    sealed: Vec<Arc<[Entry]>>,
    open: Vec<Entry>,
    /// The first offset of each epoch in the log.
    epochs: Vec<LogPoint>,
    /// Everything below survives a power loss.
    flushed: Offset,
    /// A flush is on its way; the next waits for it.
    flushing: bool,
}

impl QuorumLog {
    /// An empty log that starts at `start`.
    pub(super) fn new(id: LogId, start: LogPoint) -> Self {
        QuorumLog {
            id,
            start,
            sealed: Vec::new(),
            open: Vec::new(),
            epochs: Vec::new(),
            flushed: start.offset,
            flushing: false,
        }
    }

    pub(super) fn id(&self) -> LogId {
        self.id
    }

    pub(super) fn start(&self) -> LogPoint {
        self.start
    }

    fn newest(&self) -> Option<&Entry> {
        self.open.last().or_else(|| self.sealed.last().and_then(|sealed| sealed.last()))
    }

    pub(super) fn end(&self) -> Offset {
        self.newest().map_or(self.start.offset, |entry| entry.last.next())
    }

    /// The epoch of the last record, and the end offset.
    pub(super) fn last(&self) -> LogPoint {
        let epoch = self.newest().map_or(self.start.epoch, |entry| entry.epoch);
        LogPoint { epoch, offset: self.end() }
    }

    pub(super) fn flushed_end(&self) -> Offset {
        self.flushed
    }

    /// The batches from the one that holds `from` on.
    pub(super) fn entries(&self, from: Offset) -> impl Iterator<Item = &Entry> {
        let chunk = self.sealed.partition_point(|sealed| sealed[sealed.len() - 1].last < from);
        let (skip, open) = match self.sealed.get(chunk) {
            Some(sealed) => (sealed.partition_point(|entry| entry.last < from), 0),
            None => (0, self.open.partition_point(|entry| entry.last < from)),
        };
        let sealed = self.sealed[chunk..].iter().flat_map(|sealed| sealed.iter()).skip(skip);
        sealed.chain(&self.open[open..])
    }

    /// Whole batches from `from` and below `upper`: at least one, then as many as fit `max_bytes`.
    pub(super) fn read(&self, from: Offset, upper: Offset, max_bytes: u32) -> Vec<Bytes> {
        let mut left = usize::try_from(max_bytes).expect("a u32 fits usize");
        let mut batches = Vec::new();
        if from >= upper {
            return batches;
        }
        for entry in self.entries(from).take_while(|entry| entry.last < upper) {
            if entry.batch.len() > left && !batches.is_empty() {
                break;
            }
            left = left.saturating_sub(entry.batch.len());
            batches.push(entry.batch.clone());
        }
        batches
    }

    /// The largest epoch at or below `epoch`, and its end offset here (KIP-279). An epoch older
    /// than the log answers with its start.
    pub(super) fn end_for(&self, epoch: LeaderEpoch) -> LogPoint {
        let next = self.epochs.partition_point(|start| start.epoch <= epoch);
        let offset = self.epochs.get(next).map_or(self.end(), |start| start.offset);
        let epoch = match next.checked_sub(1) {
            Some(index) => self.epochs[index].epoch,
            None => self.start.epoch,
        };
        LogPoint { epoch, offset }
    }

    /// The epoch of the record before `offset`.
    pub(super) fn epoch_before(&self, offset: Offset) -> LeaderEpoch {
        match self.epochs.partition_point(|start| start.offset < offset).checked_sub(1) {
            Some(index) => self.epochs[index].epoch,
            None => self.start.epoch,
        }
    }

    /// Whether `entry` may stand at the end of the log.
    pub(super) fn continues(&self, entry: &Entry) -> Result<(), BatchError> {
        let LogPoint { epoch, offset } = self.last();
        if entry.base != offset || entry.epoch < epoch {
            return Err(BatchError::OutOfOrder);
        }
        Ok(())
    }

    /// Appends a batch to the page cache.
    pub(super) fn append(&mut self, entry: Entry, out: &mut Effects) {
        out.push(Effect::Append { log: self.id, base: entry.base, batch: entry.batch.clone() });
        self.push(entry);
    }

    /// Takes in a batch that is on disk already.
    pub(super) fn push(&mut self, entry: Entry) {
        assert!(self.continues(&entry).is_ok(), "a batch continues the log");
        if self.last().epoch < entry.epoch || self.epochs.is_empty() {
            self.epochs.push(LogPoint { epoch: entry.epoch, offset: entry.base });
        }
        if self.open.len() == SEALED {
            self.sealed.push(self.open.drain(..).collect());
        }
        self.open.push(entry);
    }

    /// Asks for everything so far to be made durable, unless that is on its way or done.
    pub(super) fn flush(&mut self, out: &mut Effects) {
        if !self.flushing && self.flushed < self.end() {
            self.flushing = true;
            out.push(Effect::Flush { log: self.id, upto: self.last() });
        }
    }

    /// A flush is done. Truncation may have reused its offsets since: the epoch tells.
    pub(super) fn flushed(&mut self, upto: LogPoint, out: &mut Effects) {
        self.flushing = false;
        let still = upto.offset <= self.end()
            && upto.offset > self.start.offset
            && self.epoch_before(upto.offset) == upto.epoch;
        if still {
            self.flushed = self.flushed.max(upto.offset);
        }
        self.flush(out);
    }

    /// Makes the disk let go of what was trimmed, though nobody waits for it.
    pub(super) fn sync(&mut self, out: &mut Effects) {
        if !self.flushing {
            self.flushing = true;
            out.push(Effect::Flush { log: self.id, upto: self.last() });
        }
    }

    /// Counts everything as durable: an observer's log is a copy that nobody relies on.
    pub(super) fn skip_flush(&mut self) {
        self.flushed = self.end();
    }

    /// Removes all batches from `to` on; the batch that holds `to` goes whole.
    pub(super) fn truncate(&mut self, to: Offset, out: &mut Effects) {
        assert!(to >= self.start.offset, "truncation stays above the snapshot");
        if to >= self.end() {
            return;
        }
        while self.open.is_empty() || self.open[0].base >= to {
            self.open.clear();
            let Some(sealed) = self.sealed.pop() else { break };
            self.open.extend(sealed.iter().cloned());
        }
        self.open.truncate(self.open.partition_point(|entry| entry.last < to));
        let to = self.end();
        self.epochs.truncate(self.epochs.partition_point(|start| start.offset < to));
        self.flushed = self.flushed.min(to);
        out.push(Effect::Truncate { log: self.id, to });
    }

    /// Drops the batches below a snapshot's end.
    pub(super) fn trim(&mut self, to: LogPoint, out: &mut Effects) {
        assert!(to.offset <= self.end(), "a snapshot ends within the log");
        if to.offset <= self.start.offset {
            return;
        }
        let whole = self.sealed.partition_point(|sealed| sealed[sealed.len() - 1].last < to.offset);
        self.sealed.drain(..whole);
        match self.sealed.first_mut() {
            Some(first) if first[0].last < to.offset => {
                let keep = first.partition_point(|entry| entry.last < to.offset);
                *first = first[keep..].iter().cloned().collect();
            }
            Some(_) => {}
            None => {
                let below = self.open.partition_point(|entry| entry.last < to.offset);
                self.open.drain(..below);
            }
        }
        let below = self.epochs.partition_point(|start| start.offset < to.offset);
        self.epochs.drain(..below);
        self.start = to;
        self.flushed = self.flushed.max(to.offset);
        let next = self.entries(to.offset).next().map(|entry| (entry.epoch, entry.base));
        if let Some((epoch, base)) = next {
            assert!(base == to.offset, "a snapshot ends between batches");
            if self.epochs.first().is_none_or(|start| start.offset > base) {
                self.epochs.insert(0, LogPoint { epoch, offset: base });
            }
        }
        out.push(Effect::Trim { log: self.id, to: to.offset });
    }

    /// Drops everything and starts again at `start`: a snapshot takes the place of the log.
    pub(super) fn reset(&mut self, start: LogPoint, out: &mut Effects) {
        let flushing = self.flushing;
        *self = QuorumLog { flushing, ..QuorumLog::new(self.id, start) };
        out.push(Effect::Truncate { log: self.id, to: Offset::ZERO });
    }

    pub(super) fn check(&self) {
        assert!(self.start.offset <= self.flushed, "what is in the snapshot is durable");
        assert!(self.flushed <= self.end(), "nothing behind the end is durable");
        let in_order = self.epochs.last().is_none_or(|last| last.epoch == self.last().epoch);
        assert!(in_order, "the epoch cache ends with the log");
    }
}
