//! One partition on one broker: a log, and what this broker does with it.
//!
//! A [`Replica`] follows the cluster's metadata ([`Replica::apply`]): it leads, follows, or idles.
//! A leader takes appends, serves reads, watches its followers and with them the high watermark
//! (`leader`, `serve`), and proposes changes of the ISR to the controller (`isr`, `alter`). A
//! follower says what to fetch, appends what comes and cuts its log where it parted from the
//! leader's (`follower`). Requests that wait do so at the broker; [`Replica::take_changes`] says
//! when to look at them again.
//!
//! Leader and partition epochs are the controller's alone: nothing here makes one up.

mod alter;
mod context;
mod follower;
mod isr;
mod leader;
mod remote;
mod role;
mod serve;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;

pub use context::{Budget, Changes, Context, Fetched, Reader};

use crate::config::TopicConfig;
use crate::event::{Event, IsrView};
use crate::ids::{LeaderEpoch, NodeId, Offset, PartitionEpoch, PartitionId};
use crate::log::Log;
use crate::machine::Effects;
use crate::replica::follower::Follower;
use crate::replica::leader::Leader;
use crate::time::{Instant, Now, earliest};

/// A partition's replica on this broker.
#[derive(Clone, Debug)]
pub struct Replica {
    id: PartitionId,
    log: Log,
    /// The end of what this broker knows to be committed.
    high_watermark: Offset,
    /// The assignment, in its order.
    replicas: Arc<[NodeId]>,
    /// [`NodeId::NONE`] if nobody leads.
    leader: NodeId,
    leader_epoch: LeaderEpoch,
    partition_epoch: PartitionEpoch,
    role: Role,
    changes: Changes,
}

/// What the newest metadata makes of this replica.
#[derive(Clone, Debug)]
enum Role {
    /// Not assigned here, or nobody leads: neither serves nor fetches.
    Idle,
    Leader(Leader),
    Follower(Follower),
}

impl Replica {
    /// The replica of a partition that is new on this broker.
    #[must_use]
    pub fn new(id: PartitionId, log: Log) -> Self {
        Replica::recover(id, log, None)
    }

    /// A replica whose log survived, with the high watermark of the last checkpoint. That may be
    /// lost or stale: it is only a lower bound of what is committed (KIP-101).
    #[must_use]
    pub fn recover(id: PartitionId, log: Log, high_watermark: Option<Offset>) -> Self {
        let (start, end) = (log.start_offset(), log.end_offset());
        Replica {
            id,
            high_watermark: high_watermark.unwrap_or(start).clamp(start, end),
            log,
            replicas: Arc::new([]),
            leader: NodeId::NONE,
            leader_epoch: LeaderEpoch::NONE,
            partition_epoch: PartitionEpoch(-1),
            role: Role::Idle,
            changes: Changes::NONE,
        }
    }

    #[must_use]
    pub fn id(&self) -> PartitionId {
        self.id
    }

    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// For what concerns the log alone: durability, checkpoints, compaction. Appends, truncations
    /// and trims go through the replica.
    pub fn log_mut(&mut self) -> &mut Log {
        &mut self.log
    }

    /// The log without its replica, to remove it.
    #[must_use]
    pub fn into_log(self) -> Log {
        self.log
    }

    #[must_use]
    pub fn leads(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Whom it follows, if it does.
    #[must_use]
    pub fn follows(&self) -> Option<NodeId> {
        matches!(self.role, Role::Follower(_)).then_some(self.leader)
    }

    /// Who leads, by the metadata that this replica has applied; [`NodeId::NONE`] if nobody does.
    #[must_use]
    pub fn leader(&self) -> NodeId {
        self.leader
    }

    /// The newest leader and its epoch, as responses name it (KIP-951).
    #[must_use]
    pub fn current_leader(&self) -> Option<(NodeId, LeaderEpoch)> {
        (self.leader != NodeId::NONE).then_some((self.leader, self.leader_epoch))
    }

    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    #[must_use]
    pub fn partition_epoch(&self) -> PartitionEpoch {
        self.partition_epoch
    }

    /// The assignment, in its order.
    #[must_use]
    pub fn replicas(&self) -> &Arc<[NodeId]> {
        &self.replicas
    }

    /// The end of what this broker knows to be committed.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// The end of what readers of committed data may see (LSO).
    #[must_use]
    pub fn last_stable_offset(&self) -> Offset {
        // A transaction may have begun below what was deleted since.
        self.log.last_stable_offset(self.high_watermark).max(self.log.start_offset())
    }

    /// Where the log ended when this broker began to lead in this epoch (LESO), if it leads.
    #[must_use]
    pub fn epoch_start(&self) -> Option<Offset> {
        match &self.role {
            Role::Leader(leader) => Some(leader.start()),
            Role::Idle | Role::Follower(_) => None,
        }
    }

    /// The ISR, if this broker leads.
    #[must_use]
    pub fn isr_view(&self) -> Option<IsrView> {
        let Role::Leader(leader) = &self.role else { return None };
        Some(IsrView {
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            committed: Arc::clone(leader.isr().committed()),
            maximal: leader.isr().maximal(),
        })
    }

    /// What moved since the last call.
    pub fn take_changes(&mut self) -> Changes {
        core::mem::take(&mut self.changes)
    }

    /// New settings of the topic; they count from the next append, fetch or tick on.
    pub fn update_config(&mut self, topic: Arc<TopicConfig>) {
        self.log.set_topic_config(topic);
    }

    /// When to call [`Self::tick`], and to ask for [`Self::fetch_request`] again.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match &self.role {
            Role::Idle => None,
            Role::Leader(leader) => earliest(Some(leader.check_at()), leader.isr().rests_until()),
            Role::Follower(follower) => follower.delayed_until(),
        }
    }

    /// Looks for followers that fell behind, and ends rests that are over. Call it at
    /// [`Self::deadline`].
    pub fn tick(&mut self, ctx: &Context<'_>, out: &mut Effects) {
        match &mut self.role {
            Role::Idle => {}
            Role::Leader(_) => self.check_followers(ctx, out),
            Role::Follower(follower) => self.changes.fetch |= follower.resume(ctx.now.mono),
        }
    }

    /// Removes what the topic's retention no longer keeps, below the high watermark.
    pub fn retain(&mut self, now: Now, out: &mut Effects) {
        let start = self.log.start_offset();
        self.log.retain(now, self.high_watermark, out);
        self.changes.start_offset |= self.log.start_offset() > start;
    }

    /// The disk failed under the log: it is fenced from now on (KAFKA-10778).
    pub fn lost(&mut self) {
        self.log.lost();
    }

    /// How many replicas the ISR must have for writes to be acknowledged: no more than there are
    /// (KIP-966).
    fn min_isr(&self) -> usize {
        let configured = self.log.config().topic.min_insync_replicas;
        usize::try_from(configured).unwrap_or(usize::MAX).min(self.replicas.len())
    }

    /// Moves the high watermark; a no-op if it is there.
    fn set_high_watermark(&mut self, to: Offset, out: &mut Effects) {
        let to = to.clamp(self.log.start_offset(), self.log.end_offset());
        if to == self.high_watermark {
            return;
        }
        self.high_watermark = to;
        self.log.high_watermark_moved(to);
        self.changes.high_watermark = true;
        out.note(Event::HighWatermark {
            partition: self.id,
            leader_epoch: self.leader_epoch,
            offset: to,
            leads: self.leads(),
        });
    }

    /// Checks the replica's own invariants.
    ///
    /// # Panics
    /// If one is broken.
    pub fn check(&self) {
        self.log.check();
        let (start, end) = (self.log.start_offset(), self.log.end_offset());
        assert!(start <= self.high_watermark, "the log starts at or below the high watermark");
        assert!(self.high_watermark <= end, "what is committed is here");
        assert!(self.last_stable_offset() <= self.high_watermark, "stable is committed");
        match &self.role {
            Role::Idle => {}
            Role::Leader(leader) => {
                assert!(self.log.last_epoch() == self.leader_epoch, "a leader opens its epoch");
                leader.check(end);
            }
            Role::Follower(_) => assert!(self.leader != NodeId::NONE, "a follower has a leader"),
        }
    }
}
