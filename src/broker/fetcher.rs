//! Replication from this broker's side: one fetcher for each leader it follows, one fetch at a
//! time.
//!
//! What to ask for a partition, and what to make of the answer, is the replica's
//! ([`Replica::fetch_request`](crate::replica::Replica::fetch_request)); here is only the
//! transport. A fetch that finds nothing waits at the leader, so an idle cluster is quiet.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::broker::{Broker, context};
use crate::channel::{Backoff, Channels};
use crate::ids::{ConnId, CorrelationId, NodeId, PartitionId, TopicRef};
use crate::machine::Effects;
use crate::message::fetch::{FetchPartition, FetchRequest, Isolation};
use crate::message::{Request, Response};
use crate::rng::Rng;
use crate::time::{Duration, Instant, Now, earliest};

/// The connection space of the fetchers.
pub(super) const SPACE: u8 = 2;

const RECONNECT: Backoff = Backoff { base: Duration::from_millis(50), max: Duration::from_secs(1) };

/// All fetchers, by leader.
#[derive(Clone, Debug)]
pub(super) struct Fetchers {
    channels: Channels<NodeId, Arc<Request>>,
    followed: BTreeMap<PartitionId, NodeId>,
    leaders: BTreeMap<NodeId, BTreeSet<PartitionId>>,
    /// Leaders with something new to look at: an answer, a connection, a partition, a timer.
    awake: BTreeSet<NodeId>,
    /// Dials that have to wait for their backoff.
    dial_at: BTreeMap<NodeId, Instant>,
    /// Fetches that were lost with their connections, to be told to the replicas.
    failed: Vec<Arc<Request>>,
}

impl Fetchers {
    pub(super) fn new() -> Self {
        Fetchers {
            channels: Channels::new(SPACE, RECONNECT),
            followed: BTreeMap::new(),
            leaders: BTreeMap::new(),
            awake: BTreeSet::new(),
            dial_at: BTreeMap::new(),
            failed: Vec::new(),
        }
    }

    /// Fetches a partition from that leader from now on, or from nobody.
    pub(super) fn follow(&mut self, id: PartitionId, leader: Option<NodeId>, out: &mut Effects) {
        let old = self.followed.get(&id).copied();
        if let Some(leader) = leader {
            self.awake.insert(leader);
        }
        if old == leader {
            return;
        }
        if let Some(old) = old {
            self.followed.remove(&id);
            let others = self.leaders.get_mut(&old).expect("a followed leader has a fetcher");
            others.remove(&id);
            if others.is_empty() {
                self.leaders.remove(&old);
                self.awake.remove(&old);
                self.dial_at.remove(&old);
                // An answer that is still to come is to questions that no longer stand.
                self.channels.close(&old, out);
            }
        }
        if let Some(leader) = leader {
            self.followed.insert(id, leader);
            self.leaders.entry(leader).or_default().insert(id);
        }
    }

    /// A replica that follows this leader has something to ask.
    pub(super) fn wake(&mut self, leader: NodeId) {
        self.awake.insert(leader);
    }

    pub(super) fn opened(&mut self, conn: ConnId) {
        self.awake.extend(self.channels.opened(conn));
    }

    pub(super) fn closed(&mut self, now: Instant, conn: ConnId, rng: &mut Rng) {
        if let Some((leader, lost)) = self.channels.closed(now, conn, rng) {
            self.awake.insert(leader);
            self.failed.extend(lost);
        }
    }

    /// Gives up fetches that wait too long, and dials again where the backoff is over.
    pub(super) fn expire(&mut self, now: Instant, rng: &mut Rng, out: &mut Effects) {
        for (leader, lost) in self.channels.expire(now, rng, out) {
            self.awake.insert(leader);
            self.failed.extend(lost);
        }
        let Fetchers { dial_at, awake, .. } = self;
        dial_at.retain(|leader, at| {
            if *at <= now {
                awake.insert(*leader);
            }
            *at > now
        });
    }

    /// Hangs up on everybody, for good.
    pub(super) fn stop(&mut self, out: &mut Effects) {
        self.channels.close_all(out);
        self.followed.clear();
        self.leaders.clear();
        self.awake.clear();
        self.dial_at.clear();
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let dial = self.dial_at.values().min().copied();
        earliest(self.channels.deadline(), dial)
    }

    pub(super) fn check(&self) {
        let partitions: usize = self.leaders.values().map(BTreeSet::len).sum();
        assert_eq!(partitions, self.followed.len(), "each partition is fetched once");
        assert!(self.leaders.values().all(|each| !each.is_empty()), "no idle fetchers");
        assert!(self.awake.is_empty() && self.failed.is_empty(), "a step leaves nothing to do");
    }
}

impl Broker {
    /// Tells the replicas of fetches that were lost.
    pub(super) fn report_lost_fetches(&mut self, now: Now) {
        for lost in core::mem::take(&mut self.fetchers.failed) {
            self.fetch_failed(now, &lost);
        }
    }

    /// Sends to every leader that is awake what there is to ask.
    pub(super) fn fetch_from_leaders(&mut self, now: Now, out: &mut Effects) {
        while let Some(leader) = self.fetchers.awake.pop_first() {
            self.fetch_from(now, leader, out);
        }
    }

    fn fetch_from(&mut self, now: Now, leader: NodeId, out: &mut Effects) {
        let ctx = context!(self, now);
        let Fetchers { channels, leaders, dial_at, .. } = &mut self.fetchers;
        let Some(ids) = leaders.get(&leader) else { return };
        if channels.in_flight(&leader) > 0 {
            return;
        }
        let replicas = ids.iter().filter_map(|id| self.partitions.get(*id));
        let partitions: Vec<FetchPartition> =
            replicas.filter_map(|replica| replica.fetch_request(&ctx)).collect();
        if partitions.is_empty() {
            return;
        }
        let Some(endpoint) = ctx.image.brokers.get(&leader).map(|broker| &broker.endpoint) else {
            // The leader is not registered: the image will name another.
            return;
        };
        if !channels.ready(now.mono, &leader, endpoint, out) {
            if let Some(until) = channels.blocked_until(&leader) {
                dial_at.insert(leader, until);
            }
            return;
        }
        let request = Arc::new(Request::Fetch(FetchRequest {
            replica: Some((ctx.node, ctx.broker_epoch)),
            max_wait: ctx.config.replica_fetch_wait_max,
            min_bytes: 1,
            max_bytes: ctx.config.replica_fetch_response_max_bytes,
            isolation: Isolation::ReadUncommitted,
            partitions,
        }));
        let deadline = now.mono + ctx.config.request_timeout;
        channels.send(&leader, Arc::clone(&request), deadline, request, out);
    }

    pub(super) fn fetch_answered(
        &mut self,
        now: Now,
        conn: ConnId,
        correlation: CorrelationId,
        response: &Response,
        out: &mut Effects,
    ) {
        let Some((leader, sent)) = self.fetchers.channels.answered(conn, correlation) else {
            return;
        };
        self.fetchers.awake.insert(leader);
        let Response::Fetch(answer) = response else {
            self.fetch_failed(now, &sent);
            return;
        };
        let asked = fetch_of(&sent);
        // KIP-903: an answer to another incarnation of this broker cannot come, but one to another
        // epoch of it in the same process could.
        let own = asked.replica.is_some_and(|(_, epoch)| epoch == self.lifecycle.epoch());
        if !answer.error.is_ok() || answer.partitions.len() != asked.partitions.len() || !own {
            self.fetch_failed(now, &sent);
            return;
        }
        let ctx = context!(self, now);
        for (ask, partition) in asked.partitions.iter().zip(&answer.partitions) {
            let Some(replica) = self.partitions.touch(id_of(ask)) else { continue };
            if replica.follows() == Some(leader) {
                replica.fetched(&ctx, ask, partition, out);
            }
        }
    }

    /// The replicas hear that their question was lost, and back off.
    fn fetch_failed(&mut self, now: Now, sent: &Request) {
        let ctx = context!(self, now);
        for ask in &fetch_of(sent).partitions {
            if let Some(replica) = self.partitions.touch(id_of(ask)) {
                replica.fetch_failed(&ctx, ask);
            }
        }
    }
}

fn fetch_of(request: &Request) -> &FetchRequest {
    let Request::Fetch(fetch) = request else { panic!("fetchers only fetch") };
    fetch
}

fn id_of(ask: &FetchPartition) -> PartitionId {
    let TopicRef::Id(topic) = ask.topic else { panic!("replicas fetch by topic id (KIP-516)") };
    PartitionId { topic, partition: ask.partition }
}
