//! Transitions between the log and its commit, and what follows when they are committed.

use alloc::sync::Arc;

use crate::coordinator::transaction::entry::{Entry, is_legal};
use crate::coordinator::transaction::{TransactionCoordinator, decide, record};
use crate::coordinator::{Context, Journal, Requester};
use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::event::{Event, Mark, TransactionNote, TransactionState};
use crate::ids::{ConnId, Offset, ProducerId};
use crate::machine::{Effect, Effects};
use crate::message::{Request, Response, refusal};
use crate::record::Builder;
use crate::time::Instant;

/// A transition that is appended and not yet committed.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    /// What the entry becomes; none: the id is forgotten.
    entry: Option<Entry>,
    /// Where the record is.
    pub offset: Offset,
    waiting: Option<Waiting>,
}

/// Who waits for it.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub to: Requester,
    pub request: Arc<Request>,
    /// What to answer when it is committed.
    pub response: Response,
    /// How long the client is made to wait. The transition stays pending beyond: the log may still
    /// commit it. (Kafka forgets it then, and may go on from a state that the log has left.)
    pub until: Instant,
}

impl Pending {
    /// When somebody who waits for it is told to come again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|waiting| waiting.until)
    }

    pub(super) fn hang_up(&mut self, conn: ConnId) {
        if self.waiting.as_ref().is_some_and(|waiting| waiting.to.0 == conn) {
            self.waiting = None;
        }
    }

    /// Tells who waits that it came to nothing here.
    pub(super) fn refuse(self, error: ErrorCode, out: &mut Effects) {
        if let Some(waiting) = self.waiting {
            refuse(waiting.to, &waiting.request, error, out);
        }
    }
}

/// Answers with an error.
pub(super) fn refuse(to: Requester, request: &Request, error: ErrorCode, out: &mut Effects) {
    let response = refusal::coordinated(request, error);
    respond(to, response.expect("a coordinator's own request"), out);
}

pub(super) fn respond((to, correlation): Requester, response: Response, out: &mut Effects) {
    out.push(Effect::Respond { to, correlation, response: Arc::new(response) });
}

/// What a failed append means to a client (KIP-98).
pub(super) fn append_error(error: ErrorCode) -> ErrorCode {
    let elsewhere = [ErrorCode::NotLeaderOrFollower, ErrorCode::KafkaStorageError];
    let too_large = [ErrorCode::MessageTooLarge, ErrorCode::RecordListTooLarge];
    if elsewhere.contains(&error) {
        ErrorCode::NotCoordinator
    } else if too_large.contains(&error) {
        ErrorCode::UnknownServerError
    } else {
        ErrorCode::CoordinatorNotAvailable
    }
}

impl TransactionCoordinator {
    /// Appends the record of a transition, which is pending then.
    ///
    /// # Errors
    /// What a client is answered; the entry is as it was.
    pub(super) fn transit(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        id: &Arc<str>,
        entry: Option<Entry>,
        waiting: Option<Waiting>,
        out: &mut Effects,
    ) -> Result<(), ErrorCode> {
        assert!(!self.pending.contains_key(id), "one transition at a time");
        let from = self.entries.get(id).map_or(TransactionState::Empty, |entry| entry.state);
        let to = entry.as_ref().map_or(TransactionState::Dead, |entry| entry.state);
        let broken = ctx.defects.has(Defect::NewTxnBeforeComplete);
        assert!(broken || is_legal(from, to), "{id}: {from:?} is not followed by {to:?}");
        if let Some(entry) = &entry {
            let kept = self.entries.get(id).map(|known| known.producer_epoch);
            let epoch = entry.producer_epoch;
            // A log may hold what was written with another limit.
            let given = epoch <= Self::rules(ctx).epoch_max || kept == Some(epoch);
            assert!(given, "{id}: epoch {epoch} is beyond the greatest");
        }
        let mut batch = Builder::new();
        let value = entry.as_ref().map(record::encode_value);
        batch.append(ctx.now.wall, Some(&record::encode_key(id)), value.as_deref());
        let offset = journal.append(&batch.build(), out).map_err(append_error)?;
        let pending = Pending { entry, offset, waiting };
        self.note(id, from, &pending, false, out);
        self.pending.insert(Arc::clone(id), pending);
        // KIP-98: a decision that is not committed yet may be lost with this coordinator, and the
        // next one may decide otherwise.
        if to.decision().is_some() && ctx.defects.has(Defect::TcDecideBeforeDurable) {
            self.settle(ctx, journal, id, out);
        }
        Ok(())
    }

    /// A transition is committed: it counts from now on, and who waits for it is answered.
    pub(super) fn settle(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        id: &Arc<str>,
        out: &mut Effects,
    ) {
        let pending = self.pending.remove(id).expect("it was pending");
        let from = self.entries.get(id).map_or(TransactionState::Empty, |entry| entry.state);
        self.note(id, from, &pending, true, out);
        let Pending { entry, waiting, .. } = pending;
        let Some(entry) = entry else {
            Arc::make_mut(&mut self.entries).remove(id);
            return;
        };
        let rotated = |known: &Arc<Entry>| known.producer_id != entry.producer_id;
        if self.entries.get(id).is_some_and(rotated) {
            out.note(Event::Sometimes(Mark::ProducerIdRotated));
        }
        let decided = entry.is_prepared();
        self.insert(Arc::clone(id), Arc::new(entry));
        if let Some(waiting) = waiting {
            respond(waiting.to, waiting.response, out);
        }
        if decided {
            self.tell_partitions(ctx, journal, id, out);
        }
    }

    /// The markers of a decided transaction go out; without any it is complete.
    pub(super) fn tell_partitions(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        id: &Arc<str>,
        out: &mut Effects,
    ) {
        let entry = Arc::clone(self.entries.get(id).expect("decided"));
        if self.markers.begin(self.shard, self.epoch, id, &entry) {
            self.complete(ctx, journal, id, out);
        }
    }

    /// All markers are written. If the log does not take the record now, the sweep tries again.
    pub(super) fn complete(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        id: &Arc<str>,
        out: &mut Effects,
    ) {
        let Some(entry) = self.entries.get(id).filter(|entry| entry.is_prepared()) else { return };
        let entry = decide::complete(entry, Self::rules(ctx));
        if self.transit(ctx, journal, id, Some(entry), None, out).is_err() {
            self.sweep.incomplete(ctx, id);
        }
    }

    /// Answers those who have waited long enough.
    pub(super) fn give_up_waiting(&mut self, ctx: &Context<'_>, out: &mut Effects) {
        for pending in self.pending.values_mut() {
            if let Some(late) = pending.waiting.take_if(|each| each.until <= ctx.now.mono) {
                let error = ErrorCode::CoordinatorNotAvailable;
                refuse(late.to, &late.request, error, out);
            }
        }
    }

    fn note(
        &self,
        id: &Arc<str>,
        from: TransactionState,
        pending: &Pending,
        committed: bool,
        out: &mut Effects,
    ) {
        let old = self.entries.get(id).map(Arc::as_ref);
        let entry = pending.entry.as_ref().or(old);
        let partitions = entry.map(|entry| entry.partitions.iter().cloned().collect());
        out.note(Event::Transaction(Arc::new(TransactionNote {
            transactional_id: Arc::clone(id),
            producer_id: entry.map_or(ProducerId::NONE, |entry| entry.producer_id),
            producer_epoch: entry.map_or_else(Default::default, |entry| entry.producer_epoch),
            from,
            to: pending.entry.as_ref().map_or(TransactionState::Dead, |entry| entry.state),
            shard: self.shard,
            offset: pending.offset,
            coordinator_epoch: self.epoch,
            committed,
            partitions: partitions.unwrap_or_default(),
        })));
    }
}
