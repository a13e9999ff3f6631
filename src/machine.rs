//! The boundary: a process is a [`Machine`], and everything that crosses its edge is an [`Input`]
//! or an [`Effect`].
//!
//! The driver (the simulator's world, or tokio) delivers inputs one at a time and carries out the
//! effects in their order. That order *is* the happens-before that crash faults attack.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::event::Event;
use crate::ids::{CallId, ConnId, CorrelationId, Endpoint, LogId, LogPoint, Offset, PartitionId};
use crate::message::{Request, Response};
use crate::op::{Op, Outcome};
use crate::time::{Instant, Now};

/// One process: a broker, a controller or a client. Plain data: cloning it forks it, dropping it
/// crashes it.
pub trait Machine: Clone {
    /// Takes one input to completion. Total: bad requests are answered, broken invariants panic,
    /// nothing waits.
    fn step(&mut self, now: Now, input: Input, out: &mut Effects);

    /// When to next deliver [`Input::Wake`]. An early wake is harmless.
    fn deadline(&self) -> Option<Instant>;

    /// Whether its port is open. A driver refuses connections as long as it is not.
    fn listens(&self) -> bool {
        true
    }
}

/// What happens to a process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// The deadline is reached (or, harmlessly, not yet). Also the first input of a new process.
    Wake,
    /// A connection that the process asked for is up.
    Opened { conn: ConnId },
    /// A connection is gone, whoever closed it; also the answer to a `Connect` that failed.
    Closed { conn: ConnId },
    /// A request on a connection that the driver accepted.
    Request { from: ConnId, correlation: CorrelationId, request: Arc<Request> },
    /// The answer to a request that the process sent.
    Response { conn: ConnId, correlation: CorrelationId, response: Arc<Response> },
    /// Everything appended to `log` below `upto` survives a power loss.
    Flushed { log: LogId, upto: LogPoint },
    /// The last `Save` of that file survives a power loss.
    Saved { file: FileKey },
    /// The bytes that a `Load` asked for: whole batches, from the one that holds `from`.
    Loaded { log: LogId, from: Offset, batches: Arc<[Bytes]> },
    /// The disk failed under this log (EIO, full): no later append to it can be trusted.
    Lost { log: LogId },
    /// The disk failed under this file: what it holds is the old or the new content.
    LostFile { file: FileKey },
    /// An application asks a client process for something.
    Call { call: CallId, op: Arc<Op> },
}

/// What a process does to the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Opens a connection under an id of the process's own choice ([`ConnId::outbound`]).
    Connect { conn: ConnId, to: Endpoint },
    /// Closes a connection. No `Closed` follows for it.
    Close { conn: ConnId },
    /// Sends a request on an open outbound connection.
    Send { conn: ConnId, correlation: CorrelationId, request: Arc<Request> },
    /// Answers a request. [`crate::message::Records::Stored`] inside is resolved by the driver at
    /// once.
    Respond { to: ConnId, correlation: CorrelationId, response: Arc<Response> },
    /// A new, empty log, or one that recovery could use again. Durable at once.
    Create { log: LogId, name: Arc<LogName> },
    /// One batch at the end of a log, into the page cache: a process crash keeps it, a power loss
    /// may not.
    Append { log: LogId, base: Offset, batch: Bytes },
    /// Makes everything appended so far durable; answered by [`Input::Flushed`] with `upto`.
    Flush { log: LogId, upto: LogPoint },
    /// Removes all batches whose base offset is at or above `to` (and any torn bytes behind them).
    Truncate { log: LogId, to: Offset },
    /// Removes all batches that end below `to`; durable lazily.
    Trim { log: LogId, to: Offset },
    /// Replaces the bytes of a range of whole, sealed batches: `from <= base offset < to`
    /// (compaction).
    Rewrite { log: LogId, from: Offset, to: Offset, batches: Arc<[Bytes]> },
    /// Removes a log and its files.
    Remove { log: LogId },
    /// Writes a small file whole, atomically; answered by [`Input::Saved`].
    Save { file: FileKey, value: Bytes },
    /// Removes a small file.
    Delete { file: FileKey },
    /// Reads batches back; answered by [`Input::Loaded`].
    Load { log: LogId, from: Offset, max_bytes: u32 },
    /// Answers a call of the application.
    Return { call: CallId, outcome: Outcome },
    /// Something that a checker may want to know; the runtime traces it.
    Note(Event),
    /// The process cannot go on (its disk failed): the driver stops it as if it had crashed.
    Halt,
}

/// A small file of a process, each written whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKey {
    /// Identity of the process on its disk: cluster, node and directory ids (`meta.properties`).
    MetaProperties,
    /// Raft's durable epoch and vote (`quorum-state`).
    QuorumState,
    /// The metadata quorum's newest snapshot.
    Snapshot,
    /// High watermarks of all partitions (`replication-offset-checkpoint`).
    HighWatermarks,
    /// Written by a clean shutdown, removed at start (`.kafka_cleanshutdown`).
    CleanShutdown,
    /// A log's leader epochs (`leader-epoch-checkpoint`).
    LeaderEpochs(LogId),
    /// A log's producer state at some offset (`*.snapshot`).
    Producers(LogId),
    /// Where a log begins, if retention or DeleteRecords moved it (`log-start-offset-checkpoint`).
    LogStart(LogId),
}

/// What a log is for; on real disks, the name of its directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogName {
    /// The metadata quorum's log (`__cluster_metadata-0`).
    Metadata,
    /// A partition's log.
    Partition { topic: crate::ids::TopicName, id: PartitionId },
}

/// What a process finds when it starts: whatever bytes survived, in whatever state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survived {
    /// Sorted by key.
    pub files: Vec<(FileKey, Bytes)>,
    /// Sorted by id.
    pub logs: Vec<SurvivedLog>,
}

impl Survived {
    /// The content of a file.
    #[must_use]
    pub fn file(&self, key: FileKey) -> Option<&Bytes> {
        let index = self.files.binary_search_by_key(&key, |(key, _)| *key).ok()?;
        Some(&self.files[index].1)
    }
}

/// A log as a crash left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurvivedLog {
    pub log: LogId,
    pub name: Arc<LogName>,
    /// The stored bytes in order. A batch never spans two chunks; a chunk holds one or more batches
    /// and may end in a torn one or hold flipped bits.
    pub chunks: Vec<Bytes>,
}

/// Effects of a step, in order. The driver owns the buffer and uses it again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    list: Vec<Effect>,
}

impl Effects {
    #[must_use]
    pub const fn new() -> Self {
        Effects { list: Vec::new() }
    }

    #[inline]
    pub fn push(&mut self, effect: Effect) {
        self.list.push(effect);
    }

    pub fn note(&mut self, event: Event) {
        self.list.push(Effect::Note(event));
    }

    #[must_use]
    pub fn as_slice(&self) -> &[Effect] {
        &self.list
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Takes those out that are meant, in order; the others stay.
    pub fn extract(&mut self, is_meant: impl Fn(&Effect) -> bool) -> Vec<Effect> {
        self.list.extract_if(.., |effect| is_meant(effect)).collect()
    }

    /// Takes the effects out, in order, and keeps the buffer.
    #[inline]
    pub fn drain(&mut self) -> impl Iterator<Item = Effect> + '_ {
        self.list.drain(..)
    }
}

const _: () = assert!(size_of::<Input>() <= 64, "inputs stay in one cache line");
const _: () = assert!(size_of::<Effect>() <= 64, "effects stay in one cache line");
