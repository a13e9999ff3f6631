//! Fetched batches of one partition that the application has not taken yet.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use bytes::Bytes;

use crate::defect::{Defect, Defects};
use crate::ids::{LeaderEpoch, Offset, ProducerId};
use crate::message::fetch::{AbortedTransaction, Isolation};
use crate::record::{BatchError, BatchHeader, Control, Record, batches, records, verify};

/// Opens batches only when the application asks for their records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer {
    pieces: VecDeque<Piece>,
    /// What is left of the batch that is being delivered.
    open: VecDeque<Record>,
}

/// One batch, or an empty one in place of what the application must not see.
#[derive(Clone, Debug)]
struct Piece {
    /// None: control or aborted.
    batch: Option<Bytes>,
    next: Offset,
    epoch: LeaderEpoch,
}

/// Where a consumer stands after a step through the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    pub offset: Offset,
    pub epoch: LeaderEpoch,
}

/// How batches are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub isolation: Isolation,
    pub check_crcs: bool,
    pub defects: Defects,
}

impl Buffer {
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub fn clear(&mut self) {
        *self = Buffer::default();
    }

    /// Takes the batches of an answer from `position` on, up to the first bad one.
    ///
    /// # Errors What is wrong with that one; what came before it is taken. A last batch that is cut
    /// short is no error: brokers may cut at a size limit.
    pub fn fill(
        &mut self,
        position: Offset,
        chunks: &[Bytes],
        aborted: &[AbortedTransaction],
        how: Reading,
    ) -> Result<(), BatchError> {
        let mut filter = Filter::new(aborted, how);
        for chunk in chunks {
            for batch in batches(chunk) {
                let (header, bytes) = match batch {
                    Ok(batch) => batch,
                    Err(BatchError::Truncated) if !self.is_empty() => return Ok(()),
                    Err(error) => return Err(error),
                };
                let last = self.pieces.back().map_or(position, |piece| piece.next);
                if header.last_offset() < last {
                    continue;
                }
                if how.check_crcs {
                    verify(&bytes)?;
                }
                let hidden = filter.hides(&header, &bytes);
                self.pieces.push_back(Piece {
                    batch: (!hidden).then_some(bytes),
                    next: header.last_offset().next(),
                    epoch: header.leader_epoch,
                });
            }
        }
        Ok(())
    }

    /// Passes what must not be seen, up to the next batch with records.
    pub fn skip_hidden(&mut self) -> Option<Reached> {
        let mut reached = None;
        while self.pieces.front().is_some_and(|piece| piece.batch.is_none()) {
            reached = self.pieces.pop_front().map(|piece| piece.reached());
        }
        reached
    }

    /// The next record at or after `position`, and where that leads; only the latter if a batch
    /// ends.
    ///
    /// # Errors
    /// If the batch cannot be opened.
    pub fn next(
        &mut self,
        position: Offset,
    ) -> Result<Option<(Option<Record>, Reached)>, BatchError> {
        let Some(piece) = self.pieces.front() else { return Ok(None) };
        if self.open.is_empty()
            && let Some(batch) = &piece.batch
        {
            self.open.extend(records(batch)?);
        }
        while let Some(record) = self.open.pop_front() {
            if record.offset < position {
                continue;
            }
            let ends = self.open.is_empty();
            let offset = if ends { piece.next } else { record.offset.next() };
            let reached = Reached { offset, epoch: piece.epoch };
            if ends {
                self.pieces.pop_front();
            }
            return Ok(Some((Some(record), reached)));
        }
        let reached = piece.reached();
        self.pieces.pop_front();
        Ok(Some((None, reached)))
    }
}

impl Piece {
    fn reached(&self) -> Reached {
        Reached { offset: self.next, epoch: self.epoch }
    }
}

/// Hides control batches, and for read_committed what aborted transactions wrote (KIP-98): a
/// transaction counts as aborted from its first offset to its abort marker.
struct Filter {
    pending: VecDeque<AbortedTransaction>,
    active: BTreeSet<ProducerId>,
    defects: Defects,
}

impl Filter {
    fn new(aborted: &[AbortedTransaction], how: Reading) -> Self {
        let mut pending: Vec<AbortedTransaction> = match how.isolation {
            Isolation::ReadCommitted => aborted.to_vec(),
            Isolation::ReadUncommitted => Vec::new(),
        };
        pending.sort_by_key(|transaction| transaction.first_offset);
        let (pending, active) = (pending.into(), BTreeSet::new());
        Filter { pending, active, defects: how.defects }
    }

    fn hides(&mut self, header: &BatchHeader, bytes: &[u8]) -> bool {
        // What a producer committed before or after the transaction that it aborted counts.
        if self.defects.has(Defect::ClientAbortFilterLoose) {
            self.active.extend(self.pending.iter().map(|aborted| aborted.producer_id));
        } else {
            self.move_to(header, bytes);
        }
        let aborted = header.is_transactional() && self.active.contains(&header.producer_id);
        header.is_control() || aborted
    }

    /// Goes on to a batch: transactions begin there, or end with it.
    fn move_to(&mut self, header: &BatchHeader, bytes: &[u8]) {
        while let Some(first) = self.pending.front()
            && first.first_offset <= header.last_offset()
        {
            self.active.insert(first.producer_id);
            self.pending.pop_front();
        }
        if header.is_control() && matches!(Control::read(bytes), Some(Control::Abort { .. })) {
            self.active.remove(&header.producer_id);
        }
    }
}
