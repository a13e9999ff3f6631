//! The leader's side: appends, the high watermark, and who keeps up.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::ids::{BrokerEpoch, NodeId, Offset};
use crate::log::{Appended, Marker};
use crate::machine::Effects;
use crate::message::fetch::FetchPartition;
use crate::message::produce::Acks;
use crate::replica::isr::Isr;
use crate::replica::remote::Remote;
use crate::replica::{Context, Replica, Role};
use crate::time::Instant;

/// What a replica knows while it leads.
#[derive(Clone, Debug)]
pub(super) struct Leader {
    /// The LEO when this leader epoch began here (LESO).
    start: Offset,
    isr: Isr,
    /// The other replicas, in assignment order.
    followers: Vec<Remote>,
    /// When to look for followers that fell behind.
    check_at: Instant,
}

impl Leader {
    pub fn new(ctx: &Context<'_>, start: Offset, isr: Arc<[NodeId]>, replicas: &[NodeId]) -> Self {
        let check_at = ctx.now.mono + ctx.config.replica_lag_time_max / 2;
        let isr = Isr::new(isr);
        let mut leader = Leader { start, isr, followers: Vec::new(), check_at };
        leader.update_followers(ctx, replicas);
        leader
    }

    pub fn start(&self) -> Offset {
        self.start
    }

    pub fn isr(&self) -> &Isr {
        &self.isr
    }

    pub fn isr_mut(&mut self) -> &mut Isr {
        &mut self.isr
    }

    pub fn check_at(&self) -> Instant {
        self.check_at
    }

    pub fn followers(&self) -> &[Remote] {
        &self.followers
    }

    /// The controller's ISR, which settles what was proposed.
    pub fn settle(&mut self, isr: Arc<[NodeId]>) {
        self.isr.settle(isr);
    }

    /// Keeps what is known of followers that stay, and begins with new ones.
    pub fn update_followers(&mut self, ctx: &Context<'_>, replicas: &[NodeId]) {
        let others = replicas.iter().filter(|node| **node != ctx.node);
        let known = |node: &NodeId| self.followers.iter().find(|remote| remote.node == *node);
        let followers = others.map(|node| {
            let in_isr = self.isr.committed().contains(node);
            known(node).cloned().unwrap_or_else(|| Remote::new(*node, in_isr, ctx.now.mono))
        });
        self.followers = followers.collect();
    }

    /// Whether a replica may be in the ISR as far as the metadata knows.
    pub fn is_eligible(&self, ctx: &Context<'_>, remote: &Remote) -> bool {
        let Some(broker) = ctx.image.brokers.get(&remote.node) else { return false };
        // KIP-841: the controller would not elect it, so it is no safe keeper.
        let serves = if ctx.defects.has(Defect::IsrRejoinFenced) {
            true
        } else {
            !broker.fenced && !broker.in_controlled_shutdown
        };
        // KIP-903: what an earlier incarnation held may be lost.
        let same_incarnation = remote
            .broker_epoch
            .is_some_and(|epoch| epoch == BrokerEpoch::NONE || epoch == broker.epoch);
        serves && same_incarnation
    }

    /// Whether a follower holds enough to join the ISR.
    pub fn is_in_sync(&self, ctx: &Context<'_>, remote: &Remote, high_watermark: Offset) -> bool {
        // KIP-966: whoever is in the ISR can be elected, so it must hold what is committed.
        if ctx.defects.has(Defect::IsrJoinBelowHw) {
            return true;
        }
        // KAFKA-7128: a new leader's own high watermark may be stale, but everything committed lies
        // below the offset at which it began.
        let from_start = ctx.defects.has(Defect::IsrJoinNoLeso) || remote.end >= self.start;
        remote.end >= high_watermark && from_start
    }

    /// Up to where every replica that counts holds the log, which ends at `end` here. Those that
    /// may be in the ISR count, and those that are about to join: or the high watermark could run
    /// away from them for ever (KAFKA-7128).
    fn replicated(&self, ctx: &Context<'_>, end: Offset) -> Offset {
        let mut replicated = end;
        for remote in &self.followers {
            if remote.end < replicated && self.counts(ctx, remote, end) {
                replicated = remote.end;
            }
        }
        replicated
    }

    fn counts(&self, ctx: &Context<'_>, remote: &Remote, end: Offset) -> bool {
        // KIP-497: a member that the controller may have let in counts before its answer comes.
        if ctx.defects.has(Defect::HwCommittedIsrOnExpand) {
            return self.isr.committed().contains(&remote.node);
        }
        self.isr.may_contain(remote.node, ctx.defects)
            || (remote.is_caught_up(end, ctx.now.mono, ctx.config.replica_lag_time_max)
                && self.is_eligible(ctx, remote))
    }

    /// Members of the ISR that did not keep up.
    pub fn laggards(&self, ctx: &Context<'_>, end: Offset) -> Vec<NodeId> {
        let max_lag = ctx.config.replica_lag_time_max;
        let behind = |remote: &&Remote| {
            self.isr.committed().contains(&remote.node)
                && !remote.is_caught_up(end, ctx.now.mono, max_lag)
        };
        self.followers.iter().filter(behind).map(|remote| remote.node).collect()
    }

    pub fn follower(&self, node: NodeId) -> Option<&Remote> {
        self.followers.iter().find(|remote| remote.node == node)
    }

    pub fn check(&self, end: Offset) {
        assert!(self.start <= end, "a leader's log never ends below where it began to lead");
        self.isr.check();
    }
}

impl Replica {
    /// Appends a producer's batch.
    ///
    /// # Errors
    /// What the producer is answered; nothing was appended then. `NOT_LEADER_OR_FOLLOWER`,
    /// `NOT_ENOUGH_REPLICAS`, and those of [`crate::log::Log::append_as_leader`].
    pub fn append(
        &mut self,
        ctx: &Context<'_>,
        acks: Acks,
        batch: &Bytes,
        out: &mut Effects,
    ) -> Result<Appended, ErrorCode> {
        let Role::Leader(leader) = &self.role else {
            return Err(ErrorCode::NotLeaderOrFollower);
        };
        let enough = leader.isr.committed().len() >= self.acks_min_isr(ctx);
        if acks == Acks::All && !enough {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        let appended = self.log.append_as_leader(ctx.now, self.leader_epoch, batch, out)?;
        if !appended.duplicate {
            self.changes.end_offset = true;
            self.advance_high_watermark(ctx, out);
        }
        Ok(appended)
    }

    /// Appends a batch of this broker's own coordinator, as with acks=all.
    ///
    /// # Errors
    /// `NOT_LEADER_OR_FOLLOWER`, `NOT_ENOUGH_REPLICAS` or `KAFKA_STORAGE_ERROR`; nothing was
    /// appended then.
    pub fn append_own(
        &mut self,
        ctx: &Context<'_>,
        batch: &Bytes,
        out: &mut Effects,
    ) -> Result<Appended, ErrorCode> {
        let Role::Leader(leader) = &self.role else {
            return Err(ErrorCode::NotLeaderOrFollower);
        };
        if leader.isr.committed().len() < self.acks_min_isr(ctx) {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        let appended = self.log.append_own(self.leader_epoch, batch, out)?;
        self.changes.end_offset = true;
        self.advance_high_watermark(ctx, out);
        Ok(appended)
    }

    /// Appends the marker that ends a producer's transaction, as with acks=all. Gives its bytes
    /// too.
    ///
    /// # Errors
    /// As [`Self::append_own`], and those of [`crate::log::Log::append_control`].
    pub fn append_marker(
        &mut self,
        ctx: &Context<'_>,
        marker: Marker,
        out: &mut Effects,
    ) -> Result<(Appended, Bytes), ErrorCode> {
        let Role::Leader(leader) = &self.role else {
            return Err(ErrorCode::NotLeaderOrFollower);
        };
        if leader.isr.committed().len() < self.acks_min_isr(ctx) {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        let (appended, batch) = self.log.append_control(ctx.now, self.leader_epoch, marker, out)?;
        if !appended.duplicate {
            self.changes.end_offset = true;
            self.advance_high_watermark(ctx, out);
        }
        Ok((appended, batch))
    }

    /// Whether a produce with acks=all whose records end below `required` is done, and how. None:
    /// it waits on.
    #[must_use]
    pub fn acked(&self, ctx: &Context<'_>, required: Offset) -> Option<Result<(), ErrorCode>> {
        let Role::Leader(leader) = &self.role else {
            return Some(Err(ErrorCode::NotLeaderOrFollower));
        };
        // KIP-966 freezes the high watermark below the minimum; who does not know the minimum is
        // content with the ISR that is left.
        if ctx.defects.has(Defect::MinIsrOne) {
            let replicated = leader.replicated(ctx, self.log.end_offset());
            return (replicated >= required).then_some(Ok(()));
        }
        if self.high_watermark < required {
            return None;
        }
        // The ISR may have shrunk since the append.
        if leader.isr.maximal_len() < self.acks_min_isr(ctx) {
            return Some(Err(ErrorCode::NotEnoughReplicasAfterAppend));
        }
        Some(Ok(()))
    }

    /// The smallest ISR that acks=all is content with.
    fn acks_min_isr(&self, ctx: &Context<'_>) -> usize {
        // Jepsen 2013: an ISR of one acknowledges what one crash loses.
        if ctx.defects.has(Defect::MinIsrOne) { 1 } else { self.min_isr() }
    }

    /// Raises the high watermark to what all replicas that count hold.
    pub(super) fn advance_high_watermark(&mut self, ctx: &Context<'_>, out: &mut Effects) {
        let Role::Leader(leader) = &self.role else { return };
        // KIP-966: below the minimum nothing is committed, or an eligible leader replica could lack
        // it (KAFKA-15583).
        let enough = leader.isr.committed().len() >= self.min_isr();
        if !enough && !ctx.defects.has(Defect::HwBelowMinIsr) {
            return;
        }
        let replicated = leader.replicated(ctx, self.log.end_offset());
        if replicated > self.high_watermark {
            self.set_high_watermark(replicated, out);
        }
    }

    /// Takes note of a follower's fetch: where its log ends, and what that moves.
    ///
    /// # Errors
    /// `NOT_LEADER_OR_FOLLOWER` if the fetch is of an earlier incarnation of the follower
    /// (KIP-903).
    pub(super) fn record_fetch(
        &mut self,
        ctx: &Context<'_>,
        (node, broker_epoch): (NodeId, BrokerEpoch),
        ask: &FetchPartition,
        out: &mut Effects,
    ) -> Result<(), ErrorCode> {
        let end = self.log.end_offset();
        let Role::Leader(leader) = &mut self.role else {
            return Err(ErrorCode::NotLeaderOrFollower);
        };
        let known = leader.followers.iter_mut().find(|remote| remote.node == node);
        let remote = known.expect("only assigned followers get here");
        let registered = ctx.image.brokers.get(&node).map(|broker| broker.epoch);
        let newest = registered.max(remote.broker_epoch);
        if broker_epoch != BrokerEpoch::NONE && newest.is_some_and(|epoch| epoch > broker_epoch) {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        if remote.log_start != ask.log_start_offset {
            self.changes.start_offset = true;
        }
        let (now, log_start) = (ctx.now.mono, ask.log_start_offset);
        remote.fetched(now, ask.fetch_offset, log_start, end, broker_epoch);
        self.maybe_expand(ctx, node, out);
        self.advance_high_watermark(ctx, out);
        Ok(())
    }

    /// Looks for followers that fell behind.
    pub(super) fn check_followers(&mut self, ctx: &Context<'_>, out: &mut Effects) {
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.isr.wake(ctx.now.mono) {
            self.changes.proposal = true;
        }
        if leader.check_at > ctx.now.mono {
            return;
        }
        leader.check_at = ctx.now.mono + ctx.config.replica_lag_time_max / 2;
        self.maybe_shrink(ctx, out);
        // A follower that was waited for may be given up by now.
        self.advance_high_watermark(ctx, out);
    }
}
