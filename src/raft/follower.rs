//! Follower: fetches from the leader, appends, and trusts only what is durable here.
//!
//! An observer is a follower whose fetches do not count; it finds its leader by asking the voters.

use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::event::{Event, Mark};
use crate::ids::{LeaderEpoch, LogPoint, NodeId, Offset, QuorumEpoch};
use crate::machine::{Effect, Effects};
use crate::message::Request;
use crate::message::raft::{
    FetchSnapshotRequest, FetchSnapshotResponse, QuorumFetchRequest, QuorumFetchResponse,
};
use crate::raft::log::Entry;
use crate::raft::role::Role;
use crate::raft::snapshot::Download;
use crate::raft::{Raft, Sent, Timer};
use crate::record;
use crate::time::{Duration, Instant, Now};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Follower {
    pub leader: NodeId,
    /// Whether the leader has answered a fetch.
    pub fetched: bool,
    download: Option<Download>,
}

impl Follower {
    pub(super) fn new(leader: NodeId) -> Self {
        Follower { leader, fetched: false, download: None }
    }
}

/// What this node's own fetches need, whoever leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fetcher {
    /// The fetch that is waited for, by number.
    pub in_flight: Option<u64>,
    counter: u64,
    /// Fetches that brought nothing, in a row.
    failures: u32,
    not_before: Instant,
    /// The voter that an observer asks next.
    cursor: usize,
}

impl Raft {
    /// A follower's patience with a silent leader. Jittered, so that not all stand at once.
    pub(super) fn start_fetch_timer(&mut self, now: Now) {
        let timeout = self.server.quorum.fetch_timeout;
        let wait = self.rng.duration(timeout, timeout + timeout / 4);
        self.timers.set(Timer::Fetch, now.mono + wait);
    }

    /// The leader was silent for too long.
    pub(super) fn fetch_timed_out(&mut self, now: Now, out: &mut Effects) {
        if self.me.is_some() {
            self.become_prospective(now, out);
        } else {
            let epoch = self.epoch();
            self.become_unattached(now, epoch, out);
        }
    }

    /// The end of what this node has durably: what may count for the high watermark.
    pub(super) fn durable_end(&self) -> Offset {
        // KAFKA-10533: flush before a fetch offset advances, and before the leader counts itself.
        if self.defects().has(Defect::KraftNoFlush) {
            self.log.end()
        } else {
            self.log.flushed_end()
        }
    }

    /// Sends the next fetch, if it is time for one.
    pub(super) fn fetch(&mut self, now: Now, out: &mut Effects) {
        let settled = self.vote_counts() && self.durable_end() == self.log.end();
        if self.fetcher.in_flight.is_some() || !settled || self.waits_for_snapshot() {
            return;
        }
        if self.fetcher.not_before > now.mono {
            self.retry_at(self.fetcher.not_before);
            return;
        }
        let (at, max_wait) = match &self.role {
            Role::Follower(follower) => {
                (self.voter(follower.leader), self.server.quorum.fetch_max_wait)
            }
            Role::Unattached if self.me.is_none() => {
                (Some(self.fetcher.cursor % self.server.voters.len()), Duration::ZERO)
            }
            Role::Unattached
            | Role::Resigned(_)
            | Role::Prospective(_)
            | Role::Candidate(_)
            | Role::Leader(_) => return,
        };
        let at = at.expect("only voters are followed");
        let number = self.fetcher.counter + 1;
        let (replica, epoch) = (self.key, self.epoch());
        let last = self.log.last();
        let high_watermark = self.high_watermark;
        let max_bytes = self.server.quorum.fetch_max_bytes;
        let download = match &self.role {
            Role::Follower(follower) => {
                follower.download.as_ref().map(|download| (download.point, download.position()))
            }
            Role::Unattached
            | Role::Resigned(_)
            | Role::Prospective(_)
            | Role::Candidate(_)
            | Role::Leader(_) => None,
        };
        let request = || match download {
            Some((snapshot, position)) => Request::FetchSnapshot(FetchSnapshotRequest {
                replica,
                epoch,
                snapshot,
                position,
                max_bytes,
            }),
            None => Request::QuorumFetch(QuorumFetchRequest {
                replica,
                epoch,
                fetch_offset: last.offset,
                last_fetched_epoch: QuorumEpoch(last.epoch.0),
                high_watermark,
                max_wait,
            }),
        };
        if self.send(now, at, Sent::Fetch { number }, request, out) {
            self.fetcher.counter = number;
            self.fetcher.in_flight = Some(number);
        }
    }

    pub(super) fn downloads(&self) -> bool {
        matches!(&self.role, Role::Follower(follower) if follower.download.is_some())
    }

    /// Takes the answer to the fetch that is waited for; false if this is another one's.
    fn take_fetch(&mut self, number: u64) -> bool {
        let expected = self.fetcher.in_flight == Some(number);
        if expected {
            self.fetcher.in_flight = None;
        }
        expected
    }

    /// A fetch failed: its connection broke, or it brought nothing usable.
    pub(super) fn fetch_failed(&mut self, now: Now, number: u64, out: &mut Effects) {
        if self.take_fetch(number) {
            self.fetch_again_later(now, out);
        }
    }

    fn fetch_again_later(&mut self, now: Now, out: &mut Effects) {
        let wait = self.backoff().after(self.fetcher.failures, &mut self.rng);
        self.fetcher.failures = self.fetcher.failures.saturating_add(1);
        self.fetcher.not_before = now.mono + wait;
        if self.me.is_none() {
            // Another voter may know another leader.
            self.fetcher.cursor = self.fetcher.cursor.wrapping_add(1);
            if matches!(self.role, Role::Follower(_)) {
                let epoch = self.epoch();
                self.become_unattached(now, epoch, out);
            }
        }
    }

    /// An observer's voter is silent: another one may know the leader.
    pub(super) fn ask_next(&mut self, now: Now) {
        self.fetcher.cursor = self.fetcher.cursor.wrapping_add(1);
        self.fetcher.in_flight = None;
        self.start_election_timer(now);
    }

    fn fetch_worked(&mut self, now: Now) {
        self.fetcher.failures = 0;
        if let Role::Follower(follower) = &mut self.role {
            follower.fetched = true;
        }
        self.start_fetch_timer(now);
    }

    pub(super) fn on_fetch_response(
        &mut self,
        now: Now,
        number: u64,
        response: &QuorumFetchResponse,
        out: &mut Effects,
    ) {
        if !self.take_fetch(number) || !self.learn(now, response.epoch, response.leader, out) {
            return;
        }
        let follows = matches!(self.role, Role::Follower(_));
        if !follows || !response.error.is_ok() || response.epoch != self.epoch() {
            self.fetch_again_later(now, out);
            return;
        }
        self.fetch_worked(now);
        if let Some(point) = response.snapshot {
            if point.offset <= self.high_watermark {
                self.fetch_again_later(now, out);
            } else if let Role::Follower(follower) = &mut self.role {
                let bytes = alloc::vec::Vec::new();
                follower.download = Some(Download { point, bytes });
            }
            return;
        }
        if let Some(point) = response.diverging {
            self.diverged(now, point, out);
            return;
        }
        let good = self.append_fetched(response, out);
        self.raise_high_watermark(response.high_watermark, out);
        if !good {
            self.fetch_again_later(now, out);
        }
    }

    /// The logs part: cut back to where they may still agree (KIP-595). Repeats until they do.
    fn diverged(&mut self, now: Now, point: LogPoint, out: &mut Effects) {
        let to = point.offset.min(self.log.end_for(point.epoch).offset);
        if to < self.high_watermark {
            // Only a quorum that broke its rules can ask for that.
            assert!(!self.defects().is_empty(), "what is committed is never truncated");
            out.push(Effect::Halt);
            return;
        }
        if to >= self.log.end() {
            self.fetch_again_later(now, out);
            return;
        }
        self.log.truncate(to, out);
        out.note(Event::Sometimes(Mark::MetadataTruncated));
    }

    /// Appends what is good of the fetched batches; false if something was not.
    fn append_fetched(&mut self, response: &QuorumFetchResponse, out: &mut Effects) -> bool {
        let epoch = LeaderEpoch(self.epoch().0);
        let mut good = true;
        'all: for chunk in &response.batches {
            for batch in record::batches(chunk) {
                let entry = batch.and_then(|(_, batch)| {
                    let entry = Entry::new(&record::verify(&batch)?, batch);
                    self.log.continues(&entry).map(|()| entry)
                });
                match entry {
                    Ok(entry) if entry.epoch <= epoch => self.log.append(entry, out),
                    Ok(_) | Err(_) => {
                        good = false;
                        break 'all;
                    }
                }
            }
        }
        self.make_durable(out);
        good
    }

    fn raise_high_watermark(&mut self, leaders: Offset, out: &mut Effects) {
        let offset = leaders.min(self.log.end());
        if offset > self.high_watermark {
            self.high_watermark = offset;
            let epoch = self.epoch();
            out.note(Event::QuorumHighWatermark { epoch, offset, leads: false });
            self.deliver();
        }
    }

    pub(super) fn on_fetch_snapshot_response(
        &mut self,
        now: Now,
        number: u64,
        response: &FetchSnapshotResponse,
        out: &mut Effects,
    ) {
        if !self.take_fetch(number) || !self.learn(now, response.epoch, response.leader, out) {
            return;
        }
        let Role::Follower(follower) = &mut self.role else { return };
        let Some(mut download) = follower.download.take() else { return };
        let good = response.error.is_ok()
            && response.snapshot == download.point
            && response.position == download.position()
            && !response.bytes.is_empty();
        if !good {
            if response.error != ErrorCode::SnapshotNotFound {
                follower.download = Some(download);
            }
            self.fetch_again_later(now, out);
            return;
        }
        self.fetch_worked(now);
        download.bytes.extend_from_slice(&response.bytes);
        if download.position() < response.size {
            if let Role::Follower(follower) = &mut self.role {
                follower.download = Some(download);
            }
        } else if !self.downloaded(download, out) {
            self.fetch_again_later(now, out);
        }
    }
}
