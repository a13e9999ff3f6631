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
    if let Some((id, epoch)) = given {
        let present = id == entry.producer_id;
        let rotated = id == entry.previous_producer_id && rules.is_exhausted(epoch);
        if entry.producer_epoch != ProducerEpoch::NONE && !present && !rotated {
            return Err(ErrorCode::ProducerFenced);
        }
    }
    match entry.state {
        TransactionState::PrepareCommit | TransactionState::PrepareAbort => {
            Err(ErrorCode::ConcurrentTransactions)
        }
        TransactionState::Ongoing => Ok(Init::Abort),
        TransactionState::Empty
        | TransactionState::CompleteCommit
        | TransactionState::CompleteAbort => {
            if rules.is_exhausted(entry.producer_epoch) && given.is_none() {
                return Ok(Init::Rotate);
            }
            next_epoch(entry, given.map(|(_, epoch)| epoch), timeout, rules).map(Init::Write)
        }
        TransactionState::Dead | TransactionState::PrepareEpochFence => {
            panic!("never a resting state")
        }
    }
}

/// The next epoch of the same producer id.
fn next_epoch(
    entry: &Entry,
    given: Option<ProducerEpoch>,
    timeout: Duration,
    rules: Rules,
) -> Result<Entry, ErrorCode> {
    let present = entry.producer_epoch;
    let bumped = ProducerEpoch(present.0 + 1);
    let (epoch, last) = match given {
        None => (bumped, ProducerEpoch::NONE),
        Some(_) if present == ProducerEpoch::NONE => (bumped, present),
        Some(epoch) if epoch == present => (bumped, present),
        // KIP-360: the answer to the same question was lost.
        Some(epoch) if epoch == entry.last_producer_epoch => (present, epoch),
        Some(_) => return Err(ErrorCode::ProducerFenced),
    };
    Ok(Entry { producer_epoch: epoch, last_producer_epoch: last, ..idle(entry, timeout, rules) })
}

/// An entry that begins anew on another producer id.
pub(super) fn rotate(entry: &Entry, id: ProducerId, timeout: Duration, rules: Rules) -> Entry {
    Entry {
        producer_id: id,
        previous_producer_id: entry.producer_id,
        producer_epoch: ProducerEpoch(0),
        last_producer_epoch: ProducerEpoch::NONE,
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

/// Adds partitions; none if all are there.
///
/// # Errors
/// `CONCURRENT_TRANSACTIONS` while the last transaction is not complete.
pub(super) fn add(
    entry: &Entry,
    partitions: &[(TopicName, i32)],
    rules: Rules,
) -> Result<Option<Entry>, ErrorCode> {
    // KIP-98: markers of the last transaction that come late would end this one.
    if entry.is_prepared() && !rules.defects.has(Defect::NewTxnBeforeComplete) {
        return Err(ErrorCode::ConcurrentTransactions);
    }
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
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub commit: bool,
    pub version: TransactionVersion,
}

/// What EndTxn leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was done before: the answer got lost.
    Done,
    /// The decision to write. `rotates`: with a new producer id, which the entry lacks yet.
    Prepare { entry: Entry, rotates: bool },
}

/// EndTxn of a client.
///
/// # Errors
/// `INVALID_PRODUCER_ID_MAPPING`, `PRODUCER_FENCED`, `INVALID_TXN_STATE` or
/// `CONCURRENT_TRANSACTIONS`.
pub(super) fn end(entry: &Entry, ending: Ending, rules: Rules) -> Result<End, ErrorCode> {
    let Ending { producer_id, producer_epoch, commit, version } = ending;
    // KIP-890: each transaction has an epoch of its own, so that an EndTxn that comes late can end
    // no other (KAFKA-17754).
    let bumps = version == TransactionVersion::V2 && !rules.defects.has(Defect::DelayedEndtxn);
    let retry = bumps && is_retry(entry, producer_id, producer_epoch, rules);
    if producer_id != entry.producer_id && !retry {
        return Err(ErrorCode::InvalidProducerIdMapping);
    }
    if producer_epoch != entry.producer_epoch && !retry {
        return Err(ErrorCode::ProducerFenced);
    }
    let prepare = |entry: &Entry| {
        // Markers of an epoch that is not bumped are those of version 1 (KIP-1228).
        let version = if bumps { version } else { TransactionVersion::V1 };
        let (entry, rotates) = prepare(entry, commit, version, bumps, rules);
        Ok(End::Prepare { entry, rotates })
    };
    match entry.state {
        TransactionState::Ongoing if retry => Err(ErrorCode::ProducerFenced),
        TransactionState::Ongoing => prepare(entry),
        TransactionState::PrepareCommit | TransactionState::PrepareAbort => {
            let same = (entry.state == TransactionState::PrepareCommit) == commit;
            let same_transaction = retry || !bumps;
            if same && same_transaction {
                Err(ErrorCode::ConcurrentTransactions)
            } else {
                Err(ErrorCode::InvalidTxnState)
            }
        }
        TransactionState::CompleteCommit if commit && (retry || !bumps) => Ok(End::Done),
        TransactionState::CompleteAbort if !commit && (retry || !bumps) => Ok(End::Done),
        TransactionState::Empty
        | TransactionState::CompleteCommit
        | TransactionState::CompleteAbort => {
            // KIP-890: a client does not know whether a send ever began its transaction.
            if bumps && !commit && !retry {
                prepare(&Entry { partitions: Arc::default(), start: rules.now, ..entry.clone() })
            } else {
                Err(ErrorCode::InvalidTxnState)
            }
        }
        TransactionState::Dead | TransactionState::PrepareEpochFence => {
            panic!("never a resting state")
        }
    }
}

/// Whether this epoch's transaction is the one that was ended last.
fn is_retry(entry: &Entry, id: ProducerId, epoch: ProducerEpoch, rules: Rules) -> bool {
    let same_id = id == entry.producer_id && epoch.0.checked_add(1) == Some(entry.producer_epoch.0);
    let rotated = id == entry.previous_producer_id
        && entry.producer_epoch == ProducerEpoch(0)
        && rules.is_exhausted(epoch);
    same_id || rotated
}

/// The decision on an open transaction.
fn prepare(
    entry: &Entry,
    commit: bool,
    version: TransactionVersion,
    bumps: bool,
    rules: Rules,
) -> (Entry, bool) {
    let state =
        if commit { TransactionState::PrepareCommit } else { TransactionState::PrepareAbort };
    let mut next = Entry { state, last_update: rules.now, version, ..entry.clone() };
    if bumps {
        next.producer_epoch = ProducerEpoch(entry.producer_epoch.0 + 1);
        next.last_producer_epoch = entry.producer_epoch;
    }
    (next, bumps && rules.is_exhausted(entry.producer_epoch))
}

/// Aborts an open transaction for the coordinator's own reasons, with an epoch that fences its
/// producer unless `keeps_epoch`. In memory it goes through PrepareEpochFence.
pub(super) fn fence(entry: &Entry, keeps_epoch: bool, rules: Rules) -> (Entry, bool) {
    assert_eq!(entry.state, TransactionState::Ongoing, "only what is open is aborted");
    if keeps_epoch {
        let version = TransactionVersion::V1;
        return prepare(entry, false, version, false, rules);
    }
    // One epoch fences the producer; with version 2 the transaction's end takes another, so that
    // the fenced one's own EndTxn is not taken for a retry of this end.
    let mut fenced = entry.clone();
    fenced.last_producer_epoch = ProducerEpoch::NONE;
    if entry.producer_epoch < rules.epoch_max {
        fenced.producer_epoch = ProducerEpoch(entry.producer_epoch.0 + 1);
    }
    let bumps = entry.version == TransactionVersion::V2 && fenced.producer_epoch < rules.epoch_max;
    let (prepared, _) = prepare(&fenced, false, entry.version, bumps, rules);
    let rotates =
        entry.version == TransactionVersion::V2 && rules.is_exhausted(fenced.producer_epoch);
    (prepared, rotates)
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
