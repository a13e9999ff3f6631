//! Producer state: what idempotence and transactions remember of each producer in one log.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::defect::{Defect, Defects};
use crate::error::ErrorCode;
use crate::ids::{LeaderEpoch, LogPoint, Offset, ProducerEpoch, ProducerId};
use crate::log::file::{self, Reader};
use crate::log::index::{BatchKind, BatchMeta};
use crate::record::{BatchHeader, advance_sequence};
use crate::time::{Duration, Timestamp};

/// How many batches of a producer a log remembers: as many as one may have in flight (KAFKA-5494).
const WINDOW: usize = 5;

/// A batch that a producer may send again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SentBatch {
    pub first_sequence: i32,
    pub last_sequence: i32,
    pub base: Offset,
    pub last: Offset,
    pub timestamp: Timestamp,
}

/// What a log knows of one producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    pub epoch: ProducerEpoch,
    /// Of the coordinator that wrote the last marker; -1 if none did.
    pub coordinator_epoch: i32,
    /// Where its open transaction begins.
    pub transaction_start: Option<Offset>,
    pub last_timestamp: Timestamp,
    /// The last batches, oldest first; only the first `count` are in use.
    batches: [SentBatch; WINDOW],
    count: u8,
}

/// A finished transaction that was aborted: readers of committed data skip its batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aborted {
    pub producer_id: ProducerId,
    pub first: Offset,
    /// The offset of its marker.
    pub last: Offset,
}

/// The producers of a log. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    state: Arc<State>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    by_id: BTreeMap<ProducerId, Producer>,
    /// Open transactions by their first offset.
    open: BTreeMap<Offset, ProducerId>,
    /// Transactions with a marker that the high watermark may not have passed: (first, marker).
    decided: Vec<(Offset, Offset)>,
}

/// Where sequence numbers wrap, and which rules are broken on purpose.
#[derive(Clone, Copy, Debug)]
pub struct Sequencing {
    pub max: i32,
    pub defects: Defects,
}

/// What to do with a numbered batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbered {
    /// It is the producer's next one.
    Next,
    /// It is in the log already.
    Duplicate(SentBatch),
}

impl Producer {
    fn new(epoch: ProducerEpoch) -> Self {
        Producer {
            epoch,
            coordinator_epoch: -1,
            transaction_start: None,
            last_timestamp: Timestamp::NONE,
            batches: [SentBatch::default(); WINDOW],
            count: 0,
        }
    }

    /// The batches that are remembered, oldest first.
    #[must_use]
    pub fn batches(&self) -> &[SentBatch] {
        &self.batches[..usize::from(self.count)]
    }

    fn remember(&mut self, batch: SentBatch) {
        if usize::from(self.count) == WINDOW {
            self.batches.rotate_left(1);
            self.count -= 1;
        }
        self.batches[usize::from(self.count)] = batch;
        self.count += 1;
    }

    fn begin_epoch(&mut self, epoch: ProducerEpoch) {
        self.epoch = epoch;
        self.count = 0;
    }
}

impl State {
    /// Takes a marker; gives the transaction that it ends, if one is open.
    fn end_transaction(&mut self, marker: &BatchMeta, coordinator_epoch: i32) -> Option<Aborted> {
        let producer_id = marker.producer_id;
        let producer = self.by_id.get_mut(&producer_id).expect("entered before its batch");
        producer.coordinator_epoch = coordinator_epoch;
        let first = producer.transaction_start.take()?;
        self.open.remove(&first);
        self.decided.push((first, marker.last));
        Some(Aborted { producer_id, first, last: marker.last })
    }
}

impl Producers {
    #[must_use]
    pub fn get(&self, id: ProducerId) -> Option<&Producer> {
        self.state.by_id.get(&id)
    }

    /// All producers, by id.
    pub fn iter(&self) -> impl Iterator<Item = (ProducerId, &Producer)> {
        self.state.by_id.iter().map(|(id, producer)| (*id, producer))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.state.by_id.is_empty()
    }

    /// Decides on a client's batch with a producer id (KIP-98).
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH`, `OUT_OF_ORDER_SEQUENCE_NUMBER` or `INVALID_TXN_STATE`.
    pub fn decide(&self, header: &BatchHeader, rules: Sequencing) -> Result<Numbered, ErrorCode> {
        let Some(producer) = self.get(header.producer_id) else { return Ok(Numbered::Next) };
        let Sequencing { max, defects } = rules;
        if producer.epoch == header.producer_epoch {
            let first_sequence = header.base_sequence;
            let last_sequence = header.last_sequence(max, defects);
            // KAFKA-5494: all batches that may be in flight, not just the last one.
            let window = if defects.has(Defect::DedupeWindowOne) { 1 } else { WINDOW };
            let duplicate = producer.batches().iter().rev().take(window).find(|batch| {
                (batch.first_sequence, batch.last_sequence) == (first_sequence, last_sequence)
            });
            if let Some(duplicate) = duplicate {
                // KIP-98: what was appended is acknowledged again with the offset it has.
                if defects.has(Defect::DedupeReturnsOos) {
                    return Err(ErrorCode::OutOfOrderSequenceNumber);
                }
                return Ok(Numbered::Duplicate(*duplicate));
            }
        }
        if header.producer_epoch < producer.epoch {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        if !header.is_transactional() && producer.transaction_start.is_some() {
            return Err(ErrorCode::InvalidTxnState);
        }
        let expected = if header.producer_epoch > producer.epoch {
            0
        } else {
            producer
                .batches()
                .last()
                .map_or(0, |batch| advance_sequence(batch.last_sequence, 1, max, defects))
        };
        // KIP-98: a producer's batches follow each other without a gap.
        let in_sequence = if defects.has(Defect::SeqGapAccepted) {
            header.base_sequence >= expected
        } else {
            header.base_sequence == expected
        };
        if in_sequence { Ok(Numbered::Next) } else { Err(ErrorCode::OutOfOrderSequenceNumber) }
    }

    /// Takes note of a batch in the log, whoever appended it. Gives the transaction that it aborts.
    pub fn observe(&mut self, batch: &BatchMeta, rules: Sequencing) -> Option<Aborted> {
        if batch.producer_id.0 < 0 {
            return None;
        }
        let id = batch.producer_id;
        let state = Arc::make_mut(&mut self.state);
        let new = || Producer::new(batch.producer_epoch);
        let producer = state.by_id.entry(id).or_insert_with(new);
        if producer.epoch != batch.producer_epoch {
            producer.begin_epoch(batch.producer_epoch);
        }
        producer.last_timestamp = batch.max_timestamp;
        match batch.kind {
            BatchKind::Data => {
                // A coordinator's own batches are not numbered.
                let numbered = batch.base_sequence >= 0;
                let by = i32::try_from(batch.last - batch.base).expect("a batch's own delta");
                let Sequencing { max, defects } = rules;
                if numbered {
                    producer.remember(SentBatch {
                        first_sequence: batch.base_sequence,
                        last_sequence: advance_sequence(batch.base_sequence, by, max, defects),
                        base: batch.base,
                        last: batch.last,
                        timestamp: batch.max_timestamp,
                    });
                }
                if batch.transactional && producer.transaction_start.is_none() {
                    producer.transaction_start = Some(batch.base);
                    state.open.insert(batch.base, id);
                }
                None
            }
            BatchKind::Commit { coordinator_epoch } => {
                state.end_transaction(batch, coordinator_epoch);
                None
            }
            BatchKind::Abort { coordinator_epoch } => {
                state.end_transaction(batch, coordinator_epoch)
            }
            BatchKind::Other => None,
        }
    }

    /// The first offset of a transaction that is open, or whose marker is not below
    /// `high_watermark`.
    #[must_use]
    pub fn first_unstable(&self, high_watermark: Offset) -> Option<Offset> {
        let open = self.state.open.first_key_value().map(|(first, _)| *first);
        let decided = self.state.decided.iter().filter(|(_, marker)| *marker >= high_watermark);
        open.into_iter().chain(decided.map(|(first, _)| *first)).min()
    }

    /// Forgets transactions that ended below the high watermark.
    pub fn passed(&mut self, high_watermark: Offset) {
        if self.state.decided.iter().any(|(_, marker)| *marker < high_watermark) {
            let decided = &mut Arc::make_mut(&mut self.state).decided;
            decided.retain(|(_, marker)| *marker >= high_watermark);
        }
    }

    /// Forgets producers that were silent for `expiration` and have no open transaction.
    pub fn expire(&mut self, now: Timestamp, expiration: Duration) {
        let before = now.saturating_sub(expiration);
        let idle = |producer: &Producer| {
            producer.transaction_start.is_none() && producer.last_timestamp <= before
        };
        if self.state.by_id.values().any(idle) {
            Arc::make_mut(&mut self.state).by_id.retain(|_, producer| !idle(producer));
        }
    }

    /// Only what is known of batches before `offset`.
    pub(super) fn below(&self, offset: Offset) -> Self {
        let mut state = State::default();
        for (id, producer) in self.iter() {
            let mut known = Producer::new(producer.epoch);
            known.coordinator_epoch = producer.coordinator_epoch;
            known.last_timestamp = producer.last_timestamp;
            for batch in producer.batches().iter().filter(|batch| batch.last < offset) {
                known.remember(*batch);
            }
            if let Some(start) = producer.transaction_start.filter(|start| *start < offset) {
                known.transaction_start = Some(start);
                state.open.insert(start, id);
            }
            if known.count > 0 || known.transaction_start.is_some() {
                state.by_id.insert(id, known);
            }
        }
        Producers { state: Arc::new(state) }
    }

    /// The state as a file, with the point of the log that it is true at.
    #[must_use]
    pub fn encode(&self, at: LogPoint) -> Bytes {
        let mut out = file::writer();
        out.extend_from_slice(&at.epoch.0.to_be_bytes());
        out.extend_from_slice(&at.offset.0.to_be_bytes());
        for (id, producer) in &self.state.by_id {
            out.extend_from_slice(&id.0.to_be_bytes());
            out.extend_from_slice(&producer.epoch.0.to_be_bytes());
            out.extend_from_slice(&producer.coordinator_epoch.to_be_bytes());
            let start = producer.transaction_start.unwrap_or(Offset::NONE);
            out.extend_from_slice(&start.0.to_be_bytes());
            out.extend_from_slice(&producer.last_timestamp.0.to_be_bytes());
            out.push(producer.count);
            for batch in producer.batches() {
                out.extend_from_slice(&batch.first_sequence.to_be_bytes());
                out.extend_from_slice(&batch.last_sequence.to_be_bytes());
                out.extend_from_slice(&batch.base.0.to_be_bytes());
                out.extend_from_slice(&batch.last.0.to_be_bytes());
                out.extend_from_slice(&batch.timestamp.0.to_be_bytes());
            }
        }
        file::finish(out)
    }

    /// Reads what [`Self::encode`] wrote; none if it is damaged.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(LogPoint, Self)> {
        let mut reader = Reader::open(bytes)?;
        let epoch = LeaderEpoch(reader.i32()?);
        let at = LogPoint { epoch, offset: Offset(reader.i64()?) };
        let mut state = State::default();
        while !reader.is_empty() {
            let id = ProducerId(reader.i64()?);
            let mut producer = Producer::new(ProducerEpoch(reader.i16()?));
            producer.coordinator_epoch = reader.i32()?;
            let start = Offset(reader.i64()?);
            if start != Offset::NONE {
                producer.transaction_start = Some(start);
                state.open.insert(start, id);
            }
            producer.last_timestamp = Timestamp(reader.i64()?);
            for _ in 0..reader.u8()? {
                producer.remember(SentBatch {
                    first_sequence: reader.i32()?,
                    last_sequence: reader.i32()?,
                    base: Offset(reader.i64()?),
                    last: Offset(reader.i64()?),
                    timestamp: Timestamp(reader.i64()?),
                });
            }
            state.by_id.insert(id, producer);
        }
        Some((at, Producers { state: Arc::new(state) }))
    }

    pub fn check(&self, end: Offset) {
        for (id, producer) in &self.state.by_id {
            let batches = producer.batches();
            assert!(batches.is_sorted_by(|a, b| a.last < b.base), "batches in log order");
            let below = batches.last().is_none_or(|batch| batch.last < end);
            assert!(below, "producer {id} remembers what is not in the log");
            if let Some(start) = producer.transaction_start {
                assert_eq!(self.state.open.get(&start), Some(id), "open transactions are indexed");
            }
        }
    }
}
