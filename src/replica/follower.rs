//! The follower's side: what to fetch, and what to make of the answer.

use core::cmp::Ordering;

use bytes::Bytes;

use crate::defect::{Defect, Defects};
use crate::error::ErrorCode;
use crate::event::{Event, Mark};
use crate::ids::{LeaderEpoch, LogPoint, Offset, TopicRef};
use crate::log::Log;
use crate::machine::Effects;
use crate::message::fetch::{FetchPartition, FetchedPartition};
use crate::record;
use crate::replica::serve::is_lookup;
use crate::replica::{Context, Fetched, Replica, Role};
use crate::time::Instant;

/// What a replica knows while it follows, in one leader epoch.
#[derive(Clone, Debug)]
pub(super) struct Follower {
    /// No fetch before that.
    delayed_until: Option<Instant>,
    /// Fetch without asking whether the logs part: by a defect only.
    unchecked: bool,
}

impl Follower {
    pub fn new(defects: Defects, same_leader: bool) -> Self {
        // KAFKA-7164: the same leader may have cut its log in an epoch that was missed here.
        let unchecked =
            if defects.has(Defect::SkipTruncateOnMissedEpoch) { same_leader } else { false };
        Follower { delayed_until: None, unchecked }
    }

    pub fn delayed_until(&self) -> Option<Instant> {
        self.delayed_until
    }

    /// The back-off is over; says whether there was one.
    pub fn resume(&mut self, now: Instant) -> bool {
        let over = self.delayed_until.is_some_and(|at| at <= now);
        if over {
            self.delayed_until = None;
        }
        over
    }
}

/// Where a follower cuts its log when its leader answers that the logs part at `leader`: the
/// largest epoch that the leader knows at or below the follower's last one, and its end there
/// (KIP-279).
pub(super) fn truncation_point(log: &Log, leader: LogPoint) -> Offset {
    let own = log.end_offset_for(leader.epoch);
    let end = log.end_offset();
    match own.epoch.cmp(&leader.epoch) {
        // Nothing is known of epochs here: the leader's word is all there is.
        _ if own.epoch == LeaderEpoch::NONE => leader.offset.min(end),
        // Both have that epoch: it ends where the shorter one ends.
        Ordering::Equal | Ordering::Greater => leader.offset.min(own.offset).min(end),
        // The follower never had that epoch: what follows its own largest one below goes, and the
        // next fetch asks about that one.
        Ordering::Less => own.offset.min(end),
    }
}

impl Replica {
    /// What to ask the leader for; none while there is nothing to ask, or during a back-off.
    #[must_use]
    pub fn fetch_request(&self, ctx: &Context<'_>) -> Option<FetchPartition> {
        let Role::Follower(follower) = &self.role else { return None };
        if follower.delayed_until.is_some_and(|at| at > ctx.now.mono) || self.log.is_lost() {
            return None;
        }
        Some(FetchPartition {
            topic: TopicRef::Id(self.id.topic),
            partition: self.id.partition,
            current_leader_epoch: self.leader_epoch,
            fetch_offset: self.log.end_offset(),
            last_fetched_epoch: self.last_fetched_epoch(follower),
            log_start_offset: self.log.start_offset(),
            max_bytes: ctx.config.replica_fetch_max_bytes,
        })
    }

    /// Takes the leader's answer to `sent`. An answer to a question that no longer stands, because
    /// the log or the leader epoch moved on, changes nothing.
    pub fn fetched(
        &mut self,
        ctx: &Context<'_>,
        sent: &FetchPartition,
        answer: &FetchedPartition,
        out: &mut Effects,
    ) -> Fetched {
        if !self.still_asks(sent) {
            return Fetched::Stale;
        }
        if answer.error == ErrorCode::OffsetOutOfRange {
            return self.out_of_range(ctx, answer, out);
        }
        if !answer.error.is_ok() {
            if matches!(answer.error, ErrorCode::FencedLeaderEpoch | ErrorCode::UnknownLeaderEpoch)
            {
                out.note(Event::Sometimes(Mark::FetchFenced));
            }
            return self.back_off(ctx, answer.error);
        }
        if let Some(leader) = answer.diverging {
            return self.diverged(ctx, leader, out);
        }
        if is_lookup(ctx, sent) {
            return self.looked_up();
        }
        let before = self.log.end_offset();
        let appended = self.append_fetched(ctx, answer.records.chunks(), out);
        // Kafka: min(the leader's, the own LEO); it may fall.
        self.set_high_watermark(answer.high_watermark, out);
        self.trim_to(answer.log_start_offset, out);
        match appended {
            Err(error) => {
                if error == ErrorCode::CorruptMessage {
                    out.note(Event::Sometimes(Mark::CorruptFetched));
                }
                self.back_off(ctx, error)
            }
            Ok(()) if self.log.end_offset() > before => Fetched::Progress,
            Ok(()) => Fetched::Idle,
        }
    }

    /// The request that asked was lost, or failed as a whole.
    pub fn fetch_failed(&mut self, ctx: &Context<'_>, sent: &FetchPartition) {
        if self.still_asks(sent) {
            self.back_off(ctx, ErrorCode::NetworkException);
        }
    }

    /// Whether this replica would ask the same again. The last epoch is part of the question: a log
    /// that was cut and has grown to the same length since is another log, and an answer that came
    /// late or twice would cut it again (found by the model of the tests, seed 146).
    fn still_asks(&self, sent: &FetchPartition) -> bool {
        let Role::Follower(follower) = &self.role else { return false };
        sent.current_leader_epoch == self.leader_epoch
            && sent.fetch_offset == self.log.end_offset()
            && sent.last_fetched_epoch == self.last_fetched_epoch(follower)
    }

    fn last_fetched_epoch(&self, follower: &Follower) -> LeaderEpoch {
        if follower.unchecked { LeaderEpoch::NONE } else { self.log.last_epoch() }
    }

    /// Appends what came, up to the first thing that is wrong with it.
    fn append_fetched(
        &mut self,
        ctx: &Context<'_>,
        chunks: &[Bytes],
        out: &mut Effects,
    ) -> Result<(), ErrorCode> {
        if chunks.is_empty() {
            return Ok(());
        }
        self.check_epochs(chunks)?;
        let before = self.log.end_offset();
        let appended = self.log.append_as_follower(ctx.now, chunks, out);
        if self.log.end_offset() != before {
            self.changes.end_offset = true;
        }
        appended.map(|_| ()).map_err(|error| error.code())
    }

    /// A batch's epoch is not covered by its CRC, but must not fall, nor be beyond the leader's
    /// (KAFKA-18723).
    fn check_epochs(&self, chunks: &[Bytes]) -> Result<(), ErrorCode> {
        let mut last = self.log.last_epoch();
        for batch in chunks.iter().flat_map(record::batches) {
            let Ok((header, _)) = batch else { return Err(ErrorCode::CorruptMessage) };
            if header.leader_epoch < last || header.leader_epoch > self.leader_epoch {
                return Err(ErrorCode::CorruptMessage);
            }
            last = header.leader_epoch;
        }
        Ok(())
    }

    /// The logs agree, says the leader, in whatever epoch it answered.
    fn looked_up(&mut self) -> Fetched {
        if let Role::Follower(follower) = &mut self.role {
            follower.unchecked = true;
        }
        Fetched::Truncated
    }

    fn diverged(&mut self, ctx: &Context<'_>, leader: LogPoint, out: &mut Effects) -> Fetched {
        let before = self.log.end_point();
        let to = truncation_point(&self.log, leader);
        self.truncate(to, out);
        if self.log.end_point() == before {
            // The leader insists, and there is nothing to cut: do not ask in a tight loop.
            return self.back_off(ctx, ErrorCode::UnknownServerError);
        }
        if self.log.end_offset() < before.offset {
            out.note(Event::Sometimes(Mark::DivergenceTruncated));
        }
        Fetched::Truncated
    }

    /// The leader's log begins above this one's end, or ends below it.
    fn out_of_range(
        &mut self,
        ctx: &Context<'_>,
        answer: &FetchedPartition,
        out: &mut Effects,
    ) -> Fetched {
        let end = self.log.end_offset();
        if answer.log_start_offset > end {
            // Down for so long that the leader has deleted what would come next.
            self.reset(answer.log_start_offset, out);
            out.note(Event::Sometimes(Mark::FollowerReset));
            return Fetched::Truncated;
        }
        match answer.diverging {
            // KIP-106: the leader of an unclean election has less.
            Some(leader) if leader.offset < end => {
                if leader.offset >= self.log.start_offset() {
                    self.truncate(leader.offset, out);
                } else {
                    self.reset(leader.offset, out);
                }
                Fetched::Truncated
            }
            Some(_) | None => self.back_off(ctx, ErrorCode::OffsetOutOfRange),
        }
    }

    fn back_off(&mut self, ctx: &Context<'_>, error: ErrorCode) -> Fetched {
        if let Role::Follower(follower) = &mut self.role {
            follower.delayed_until = Some(ctx.now.mono + ctx.config.replica_fetch_backoff);
        }
        Fetched::BackOff(error)
    }

    /// Cuts the log's end off, with everything that was known about it.
    pub(super) fn truncate(&mut self, to: Offset, out: &mut Effects) {
        if to < self.log.start_offset() {
            self.reset(to, out);
            return;
        }
        // With nothing to cut, too: an epoch may have begun at the end without a record.
        self.log.truncate(to, out);
        self.end_moved(out);
    }

    /// Drops the whole log and begins again.
    pub(super) fn reset(&mut self, to: Offset, out: &mut Effects) {
        self.log.reset(to, out);
        self.end_moved(out);
    }

    /// The high watermark stays within the log.
    fn end_moved(&mut self, out: &mut Effects) {
        self.changes.end_offset = true;
        self.set_high_watermark(self.high_watermark, out);
    }

    /// The leader's log begins there now.
    fn trim_to(&mut self, start: Offset, out: &mut Effects) {
        let start = start.min(self.high_watermark);
        if start > self.log.start_offset() {
            self.log.trim(start, out);
            self.changes.start_offset = true;
        }
    }
}
