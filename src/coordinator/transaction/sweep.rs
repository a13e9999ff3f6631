//! What a coordinator does from time to time: aborts transactions that take too long, forgets ids
//! that nobody uses, and tries again what the log did not take.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::coordinator::transaction::{TransactionCoordinator, decide};
use crate::coordinator::{Context, Journal};
use crate::defect::Defect;
use crate::event::TransactionState;
use crate::ids::ProducerId;
use crate::machine::Effects;
use crate::time::{Duration, Instant, earliest};

/// How long to rest before the log is asked again to take the end of a transaction.
const RETRY: Duration = Duration::from_millis(100);

/// When to look next.
#[derive(Clone, Debug, Default)]
pub(super) struct Sweep {
    timeouts: Option<Instant>,
    expiry: Option<Instant>,
    /// Transactions whose end the log did not take, and when to try again.
    incomplete: BTreeSet<Arc<str>>,
    retry: Option<Instant>,
}

impl Sweep {
    pub(super) fn begin(&mut self, ctx: &Context<'_>) {
        self.timeouts = Some(ctx.now.mono + ctx.config.transaction_timeout_sweep_interval);
        self.expiry = Some(ctx.now.mono + ctx.config.transactional_id_sweep_interval);
    }

    pub(super) fn incomplete(&mut self, ctx: &Context<'_>, id: &Arc<str>) {
        self.incomplete.insert(Arc::clone(id));
        self.retry = Some(ctx.now.mono + RETRY);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        earliest(self.retry, earliest(self.timeouts, self.expiry))
    }
}

impl TransactionCoordinator {
    pub(super) fn sweep_if_due(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= ctx.now.mono);
        if due(self.sweep.retry) {
            self.sweep.retry = None;
            for id in core::mem::take(&mut self.sweep.incomplete) {
                if !self.pending.contains_key(&id) && !self.markers.is_waiting(&id) {
                    self.complete(ctx, journal, &id, out);
                }
            }
        }
        if due(self.sweep.timeouts) {
            let every = ctx.config.transaction_timeout_sweep_interval;
            self.sweep.timeouts = Some(ctx.now.mono + every);
            for id in self.overdue(ctx) {
                let keeps_epoch = ctx.defects.has(Defect::TimeoutNoBump);
                self.abort(ctx, journal, &id, keeps_epoch, out);
            }
        }
        if due(self.sweep.expiry) {
            let every = ctx.config.transactional_id_sweep_interval;
            self.sweep.expiry = Some(ctx.now.mono + every);
            for id in self.unused(ctx) {
                // Whoever comes back is a new producer; if the log is not writable now, next time.
                let _refused = self.transit(ctx, journal, &id, None, None, out);
            }
        }
    }

    /// Open transactions that are older than their timeout, by the wall clock.
    fn overdue(&self, ctx: &Context<'_>) -> Vec<Arc<str>> {
        let late = self.entries.iter().filter(|(id, entry)| {
            entry.state == TransactionState::Ongoing
                && entry.start.saturating_add(entry.timeout) < ctx.now.wall
                && !self.pending.contains_key(*id)
        });
        late.map(|(id, _)| Arc::clone(id)).collect()
    }

    fn unused(&self, ctx: &Context<'_>) -> Vec<Arc<str>> {
        let expiration = ctx.config.transactional_id_expiration;
        let old = self.entries.iter().filter(|(id, entry)| {
            entry.is_idle()
                && entry.last_update.saturating_add(expiration) <= ctx.now.wall
                && !self.pending.contains_key(*id)
        });
        old.map(|(id, _)| Arc::clone(id)).collect()
    }

    /// Aborts an open transaction, with an epoch that fences its producer (KAFKA-6119, KAFKA-5231)
    /// unless `keeps_epoch`. If the log does not take it, whoever wants it aborted comes again.
    pub(super) fn abort(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        id: &Arc<str>,
        keeps_epoch: bool,
        out: &mut Effects,
    ) {
        let entry = Arc::clone(self.entries.get(id).expect("an open transaction"));
        let mut prepared = decide::fence(&entry, keeps_epoch, Self::rules(ctx));
        if prepared.rotates {
            let Some(next) = journal.producer_id() else { return };
            assert!(next != ProducerId::NONE, "a broker hands out real ids");
            prepared.entry.next_producer_id = next;
        }
        let _refused = self.transit(ctx, journal, id, Some(prepared.entry), None, out);
    }
}
