//! Rare decisions, told when they are committed.

use crate::error::ErrorCode;
use crate::event::Mark;
use crate::ids::NodeId;
use crate::message::Response;
use crate::message::partition::LeaderRecovery;
use crate::metadata::{Image, MetadataRecord};

/// How the leader that a record elects comes about, if that is rare. `image` is from before it.
pub(super) fn of_record(image: &Image, record: &MetadataRecord) -> Option<Mark> {
    let MetadataRecord::PartitionChange { id, change } = record else { return None };
    let (leader, old) = (change.leader?, image.partition(*id)?);
    if leader == NodeId::NONE {
        return (old.leader != NodeId::NONE).then_some(Mark::Leaderless);
    }
    if old.isr.contains(&leader) {
        return None;
    }
    // Who is elected as it joins the ISR (the end of a reassignment) is in it like any other.
    match change.recovery.unwrap_or(old.recovery) {
        LeaderRecovery::Recovered => old.elr.contains(&leader).then_some(Mark::ElrElected),
        LeaderRecovery::Recovering if old.last_known_elr.contains(&leader) => {
            Some(Mark::LastLeaderElected)
        }
        LeaderRecovery::Recovering => Some(Mark::UncleanElected),
    }
}

/// What a broker is refused, if that is rare.
pub(super) fn of_response(response: &Response) -> Option<Mark> {
    if let Response::BrokerRegistration(answer) = response {
        let refused = answer.error == ErrorCode::DuplicateBrokerRegistration;
        return refused.then_some(Mark::RegistrationRefused);
    }
    let Response::AlterPartition(answer) = response else { return None };
    let has = |error| answer.partitions.iter().any(|partition| partition.error == error);
    if has(ErrorCode::IneligibleReplica) {
        Some(Mark::IneligibleReplica)
    } else if has(ErrorCode::InvalidUpdateVersion) {
        Some(Mark::StaleIsrRefused)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fixture::{self, nodes};
    use crate::metadata::record::PartitionChange;

    #[test]
    fn an_election_is_named_by_where_its_winner_stood() {
        let mut image = fixture::image(&[1, 2, 3]);
        let id = fixture::topic(&mut image, "t", &[&[1, 2, 3]]);
        let elect = |image: &Image, leader: NodeId, recovery: LeaderRecovery| {
            let (leader, recovery) = (Some(leader), Some(recovery));
            let change = PartitionChange { leader, recovery, ..PartitionChange::default() };
            of_record(image, &MetadataRecord::PartitionChange { id, change })
        };
        use LeaderRecovery::{Recovered, Recovering};
        assert_eq!(elect(&image, NodeId(2), Recovered), None);
        assert_eq!(elect(&image, NodeId::NONE, Recovered), Some(Mark::Leaderless));
        fixture::edit(&mut image, id, |p| {
            (p.leader, p.isr, p.elr) = (NodeId::NONE, nodes(&[]).into(), nodes(&[2]).into());
        });
        assert_eq!(elect(&image, NodeId::NONE, Recovered), None);
        assert_eq!(elect(&image, NodeId(2), Recovered), Some(Mark::ElrElected));
        assert_eq!(elect(&image, NodeId(3), Recovered), None, "it joins with this record");
        fixture::edit(&mut image, id, |p| {
            (p.elr, p.last_known_elr) = (nodes(&[]).into(), nodes(&[1]).into());
        });
        assert_eq!(elect(&image, NodeId(1), Recovering), Some(Mark::LastLeaderElected));
        assert_eq!(elect(&image, NodeId(3), Recovering), Some(Mark::UncleanElected));
    }
}
