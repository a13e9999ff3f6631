//! The coordinators that this broker hosts: one for each partition of an internal topic that it
//! leads, and the way of requests to them.

mod create;
mod gather;
mod host;
mod route;

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::broker::coordination::gather::Gathers;
use crate::broker::coordination::host::{Host, Writer};
use crate::broker::coordination::route::Route;
use crate::broker::transaction::{Claim, Verdicts};
use crate::broker::{Broker, context};
use crate::coordinator::group::GroupCoordinator;
use crate::coordinator::transaction::{Delivery, MarkerErrand, TransactionCoordinator};
use crate::coordinator::{Context, Coordinator as _, Requester, kind_of, shard_of};
use crate::error::ErrorCode;
use crate::ids::{ConnId, NodeId, Offset, PartitionId};
use crate::machine::Effects;
use crate::message::coordinator::{CoordinatorKind, FindCoordinatorResponse, FoundCoordinator};
use crate::message::{Request, Response, refusal};
use crate::time::{Instant, Now, earliest};

/// All coordinators of a broker.
#[derive(Clone, Debug)]
pub(super) struct Coordinators {
    groups: Host<GroupCoordinator>,
    transactions: Host<TransactionCoordinator>,
    gathers: Gathers,
}

impl Coordinators {
    pub(super) fn new() -> Self {
        Coordinators { groups: Host::new(), transactions: Host::new(), gathers: Gathers::default() }
    }

    /// A new step begins.
    pub(super) fn begin(&mut self) {
        self.groups.begin();
        self.transactions.begin();
    }

    pub(super) fn hang_up(&mut self, conn: ConnId) {
        self.groups.hang_up(conn);
        self.transactions.hang_up(conn);
        self.gathers.hang_up(conn);
    }

    /// Markers that coordinators want delivered.
    pub(super) fn take_markers(&mut self) -> Vec<MarkerErrand> {
        self.transactions.take(TransactionCoordinator::take_markers)
    }

    /// Puts together the answers that came in parts.
    pub(super) fn settle(&mut self, out: &mut Effects) {
        self.gathers.settle(out);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        earliest(self.groups.deadline(), self.transactions.deadline())
    }

    pub(super) fn check(&self) {
        self.groups.check();
        self.transactions.check();
    }
}

/// What a coordinator is told with a call; only borrows the fields that it needs.
macro_rules! coordinator_context {
    ($broker:expr, $now:expr) => {
        Context {
            now: $now,
            node: $broker.setup.server.node,
            image: $broker.metadata.image(),
            config: &$broker.setup.broker,
            defects: $broker.setup.server.defects,
        }
    };
}

/// Calls the host of a partition's coordinator, if that is what the partition is for and it is
/// hosted here: `|host, ctx, writer|`.
macro_rules! at_host {
    ($broker:expr, $now:expr, $id:expr, |$host:ident, $ctx:ident, $writer:ident| $call:expr) => {
        if let Some(kind) = kind_of($broker.metadata.image(), $id) {
            let replica_ctx = context!($broker, $now);
            let $ctx = &coordinator_context!($broker, $now);
            if let Some(replica) = $broker.partitions.touch($id) {
                let ids = &mut $broker.producer_ids;
                let mut writer = Writer { replica, ctx: replica_ctx, ids };
                let $writer = &mut writer;
                match kind {
                    CoordinatorKind::Group => {
                        let $host = &mut $broker.coordinators.groups;
                        $call;
                    }
                    CoordinatorKind::Transaction => {
                        let $host = &mut $broker.coordinators.transactions;
                        $call;
                    }
                }
            }
        }
    };
}

impl Broker {
    /// Serves what is a coordinator's.
    pub(super) fn coordinate(
        &mut self,
        now: Now,
        client: Requester,
        request: &Arc<Request>,
        out: &mut Effects,
    ) {
        if let Request::FindCoordinator(ask) = &**request {
            let Some(kind) = ask.kind else {
                return refuse(client, request, ErrorCode::InvalidRequest, out);
            };
            let found = self.find_coordinators(now, kind, &ask.keys, out);
            return Self::respond(client, Response::FindCoordinator(found), out);
        }
        match route::route(request) {
            None => refuse(client, request, ErrorCode::InvalidRequest, out),
            Some(Route::Key(kind, key)) => self.for_key(now, client, (kind, &key), request, out),
            Some(Route::Keys(kind, parts)) => self.for_keys(now, client, kind, request, parts, out),
            Some(Route::All(kind)) => self.for_all(now, client, kind, request, out),
        }
    }

    fn for_key(
        &mut self,
        now: Now,
        client: Requester,
        (kind, key): (CoordinatorKind, &str),
        request: &Arc<Request>,
        out: &mut Effects,
    ) {
        if let Some(error) = key.is_empty().then(|| nameless(kind, request)).flatten() {
            return refuse(client, request, error, out);
        }
        match shard_of(self.metadata.image(), kind, key) {
            Some(id) => match self.transaction_of(id, request) {
                Some(claim) => self.await_enrolment(now, client, request, claim),
                None => self.for_shard(now, client, id, request, out),
            },
            None => refuse(client, request, ErrorCode::NotCoordinator, out),
        }
    }

    /// Offsets that a transaction commits to a partition where it has written nothing yet: its
    /// coordinator must know first.
    fn transaction_of(&self, id: PartitionId, request: &Request) -> Option<Claim> {
        let Request::TxnOffsetCommit(commit) = request else { return None };
        let session = (commit.producer_id, commit.producer_epoch);
        (!self.is_enrolled(id, session)).then(|| Claim {
            transactional_id: Arc::clone(&commit.transactional_id),
            session,
            version: commit.version,
            partitions: [id].into(),
        })
    }

    fn for_keys(
        &mut self,
        now: Now,
        client: Requester,
        kind: CoordinatorKind,
        request: &Arc<Request>,
        parts: Vec<(Arc<str>, Request)>,
        out: &mut Effects,
    ) {
        if let [(key, _)] = &*parts {
            return self.for_key(now, client, (kind, key), request, out);
        }
        if parts.is_empty() {
            return refuse(client, request, ErrorCode::None, out);
        }
        let clients = self.coordinators.gathers.begin(client, parts.len());
        for (client, (key, part)) in clients.zip(parts) {
            self.for_key(now, client, (kind, &key), &Arc::new(part), out);
        }
    }

    fn for_all(
        &mut self,
        now: Now,
        client: Requester,
        kind: CoordinatorKind,
        request: &Arc<Request>,
        out: &mut Effects,
    ) {
        let shards: Vec<PartitionId> = match kind {
            CoordinatorKind::Group => self.coordinators.groups.ids().collect(),
            CoordinatorKind::Transaction => self.coordinators.transactions.ids().collect(),
        };
        if shards.is_empty() {
            return refuse(client, request, ErrorCode::None, out);
        }
        let clients = self.coordinators.gathers.begin(client, shards.len());
        for (client, id) in clients.zip(shards) {
            self.for_shard(now, client, id, request, out);
        }
    }

    fn for_shard(
        &mut self,
        now: Now,
        client: Requester,
        id: PartitionId,
        request: &Arc<Request>,
        out: &mut Effects,
    ) {
        let mut served = Err(ErrorCode::NotCoordinator);
        at_host!(self, now, id, |host, ctx, writer| {
            served = match host.serving(id) {
                Ok(coordinator) => {
                    coordinator.request(ctx, writer, client, request, out);
                    host.called(id);
                    Ok(())
                }
                Err(error) => Err(error),
            }
        });
        if let Err(error) = served {
            refuse(client, request, error, out);
        }
    }

    /// A partition began or ceased to be led here.
    pub(super) fn coordinator_role(&mut self, now: Now, id: PartitionId, out: &mut Effects) {
        if kind_of(self.metadata.image(), id) == Some(CoordinatorKind::Transaction) {
            self.forget_markers(id.partition);
        }
        at_host!(self, now, id, |host, ctx, writer| host.role_changed(ctx, writer, out));
    }

    /// A partition's high watermark moved.
    pub(super) fn coordinator_committed(&mut self, now: Now, id: PartitionId, out: &mut Effects) {
        at_host!(self, now, id, |host, ctx, writer| host.moved(ctx, writer, out));
    }

    /// Bytes that were asked for, maybe by a coordinator.
    pub(super) fn coordinator_loaded(
        &mut self,
        now: Now,
        id: PartitionId,
        from: Offset,
        chunks: &[Bytes],
        out: &mut Effects,
    ) {
        at_host!(self, now, id, |host, ctx, writer| host.loaded(ctx, writer, from, chunks, out));
    }

    /// What became of a marker, for the coordinator that decided: if it still serves.
    pub(super) fn marker_delivered(
        &mut self,
        now: Now,
        errand: &MarkerErrand,
        delivery: Delivery,
        out: &mut Effects,
    ) {
        let kind = CoordinatorKind::Transaction;
        let Some(topic) = self.metadata.image().names.get(kind.topic()) else { return };
        let id = PartitionId { topic: *topic, partition: errand.shard };
        let at = (errand.topic.clone(), errand.partition);
        let replica_ctx = context!(self, now);
        let ctx = coordinator_context!(self, now);
        let (Some(replica), Ok(coordinator)) =
            (self.partitions.touch(id), self.coordinators.transactions.serving(id))
        else {
            return;
        };
        let ids = &mut self.producer_ids;
        let writer = &mut Writer { replica, ctx: replica_ctx, ids };
        coordinator.delivered(&ctx, writer, &errand.key, &at, delivery, out);
        self.coordinators.transactions.called(id);
    }

    /// Topics are no more: what groups have committed for them goes too.
    pub(super) fn topics_deleted(&mut self, now: Now, out: &mut Effects) {
        let hosted: Vec<PartitionId> = self.coordinators.groups.ids().collect();
        for id in hosted {
            let replica_ctx = context!(self, now);
            let ctx = coordinator_context!(self, now);
            let (Some(replica), Ok(coordinator)) =
                (self.partitions.touch(id), self.coordinators.groups.serving(id))
            else {
                continue;
            };
            let ids = &mut self.producer_ids;
            let writer = &mut Writer { replica, ctx: replica_ctx, ids };
            coordinator.topics_deleted(&ctx, writer, out);
            self.coordinators.groups.called(id);
        }
    }

    /// Whether the groups of that partition are served here now.
    pub(super) fn serves_groups(&mut self, id: PartitionId) -> bool {
        self.coordinators.groups.serving(id).is_ok()
    }

    /// A marker was appended to a partition that may keep groups.
    pub(super) fn coordinator_marker(
        &mut self,
        now: Now,
        id: PartitionId,
        marker: &Bytes,
        offset: Offset,
        out: &mut Effects,
    ) {
        at_host!(self, now, id, |host, ctx, writer| {
            if let Ok(coordinator) = host.serving(id) {
                coordinator.marker(ctx, writer, marker, offset, out);
                host.called(id);
            }
        });
    }

    /// Goes on with a request to a group that waited for its transaction.
    pub(super) fn group_enrolled(
        &mut self,
        now: Now,
        client: Requester,
        request: &Arc<Request>,
        verdicts: &Verdicts,
        out: &mut Effects,
    ) {
        let refused = verdicts.values().find(|error| !error.is_ok());
        match (refused, verdicts.keys().next()) {
            (None, Some(id)) => self.for_shard(now, client, *id, request, out),
            (Some(ErrorCode::NotEnoughReplicas), _) | (None, None) => {
                refuse(client, request, ErrorCode::CoordinatorNotAvailable, out);
            }
            (Some(error), _) => refuse(client, request, *error, out),
        }
    }

    /// The partition is gone from this broker.
    pub(super) fn coordinator_evicted(&mut self, id: PartitionId, out: &mut Effects) {
        self.coordinators.groups.evict(id, out);
        self.coordinators.transactions.evict(id, out);
    }

    /// Wakes the coordinators whose deadline is over.
    pub(super) fn wake_coordinators(&mut self, now: Now, out: &mut Effects) {
        while let Some(id) = self.due_coordinator(now.mono) {
            at_host!(self, now, id, |host, ctx, writer| {
                if let Ok(coordinator) = host.serving(id) {
                    coordinator.wake(ctx, writer, out);
                    let late = coordinator.deadline().is_some_and(|at| at <= now.mono);
                    assert!(!late, "a coordinator does what is due");
                    host.called(id);
                }
            });
        }
    }

    fn due_coordinator(&self, now: Instant) -> Option<PartitionId> {
        let Coordinators { groups, transactions, .. } = &self.coordinators;
        groups.due(now).or_else(|| transactions.due(now))
    }

    fn find_coordinators(
        &mut self,
        now: Now,
        kind: CoordinatorKind,
        keys: &[Arc<str>],
        out: &mut Effects,
    ) -> FindCoordinatorResponse {
        let image = Arc::clone(self.metadata.image());
        if !image.names.contains_key(kind.topic()) {
            let topic = create::creatable(kind, &self.setup.broker);
            self.create_topic(now, topic, out);
        }
        let find = |key: &Arc<str>| {
            let id = shard_of(&image, kind, key)?;
            let node = image.partition(id)?.leader;
            let broker = image.brokers.get(&node).filter(|broker| !broker.fenced)?;
            Some((node, broker.endpoint.clone()))
        };
        let found = |key: &Arc<str>| match find(key) {
            Some((node, endpoint)) => FoundCoordinator {
                key: Arc::clone(key),
                error: ErrorCode::None,
                node,
                endpoint: Some(endpoint),
            },
            None => FoundCoordinator {
                key: Arc::clone(key),
                error: ErrorCode::CoordinatorNotAvailable,
                node: NodeId::NONE,
                endpoint: None,
            },
        };
        FindCoordinatorResponse { coordinators: keys.iter().map(found).collect() }
    }
}

/// What a request about an empty name is refused with. A group without a name can keep offsets (old
/// clients do), and be described and deleted, but has no members.
fn nameless(kind: CoordinatorKind, request: &Request) -> Option<ErrorCode> {
    let transactional = kind == CoordinatorKind::Transaction;
    if transactional || matches!(request, Request::ConsumerGroupHeartbeat(_)) {
        return Some(ErrorCode::InvalidRequest);
    }
    let lenient = matches!(
        request,
        Request::OffsetCommit(_)
            | Request::OffsetFetch(_)
            | Request::DescribeGroups(_)
            | Request::DeleteGroups(_)
    );
    (!lenient).then_some(ErrorCode::InvalidGroupId)
}

fn refuse(client: Requester, request: &Request, error: ErrorCode, out: &mut Effects) {
    let answer = refusal::coordinated(request, error);
    Broker::respond(client, answer.expect("what is a coordinator's can be refused"), out);
}
