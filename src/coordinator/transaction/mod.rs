//! The transaction coordinator: one partition of `__transaction_state` (KIP-98, KIP-890).
//!
//! Each transactional id is an [`Entry`], and at most one of its transitions is *pending*: appended
//! to the log and not yet committed. Until it is, everything else that is asked of the id is
//! answered CONCURRENT_TRANSACTIONS. Whatever others may see, an answer or a marker, follows from
//! committed transitions only.
//!
//! - `decide`: what a request makes of an entry, without touching it.
//! - `pending`: transitions between log and commit, and what follows from them.
//! - `serve`: requests; `sweep`: transactions that take too long, ids that nobody uses;
//!   `markers`: what decided transactions have yet to tell their partitions.

mod decide;
mod entry;
mod markers;
mod pending;
mod record;
mod serve;
mod sweep;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

pub use entry::Entry;
pub use markers::{Delivery, MarkerErrand, MarkerKey};

use crate::coordinator::transaction::decide::Rules;
use crate::coordinator::transaction::markers::Markers;
use crate::coordinator::transaction::pending::Pending;
use crate::coordinator::transaction::sweep::Sweep;
use crate::coordinator::{Context, Coordinator, Journal, Requester};
use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::event::TransactionState;
use crate::ids::{ConnId, LeaderEpoch, Offset, ProducerEpoch, TopicName};
use crate::machine::Effects;
use crate::message::Request;
use crate::message::coordinator::CoordinatorKind;
use crate::record::{BatchHeader, Records};
use crate::time::{Instant, earliest};

/// One partition's transaction coordinator.
#[derive(Clone, Debug)]
pub struct TransactionCoordinator {
    shard: i32,
    /// The leader epoch in which it serves.
    epoch: LeaderEpoch,
    /// What is committed.
    entries: Arc<BTreeMap<Arc<str>, Arc<Entry>>>,
    pending: BTreeMap<Arc<str>, Pending>,
    markers: Markers,
    sweep: Sweep,
}

impl TransactionCoordinator {
    /// What is committed of a transactional id.
    #[must_use]
    pub fn entry(&self, id: &str) -> Option<&Arc<Entry>> {
        self.entries.get(id)
    }

    /// All transactional ids with what is committed of them.
    pub fn entries(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Entry>)> {
        self.entries.iter()
    }

    /// Takes the markers that are to be delivered. The broker delivers each until
    /// [`Self::delivered`] is told something final.
    pub fn take_markers(&mut self) -> Vec<MarkerErrand> {
        self.markers.take_fresh()
    }

    /// What became of a marker; the transaction may be complete with it.
    pub fn delivered(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        key: &MarkerKey,
        partition: &(TopicName, i32),
        delivery: Delivery,
        out: &mut Effects,
    ) {
        if self.markers.delivered(key, partition, delivery) {
            self.complete(ctx, journal, &key.0, out);
        }
    }

    fn rules(ctx: &Context<'_>) -> Rules {
        Rules {
            now: ctx.now.wall,
            epoch_max: ProducerEpoch(ctx.config.producer_epoch_max),
            defects: ctx.defects,
        }
    }

    fn insert(&mut self, id: Arc<str>, entry: Arc<Entry>) {
        Arc::make_mut(&mut self.entries).insert(id, entry);
    }
}

impl Coordinator for TransactionCoordinator {
    const KIND: CoordinatorKind = CoordinatorKind::Transaction;

    fn new(shard: i32) -> Self {
        TransactionCoordinator {
            shard,
            epoch: LeaderEpoch::NONE,
            entries: Arc::default(),
            pending: BTreeMap::new(),
            markers: Markers::default(),
            sweep: Sweep::default(),
        }
    }

    fn replay(&mut self, _ctx: &Context<'_>, batch: &Bytes) {
        let Ok(header) = BatchHeader::parse(batch) else { return };
        if header.is_control() {
            return;
        }
        let Ok(records) = Records::new(batch) else { return };
        for record in records.map_while(Result::ok) {
            // What another program wrote there is nothing that this coordinator ever promised.
            let Some(Ok(Some(id))) = record.key.map(record::decode_key) else { continue };
            match record.value.map(record::decode_value) {
                Some(Ok(entry)) => self.insert(id, Arc::new(entry)),
                Some(Err(_)) => {}
                None => {
                    Arc::make_mut(&mut self.entries).remove(&id);
                }
            }
        }
    }

    fn lead(
        &mut self,
        ctx: &Context<'_>,
        epoch: LeaderEpoch,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        self.epoch = epoch;
        self.sweep.begin(ctx);
        let prepared = self.entries.iter().filter(|(_, entry)| entry.is_prepared());
        let prepared: Vec<Arc<str>> = prepared.map(|(id, _)| Arc::clone(id)).collect();
        for id in prepared {
            // KoP #1412: whoever decided may have died before its markers were written.
            if !ctx.defects.has(Defect::TcLoadDropsPrepare) {
                self.tell_partitions(ctx, journal, &id, out);
            }
        }
    }

    fn request(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        to: Requester,
        request: &Arc<Request>,
        out: &mut Effects,
    ) {
        self.serve(ctx, journal, to, request, out);
    }

    fn marker(
        &mut self,
        _ctx: &Context<'_>,
        _journal: &mut impl Journal,
        _marker: &Bytes,
        _offset: Offset,
        _out: &mut Effects,
    ) {
        // No transaction writes to this topic: a marker here ends nothing.
    }

    fn committed(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        high_watermark: Offset,
        out: &mut Effects,
    ) {
        let done = |pending: &Pending| pending.offset < high_watermark;
        let mut ready: Vec<(Offset, Arc<str>)> = self
            .pending
            .iter()
            .filter(|(_, pending)| done(pending))
            .map(|(id, pending)| (pending.offset, Arc::clone(id)))
            .collect();
        ready.sort();
        for (_, id) in ready {
            self.settle(ctx, journal, &id, out);
        }
    }

    fn wake(&mut self, ctx: &Context<'_>, journal: &mut impl Journal, out: &mut Effects) {
        self.give_up_waiting(ctx, out);
        self.sweep_if_due(ctx, journal, out);
    }

    fn deadline(&self) -> Option<Instant> {
        let patience = self.pending.values().filter_map(Pending::deadline);
        patience.fold(self.sweep.deadline(), |first, each| earliest(first, Some(each)))
    }

    fn hang_up(&mut self, conn: ConnId) {
        for pending in self.pending.values_mut() {
            pending.hang_up(conn);
        }
    }

    fn resign(self, out: &mut Effects) {
        for pending in self.pending.into_values() {
            pending.refuse(ErrorCode::NotCoordinator, out);
        }
    }

    fn check(&self) {
        for (id, entry) in &*self.entries {
            let resting = !matches!(
                entry.state,
                TransactionState::Dead | TransactionState::PrepareEpochFence
            );
            assert!(resting, "{id}: {:?} is never a resting state", entry.state);
            let open = entry.state == TransactionState::Ongoing || entry.is_prepared();
            assert!(open || entry.partitions.is_empty(), "{id}: partitions without a transaction");
        }
    }
}
