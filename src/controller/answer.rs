//! Answers: held back until what they tell is committed, refused when leadership is lost.

use alloc::sync::Arc;

use crate::controller::Controller;
use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::event::Event;
use crate::ids::{BrokerEpoch, ConnId, CorrelationId, Offset, ProducerId, Uuid};
use crate::machine::{Effect, Effects};
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
use crate::message::{Request, Response};

/// The answer to a request, while it waits for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub to: ConnId,
    pub correlation: CorrelationId,
    pub request: Arc<Request>,
    pub response: Response,
}

impl Controller {
    /// Answers as soon as everything decided so far is committed.
    pub(super) fn answer(&mut self, answer: Answer, out: &mut Effects) {
        // KIP-631: what is not committed may never have been.
        if self.setup.server.defects.has(Defect::ControllerReplyBeforeCommit) {
            let end = self.shard.end();
            self.respond(end, answer, out);
        } else {
            self.shard.wait(answer);
            self.answer_committed(out);
        }
    }

    /// Gives the answers whose time has come.
    pub(super) fn answer_committed(&mut self, out: &mut Effects) {
        while let Some((end, answer)) = self.shard.ready() {
            self.respond(end, answer, out);
        }
    }

    /// Answers with something that holds up to `end`.
    pub(super) fn respond(&self, end: Offset, answer: Answer, out: &mut Effects) {
        let committed = self.raft.high_watermark();
        out.note(Event::ControllerReplied { offset: end, committed });
        let response = Arc::new(answer.response);
        out.push(Effect::Respond { to: answer.to, correlation: answer.correlation, response });
    }
}

/// Tells that this is not the active controller. A client's request that no controller serves ends
/// its connection.
pub(super) fn refuse(to: ConnId, correlation: CorrelationId, request: &Request, out: &mut Effects) {
    match refusal(request, ErrorCode::NotController) {
        Some(response) => {
            out.push(Effect::Respond { to, correlation, response: Arc::new(response) });
        }
        None => out.push(Effect::Close { conn: to }),
    }
}

/// A response that has only an error to tell; none for what a controller does not serve.
fn refusal(request: &Request, error: ErrorCode) -> Option<Response> {
    Some(match request {
        Request::BrokerRegistration(_) => {
            Response::BrokerRegistration(BrokerRegistrationResponse {
                error,
                epoch: BrokerEpoch::NONE,
            })
        }
        Request::BrokerHeartbeat(_) => Response::BrokerHeartbeat(BrokerHeartbeatResponse {
            error,
            caught_up: false,
            fenced: false,
            should_shutdown: false,
        }),
        Request::UnregisterBroker(_) => {
            Response::UnregisterBroker(UnregisterBrokerResponse { error })
        }
        Request::AlterPartition(_) => {
            Response::AlterPartition(AlterPartitionResponse { error, partitions: [].into() })
        }
        Request::AllocateProducerIds(_) => {
            let first = ProducerId::NONE;
            Response::AllocateProducerIds(AllocateProducerIdsResponse { error, first, count: 0 })
        }
        Request::CreateTopics(request) => Response::CreateTopics(topics_refused(request, error)),
        Request::DeleteTopics(request) => {
            let topics = request.topics.iter();
            let topics = topics.map(|topic| DeletedTopic { topic: topic.clone(), error });
            Response::DeleteTopics(DeleteTopicsResponse { topics: topics.collect() })
        }
        Request::CreatePartitions(request) => {
            let topics = request.topics.iter().map(|topic| (topic.name.clone(), error, None));
            Response::CreatePartitions(CreatePartitionsResponse { topics: topics.collect() })
        }
        Request::IncrementalAlterConfigs(request) => {
            let resources = request.resources.iter();
            let resources = resources.map(|(resource, _)| (resource.clone(), error, None));
            let response = AlterConfigsResponse { resources: resources.collect() };
            Response::IncrementalAlterConfigs(response)
        }
        Request::AlterPartitionReassignments(_) => {
            let response = AlterReassignmentsResponse { error, partitions: [].into() };
            Response::AlterPartitionReassignments(response)
        }
        Request::ListPartitionReassignments(_) => {
            let response = ListReassignmentsResponse { error, partitions: [].into() };
            Response::ListPartitionReassignments(response)
        }
        Request::ElectLeaders(_) => {
            Response::ElectLeaders(ElectLeadersResponse { error, partitions: [].into() })
        }
        Request::Produce(_)
        | Request::Fetch(_)
        | Request::ListOffsets(_)
        | Request::OffsetForLeaderEpoch(_)
        | Request::DeleteRecords(_)
        | Request::InitProducerId(_)
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

fn topics_refused(request: &CreateTopicsRequest, error: ErrorCode) -> CreateTopicsResponse {
    let topics = request.topics.iter().map(|topic| CreatedTopic {
        name: topic.name.clone(),
        id: Uuid::ZERO,
        error,
        message: None,
        num_partitions: -1,
        replication_factor: -1,
        configs: [].into(),
    });
    CreateTopicsResponse { topics: topics.collect() }
}
