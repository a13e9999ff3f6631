//! What an application asks of a client process, and what comes back.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::error::ErrorCode;
use crate::ids::{Offset, TopicName};
use crate::message::{Request, Response};
use crate::time::{Duration, Timestamp};

/// One call into a client process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Producer: sends one record. Answered by [`Outcome::Sent`], or by [`Outcome::Failed`].
    Send(SendRecord),
    /// Producer: sends everything buffered at once; answered when nothing is left unanswered.
    Flush,
    /// Consumer: consumes exactly these partitions from now on (KIP-62's `assign`).
    Assign(Vec<(TopicName, i32)>),
    /// Consumer: takes up to `max_records` records. Answered at once if some are buffered,
    /// otherwise
    /// when some arrive or after `timeout` with none. One poll at a time.
    Poll {
        max_records: usize,
        timeout: Duration,
    },
    /// Consumer: moves the position of a partition.
    Seek {
        topic: TopicName,
        partition: i32,
        to: SeekTo,
    },
    /// Consumer: stops fetching from a partition until it is resumed.
    Pause {
        topic: TopicName,
        partition: i32,
    },
    Resume {
        topic: TopicName,
        partition: i32,
    },
    /// Admin: one request; the client finds the right broker, follows redirects and retries.
    Admin(Request),
    /// Closes the client: a producer flushes first.
    Close,
}

/// A record that an application sends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SendRecord {
    pub topic: TopicName,
    /// A fixed partition; otherwise the producer's partitioner picks.
    pub partition: Option<i32>,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<(Arc<str>, Option<Bytes>)>,
    /// When it was made; otherwise when the producer takes it.
    pub timestamp: Option<Timestamp>,
}

/// Where [`Op::Seek`] goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SeekTo {
    Earliest,
    Latest,
    Offset(Offset),
    /// The first record at or after that time.
    Time(Timestamp),
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The call is done and has nothing to tell.
    Done,
    /// A record was accepted (`acks` says by whom). Offset [`Offset::NONE`] with acks=0.
    Sent { partition: i32, offset: Offset, timestamp: Timestamp },
    /// The call failed and surely had no effect.
    Failed(ErrorCode),
    /// The call failed and may have had its effect: a timeout, or an error after the append.
    Unknown(ErrorCode),
    /// Records in offset order per partition, possibly none.
    Polled(Arc<[ConsumedRecord]>),
    /// The broker's answer to an admin request.
    Answered(Arc<Response>),
}

/// A record that a consumer delivers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConsumedRecord {
    pub topic: TopicName,
    pub partition: i32,
    pub offset: Offset,
    pub timestamp: Timestamp,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<(Arc<str>, Option<Bytes>)>,
}
