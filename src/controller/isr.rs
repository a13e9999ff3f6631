//! AlterPartition: a leader proposes an ISR (KIP-497, KIP-841, KIP-903).

use crate::controller::election::Proposal;
use crate::controller::heartbeat::check_epoch;
use crate::controller::rules::{Draft, Rules};
use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::ids::{BrokerEpoch, LeaderEpoch, NodeId, PartitionEpoch};
use crate::message::partition::{
    AlterPartition, AlterPartitionRequest, AlterPartitionResponse, AlteredPartition, LeaderRecovery,
};
use crate::metadata::{Image, MetadataRecord, PartitionImage};

/// Takes or refuses each proposal of one leader.
pub(super) fn alter_partitions(
    draft: &mut Draft<'_>,
    rules: Rules<'_>,
    request: &AlterPartitionRequest,
) -> AlterPartitionResponse {
    if let Err(error) = check_epoch(draft.state(), request.node, request.broker_epoch) {
        return AlterPartitionResponse { error, partitions: [].into() };
    }
    let alter = |wanted| alter_partition(draft, rules, request.node, wanted);
    let partitions = request.partitions.iter().map(alter).collect();
    AlterPartitionResponse { error: ErrorCode::None, partitions }
}

fn alter_partition(
    draft: &mut Draft<'_>,
    rules: Rules<'_>,
    sender: NodeId,
    wanted: &AlterPartition,
) -> AlteredPartition {
    let refuse = |error| AlteredPartition {
        partition: wanted.partition,
        error,
        leader: NodeId::NONE,
        leader_epoch: LeaderEpoch::NONE,
        partition_epoch: PartitionEpoch(-1),
        isr: [].into(),
        recovery: LeaderRecovery::Recovered,
    };
    let old = match validate(draft.state(), rules, sender, wanted) {
        Ok(partition) => partition,
        Err(error) => return refuse(error),
    };
    let mut proposal = Proposal::keep(old);
    proposal.isr = wanted.new_isr.iter().map(|(node, _)| *node).collect();
    proposal.recovery = wanted.recovery;
    let leader = old.leader;
    if let Some(change) = proposal.change(draft.state(), wanted.partition, rules) {
        draft.push(MetadataRecord::PartitionChange { id: wanted.partition, change });
    }
    let new = draft.state().partition(wanted.partition).expect("it was just validated");
    if new.leader != leader {
        // The change ended a reassignment that takes the leader away: it hears of it by metadata.
        return refuse(ErrorCode::NewLeaderElected);
    }
    AlteredPartition {
        partition: wanted.partition,
        error: ErrorCode::None,
        leader: new.leader,
        leader_epoch: new.leader_epoch,
        partition_epoch: new.partition_epoch,
        isr: new.isr.to_vec(),
        recovery: new.recovery,
    }
}

/// Checks a proposal, in Kafka's order.
fn validate<'a>(
    image: &'a Image,
    rules: Rules<'_>,
    sender: NodeId,
    wanted: &AlterPartition,
) -> Result<&'a PartitionImage, ErrorCode> {
    if !image.topics.contains_key(&wanted.partition.topic) {
        return Err(ErrorCode::UnknownTopicId);
    }
    let Some(partition) = image.partition(wanted.partition) else {
        return Err(ErrorCode::UnknownTopicOrPartition);
    };
    // A sender that is ahead has heard of a newer controller than this one.
    if wanted.leader_epoch > partition.leader_epoch
        || wanted.partition_epoch > partition.partition_epoch
    {
        return Err(ErrorCode::NotController);
    }
    if wanted.leader_epoch < partition.leader_epoch {
        return Err(ErrorCode::FencedLeaderEpoch);
    }
    if sender != partition.leader {
        return Err(ErrorCode::InvalidRequest);
    }
    // KIP-497, KAFKA-12367: compare and set.
    let stale = if rules.defects.has(Defect::AlterPartitionNoCas) {
        false
    } else {
        wanted.partition_epoch < partition.partition_epoch
    };
    if stale {
        return Err(ErrorCode::InvalidUpdateVersion);
    }
    check_members(partition, sender, wanted)?;
    let all = wanted.new_isr.iter();
    if all.clone().any(|(node, epoch)| !is_eligible(image, rules, *node, *epoch)) {
        return Err(ErrorCode::IneligibleReplica);
    }
    Ok(partition)
}

fn check_members(
    partition: &PartitionImage,
    sender: NodeId,
    wanted: &AlterPartition,
) -> Result<(), ErrorCode> {
    let isr = &wanted.new_isr;
    let within = isr.iter().all(|(node, _)| partition.replicas.contains(node));
    let twice = (1..isr.len()).any(|at| isr[..at].iter().any(|(node, _)| *node == isr[at].0));
    let leads = isr.iter().any(|(node, _)| *node == sender);
    let recovering = wanted.recovery == LeaderRecovery::Recovering;
    let settled = partition.recovery == LeaderRecovery::Recovered;
    // KIP-704: while it recovers, the leader is alone; and nobody goes back to recovering.
    if !within || twice || !leads || (recovering && (isr.len() > 1 || settled)) {
        return Err(ErrorCode::InvalidRequest);
    }
    Ok(())
}

/// Whether a broker may be in the ISR: registered, serving, and the same incarnation that fetched.
fn is_eligible(image: &Image, rules: Rules<'_>, node: NodeId, fetched_in: BrokerEpoch) -> bool {
    let Some(broker) = image.brokers.get(&node) else { return false };
    // KIP-841, KAFKA-13916: a fenced or leaving broker would be in the ISR when it goes.
    let serving =
        if rules.defects.has(Defect::IsrRejoinFenced) { true } else { broker.is_active() };
    // KIP-903, KAFKA-14617: a later incarnation may have lost what the earlier one fetched.
    let same = if rules.defects.has(Defect::IsrRejoinStaleBrokerEpoch) {
        true
    } else {
        fetched_in == BrokerEpoch::NONE || fetched_in == broker.epoch
    };
    serving && same
}

#[cfg(test)]
mod tests;
