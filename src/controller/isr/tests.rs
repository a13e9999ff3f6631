use alloc::vec::Vec;

use super::*;
use crate::config::ControllerConfig;
use crate::controller::fixture::{self, nodes};
use crate::defect::Defects;
use crate::ids::{Offset, PartitionId, Uuid};

/// Broker 1 leads in leader epoch 5 and partition epoch 9; 2 is in sync, 3 not; 4 is no replica.
fn cluster() -> (Image, PartitionId) {
    let mut image = fixture::image(&[1, 2, 3, 4]);
    let id = fixture::topic(&mut image, "t", &[&[1, 2, 3]]);
    fixture::edit(&mut image, id, |p| {
        p.isr = nodes(&[1, 2]).into();
        (p.leader_epoch, p.partition_epoch) = (LeaderEpoch(5), PartitionEpoch(9));
    });
    (image, id)
}

fn isr(members: &[(i32, i64)]) -> Vec<(NodeId, BrokerEpoch)> {
    members.iter().map(|(node, epoch)| (NodeId(*node), BrokerEpoch(*epoch))).collect()
}

fn wanted(id: PartitionId) -> AlterPartition {
    AlterPartition {
        partition: id,
        leader_epoch: LeaderEpoch(5),
        partition_epoch: PartitionEpoch(9),
        new_isr: isr(&[(1, 1), (2, 2), (3, 3)]),
        recovery: LeaderRecovery::Recovered,
    }
}

fn ask(
    image: &mut Image,
    defects: Defects,
    sender: i32,
    wanted: AlterPartition,
) -> AlteredPartition {
    let config = ControllerConfig::default();
    let request = AlterPartitionRequest {
        node: NodeId(sender),
        broker_epoch: BrokerEpoch(sender.into()),
        partitions: [wanted].into(),
    };
    let mut draft = Draft::over(image, Offset(100));
    let rules = Rules { config: &config, defects };
    let response = alter_partitions(&mut draft, rules, &request);
    assert_eq!(response.error, ErrorCode::None);
    response.partitions.into_iter().next().expect("one was asked")
}

#[test]
fn a_valid_proposal_becomes_the_isr() {
    let (mut image, id) = cluster();
    let answer = ask(&mut image, Defects::NONE, 1, wanted(id));
    assert_eq!((answer.error, answer.partition_epoch), (ErrorCode::None, PartitionEpoch(10)));
    assert_eq!(answer.isr, nodes(&[1, 2, 3]));
    assert_eq!((answer.leader, answer.leader_epoch), (NodeId(1), LeaderEpoch(5)));
    let same = AlterPartition { partition_epoch: PartitionEpoch(10), ..wanted(id) };
    let answer = ask(&mut image, Defects::NONE, 1, same);
    assert_eq!((answer.error, answer.partition_epoch), (ErrorCode::None, PartitionEpoch(10)));
}

#[test]
fn proposals_are_refused_in_kafkas_order() {
    let (mut image, id) = cluster();
    let base = || wanted(id);
    let topic = Uuid([7; 4]);
    let unknown_topic = PartitionId { topic, partition: 0 };
    let unknown = PartitionId { partition: 7, ..id };
    let recovering = LeaderRecovery::Recovering;
    let table = [
        (AlterPartition { partition: unknown_topic, ..base() }, 1, ErrorCode::UnknownTopicId),
        (AlterPartition { partition: unknown, ..base() }, 1, ErrorCode::UnknownTopicOrPartition),
        (AlterPartition { leader_epoch: LeaderEpoch(6), ..base() }, 2, ErrorCode::NotController),
        (
            AlterPartition {
                partition_epoch: PartitionEpoch(10),
                leader_epoch: LeaderEpoch(4),
                ..base()
            },
            1,
            ErrorCode::NotController,
        ),
        (
            AlterPartition { leader_epoch: LeaderEpoch(4), ..base() },
            2,
            ErrorCode::FencedLeaderEpoch,
        ),
        (
            AlterPartition { partition_epoch: PartitionEpoch(8), ..base() },
            2,
            ErrorCode::InvalidRequest,
        ),
        (
            AlterPartition {
                partition_epoch: PartitionEpoch(8),
                new_isr: isr(&[(4, 4)]),
                ..base()
            },
            1,
            ErrorCode::InvalidUpdateVersion,
        ),
        (
            AlterPartition { new_isr: isr(&[(1, 1), (4, 99)]), ..base() },
            1,
            ErrorCode::InvalidRequest,
        ),
        (AlterPartition { new_isr: isr(&[(2, 2)]), ..base() }, 1, ErrorCode::InvalidRequest),
        (AlterPartition { recovery: recovering, ..base() }, 1, ErrorCode::InvalidRequest),
        (
            AlterPartition { new_isr: isr(&[(1, 1), (3, 2)]), ..base() },
            1,
            ErrorCode::IneligibleReplica,
        ),
    ];
    for (wanted, sender, error) in table {
        assert_eq!(
            ask(&mut image, Defects::NONE, sender, wanted.clone()).error,
            error,
            "{wanted:?}"
        );
    }
}

#[test]
fn a_fenced_or_leaving_replica_does_not_join_unless_isr_rejoin_fenced() {
    for in_controlled_shutdown in [false, true] {
        let (mut image, id) = cluster();
        fixture::set_broker(&mut image, 3, !in_controlled_shutdown, in_controlled_shutdown);
        let answer = ask(&mut image, Defects::NONE, 1, wanted(id));
        assert_eq!(answer.error, ErrorCode::IneligibleReplica);
        let defects = Defects::NONE.with(Defect::IsrRejoinFenced);
        let allowed = defects.has(Defect::IsrRejoinFenced);
        assert_eq!(ask(&mut image, defects, 1, wanted(id)).error.is_ok(), allowed);
    }
}

#[test]
fn a_later_incarnation_does_not_join_for_what_an_earlier_one_fetched() {
    let (mut image, id) = cluster();
    let stale = AlterPartition { new_isr: isr(&[(1, 1), (2, 2), (3, 2)]), ..wanted(id) };
    let answer = ask(&mut image, Defects::NONE, 1, stale.clone());
    assert_eq!(answer.error, ErrorCode::IneligibleReplica);
    let unchecked = AlterPartition { new_isr: isr(&[(1, -1), (2, -1), (3, -1)]), ..wanted(id) };
    assert!(ask(&mut image.clone(), Defects::NONE, 1, unchecked).error.is_ok());
    let defects = Defects::NONE.with(Defect::IsrRejoinStaleBrokerEpoch);
    let allowed = defects.has(Defect::IsrRejoinStaleBrokerEpoch);
    assert_eq!(ask(&mut image, defects, 1, stale).error.is_ok(), allowed);
}

#[test]
fn a_delayed_proposal_is_refused_unless_alter_partition_no_cas() {
    let (mut image, id) = cluster();
    let late = AlterPartition { partition_epoch: PartitionEpoch(8), ..wanted(id) };
    let answer = ask(&mut image, Defects::NONE, 1, late.clone());
    assert_eq!(answer.error, ErrorCode::InvalidUpdateVersion);
    let defects = Defects::NONE.with(Defect::AlterPartitionNoCas);
    let allowed = defects.has(Defect::AlterPartitionNoCas);
    assert_eq!(ask(&mut image, defects, 1, late).error.is_ok(), allowed);
}

#[test]
fn a_stale_sender_is_refused_as_a_whole() {
    let (mut image, id) = cluster();
    let config = ControllerConfig::default();
    let mut draft = Draft::over(&mut image, Offset(100));
    let request = AlterPartitionRequest {
        node: NodeId(1),
        broker_epoch: BrokerEpoch(0),
        partitions: [wanted(id)].into(),
    };
    let response = alter_partitions(&mut draft, fixture::rules(&config), &request);
    assert_eq!(response.error, ErrorCode::StaleBrokerEpoch);
}

#[test]
fn a_shrink_below_min_isr_leaves_the_removed_one_eligible() {
    let (mut image, id) = cluster();
    fixture::set(&mut image, "t", "min.insync.replicas", "2");
    let alone = AlterPartition { new_isr: isr(&[(1, 1)]), ..wanted(id) };
    assert!(ask(&mut image, Defects::NONE, 1, alone).error.is_ok());
    let partition = image.partition(id).expect("known");
    assert_eq!((&*partition.isr, &*partition.elr), (&nodes(&[1])[..], &nodes(&[2])[..]));
}

#[test]
fn the_end_of_a_reassignment_tells_the_old_leader_that_it_is_none() {
    let (mut image, id) = cluster();
    fixture::edit(&mut image, id, |p| {
        (p.replicas, p.adding) = (nodes(&[2, 3, 1]).into(), nodes(&[3]).into());
        p.removing = nodes(&[1]).into();
    });
    let answer = ask(&mut image, Defects::NONE, 1, wanted(id));
    assert_eq!(answer.error, ErrorCode::NewLeaderElected);
    let partition = image.partition(id).expect("known");
    assert_eq!((&*partition.replicas, partition.leader), (&nodes(&[2, 3])[..], NodeId(2)));
}
