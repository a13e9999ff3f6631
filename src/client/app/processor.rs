//! What a user writes: a [`Processor`], and what it may ask of its [`Context`].

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::{Hash as _, Hasher as _};
use core::ops::Bound;

use bytes::Bytes;
use rustc_hash::FxHasher;

use crate::client::app::format::{Format, Malformed};
use crate::event::{ApplicationNote, MalformedNote};
use crate::ids::TopicName;
use crate::message::store::{Fence, StoreRequest, StoreResponse};
use crate::op::{ConsumedRecord, SendRecord};
use crate::rng::Rng;
use crate::time::{Duration, Now};

/// The least time after which a record comes again: time must pass.
pub const LEAST_DELAY: Duration = Duration::from_millis(1);

/// The state of one input partition.
pub type State = BTreeMap<Bytes, Bytes>;

/// A hash of a state: equal ones have equal digests, on any machine. It is the sum of what
/// [`entry_digest`] says of each entry, so that it can be kept up with the state.
#[must_use]
pub fn digest(state: &State) -> u64 {
    state.iter().fold(0, |sum, (key, value)| sum.wrapping_add(entry_digest(key, value)))
}

/// A hash of one entry of a state.
#[must_use]
pub fn entry_digest(key: &Bytes, value: &Bytes) -> u64 {
    let mut hasher = FxHasher::default();
    (key, value).hash(&mut hasher);
    hasher.finish()
}

/// What an application does with each record.
///
/// It runs to completion and waits for nothing: what it wants done it asks of the context. How
/// often a record comes is what the application's delivery mode says. What a processor keeps in
/// fields of its own is its to lose; what the context keeps as state comes and goes with the
/// partition.
pub trait Processor: Clone {
    fn process(&mut self, record: &ConsumedRecord, context: &mut Context<'_>);

    /// Goes on with a record for which the external store was asked.
    fn answered(
        &mut self,
        record: &ConsumedRecord,
        request: &StoreRequest,
        response: &StoreResponse,
        context: &mut Context<'_>,
    ) {
        let _ = (record, request, response);
        context.ack();
    }

    /// These partitions came to this process. With a changelog, their state is read before their
    /// first record comes.
    fn assigned(&mut self, partitions: &[(TopicName, i32)]) {
        let _ = partitions;
    }

    /// These partitions are gone: given up, after what was begun of them was finished, or lost to
    /// somebody else. A crash says nothing.
    fn revoked(&mut self, partitions: &[(TopicName, i32)]) {
        let _ = partitions;
    }

    /// The process stops, and has finished what it had begun.
    fn closing(&mut self) {}

    /// The invariants of what it holds.
    ///
    /// # Panics
    /// If one is broken: a bug of the processor's.
    fn check(&self) {}
}

/// What a processor asks for while it works on one record.
#[derive(Debug)]
pub struct Context<'a> {
    pub(super) now: Now,
    pub(super) rng: &'a mut Rng,
    pub(super) state: &'a mut State,
    pub(super) attempt: u32,
    pub(super) client: &'a Arc<str>,
    pub(super) group: &'a Arc<str>,
    pub(super) fence: Option<Fence>,
    pub(super) wishes: Wishes,
}

/// What has been asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    pub emitted: Vec<SendRecord>,
    /// What was written to the state, in order: each key with the value that it had.
    pub changed: Vec<(Bytes, Option<Bytes>)>,
    /// None: the record is done.
    pub again_after: Option<Duration>,
    pub call: Option<StoreRequest>,
    pub notes: Vec<ApplicationNote>,
}

impl Context<'_> {
    #[must_use]
    pub fn now(&self) -> Now {
        self.now
    }

    #[must_use]
    pub fn rng(&mut self) -> &mut Rng {
        self.rng
    }

    /// How often this record came before and was not acknowledged, since its partition came here.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The name of the process, the same in each of its lives.
    #[must_use]
    pub fn client(&self) -> &Arc<str> {
        self.client
    }

    /// The group that the application consumes in.
    #[must_use]
    pub fn group(&self) -> &Arc<str> {
        self.group
    }

    /// Sends a record. The input is done only when it is accepted; with exactly-once, it is part of
    /// the transaction that commits the input.
    pub fn emit(&mut self, record: SendRecord) {
        self.wishes.emitted.push(record);
    }

    /// What has been emitted for the record so far.
    #[must_use]
    pub fn emitted(&self) -> &[SendRecord] {
        &self.wishes.emitted
    }

    /// The value of a record, in that format. None: it is malformed, which is noted, and counted.
    #[must_use]
    pub fn read<T>(&mut self, record: &ConsumedRecord, format: &Format<T>) -> Option<T> {
        match format.decode(record.value.as_ref()) {
            Ok(value) => Some(value),
            Err(Malformed(reason)) => {
                self.note(ApplicationNote::Malformed(MalformedNote {
                    group: Arc::clone(self.group),
                    topic: record.topic.clone(),
                    partition: record.partition,
                    offset: record.offset,
                    format: format.name().into(),
                    reason: reason.into(),
                }));
                None
            }
        }
    }

    /// A value from the state of the record's partition.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&Bytes> {
        self.state.get(key)
    }

    /// Sets a value of the state of the record's partition; `None` removes it.
    ///
    /// With exactly-once the change is part of the transaction: if that is aborted, it is taken
    /// back. With a changelog, too, the next owner of the partition restores it from there. Without
    /// one the state is lost with the partition, in a crash or a rebalance, even if the partition
    /// comes back here.
    pub fn set(&mut self, key: Bytes, value: Option<Bytes>) {
        let before = match value {
            Some(value) => self.state.insert(key.clone(), value),
            None => self.state.remove(&key),
        };
        self.wishes.changed.push((key, before));
    }

    /// Asks the external store. The record is not done: [`Processor::answered`] goes on with it,
    /// once an answer has come, however often it must be asked for. What was emitted or set before
    /// that is taken back.
    ///
    /// What the store does is in no transaction: with exactly-once, too, a record comes again whose
    /// transaction is aborted, and asks again.
    ///
    /// The application must have a store: [`AppSetup::store`](crate::client::app::AppSetup::store),
    /// which a scenario gives it by `store = true` in its `[[app]]`.
    pub fn call(&mut self, request: StoreRequest) {
        self.wishes.call = Some(request);
    }

    /// What keeps this process from writing to an external store once its partition has another
    /// owner.
    #[must_use]
    pub fn fence(&self) -> Option<Fence> {
        self.fence.clone()
    }

    /// The record is done. So it is, too, if nothing is said.
    pub fn ack(&mut self) {
        self.wishes.again_after = None;
    }

    /// The record is not done: it comes again after that time, but not before [`LEAST_DELAY`], and
    /// before what must wait for it. What was emitted or set for it is taken back.
    pub fn nack(&mut self, delay: Duration) {
        self.wishes.again_after = Some(delay.max(LEAST_DELAY));
    }

    /// What is wanted, all said.
    pub(super) fn conclude(self) -> Wishes {
        let Context { state, mut wishes, .. } = self;
        if wishes.again_after.is_some() {
            wishes.call = None;
        }
        if wishes.again_after.is_some() || wishes.call.is_some() {
            wishes.emitted.clear();
            for (key, before) in wishes.changed.drain(..).rev() {
                match before {
                    Some(value) => drop(state.insert(key, value)),
                    None => drop(state.remove(&key)),
                }
            }
        }
        wishes
    }

    /// What the external store is asked for the record, if it is.
    #[must_use]
    pub fn called(&self) -> Option<&StoreRequest> {
        self.wishes.call.as_ref()
    }

    /// After what time the record comes again, if that was asked for.
    #[must_use]
    pub fn postponed(&self) -> Option<Duration> {
        self.wishes.again_after
    }

    /// The state of the record's partition, in the order of its keys.
    pub fn entries(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.state.iter()
    }

    /// What the state of the record's partition has under keys that begin so, in their order.
    pub fn starting_with<'s>(
        &'s self,
        prefix: &'s [u8],
    ) -> impl Iterator<Item = (&'s Bytes, &'s Bytes)> {
        let from = self.state.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
        from.take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// Tells the checkers something, and counts it.
    pub fn note(&mut self, note: ApplicationNote) {
        self.wishes.notes.push(note);
    }
}
