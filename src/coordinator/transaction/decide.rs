//! Decisions on one transactional id: pure, from the entry and the request to the next entry.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;

use crate::coordinator::transaction::entry::Entry;
use crate::defect::{Defect, Defects};
use crate::error::ErrorCode;
use crate::event::TransactionState;
use crate::ids::{ProducerEpoch, ProducerId, TopicName};
use crate::message::transaction::TransactionVersion;
use crate::time::{Duration, Timestamp};

/// What decisions go by beside the entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub now: Timestamp,
    /// The greatest epoch that a producer id may have (Kafka: 32,767).
    pub epoch_max: ProducerEpoch,
    pub defects: Defects,
}

impl Rules {
    /// Whether a producer id has no epoch left for another session: the greatest one is kept for
    /// fencing.
    pub(super) fn is_exhausted(self, epoch: ProducerEpoch) -> bool {
        epoch.0 >= self.epoch_max.0 - 1
    }

    /// The epoch above, none above the greatest one.
    fn above(self, epoch: ProducerEpoch) -> Option<ProducerEpoch> {
        (epoch < self.epoch_max).then(|| ProducerEpoch(epoch.0 + 1))
    }
}

/// What InitProducerId leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Init {
    /// The entry to write, whose id and epoch are the answer.
    Write(Entry),
    /// The same, but on a new producer id: the epochs of this one are used up.
    Rotate,
    /// A transaction is open: abort it first, with an epoch that fences its producer.
    Abort,
}

/// InitProducerId of a known id; `given` is what the producer had (KIP-360).
///
/// # Errors
/// `CONCURRENT_TRANSACTIONS` or `PRODUCER_FENCED`.
pub(super) fn init(
    entry: &Entry,
    given: Option<(ProducerId, ProducerEpoch)>,
    timeout: Duration,
    rules: Rules,
) -> Result<Init, ErrorCode> {
    // Whose id changes at the end of its transaction may know the next one already.
    if entry.is_prepared() {
        return Err(ErrorCode::ConcurrentTransactions);
    }
    if let Some((id, epoch)) = given {
        let present = id == entry.producer_id;
        let rotated = id == entry.previous_producer_id && rules.is_exhausted(epoch);
        if entry.producer_epoch != ProducerEpoch::NONE && !present && !rotated {
            return Err(ErrorCode::ProducerFenced);
        }
    }
    if entry.state == TransactionState::Ongoing {
        return Ok(Init::Abort);
    }
    assert!(entry.is_idle(), "never a resting state");
    let given = given.map(|(_, epoch)| epoch);
    let goes_on = given.is_none_or(|epoch| epoch == entry.producer_epoch);
    if goes_on && rules.is_exhausted(entry.producer_epoch) {
        return Ok(Init::Rotate);
    }
    next_epoch(entry, given, timeout, rules).map(Init::Write)
}

/// The next epoch of the same producer id.
fn next_epoch(
    entry: &Entry,
    given: Option<ProducerEpoch>,
    timeout: Duration,
    rules: Rules,
) -> Result<Entry, ErrorCode> {
    let present = entry.producer_epoch;
    let bumped = || rules.above(present).expect("or the producer id is changed");
    let (epoch, last) = match given {
        None => (bumped(), ProducerEpoch::NONE),
        Some(_) if present == ProducerEpoch::NONE => (bumped(), present),
        Some(epoch) if epoch == present => (bumped(), present),
        // KIP-360: the answer to the same question was lost.
        Some(epoch) if epoch == entry.last_producer_epoch => (present, epoch),
        Some(_) => return Err(ErrorCode::ProducerFenced),
    };
    Ok(Entry { producer_epoch: epoch, last_producer_epoch: last, ..idle(entry, timeout, rules) })
}

/// An entry that begins anew on another producer id. `goes_on`: for the producer that had the last
/// one, which may ask again (KIP-360).
pub(super) fn rotate(
    entry: &Entry,
    id: ProducerId,
    goes_on: bool,
    timeout: Duration,
    rules: Rules,
) -> Entry {
    Entry {
        producer_id: id,
        previous_producer_id: entry.producer_id,
        producer_epoch: ProducerEpoch(0),
        last_producer_epoch: if goes_on { entry.producer_epoch } else { ProducerEpoch::NONE },
        ..idle(entry, timeout, rules)
    }
}

fn idle(entry: &Entry, timeout: Duration, rules: Rules) -> Entry {
    Entry {
        timeout,
        state: TransactionState::Empty,
        partitions: Arc::default(),
        start: Timestamp::NONE,
        last_update: rules.now,
        next_producer_id: ProducerId::NONE,
        ..entry.clone()
    }
}

/// A producer, as it says itself.
pub(super) type Session = (ProducerId, ProducerEpoch);

/// Whether that producer has the transactional id.
///
/// # Errors
/// `INVALID_PRODUCER_ID_MAPPING` or `PRODUCER_FENCED`.
pub(super) fn claim(entry: &Entry, (id, epoch): Session) -> Result<(), ErrorCode> {
    if id != entry.producer_id {
        Err(ErrorCode::InvalidProducerIdMapping)
    } else if epoch != entry.producer_epoch {
        Err(ErrorCode::ProducerFenced)
    } else {
        Ok(())
    }
}

/// Whether a partition is in the open transaction of that producer.
///
/// # Errors
/// As [`claim`]; `CONCURRENT_TRANSACTIONS` while the transaction ends, and
/// `TRANSACTION_ABORTABLE` if the partition is not in it.
pub(super) fn verify(
    entry: &Entry,
    session: Session,
    partition: &(TopicName, i32),
) -> Result<(), ErrorCode> {
    claim(entry, session)?;
    if entry.is_prepared() {
        Err(ErrorCode::ConcurrentTransactions)
    } else if entry.state == TransactionState::Ongoing && entry.partitions.contains(partition) {
        Ok(())
    } else {
        Err(ErrorCode::TransactionAbortable)
    }
}

/// Adds partitions; none if all are there.
///
/// # Errors
/// `CONCURRENT_TRANSACTIONS` while the last transaction is not complete; as [`claim`].
pub(super) fn add(
    entry: &Entry,
    session: Session,
    partitions: &[(TopicName, i32)],
    rules: Rules,
) -> Result<Option<Entry>, ErrorCode> {
    // KIP-98: markers of the last transaction that come late would end this one. (Before the rest:
    // the producer may know the id already that it goes on with when the transaction is complete.)
    if entry.is_prepared() && !rules.defects.has(Defect::NewTxnBeforeComplete) {
        return Err(ErrorCode::ConcurrentTransactions);
    }
    claim(entry, session)?;
    let ongoing = entry.state == TransactionState::Ongoing;
    if ongoing && partitions.iter().all(|partition| entry.partitions.contains(partition)) {
        return Ok(None);
    }
    let mut all: BTreeSet<(TopicName, i32)> =
        if ongoing { BTreeSet::clone(&entry.partitions) } else { BTreeSet::new() };
    all.extend(partitions.iter().cloned());
    Ok(Some(Entry {
        state: TransactionState::Ongoing,
        partitions: Arc::new(all),
        start: if ongoing { entry.start } else { rules.now },
        last_update: rules.now,
        ..entry.clone()
    }))
}

/// Who ends a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub session: Session,
    pub commit: bool,
    pub version: TransactionVersion,
}

/// What EndTxn leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was done before: the answer got lost.
    Done,
    Prepare(Prepared),
}

/// A decision to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prepared {
    pub entry: Entry,
    /// Whether with it comes a new producer id, which the entry lacks yet.
    pub rotates: bool,
}

/// EndTxn of a client. `busy`: a transition of the entry is pending.
///
/// # Errors
/// `INVALID_PRODUCER_ID_MAPPING`, `PRODUCER_FENCED`, `INVALID_TXN_STATE` or
/// `CONCURRENT_TRANSACTIONS`.
pub(super) fn end(
    entry: &Entry,
    ending: Ending,
    busy: bool,
    rules: Rules,
) -> Result<End, ErrorCode> {
    // What is decided is not over before it is complete (in Kafka that transition is pending).
    let busy = busy || entry.is_prepared();
    // KIP-890: each transaction has an epoch of its own, so that an EndTxn that comes late can end
    // no other (KAFKA-17754).
    if ending.version == TransactionVersion::V2 && !rules.defects.has(Defect::DelayedEndtxn) {
        end_with_bump(entry, ending, busy, rules)
    } else {
        end_with_same_epoch(entry, ending, busy, rules)
    }
}

/// EndTxn of version 1: one epoch for all transactions of a session.
fn end_with_same_epoch(
    entry: &Entry,
    Ending { session, commit, .. }: Ending,
    busy: bool,
    rules: Rules,
) -> Result<End, ErrorCode> {
    claim(entry, session)?;
    if busy {
        return Err(ErrorCode::ConcurrentTransactions);
    }
    let done =
        if commit { TransactionState::CompleteCommit } else { TransactionState::CompleteAbort };
    if entry.state == TransactionState::Ongoing {
        Ok(End::Prepare(prepare(entry, commit, false, rules)))
    } else if entry.state == done {
        Ok(End::Done)
    } else {
        Err(ErrorCode::InvalidTxnState)
    }
}

/// EndTxn of version 2: with each end the session gets another epoch.
fn end_with_bump(
    entry: &Entry,
    Ending { session, commit, .. }: Ending,
    busy: bool,
    rules: Rules,
) -> Result<End, ErrorCode> {
    // KAFKA-18660: before the rest, for the session may be about to change.
    if busy {
        return Err(ErrorCode::ConcurrentTransactions);
    }
    let completed = match entry.state {
        TransactionState::CompleteCommit => Some(true),
        TransactionState::CompleteAbort => Some(false),
        TransactionState::Empty | TransactionState::Ongoing => None,
        TransactionState::PrepareCommit
        | TransactionState::PrepareAbort
        | TransactionState::Dead
        | TransactionState::PrepareEpochFence => panic!("never a resting state that is not busy"),
    };
    if let Some(committed) = completed
        && is_retry(entry, session, rules)
    {
        return if committed == commit { Ok(End::Done) } else { Err(ErrorCode::InvalidTxnState) };
    }
    claim(entry, session)?;
    if entry.state == TransactionState::Ongoing {
        Ok(End::Prepare(prepare(entry, commit, true, rules)))
    } else if commit {
        Err(ErrorCode::InvalidTxnState)
    } else {
        // KIP-890: a client does not know whether a send ever began its transaction.
        let nothing = Entry { partitions: Arc::default(), start: rules.now, ..entry.clone() };
        Ok(End::Prepare(prepare(&nothing, false, true, rules)))
    }
}

/// Whether this session's transaction is the one that was ended last.
fn is_retry(entry: &Entry, (id, epoch): Session, rules: Rules) -> bool {
    let same_id = id == entry.producer_id && rules.above(epoch) == Some(entry.producer_epoch);
    let rotated = id == entry.previous_producer_id
        && entry.producer_epoch == ProducerEpoch(0)
        && rules.is_exhausted(epoch);
    same_id || rotated
}

/// The decision on an open transaction. `bumps`: with another epoch, or another producer id if
/// there is none left.
fn prepare(entry: &Entry, commit: bool, bumps: bool, rules: Rules) -> Prepared {
    let state =
        if commit { TransactionState::PrepareCommit } else { TransactionState::PrepareAbort };
    // Markers of an epoch that is not bumped are those of version 1 (KIP-1228).
    let version = TransactionVersion::V1;
    let mut next = Entry { state, last_update: rules.now, version, ..entry.clone() };
    // Whoever had no epoch left kept the greatest one for this. Only a log that another program
    // wrote has a transaction open with that one, too: it is ended as it is.
    if let Some(above) = rules.above(entry.producer_epoch).filter(|_| bumps) {
        next.producer_epoch = above;
        next.last_producer_epoch = entry.producer_epoch;
        next.version = TransactionVersion::V2;
    }
    Prepared { entry: next, rotates: bumps && rules.is_exhausted(entry.producer_epoch) }
}

/// Aborts an open transaction for the coordinator's own reasons, with an epoch that fences its
/// producer unless `keeps_epoch`. As with each end of version 2, whichever its producer speaks,
/// that is the epoch of the end: a producer of version 2 that learns of the abort by its own EndTxn
/// may go on, and one of version 1 is fenced (as Kafka has it since 4.3).
pub(super) fn fence(entry: &Entry, keeps_epoch: bool, rules: Rules) -> Prepared {
    assert_eq!(entry.state, TransactionState::Ongoing, "only what is open is aborted");
    prepare(entry, false, !keeps_epoch, rules)
}

/// The end of a decided transaction whose markers are all written.
pub(super) fn complete(entry: &Entry, rules: Rules) -> Entry {
    let state = match entry.state {
        TransactionState::PrepareCommit => TransactionState::CompleteCommit,
        TransactionState::PrepareAbort => TransactionState::CompleteAbort,
        TransactionState::Empty
        | TransactionState::Ongoing
        | TransactionState::CompleteCommit
        | TransactionState::CompleteAbort
        | TransactionState::Dead
        | TransactionState::PrepareEpochFence => panic!("only what is decided completes"),
    };
    let (producer_id, producer_epoch) = entry.next_session();
    let rotated = entry.next_producer_id != ProducerId::NONE;
    Entry {
        state,
        producer_id,
        producer_epoch,
        previous_producer_id: if rotated { entry.producer_id } else { entry.previous_producer_id },
        next_producer_id: ProducerId::NONE,
        partitions: Arc::default(),
        last_update: rules.now,
        ..entry.clone()
    }
}
