//! Requests that wait for a partition to move: produces with acks=all for the high watermark,
//! fetches for records.
//!
//! Each partition keeps a watch list of its own, so that a high watermark or a log end that moves
//! costs only those who wait for exactly that partition.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::error::ErrorCode;
use crate::ids::{ConnId, CorrelationId, Offset, PartitionId};
use crate::message::Request;
use crate::message::produce::ProducedPartition;
use crate::time::Instant;

/// An answer to a produce request that lacks some of its partitions.
#[derive(Clone, Debug)]
pub(super) struct DelayedProduce {
    pub to: ConnId,
    pub correlation: CorrelationId,
    deadline: Instant,
    /// In the order of the request. What still waits carries REQUEST_TIMED_OUT already, which it
    /// keeps if nothing else comes.
    pub partitions: Vec<ProducedPartition>,
    waiting: usize,
}

/// A fetch that found too little.
#[derive(Clone, Debug)]
pub(super) struct DelayedFetch {
    pub to: ConnId,
    pub correlation: CorrelationId,
    deadline: Instant,
    pub request: Arc<Request>,
    /// The partitions that may complete it.
    watched: Vec<PartitionId>,
}

/// Who waits for one partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Watchers {
    /// In offset order: the high watermark that is needed, the produce, its partition in it.
    produces: VecDeque<(Offset, u64, usize)>,
    fetches: Vec<u64>,
}

impl Watchers {
    pub(super) fn is_empty(&self) -> bool {
        self.produces.is_empty() && self.fetches.is_empty()
    }

    /// The high watermark that the first waiting produce needs.
    pub(super) fn first_required(&self) -> Option<Offset> {
        self.produces.front().map(|(required, _, _)| *required)
    }

    pub(super) fn fetch(&self, index: usize) -> Option<u64> {
        self.fetches.get(index).copied()
    }
}

/// All delayed requests of a broker.
#[derive(Clone, Debug, Default)]
pub(super) struct Purgatory {
    next: u64,
    produces: BTreeMap<u64, DelayedProduce>,
    fetches: BTreeMap<u64, DelayedFetch>,
    /// Of both kinds.
    deadlines: BTreeSet<(Instant, u64)>,
    watchers: BTreeMap<PartitionId, Watchers>,
}

/// What ran out of time.
#[derive(Clone, Debug)]
pub(super) enum Expired {
    Produce(DelayedProduce),
    Fetch(DelayedFetch),
}

impl Purgatory {
    /// Parks a produce until every one of `required` (index in `partitions`, partition, high
    /// watermark) is answered or the deadline is reached.
    pub(super) fn park_produce(
        &mut self,
        (to, correlation): (ConnId, CorrelationId),
        deadline: Instant,
        partitions: Vec<ProducedPartition>,
        required: &[(usize, PartitionId, Offset)],
    ) {
        assert!(!required.is_empty(), "a produce waits for something");
        let number = self.number(deadline);
        for (index, partition, offset) in required {
            let watchers = self.watchers.entry(*partition).or_default();
            watchers.produces.push_back((*offset, number, *index));
        }
        let waiting = required.len();
        let produce = DelayedProduce { to, correlation, deadline, partitions, waiting };
        self.produces.insert(number, produce);
    }

    /// Parks a fetch until one of the `watched` partitions has something for it.
    pub(super) fn park_fetch(
        &mut self,
        (to, correlation): (ConnId, CorrelationId),
        deadline: Instant,
        request: Arc<Request>,
        watched: Vec<PartitionId>,
    ) {
        let number = self.number(deadline);
        for partition in &watched {
            self.watchers.entry(*partition).or_default().fetches.push(number);
        }
        let fetch = DelayedFetch { to, correlation, deadline, request, watched };
        self.fetches.insert(number, fetch);
    }

    fn number(&mut self, deadline: Instant) -> u64 {
        let number = self.next;
        self.next += 1;
        self.deadlines.insert((deadline, number));
        number
    }

    pub(super) fn watchers(&self, partition: PartitionId) -> Option<&Watchers> {
        self.watchers.get(&partition)
    }

    /// Answers the first waiting produce of a partition; gives the whole request back if that was
    /// its last.
    ///
    /// # Panics
    /// If none waits there.
    pub(super) fn complete_produce(
        &mut self,
        partition: PartitionId,
        error: ErrorCode,
    ) -> Option<DelayedProduce> {
        let watchers = self.watchers.get_mut(&partition).expect("somebody waits");
        let (_, number, index) = watchers.produces.pop_front().expect("a produce waits");
        // It may be gone: out of time, or its client is.
        let produce = self.produces.get_mut(&number)?;
        let answer = &mut produce.partitions[index];
        answer.error = error;
        if !error.is_ok() {
            answer.base_offset = Offset::NONE;
        }
        produce.waiting -= 1;
        if produce.waiting > 0 {
            return None;
        }
        let produce = self.produces.remove(&number).expect("it was just there");
        self.deadlines.remove(&(produce.deadline, number));
        Some(produce)
    }

    pub(super) fn delayed_fetch(&self, number: u64) -> Option<&DelayedFetch> {
        self.fetches.get(&number)
    }

    /// Takes a parked fetch out, and off all watch lists.
    ///
    /// # Panics
    /// If there is none with that number.
    pub(super) fn complete_fetch(&mut self, number: u64) -> DelayedFetch {
        let fetch = self.fetches.remove(&number).expect("only a parked fetch completes");
        self.deadlines.remove(&(fetch.deadline, number));
        self.unwatch(number, &fetch.watched);
        fetch
    }

    fn unwatch(&mut self, number: u64, watched: &[PartitionId]) {
        for partition in watched {
            let Some(watchers) = self.watchers.get_mut(partition) else { continue };
            watchers.fetches.retain(|watcher| *watcher != number);
        }
    }

    /// The next request that is out of time.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Expired> {
        let (deadline, number) = *self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        if self.fetches.contains_key(&number) {
            return Some(Expired::Fetch(self.complete_fetch(number)));
        }
        self.deadlines.remove(&(deadline, number));
        let produce = self.produces.remove(&number).expect("a deadline belongs to somebody");
        Some(Expired::Produce(produce))
    }

    /// A client is gone, and with it everybody who waits for its answers.
    pub(super) fn hang_up(&mut self, conn: ConnId) {
        let Purgatory { produces, fetches, deadlines, .. } = self;
        produces.retain(|number, produce| {
            let keep = produce.to != conn;
            if !keep {
                deadlines.remove(&(produce.deadline, *number));
            }
            keep
        });
        let gone: Vec<u64> = fetches
            .iter()
            .filter(|(_, fetch)| fetch.to == conn)
            .map(|(number, _)| *number)
            .collect();
        for number in gone {
            self.complete_fetch(number);
        }
    }

    /// Drops an empty watch list: its partition is gone.
    pub(super) fn forget(&mut self, partition: PartitionId) {
        let left = self.watchers.remove(&partition);
        assert!(
            left.is_none_or(|left| left.is_empty()),
            "nobody waits for a partition that is gone"
        );
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    pub(super) fn check(&self) {
        let parked = self.produces.len() + self.fetches.len();
        assert_eq!(self.deadlines.len(), parked, "each parked request has a deadline");
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::ids::{TopicId, TopicRef};
    use crate::message::fetch::{FetchRequest, Isolation};
    use crate::time::{Duration, Timestamp};

    const P0: PartitionId = PartitionId { topic: TopicId::ZERO, partition: 0 };
    const P1: PartitionId = PartitionId { topic: TopicId::ZERO, partition: 1 };

    fn client() -> (ConnId, CorrelationId) {
        (ConnId::inbound(1), CorrelationId(2))
    }

    fn waits(partition: i32) -> ProducedPartition {
        ProducedPartition {
            topic: TopicRef::Id(TopicId::ZERO),
            partition,
            error: ErrorCode::RequestTimedOut,
            base_offset: Offset(7),
            log_append_time: Timestamp::NONE,
            log_start_offset: Offset(0),
            current_leader: None,
        }
    }

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn fetch() -> Arc<Request> {
        Arc::new(Request::Fetch(FetchRequest {
            replica: None,
            max_wait: Duration::from_millis(500),
            min_bytes: 1,
            max_bytes: 1,
            isolation: Isolation::ReadUncommitted,
            partitions: vec![],
        }))
    }

    #[test]
    fn a_produce_completes_with_its_last_partition() {
        let mut purgatory = Purgatory::default();
        let required = [(0, P0, Offset(8)), (1, P1, Offset(8))];
        purgatory.park_produce(client(), at(30), vec![waits(0), waits(1)], &required);
        assert_eq!(purgatory.watchers(P0).and_then(Watchers::first_required), Some(Offset(8)));
        assert!(purgatory.complete_produce(P1, ErrorCode::None).is_none());
        let done = purgatory.complete_produce(P0, ErrorCode::NotLeaderOrFollower).expect("done");
        let errors: Vec<_> = done.partitions.iter().map(|each| each.error).collect();
        assert_eq!(errors, [ErrorCode::NotLeaderOrFollower, ErrorCode::None]);
        assert_eq!(purgatory.deadline(), None);
        purgatory.check();
    }

    #[test]
    fn a_late_produce_tells_which_partitions_timed_out() {
        let mut purgatory = Purgatory::default();
        let required = [(0, P0, Offset(8)), (1, P1, Offset(8))];
        purgatory.park_produce(client(), at(30), vec![waits(0), waits(1)], &required);
        purgatory.complete_produce(P0, ErrorCode::None);
        assert!(purgatory.expire(at(29)).is_none());
        let Some(Expired::Produce(late)) = purgatory.expire(at(30)) else { panic!("late") };
        let errors: Vec<_> = late.partitions.iter().map(|each| each.error).collect();
        assert_eq!(errors, [ErrorCode::None, ErrorCode::RequestTimedOut]);
        assert!(purgatory.complete_produce(P1, ErrorCode::None).is_none(), "too late");
        purgatory.check();
    }

    #[test]
    fn a_completed_fetch_leaves_every_watch_list() {
        let mut purgatory = Purgatory::default();
        purgatory.park_fetch(client(), at(500), fetch(), vec![P0, P1]);
        assert_eq!(purgatory.watchers(P1).and_then(|watchers| watchers.fetch(0)), Some(0));
        purgatory.complete_fetch(0);
        for partition in [P0, P1] {
            assert!(purgatory.watchers(partition).is_some_and(Watchers::is_empty));
            purgatory.forget(partition);
        }
        purgatory.check();
    }

    #[test]
    fn a_client_that_hangs_up_takes_its_requests_along() {
        let mut purgatory = Purgatory::default();
        purgatory.park_fetch(client(), at(500), fetch(), vec![P0]);
        purgatory.park_produce(client(), at(30), vec![waits(0)], &[(0, P0, Offset(8))]);
        purgatory.hang_up(ConnId::inbound(1));
        assert_eq!(purgatory.deadline(), None);
        assert!(purgatory.complete_produce(P0, ErrorCode::None).is_none());
        purgatory.check();
    }
}
