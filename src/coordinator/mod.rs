//! State that lives in a log: decided, appended, applied, and answered once committed.
//!
//! A group's offsets and a transaction's state each live in one partition of an internal topic, and
//! the broker that leads that partition coordinates them. It replays the partition's log when it
//! begins to lead ([`Coordinator::replay`]), serves from then on, and forgets everything when it
//! leads no longer: whoever leads next replays what was committed.

pub mod group;
pub mod internal;
pub mod schema;
pub mod shard;
pub mod transaction;

use alloc::sync::Arc;
use core::fmt::Debug;

use bytes::Bytes;

use crate::config::BrokerConfig;
use crate::defect::Defects;
use crate::error::ErrorCode;
use crate::ids::{ConnId, CorrelationId, LeaderEpoch, NodeId, Offset, ProducerId};
use crate::machine::Effects;
use crate::message::Request;
use crate::message::coordinator::CoordinatorKind;
use crate::metadata::Image;
use crate::time::{Instant, Now};

pub use internal::{kind_of, shard_of};
pub use shard::{Draft, Shard, State};

/// Who waits for an answer.
pub type Requester = (ConnId, CorrelationId);

/// The broker around a coordinator, for the length of one call.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub now: Now,
    /// This broker.
    pub node: NodeId,
    /// The newest metadata that this broker has applied.
    pub image: &'a Arc<Image>,
    pub config: &'a BrokerConfig,
    pub defects: Defects,
}

/// The log that a coordinator keeps its state in, as its leader writes it.
pub trait Journal {
    /// Appends a batch, as with acks=all: refused if the ISR is too small. Gives the offset of its
    /// last record. It is committed when [`Coordinator::committed`] says so, or never.
    ///
    /// # Errors
    /// What a producer would be answered; nothing was appended then.
    fn append(&mut self, batch: &Bytes, out: &mut Effects) -> Result<Offset, ErrorCode>;

    /// A producer id that nobody had yet; none until the controller has given the broker a block:
    /// then whoever asked is told to come again (KIP-730).
    fn producer_id(&mut self) -> Option<ProducerId>;
}

/// One partition's coordinator.
///
/// A decision is taken on what is decided so far, committed or not, without changing it; its
/// records are appended; and only if that succeeds they are applied and their answer waits for the
/// high watermark. So a refused append leaves nothing behind.
pub trait Coordinator: Clone + Debug {
    const KIND: CoordinatorKind;

    /// The coordinator of one partition of its topic, which knows nothing yet.
    fn new(shard: i32) -> Self;

    /// Takes in the next batch of the log, data or marker, with its final offsets. Before it leads;
    /// everything up to the high watermark at the time comes this way, once and in order.
    fn replay(&mut self, ctx: &Context<'_>, batch: &Bytes);

    /// All of the log is replayed and committed: it serves from now on, in this leader epoch.
    fn lead(
        &mut self,
        ctx: &Context<'_>,
        epoch: LeaderEpoch,
        journal: &mut impl Journal,
        out: &mut Effects,
    );

    /// Serves a request that belongs to this partition. It is answered by `out`, now or later.
    fn request(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        to: Requester,
        request: &Arc<Request>,
        out: &mut Effects,
    );

    /// A marker was appended to the partition by WriteTxnMarkers, at `offset`.
    fn marker(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        marker: &Bytes,
        offset: Offset,
        out: &mut Effects,
    );

    /// Everything below `high_watermark` is committed.
    fn committed(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        high_watermark: Offset,
        out: &mut Effects,
    );

    /// Does what its deadlines ask for.
    fn wake(&mut self, ctx: &Context<'_>, journal: &mut impl Journal, out: &mut Effects);

    /// When to call [`Self::wake`] next.
    fn deadline(&self) -> Option<Instant>;

    /// Nobody waits on that connection any more.
    fn hang_up(&mut self, conn: ConnId);

    /// The partition is led elsewhere: whoever waits is told `NOT_COORDINATOR`.
    fn resign(self, out: &mut Effects);

    /// Internal invariants.
    ///
    /// # Panics
    /// If one is broken.
    fn check(&self);
}
