//! The coordinators of one internal topic on this broker: one for each partition that it leads.
//!
//! A new leader replays the partition's log from the disk, waits until everything that it holds is
//! committed, and serves from then on. Somebody else may have answered what lies above the high
//! watermark, or nobody: before the barrier is passed there is no telling.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::broker::producer_ids::ProducerIds;
use crate::coordinator::{Context, Coordinator, Journal};
use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::ids::{ConnId, LeaderEpoch, Offset, PartitionId, ProducerId};
use crate::machine::{Effect, Effects};
use crate::message::coordinator::CoordinatorKind;
use crate::record::{BatchHeader, batches, verify};
use crate::replica::{self, Replica};
use crate::time::{Instant, earliest};

/// How much is read back at once.
const CHUNK_BYTES: u32 = 1 << 20;

/// All coordinators of one kind.
#[derive(Clone, Debug)]
pub(super) struct Host<C> {
    shards: BTreeMap<PartitionId, Hosted<C>>,
    /// No coordinator has a deadline before.
    due: Option<Instant>,
    /// What the step has called; checked after it.
    touched: Vec<PartitionId>,
}

/// One partition's coordinator on the way to serving.
#[derive(Clone, Debug)]
struct Hosted<C> {
    epoch: LeaderEpoch,
    stage: Stage,
    coordinator: C,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Reads what lies below `end`; all before `next` is replayed.
    Loading {
        next: Offset,
        end: Offset,
    },
    /// All is replayed; waits until it is committed.
    Replayed {
        end: Offset,
    },
    Serving,
    /// Leads no longer, but answers those who still wait: only with the defect.
    Demoted,
}

/// A partition as its coordinator writes to it.
pub(super) struct Writer<'a> {
    pub replica: &'a mut Replica,
    pub ctx: replica::Context<'a>,
    pub ids: &'a mut ProducerIds,
}

impl Journal for Writer<'_> {
    fn append(&mut self, batch: &Bytes, out: &mut Effects) -> Result<Offset, ErrorCode> {
        let appended = self.replica.append_own(&self.ctx, batch, out)?;
        Ok(appended.last)
    }

    fn producer_id(&mut self) -> Option<ProducerId> {
        self.ids.take_now()
    }
}

impl<C: Coordinator> Host<C> {
    pub(super) fn new() -> Self {
        Host { shards: BTreeMap::new(), due: None, touched: Vec::new() }
    }

    /// A new step begins.
    pub(super) fn begin(&mut self) {
        self.touched.clear();
    }

    /// Follows a change of the partition's role.
    pub(super) fn role_changed(
        &mut self,
        ctx: &Context<'_>,
        writer: &mut Writer<'_>,
        out: &mut Effects,
    ) {
        let replica = &*writer.replica;
        let id = replica.id();
        let epoch = replica.leader_epoch();
        let leads = replica.leads();
        let known = self.shards.get(&id);
        if leads && known.is_some_and(|known| known.epoch == epoch) {
            return;
        }
        self.leave(ctx, id, leads, out);
        if leads {
            let (next, end) = (replica.log().start_offset(), replica.log().end_offset());
            let coordinator = C::new(id.partition);
            let stage = Stage::Loading { next, end };
            self.shards.insert(id, Hosted { epoch, stage, coordinator });
            self.load_on(ctx, writer, out);
        }
    }

    /// The partition is led here no longer, or in another epoch.
    fn leave(&mut self, ctx: &Context<'_>, id: PartitionId, again: bool, out: &mut Effects) {
        let Some(hosted) = self.shards.get_mut(&id) else { return };
        // KAFKA-20634: once demoted, what the next leader commits says nothing of what was appended
        // here.
        let keeps =
            ctx.defects.has(Defect::GroupHwAfterDemotion) && C::KIND == CoordinatorKind::Group;
        if keeps && !again && hosted.stage == Stage::Serving {
            hosted.stage = Stage::Demoted;
            return;
        }
        let hosted = self.shards.remove(&id).expect("just found");
        hosted.coordinator.resign(out);
        self.reckon();
    }

    /// The partition is gone from this broker.
    pub(super) fn evict(&mut self, id: PartitionId, out: &mut Effects) {
        if let Some(hosted) = self.shards.remove(&id) {
            hosted.coordinator.resign(out);
            self.reckon();
        }
    }

    /// Asks for the next piece of the log, or goes on without if there is none.
    fn load_on(&mut self, ctx: &Context<'_>, writer: &mut Writer<'_>, out: &mut Effects) {
        let id = writer.replica.id();
        let hosted = self.shards.get_mut(&id).expect("it loads");
        let Stage::Loading { next, end } = hosted.stage else { return };
        // KAFKA-16030: what a load has not seen yet was promised all the same.
        if ctx.defects.has(Defect::LoadPartial) {
            hosted.stage = Stage::Replayed { end: Offset::ZERO };
            return self.moved(ctx, writer, out);
        }
        let next = next.max(writer.replica.log().start_offset());
        match writer.replica.log().read(next, end, CHUNK_BYTES, true) {
            Some(range) => {
                hosted.stage = Stage::Loading { next: range.from, end };
                let max_bytes = range.bytes;
                out.push(Effect::Load { log: range.log, from: range.from, max_bytes });
            }
            None => {
                hosted.stage = Stage::Replayed { end };
                self.moved(ctx, writer, out);
            }
        }
    }

    /// The answer to a load, if it is to this one's last question.
    pub(super) fn loaded(
        &mut self,
        ctx: &Context<'_>,
        writer: &mut Writer<'_>,
        from: Offset,
        chunks: &[Bytes],
        out: &mut Effects,
    ) {
        let Some(hosted) = self.shards.get_mut(&writer.replica.id()) else { return };
        let Stage::Loading { next, end } = hosted.stage else { return };
        if next != from {
            return;
        }
        let mut at = next;
        for split in chunks.iter().flat_map(batches) {
            // Bytes that are not what was written: a coordinator that goes on without them would
            // promise what it does not know.
            let Ok((header, batch)) = split else { return out.push(Effect::Halt) };
            if verify(&batch).is_err() {
                return out.push(Effect::Halt);
            }
            if header.base_offset >= end {
                break;
            }
            hosted.coordinator.replay(ctx, &batch);
            at = end_of(&header);
        }
        if at == next {
            return out.push(Effect::Halt);
        }
        hosted.stage = Stage::Loading { next: at, end };
        self.load_on(ctx, writer, out);
    }

    /// The partition's high watermark moved, or may have.
    pub(super) fn moved(&mut self, ctx: &Context<'_>, writer: &mut Writer<'_>, out: &mut Effects) {
        let high_watermark = writer.replica.high_watermark();
        let Some(hosted) = self.shards.get_mut(&writer.replica.id()) else { return };
        match hosted.stage {
            Stage::Loading { .. } => return,
            Stage::Replayed { end } if high_watermark < end => return,
            Stage::Replayed { .. } => {
                hosted.stage = Stage::Serving;
                hosted.coordinator.lead(ctx, hosted.epoch, writer, out);
            }
            Stage::Serving | Stage::Demoted => {}
        }
        let high_watermark = writer.replica.high_watermark();
        hosted.coordinator.committed(ctx, writer, high_watermark, out);
        self.called(writer.replica.id());
    }

    /// The coordinator of a partition, if it serves.
    ///
    /// # Errors
    /// `NOT_COORDINATOR` or `COORDINATOR_LOAD_IN_PROGRESS`.
    pub(super) fn serving(&mut self, id: PartitionId) -> Result<&mut C, ErrorCode> {
        let hosted = self.shards.get_mut(&id).ok_or(ErrorCode::NotCoordinator)?;
        match hosted.stage {
            Stage::Serving => Ok(&mut hosted.coordinator),
            Stage::Loading { .. } | Stage::Replayed { .. } => {
                Err(ErrorCode::CoordinatorLoadInProgress)
            }
            Stage::Demoted => Err(ErrorCode::NotCoordinator),
        }
    }

    /// Takes something of each coordinator that this step has called.
    pub(super) fn take<T>(&mut self, take: impl Fn(&mut C) -> Vec<T>) -> Vec<T> {
        let mut taken = Vec::new();
        for id in &self.touched {
            if let Some(hosted) = self.shards.get_mut(id) {
                taken.extend(take(&mut hosted.coordinator));
            }
        }
        taken
    }

    /// Partitions that are led here, whether or not they are served yet.
    pub(super) fn ids(&self) -> impl Iterator<Item = PartitionId> {
        self.shards.keys().copied()
    }

    /// Those whose deadline is over.
    pub(super) fn due(&self, now: Instant) -> Option<PartitionId> {
        if self.due.is_none_or(|due| due > now) {
            return None;
        }
        let due = |hosted: &Hosted<C>| hosted.deadline().is_some_and(|at| at <= now);
        self.shards.iter().find(|(_, hosted)| due(hosted)).map(|(id, _)| *id)
    }

    /// No coordinator has to be woken before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn hang_up(&mut self, conn: ConnId) {
        for hosted in self.shards.values_mut() {
            hosted.coordinator.hang_up(conn);
        }
        self.reckon();
    }

    /// That coordinator was called.
    pub(super) fn called(&mut self, id: PartitionId) {
        self.touched.push(id);
        self.reckon();
    }

    /// Deadlines may be others.
    fn reckon(&mut self) {
        let deadlines = self.shards.values().map(Hosted::deadline);
        self.due = deadlines.fold(None, earliest);
    }

    pub(super) fn check(&self) {
        for hosted in self.touched.iter().filter_map(|id| self.shards.get(id)) {
            hosted.coordinator.check();
        }
    }
}

impl<C: Coordinator> Hosted<C> {
    fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Serving => self.coordinator.deadline(),
            Stage::Loading { .. } | Stage::Replayed { .. } | Stage::Demoted => None,
        }
    }
}

fn end_of(header: &BatchHeader) -> Offset {
    header.last_offset().next()
}
