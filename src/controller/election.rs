//! A partition's change: who is in sync, who may be elected, who leads.
//!
//! After Kafka's `PartitionChangeBuilder`. Everything that changes a partition goes through
//! [`Proposal::change`], so that the rules of KIP-841 and KIP-966 stand in one place.

use alloc::vec::Vec;

use crate::controller::rules::{Draft, Rules};
use crate::defect::Defect;
use crate::ids::{NodeId, PartitionId};
use crate::message::partition::LeaderRecovery;
use crate::metadata::record::PartitionChange;
use crate::metadata::{Image, MetadataRecord, PartitionImage};

/// Where a partition is to go; the leader and the ELR follow from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proposal {
    pub replicas: Vec<NodeId>,
    pub isr: Vec<NodeId>,
    pub adding: Vec<NodeId>,
    pub removing: Vec<NodeId>,
    pub recovery: LeaderRecovery,
    /// Restarted without proof that its log is whole: may not stay in the ELR.
    pub unclean: Option<NodeId>,
    /// Came back on another disk: holds nothing, and may not be taken for the last leader.
    pub wiped: Option<NodeId>,
    /// Moves leadership to the first replica if that may lead.
    pub prefer_first: bool,
    /// Elects from outside ISR and ELR if nobody else can lead.
    pub allow_unclean: bool,
}

/// A proposal with all that follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    proposal: Proposal,
    elr: Vec<NodeId>,
    last_known_elr: Vec<NodeId>,
    leader: NodeId,
}

/// Who leads, and how that came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Elected {
    Clean(NodeId),
    /// May have lost records.
    Unclean(NodeId),
    Nobody,
}

impl Proposal {
    /// Leaves everything as it is; a leader is elected if there is none and there can be one.
    pub fn keep(partition: &PartitionImage) -> Self {
        Proposal {
            replicas: partition.replicas.to_vec(),
            isr: partition.isr.to_vec(),
            adding: partition.adding.to_vec(),
            removing: partition.removing.to_vec(),
            recovery: partition.recovery,
            unclean: None,
            wiped: None,
            prefer_first: false,
            allow_unclean: false,
        }
    }

    /// The change that takes the partition there; none if it is there.
    pub fn change(
        mut self,
        image: &Image,
        id: PartitionId,
        rules: Rules<'_>,
    ) -> Option<PartitionChange> {
        let partition = image.partition(id)?;
        let config = image.topic_config(id.topic)?;
        // KIP-106: records that only others hold are lost, so the topic has to allow it.
        self.allow_unclean |= if rules.defects.has(Defect::UncleanElectionOn) {
            true
        } else {
            config.unclean_leader_election
        };
        self.complete_reassignment();
        self.keep_last_member(partition, rules);
        let elr = if rules.config.eligible_leader_replicas {
            self.eligible(partition)
        } else {
            Vec::new()
        };
        let wanted = usize::try_from(config.min_insync_replicas).expect("a u32 fits usize");
        let min_isr = wanted.min(self.replicas.len());
        let target = self.elect(image, partition, elr, min_isr, rules);
        target.difference(partition)
    }

    /// KIP-455: when all that are being added are in sync, those being removed leave.
    fn complete_reassignment(&mut self) {
        if self.adding.is_empty() && self.removing.is_empty() {
            return;
        }
        let stays = |node: &NodeId| !self.removing.contains(node);
        let in_sync = self.adding.iter().all(|node| self.isr.contains(node));
        if in_sync && self.isr.iter().any(stays) {
            let isr = self.isr.iter().copied().filter(stays).collect();
            let replicas = self.replicas.iter().copied().filter(stays).collect();
            (self.isr, self.replicas) = (isr, replicas);
            self.adding.clear();
            self.removing.clear();
        }
    }

    /// Without an ELR the last member of the ISR stays in it: only it is known to hold everything.
    fn keep_last_member(&mut self, partition: &PartitionImage, rules: Rules<'_>) {
        if !self.isr.is_empty() {
            return;
        }
        // KIP-966, "last replica standing": with an ELR the ISR goes empty, since the last member
        // may have lost its tail.
        let keep = if rules.defects.has(Defect::ReelectLastIsr) {
            true
        } else {
            !rules.config.eligible_leader_replicas
        };
        if keep {
            let inside = partition.isr.iter().filter(|node| self.replicas.contains(node));
            self.isr = inside.copied().collect();
        }
    }

    /// KIP-966: whoever left the ISR while it was too small holds all that was committed since, for
    /// nothing is committed below min.insync.replicas.
    fn eligible(&self, partition: &PartitionImage) -> Vec<NodeId> {
        let candidate = |node: &&NodeId| {
            self.replicas.contains(node) && !self.isr.contains(node) && self.unclean != Some(**node)
        };
        let mut elr: Vec<NodeId> = partition.elr.iter().filter(candidate).copied().collect();
        for node in partition.isr.iter().filter(candidate) {
            if !elr.contains(node) {
                elr.push(*node);
            }
        }
        elr.sort_unstable();
        elr
    }

    fn elect(
        mut self,
        image: &Image,
        partition: &PartitionImage,
        mut elr: Vec<NodeId>,
        min_isr: usize,
        rules: Rules<'_>,
    ) -> Target {
        if self.isr.len() >= min_isr {
            elr.clear();
        }
        let leader = match self.winner(image, partition, &elr, rules) {
            Elected::Clean(node) => {
                if !self.isr.contains(&node) {
                    elr.retain(|other| *other != node);
                    self.isr = [node].into();
                }
                node
            }
            Elected::Unclean(node) => {
                // The new leader's log is the truth now: nobody else is known to agree with it.
                elr.clear();
                self.isr = [node].into();
                self.recovery = LeaderRecovery::Recovering;
                node
            }
            Elected::Nobody => NodeId::NONE,
        };
        if self.isr.len() >= min_isr {
            elr.clear();
        }
        let last_known_elr = self.last_known(partition, &elr, leader, rules);
        Target { proposal: self, elr, last_known_elr, leader }
    }

    fn winner(
        &self,
        image: &Image,
        partition: &PartitionImage,
        elr: &[NodeId],
        rules: Rules<'_>,
    ) -> Elected {
        let active = |node: NodeId| image.is_active(node);
        let valid = |node: NodeId| {
            let complete = self.isr.contains(&node) || (self.isr.is_empty() && elr.contains(&node));
            complete && self.replicas.contains(&node) && active(node)
        };
        let first = self.replicas[0];
        if self.prefer_first && valid(first) {
            return Elected::Clean(first);
        }
        if valid(partition.leader) {
            return Elected::Clean(partition.leader);
        }
        if let Some(node) = self.replicas.iter().copied().find(|node| valid(*node)) {
            return Elected::Clean(node);
        }
        let balanced = rules.config.eligible_leader_replicas;
        if balanced && self.isr.is_empty() && elr.is_empty() {
            // KIP-966, balanced recovery: everybody lost the proof of its log; the last leader is
            // the best guess (the next best if its disk was replaced), and better than a partition
            // that never comes back.
            let last = partition.last_known_elr.first().copied();
            if let Some(node) = last.filter(|node| self.replicas.contains(node) && active(*node)) {
                return Elected::Unclean(node);
            }
        }
        if self.allow_unclean
            && let Some(node) = self.replicas.iter().copied().find(|node| active(*node))
        {
            return Elected::Unclean(node);
        }
        Elected::Nobody
    }

    /// While nobody leads: who did last, and behind it those that lost their place in the ELR
    /// since, in that order.
    fn last_known(
        &self,
        partition: &PartitionImage,
        elr: &[NodeId],
        leader: NodeId,
        rules: Rules<'_>,
    ) -> Vec<NodeId> {
        if leader != NodeId::NONE || !rules.config.eligible_leader_replicas {
            return Vec::new();
        }
        let mut known = partition.last_known_elr.to_vec();
        if partition.leader != NodeId::NONE {
            known = [partition.leader].into();
        }
        for node in partition.isr.iter().chain(&*partition.elr) {
            if !known.contains(node) && !self.isr.contains(node) && !elr.contains(node) {
                known.push(*node);
            }
        }
        known.retain(|node| self.replicas.contains(node) && self.wiped != Some(*node));
        known
    }
}

impl Target {
    fn difference(self, partition: &PartitionImage) -> Option<PartitionChange> {
        let Target { proposal, elr, last_known_elr, leader } = self;
        let changed = |new: Vec<NodeId>, old: &[NodeId]| (new != old).then_some(new);
        let change = PartitionChange {
            replicas: changed(proposal.replicas, &partition.replicas),
            isr: changed(proposal.isr, &partition.isr),
            elr: changed(elr, &partition.elr),
            last_known_elr: changed(last_known_elr, &partition.last_known_elr),
            leader: (leader != partition.leader).then_some(leader),
            recovery: (proposal.recovery != partition.recovery).then_some(proposal.recovery),
            adding: changed(proposal.adding, &partition.adding),
            removing: changed(proposal.removing, &partition.removing),
        };
        (change != PartitionChange::default()).then_some(change)
    }
}

/// Brings every partition that `wanted` picks to where `propose` says.
pub(super) fn change_all(
    draft: &mut Draft<'_>,
    rules: Rules<'_>,
    wanted: impl Fn(&PartitionImage) -> bool,
    propose: impl Fn(&mut Proposal),
) {
    let picked = draft.state().partitions().filter(|(_, partition)| wanted(partition));
    let ids: Vec<PartitionId> = picked.map(|(id, _)| id).collect();
    for id in ids {
        let mut proposal = Proposal::keep(draft.state().partition(id).expect("just picked"));
        propose(&mut proposal);
        if let Some(change) = proposal.change(draft.state(), id, rules) {
            draft.push(MetadataRecord::PartitionChange { id, change });
        }
    }
}

/// Takes a broker that is no longer active out of every ISR, and with `unclean` out of every ELR;
/// where it led, somebody else does.
pub(super) fn leave(draft: &mut Draft<'_>, rules: Rules<'_>, node: NodeId, unclean: bool) {
    change_all(
        draft,
        rules,
        |partition| partition.isr.contains(&node) || (unclean && partition.elr.contains(&node)),
        |proposal| {
            proposal.isr.retain(|other| *other != node);
            proposal.unclean = unclean.then_some(node);
        },
    );
}

/// Forgets that a broker led last where nobody does now: its disk was replaced.
pub(super) fn forget_last_leader(draft: &mut Draft<'_>, rules: Rules<'_>, node: NodeId) {
    change_all(
        draft,
        rules,
        |partition| partition.last_known_elr.contains(&node),
        |proposal| proposal.wiped = Some(node),
    );
}

/// Elects leaders where there are none and `node`, which has become active, has a replica.
pub(super) fn elect_leaderless(draft: &mut Draft<'_>, rules: Rules<'_>, node: NodeId) {
    change_all(
        draft,
        rules,
        |partition| partition.leader == NodeId::NONE && partition.replicas.contains(&node),
        |_| {},
    );
}

#[cfg(test)]
mod tests;
