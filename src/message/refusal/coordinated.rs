//! Refusals of what coordinators of groups and transactions serve.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::error::ErrorCode;
use crate::ids::{LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId, TopicRef};
use crate::message::commit::{
    CommittedPartition, FetchedGroup, FetchedOffset, OffsetCommitResponse, OffsetDeleteResponse,
    OffsetFetchResponse, TxnOffsetCommitResponse,
};
use crate::message::consumer_group::{
    ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatResponse, DescribedConsumerGroup,
};
use crate::message::coordinator::{FindCoordinatorResponse, FoundCoordinator};
use crate::message::group::{
    DeleteGroupsResponse, DescribeGroupsResponse, DescribedGroup, HeartbeatResponse,
    JoinGroupResponse, LeaveGroupResponse, ListGroupsResponse, SyncGroupResponse,
};
use crate::message::produce::InitProducerIdResponse;
use crate::message::transaction::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, DescribeProducersResponse,
    DescribeTransactionsResponse, DescribedTransaction, EndTxnResponse, ListTransactionsResponse,
    WriteTxnMarkersResponse, WrittenMarker,
};
use crate::message::{Request, Response};
use crate::time::{Duration, Timestamp};

/// The refusal of what a group or transaction coordinator serves; none for other requests.
#[must_use]
pub fn coordinated(request: &Request, error: ErrorCode) -> Option<Response> {
    group(request, error).or_else(|| transaction(request, error))
}

fn group(request: &Request, error: ErrorCode) -> Option<Response> {
    let none: Arc<str> = Arc::from("");
    if let Request::FindCoordinator(request) = request {
        let coordinators = request.keys.iter().map(|key| FoundCoordinator {
            key: key.clone(),
            error,
            node: NodeId::NONE,
            endpoint: None,
        });
        let coordinators = coordinators.collect();
        return Some(Response::FindCoordinator(FindCoordinatorResponse { coordinators }));
    }
    if let Request::JoinGroup(request) = request {
        return Some(Response::JoinGroup(JoinGroupResponse {
            error,
            generation: -1,
            protocol_type: None,
            protocol: None,
            leader: none,
            skip_assignment: false,
            member: request.member.clone(),
            members: Vec::new(),
        }));
    }
    if matches!(request, Request::SyncGroup(_)) {
        return Some(Response::SyncGroup(SyncGroupResponse {
            error,
            protocol_type: None,
            protocol: None,
            assignment: Bytes::new(),
        }));
    }
    if matches!(request, Request::Heartbeat(_)) {
        return Some(Response::Heartbeat(HeartbeatResponse { error }));
    }
    if matches!(request, Request::LeaveGroup(_)) {
        return Some(Response::LeaveGroup(LeaveGroupResponse { error, members: Vec::new() }));
    }
    if matches!(request, Request::ConsumerGroupHeartbeat(_)) {
        return Some(Response::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse {
            error,
            message: None,
            member: None,
            member_epoch: 0,
            heartbeat_interval: Duration::ZERO,
            assignment: None,
        }));
    }
    offsets(request, error).or_else(|| described_group(request, error))
}

fn offsets(request: &Request, error: ErrorCode) -> Option<Response> {
    let none: Arc<str> = Arc::from("");
    let refused = |partitions: &[CommittedPartition]| -> Vec<(TopicRef, i32, ErrorCode)> {
        let one = |asked: &CommittedPartition| (asked.topic.clone(), asked.partition, error);
        partitions.iter().map(one).collect()
    };
    if let Request::OffsetCommit(request) = request {
        let partitions = refused(&request.partitions);
        return Some(Response::OffsetCommit(OffsetCommitResponse { partitions }));
    }
    if let Request::TxnOffsetCommit(request) = request {
        let partitions = refused(&request.partitions);
        return Some(Response::TxnOffsetCommit(TxnOffsetCommitResponse { partitions }));
    }
    if let Request::OffsetFetch(request) = request {
        // To the oldest clients each partition is refused: they know no errors of groups.
        let one = |(topic, partition): &(TopicRef, i32)| FetchedOffset {
            topic: topic.clone(),
            partition: *partition,
            error,
            offset: Offset::NONE,
            leader_epoch: LeaderEpoch::NONE,
            metadata: Some(none.clone()),
        };
        let groups = request.groups.iter().map(|asked| FetchedGroup {
            group: asked.group.clone(),
            error,
            partitions: asked.partitions.iter().flatten().map(one).collect(),
        });
        let groups = groups.collect();
        return Some(Response::OffsetFetch(OffsetFetchResponse { groups }));
    }
    matches!(request, Request::OffsetDelete(_))
        .then_some(Response::OffsetDelete(OffsetDeleteResponse { error, partitions: Vec::new() }))
}

fn described_group(request: &Request, error: ErrorCode) -> Option<Response> {
    let none: Arc<str> = Arc::from("");
    if let Request::DescribeGroups(request) = request {
        let groups = request.groups.iter().map(|group| DescribedGroup {
            group: group.clone(),
            error,
            state: none.clone(),
            protocol_type: none.clone(),
            protocol: none.clone(),
            members: Vec::new(),
        });
        let groups = groups.collect();
        return Some(Response::DescribeGroups(DescribeGroupsResponse { groups }));
    }
    if let Request::ConsumerGroupDescribe(request) = request {
        let groups = request.groups.iter().map(|group| DescribedConsumerGroup {
            group: group.clone(),
            error,
            state: none.clone(),
            group_epoch: -1,
            assignment_epoch: -1,
            assignor: none.clone(),
            members: Vec::new(),
        });
        let groups = groups.collect();
        return Some(Response::ConsumerGroupDescribe(ConsumerGroupDescribeResponse { groups }));
    }
    if matches!(request, Request::ListGroups(_)) {
        return Some(Response::ListGroups(ListGroupsResponse { error, groups: Vec::new() }));
    }
    if let Request::DeleteGroups(request) = request {
        let groups = request.groups.iter().map(|group| (group.clone(), error)).collect();
        return Some(Response::DeleteGroups(DeleteGroupsResponse { groups }));
    }
    None
}

fn transaction(request: &Request, error: ErrorCode) -> Option<Response> {
    if let Request::AddPartitionsToTxn(request) = request {
        let transactions = request.transactions.iter().map(|asked| {
            let each = asked.partitions.iter().map(|(topic, at)| (topic.clone(), *at, error));
            (asked.transactional_id.clone(), each.collect())
        });
        return Some(Response::AddPartitionsToTxn(AddPartitionsToTxnResponse {
            error,
            transactions: transactions.collect(),
        }));
    }
    if matches!(request, Request::AddOffsetsToTxn(_)) {
        return Some(Response::AddOffsetsToTxn(AddOffsetsToTxnResponse { error }));
    }
    if matches!(request, Request::InitProducerId(_)) {
        return Some(Response::InitProducerId(InitProducerIdResponse {
            error,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
        }));
    }
    if matches!(request, Request::EndTxn(_)) {
        return Some(Response::EndTxn(EndTxnResponse {
            error,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
        }));
    }
    if let Request::WriteTxnMarkers(request) = request {
        let markers = request.markers.iter().map(|marker| {
            let each = marker.partitions.iter().map(|(topic, at)| (topic.clone(), *at, error));
            WrittenMarker { producer_id: marker.producer_id, partitions: each.collect() }
        });
        let markers = markers.collect();
        return Some(Response::WriteTxnMarkers(WriteTxnMarkersResponse { markers }));
    }
    described_transaction(request, error)
}

fn described_transaction(request: &Request, error: ErrorCode) -> Option<Response> {
    if let Request::DescribeProducers(request) = request {
        let each = request.partitions.iter();
        let each = each.map(|(topic, partition)| (topic.clone(), *partition, error, Vec::new()));
        let partitions = each.collect();
        return Some(Response::DescribeProducers(DescribeProducersResponse { partitions }));
    }
    if let Request::DescribeTransactions(request) = request {
        let each = request.transactional_ids.iter().map(|id| DescribedTransaction {
            transactional_id: id.clone(),
            error,
            state: Arc::from(""),
            timeout: Duration::ZERO,
            start: Timestamp::NONE,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            partitions: Vec::new(),
        });
        let transactions = each.collect();
        return Some(Response::DescribeTransactions(DescribeTransactionsResponse { transactions }));
    }
    let Request::ListTransactions(request) = request else { return None };
    let unknown_states = request.unknown_states();
    let transactions = Vec::new();
    let refused = ListTransactionsResponse { error, unknown_states, transactions };
    Some(Response::ListTransactions(refused))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::commit::{OffsetFetchGroup, OffsetFetchRequest};

    #[test]
    fn a_refused_fetch_of_offsets_names_each_partition_that_was_asked_for() {
        let topic = TopicRef::Name("orders".into());
        let some = Some(alloc::vec![(topic.clone(), 1), (topic, 2)]);
        for (partitions, named) in [(some, alloc::vec![1, 2]), (None, Vec::new())] {
            let group = OffsetFetchGroup { group: "g".into(), member: None, partitions };
            let groups = alloc::vec![group];
            let asked = Request::OffsetFetch(OffsetFetchRequest { groups, require_stable: false });
            let error = ErrorCode::NotCoordinator;
            let Some(Response::OffsetFetch(refused)) = coordinated(&asked, error) else {
                panic!("it is a coordinator's")
            };
            let group = &refused.groups[0];
            assert!(group.partitions.iter().all(|each| each.error == error));
            let each: Vec<i32> = group.partitions.iter().map(|each| each.partition).collect();
            assert_eq!((group.error, each), (error, named));
        }
    }
}
