//! What transaction coordinators decide: T1, T7.
//!
//! A coordinator notes each record when it appends it. Whether that record came to count is told by
//! the committed log of its partition, not by the coordinator.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use seedlog::event::{TransactionNote, TransactionState};
use seedlog::ids::{LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId, TopicName};
use seedlog::time::Instant;

use super::super::tally::{Check, Tally};
use super::view::Closed;

/// Decisions remembered of one producer id.
const REMEMBERED: usize = 8;
/// Producer ids that something is remembered of, oldest forgotten first.
const PRODUCERS: usize = 1 << 10;

/// A record of a coordinator's log: its shard, its offset and the leader epoch of its batch.
type Place = (i32, Offset, LeaderEpoch);

/// The coordinators' log, as it is committed.
#[derive(Clone, Debug, Default)]
pub struct Coordinators {
    /// What was appended and is not known to be committed.
    appended: BTreeMap<Place, Arc<TransactionNote>>,
    /// The state that each transactional id has in the committed log.
    states: BTreeMap<Arc<str>, Durable>,
    decisions: IndexMap<ProducerId, VecDeque<Decided>, FxBuildHasher>,
    /// Producers whose decisions may have been lost with their log, beyond what the protocol
    /// promises to survive.
    blind: BTreeSet<ProducerId>,
}

#[derive(Clone, Debug)]
struct Durable {
    state: TransactionState,
    producer: ProducerId,
    epoch: ProducerEpoch,
    offset: Offset,
    since: Instant,
}

/// What a decision is about: the partitions of a producer.
pub type Scope = (ProducerId, Arc<[(TopicName, i32)]>);

/// A transition that is in the committed log.
#[derive(Clone, Debug)]
pub struct Committed {
    pub note: Arc<TransactionNote>,
    /// What it completes, if that is known.
    pub completes: Option<Scope>,
}

/// A decision that is in the committed log.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The epoch that its markers have.
    pub epoch: ProducerEpoch,
    pub commit: bool,
    pub partitions: Arc<[(TopicName, i32)]>,
    /// Where it is in the coordinator's log.
    pub at: Offset,
}

/// Which state may follow which (PROTOCOL C6; an abort of nothing by KIP-890).
fn is_legal(from: TransactionState, to: TransactionState) -> bool {
    use TransactionState::{
        CompleteAbort, CompleteCommit, Dead, Empty, Ongoing, PrepareAbort, PrepareCommit,
        PrepareEpochFence,
    };
    let idle = matches!(from, Empty | CompleteCommit | CompleteAbort);
    match to {
        Empty | Dead => idle,
        Ongoing => idle || from == Ongoing,
        PrepareCommit => from == Ongoing,
        PrepareAbort => idle || from == Ongoing,
        CompleteCommit => from == PrepareCommit,
        CompleteAbort => from == PrepareAbort,
        // Only ever in memory.
        PrepareEpochFence => false,
    }
}

impl Coordinators {
    /// A coordinator appended the record of a transition.
    pub fn appended(&mut self, note: &Arc<TransactionNote>, tally: &mut Tally) {
        tally.expect(Check::LegalTransition, is_legal(note.from, note.to), || {
            format!(
                "the coordinator of {:?} writes {:?} while its state is {:?}, which the protocol \
                 does not allow",
                note.transactional_id, note.to, note.from
            )
        });
        let key = (note.shard, note.offset, note.coordinator_epoch);
        self.appended.insert(key, Arc::clone(note));
    }

    /// A coordinator takes a transition for committed; `committed` is how far its log really is.
    pub fn claimed(&self, note: &TransactionNote, committed: Offset, tally: &mut Tally) {
        tally.expect(Check::SingleDecision, note.offset < committed, || {
            format!(
                "the coordinator of {:?} acts on {:?}, whose record at offset {} of \
                 __transaction_state-{} is not committed: only what is below {committed} is, and a \
                 new coordinator may decide otherwise",
                note.transactional_id, note.to, note.offset, note.shard
            )
        });
    }

    /// A batch of a coordinator's log was committed. Gives what it says, if that is known.
    pub fn committed(
        &mut self,
        shard: i32,
        (base, last): (Offset, Offset),
        epoch: LeaderEpoch,
        tally: &mut Tally,
    ) -> Vec<Committed> {
        let mut durable = Vec::new();
        while let Some(((_, offset, written), note)) = self.next_below(shard, last) {
            // Others were cut from the log before they came to count.
            if offset >= base && written == epoch {
                let completes = self.completes(&note);
                self.durable(&note, tally);
                durable.push(Committed { note, completes });
            }
        }
        durable
    }

    /// Takes the first record of a shard that was appended at or below `last`.
    fn next_below(&mut self, shard: i32, last: Offset) -> Option<(Place, Arc<TransactionNote>)> {
        let from = (shard, Offset(i64::MIN), LeaderEpoch(i32::MIN));
        let upto = (shard, last, LeaderEpoch(i32::MAX));
        let key = *self.appended.range(from..=upto).next()?.0;
        self.appended.remove_entry(&key)
    }

    fn completes(&self, note: &TransactionNote) -> Option<Scope> {
        let completes =
            matches!(note.to, TransactionState::CompleteCommit | TransactionState::CompleteAbort);
        let known = self.states.get(&note.transactional_id).filter(|_| completes)?;
        let decided = self.decision(known.producer, known.epoch)?;
        Some((known.producer, Arc::clone(&decided.partitions)))
    }

    fn durable(&mut self, note: &TransactionNote, tally: &mut Tally) {
        let id = &note.transactional_id;
        let known = self.states.get(id);
        let state = known.map_or(TransactionState::Empty, |known| known.state);
        tally.expect(Check::LegalTransition, state == note.from, || {
            format!(
                "the log of {id:?} has {:?} at offset {} as if its state were {:?}, but it was \
                 {state:?}",
                note.to, note.offset, note.from
            )
        });
        if let Some(known) = known {
            let falls = known.producer == note.producer_id && note.producer_epoch < known.epoch;
            tally.expect(Check::EpochsMonotone, !falls, || {
                format!(
                    "{id:?}: producer {} falls from epoch {} (offset {}) to {} (offset {})",
                    note.producer_id, known.epoch, known.offset, note.producer_epoch, note.offset
                )
            });
        }
        if note.to == TransactionState::Dead {
            self.states.remove(id);
            return;
        }
        let (producer, epoch) = (note.producer_id, note.producer_epoch);
        let (state, offset, since) = (note.to, note.offset, tally.now());
        let durable = Durable { state, producer, epoch, offset, since };
        self.states.insert(Arc::clone(id), durable);
        let Some(commit) = note.to.decision() else { return };
        if self.decisions.len() > 2 * PRODUCERS {
            self.decisions.drain(..PRODUCERS);
        }
        let decisions = self.decisions.entry(producer).or_default();
        decisions.push_back(Decided {
            epoch,
            commit,
            partitions: Arc::clone(&note.partitions),
            at: note.offset,
        });
        if decisions.len() > REMEMBERED {
            decisions.pop_front();
        }
    }

    /// Whether a producer's transaction is ongoing in the committed log, and since when that is so.
    #[must_use]
    pub fn standing(&self, producer: ProducerId) -> (bool, Instant) {
        let known = self.states.values().find(|known| known.producer == producer);
        known.map_or((false, Instant::ZERO), |known| {
            (known.state == TransactionState::Ongoing, known.since)
        })
    }

    /// T2: the decision that a marker carries out. A marker that ends nothing may repeat an old
    /// one.
    pub fn check_marker(
        &self,
        id: PartitionId,
        named: Option<&(TopicName, i32)>,
        closed: &Closed,
        tally: &mut Tally,
    ) -> Option<(ProducerId, Offset)> {
        let open = closed.open.as_ref().filter(|_| !self.is_blind(closed.producer))?;
        let Closed { producer, epoch, marker, .. } = *closed;
        let decided = self.decision(producer, epoch);
        let fits = decided.is_some_and(|decided| decided.commit == closed.commit);
        let enrolled = |name| decided.is_some_and(|decided| decided.partitions.contains(name));
        let kind = if closed.commit { "commit" } else { "abort" };
        tally.expect(Check::MarkerAttribution, fits, || {
            format!(
                "the {kind} marker at {id} {marker} (producer {producer}, epoch {epoch}) ends the \
                 records from {}, but what its coordinator decided for that epoch is {}",
                open.first,
                decided.map_or("nothing", |decided| if decided.commit {
                    "commit"
                } else {
                    "abort"
                })
            )
        });
        tally.expect(Check::MarkerAttribution, !fits || named.is_none_or(enrolled), || {
            format!(
                "the {kind} marker at {id} {marker} ends the records of producer {producer} from \
                 {}, but the partition is not in the transaction that its coordinator decided",
                open.first
            )
        });
        decided.filter(|_| fits).map(|decided| (producer, decided.at))
    }

    /// What was decided of a producer may be lost.
    pub fn lost(&mut self, producer: ProducerId) {
        self.blind.insert(producer);
        if self.blind.len() > PRODUCERS {
            self.blind.pop_first();
        }
    }

    /// Whether something that was decided of a producer may be lost.
    #[must_use]
    pub fn is_blind(&self, producer: ProducerId) -> bool {
        self.blind.contains(&producer)
    }

    /// The last decision of a producer that has that epoch.
    #[must_use]
    pub fn decision(&self, producer: ProducerId, epoch: ProducerEpoch) -> Option<&Decided> {
        self.decisions.get(&producer)?.iter().rev().find(|decided| decided.epoch == epoch)
    }
}
