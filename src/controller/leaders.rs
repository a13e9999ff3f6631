//! Leaders are elected on demand (ElectLeaders, KIP-460) and brought back to the preferred replica.

use alloc::vec::Vec;

use crate::controller::election::{Proposal, change_all};
use crate::controller::rules::{Draft, Rules};
use crate::error::ErrorCode;
use crate::ids::{NodeId, PartitionId, TopicName};
use crate::message::admin::{ElectLeadersRequest, ElectLeadersResponse, Election};
use crate::metadata::{Image, MetadataRecord};

/// Elects where asked, or everywhere.
pub(super) fn elect_leaders(
    draft: &mut Draft<'_>,
    rules: Rules<'_>,
    request: &ElectLeadersRequest,
) -> ElectLeadersResponse {
    let everywhere = request.partitions.is_none();
    let asked = request.partitions.clone().unwrap_or_else(|| all_partitions(draft.state()));
    let mut partitions = Vec::new();
    for (topic, partition) in asked {
        let error = match find(draft.state(), &topic, partition) {
            None => ErrorCode::UnknownTopicOrPartition,
            Some(id) => elect(draft, rules, id, request.election),
        };
        // Asked for all, Kafka tells only where there was something to do.
        if !(everywhere && error == ErrorCode::ElectionNotNeeded) {
            partitions.push((topic, partition, error));
        }
    }
    ElectLeadersResponse { error: ErrorCode::None, partitions }
}

fn all_partitions(image: &Image) -> Vec<(TopicName, i32)> {
    let topics = image.names.iter();
    topics
        .flat_map(|(name, id)| {
            let count = image.topics[id].partitions.len();
            (0..).take(count).map(|partition| (name.clone(), partition))
        })
        .collect()
}

/// The identity of a partition that a user named.
pub(super) fn find(image: &Image, topic: &TopicName, partition: i32) -> Option<PartitionId> {
    let id = PartitionId { topic: *image.names.get(topic)?, partition };
    image.partition(id).map(|_| id)
}

fn elect(
    draft: &mut Draft<'_>,
    rules: Rules<'_>,
    id: PartitionId,
    election: Election,
) -> ErrorCode {
    let partition = draft.state().partition(id).expect("it was just found");
    let needed = match election {
        Election::Preferred => partition.leader != partition.replicas[0],
        Election::Unclean => partition.leader == NodeId::NONE,
    };
    if !needed {
        return ErrorCode::ElectionNotNeeded;
    }
    let preferred = partition.replicas[0];
    let mut proposal = Proposal::keep(partition);
    match election {
        Election::Preferred => proposal.prefer_first = true,
        Election::Unclean => proposal.allow_unclean = true,
    }
    if let Some(change) = proposal.change(draft.state(), id, rules) {
        draft.push(MetadataRecord::PartitionChange { id, change });
    }
    let leader = draft.state().partition(id).expect("it was just changed").leader;
    match election {
        Election::Preferred if leader != preferred => ErrorCode::PreferredLeaderNotAvailable,
        Election::Unclean if leader == NodeId::NONE => ErrorCode::EligibleLeadersNotAvailable,
        Election::Preferred | Election::Unclean => ErrorCode::None,
    }
}

/// Brings leadership back to preferred replicas that can take it.
pub(super) fn rebalance(draft: &mut Draft<'_>, rules: Rules<'_>) {
    change_all(
        draft,
        rules,
        |partition| {
            let first = partition.replicas[0];
            partition.leader != first && partition.isr.contains(&first)
        },
        |proposal| proposal.prefer_first = true,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fixture::{self, nodes};
    use crate::ids::Offset;
    use crate::message::partition::LeaderRecovery;
    use crate::time::Duration;

    fn ask(image: &mut Image, election: Election) -> ErrorCode {
        let config = fixture::config();
        let mut draft = Draft::over(image, Offset(100));
        let partitions = Some([(TopicName::from("t"), 0)].into());
        let request = ElectLeadersRequest { election, partitions, timeout: Duration::ZERO };
        elect_leaders(&mut draft, fixture::rules(&config), &request).partitions[0].2
    }

    #[test]
    fn a_preferred_election_moves_leadership_to_the_first_replica_if_it_is_in_sync() {
        let mut image = fixture::image(&[1, 2]);
        let id = fixture::topic(&mut image, "t", &[&[1, 2]]);
        assert_eq!(ask(&mut image, Election::Preferred), ErrorCode::ElectionNotNeeded);
        fixture::edit(&mut image, id, |p| (p.leader, p.isr) = (NodeId(2), nodes(&[2]).into()));
        assert_eq!(ask(&mut image, Election::Preferred), ErrorCode::PreferredLeaderNotAvailable);
        fixture::edit(&mut image, id, |p| p.isr = nodes(&[2, 1]).into());
        assert_eq!(ask(&mut image, Election::Preferred), ErrorCode::None);
        assert_eq!(image.partition(id).expect("exists").leader, NodeId(1));
    }

    #[test]
    fn an_unclean_election_is_for_the_leaderless() {
        let mut image = fixture::image(&[1, 2]);
        let id = fixture::topic(&mut image, "t", &[&[1, 2]]);
        assert_eq!(ask(&mut image, Election::Unclean), ErrorCode::ElectionNotNeeded);
        fixture::edit(&mut image, id, |p| {
            (p.leader, p.isr, p.elr) = (NodeId::NONE, nodes(&[]).into(), nodes(&[1]).into());
        });
        fixture::fence(&mut image, 1);
        assert_eq!(ask(&mut image, Election::Unclean), ErrorCode::None);
        let partition = image.partition(id).expect("exists");
        assert_eq!((partition.leader, partition.recovery), (NodeId(2), LeaderRecovery::Recovering));
        assert!(partition.elr.is_empty());
    }

    #[test]
    fn the_timer_brings_leaders_back_home() {
        let mut image = fixture::image(&[1, 2, 3]);
        let id = fixture::topic(&mut image, "t", &[&[1, 2], &[3, 2]]);
        fixture::edit(&mut image, id, |p| p.leader = NodeId(2));
        let config = fixture::config();
        let mut draft = Draft::over(&mut image, Offset(100));
        rebalance(&mut draft, fixture::rules(&config));
        assert_eq!(draft.finish().len(), 1);
        assert_eq!(image.partition(id).expect("exists").leader, NodeId(1));
    }
}
