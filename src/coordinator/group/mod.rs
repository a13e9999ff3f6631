//! The group coordinator: one partition of `__consumer_offsets`, with the groups that live in it.
//!
//! Two protocols for membership share it. In the classic one members meet in rounds and one of them
//! assigns ([`classic`]); in that of KIP-848 the coordinator assigns and leads each member to its
//! target ([`consumer`]). An empty group may change from one to the other; while it has members it
//! does not. Beside members it keeps a group's offsets, which outlive them.
//!
//! Everything that another coordinator must know is a record ([`record`]), applied here when the
//! log has taken it, and told to anybody only when the log has committed it: an answer waits for
//! the end of what it rests on.

mod answer;
mod assignor;
mod classic;
mod commit;
mod consumer;
mod deadlines;
mod deleted;
mod embedded;
mod expire;
mod fetch;
mod groups;
mod offsets;
mod record;
mod remove;
#[cfg(test)]
pub(crate) mod tests;
mod waiting;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;

use bytes::Bytes;

use self::deadlines::{Deadlines, Timer};
use self::groups::{Groups, Kind};
use self::record::{MemberState, Record};
use self::waiting::{Waiting, WaitingList};
use crate::coordinator::{Context, Coordinator, Journal, Requester};
use crate::error::ErrorCode;
use crate::ids::{ConnId, LeaderEpoch, Offset, ProducerId};
use crate::machine::Effects;
use crate::message::Request;
use crate::message::coordinator::CoordinatorKind;
use crate::record::{BatchHeader, Control, Records};
use crate::time::Instant;

/// The coordinator of the groups of one partition of `__consumer_offsets`.
#[derive(Clone, Debug)]
pub struct GroupCoordinator {
    shard: i32,
    /// The leader epoch that it serves in.
    epoch: LeaderEpoch,
    groups: Groups,
    deadlines: Deadlines,
    waiting: WaitingList,
    /// The end of all that was replayed and decided.
    end: Offset,
    high_watermark: Offset,
    /// How many member ids it has made up in this epoch.
    ids_made: u32,
    /// Who staged offsets in open transactions, for checkers.
    stagers: Arc<BTreeMap<(ProducerId, Arc<str>), Author>>,
}

/// Who is behind a record, for checkers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Author {
    member: Arc<str>,
    generation: i32,
}

/// What a step works with.
struct Step<'a> {
    ctx: Context<'a>,
    journal: &'a mut dyn Journal,
    out: &'a mut Effects,
}

impl Step<'_> {
    fn now(&self) -> Instant {
        self.ctx.now.mono
    }
}

impl Coordinator for GroupCoordinator {
    const KIND: CoordinatorKind = CoordinatorKind::Group;

    fn new(shard: i32) -> Self {
        GroupCoordinator {
            shard,
            epoch: LeaderEpoch::NONE,
            groups: Groups::default(),
            deadlines: Deadlines::default(),
            waiting: WaitingList::default(),
            end: Offset::ZERO,
            high_watermark: Offset::ZERO,
            ids_made: 0,
            stagers: Arc::default(),
        }
    }

    /// Records that make no sense are passed over, as Kafka does with kinds that it does not know.
    fn replay(&mut self, ctx: &Context<'_>, batch: &Bytes) {
        let Ok(header) = BatchHeader::parse(batch) else { return };
        self.end = header.base_offset + i64::from(header.last_offset_delta) + 1;
        let producer = header.is_transactional().then_some(header.producer_id);
        if header.is_control() {
            if let Some(commit) = outcome(batch) {
                let (id, at) = (header.producer_id, header.base_offset);
                self.groups.end_transaction(id, commit, at, ctx.defects);
            }
            return;
        }
        let Ok(records) = Records::new(batch) else { return };
        for view in records.flatten() {
            let Some(key) = view.key else { continue };
            if let Ok(Some(record)) = Record::decode(key, view.value) {
                self.groups.apply(record, view.offset, producer, ctx.defects);
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
        self.high_watermark = self.end;
        let mut step = Step { ctx: *ctx, journal, out };
        self.deadlines.set(Timer::Expire, step.now() + ctx.config.offsets_retention_check_interval);
        let names: alloc::vec::Vec<_> = self.groups.iter().map(|(name, _)| name.clone()).collect();
        for name in names {
            self.expect_members(&step, &name);
            if let Some(note) = self.group_note(&name, ctx.image) {
                step.out.note(note);
            }
        }
        self.forget_deleted(&mut step);
    }

    fn request(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        to: Requester,
        request: &Arc<Request>,
        out: &mut Effects,
    ) {
        let mut step = Step { ctx: *ctx, journal, out };
        let known = self.offsets_request(&mut step, to, request)
            || self.classic_request(&mut step, to, request)
            || self.consumer_request(&mut step, to, request)
            || self.admin_request(&mut step, to, request);
        assert!(known, "a group coordinator does not serve {}", request.api().name());
    }

    fn marker(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        marker: &Bytes,
        offset: Offset,
        out: &mut Effects,
    ) {
        let mut step = Step { ctx: *ctx, journal, out };
        self.end = offset.next();
        let header = BatchHeader::parse(marker).expect("this broker made the marker");
        if let Some(commit) = outcome(marker) {
            let producer = (header.producer_id, header.producer_epoch);
            self.end_transaction(&mut step, producer, commit, offset);
        }
    }

    fn committed(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        high_watermark: Offset,
        out: &mut Effects,
    ) {
        let mut step = Step { ctx: *ctx, journal, out };
        self.high_watermark = self.high_watermark.max(high_watermark.min(self.end));
        while let Some((key, waiting)) = self.waiting.pop(self.high_watermark) {
            self.deadlines.cancel(&Timer::Write(key.0, key.1));
            match waiting {
                Waiting::Answer { to, response, .. } => step.respond(to, response),
                Waiting::Note(event) => step.out.note(event),
                Waiting::Assigned { group, generation, assignments } => {
                    self.assigned(&mut step, &group, generation, &assignments);
                }
            }
        }
    }

    fn wake(&mut self, ctx: &Context<'_>, journal: &mut impl Journal, out: &mut Effects) {
        let mut step = Step { ctx: *ctx, journal, out };
        while let Some(timer) = self.deadlines.pop_due(step.now()) {
            match timer {
                Timer::Expire => self.expire(&mut step),
                Timer::Write(end, number) => self.write_timed_out(&mut step, end, number),
                Timer::Join(group) => self.join_timed_out(&mut step, &group),
                Timer::Sync(group) => self.sync_timed_out(&mut step, &group),
                Timer::Session(group, member) => {
                    self.session_timed_out(&mut step, &group, &member);
                    self.fence_late(&mut step, &group, &member);
                }
                Timer::Revoke(group, member) => self.fence_late(&mut step, &group, &member),
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// A member that waits for a round or for its assignment stays in it, as in Kafka: it is likely
    /// to come again, and if it does not its session ends it.
    fn hang_up(&mut self, conn: ConnId) {
        for (end, number) in self.waiting.hang_up(conn) {
            self.deadlines.cancel(&Timer::Write(end, number));
        }
    }

    fn resign(self, out: &mut Effects) {
        self.refuse_all(out, ErrorCode::NotCoordinator);
    }

    fn check(&self) {
        if self.epoch != LeaderEpoch::NONE {
            self.groups.check();
        }
        self.deadlines.check();
        self.waiting.check(self.high_watermark, self.end);
    }
}

/// Whether a control batch commits or aborts; none if it does something else.
fn outcome(batch: &Bytes) -> Option<bool> {
    match Control::read(batch)? {
        Control::Commit { .. } => Some(true),
        Control::Abort { .. } => Some(false),
        Control::LeaderChange { .. } | Control::Other(_) => None,
    }
}

impl GroupCoordinator {
    /// A member id that no coordinator of this partition has given out, or ever will.
    fn make_member_id(&mut self, prefix: &str) -> Arc<str> {
        self.ids_made += 1;
        let (shard, epoch, number) = (self.shard, self.epoch, self.ids_made);
        format!("{prefix}-{shard:08x}-{:08x}-{number:08x}", epoch.0).into()
    }

    /// Members that the log tells of have a session from now on.
    fn expect_members(&mut self, step: &Step<'_>, name: &Arc<str>) {
        let Some(group) = self.groups.get(name) else { return };
        match &group.kind {
            Kind::Classic(classic) => {
                for (id, member) in &classic.members {
                    let timer = Timer::Session(name.clone(), id.clone());
                    self.deadlines.set(timer, step.now() + member.session_timeout);
                }
            }
            Kind::Consumer(consumer) => {
                let session = step.now() + step.ctx.config.group_consumer_session_timeout;
                for (id, member) in &consumer.members {
                    self.deadlines.set(Timer::Session(name.clone(), id.clone()), session);
                    if member.current.state == MemberState::UnrevokedPartitions {
                        let timer = Timer::Revoke(name.clone(), id.clone());
                        self.deadlines.set(timer, step.now() + member.about.rebalance_timeout);
                    }
                }
            }
        }
    }
}
