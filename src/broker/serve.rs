//! Which room of the broker a request goes to.

use alloc::sync::Arc;

use crate::broker::errands::id_answer;
use crate::broker::{Broker, configs, metadata_api};
use crate::error::ErrorCode;
use crate::ids::{ConnId, CorrelationId};
use crate::machine::Effects;
use crate::message::metadata::MetadataRequest;
use crate::message::store::StoreResponse;
use crate::message::{Request, Response, coordinated, quorum, refusal};
use crate::time::{Duration, Now};

impl Broker {
    pub(super) fn serve(
        &mut self,
        now: Now,
        client: (ConnId, CorrelationId),
        request: &Arc<Request>,
        out: &mut Effects,
    ) {
        if self.is_leaving() {
            // Everything is flushed and about to stop: nothing may come after.
            return;
        }
        match &**request {
            Request::Produce(produce) => self.produce(now, client, request, produce, out),
            Request::Fetch(fetch) => self.fetch(now, client, request, fetch, out),
            Request::ListOffsets(ask) => self.list_offsets(now, client, ask, out),
            Request::OffsetForLeaderEpoch(ask) => self.epoch_ends(now, client, ask, out),
            Request::DeleteRecords(delete) => self.delete_records(now, client, delete, out),
            Request::InitProducerId(init) if init.transactional_id.is_some() => {
                self.coordinate(now, client, request, out);
            }
            Request::InitProducerId(_) => self.init_producer_id(now, client, out),
            Request::WriteTxnMarkers(markers) => self.write_markers(now, client, markers, out),
            Request::DescribeProducers(ask) => {
                let answer = self.describe_producers(ask);
                Self::respond(client, Response::DescribeProducers(answer), out);
            }
            Request::Metadata(ask) => self.metadata_asked(now, client, ask, out),
            Request::DescribeCluster(ask) => {
                let server = &self.setup.server;
                let answer = metadata_api::describe_cluster(server, self.metadata.image(), ask);
                Self::respond(client, Response::DescribeCluster(answer), out);
            }
            Request::DescribeConfigs(ask) => {
                let answer = configs::describe(&self.setup, self.metadata.image(), ask);
                Self::respond(client, Response::DescribeConfigs(answer), out);
            }
            Request::CreateTopics(ask) => self.forward(now, client, request, ask.timeout),
            Request::DeleteTopics(ask) => self.forward(now, client, request, ask.timeout),
            Request::CreatePartitions(ask) => self.forward(now, client, request, ask.timeout),
            Request::AlterPartitionReassignments(ask) => {
                self.forward(now, client, request, ask.timeout);
            }
            Request::ElectLeaders(ask) => self.forward(now, client, request, ask.timeout),
            Request::IncrementalAlterConfigs(_)
            | Request::ListPartitionReassignments(_)
            | Request::UnregisterBroker(_) => {
                self.forward(now, client, request, self.setup.broker.request_timeout);
            }
            Request::BrokerRegistration(_)
            | Request::BrokerHeartbeat(_)
            | Request::AllocateProducerIds(_)
            | Request::AlterPartition(_) => {
                let answer = refusal::controlled(request, ErrorCode::NotController);
                let answer = answer.expect("what is a controller's can be refused");
                Self::respond(client, answer, out);
            }
            Request::Store(_) => {
                let refused = StoreResponse::Failed(ErrorCode::UnsupportedVersion);
                Self::respond(client, Response::Store(refused), out);
            }
            coordinated!(Request) => self.coordinate(now, client, request, out),
            quorum!(Request) => {
                let taken = self.raft.on_request(now, client.0, client.1, request, out);
                assert!(taken, "raft answers what is the quorum's");
            }
        }
    }

    /// Passes a request on to the controller. The client's own patience bounds the wait.
    fn forward(
        &mut self,
        now: Now,
        client: (ConnId, CorrelationId),
        request: &Arc<Request>,
        timeout: Duration,
    ) {
        let longest = self.setup.broker.request_timeout;
        let timeout = if timeout == Duration::ZERO { longest } else { timeout.min(longest) };
        self.forwards.add(now.mono, client, Arc::clone(request), timeout);
    }

    fn metadata_asked(
        &mut self,
        now: Now,
        client: (ConnId, CorrelationId),
        request: &MetadataRequest,
        out: &mut Effects,
    ) {
        let image = Arc::clone(self.metadata.image());
        let (mut answer, unknown) = metadata_api::metadata(&self.setup.server, &image, request);
        let create = request.allow_auto_topic_creation && self.setup.broker.auto_create_topics;
        if create && !unknown.is_empty() {
            self.auto_create(now, &unknown, out);
            for topic in &mut answer.topics {
                let asked = topic.name.as_ref().is_some_and(|name| unknown.contains(name));
                if asked {
                    topic.error = ErrorCode::LeaderNotAvailable;
                }
            }
        }
        Self::respond(client, Response::Metadata(answer), out);
    }

    fn init_producer_id(&mut self, now: Now, client: (ConnId, CorrelationId), out: &mut Effects) {
        // Without a transactional id every request is for a new session, whatever id it names.
        if let Some(id) = self.producer_ids.take(now.mono, client) {
            Self::respond(client, id_answer(Ok(id)), out);
        }
    }
}
