//! Ghost state: what every replica's log holds, rebuilt from effects and never visible to nodes.

use std::collections::VecDeque;
use std::hash::Hasher as _;

use bytes::Bytes;
use rustc_hash::FxHasher;
use seedlog::ids::{LeaderEpoch, Offset};
use seedlog::record::{self, BatchHeader};

/// Bytes of a batch before its attributes: base offset, length, leader epoch, magic, CRC. All but
/// the length may differ between copies, or is a check of the rest.
const CONTENT: usize = 21;

/// One batch as some replica stores it.
#[derive(Clone, Debug)]
pub struct GhostBatch {
    pub base: Offset,
    pub last: Offset,
    pub epoch: LeaderEpoch,
    /// A hash of its content; equal contents have equal digests.
    pub digest: u64,
    pub bytes: Bytes,
}

impl GhostBatch {
    /// Reads what was appended. Damaged bytes make a batch too: one that equals no other.
    #[must_use]
    pub fn read(bytes: &Bytes) -> Option<Self> {
        let header = BatchHeader::parse(bytes).ok()?;
        Some(GhostBatch {
            base: header.base_offset,
            last: header.last_offset(),
            epoch: header.leader_epoch,
            digest: digest(bytes),
            bytes: bytes.clone(),
        })
    }

    /// Same content at the same place; the epoch is part of it.
    #[must_use]
    pub fn same(&self, other: &GhostBatch) -> bool {
        self.base == other.base
            && self.last == other.last
            && self.epoch == other.epoch
            && self.digest == other.digest
    }

    /// For reports: where and what.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{}..{} (epoch {}, {:08x})", self.base, self.last, self.epoch, self.digest >> 32)
    }
}

fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(bytes.get(CONTENT..).unwrap_or_default());
    hasher.finish()
}

/// The batches of one log, in order.
#[derive(Clone, Debug, Default)]
pub struct GhostLog {
    batches: VecDeque<GhostBatch>,
    start: Offset,
}

impl GhostLog {
    #[must_use]
    pub fn starting_at(start: Offset) -> Self {
        GhostLog { batches: VecDeque::new(), start }
    }

    #[must_use]
    pub fn start(&self) -> Offset {
        self.start
    }

    /// The offset after the last record.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.batches.back().map_or(self.start, |batch| batch.last.next())
    }

    /// The end of the first batch: the broker's own log start is at most that.
    #[must_use]
    pub fn first_end(&self) -> Offset {
        self.batches.front().map_or(self.start, |batch| batch.last.next())
    }

    pub fn append(&mut self, batch: GhostBatch) {
        if self.batches.is_empty() {
            self.start = self.start.max(batch.base);
        }
        self.batches.push_back(batch);
    }

    /// Removes what begins at or above `to`.
    pub fn truncate(&mut self, to: Offset) {
        while self.batches.back().is_some_and(|batch| batch.base >= to) {
            self.batches.pop_back();
        }
        if self.batches.is_empty() {
            self.start = self.start.min(to);
        }
    }

    /// Removes what ends below `to`.
    pub fn trim(&mut self, to: Offset) {
        while self.batches.front().is_some_and(|batch| batch.last < to) {
            self.batches.pop_front();
        }
        self.start = self.start.max(to);
    }

    /// The batch that holds `offset`, or the first after it.
    #[must_use]
    pub fn at(&self, offset: Offset) -> Option<&GhostBatch> {
        // Most questions are about the end.
        let last = self.batches.back()?;
        if offset >= last.base {
            return (offset <= last.last).then_some(last);
        }
        let index = self.batches.partition_point(|batch| batch.last < offset);
        self.batches.get(index)
    }

    /// The first batch that begins at or above `offset`, and those behind it.
    pub fn from(&self, offset: Offset) -> impl Iterator<Item = &GhostBatch> {
        let near = self.batches.len().saturating_sub(4);
        let start = match self.batches.get(near) {
            Some(batch) if batch.base <= offset => {
                near + self.batches.iter().skip(near).take_while(|b| b.base < offset).count()
            }
            Some(_) | None => self.batches.partition_point(|batch| batch.base < offset),
        };
        self.batches.range(start..)
    }

    /// The batch that holds `offset` or the first behind it, and those that follow.
    pub fn holding(&self, offset: Offset) -> impl Iterator<Item = &GhostBatch> {
        let start = self.batches.partition_point(|batch| batch.last < offset);
        self.batches.range(start..)
    }

    /// All batches, the last one first.
    pub fn latest(&self) -> impl Iterator<Item = &GhostBatch> {
        self.batches.iter().rev()
    }

    /// How many batches it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batches.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }
}

/// A log as a restart finds it.
#[derive(Clone, Debug, Default)]
pub struct Survivor {
    /// Everything that can be read as batches, rotten or not: a broker that looks at no checksum
    /// takes it for its log.
    pub log: GhostLog,
    /// Below this offset every batch is whole.
    pub whole: Offset,
}

impl Survivor {
    /// Reads what survived, up to the first bytes that are no batch.
    #[must_use]
    pub fn read(chunks: &[Bytes]) -> Self {
        let mut survivor = Survivor::default();
        let mut is_whole = true;
        for batch in chunks.iter().flat_map(record::batches) {
            let Some(batch) = batch.ok().and_then(|(_, bytes)| GhostBatch::read(&bytes)) else {
                break;
            };
            if survivor.log.is_empty() {
                survivor.log = GhostLog::starting_at(batch.base);
            }
            is_whole &= record::verify(&batch.bytes).is_ok();
            if is_whole {
                survivor.whole = batch.last.next();
            }
            survivor.log.append(batch);
        }
        survivor
    }
}

/// How far a replica's log was compared with what is committed.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    pub log: GhostLog,
    /// Below this offset it matches.
    pub verified: Offset,
}

/// A replica's log parts from what is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub committed: String,
    pub held: String,
}

impl Replica {
    /// Compares on, batch by batch, up to `upto`; each batch is compared once.
    ///
    /// # Errors
    /// The first difference. A log that is merely too short is none: it ends `verified`.
    pub fn verify(&mut self, committed: &GhostLog, upto: Offset) -> Result<Offset, Mismatch> {
        if self.verified >= upto {
            return Ok(self.verified);
        }
        // What retention removed on either side cannot be compared.
        let from = self.verified.max(self.log.start()).max(committed.start());
        let mut verified = from;
        let mut held = self.log.from(from);
        for wanted in committed.from(from) {
            if wanted.base >= upto {
                break;
            }
            let Some(batch) = held.next() else { break };
            if !batch.same(wanted) {
                return Err(Mismatch { committed: wanted.describe(), held: batch.describe() });
            }
            verified = wanted.last.next();
        }
        drop(held);
        self.verified = self.verified.max(verified.min(self.log.end()));
        Ok(self.verified)
    }

    pub fn truncate(&mut self, to: Offset) {
        self.log.truncate(to);
        self.verified = self.verified.min(self.log.end());
    }
}
