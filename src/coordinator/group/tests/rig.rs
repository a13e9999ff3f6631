//! A coordinator on a log that the test commits by hand.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::config::{BrokerConfig, TopicConfig};
use crate::coordinator::group::GroupCoordinator;
use crate::coordinator::{Context, Coordinator as _, Journal, Requester};
use crate::defect::{Defect, Defects};
use crate::error::ErrorCode;
use crate::event::{Event, GroupNote, OffsetNote};
use crate::ids::{
    ConnId, CorrelationId, LeaderEpoch, NodeId, Offset, PartitionEpoch, ProducerEpoch, ProducerId,
    TopicId, Uuid,
};
use crate::machine::{Effect, Effects};
use crate::message::commit::Committer;
use crate::message::partition::LeaderRecovery;
use crate::message::{Request, Response};
use crate::metadata::{Image, PartitionImage, TopicImage};
use crate::record::{BatchHeader, marker, stamp};
use crate::time::{Duration, Instant, Now, Timestamp};

pub const PRODUCER: (ProducerId, ProducerEpoch) = (ProducerId(70), ProducerEpoch(1));

/// A log in memory.
#[derive(Clone, Debug, Default)]
pub struct TestLog {
    pub batches: Vec<Bytes>,
    pub end: Offset,
    pub refuses: Option<ErrorCode>,
}

impl TestLog {
    pub fn push(&mut self, batch: &Bytes) -> Offset {
        let header = BatchHeader::parse(batch).expect("a batch");
        self.batches.push(stamp(batch, self.end, LeaderEpoch(1)));
        let last = self.end + i64::from(header.last_offset_delta);
        self.end = last.next();
        last
    }
}

impl Journal for TestLog {
    fn append(&mut self, batch: &Bytes, _out: &mut Effects) -> Result<Offset, ErrorCode> {
        match self.refuses {
            Some(error) => Err(error),
            None => Ok(self.push(batch)),
        }
    }

    fn producer_id(&mut self) -> Option<ProducerId> {
        None
    }
}

#[derive(Clone, Debug)]
pub struct Rig {
    pub coordinator: GroupCoordinator,
    pub log: TestLog,
    pub committed: Offset,
    pub config: BrokerConfig,
    pub image: Arc<Image>,
    pub defects: Defects,
    pub now: Now,
    asked: u32,
    /// Each coordinator leads in an epoch of its own.
    epoch: LeaderEpoch,
    /// What was answered and noted, since it was last looked at.
    pub answers: Vec<(u32, Response)>,
    pub events: Vec<Event>,
}

impl Rig {
    pub fn new() -> Self {
        Rig::with(Defects::NONE)
    }

    pub fn broken(defect: Defect) -> Self {
        Rig::with(Defects::NONE.with(defect))
    }

    fn with(defects: Defects) -> Self {
        let mut image = Image::default();
        topic(&mut image, "orders", 1, 4);
        topic(&mut image, "payments", 2, 2);
        let mut rig = Rig {
            coordinator: GroupCoordinator::new(5),
            log: TestLog::default(),
            committed: Offset::ZERO,
            config: BrokerConfig::default(),
            image: Arc::new(image),
            defects,
            now: Now { mono: Instant::from_nanos(1), wall: Timestamp(1_000_000) },
            asked: 0,
            epoch: LeaderEpoch(1),
            answers: Vec::new(),
            events: Vec::new(),
        };
        rig.call(|coordinator, ctx, log, out| coordinator.lead(ctx, LeaderEpoch(1), log, out));
        rig
    }

    fn call(
        &mut self,
        call: impl FnOnce(&mut GroupCoordinator, &Context<'_>, &mut TestLog, &mut Effects),
    ) {
        let ctx = Context {
            now: self.now,
            node: NodeId(1),
            image: &self.image,
            config: &self.config,
            defects: self.defects,
        };
        let mut out = Effects::new();
        call(&mut self.coordinator, &ctx, &mut self.log, &mut out);
        self.coordinator.check();
        self.take(out);
    }

    fn take(&mut self, mut out: Effects) {
        for effect in out.drain() {
            if let Effect::Respond { correlation, response, .. } = effect {
                self.answers.push((correlation.0, (*response).clone()));
            } else if let Effect::Note(event) = effect {
                self.events.push(event);
            } else {
                panic!("a coordinator does not do {effect:?}");
            }
        }
    }

    /// Sends a request. Gives its number.
    pub fn send(&mut self, request: Request) -> u32 {
        self.asked += 1;
        let (number, request) = (self.asked, Arc::new(request));
        let to: Requester = (ConnId::inbound(number.into()), CorrelationId(number));
        self.call(|coordinator, ctx, log, out| coordinator.request(ctx, log, to, &request, out));
        number
    }

    /// Sends a request that is answered at once.
    pub fn ask(&mut self, request: Request) -> Response {
        let number = self.send(request);
        self.answer(number).expect("answered at once")
    }

    /// Sends a request that is answered once everything is committed.
    pub fn settle(&mut self, request: Request) -> Response {
        let number = self.send(request);
        self.commit();
        self.answer(number).expect("answered when all is committed")
    }

    /// What was answered to a request.
    pub fn answer(&mut self, number: u32) -> Option<Response> {
        let at = self.answers.iter().position(|(asked, _)| *asked == number)?;
        Some(self.answers.remove(at).1)
    }

    /// Commits everything that is in the log.
    pub fn commit(&mut self) {
        self.commit_to(self.log.end);
    }

    pub fn commit_to(&mut self, end: Offset) {
        self.committed = end;
        self.call(|coordinator, ctx, log, out| coordinator.committed(ctx, log, end, out));
    }

    /// The image has lost topics.
    pub fn topics_deleted(&mut self) {
        self.call(GroupCoordinator::topics_deleted);
    }

    pub fn marker(&mut self, commit: bool) {
        let marker = marker(PRODUCER.0, PRODUCER.1, commit, 0, self.now.wall);
        let at = self.log.push(&marker);
        self.call(|coordinator, ctx, log, out| coordinator.marker(ctx, log, &marker, at, out));
    }

    /// Lets time pass, deadline by deadline.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while let Some(at) = self.coordinator.deadline().filter(|at| *at <= end) {
            let at = at.max(self.now.mono);
            self.now.wall = self.now.wall.saturating_add(at.since(self.now.mono));
            self.now.mono = at;
            self.call(|coordinator, ctx, log, out| coordinator.wake(ctx, log, out));
        }
        self.now.wall = self.now.wall.saturating_add(end.since(self.now.mono));
        self.now.mono = end;
    }

    /// Lets time pass while all that is appended gets committed.
    pub fn live(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while self.now.mono < end {
            let next = self.coordinator.deadline().filter(|at| *at < end).unwrap_or(end);
            self.pass(next.since(self.now.mono));
            self.commit();
        }
    }

    /// Another broker takes over, with what was committed.
    pub fn fail_over(&mut self) {
        let mut next = GroupCoordinator::new(5);
        core::mem::swap(&mut next, &mut self.coordinator);
        let mut out = Effects::new();
        next.resign(&mut out);
        self.take(out);
        let committed = self.committed;
        let is_committed =
            |batch: &Bytes| BatchHeader::parse(batch).expect("stored").base_offset < committed;
        self.log.batches.retain(is_committed);
        self.log.end = committed;
        for batch in self.log.batches.clone() {
            self.call(|coordinator, ctx, _, _| coordinator.replay(ctx, &batch));
        }
        self.epoch = self.epoch.next();
        let epoch = self.epoch;
        self.call(|coordinator, ctx, log, out| coordinator.lead(ctx, epoch, log, out));
    }

    /// Whether a commit in that name would be taken now.
    pub fn accepts(&self, by: &Committer) -> bool {
        self.coordinator.check_commit(by, false).is_ok()
    }

    /// Notes of offsets since the last look, in order.
    pub fn offset_notes(&mut self) -> Vec<OffsetNote> {
        let notes = core::mem::take(&mut self.events);
        let notes = notes.into_iter().filter_map(|event| {
            let Event::OffsetCommitted(note) = event else { return None };
            Some((*note).clone())
        });
        notes.collect()
    }

    /// The last note of the group.
    pub fn group_note(&self) -> GroupNote {
        let notes = self.events.iter().rev().find_map(|event| {
            let Event::Group(note) = event else { return None };
            Some((**note).clone())
        });
        notes.expect("the group was noted")
    }
}

pub fn topic_id(number: u32) -> TopicId {
    Uuid([number, 0, 0, 9])
}

pub fn topic(image: &mut Image, name: &str, number: u32, partitions: usize) {
    let state = Arc::new(PartitionImage {
        replicas: Arc::from([NodeId(1)]),
        isr: Arc::from([NodeId(1)]),
        elr: Arc::default(),
        last_known_elr: Arc::default(),
        leader: NodeId(1),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(0),
        recovery: LeaderRecovery::Recovered,
        adding: Arc::default(),
        removing: Arc::default(),
    });
    let config = Arc::new(TopicConfig::default());
    let topic =
        TopicImage { name: name.into(), partitions: alloc::vec![state; partitions], config };
    image.topics.insert(topic_id(number), topic);
    image.names.insert(name.into(), topic_id(number));
}
