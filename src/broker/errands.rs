//! Errands to the active controller: when each is due, and what its answer leads to.

use alloc::sync::Arc;

use crate::broker::controller_channel::{Errand, Lane};
use crate::broker::lifecycle::Report;
use crate::broker::{Broker, context};
use crate::error::ErrorCode;
use crate::event::Event;
use crate::ids::{ConnId, CorrelationId, ProducerEpoch, ProducerId, TopicName};
use crate::machine::{Effect, Effects};
use crate::message::admin::{CreatableTopic, CreateTopicsRequest};
use crate::message::cluster::AllocateProducerIdsRequest;
use crate::message::partition::{AlterPartitionRequest, AlterPartitionResponse};
use crate::message::produce::InitProducerIdResponse;
use crate::message::{Request, Response, refusal};
use crate::time::{Instant, Now, earliest};

impl Broker {
    /// When an errand can next go out, or one that is out is given up.
    pub(super) fn errands_deadline(&self) -> Option<Instant> {
        let life = self.controller.when(Lane::Life, self.lifecycle.deadline());
        let work = self.controller.when(Lane::Work, self.work_due());
        let late = earliest(self.forwards.deadline(), self.producer_ids.deadline());
        earliest(earliest(life, work), earliest(late, self.controller.deadline()))
    }

    fn work_due(&self) -> Option<Instant> {
        let registered = self.lifecycle.is_registered();
        let own = earliest(self.isr_changes.due(), self.producer_ids.due());
        earliest(self.forwards.due(), own.filter(|_| registered))
    }

    /// Sends what is due.
    pub(super) fn run_errands(&mut self, now: Now, out: &mut Effects) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now.mono);
        let server = Arc::clone(&self.setup.server);
        if due(self.lifecycle.deadline())
            && self.controller.ready(now.mono, Lane::Life, &server, out)
        {
            self.report(now, out);
        }
        if due(self.work_due()) && self.controller.ready(now.mono, Lane::Work, &server, out) {
            self.send_work(now, out);
        }
    }

    fn report(&mut self, now: Now, out: &mut Effects) {
        let caught_up = self.metadata.is_published();
        let applied = self.metadata.applied();
        // A report that nobody answers is repeated in time to keep the session.
        let deadline = now.mono + self.setup.broker.broker_heartbeat_interval * 2;
        let (request, errand) =
            match self.lifecycle.report(now.mono, &self.setup, applied, caught_up) {
                Report::Register(request) => {
                    (Request::BrokerRegistration(request), Errand::Registration)
                }
                Report::Heartbeat(request) => {
                    (Request::BrokerHeartbeat(request), Errand::Heartbeat)
                }
            };
        self.controller.send(Lane::Life, Arc::new(request), deadline, errand, out);
    }

    fn send_work(&mut self, now: Now, out: &mut Effects) {
        let deadline = now.mono + self.setup.broker.request_timeout;
        let (node, epoch) = (self.setup.server.node, self.lifecycle.epoch());
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now.mono);
        if self.lifecycle.is_registered() && due(self.isr_changes.due()) {
            let partitions = self.isr_changes.send();
            let request = AlterPartitionRequest { node, broker_epoch: epoch, partitions };
            let request = Arc::new(Request::AlterPartition(request));
            self.controller.send(Lane::Work, request, deadline, Errand::AlterPartition, out);
        }
        if self.lifecycle.is_registered() && due(self.producer_ids.due()) {
            self.producer_ids.asked();
            let request = AllocateProducerIdsRequest { node, epoch };
            let request = Arc::new(Request::AllocateProducerIds(request));
            self.controller.send(Lane::Work, request, deadline, Errand::ProducerIds, out);
        }
        while let Some((number, request, deadline)) = self.forwards.send_next(now.mono) {
            self.controller.send(Lane::Work, request, deadline, Errand::Forward(number), out);
        }
    }

    pub(super) fn errand_answered(
        &mut self,
        now: Now,
        conn: ConnId,
        correlation: CorrelationId,
        response: &Arc<Response>,
        out: &mut Effects,
    ) {
        let Some(errand) = self.controller.answered(conn, correlation) else { return };
        match (&errand, &**response) {
            (Errand::Registration, Response::BrokerRegistration(answer)) => {
                if self.lifecycle.registered(now.mono, answer, &mut self.rng) {
                    out.note(Event::Registered { epoch: answer.epoch });
                }
            }
            (Errand::Heartbeat, Response::BrokerHeartbeat(answer)) => {
                let interval = self.setup.broker.broker_heartbeat_interval;
                self.lifecycle.heartbeat_answered(now.mono, answer, interval, &mut self.rng);
                if self.lifecycle.may_shut_down() {
                    self.flush_and_leave(now, out);
                }
            }
            (Errand::AlterPartition, Response::AlterPartition(answer)) => {
                self.isr_answered(now, answer, out);
            }
            (Errand::ProducerIds, Response::AllocateProducerIds(answer)) => {
                for (waiting, id) in self.producer_ids.answered(now.mono, answer) {
                    Self::respond((waiting.to, waiting.correlation), id_answer(Ok(id)), out);
                }
            }
            (Errand::Forward(number), _) => self.forward_answered(now, *number, response, out),
            (Errand::AutoCreate(name), _) => {
                self.auto_creating.remove(name);
            }
            // A controller that answers another question than was asked is as good as silent.
            (
                Errand::Registration
                | Errand::Heartbeat
                | Errand::AlterPartition
                | Errand::ProducerIds,
                _,
            ) => self.errands_failed(now, &[errand], out),
        }
    }

    fn forward_answered(
        &mut self,
        now: Now,
        number: u64,
        response: &Arc<Response>,
        out: &mut Effects,
    ) {
        if refusal::error_of(response) == ErrorCode::NotController {
            self.forwards.retry(now.mono, number);
        } else if let Some(client) = self.forwards.take(number) {
            let (to, correlation) = (client.to, client.correlation);
            out.push(Effect::Respond { to, correlation, response: Arc::clone(response) });
        }
    }

    /// Hands each leader the answer to its proposal.
    fn isr_answered(&mut self, now: Now, answer: &AlterPartitionResponse, out: &mut Effects) {
        if answer.error != ErrorCode::None {
            self.isr_refused(now, answer.error, out);
            return;
        }
        let ctx = context!(self, now);
        for sent in self.isr_changes.take_sent() {
            let Some(replica) = self.partitions.touch(sent.partition) else { continue };
            let own = answer.partitions.iter().find(|each| each.partition == sent.partition);
            replica.isr_answer(&ctx, &sent, own.ok_or(ErrorCode::UnknownServerError), out);
        }
    }

    /// The request as a whole came to nothing: each leader decides what to do about its part.
    pub(super) fn isr_refused(&mut self, now: Now, error: ErrorCode, out: &mut Effects) {
        let ctx = context!(self, now);
        for sent in self.isr_changes.take_sent() {
            let Some(replica) = self.partitions.touch(sent.partition) else { continue };
            replica.isr_answer(&ctx, &sent, Err(error), out);
        }
    }

    /// Sends those away who have waited too long for the controller.
    pub(super) fn expire_errands(&mut self, now: Now, out: &mut Effects) {
        for late in self.forwards.expire(now.mono) {
            let answer = refusal::controlled(&late.request, ErrorCode::RequestTimedOut)
                .expect("what is forwarded can be refused");
            Self::respond((late.to, late.correlation), answer, out);
        }
        for late in self.producer_ids.expire(now.mono) {
            let error = ErrorCode::CoordinatorLoadInProgress;
            Self::respond((late.to, late.correlation), id_answer(Err(error)), out);
        }
    }

    /// Makes topics that a client asked about and that do not exist (`auto.create.topics.enable`).
    pub(super) fn auto_create(&mut self, now: Now, names: &[TopicName], out: &mut Effects) {
        for name in names {
            let topic = CreatableTopic {
                name: name.clone(),
                num_partitions: self.setup.broker.num_partitions,
                replication_factor: self.setup.broker.default_replication_factor,
                assignments: alloc::vec![],
                configs: alloc::vec![],
            };
            self.create_topic(now, topic, out);
        }
    }

    /// Makes a topic that is needed, unless that is under way. Whoever needs it asks again.
    pub(super) fn create_topic(&mut self, now: Now, topic: CreatableTopic, out: &mut Effects) {
        let server = Arc::clone(&self.setup.server);
        if self.auto_creating.contains(&topic.name)
            || !self.controller.ready(now.mono, Lane::Work, &server, out)
        {
            return;
        }
        self.auto_creating.insert(topic.name.clone());
        let timeout = self.setup.broker.request_timeout;
        let errand = Errand::AutoCreate(topic.name.clone());
        let request = Arc::new(Request::CreateTopics(CreateTopicsRequest {
            timeout,
            validate_only: false,
            topics: alloc::vec![topic],
        }));
        self.controller.send(Lane::Work, request, now.mono + timeout, errand, out);
    }
}

/// The answer to InitProducerId; a new id starts with epoch 0.
pub(super) fn id_answer(id: Result<ProducerId, ErrorCode>) -> Response {
    Response::InitProducerId(match id {
        Ok(producer_id) => InitProducerIdResponse {
            error: ErrorCode::None,
            producer_id,
            producer_epoch: ProducerEpoch(0),
        },
        Err(error) => InitProducerIdResponse {
            error,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
        },
    })
}
