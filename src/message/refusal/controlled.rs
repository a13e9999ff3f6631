//! Refusals of what the active controller serves, to clients and to brokers.

use alloc::vec::Vec;

use crate::error::ErrorCode;
use crate::ids::{BrokerEpoch, ProducerId, TopicId};
use crate::message::admin::{
    AlterConfigsResponse, AlterReassignmentsResponse, CreatePartitionsResponse,
    CreateTopicsResponse, CreatedTopic, DeleteTopicsResponse, DeletedTopic, ElectLeadersResponse,
    ListReassignmentsResponse,
};
use crate::message::cluster::{
    AllocateProducerIdsResponse, BrokerHeartbeatResponse, BrokerRegistrationResponse,
    UnregisterBrokerResponse,
};
use crate::message::partition::AlterPartitionResponse;
use crate::message::{Request, Response, coordinated, quorum};

/// The refusal of what the active controller serves; none for other requests.
#[must_use]
pub fn controlled(request: &Request, error: ErrorCode) -> Option<Response> {
    let refusal = topics(request, error).or_else(|| replicas(request, error));
    refusal.or_else(|| brokers(request, error))
}

fn topics(request: &Request, error: ErrorCode) -> Option<Response> {
    if let Request::CreateTopics(request) = request {
        let topics = request.topics.iter().map(|topic| CreatedTopic {
            name: topic.name.clone(),
            id: TopicId::ZERO,
            error,
            message: None,
            num_partitions: -1,
            replication_factor: -1,
            configs: Vec::new(),
        });
        let topics = topics.collect();
        return Some(Response::CreateTopics(CreateTopicsResponse { topics }));
    }
    if let Request::DeleteTopics(request) = request {
        let topics = request.topics.iter();
        let topics = topics.map(|topic| DeletedTopic { topic: topic.clone(), error }).collect();
        return Some(Response::DeleteTopics(DeleteTopicsResponse { topics }));
    }
    if let Request::CreatePartitions(request) = request {
        let topics = request.topics.iter();
        let topics = topics.map(|topic| (topic.name.clone(), error, None)).collect();
        return Some(Response::CreatePartitions(CreatePartitionsResponse { topics }));
    }
    if let Request::IncrementalAlterConfigs(request) = request {
        let resources = request.resources.iter();
        let resources = resources.map(|(name, _)| (name.clone(), error, None)).collect();
        return Some(Response::IncrementalAlterConfigs(AlterConfigsResponse { resources }));
    }
    None
}

fn replicas(request: &Request, error: ErrorCode) -> Option<Response> {
    if matches!(request, Request::AlterPartitionReassignments(_)) {
        let answer = AlterReassignmentsResponse { error, partitions: Vec::new() };
        return Some(Response::AlterPartitionReassignments(answer));
    }
    if matches!(request, Request::ListPartitionReassignments(_)) {
        let answer = ListReassignmentsResponse { error, partitions: Vec::new() };
        return Some(Response::ListPartitionReassignments(answer));
    }
    if matches!(request, Request::ElectLeaders(_)) {
        let answer = ElectLeadersResponse { error, partitions: Vec::new() };
        return Some(Response::ElectLeaders(answer));
    }
    let answer = AlterPartitionResponse { error, partitions: Vec::new() };
    matches!(request, Request::AlterPartition(_)).then_some(Response::AlterPartition(answer))
}

fn brokers(request: &Request, error: ErrorCode) -> Option<Response> {
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
    let first = ProducerId::NONE;
    let answer = AllocateProducerIdsResponse { error, first, count: 0 };
    matches!(request, Request::AllocateProducerIds(_))
        .then_some(Response::AllocateProducerIds(answer))
}

/// The error of a whole answer from a controller, where the API has one, or else that of its first
/// item: NOT_CONTROLLER comes in either place.
#[must_use]
pub fn error_of(response: &Response) -> ErrorCode {
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
        | coordinated!(Response)
        | Response::WriteTxnMarkers(_)
        | Response::DescribeProducers(_)
        | Response::Metadata(_)
        | Response::DescribeConfigs(_)
        | Response::Store(_)
        | quorum!(Response) => ErrorCode::None,
    }
}

fn first(mut errors: impl Iterator<Item = ErrorCode>) -> ErrorCode {
    errors.next().unwrap_or(ErrorCode::None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{BrokerEpoch, NodeId, Offset, TopicRef};
    use crate::message::admin::{DeleteTopicsRequest, ListReassignmentsRequest};
    use crate::message::cluster::{BrokerHeartbeatRequest, UnregisterBrokerRequest};
    use crate::message::metadata::MetadataRequest;
    use crate::time::Duration;

    #[test]
    fn a_refusal_tells_its_error_and_only_a_controllers_requests_are_refused_as_such() {
        let node = NodeId(1);
        let refused = [
            Request::DeleteTopics(DeleteTopicsRequest {
                topics: alloc::vec![TopicRef::Name("t".into())],
                timeout: Duration::ZERO,
            }),
            Request::ListPartitionReassignments(ListReassignmentsRequest { partitions: None }),
            Request::UnregisterBroker(UnregisterBrokerRequest { node }),
            Request::BrokerHeartbeat(BrokerHeartbeatRequest {
                node,
                epoch: BrokerEpoch(1),
                metadata_offset: Offset(1),
                want_fence: false,
                want_shutdown: false,
            }),
        ];
        for request in refused {
            let answer = controlled(&request, ErrorCode::NotController).expect("a controller's");
            assert_eq!(error_of(&answer), ErrorCode::NotController, "{request:?}");
        }
        let other =
            Request::Metadata(MetadataRequest { topics: None, allow_auto_topic_creation: false });
        assert_eq!(controlled(&other, ErrorCode::NotController), None);
    }
}
