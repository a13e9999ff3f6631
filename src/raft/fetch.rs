//! The leader's answers to fetches: at once if there is something to tell, otherwise parked.

use alloc::vec::Vec;

use crate::error::ErrorCode;
use crate::ids::{ConnId, CorrelationId, LeaderEpoch, LogPoint, Offset, QuorumEpoch};
use crate::machine::Effects;
use crate::message::Response;
use crate::message::raft::{QuorumFetchRequest, QuorumFetchResponse, ReplicaKey};
use crate::raft::Raft;
use crate::raft::role::Role;
use crate::time::{Instant, Now};

/// A fetch that waits for records, for a higher high watermark, or for its time to be up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parked {
    pub from: ConnId,
    correlation: CorrelationId,
    replica: ReplicaKey,
    voter: bool,
    offset: Offset,
    high_watermark: Offset,
    pub deadline: Instant,
}

impl Raft {
    /// The error for a request that only the leader of `epoch` can serve.
    pub(super) fn leader_only(&self, epoch: QuorumEpoch) -> ErrorCode {
        if epoch < self.epoch() {
            ErrorCode::FencedLeaderEpoch
        } else if epoch > self.epoch() {
            ErrorCode::UnknownLeaderEpoch
        } else if matches!(self.role, Role::Leader(_)) {
            ErrorCode::None
        } else {
            ErrorCode::NotLeaderOrFollower
        }
    }

    pub(super) fn on_fetch(
        &mut self,
        now: Now,
        from: ConnId,
        correlation: CorrelationId,
        request: &QuorumFetchRequest,
        out: &mut Effects,
    ) {
        let replica = request.replica;
        let stale = |parked: &Parked| parked.from == from && parked.correlation > correlation;
        if self.parked.iter().any(|parked| parked.replica == replica && stale(parked)) {
            // A delayed copy: nobody waits for its answer.
            return;
        }
        // A replica waits for one answer: an older fetch of it came over a connection that broke.
        self.parked.retain(|parked| parked.replica != replica);
        let error = self.leader_only(request.epoch);
        if !error.is_ok() {
            let response = self.fetch_response(error);
            Self::respond(from, correlation, Response::QuorumFetch(response), out);
            return;
        }
        self.heard_from(now, replica);
        if let Err(response) = self.validate(request) {
            Self::respond(from, correlation, Response::QuorumFetch(*response), out);
            return;
        }
        self.has_up_to(now, replica, request.fetch_offset, out);
        let parked = Parked {
            from,
            correlation,
            replica,
            voter: self.voter_at(replica).is_some(),
            offset: request.fetch_offset,
            high_watermark: request.high_watermark,
            deadline: now.mono + request.max_wait,
        };
        if self.ready(now, &parked) {
            self.answer(&parked, out);
        } else {
            self.parked.push(parked);
        }
    }

    /// Whether the fetcher's log is a part of this one; otherwise what it has to do first.
    fn validate(
        &self,
        request: &QuorumFetchRequest,
    ) -> Result<(), alloc::boxed::Box<QuorumFetchResponse>> {
        let (start, offset) = (self.log.start(), request.fetch_offset);
        let last = LeaderEpoch(request.last_fetched_epoch.0);
        let gone = offset < start.offset
            || last < start.epoch
            || (offset == start.offset && last != start.epoch);
        if gone && let Some(snapshot) = &self.snapshot {
            let mut response = self.fetch_response(ErrorCode::None);
            response.snapshot = Some(snapshot.point);
            return Err(response.into());
        }
        let LogPoint { epoch, offset: end } = self.log.end_for(last);
        if epoch < last || end < offset {
            let mut response = self.fetch_response(ErrorCode::None);
            response.diverging = Some(LogPoint { epoch, offset: end });
            return Err(response.into());
        }
        Ok(())
    }

    fn fetch_response(&self, error: ErrorCode) -> QuorumFetchResponse {
        QuorumFetchResponse {
            error,
            epoch: self.epoch(),
            leader: self.leader(),
            high_watermark: self.high_watermark,
            diverging: None,
            snapshot: None,
            batches: Vec::new(),
        }
    }

    /// How far a fetcher may read: voters what is durable here, so that nothing can come back
    /// different; observers what is committed, which spares them a second answer for each batch.
    fn readable(&self, voter: bool) -> Offset {
        if voter { self.durable_end() } else { self.high_watermark }
    }

    fn ready(&self, now: Now, parked: &Parked) -> bool {
        parked.deadline <= now.mono
            || self.readable(parked.voter) > parked.offset
            // KIP-1166: the high watermark goes out at once, not with the next records.
            || self.high_watermark.min(parked.offset) > parked.high_watermark
    }

    fn answer(&self, parked: &Parked, out: &mut Effects) {
        let mut response = self.fetch_response(ErrorCode::None);
        let max_bytes = self.server.quorum.fetch_max_bytes;
        response.batches = self.log.read(parked.offset, self.readable(parked.voter), max_bytes);
        Self::respond(parked.from, parked.correlation, Response::QuorumFetch(response), out);
    }

    /// Answers the parked fetches that have something to hear, or whose time is up.
    pub(super) fn complete_parked(&mut self, now: Now, out: &mut Effects) {
        let mut at = 0;
        while at < self.parked.len() {
            if self.ready(now, &self.parked[at]) {
                let parked = self.parked.remove(at);
                self.answer(&parked, out);
            } else {
                at += 1;
            }
        }
    }

    /// This node leads no longer: the fetchers have to look elsewhere.
    pub(super) fn turn_away_parked(&mut self, out: &mut Effects) {
        for parked in core::mem::take(&mut self.parked) {
            let response = self.fetch_response(ErrorCode::NotLeaderOrFollower);
            Self::respond(parked.from, parked.correlation, Response::QuorumFetch(response), out);
        }
    }
}
