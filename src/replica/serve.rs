//! Reads: fetches of consumers and followers, offsets by time and by epoch, and deletions.

use alloc::vec::Vec;

use crate::config::CleanupPolicy;
use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::ids::{LeaderEpoch, LogPoint, Offset};
use crate::machine::Effects;
use crate::message::Records;
use crate::message::fetch::{AbortedTransaction, FetchPartition, FetchedPartition, Isolation};
use crate::message::offsets::{
    EpochEnd, EpochPartition, ListOffsetsPartition, ListedOffset, OffsetSpec,
};
use crate::replica::leader::Leader;
use crate::replica::{Budget, Context, Reader, Replica, Role};
use crate::time::Timestamp;

/// Where a fetcher is in a leader's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// What it has is a prefix of this log.
    Within,
    /// Its log and this one part there (KIP-595).
    PartsAt(LogPoint),
    /// It asked only whether the logs part, and they do not.
    LookedUp,
}

/// Whether a follower's fetch asks only where the logs part. Never so since KIP-595: each fetch is
/// checked. The switch restores the lookup of its own, once in a leader epoch, that came before.
pub(super) fn is_lookup(ctx: &Context<'_>, ask: &FetchPartition) -> bool {
    ctx.defects.has(Defect::UnfencedTruncationLookup) && ask.last_fetched_epoch != LeaderEpoch::NONE
}

/// Whether a follower's position tells how much of this log it holds.
fn counts(ctx: &Context<'_>, position: Position) -> bool {
    match position {
        Position::Within => true,
        // KAFKA-13141: what lies beyond the point of divergence is not a copy of this log.
        Position::PartsAt(_) => ctx.defects.has(Defect::DivergingFetchCounts),
        Position::LookedUp => false,
    }
}

impl Replica {
    /// Answers a fetch as it arrives, and takes note of a follower's position. If there are too few
    /// bytes the request may wait; then [`Self::read`] answers it later.
    pub fn fetch(
        &mut self,
        ctx: &Context<'_>,
        ask: &FetchPartition,
        reader: Reader,
        budget: Budget,
        out: &mut Effects,
    ) -> FetchedPartition {
        if let Reader::Replica(node, epoch) = reader
            && let Ok(position) = self.check_fetch(ctx, ask, reader)
            && counts(ctx, position)
            && let Err(error) = self.record_fetch(ctx, (node, epoch), ask, out)
        {
            return self.refused(ask, reader, error);
        }
        self.read(ctx, ask, reader, budget)
    }

    /// Answers a fetch without taking note of who reads: for one that waited. Its follower has been
    /// noted when it arrived.
    #[must_use]
    pub fn read(
        &self,
        ctx: &Context<'_>,
        ask: &FetchPartition,
        reader: Reader,
        budget: Budget,
    ) -> FetchedPartition {
        let position = match self.check_fetch(ctx, ask, reader) {
            Ok(position) => position,
            Err(error) => return self.refused(ask, reader, error),
        };
        let mut answer = self.blank(ask);
        match position {
            Position::Within => {}
            Position::PartsAt(point) => {
                answer.diverging = Some(point);
                return answer;
            }
            Position::LookedUp => return answer,
        }
        let upper = match reader {
            Reader::Replica(..) => self.log.end_offset(),
            Reader::Consumer(isolation) => self.readable_end(isolation),
        };
        let bytes = ask.max_bytes.min(budget.bytes);
        if let Some(range) = self.log.read(ask.fetch_offset, upper, bytes, budget.at_least_one) {
            if reader == Reader::Consumer(Isolation::ReadCommitted) {
                answer.aborted = self.aborted(ask.fetch_offset, range.to);
            }
            answer.records = Records::Stored(range);
        }
        answer
    }

    /// The end of what clients may read.
    fn readable_end(&self, isolation: Isolation) -> Offset {
        match isolation {
            Isolation::ReadUncommitted => self.high_watermark,
            Isolation::ReadCommitted => {
                let stable = self.last_stable_offset();
                // The first record that is not stable is one too many (Redpanda #3036).
                if self.log.config().defects.has(Defect::LsoOffByOne) {
                    return stable.next().min(self.high_watermark);
                }
                stable
            }
        }
    }

    fn aborted(&self, from: Offset, upper: Offset) -> Vec<AbortedTransaction> {
        let overlapping = self.log.aborted(from, upper);
        let name = |aborted: crate::log::Aborted| AbortedTransaction {
            producer_id: aborted.producer_id,
            first_offset: aborted.first,
        };
        overlapping.map(name).collect()
    }

    /// An answer with this replica's offsets and no records.
    fn blank(&self, ask: &FetchPartition) -> FetchedPartition {
        FetchedPartition {
            topic: ask.topic.clone(),
            partition: ask.partition,
            error: ErrorCode::None,
            high_watermark: self.high_watermark,
            last_stable_offset: self.last_stable_offset(),
            log_start_offset: self.log.start_offset(),
            diverging: None,
            current_leader: None,
            aborted: Vec::new(),
            records: Records::EMPTY,
        }
    }

    fn refused(&self, ask: &FetchPartition, reader: Reader, error: ErrorCode) -> FetchedPartition {
        let mut answer = self.blank(ask);
        answer.error = error;
        let elsewhere =
            matches!(error, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch);
        if elsewhere {
            answer.current_leader = self.current_leader();
        }
        if error == ErrorCode::OffsetOutOfRange {
            // Saves a follower the ListOffsets that Kafka's sends now: where this log ends.
            if matches!(reader, Reader::Replica(..)) {
                answer.diverging = Some(self.log.end_point());
            }
        } else {
            answer.high_watermark = Offset::NONE;
            answer.last_stable_offset = Offset::NONE;
            answer.log_start_offset = Offset::NONE;
        }
        answer
    }

    /// Checks that a fetch may be served, and what its position is in this log.
    fn check_fetch(
        &self,
        ctx: &Context<'_>,
        ask: &FetchPartition,
        reader: Reader,
    ) -> Result<Position, ErrorCode> {
        let follows = matches!(reader, Reader::Replica(..));
        // KIP-320: a follower's position in another epoch says nothing about its log in this one.
        let current = if follows && ctx.defects.has(Defect::HwNoFollowerEpoch) {
            LeaderEpoch::NONE
        } else {
            ask.current_leader_epoch
        };
        let parting = self.parting(ctx, current, ask)?;
        let looked_up = follows && is_lookup(ctx, ask);
        if !looked_up {
            self.fence(current)?;
        }
        let leader = self.leading()?;
        if let Reader::Replica(node, _) = reader
            && leader.follower(node).is_none()
        {
            // The metadata of one of the two is behind.
            return Err(if ask.current_leader_epoch == LeaderEpoch::NONE {
                ErrorCode::NotLeaderOrFollower
            } else {
                ErrorCode::UnknownLeaderEpoch
            });
        }
        let (start, end) = (self.log.start_offset(), self.log.end_offset());
        if ask.fetch_offset < start || (parting.is_none() && ask.fetch_offset > end) {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        Ok(match parting {
            Some(point) => Position::PartsAt(point),
            None if looked_up => Position::LookedUp,
            None => Position::Within,
        })
    }

    /// Where the log of a fetcher with that last epoch and end parts from this one, if it does
    /// (KIP-595).
    fn parting(
        &self,
        ctx: &Context<'_>,
        current: LeaderEpoch,
        ask: &FetchPartition,
    ) -> Result<Option<LogPoint>, ErrorCode> {
        if ask.last_fetched_epoch == LeaderEpoch::NONE {
            return Ok(None);
        }
        let end = self.lookup(ctx, current, ask.last_fetched_epoch)?;
        if end.epoch == LeaderEpoch::NONE {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let parts = end.epoch < ask.last_fetched_epoch || end.offset < ask.fetch_offset;
        Ok(parts.then_some(end))
    }

    /// The end of the largest epoch at or below `asked` in this leader's log.
    fn lookup(
        &self,
        ctx: &Context<'_>,
        current: LeaderEpoch,
        asked: LeaderEpoch,
    ) -> Result<LogPoint, ErrorCode> {
        // KIP-320: a leader that was replaced may still have to cut its own log.
        if !ctx.defects.has(Defect::UnfencedTruncationLookup) {
            self.fence(current)?;
        }
        self.leading()?;
        let end = self.log.end_offset_for(asked);
        // KIP-279: an epoch that this log never had must be answered with the one below.
        if ctx.defects.has(Defect::TruncateSingleEpochLookup) {
            return Ok(LogPoint { epoch: asked, offset: end.offset });
        }
        Ok(end)
    }

    /// Compares the epoch that a request believes in with this replica's (KIP-320).
    fn fence(&self, current: LeaderEpoch) -> Result<(), ErrorCode> {
        if current == LeaderEpoch::NONE || current == self.leader_epoch {
            Ok(())
        } else if current < self.leader_epoch {
            Err(ErrorCode::FencedLeaderEpoch)
        } else {
            Err(ErrorCode::UnknownLeaderEpoch)
        }
    }

    fn leading(&self) -> Result<&Leader, ErrorCode> {
        match &self.role {
            Role::Leader(leader) => Ok(leader),
            Role::Idle | Role::Follower(_) => Err(ErrorCode::NotLeaderOrFollower),
        }
    }

    /// Answers OffsetForLeaderEpoch: where an epoch ends (KIP-320).
    #[must_use]
    pub fn epoch_end(&self, ctx: &Context<'_>, ask: &EpochPartition) -> EpochEnd {
        let (error, end) = match self.lookup(ctx, ask.current_leader_epoch, ask.leader_epoch) {
            Ok(end) => (ErrorCode::None, end),
            Err(error) => (error, LogPoint { epoch: LeaderEpoch::NONE, offset: Offset::NONE }),
        };
        EpochEnd {
            topic: ask.topic.clone(),
            partition: ask.partition,
            error,
            leader_epoch: end.epoch,
            end_offset: end.offset,
        }
    }

    /// Answers ListOffsets for a client, as far as the index knows: by time, with a batch's
    /// greatest timestamp and its first offset, of the batches from the one that holds `from`.
    #[must_use]
    pub fn list_offset(
        &self,
        ask: &ListOffsetsPartition,
        isolation: Isolation,
        from: Offset,
    ) -> ListedOffset {
        let found = self.find_offset(ask, isolation, from);
        let (error, (timestamp, offset)) = match found {
            Ok(found) => (ErrorCode::None, found),
            Err(error) => (error, (Timestamp::NONE, Offset::NONE)),
        };
        let leader_epoch = match (offset, ask.spec) {
            (Offset::NONE, _) => LeaderEpoch::NONE,
            (_, OffsetSpec::Latest) => self.leader_epoch,
            (_, OffsetSpec::Earliest | OffsetSpec::MaxTimestamp | OffsetSpec::At(_)) => {
                self.log.epoch_at(offset).unwrap_or(LeaderEpoch::NONE)
            }
        };
        let topic = ask.topic.clone();
        ListedOffset { topic, partition: ask.partition, error, timestamp, offset, leader_epoch }
    }

    fn find_offset(
        &self,
        ask: &ListOffsetsPartition,
        isolation: Isolation,
        from: Offset,
    ) -> Result<(Timestamp, Offset), ErrorCode> {
        self.fence(ask.current_leader_epoch)?;
        let leader = self.leading()?;
        let upper = self.readable_end(isolation);
        // KIP-207: a new leader's high watermark may be behind what others have seen of it.
        let lags = leader.start() > self.high_watermark;
        let readable = |found: Option<(Timestamp, Offset)>| match found {
            Some((timestamp, offset)) if offset < upper => Ok((timestamp, offset)),
            Some(_) if lags => Err(ErrorCode::OffsetNotAvailable),
            Some(_) | None => Ok((Timestamp::NONE, Offset::NONE)),
        };
        match ask.spec {
            OffsetSpec::Latest if lags => Err(ErrorCode::OffsetNotAvailable),
            OffsetSpec::Latest => Ok((Timestamp::NONE, upper)),
            OffsetSpec::Earliest => Ok((Timestamp::NONE, self.log.start_offset())),
            OffsetSpec::MaxTimestamp => readable(self.log.max_timestamp()),
            OffsetSpec::At(time) => readable(self.log.offset_for_time(time, from)),
        }
    }

    /// Deletes the records before an offset ([`Offset::NONE`]: all that are committed). Gives the
    /// offset that [`Self::low_watermark`] has to reach before the request is done.
    ///
    /// # Errors
    /// `NOT_LEADER_OR_FOLLOWER`, `OFFSET_OUT_OF_RANGE`, `POLICY_VIOLATION` if the topic does not
    /// delete.
    pub fn delete_records(
        &mut self,
        before: Offset,
        out: &mut Effects,
    ) -> Result<Offset, ErrorCode> {
        self.leading()?;
        if self.log.config().topic.cleanup_policy == CleanupPolicy::Compact {
            return Err(ErrorCode::PolicyViolation);
        }
        let before = if before == Offset::NONE { self.high_watermark } else { before };
        if before < Offset::ZERO || before > self.high_watermark {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        if before > self.log.start_offset() {
            self.log.trim(before, out);
            self.changes.start_offset = true;
        }
        Ok(before)
    }

    /// The lowest log start of all replicas that are alive: what is below is gone everywhere. None
    /// if this broker does not lead.
    #[must_use]
    pub fn low_watermark(&self, ctx: &Context<'_>) -> Option<Offset> {
        let Role::Leader(leader) = &self.role else { return None };
        let alive = |node| ctx.image.brokers.get(&node).is_some_and(|broker| !broker.fenced);
        let starts = leader.followers().iter().filter(|remote| alive(remote.node));
        starts.map(|remote| remote.log_start).chain([self.log.start_offset()]).min()
    }
}
