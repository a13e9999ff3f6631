//! Leader: appends, counts what the voters have made durable, and resigns when it no longer hears
//! from a majority of them.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::event::{Event, Mark};
use crate::ids::{ConnId, CorrelationId, LeaderEpoch, Offset, QuorumEpoch};
use crate::machine::Effects;
use crate::message::raft::{BeginQuorumEpochRequest, BeginQuorumEpochResponse, ReplicaKey};
use crate::message::{Request, Response};
use crate::raft::election::Election;
use crate::raft::log::Entry;
use crate::raft::role::Role;
use crate::raft::{Raft, RaftEvent, Sent, Timer};
use crate::record::{BatchHeader, Builder, LeaderChange, leader_change};
use crate::time::{Instant, Now};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leader {
    /// The offset of the LeaderChange that began this epoch.
    pub epoch_start: Offset,
    /// Whether the state machine was told.
    announced: bool,
    since: Instant,
    /// By the voters' place in the configuration.
    voters: Vec<Progress>,
    /// Who else fetches; kept to know who still reads below a snapshot.
    observers: Vec<(ReplicaKey, Progress)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    /// Everything below is durable there (as far as a voter goes).
    end: Offset,
    /// When it last fetched, in this epoch.
    fetched: Option<Instant>,
    /// When to tell it (again) that the epoch began; none while that is on its way.
    tell: Option<Instant>,
}

impl Leader {
    fn new(epoch_start: Offset, since: Instant, voters: usize) -> Self {
        let progress = Progress { tell: Some(since), ..Progress::default() };
        let voters = alloc::vec![progress; voters];
        Leader { epoch_start, announced: false, since, voters, observers: Vec::new() }
    }

    /// The largest offset that a majority of the voters has, where `me` has `own`.
    fn majority_end(&self, me: usize, own: Offset) -> Offset {
        let majority = self.voters.len() / 2 + 1;
        let end = |at: usize| if at == me { own } else { self.voters[at].end };
        let backed = |offset: Offset| {
            (0..self.voters.len()).filter(|at| end(*at) >= offset).count() >= majority
        };
        let ends = (0..self.voters.len()).map(end);
        ends.filter(|offset| backed(*offset)).max().unwrap_or(Offset::ZERO)
    }

    /// When a majority (this node included) was last heard from; none if it is one alone.
    fn majority_heard(&self, me: usize) -> Option<Instant> {
        let others = self.voters.len() / 2;
        let heard = |at: usize| self.voters[at].fetched.unwrap_or(self.since);
        let mut times: Vec<Instant> =
            (0..self.voters.len()).filter(|at| *at != me).map(heard).collect();
        times.sort_unstable();
        times.iter().rev().nth(others.checked_sub(1)?).copied()
    }

    /// Whether everybody who fetches is past `offset`.
    pub(super) fn all_past(&self, offset: Offset) -> bool {
        let voters = self.voters.iter().filter(|progress| progress.fetched.is_some());
        let observers = self.observers.iter().map(|(_, progress)| progress);
        voters.chain(observers).all(|progress| progress.end >= offset)
    }
}

impl Raft {
    pub(super) fn become_leader(&mut self, now: Now, out: &mut Effects) {
        let me = self.me.expect("only a voter leads");
        let was = self.known();
        let granting = match &self.role {
            Role::Candidate(candidate) => {
                candidate.tally.granting().map(|at| self.server.voters[at].key).collect()
            }
            Role::Resigned(_)
            | Role::Unattached
            | Role::Prospective(_)
            | Role::Leader(_)
            | Role::Follower(_) => Vec::new(),
        };
        self.known_leader = Some(self.key.node);
        let election = Election { leads: true, ..self.ballot.current() };
        self.ballot.set(election, out);
        let voters = self.server.voters.len();
        let mut leader = Leader::new(self.log.end(), now.mono, voters);
        leader.voters[me].tell = None;
        self.begin(Role::Leader(leader), was, out);
        let voters = self.server.voters.iter().map(|voter| voter.key).collect();
        let change = LeaderChange { leader: self.key.node, voters, granting };
        let epoch = LeaderEpoch(self.epoch().0);
        let batch = leader_change(&change, self.log.end(), epoch, now.wall);
        self.append_batch(batch, out);
        self.start_check_quorum(now);
        self.advance(now, out);
    }

    fn append_batch(&mut self, batch: Bytes, out: &mut Effects) -> Offset {
        let header = BatchHeader::parse(&batch).expect("a batch just built is whole");
        self.log.append(Entry::new(&header, batch), out);
        self.log.flush(out);
        header.last_offset()
    }

    /// Appends one batch of these record values; the offset of the last, or none if this node does
    /// not lead. Committed once the [`RaftEvent::Committed`] with that offset comes.
    ///
    /// # Panics
    /// If there are no records.
    pub fn append(&mut self, now: Now, records: &[Bytes], out: &mut Effects) -> Option<Offset> {
        if !matches!(self.role, Role::Leader(_)) {
            return None;
        }
        let epoch = LeaderEpoch(self.epoch().0);
        let mut builder = Builder::new().at(self.log.end(), epoch);
        for record in records {
            builder.append(now.wall, None, Some(record));
        }
        let last = self.append_batch(builder.build(), out);
        self.advance(now, out);
        Some(last)
    }

    /// Gives leadership up, if this node has it (controlled shutdown).
    pub fn resign(&mut self, now: Now, out: &mut Effects) {
        let Role::Leader(leader) = &self.role else { return };
        let me = self.me.expect("only a voter leads");
        let mut heirs: Vec<usize> = (0..leader.voters.len()).filter(|at| *at != me).collect();
        heirs.sort_by_key(|at| (core::cmp::Reverse(leader.voters[*at].end), *at));
        let preferred = heirs.iter().map(|at| self.server.voters[*at].key).collect();
        self.become_resigned(now, preferred, out);
        self.pump(now, out);
    }

    /// Moves the high watermark up to what a majority has made durable.
    pub(super) fn advance(&mut self, now: Now, out: &mut Effects) {
        let own = self.durable_end();
        let Role::Leader(leader) = &self.role else { return };
        let end = leader.majority_end(self.me.expect("only a voter leads"), own);
        // KAFKA-12619, Raft figure 8: an older epoch's records count only below one of the own
        // epoch.
        let exposed = if self.defects().has(Defect::KraftCommitPriorEpoch) {
            end >= leader.epoch_start
        } else {
            end > leader.epoch_start
        };
        if exposed && end > self.high_watermark {
            self.high_watermark = end;
            let epoch = self.epoch();
            out.note(Event::QuorumHighWatermark { epoch, offset: end, leads: true });
            self.deliver();
        }
        self.complete_parked(now, out);
    }

    /// Tells the state machine that it leads: once it has read up to this epoch's own first record.
    pub(super) fn announce(&mut self) {
        let epoch = self.epoch();
        if let Role::Leader(leader) = &mut self.role
            && !leader.announced
            && self.applied > leader.epoch_start
        {
            leader.announced = true;
            self.events.push_back(RaftEvent::Leading { epoch });
        }
    }

    /// A replica fetched in this epoch.
    pub(super) fn heard_from(&mut self, now: Now, replica: ReplicaKey) {
        let at = self.voter_at(replica);
        let tell = now.mono + self.server.quorum.fetch_timeout / 2;
        let patience = self.server.quorum.fetch_timeout;
        let Role::Leader(leader) = &mut self.role else { return };
        if let Some(at) = at {
            leader.voters[at].fetched = Some(now.mono);
            leader.voters[at].tell = Some(tell);
            return;
        }
        leader.observers.retain(|(key, progress)| {
            *key != replica && progress.fetched.is_some_and(|at| at + patience > now.mono)
        });
        let progress = Progress { fetched: Some(now.mono), ..Progress::default() };
        leader.observers.push((replica, progress));
    }

    /// A replica has everything below `end`.
    pub(super) fn has_up_to(
        &mut self,
        now: Now,
        replica: ReplicaKey,
        end: Offset,
        out: &mut Effects,
    ) {
        let at = self.voter_at(replica);
        let Role::Leader(leader) = &mut self.role else { return };
        let progress = match at {
            Some(at) => Some(&mut leader.voters[at]),
            None => leader.observers.last_mut().map(|(_, progress)| progress),
        };
        if let Some(progress) = progress {
            // A delayed copy of an older fetch takes nothing back.
            progress.end = progress.end.max(end);
        }
        if at.is_some() {
            self.advance(now, out);
        }
        self.trim(false, out);
    }

    fn start_check_quorum(&mut self, now: Now) {
        // KAFKA-15489: nobody may listen to a leader that cannot hear.
        if self.defects().has(Defect::KraftNoCheckQuorum) {
            return;
        }
        let Role::Leader(leader) = &self.role else { return };
        let Some(heard) = leader.majority_heard(self.me.expect("only a voter leads")) else {
            return;
        };
        let until = heard + self.server.quorum.fetch_timeout * 3 / 2;
        self.timers.set(Timer::CheckQuorum, until.max(now.mono));
    }

    pub(super) fn check_quorum(&mut self, now: Now, out: &mut Effects) {
        self.start_check_quorum(now);
        if self.timers.get(&Timer::CheckQuorum).is_some_and(|until| until <= now.mono) {
            out.note(Event::Sometimes(Mark::CheckQuorumResigned));
            self.resign(now, out);
        }
    }

    /// Tells the voters that do not fetch who leads.
    pub(super) fn begin_epoch(&mut self, now: Now, out: &mut Effects) {
        let (epoch, node) = (self.epoch(), self.key.node);
        for at in 0..self.server.voters.len() {
            let Role::Leader(leader) = &self.role else { return };
            match leader.voters[at].tell {
                Some(tell) if tell <= now.mono => {}
                Some(tell) => {
                    self.retry_at(tell);
                    continue;
                }
                None => continue,
            }
            let voter = self.server.voters[at].key;
            let request = || {
                Request::BeginQuorumEpoch(BeginQuorumEpochRequest { epoch, leader: node, voter })
            };
            if self.send(now, at, Sent::Begin { epoch }, request, out) {
                self.tell_at(at, None);
            }
        }
    }

    pub(super) fn tell_at(&mut self, at: usize, tell: Option<Instant>) {
        if let Role::Leader(leader) = &mut self.role {
            leader.voters[at].tell = tell;
        }
    }

    pub(super) fn on_begin_epoch(
        &mut self,
        now: Now,
        to: ConnId,
        correlation: CorrelationId,
        request: &BeginQuorumEpochRequest,
        out: &mut Effects,
    ) {
        let mut error = self.stale_epoch(request.epoch);
        if error.is_ok() {
            let same = self.learn(now, request.epoch, Some(request.leader), out);
            if same && matches!(self.role, Role::Prospective(_)) {
                // The leader that was silent speaks.
                self.stop_asking(now, out);
            }
            if self.me.is_none() || !self.same_replica(request.voter, self.key) {
                error = ErrorCode::InvalidVoterKey;
            }
        }
        let (epoch, leader) = (self.epoch(), self.leader());
        let response = BeginQuorumEpochResponse { error, epoch, leader };
        Self::respond(to, correlation, Response::BeginQuorumEpoch(response), out);
    }

    pub(super) fn on_begin_epoch_response(
        &mut self,
        now: Now,
        at: usize,
        epoch: QuorumEpoch,
        response: &BeginQuorumEpochResponse,
        out: &mut Effects,
    ) {
        if epoch == self.epoch() && self.learn(now, response.epoch, response.leader, out) {
            self.tell_at(at, Some(now.mono + self.server.quorum.fetch_timeout / 2));
        }
    }
}
