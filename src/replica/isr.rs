//! The in-sync replicas as their leader sees them: what the controller has confirmed, and a change
//! that was proposed to it (KIP-497).

use alloc::sync::Arc;

use crate::defect::{Defect, Defects};
use crate::error::ErrorCode;
use crate::ids::NodeId;
use crate::message::partition::AlterPartition;
use crate::time::{Duration, Instant};

/// How long a proposal rests after an answer that asks for another try.
pub(super) const RETRY_BACKOFF: Duration = Duration::from_millis(50);

/// The ISR, with at most one change under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Isr {
    committed: Arc<[NodeId]>,
    pending: Option<Pending>,
}

/// A change that was, or is about to be, proposed. Nobody knows whether it holds yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub proposal: AlterPartition,
    /// The member that would join, or none if members would leave.
    pub joins: Option<NodeId>,
    stage: Stage,
    /// When a request that carried it last went without an answer: it may still be on its way to
    /// the controller.
    unanswered: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// To be sent.
    Ready,
    /// To be sent again from then on.
    RestsUntil(Instant),
    /// Sent, no answer yet.
    InFlight,
    /// The controller knows something newer: its metadata will settle it.
    AwaitsMetadata,
}

/// What an answer to a proposal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Applied,
    /// It was surely not applied, and nothing else changed.
    RollBack,
    /// Stay pending; newer metadata is on its way.
    AwaitMetadata,
    Retry,
}

impl Verdict {
    /// What the controller's error code for the partition says.
    pub fn of(error: ErrorCode) -> Self {
        if error.is_ok() {
            return Verdict::Applied;
        }
        // The controller says that the partition epoch is right and the change was not made.
        if matches!(error, ErrorCode::OperationNotAttempted | ErrorCode::IneligibleReplica) {
            return Verdict::RollBack;
        }
        if matches!(
            error,
            ErrorCode::UnknownTopicOrPartition
                | ErrorCode::UnknownTopicId
                | ErrorCode::FencedLeaderEpoch
                | ErrorCode::InvalidUpdateVersion
                | ErrorCode::InvalidRequest
                | ErrorCode::NewLeaderElected
        ) {
            return Verdict::AwaitMetadata;
        }
        Verdict::Retry
    }
}

impl Isr {
    pub fn new(committed: Arc<[NodeId]>) -> Self {
        Isr { committed, pending: None }
    }

    /// What the controller has confirmed.
    pub fn committed(&self) -> &Arc<[NodeId]> {
        &self.committed
    }

    pub fn pending(&self) -> Option<&Pending> {
        self.pending.as_ref()
    }

    /// The controller has decided: whatever was pending is settled.
    pub fn settle(&mut self, committed: Arc<[NodeId]>) {
        self.committed = committed;
        self.pending = None;
    }

    pub fn propose(&mut self, proposal: AlterPartition, joins: Option<NodeId>) {
        assert!(self.pending.is_none(), "one change at a time");
        self.pending = Some(Pending { proposal, joins, stage: Stage::Ready, unanswered: None });
    }

    /// Every replica that may be in the ISR: the confirmed members, and one that may have joined. A
    /// proposed departure takes nobody out before the controller says so (KIP-497).
    pub fn may_contain(&self, node: NodeId, defects: Defects) -> bool {
        if let Some(pending) = &self.pending {
            if pending.joins == Some(node) {
                return true;
            }
            // KAFKA-13091: what is only proposed counts for nothing.
            if defects.has(Defect::HwOptimisticShrink) {
                return pending.proposal.new_isr.iter().any(|(member, _)| *member == node);
            }
        }
        self.committed.contains(&node)
    }

    /// How many replicas the largest possible ISR has.
    pub fn maximal_len(&self) -> usize {
        self.committed.len() + usize::from(self.joining().is_some())
    }

    /// The largest possible ISR.
    pub fn maximal(&self) -> Arc<[NodeId]> {
        match self.joining() {
            Some(node) => self.committed.iter().copied().chain([node]).collect(),
            None => Arc::clone(&self.committed),
        }
    }

    fn joining(&self) -> Option<NodeId> {
        self.pending.as_ref()?.joins
    }

    /// The proposal, if it is time to send it; it counts as sent then.
    pub fn take_ready(&mut self, now: Instant) -> Option<AlterPartition> {
        self.wake(now);
        let pending = self.pending.as_mut()?;
        match pending.stage {
            Stage::Ready => {
                pending.stage = Stage::InFlight;
                Some(pending.proposal.clone())
            }
            Stage::RestsUntil(_) | Stage::InFlight | Stage::AwaitsMetadata => None,
        }
    }

    /// Ends the rest of a proposal if it is over; says whether it did.
    pub fn wake(&mut self, now: Instant) -> bool {
        let over = self.rests_until().is_some_and(|at| at <= now);
        if over && let Some(pending) = &mut self.pending {
            pending.stage = Stage::Ready;
        }
        over
    }

    /// When a resting proposal is to be sent again.
    pub fn rests_until(&self) -> Option<Instant> {
        match self.pending.as_ref()?.stage {
            Stage::RestsUntil(at) => Some(at),
            Stage::Ready | Stage::InFlight | Stage::AwaitsMetadata => None,
        }
    }

    /// Whether that proposal still stands.
    pub fn stands(&self, sent: &AlterPartition) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.proposal == *sent)
    }

    /// Newer metadata will come.
    pub fn await_metadata(&mut self) {
        if let Some(pending) = &mut self.pending {
            pending.stage = Stage::AwaitsMetadata;
        }
    }

    /// The same proposal once more, after a rest.
    pub fn retry(&mut self, now: Instant) {
        if let Some(pending) = &mut self.pending {
            pending.stage = Stage::RestsUntil(now + RETRY_BACKOFF);
        }
    }

    /// No answer will come: the request may or may not have reached the controller, or may yet.
    pub fn went_unanswered(&mut self, now: Instant) {
        if let Some(pending) = &mut self.pending {
            pending.unanswered = Some(now);
        }
        self.retry(now);
    }

    /// Takes the proposal back after the controller refused it; says whether that was possible.
    ///
    /// While an earlier, unanswered copy of the same proposal may still arrive, it is not: that
    /// copy could be accepted later (a fenced broker is unfenced), and a member would join behind
    /// the leader's back. Copies do not live for longer than `request_timeout`.
    pub fn roll_back(&mut self, now: Instant, request_timeout: Duration) -> bool {
        let Some(pending) = &self.pending else { return false };
        let alive = |at: Instant| now.since(at) <= request_timeout;
        if pending.joins.is_some() && pending.unanswered.is_some_and(alive) {
            return false;
        }
        self.pending = None;
        true
    }

    pub fn check(&self) {
        let Some(pending) = &self.pending else { return };
        match pending.joins {
            Some(node) => assert!(!self.committed.contains(&node), "who joins is not in yet"),
            None => assert!(
                pending.proposal.new_isr.len() < self.committed.len(),
                "a shrink takes somebody out"
            ),
        }
    }
}

#[cfg(test)]
mod table;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::ids::{BrokerEpoch, LeaderEpoch, PartitionEpoch, PartitionId};
    use crate::message::partition::LeaderRecovery;

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn proposal(isr: &[i32]) -> AlterPartition {
        AlterPartition {
            partition: PartitionId::default(),
            leader_epoch: LeaderEpoch(1),
            partition_epoch: PartitionEpoch(4),
            new_isr: isr.iter().map(|node| (NodeId(*node), BrokerEpoch(9))).collect(),
            recovery: LeaderRecovery::Recovered,
        }
    }

    fn isr(committed: &[i32]) -> Isr {
        Isr::new(committed.iter().copied().map(NodeId).collect())
    }

    fn members(isr: &Isr, defects: Defects) -> Vec<i32> {
        (1..=4).filter(|node| isr.may_contain(NodeId(*node), defects)).collect()
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn the_maximal_isr_keeps_who_leaves_and_has_who_joins() {
        let mut shrinks = isr(&[1, 2, 3]);
        shrinks.propose(proposal(&[1, 2]), None);
        shrinks.check();
        assert_eq!(members(&shrinks, Defects::NONE), [1, 2, 3]);
        assert_eq!(shrinks.maximal_len(), 3);
        let mut grows = isr(&[1, 2]);
        grows.propose(proposal(&[1, 2, 3]), Some(NodeId(3)));
        grows.check();
        assert_eq!(members(&grows, Defects::NONE), [1, 2, 3]);
        assert_eq!(*grows.maximal(), [1, 2, 3].map(NodeId));
    }

    #[cfg(feature = "defects")]
    #[test]
    fn hw_optimistic_shrink_drops_who_is_only_proposed_to_leave() {
        let mut shrinks = isr(&[1, 2, 3]);
        shrinks.propose(proposal(&[1, 2]), None);
        let defects = Defects::NONE.with(Defect::HwOptimisticShrink);
        assert_eq!(members(&shrinks, defects), [1, 2]);
    }

    #[test]
    fn each_error_code_has_its_own_verdict() {
        let table = [
            (ErrorCode::None, Verdict::Applied),
            (ErrorCode::OperationNotAttempted, Verdict::RollBack),
            (ErrorCode::IneligibleReplica, Verdict::RollBack),
            (ErrorCode::UnknownTopicOrPartition, Verdict::AwaitMetadata),
            (ErrorCode::UnknownTopicId, Verdict::AwaitMetadata),
            (ErrorCode::FencedLeaderEpoch, Verdict::AwaitMetadata),
            (ErrorCode::InvalidUpdateVersion, Verdict::AwaitMetadata),
            (ErrorCode::InvalidRequest, Verdict::AwaitMetadata),
            (ErrorCode::NewLeaderElected, Verdict::AwaitMetadata),
            (ErrorCode::NotController, Verdict::Retry),
            (ErrorCode::StaleBrokerEpoch, Verdict::Retry),
            (ErrorCode::RequestTimedOut, Verdict::Retry),
            (ErrorCode::UnknownServerError, Verdict::Retry),
        ];
        for (error, verdict) in table {
            assert_eq!(Verdict::of(error), verdict, "{error}");
        }
    }

    #[test]
    fn a_proposal_is_sent_once_until_it_is_answered() {
        let mut isr = isr(&[1, 2]);
        isr.propose(proposal(&[1]), None);
        assert_eq!(isr.rests_until(), None);
        assert_eq!(isr.take_ready(at(1)), Some(proposal(&[1])));
        assert_eq!(isr.take_ready(at(9)), None);
        assert!(isr.stands(&proposal(&[1])));
        assert!(!isr.stands(&proposal(&[2])));
        isr.retry(at(10));
        assert_eq!(isr.take_ready(at(10)), None);
        assert_eq!(isr.take_ready(at(10) + RETRY_BACKOFF), Some(proposal(&[1])));
        isr.await_metadata();
        assert_eq!((isr.rests_until(), isr.take_ready(at(99))), (None, None));
        isr.settle([NodeId(1)].into());
        assert_eq!(*isr.committed(), [NodeId(1)].into());
        assert_eq!(isr.pending(), None);
    }

    #[test]
    fn a_refused_join_stays_possible_while_a_copy_of_it_may_be_on_its_way() {
        let mut isr = isr(&[1, 2]);
        isr.propose(proposal(&[1, 2, 3]), Some(NodeId(3)));
        isr.take_ready(at(0));
        isr.went_unanswered(at(5));
        assert!(!isr.roll_back(at(35), TIMEOUT));
        assert_eq!(members(&isr, Defects::NONE), [1, 2, 3]);
        assert!(isr.roll_back(at(36), TIMEOUT));
        assert_eq!(members(&isr, Defects::NONE), [1, 2]);
    }

    #[test]
    fn a_refusal_of_the_only_copy_takes_it_back() {
        let mut isr = isr(&[1, 2]);
        isr.propose(proposal(&[1, 2, 3]), Some(NodeId(3)));
        isr.take_ready(at(0));
        assert!(isr.roll_back(at(1), TIMEOUT));
        assert_eq!(isr.pending(), None);
    }
}
