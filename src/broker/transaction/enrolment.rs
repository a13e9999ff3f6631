//! Before a transaction's first record goes into a partition, its coordinator must know of the
//! partition, or no marker would ever end it there (KIP-890).
//!
//! Clients of version 1 have told the coordinator themselves, and the broker only asks whether that
//! is so; for clients of version 2 the broker adds the partition. The request waits meanwhile. A
//! marker that comes while it waits is the end of that transaction here, whatever the answer says.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::broker::Broker;
use crate::broker::transaction::{Errand, RETRY};
use crate::coordinator::{Requester, shard_of};
use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::ids::{ConnId, NodeId, PartitionId, ProducerEpoch, ProducerId, TopicName};
use crate::machine::Effects;
use crate::message::Request;
use crate::message::coordinator::CoordinatorKind;
use crate::message::transaction::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddedTransaction, TransactionVersion,
};
use crate::time::{Duration, Instant, Now, earliest};

/// How long a request waits for the coordinator, before its client is told to come again.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of each partition that a request had to wait for.
pub(in crate::broker) type Verdicts = BTreeMap<PartitionId, ErrorCode>;

/// Requests that wait for the coordinator of their transaction, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Enrolments {
    next: u64,
    pending: BTreeMap<u64, Enrolment>,
}

#[derive(Clone, Debug)]
struct Enrolment {
    client: Requester,
    request: Arc<Request>,
    transactional_id: Arc<str>,
    session: (ProducerId, ProducerEpoch),
    version: TransactionVersion,
    partitions: BTreeSet<PartitionId>,
    /// Partitions where a marker came meanwhile.
    ended: BTreeSet<PartitionId>,
    deadline: Instant,
    /// When to send it (again); none while it is with the coordinator.
    due: Option<Instant>,
}

impl Enrolments {
    pub(super) fn again(&mut self, now: Instant, number: u64) {
        if let Some(pending) = self.pending.get_mut(&number) {
            pending.due = Some(now + RETRY);
        }
    }

    /// When the next one is to be sent; none while all are with their coordinators.
    fn due(&self) -> Option<Instant> {
        self.pending.values().filter_map(|pending| pending.due).min()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let patience = self.pending.values().map(|pending| pending.deadline).min();
        earliest(self.due(), patience)
    }

    /// A connection is up: what could not be sent need not rest any longer.
    pub(super) fn look_again(&mut self) {
        for due in self.pending.values_mut().filter_map(|pending| pending.due.as_mut()) {
            *due = Instant::ZERO;
        }
    }

    pub(super) fn hang_up(&mut self, conn: ConnId) {
        self.pending.retain(|_, pending| pending.client.0 != conn);
    }

    /// A marker of this producer was appended there.
    pub(super) fn ended(
        &mut self,
        id: PartitionId,
        (producer, epoch): (ProducerId, ProducerEpoch),
    ) {
        for pending in self.pending.values_mut() {
            let (own, began) = pending.session;
            // KAFKA-18575: with version 2 a marker of the present epoch ends the transaction
            // before.
            let ends = match pending.version {
                TransactionVersion::V1 => epoch >= began,
                TransactionVersion::V2 => epoch > began,
            };
            if own == producer && ends && pending.partitions.contains(&id) {
                pending.ended.insert(id);
            }
        }
    }
}

/// What a waiting request is about.
#[derive(Clone, Debug)]
pub(in crate::broker) struct Claim {
    pub transactional_id: Arc<str>,
    pub session: (ProducerId, ProducerEpoch),
    pub version: TransactionVersion,
    pub partitions: BTreeSet<PartitionId>,
}

impl Broker {
    /// Whether a transaction of this producer's session is open on a partition, so that its
    /// coordinator surely knows of it.
    pub(in crate::broker) fn is_enrolled(
        &self,
        id: PartitionId,
        (producer, epoch): (ProducerId, ProducerEpoch),
    ) -> bool {
        // KAFKA-14402: without asking, a record that comes after its marker stays open for ever.
        if self.setup.server.defects.has(Defect::ProduceAfterMarker) {
            return true;
        }
        let replica = self.partitions.get(id);
        let known = replica.and_then(|replica| replica.log().producers().get(producer));
        known.is_some_and(|state| state.epoch == epoch && state.transaction_start.is_some())
    }

    /// Lets a request wait until its coordinator knows of these partitions.
    pub(in crate::broker) fn await_enrolment(
        &mut self,
        now: Now,
        client: Requester,
        request: &Arc<Request>,
        claim: Claim,
    ) {
        let Claim { transactional_id, session, version, partitions } = claim;
        let enrolments = &mut self.transactions.enrolments;
        enrolments.pending.insert(
            enrolments.next,
            Enrolment {
                client,
                request: Arc::clone(request),
                transactional_id,
                session,
                version,
                partitions,
                ended: BTreeSet::new(),
                deadline: now.mono + PATIENCE,
                due: Some(now.mono),
            },
        );
        enrolments.next += 1;
    }

    /// Asks the coordinators about what is due.
    pub(super) fn enrol_partitions(&mut self, now: Now, out: &mut Effects) {
        let due = |pending: &Enrolment| pending.due.is_some_and(|due| due <= now.mono);
        let pending = self.transactions.enrolments.pending.iter();
        let numbers: Vec<u64> =
            pending.filter(|(_, each)| due(each)).map(|(number, _)| *number).collect();
        for number in numbers {
            if !self.send_enrolment(now, number, out) {
                self.transactions.enrolments.again(now.mono, number);
            }
        }
    }

    fn send_enrolment(&mut self, now: Now, number: u64, out: &mut Effects) -> bool {
        let image = Arc::clone(self.metadata.image());
        let pending = self.transactions.enrolments.pending.get_mut(&number);
        let pending = pending.expect("collected from there");
        let shard = shard_of(&image, CoordinatorKind::Transaction, &pending.transactional_id);
        let coordinator = shard.and_then(|shard| image.partition(shard));
        let node = coordinator.map_or(NodeId::NONE, |partition| partition.leader);
        let Some(broker) = image.brokers.get(&node) else { return false };
        let name = |id: &PartitionId| -> Option<(TopicName, i32)> {
            Some((image.topics.get(&id.topic)?.name.clone(), id.partition))
        };
        let asked = AddedTransaction {
            transactional_id: Arc::clone(&pending.transactional_id),
            producer_id: pending.session.0,
            producer_epoch: pending.session.1,
            verify_only: pending.version == TransactionVersion::V1,
            by_client: false,
            partitions: pending.partitions.iter().filter_map(name).collect(),
        };
        let (until, transactions) = (pending.deadline, alloc::vec![asked]);
        if !self.transactions.channels.ready(now.mono, &node, &broker.endpoint, out) {
            return false;
        }
        pending.due = None;
        let request = AddPartitionsToTxnRequest { transactions };
        let request = Arc::new(Request::AddPartitionsToTxn(request));
        let errand = Errand::Enrolment(number);
        self.transactions.channels.send(&node, request, until, errand, out);
        true
    }

    pub(super) fn enrolment_answered(
        &mut self,
        now: Now,
        number: u64,
        answer: &AddPartitionsToTxnResponse,
        out: &mut Effects,
    ) {
        let results: Vec<(TopicName, i32, ErrorCode)> =
            answer.transactions.iter().flat_map(|(_, each)| each.iter().cloned()).collect();
        let again = results.iter().any(|(_, _, error)| is_retriable(*error));
        if again || !answer.error.is_ok() {
            return self.transactions.enrolments.again(now.mono, number);
        }
        let Some(pending) = self.transactions.enrolments.pending.remove(&number) else { return };
        let image = Arc::clone(self.metadata.image());
        let verdict = |id: &PartitionId| {
            if pending.ended.contains(id) {
                return ErrorCode::InvalidTxnState;
            }
            let topic = image.topics.get(&id.topic).map(|topic| &topic.name);
            let own = results
                .iter()
                .find(|(name, partition, _)| Some(name) == topic && *partition == id.partition);
            own.map_or(ErrorCode::UnknownTopicOrPartition, |(_, _, error)| {
                refusal(*error, pending.version)
            })
        };
        let verdicts = pending.partitions.iter().map(|id| (*id, verdict(id))).collect();
        self.enrolled(now, pending.client, &pending.request, &verdicts, out);
    }

    /// Sends those away for whom the coordinator took too long.
    pub(super) fn expire_enrolments(&mut self, now: Now, out: &mut Effects) {
        let late = |pending: &Enrolment| pending.deadline <= now.mono;
        let pending = &mut self.transactions.enrolments.pending;
        let late: Vec<Enrolment> =
            pending.extract_if(.., |_, pending| late(pending)).map(|(_, each)| each).collect();
        for each in late {
            let ids = each.partitions.iter();
            let verdicts = ids.map(|id| (*id, ErrorCode::NotEnoughReplicas)).collect();
            self.enrolled(now, each.client, &each.request, &verdicts, out);
        }
    }

    /// Goes on with a request that has waited.
    fn enrolled(
        &mut self,
        now: Now,
        client: Requester,
        request: &Arc<Request>,
        verdicts: &Verdicts,
        out: &mut Effects,
    ) {
        if let Request::Produce(produce) = &**request {
            self.append_all(now, client, produce, verdicts, out);
        } else {
            self.group_enrolled(now, client, request, verdicts, out);
        }
    }
}

/// Whether the coordinator only said "not now".
fn is_retriable(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::ConcurrentTransactions
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::NotCoordinator
            // Its metadata is behind ours: the partition is here.
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::OperationNotAttempted
    )
}

/// What a producer is told for the coordinator's answer.
fn refusal(error: ErrorCode, version: TransactionVersion) -> ErrorCode {
    match (error, version) {
        // A coordinator fences; a partition knows producers by their epoch only.
        (ErrorCode::ProducerFenced, _) => ErrorCode::InvalidProducerEpoch,
        (ErrorCode::TransactionAbortable, TransactionVersion::V1) => ErrorCode::InvalidTxnState,
        (error, _) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CorrelationId;

    fn waiting(due: Option<Instant>) -> Enrolment {
        let request = AddPartitionsToTxnRequest { transactions: Vec::new() };
        Enrolment {
            client: (ConnId::inbound(1), CorrelationId(1)),
            request: Arc::new(Request::AddPartitionsToTxn(request)),
            transactional_id: "t".into(),
            session: (ProducerId(1), ProducerEpoch(0)),
            version: TransactionVersion::V2,
            partitions: BTreeSet::new(),
            ended: BTreeSet::new(),
            deadline: Instant::ZERO + PATIENCE,
            due,
        }
    }

    #[test]
    fn a_marker_of_the_transaction_before_ends_nothing() {
        let id = PartitionId { topic: crate::ids::Uuid([1; 4]), partition: 0 };
        for (version, epoch, ends) in [
            (TransactionVersion::V1, 3, true),
            (TransactionVersion::V2, 3, false),
            (TransactionVersion::V2, 4, true),
        ] {
            let mut enrolments = Enrolments::default();
            let session = (ProducerId(1), ProducerEpoch(3));
            let mut each = Enrolment { version, session, ..waiting(None) };
            each.partitions.insert(id);
            enrolments.pending.insert(0, each);
            enrolments.ended(id, (ProducerId(1), ProducerEpoch(epoch)));
            assert_eq!(!enrolments.pending[&0].ended.is_empty(), ends, "{version:?} {epoch}");
        }
    }

    #[test]
    fn one_that_rests_is_sent_again_whatever_becomes_of_the_others() {
        let mut enrolments = Enrolments::default();
        let now = Instant::ZERO + Duration::from_secs(1);
        enrolments.pending.insert(0, waiting(None));
        enrolments.pending.insert(1, waiting(None));
        assert_eq!(enrolments.deadline(), Some(Instant::ZERO + PATIENCE));
        enrolments.again(now, 0);
        assert_eq!(enrolments.deadline(), Some(now + RETRY));
        enrolments.again(now + RETRY / 2, 1);
        assert_eq!(enrolments.deadline(), Some(now + RETRY));
        enrolments.look_again();
        let all_due = enrolments.pending.values().all(|pending| pending.due <= Some(now));
        assert!(all_due && enrolments.due().is_some(), "a connection ends every rest");
    }
}
