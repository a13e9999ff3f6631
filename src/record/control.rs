//! Control batches: ends of transactions, and Raft's changes of leader.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::ids::{LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId};
use crate::message::raft::ReplicaKey;
use crate::record::{BatchHeader, Builder, Records};
use crate::time::Timestamp;

const ABORT: i16 = 0;
const COMMIT: i16 = 1;
const LEADER_CHANGE: i16 = 2;

/// What a control batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Control {
    /// A transaction of the batch's producer was aborted (KIP-98).
    Abort { coordinator_epoch: i32 },
    /// A transaction of the batch's producer was committed.
    Commit { coordinator_epoch: i32 },
    /// A Raft leader begins its epoch (KIP-595).
    LeaderChange { leader: NodeId },
    /// A type that seedlog has no use for: carried.
    Other(i16),
}

impl Control {
    /// Reads a control batch; none if it is data or makes no sense.
    #[must_use]
    pub fn read(batch: &[u8]) -> Option<Control> {
        let header = BatchHeader::parse(batch).ok()?;
        if !header.is_control() {
            return None;
        }
        let record = Records::new(batch).ok()?.next()?.ok()?;
        let kind = i16::from_be_bytes(*record.key?.get(2..)?.first_chunk()?);
        let number = || Some(i32::from_be_bytes(*record.value?.get(2..)?.first_chunk()?));
        Some(match kind {
            ABORT => Control::Abort { coordinator_epoch: number()? },
            COMMIT => Control::Commit { coordinator_epoch: number()? },
            LEADER_CHANGE => Control::LeaderChange { leader: NodeId(number()?) },
            other => Control::Other(other),
        })
    }
}

/// A marker that ends a producer's transaction on one partition.
#[must_use]
pub fn marker(
    id: ProducerId,
    epoch: ProducerEpoch,
    commit: bool,
    coordinator_epoch: i32,
    timestamp: Timestamp,
) -> Bytes {
    let mut builder = Builder::new().control().transactional().producer(id, epoch, -1);
    let kind = if commit { COMMIT } else { ABORT };
    let mut value = Vec::from(0_i16.to_be_bytes());
    value.extend_from_slice(&coordinator_epoch.to_be_bytes());
    builder.append(timestamp, Some(&control_key(kind)), Some(&value));
    builder.build()
}

/// The first record of a Raft leader's epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaderChange {
    pub leader: NodeId,
    pub voters: Vec<ReplicaKey>,
    /// The voters that elected it.
    pub granting: Vec<ReplicaKey>,
}

/// A Raft leader's first batch (LeaderChangeMessage version 1).
#[must_use]
pub fn leader_change(
    change: &LeaderChange,
    base: Offset,
    epoch: LeaderEpoch,
    timestamp: Timestamp,
) -> Bytes {
    let mut value = Vec::from(1_i16.to_be_bytes());
    value.extend_from_slice(&change.leader.0.to_be_bytes());
    for voters in [&change.voters, &change.granting] {
        // A compact array's length is one more, as an unsigned varint; voters are few.
        let length = u8::try_from(voters.len() + 1).expect("a quorum is small");
        assert!(length < 128, "one byte of varint");
        value.push(length);
        for voter in voters {
            value.extend_from_slice(&voter.node.0.to_be_bytes());
            value.extend_from_slice(&voter.directory.to_bytes());
            value.push(0);
        }
    }
    value.push(0);
    let mut builder = Builder::new().control().at(base, epoch);
    builder.append(timestamp, Some(&control_key(LEADER_CHANGE)), Some(&value));
    builder.build()
}

fn control_key(kind: i16) -> [u8; 4] {
    let [a, b] = kind.to_be_bytes();
    [0, 0, a, b]
}
