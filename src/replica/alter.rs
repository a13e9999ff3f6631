//! Changes of the ISR: what a leader proposes, and what the controller's answer makes of it
//! (KIP-497).

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::event::{Event, Mark};
use crate::ids::{BrokerEpoch, NodeId};
use crate::machine::Effects;
use crate::message::partition::{AlterPartition, AlteredPartition, LeaderRecovery};
use crate::replica::isr::Verdict;
use crate::replica::{Context, Replica, Role};

impl Replica {
    /// The proposal to send to the controller now, if there is one. It counts as sent: exactly one
    /// [`Self::isr_answer`] must follow.
    pub fn isr_proposal(&mut self, ctx: &Context<'_>) -> Option<AlterPartition> {
        let Role::Leader(leader) = &mut self.role else { return None };
        leader.isr_mut().take_ready(ctx.now.mono)
    }

    /// What became of a proposal: the controller's answer for this partition, or why there is none
    /// (the request was refused as a whole;
    /// with `NETWORK_EXCEPTION` or `REQUEST_TIMED_OUT` it was never answered). An answer to a
    /// proposal that newer
    /// metadata has settled is ignored.
    pub fn isr_answer(
        &mut self,
        ctx: &Context<'_>,
        sent: &AlterPartition,
        answer: Result<&AlteredPartition, ErrorCode>,
        out: &mut Effects,
    ) {
        let Role::Leader(leader) = &mut self.role else { return };
        if !leader.isr().stands(sent) {
            return;
        }
        let now = ctx.now.mono;
        let altered = match answer {
            Ok(altered) => altered,
            Err(ErrorCode::NetworkException | ErrorCode::RequestTimedOut) => {
                leader.isr_mut().went_unanswered(now);
                return;
            }
            Err(_) => {
                leader.isr_mut().retry(now);
                return;
            }
        };
        match Verdict::of(altered.error) {
            Verdict::Applied => self.altered(ctx, altered, out),
            Verdict::RollBack => {
                let joins = leader.isr().pending().is_some_and(|pending| pending.joins.is_some());
                if leader.isr_mut().roll_back(now, ctx.config.request_timeout) {
                    if joins {
                        out.note(Event::Sometimes(Mark::IsrExpandRolledBack));
                    }
                    self.note_isr(out);
                    self.advance_high_watermark(ctx, out);
                } else {
                    leader.isr_mut().retry(now);
                }
            }
            Verdict::AwaitMetadata => leader.isr_mut().await_metadata(),
            Verdict::Retry => leader.isr_mut().retry(now),
        }
    }

    /// The controller accepted the proposal.
    fn altered(&mut self, ctx: &Context<'_>, altered: &AlteredPartition, out: &mut Effects) {
        let Role::Leader(leader) = &mut self.role else { return };
        let current = altered.leader_epoch == self.leader_epoch
            && altered.partition_epoch >= self.partition_epoch;
        if !current {
            // The metadata knows more than this answer.
            leader.isr_mut().await_metadata();
            return;
        }
        self.partition_epoch = altered.partition_epoch;
        leader.settle(altered.isr.as_slice().into());
        self.note_isr(out);
        self.advance_high_watermark(ctx, out);
    }

    /// Proposes to let a follower into the ISR if it may and can be there.
    pub(super) fn maybe_expand(&mut self, ctx: &Context<'_>, node: NodeId, out: &mut Effects) {
        let Role::Leader(leader) = &self.role else { return };
        if leader.isr().pending().is_some() || leader.isr().committed().contains(&node) {
            return;
        }
        let Some(remote) = leader.follower(node) else { return };
        if !leader.is_in_sync(ctx, remote, self.high_watermark) || !leader.is_eligible(ctx, remote)
        {
            return;
        }
        let members: Vec<NodeId> = leader.isr().committed().iter().copied().chain([node]).collect();
        self.propose(ctx, &members, Some(node), out);
    }

    /// Proposes to take those out of the ISR that did not keep up.
    pub(super) fn maybe_shrink(&mut self, ctx: &Context<'_>, out: &mut Effects) {
        let Role::Leader(leader) = &self.role else { return };
        if leader.isr().pending().is_some() {
            return;
        }
        let laggards = leader.laggards(ctx, self.log.end_offset());
        if laggards.is_empty() {
            return;
        }
        let mut members = leader.isr().committed().to_vec();
        members.retain(|node| !laggards.contains(node));
        self.propose(ctx, &members, None, out);
    }

    fn propose(
        &mut self,
        ctx: &Context<'_>,
        members: &[NodeId],
        joins: Option<NodeId>,
        out: &mut Effects,
    ) {
        let Role::Leader(leader) = &mut self.role else { return };
        let broker_epoch = |node: NodeId| {
            // KIP-903: the incarnation that was seen to be in sync, for the controller to compare.
            if ctx.defects.has(Defect::IsrRejoinStaleBrokerEpoch) {
                BrokerEpoch::NONE
            } else if node == ctx.node {
                ctx.broker_epoch
            } else {
                let seen = leader.follower(node).and_then(|remote| remote.broker_epoch);
                seen.unwrap_or(BrokerEpoch::NONE)
            }
        };
        let proposal = AlterPartition {
            partition: self.id,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            new_isr: members.iter().map(|node| (*node, broker_epoch(*node))).collect(),
            // KIP-704: whoever leads has settled on its log.
            recovery: LeaderRecovery::Recovered,
        };
        leader.isr_mut().propose(proposal, joins);
        self.changes.proposal = true;
        self.note_isr(out);
    }

    /// Tells of the ISR as it is now.
    pub(super) fn note_isr(&self, out: &mut Effects) {
        if let Some(view) = self.isr_view() {
            out.note(Event::Isr { partition: self.id, view: Arc::new(view) });
        }
    }
}
