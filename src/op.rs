//! What an application asks of a client process, and what comes back.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::error::ErrorCode;
use crate::ids::{LeaderEpoch, Offset, TopicName};
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
    /// Consumer: takes up to `max_records` records; with 0, only what has become of its membership.
    /// Answered at once if some are buffered, otherwise when some arrive or after `timeout` with
    /// none. One poll at a time.
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
    /// Consumer: joins its group and consumes what the group gives it of these topics. Changes of
    /// what it holds come as [`Outcome::Rebalanced`] of a poll.
    Subscribe(Vec<TopicName>),
    /// Consumer: leaves its group.
    Unsubscribe,
    /// Consumer: commits these positions for its group, or all that it has polled; answered when
    /// the coordinator has (Kafka's `commitSync`; whoever does not wait has `commitAsync`).
    Commit(Option<Vec<Position>>),
    /// Consumer: what is committed for these partitions; answered by [`Outcome::Committed`].
    Committed(Vec<(TopicName, i32)>),
    /// Producer: gets its transactional id's producer id, which fences who had it before and ends
    /// what that one left open. Once, before the first transaction.
    InitTransactions,
    /// Producer: the sends from here on are one transaction.
    BeginTransaction,
    /// Producer: commits a consumer's positions with the transaction (KIP-447).
    SendOffsets {
        positions: Vec<Position>,
        group: GroupMetadata,
    },
    /// Producer: ends the transaction, once every send of it is answered. Fails, without effect,
    /// if one of them failed: then it can only be aborted.
    CommitTransaction,
    AbortTransaction,
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

/// How far a consumer has come in a partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    pub topic: TopicName,
    pub partition: i32,
    /// The next record to read.
    pub offset: Offset,
    /// Of the last record read, [`LeaderEpoch::NONE`] if unknown.
    pub leader_epoch: LeaderEpoch,
    pub metadata: Option<Arc<str>>,
}

/// A consumer's place in its group, which fences whoever had it before (KIP-447).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupMetadata {
    pub group: Arc<str>,
    /// Empty outside of a membership.
    pub member: Arc<str>,
    pub instance: Option<Arc<str>>,
    /// Generation or member epoch; -1 outside of a membership.
    pub generation: i32,
}

/// What a rebalance does to one member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Rebalance {
    /// These partitions must be given up. The member still holds them until its next poll, so it
    /// can commit what it has done.
    Revoked(Vec<(TopicName, i32)>),
    /// These partitions are gone already: somebody else may hold them, and no commit is accepted.
    Lost(Vec<(TopicName, i32)>),
    /// These partitions are new here, with the membership that they come with.
    Assigned(Vec<(TopicName, i32)>, GroupMetadata),
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
    /// Instead of records: what the member holds has changed. One at a time, in order.
    Rebalanced(Arc<Rebalance>),
    /// What is committed, partition by partition as asked; [`Offset::NONE`] for nothing.
    Committed(Arc<[Position]>),
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
