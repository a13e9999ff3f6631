//! The replicas that a broker hosts, by partition and by log.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::ids::{LogId, PartitionId};
use crate::replica::Replica;
use crate::time::{Instant, earliest};

/// All replicas, with what of them the step at hand has touched.
#[derive(Clone, Debug)]
pub(super) struct Partitions {
    hosted: BTreeMap<PartitionId, Replica>,
    by_log: BTreeMap<LogId, PartitionId>,
    next_log: LogId,
    /// What the step has touched, in that order; settled at its end, and checked after it.
    touched: Vec<PartitionId>,
    /// How many of these are settled.
    settled: usize,
    /// No replica has a deadline before.
    due: Option<Instant>,
}

impl Partitions {
    /// `next_log` is above every log that the disk holds.
    pub(super) fn new(next_log: LogId) -> Self {
        Partitions {
            hosted: BTreeMap::new(),
            by_log: BTreeMap::new(),
            next_log,
            touched: Vec::new(),
            settled: 0,
            due: None,
        }
    }

    /// An id that no log of this broker ever had.
    pub(super) fn new_log(&mut self) -> LogId {
        let log = self.next_log;
        self.next_log = LogId(log.0 + 1);
        log
    }

    pub(super) fn insert(&mut self, replica: Replica) {
        let (id, log) = (replica.id(), replica.log().id());
        let other = self.by_log.insert(log, id);
        assert!(other.is_none(), "a log belongs to one replica");
        let old = self.hosted.insert(id, replica);
        assert!(old.is_none(), "a partition has one replica on a broker");
    }

    pub(super) fn remove(&mut self, id: PartitionId) -> Option<Replica> {
        let replica = self.hosted.remove(&id)?;
        self.by_log.remove(&replica.log().id());
        Some(replica)
    }

    pub(super) fn get(&self, id: PartitionId) -> Option<&Replica> {
        self.hosted.get(&id)
    }

    /// For a call that may move something: the replica is looked at when the step settles.
    pub(super) fn touch(&mut self, id: PartitionId) -> Option<&mut Replica> {
        let replica = self.hosted.get_mut(&id)?;
        if !self.touched[self.settled..].contains(&id) {
            self.touched.push(id);
        }
        Some(replica)
    }

    /// A new step begins.
    pub(super) fn begin(&mut self) {
        self.touched.clear();
        self.settled = 0;
    }

    /// For a call that moves nothing that others wait for.
    pub(super) fn get_mut(&mut self, id: PartitionId) -> Option<&mut Replica> {
        self.hosted.get_mut(&id)
    }

    /// The replica of a log, touched.
    pub(super) fn by_log(&mut self, log: LogId) -> Option<&mut Replica> {
        let id = *self.by_log.get(&log)?;
        self.touch(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (PartitionId, &Replica)> {
        self.hosted.iter().map(|(id, replica)| (*id, replica))
    }

    /// All replicas, for calls that move nothing that others wait for.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Replica> {
        self.hosted.values_mut()
    }

    pub(super) fn ids(&self) -> Vec<PartitionId> {
        self.hosted.keys().copied().collect()
    }

    /// A replica that the step has touched and that is still here, with its new deadline noted.
    pub(super) fn next_touched(&mut self) -> Option<(PartitionId, &mut Replica)> {
        loop {
            let id = *self.touched.get(self.settled)?;
            self.settled += 1;
            let Some(replica) = self.hosted.get(&id) else { continue };
            self.due = earliest(self.due, replica.deadline());
            return self.hosted.get_mut(&id).map(|replica| (id, replica));
        }
    }

    /// The replicas whose deadline is over; the step touches them.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<PartitionId> {
        if self.due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        let Partitions { hosted, due, .. } = self;
        *due = None;
        let mut late = Vec::new();
        for (id, replica) in hosted.iter() {
            match replica.deadline() {
                Some(at) if at <= now => late.push(*id),
                at => *due = earliest(*due, at),
            }
        }
        late
    }

    /// No replica has to be woken before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Checks what the last step touched; the rest is as it was.
    pub(super) fn check(&self) {
        assert_eq!(self.settled, self.touched.len(), "a step settles what it touched");
        assert_eq!(self.by_log.len(), self.hosted.len(), "each replica has a log of its own");
        for id in &self.touched {
            let Some(replica) = self.hosted.get(id) else { continue };
            replica.check();
            assert!(replica.log().id() < self.next_log, "log ids are used once");
        }
    }
}
