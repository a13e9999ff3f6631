//! From an input to the role that takes it, and from the roles to the connections.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::event::RaftRole;
use crate::ids::{ConnId, CorrelationId, LogPoint};
use crate::machine::{Effect, Effects, FileKey, Input};
use crate::message::{Request, Response, coordinated};
use crate::raft::role::Role;
use crate::raft::{Raft, Sent, Timer};
use crate::time::{Instant, Now, earliest};

impl Raft {
    /// Takes an input if it is raft's; false if it is somebody else's. `Wake` and the `Closed` of
    /// an inbound connection are taken in and still answered false: they concern others too.
    pub fn on_input(&mut self, now: Now, input: &Input, out: &mut Effects) -> bool {
        match input {
            Input::Wake => {
                self.wake(now, out);
                false
            }
            Input::Opened { conn } => {
                let own = self.owns(*conn);
                if own {
                    self.opened(now, *conn, out);
                }
                own
            }
            Input::Closed { conn } => {
                self.closed(now, *conn, out);
                self.owns(*conn)
            }
            Input::Request { from, correlation, request } => {
                self.on_request(now, *from, *correlation, request, out)
            }
            Input::Response { conn, correlation, response } => {
                let own = self.owns(*conn);
                if own {
                    self.response(now, *conn, *correlation, response, out);
                }
                own
            }
            Input::Flushed { log, upto } => {
                let own = *log == self.log.id();
                if own {
                    self.flushed(now, *upto, out);
                }
                own
            }
            Input::Saved { file } => self.saved(now, *file, out),
            Input::Lost { log } => {
                let own = *log == self.log.id();
                if own {
                    out.push(Effect::Halt);
                }
                own
            }
            Input::LostFile { file } => {
                let own = matches!(file, FileKey::QuorumState | FileKey::Snapshot);
                if own {
                    out.push(Effect::Halt);
                }
                own
            }
            Input::Loaded { .. } | Input::Call { .. } => false,
        }
    }

    /// Serves Vote, BeginQuorumEpoch, EndQuorumEpoch, QuorumFetch and FetchSnapshot; false for
    /// others.
    pub fn on_request(
        &mut self,
        now: Now,
        from: ConnId,
        correlation: CorrelationId,
        request: &Request,
        out: &mut Effects,
    ) -> bool {
        match request {
            Request::Vote(request) => self.on_vote(now, from, correlation, request, out),
            Request::BeginQuorumEpoch(request) => {
                self.on_begin_epoch(now, from, correlation, request, out);
            }
            Request::EndQuorumEpoch(request) => {
                self.on_end_epoch(now, from, correlation, request, out);
            }
            Request::QuorumFetch(request) => self.on_fetch(now, from, correlation, request, out),
            Request::FetchSnapshot(request) => {
                self.on_fetch_snapshot(now, from, correlation, request, out);
            }
            Request::Produce(_)
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
            | Request::CreateTopics(_)
            | Request::DeleteTopics(_)
            | Request::CreatePartitions(_)
            | Request::DescribeConfigs(_)
            | Request::IncrementalAlterConfigs(_)
            | Request::AlterPartitionReassignments(_)
            | Request::ListPartitionReassignments(_)
            | Request::ElectLeaders(_)
            | Request::BrokerRegistration(_)
            | Request::BrokerHeartbeat(_)
            | Request::UnregisterBroker(_)
            | Request::AllocateProducerIds(_)
            | Request::AlterPartition(_)
            | Request::Store(_) => return false,
        }
        self.pump(now, out);
        true
    }

    /// Whether an outbound connection is raft's (space 1).
    #[must_use]
    pub fn owns(&self, conn: ConnId) -> bool {
        self.channels.owns(conn)
    }

    pub fn opened(&mut self, now: Now, conn: ConnId, out: &mut Effects) {
        if self.channels.opened(conn).is_some() {
            self.pump(now, out);
        }
    }

    /// Any connection closed: an own one, or an inbound one that may have fetches parked.
    pub fn closed(&mut self, now: Now, conn: ConnId, out: &mut Effects) {
        self.parked.retain(|parked| parked.from != conn);
        self.held.retain(|(to, _, _)| *to != conn);
        if let Some((at, failed)) = self.channels.closed(now.mono, conn, &mut self.rng) {
            self.lost(now, at, failed, out);
            self.pump(now, out);
        }
    }

    /// Requests to a voter got no answer.
    fn lost(&mut self, now: Now, at: usize, failed: Vec<Sent>, out: &mut Effects) {
        for sent in failed {
            match sent {
                Sent::Vote { epoch, .. } if epoch == self.epoch() => self.vote_lost(at),
                Sent::Begin { epoch } if epoch == self.epoch() => {
                    let pause = self.server.quorum.fetch_timeout / 2;
                    self.tell_at(at, Some(now.mono + pause));
                }
                Sent::End { epoch } if epoch == self.epoch() => self.set_untold(at, true),
                Sent::Fetch { number } => self.fetch_failed(now, number, out),
                Sent::Vote { .. } | Sent::Begin { .. } | Sent::End { .. } => {}
            }
        }
    }

    pub fn response(
        &mut self,
        now: Now,
        conn: ConnId,
        correlation: CorrelationId,
        response: &Response,
        out: &mut Effects,
    ) {
        let Some((at, sent)) = self.channels.answered(conn, correlation) else { return };
        match (sent, response) {
            (Sent::Vote { epoch, pre_vote }, Response::Vote(response)) => {
                if epoch == self.epoch() {
                    self.on_vote_response(now, at, pre_vote, response, out);
                }
            }
            (Sent::Begin { epoch }, Response::BeginQuorumEpoch(response)) => {
                self.on_begin_epoch_response(now, at, epoch, response, out);
            }
            (Sent::End { epoch }, Response::EndQuorumEpoch(response)) => {
                self.on_end_epoch_response(now, epoch, response, out);
            }
            (Sent::Fetch { number }, Response::QuorumFetch(response)) => {
                self.on_fetch_response(now, number, response, out);
            }
            (Sent::Fetch { number }, Response::FetchSnapshot(response)) => {
                self.on_fetch_snapshot_response(now, number, response, out);
            }
            // An answer of another kind than the request is a broken peer's.
            (
                sent @ (Sent::Vote { .. }
                | Sent::Begin { .. }
                | Sent::End { .. }
                | Sent::Fetch { .. }),
                _,
            ) => self.lost(now, at, alloc::vec![sent], out),
        }
        self.pump(now, out);
    }

    /// `Input::Flushed` of the metadata log.
    pub fn flushed(&mut self, now: Now, upto: LogPoint, out: &mut Effects) {
        self.log.flushed(upto, out);
        self.advance(now, out);
        self.pump(now, out);
    }

    /// `Input::Saved` of `QuorumState` or `Snapshot`; false for other files.
    pub fn saved(&mut self, now: Now, file: FileKey, out: &mut Effects) -> bool {
        match file {
            FileKey::QuorumState => {
                self.ballot.written(out);
                self.release_held(out);
                self.count_votes(now, out);
            }
            FileKey::Snapshot => self.snapshot_saved(out),
            FileKey::MetaProperties
            | FileKey::HighWatermarks
            | FileKey::CleanShutdown
            | FileKey::LeaderEpochs(_)
            | FileKey::Producers(_)
            | FileKey::LogStart(_) => return false,
        }
        self.pump(now, out);
        true
    }

    pub fn wake(&mut self, now: Now, out: &mut Effects) {
        if self.deadline().is_none_or(|deadline| deadline > now.mono) {
            return;
        }
        for (at, failed) in self.channels.expire(now.mono, &mut self.rng, out) {
            self.lost(now, at, failed, out);
        }
        while let Some(timer) = self.timers.pop_due(now.mono) {
            match timer {
                Timer::Election => self.election_timed_out(now, out),
                Timer::Fetch => self.fetch_timed_out(now, out),
                Timer::CheckQuorum => self.check_quorum(now, out),
            }
        }
        self.complete_parked(now, out);
        self.pump(now, out);
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let parked = self.parked.iter().map(|parked| parked.deadline).min();
        let timers = earliest(self.timers.next(), self.retry);
        earliest(earliest(timers, parked), self.channels.deadline())
    }

    pub(super) fn election_timed_out(&mut self, now: Now, out: &mut Effects) {
        match self.role.kind() {
            RaftRole::Unattached if self.me.is_none() => self.ask_next(now),
            RaftRole::Unattached => self.become_prospective(now, out),
            // In its own epoch it can neither lead again nor vote for another.
            RaftRole::Resigned => {
                let next = self.epoch().next();
                self.become_unattached(now, next, out);
            }
            RaftRole::Prospective => self.stop_asking(now, out),
            RaftRole::Candidate => self.become_prospective(now, out),
            RaftRole::Leader | RaftRole::Follower => {}
        }
    }

    /// Sends what the role has to send. Runs at the end of every step.
    pub(super) fn pump(&mut self, now: Now, out: &mut Effects) {
        self.retry = None;
        match &self.role {
            Role::Leader(_) => self.begin_epoch(now, out),
            Role::Prospective(_) => self.ask_for_votes(now, true, out),
            Role::Candidate(_) => self.ask_for_votes(now, false, out),
            Role::Resigned(_) => self.end_epoch(now, out),
            Role::Unattached | Role::Follower(_) => self.fetch(now, out),
        }
    }

    pub(super) fn retry_at(&mut self, at: Instant) {
        self.retry = earliest(self.retry, Some(at));
    }

    /// Sends to the voter at that place, if its connection is up; otherwise sees to it that this is
    /// tried again.
    pub(super) fn send(
        &mut self,
        now: Now,
        at: usize,
        sent: Sent,
        request: impl FnOnce() -> Request,
        out: &mut Effects,
    ) -> bool {
        if self.channels.ready(now.mono, &at, &self.server.voters[at].endpoint, out) {
            let deadline = self.later(now);
            self.channels.send(&at, Arc::new(request()), deadline, sent, out);
            return true;
        }
        if let Some(until) = self.channels.blocked_until(&at) {
            self.retry_at(until);
        }
        false
    }

    pub(super) fn respond(
        to: ConnId,
        correlation: CorrelationId,
        response: Response,
        out: &mut Effects,
    ) {
        out.push(Effect::Respond { to, correlation, response: Arc::new(response) });
    }
}
