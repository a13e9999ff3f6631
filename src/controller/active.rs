//! The active controller at work: requests, silence, timers. Every decision takes one way: a draft
//! on the speculative image, one batch in the log, an answer behind it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::controller::answer::{Answer, refuse};
use crate::controller::configs::alter_configs;
use crate::controller::heartbeat::{fence, heartbeat};
use crate::controller::isr::alter_partitions;
use crate::controller::leaders::{elect_leaders, rebalance};
use crate::controller::producer_ids::allocate;
use crate::controller::reassignment::{alter_reassignments, even_out, list_reassignments};
use crate::controller::registration::{register, unregister};
use crate::controller::rules::{Draft, Rules};
use crate::controller::session::Sessions;
use crate::controller::topics::{create_partitions, create_topics, delete_topics};
use crate::controller::{Controller, ControllerSetup, Timer};
use crate::error::ErrorCode;
use crate::event::{Event, Mark};
use crate::ids::{BrokerEpoch, ConnId, CorrelationId};
use crate::machine::Effects;
use crate::message::cluster::BrokerRegistrationResponse;
use crate::message::{Request, Response, coordinated, quorum};
use crate::metadata::MetadataRecord;
use crate::rng::Rng;
use crate::time::{Instant, Now};

/// This controller no longer leads, or could not append.
struct Deposed;

impl Controller {
    /// Becomes active: everything that leaders before it decided is applied.
    pub(super) fn lead(&mut self, now: Now) {
        self.shard.lead();
        let config = &self.setup.controller;
        self.sessions =
            Sessions::begin(self.shard.committed(), now.mono, config.broker_session_timeout);
        self.timers.clear();
        self.timers.set(Timer::NoOp, now.mono + config.no_op_interval);
        if config.auto_leader_rebalance {
            let interval = config.leader_imbalance_check_interval;
            self.timers.set(Timer::Balance, now.mono + interval);
        }
        if config.auto_replica_rebalance {
            let interval = config.leader_imbalance_check_interval;
            self.timers.set(Timer::Replicas, now.mono + interval);
        }
    }

    /// No longer active: what is not committed may be lost, and nobody was told of it.
    pub(super) fn resign(&mut self, out: &mut Effects) {
        self.timers.clear();
        self.sessions = Sessions::default();
        let dropped = self.shard.resign();
        if !dropped.is_empty() {
            out.note(Event::Sometimes(Mark::DecisionDropped));
        }
        for (_, answer) in dropped {
            refuse(answer.to, answer.correlation, &answer.request, out);
        }
    }

    pub(super) fn request(
        &mut self,
        now: Now,
        from: ConnId,
        correlation: CorrelationId,
        request: Arc<Request>,
        out: &mut Effects,
    ) {
        if !self.shard.is_leading() {
            return refuse(from, correlation, &request, out);
        }
        if let Request::ListPartitionReassignments(list) = &*request {
            let response = list_reassignments(self.shard.committed(), list);
            let response = Response::ListPartitionReassignments(response);
            let answer = Answer { to: from, correlation, request, response };
            return self.respond(self.shard.applied(), answer, out);
        }
        let decide = |desk: Desk<'_>, draft: &mut Draft<'_>| desk.serve(draft, now.mono, &request);
        match self.decide(now, out, decide) {
            Ok(Some(response)) => {
                self.answer(Answer { to: from, correlation, request, response }, out);
            }
            Ok(None) | Err(Deposed) => refuse(from, correlation, &request, out),
        }
    }

    pub(super) fn wake(&mut self, now: Now, out: &mut Effects) {
        if !self.shard.is_leading() {
            return;
        }
        let silent = self.sessions.expire(now.mono);
        if !silent.is_empty() {
            let fence = |desk: Desk<'_>, draft: &mut Draft<'_>| fence(draft, desk.rules, &silent);
            if self.decide(now, out, fence).is_err() {
                return;
            }
        }
        while let Some(timer) = self.timers.pop_due(now.mono) {
            let (interval, done) = match timer {
                Timer::NoOp => {
                    let no_op = |_: Desk<'_>, draft: &mut Draft<'_>| {
                        draft.push(MetadataRecord::NoOp);
                    };
                    (self.setup.controller.no_op_interval, self.decide(now, out, no_op))
                }
                Timer::Balance => {
                    let balance =
                        |desk: Desk<'_>, draft: &mut Draft<'_>| rebalance(draft, desk.rules);
                    let interval = self.setup.controller.leader_imbalance_check_interval;
                    (interval, self.decide(now, out, balance))
                }
                Timer::Replicas => {
                    let even_out =
                        |desk: Desk<'_>, draft: &mut Draft<'_>| even_out(draft, desk.rules);
                    let interval = self.setup.controller.leader_imbalance_check_interval;
                    (interval, self.decide(now, out, even_out))
                }
            };
            if done.is_err() {
                return;
            }
            self.timers.set(timer, now.mono + interval);
        }
    }

    /// Takes a decision and appends its records as one batch: all of it happens, or nothing.
    fn decide<T>(
        &mut self,
        now: Now,
        out: &mut Effects,
        decide: impl FnOnce(Desk<'_>, &mut Draft<'_>) -> T,
    ) -> Result<T, Deposed> {
        let base = self.raft.end_offset();
        let desk = Desk {
            setup: &self.setup,
            rules: Controller::rules(&self.setup),
            sessions: &mut self.sessions,
            rng: &mut self.rng,
        };
        let Some(mut draft) = self.shard.draft(base) else { return Err(Deposed) };
        let decided = decide(desk, &mut draft);
        let end = draft.next();
        let records = draft.finish();
        if records.is_empty() {
            return Ok(decided);
        }
        let values: Vec<Bytes> = records.iter().map(MetadataRecord::encode).collect();
        let Some(last) = self.raft.append(now, &values, out) else {
            self.resign(out);
            return Err(Deposed);
        };
        assert_eq!(last.next(), end, "records land where the decision put them");
        self.shard.appended(last);
        // The cluster is not idle: the next NoOp can wait (KIP-835).
        self.timers.set(Timer::NoOp, now.mono + self.setup.controller.no_op_interval);
        Ok(decided)
    }
}

/// What decisions use beside the image.
struct Desk<'a> {
    setup: &'a ControllerSetup,
    rules: Rules<'a>,
    sessions: &'a mut Sessions,
    rng: &'a mut Rng,
}

impl Desk<'_> {
    /// Decides a request; none if a controller does not serve it.
    fn serve(self, draft: &mut Draft<'_>, now: Instant, request: &Request) -> Option<Response> {
        let Desk { setup, rules, sessions, rng } = self;
        Some(match request {
            Request::BrokerRegistration(request) => {
                let response = if request.cluster_id == setup.server.cluster_id {
                    register(draft, rules, sessions, now, request)
                } else {
                    let error = ErrorCode::InconsistentClusterId;
                    BrokerRegistrationResponse { error, epoch: BrokerEpoch::NONE }
                };
                Response::BrokerRegistration(response)
            }
            Request::BrokerHeartbeat(request) => {
                Response::BrokerHeartbeat(heartbeat(draft, rules, sessions, now, request))
            }
            Request::UnregisterBroker(request) => {
                Response::UnregisterBroker(unregister(draft, rules, sessions, request))
            }
            Request::AlterPartition(request) => {
                Response::AlterPartition(alter_partitions(draft, rules, request))
            }
            Request::AllocateProducerIds(request) => {
                Response::AllocateProducerIds(allocate(draft, rules, request))
            }
            Request::CreateTopics(request) => {
                Response::CreateTopics(create_topics(draft, rules, rng, request))
            }
            Request::DeleteTopics(request) => Response::DeleteTopics(delete_topics(draft, request)),
            Request::CreatePartitions(request) => {
                Response::CreatePartitions(create_partitions(draft, rng, request))
            }
            Request::IncrementalAlterConfigs(request) => {
                Response::IncrementalAlterConfigs(alter_configs(draft, rules, request))
            }
            Request::AlterPartitionReassignments(request) => {
                Response::AlterPartitionReassignments(alter_reassignments(draft, rules, request))
            }
            Request::ElectLeaders(request) => {
                Response::ElectLeaders(elect_leaders(draft, rules, request))
            }
            Request::ListPartitionReassignments(_)
            | Request::Produce(_)
            | Request::Fetch(_)
            | Request::ListOffsets(_)
            | Request::OffsetForLeaderEpoch(_)
            | Request::DeleteRecords(_)
            | Request::InitProducerId(_)
            | coordinated!(Request)
            | Request::WriteTxnMarkers(_)
            | Request::DescribeProducers(_)
            | Request::Metadata(_)
            | Request::DescribeCluster(_)
            | Request::DescribeConfigs(_)
            | Request::Store(_)
            | quorum!(Request) => return None,
        })
    }
}
