//! Replicas move (AlterPartitionReassignments, KIP-455).

use alloc::vec::Vec;

use crate::controller::balance::plan;
use crate::controller::election::Proposal;
use crate::controller::leaders::find;
use crate::controller::rules::{Draft, Rules};
use crate::controller::topics::check_replicas;
use crate::error::ErrorCode;
use crate::ids::{NodeId, PartitionId};
use crate::message::admin::{
    AlterReassignmentsRequest, AlterReassignmentsResponse, ListReassignmentsRequest,
    ListReassignmentsResponse, OngoingReassignment,
};
use crate::metadata::{Image, MetadataRecord, PartitionImage};

/// Starts, changes and cancels reassignments. One ends when all that are being added are in sync.
pub(super) fn alter_reassignments(
    draft: &mut Draft<'_>,
    rules: Rules<'_>,
    request: &AlterReassignmentsRequest,
) -> AlterReassignmentsResponse {
    let partitions = request.partitions.iter().map(|(topic, partition, replicas)| {
        let error = match find(draft.state(), topic, *partition) {
            None => ErrorCode::UnknownTopicOrPartition,
            Some(id) => alter(draft, rules, id, replicas.as_deref()).err().unwrap_or_default(),
        };
        (topic.clone(), *partition, error)
    });
    AlterReassignmentsResponse { error: ErrorCode::None, partitions: partitions.collect() }
}

/// Evens out what brokers host, once nothing moves any more: a broker that has joined gets its
/// share, one that was unregistered gives up its own, and nothing else moves.
pub(super) fn even_out(draft: &mut Draft<'_>, rules: Rules<'_>) {
    let image = draft.state();
    if image.partitions().any(|(_, partition)| partition.is_reassigning()) {
        return;
    }
    let hosts = image.partitions().flat_map(|(_, partition)| partition.replicas.iter().copied());
    let mut gone: Vec<NodeId> = hosts.filter(|node| !image.brokers.contains_key(node)).collect();
    gone.sort_unstable();
    gone.dedup();
    for (id, replicas) in plan(image, &gone) {
        // With fewer brokers than replicas a broker that is gone cannot be replaced.
        let refused = alter(draft, rules, id, Some(&replicas));
        assert!(refused.is_ok() || !gone.is_empty(), "a plan names brokers that there are");
    }
}

fn alter(
    draft: &mut Draft<'_>,
    rules: Rules<'_>,
    id: PartitionId,
    wanted: Option<&[NodeId]>,
) -> Result<(), ErrorCode> {
    let image = draft.state();
    let partition = image.partition(id).expect("it was just found");
    let proposal = match wanted {
        Some(wanted) => {
            check_replicas(image, wanted).map_err(|(error, _)| error)?;
            start(partition, wanted)
        }
        None => cancel(partition)?,
    };
    if let Some(change) = proposal.change(image, id, rules) {
        draft.push(MetadataRecord::PartitionChange { id, change });
    }
    Ok(())
}

/// The new replicas in their order, then those that go when the new ones are in sync.
fn start(partition: &PartitionImage, wanted: &[NodeId]) -> Proposal {
    // What is still being added has yet to prove itself.
    let settled =
        |node: &NodeId| partition.replicas.contains(node) && !partition.adding.contains(node);
    let mut proposal = Proposal::keep(partition);
    proposal.adding = wanted.iter().copied().filter(|node| !settled(node)).collect();
    let gone = partition.replicas.iter().copied().filter(|node| !wanted.contains(node));
    proposal.removing = gone.collect();
    proposal.replicas = wanted.to_vec();
    proposal.replicas.extend(&proposal.removing);
    proposal
}

/// Back to the replicas from before; refused if none of them is in sync.
fn cancel(partition: &PartitionImage) -> Result<Proposal, ErrorCode> {
    if !partition.is_reassigning() {
        return Err(ErrorCode::NoReassignmentInProgress);
    }
    let mut proposal = Proposal::keep(partition);
    let stays = |node: &NodeId| !partition.adding.contains(node);
    proposal.replicas.retain(stays);
    proposal.isr.retain(stays);
    proposal.adding.clear();
    proposal.removing.clear();
    if proposal.replicas.is_empty() || (proposal.isr.is_empty() && !partition.isr.is_empty()) {
        return Err(ErrorCode::InvalidReplicaAssignment);
    }
    Ok(proposal)
}

/// What is under way.
pub(super) fn list_reassignments(
    image: &Image,
    request: &ListReassignmentsRequest,
) -> ListReassignmentsResponse {
    let asked = |topic: &_, partition| match &request.partitions {
        None => true,
        Some(list) => list.iter().any(|(name, index)| name == topic && *index == partition),
    };
    let ongoing = image.partitions().filter(|(_, partition)| partition.is_reassigning());
    let list = ongoing.filter_map(|(id, partition)| {
        let topic = image.topics[&id.topic].name.clone();
        asked(&topic, id.partition).then(|| OngoingReassignment {
            topic,
            partition: id.partition,
            replicas: partition.replicas.to_vec(),
            adding: partition.adding.to_vec(),
            removing: partition.removing.to_vec(),
        })
    });
    let partitions: Vec<OngoingReassignment> = list.collect();
    ListReassignmentsResponse { error: ErrorCode::None, partitions }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fixture::{self, nodes};
    use crate::ids::{LeaderEpoch, Offset};
    use crate::time::Duration;

    fn reassign(image: &mut Image, replicas: Option<&[i32]>) -> ErrorCode {
        let config = fixture::config();
        let mut draft = Draft::over(image, Offset(100));
        let request = AlterReassignmentsRequest {
            timeout: Duration::ZERO,
            partitions: [("t".into(), 0, replicas.map(nodes))].into(),
        };
        alter_reassignments(&mut draft, fixture::rules(&config), &request).partitions[0].2
    }

    fn show(image: &Image, id: PartitionId) -> [Vec<NodeId>; 4] {
        let p = image.partition(id).expect("exists");
        [p.replicas.to_vec(), p.isr.to_vec(), p.adding.to_vec(), p.removing.to_vec()]
    }

    #[test]
    fn a_reassignment_adds_first_and_removes_when_the_new_ones_are_in_sync() {
        let mut image = fixture::image(&[1, 2, 3, 4]);
        let id = fixture::topic(&mut image, "t", &[&[1, 2]]);
        assert_eq!(reassign(&mut image, Some(&[3, 2])), ErrorCode::None);
        let under_way = [nodes(&[3, 2, 1]), nodes(&[1, 2]), nodes(&[3]), nodes(&[1])];
        assert_eq!(show(&image, id), under_way);
        let listed = list_reassignments(&image, &ListReassignmentsRequest { partitions: None });
        assert_eq!(listed.partitions.len(), 1);

        let config = fixture::config();
        let mut draft = Draft::over(&mut image, Offset(200));
        let mut proposal = Proposal::keep(draft.state().partition(id).expect("exists"));
        proposal.isr = nodes(&[1, 2, 3]);
        let change = proposal.change(draft.state(), id, fixture::rules(&config));
        let change = change.expect("the reassignment ends");
        draft.push(MetadataRecord::PartitionChange { id, change });
        assert_eq!(show(&image, id), [nodes(&[3, 2]), nodes(&[2, 3]), nodes(&[]), nodes(&[])]);
        let partition = image.partition(id).expect("exists");
        assert_eq!((partition.leader, partition.leader_epoch), (NodeId(3), LeaderEpoch(1)));
    }

    #[test]
    fn a_cancelled_reassignment_leaves_the_old_replicas() {
        let mut image = fixture::image(&[1, 2, 3, 4]);
        let id = fixture::topic(&mut image, "t", &[&[1, 2]]);
        assert_eq!(reassign(&mut image, None), ErrorCode::NoReassignmentInProgress);
        assert_eq!(reassign(&mut image, Some(&[3, 4])), ErrorCode::None);
        assert_eq!(reassign(&mut image, None), ErrorCode::None);
        let [mut replicas, isr, adding, removing] = show(&image, id);
        replicas.sort_unstable();
        assert_eq!(
            [replicas, isr, adding, removing],
            [nodes(&[1, 2]), nodes(&[1, 2]), nodes(&[]), nodes(&[])]
        );
    }

    #[test]
    fn a_second_reassignment_still_waits_for_what_the_first_was_adding() {
        let mut image = fixture::image(&[1, 2, 3, 4]);
        let id = fixture::topic(&mut image, "t", &[&[1, 2]]);
        assert_eq!(reassign(&mut image, Some(&[3, 2])), ErrorCode::None);
        assert_eq!(reassign(&mut image, Some(&[3, 4])), ErrorCode::None);
        assert_eq!(
            show(&image, id),
            [nodes(&[3, 4, 2, 1]), nodes(&[1, 2]), nodes(&[3, 4]), nodes(&[2, 1])]
        );
    }

    fn hosted(image: &Image, node: i32) -> usize {
        let node = NodeId(node);
        image.partitions().filter(|(_, partition)| partition.replicas.contains(&node)).count()
    }

    #[test]
    fn replicas_move_to_a_broker_that_joined_and_not_again_while_they_are_moving() {
        let mut image = fixture::image(&[1, 2, 3]);
        fixture::topic(&mut image, "t", &[&[1, 2], &[2, 3], &[3, 1], &[1, 3], &[2, 1], &[3, 2]]);
        let config = fixture::config();
        for (joins, records) in [(None, 0), (Some(4), 3), (Some(5), 0)] {
            joins.into_iter().for_each(|node| fixture::broker(&mut image, node));
            let mut draft = Draft::over(&mut image, Offset(100));
            even_out(&mut draft, fixture::rules(&config));
            assert_eq!(draft.finish().len(), records, "after {joins:?}");
        }
        assert_eq!((hosted(&image, 4), hosted(&image, 5)), (3, 0));
        let adding = image.partitions().filter(|(_, partition)| *partition.adding == [NodeId(4)]);
        assert_eq!(adding.count(), 3);
    }

    #[test]
    fn a_broker_that_was_unregistered_is_replaced() {
        let mut image = fixture::image(&[1, 2, 3, 4]);
        let id = fixture::topic(&mut image, "t", &[&[1, 2], &[3, 4]]);
        image.brokers.remove(&NodeId(2));
        let config = fixture::config();
        let mut draft = Draft::over(&mut image, Offset(100));
        even_out(&mut draft, fixture::rules(&config));
        let [_, _, adding, removing] = show(&image, id);
        assert_eq!((adding.len(), removing), (1, nodes(&[2])));
    }

    #[test]
    fn replicas_have_to_be_registered_distinct_and_some() {
        let mut image = fixture::image(&[1, 2]);
        fixture::topic(&mut image, "t", &[&[1, 2]]);
        for replicas in [&[][..], &[1, 1], &[1, 9]] {
            assert_eq!(reassign(&mut image, Some(replicas)), ErrorCode::InvalidReplicaAssignment);
        }
    }
}
