//! The answer to a request that is refused as a whole: each API has its own place for the error.

use crate::error::ErrorCode;
use crate::ids::{BrokerEpoch, ProducerEpoch, ProducerId, TopicId};
use crate::message::admin::{
    AlterConfigsResponse, AlterReassignmentsResponse, CreatePartitionsResponse,
    CreateTopicsRequest, CreateTopicsResponse, CreatedTopic, DeleteTopicsResponse, DeletedTopic,
    ElectLeadersResponse, ListReassignmentsResponse,
};
use crate::message::cluster::{
    AllocateProducerIdsResponse, BrokerHeartbeatResponse, BrokerRegistrationResponse,
    UnregisterBrokerResponse,
};
use crate::message::partition::AlterPartitionResponse;
use crate::message::produce::InitProducerIdResponse;
use crate::message::{Request, Response};

/// The refusal of a request that a broker does not serve itself; none for those it does.
pub(super) fn refusal(request: &Request, error: ErrorCode) -> Option<Response> {
    Some(match request {
        Request::CreateTopics(request) => refused_topics(request, error),
        Request::DeleteTopics(request) => Response::DeleteTopics(DeleteTopicsResponse {
            topics: request
                .topics
                .iter()
                .map(|topic| DeletedTopic { topic: topic.clone(), error })
                .collect(),
        }),
        Request::CreatePartitions(request) => {
            let topics = request.topics.iter();
            Response::CreatePartitions(CreatePartitionsResponse {
                topics: topics.map(|topic| (topic.name.clone(), error, None)).collect(),
            })
        }
        Request::IncrementalAlterConfigs(request) => {
            let resources = request.resources.iter();
            Response::IncrementalAlterConfigs(AlterConfigsResponse {
                resources: resources.map(|(name, _)| (name.clone(), error, None)).collect(),
            })
        }
        Request::AlterPartitionReassignments(_) => {
            Response::AlterPartitionReassignments(AlterReassignmentsResponse {
                error,
                partitions: alloc::vec![],
            })
        }
        Request::ListPartitionReassignments(_) => {
            Response::ListPartitionReassignments(ListReassignmentsResponse {
                error,
                partitions: alloc::vec![],
            })
        }
        Request::ElectLeaders(_) => {
            Response::ElectLeaders(ElectLeadersResponse { error, partitions: alloc::vec![] })
        }
        Request::InitProducerId(_) => Response::InitProducerId(InitProducerIdResponse {
            error,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
        }),
        Request::BrokerRegistration(_)
        | Request::BrokerHeartbeat(_)
        | Request::UnregisterBroker(_)
        | Request::AllocateProducerIds(_)
        | Request::AlterPartition(_) => return refusal_to_a_broker(request, error),
        Request::Produce(_)
        | Request::Fetch(_)
        | Request::ListOffsets(_)
        | Request::OffsetForLeaderEpoch(_)
        | Request::DeleteRecords(_)
        | Request::FindCoordinator(_)
        | Request::JoinGroup(_)
        | Request::SyncGroup(_)
        | Request::Heartbeat(_)
        | Request::LeaveGroup(_)
        | Request::DescribeGroups(_)
        | Request::ListGroups(_)
        | Request::DeleteGroups(_)
        | Request::ConsumerGroupHeartbeat(_)
        | Request::ConsumerGroupDescribe(_)
        | Request::OffsetCommit(_)
        | Request::OffsetFetch(_)
        | Request::OffsetDelete(_)
        | Request::TxnOffsetCommit(_)
        | Request::AddPartitionsToTxn(_)
        | Request::AddOffsetsToTxn(_)
        | Request::EndTxn(_)
        | Request::WriteTxnMarkers(_)
        | Request::DescribeProducers(_)
        | Request::DescribeTransactions(_)
        | Request::ListTransactions(_)
        | Request::Metadata(_)
        | Request::DescribeCluster(_)
        | Request::DescribeConfigs(_)
        | Request::Vote(_)
        | Request::BeginQuorumEpoch(_)
        | Request::EndQuorumEpoch(_)
        | Request::QuorumFetch(_)
        | Request::FetchSnapshot(_) => return None,
    })
}

fn refused_topics(request: &CreateTopicsRequest, error: ErrorCode) -> Response {
    let refused = request.topics.iter().map(|topic| CreatedTopic {
        name: topic.name.clone(),
        id: TopicId::ZERO,
        error,
        message: None,
        num_partitions: -1,
        replication_factor: -1,
        configs: alloc::vec![],
    });
    Response::CreateTopics(CreateTopicsResponse { topics: refused.collect() })
}

/// What another broker sent here and meant for a controller.
fn refusal_to_a_broker(request: &Request, error: ErrorCode) -> Option<Response> {
    if matches!(request, Request::BrokerRegistration(_)) {
        let answer = BrokerRegistrationResponse { error, epoch: BrokerEpoch::NONE };
        return Some(Response::BrokerRegistration(answer));
    }
    if matches!(request, Request::BrokerHeartbeat(_)) {
        return Some(Response::BrokerHeartbeat(BrokerHeartbeatResponse {
            error,
            caught_up: false,
            fenced: true,
            should_shutdown: false,
        }));
    }
    if matches!(request, Request::UnregisterBroker(_)) {
        return Some(Response::UnregisterBroker(UnregisterBrokerResponse { error }));
    }
    if matches!(request, Request::AllocateProducerIds(_)) {
        return Some(Response::AllocateProducerIds(AllocateProducerIdsResponse {
            error,
            first: ProducerId::NONE,
            count: 0,
        }));
    }
    let answer = AlterPartitionResponse { error, partitions: alloc::vec![] };
    matches!(request, Request::AlterPartition(_)).then_some(Response::AlterPartition(answer))
}

/// The error of a whole answer from a controller, where the API has one, or else that of its first
/// item: NOT_CONTROLLER comes in either place.
pub(super) fn error_of(response: &Response) -> ErrorCode {
    match response {
        Response::CreateTopics(answer) => first(answer.topics.iter().map(|topic| topic.error)),
        Response::DeleteTopics(answer) => first(answer.topics.iter().map(|topic| topic.error)),
        Response::CreatePartitions(answer) => first(answer.topics.iter().map(|topic| topic.1)),
        Response::IncrementalAlterConfigs(answer) => {
            first(answer.resources.iter().map(|resource| resource.1))
        }
        Response::AlterPartitionReassignments(answer) => answer.error,
        Response::ListPartitionReassignments(answer) => answer.error,
        Response::ElectLeaders(answer) => answer.error,
        Response::UnregisterBroker(answer) => answer.error,
        Response::AllocateProducerIds(answer) => answer.error,
        Response::AlterPartition(answer) => answer.error,
        Response::BrokerRegistration(answer) => answer.error,
        Response::BrokerHeartbeat(answer) => answer.error,
        Response::InitProducerId(answer) => answer.error,
        Response::DescribeCluster(answer) => answer.error,
        Response::Fetch(answer) => answer.error,
        Response::Produce(_)
        | Response::ListOffsets(_)
        | Response::OffsetForLeaderEpoch(_)
        | Response::DeleteRecords(_)
        | Response::FindCoordinator(_)
        | Response::JoinGroup(_)
        | Response::SyncGroup(_)
        | Response::Heartbeat(_)
        | Response::LeaveGroup(_)
        | Response::DescribeGroups(_)
        | Response::ListGroups(_)
        | Response::DeleteGroups(_)
        | Response::ConsumerGroupHeartbeat(_)
        | Response::ConsumerGroupDescribe(_)
        | Response::OffsetCommit(_)
        | Response::OffsetFetch(_)
        | Response::OffsetDelete(_)
        | Response::TxnOffsetCommit(_)
        | Response::AddPartitionsToTxn(_)
        | Response::AddOffsetsToTxn(_)
        | Response::EndTxn(_)
        | Response::WriteTxnMarkers(_)
        | Response::DescribeProducers(_)
        | Response::DescribeTransactions(_)
        | Response::ListTransactions(_)
        | Response::Metadata(_)
        | Response::DescribeConfigs(_)
        | Response::Vote(_)
        | Response::BeginQuorumEpoch(_)
        | Response::EndQuorumEpoch(_)
        | Response::QuorumFetch(_)
        | Response::FetchSnapshot(_) => ErrorCode::None,
    }
}

fn first(mut errors: impl Iterator<Item = ErrorCode>) -> ErrorCode {
    errors.next().unwrap_or(ErrorCode::None)
}
