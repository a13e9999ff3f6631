//! The few things that are read out of the core's machines.

use std::sync::Arc;

use seedlog::broker::Broker;
use seedlog::controller::Controller;
use seedlog::ids::{Offset, PartitionId};
use seedlog::metadata::Image;

/// A replica at its broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaState {
    pub leads: bool,
    pub follows: bool,
    pub start: Offset,
    pub high_watermark: Offset,
    pub last_stable: Offset,
    pub end: Offset,
}

/// A server in the metadata quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuorumState {
    pub epoch: i32,
    pub end: Offset,
    pub high_watermark: Offset,
}

/// How far a controller has applied the metadata log, and what that adds up to.
#[must_use]
pub fn applied(controller: &Controller) -> (Offset, &Arc<Image>) {
    (controller.applied(), controller.image())
}

#[must_use]
pub fn is_active(controller: &Controller) -> bool {
    controller.is_active()
}

#[must_use]
pub fn controller_quorum(controller: &Controller) -> QuorumState {
    quorum(controller.raft())
}

#[must_use]
pub fn broker_quorum(broker: &Broker) -> QuorumState {
    quorum(broker.raft())
}

fn quorum(raft: &seedlog::raft::Raft) -> QuorumState {
    QuorumState {
        epoch: raft.epoch().0,
        end: raft.end_offset(),
        high_watermark: raft.high_watermark(),
    }
}

#[must_use]
pub fn replica(broker: &Broker, id: PartitionId) -> Option<ReplicaState> {
    let replica = broker.replica(id)?;
    Some(ReplicaState {
        leads: replica.leads(),
        follows: replica.follows().is_some(),
        start: replica.log().start_offset(),
        high_watermark: replica.high_watermark(),
        last_stable: replica.last_stable_offset(),
        end: replica.log().end_offset(),
    })
}
