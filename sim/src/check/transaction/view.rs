//! What a reader of committed data may see of one partition, told from its committed log alone.
//!
//! A broker's own last stable offset is never asked: it may be wrong.

use std::collections::{BTreeMap, VecDeque};

use seedlog::ids::{Offset, ProducerEpoch, ProducerId};
use seedlog::record::{BatchHeader, Control};
use seedlog::time::Instant;

use super::super::ghost::GhostBatch;
use super::super::payload::RecordId;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Visible,
    Aborted,
    /// Its transaction is open.
    Undecided,
}

/// One partition's transactions.
#[derive(Clone, Debug, Default)]
pub struct View {
    open: BTreeMap<ProducerId, Open>,
    /// The same, by where they begin.
    firsts: BTreeMap<Offset, ProducerId>,
    /// Aborted ones: where each begins, and its marker.
    aborted: BTreeMap<(ProducerId, Offset), Offset>,
    /// The same, in the order of their markers.
    order: VecDeque<(Offset, ProducerId, Offset)>,
    /// Records below were shown to those who watch what becomes visible.
    pub shown: Offset,
}

/// A producer's records in one partition that no marker has ended yet.
#[derive(Clone, Debug)]
pub struct Open {
    pub first: Offset,
    /// When that was committed.
    pub since: Instant,
    /// The epoch of its first batch, and of its last.
    pub epochs: (ProducerEpoch, ProducerEpoch),
    pub records: Vec<(RecordId, Offset)>,
}

/// A marker, and what it ends: nothing if its transaction wrote nothing here, or a marker was there
/// before.
#[derive(Clone, Debug)]
pub struct Closed {
    pub producer: ProducerId,
    pub epoch: ProducerEpoch,
    pub commit: bool,
    pub marker: Offset,
    pub open: Option<Open>,
    /// The decision that it carries out: where that is in the coordinator's log.
    pub decided: Option<Offset>,
}

impl View {
    /// A batch was committed, now. Gives what it ends.
    pub fn committed(
        &mut self,
        batch: &GhostBatch,
        header: &BatchHeader,
        records: &[(RecordId, Offset)],
        now: Instant,
    ) -> Option<Closed> {
        let producer = header.producer_id;
        if !header.is_transactional() || producer == ProducerId::NONE {
            return None;
        }
        if !header.is_control() {
            let first = batch.base;
            let open = self.open.entry(producer).or_insert_with(|| {
                self.firsts.insert(first, producer);
                let epoch = header.producer_epoch;
                Open { first, since: now, epochs: (epoch, epoch), records: Vec::new() }
            });
            open.epochs.1 = header.producer_epoch;
            open.records.extend_from_slice(records);
            return None;
        }
        let commit = match Control::read(&batch.bytes)? {
            Control::Commit { .. } => true,
            Control::Abort { .. } => false,
            Control::LeaderChange { .. } | Control::Other(_) => return None,
        };
        let open = self.open.remove(&producer);
        if let Some(open) = &open {
            self.firsts.remove(&open.first);
            if !commit {
                self.aborted.insert((producer, open.first), batch.last);
                self.order.push_back((batch.last, producer, open.first));
            }
        }
        let (epoch, marker) = (header.producer_epoch, batch.last);
        Some(Closed { producer, epoch, commit, marker, open, decided: None })
    }

    /// What became of the batch of that header.
    #[must_use]
    pub fn fate(&self, header: &BatchHeader) -> Fate {
        if !header.is_transactional() {
            return Fate::Visible;
        }
        let (producer, offset) = (header.producer_id, header.base_offset);
        if self.open.get(&producer).is_some_and(|open| open.first <= offset) {
            return Fate::Undecided;
        }
        let before = self.aborted.range((producer, Offset(i64::MIN))..=(producer, offset));
        match before.last() {
            Some((_, marker)) if *marker >= offset => Fate::Aborted,
            Some(_) | None => Fate::Visible,
        }
    }

    /// Where the open transaction of a producer begins.
    #[must_use]
    pub fn open_since(&self, producer: ProducerId) -> Option<Offset> {
        self.open.get(&producer).map(|open| open.first)
    }

    /// Where the first undecided record is.
    #[must_use]
    pub fn first_open(&self) -> Option<(Offset, ProducerId)> {
        self.firsts.first_key_value().map(|(first, producer)| (*first, *producer))
    }

    /// All open transactions: whose, where each begins, and since when.
    pub fn all_open(&self) -> impl Iterator<Item = (ProducerId, Offset, Instant)> {
        self.open.iter().map(|(producer, open)| (*producer, open.first, open.since))
    }

    /// No replica has what was committed below `start` any more.
    pub fn trimmed(&mut self, start: Offset) {
        while let Some((_, producer, first)) = self.order.pop_front_if(|(last, ..)| *last < start) {
            self.aborted.remove(&(producer, first));
        }
    }

    /// How many transactions it remembers.
    #[must_use]
    pub fn size(&self) -> usize {
        self.open.len() + self.aborted.len()
    }
}
