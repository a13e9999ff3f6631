//! Records of one partition that travel together.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::ids::{CallId, LeaderEpoch, ProducerEpoch, ProducerId};
use crate::op::SendRecord;
use crate::record::{Builder, HEADER_BYTES, records, varint};
use crate::time::{Instant, Timestamp};

/// One batch on its way through the producer.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// Unique in the producer, ascending in a partition's queue.
    pub id: u64,
    /// The oldest call inside; see the accumulator's tickets.
    pub ticket: u64,
    data: Data,
    transactional: bool,
    pub calls: Vec<(CallId, Timestamp)>,
    pub created: Instant,
    pub state: State,
    /// How often it was sent.
    pub attempts: u32,
    /// Some attempt may have been appended: its answer is missing, or leaves it open.
    pub doubt: bool,
    /// Its number in the partition's session, once it was sent by an idempotent producer.
    pub number: Option<Number>,
    /// Bytes that it takes of the buffer.
    pub size: usize,
    /// The leader epoch that the last attempt was sent to.
    pub sent_to: LeaderEpoch,
}

/// How large a batch gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub bytes: usize,
    pub records: usize,
}

/// Batches that need numbers of their own: five that a partition remembers, to tell what is sent
/// again (KAFKA-5494), and five that are on their way at most.
const NUMBERED: u32 = 10;

impl Limit {
    /// Where numbers end soon, so do batches: if those that are remembered and those on their way
    /// took up more numbers than there are, a new one would be taken for an old one.
    pub fn new(batch_size: u32, sequence_max: i32) -> Self {
        let numbers = sequence_max.unsigned_abs() + 1;
        let records = (numbers / NUMBERED).max(1);
        Limit {
            bytes: usize::try_from(batch_size).expect("32 bits fit"),
            records: usize::try_from(records).expect("32 bits fit"),
        }
    }
}

#[derive(Clone, Debug)]
enum Data {
    Open(Builder),
    Sealed(Bytes),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Never sent, or renumbered after a gap: not before this instant.
    Waiting {
        not_before: Instant,
    },
    InFlight,
    /// Sent before, and to be sent again in the same place: not before this instant.
    Retry {
        not_before: Instant,
    },
}

/// An idempotent producer's session, and a batch's first sequence number in it (KIP-98).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    pub session: Session,
    pub base: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub id: ProducerId,
    pub epoch: ProducerEpoch,
}

impl Batch {
    pub fn new(id: u64, ticket: u64, now: Instant, transactional: bool) -> Self {
        Batch {
            id,
            ticket,
            data: Data::Open(builder(transactional)),
            transactional,
            calls: Vec::new(),
            created: now,
            state: State::Waiting { not_before: Instant::ZERO },
            attempts: 0,
            doubt: false,
            number: None,
            size: HEADER_BYTES,
            sent_to: LeaderEpoch::NONE,
        }
    }

    /// Whether a record of `size` bytes may still join: an empty batch takes any.
    pub fn has_room(&self, size: usize, limit: Limit) -> bool {
        match &self.data {
            Data::Open(builder) => {
                let fits = builder.size() + size <= limit.bytes && self.calls.len() < limit.records;
                builder.is_empty() || fits
            }
            Data::Sealed(_) => false,
        }
    }

    /// Whether it is as large as batches get.
    pub fn is_full(&self, limit: Limit) -> bool {
        match &self.data {
            Data::Open(builder) => {
                builder.size() >= limit.bytes || self.calls.len() >= limit.records
            }
            Data::Sealed(_) => true,
        }
    }

    /// Bytes of the batch itself.
    pub fn wire_size(&self) -> usize {
        match &self.data {
            Data::Open(builder) => builder.size(),
            Data::Sealed(bytes) => bytes.len(),
        }
    }

    pub fn append(
        &mut self,
        call: CallId,
        ticket: u64,
        record: &SendRecord,
        timestamp: Timestamp,
        size: usize,
    ) {
        let Data::Open(builder) = &mut self.data else { panic!("only an open batch grows") };
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        builder.append_with_headers(timestamp, key, value, &record.headers);
        self.calls.push((call, timestamp));
        self.ticket = self.ticket.min(ticket);
        self.size += size;
    }

    /// Takes no more records.
    pub fn seal(&mut self) {
        if let Data::Open(builder) = &mut self.data {
            self.data = Data::Sealed(core::mem::take(builder).build());
        }
    }

    pub fn count(&self) -> i32 {
        i32::try_from(self.calls.len()).expect("a batch is small")
    }

    pub fn is_in_flight(&self) -> bool {
        self.state == State::InFlight
    }

    /// Given up while its last attempt is under way: nobody knows what becomes of that.
    #[must_use]
    pub fn in_doubt_if_sent(mut self) -> Self {
        self.doubt |= self.is_in_flight();
        self
    }

    /// Gives it its place in a session.
    pub fn assign(&mut self, number: Number) {
        assert!(self.number.is_none(), "a batch is numbered once in a session");
        self.number = Some(number);
        let Number { session: Session { id, epoch }, base } = number;
        match &mut self.data {
            Data::Open(builder) => {
                builder.set_producer(id, epoch, base);
                self.seal();
            }
            Data::Sealed(bytes) => *bytes = renumber(bytes, number, self.transactional),
        }
    }

    /// The bytes to send.
    pub fn bytes(&mut self) -> Bytes {
        self.seal();
        let Data::Sealed(bytes) = &self.data else { panic!("it was just sealed") };
        bytes.clone()
    }
}

fn builder(transactional: bool) -> Builder {
    if transactional { Builder::new().transactional() } else { Builder::new() }
}

/// The same records under another number. Rare: after a gap only.
fn renumber(bytes: &Bytes, number: Number, transactional: bool) -> Bytes {
    let Number { session: Session { id, epoch }, base } = number;
    let mut builder = builder(transactional).producer(id, epoch, base);
    for record in records(bytes).expect("the producer built it itself") {
        let headers: Vec<(&str, Option<Bytes>)> = record
            .headers
            .iter()
            .map(|(key, value)| {
                (core::str::from_utf8(key).expect("a header's key was a string"), value.clone())
            })
            .collect();
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        builder.append_with_headers(record.timestamp, key, value, &headers);
    }
    builder.build()
}

/// Upper bound of the bytes that a record takes in a batch, after Kafka's own estimate.
pub(crate) fn size_of(record: &SendRecord) -> usize {
    /// Length, attributes and both deltas.
    const OVERHEAD: usize = 21;
    let field = |length: usize| {
        varint::size(i64::try_from(length).expect("a size in memory fits")) + length
    };
    let optional = |bytes: &Option<Bytes>| bytes.as_ref().map_or(1, |bytes| field(bytes.len()));
    let headers = record.headers.iter().map(|(key, value)| field(key.len()) + optional(value));
    let count = field(record.headers.len()) - record.headers.len();
    OVERHEAD + optional(&record.key) + optional(&record.value) + count + headers.sum::<usize>()
}
