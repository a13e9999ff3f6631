//! An application that is a member of a group: it takes what the group gives it, and commits how
//! far it has come.

use std::collections::BTreeMap;
use std::sync::Arc;

use seedlog::error::ErrorCode;
use seedlog::ids::{CallId, LeaderEpoch, Offset, TopicName};
use seedlog::op::{ConsumedRecord, GroupMetadata, Op, Outcome, Position, Rebalance};
use seedlog::rng::Rng;
use seedlog::time::{Duration, Instant};

use super::Told;
use crate::cluster::Process;
use crate::scenario::{CommitMode, GroupWork, MemberDelivery, Scenario};
use crate::world::{ProcessId, Seed, World};

/// One member process.
#[derive(Clone, Debug)]
pub struct MemberClient {
    pub process: ProcessId,
    /// From 0, among all consumers.
    pub number: u32,
    work: Arc<GroupWork>,
    topics: Arc<[TopicName]>,
    max_records: usize,
    life: u64,
    calls: u64,
    stage: Stage,
    /// Commits that have no answer, oldest first.
    commits: Vec<(CallId, Vec<Position>)>,
    /// What is done and not committed: the next offset by partition.
    done: BTreeMap<(TopicName, i32), Offset>,
    /// What the group has given it.
    owned: Vec<(TopicName, i32)>,
    metadata: GroupMetadata,
    /// When it leaves the group for a moment.
    leaves_at: Option<Instant>,
    /// Whether it shall end.
    closing: bool,
    rng: Rng,
    /// The highest offset read by topic and partition, in all lives.
    pub reached: Vec<Vec<i64>>,
    pub consumed: u64,
    /// Stays in the group that ended since its place was somebody else's.
    pub fenced: u64,
    /// Whether this stay was counted.
    is_fenced: bool,
    /// What nobody has been told yet.
    pub told: Vec<Told>,
}

/// What the application waits for.
#[derive(Clone, Debug)]
enum Stage {
    /// Nothing: it has not begun, or a script leads it.
    Out,
    Poll(CallId),
    /// The records of a poll are worked on.
    Work(Arc<[ConsumedRecord]>, Instant),
    /// A commit, before it goes on.
    Commit(CallId, After),
    Leave(CallId),
    Close(CallId),
    /// Closed: its process may end.
    Closed,
    /// Some time, after an error.
    Rest(Instant),
}

/// What a commit was for.
#[derive(Clone, Debug)]
enum After {
    Poll,
    /// These are worked on if it succeeds: at most once.
    Work(Arc<[ConsumedRecord]>),
}

/// How long a poll waits for records.
const TIMEOUT: Duration = Duration::from_millis(500);
/// After an error.
const REST: Duration = Duration::from_millis(200);
const LIFE: u64 = 1 << 40;

impl MemberClient {
    #[must_use]
    pub fn new(
        scenario: &Scenario,
        work: &GroupWork,
        seed: Seed,
        number: u32,
        process: ProcessId,
    ) -> Self {
        let reached = |topic: &crate::scenario::Topic| {
            vec![-1; usize::try_from(topic.partitions).expect("few partitions")]
        };
        MemberClient {
            process,
            number,
            work: Arc::new(work.clone()),
            topics: scenario.topics.iter().map(|topic| topic.name.clone()).collect(),
            max_records: usize::try_from(scenario.workload.poll_records).unwrap_or(usize::MAX),
            life: 0,
            calls: 0,
            stage: Stage::Out,
            commits: Vec::new(),
            done: BTreeMap::new(),
            owned: Vec::new(),
            metadata: outside(&work.id),
            leaves_at: None,
            closing: false,
            rng: seed.stream("member", u64::from(number), 0),
            reached: scenario.topics.iter().map(reached).collect(),
            consumed: 0,
            fenced: 0,
            is_fenced: false,
            told: Vec::new(),
        }
    }

    #[must_use]
    pub fn group(&self) -> &Arc<str> {
        &self.work.id
    }

    /// What it believes to hold.
    #[must_use]
    pub fn owned(&self) -> &[(TopicName, i32)] {
        &self.owned
    }

    /// Its place in the group, as it was told.
    #[must_use]
    pub fn metadata(&self) -> &GroupMetadata {
        &self.metadata
    }

    /// How far it has come and has not committed.
    #[must_use]
    pub fn positions(&self) -> Vec<Position> {
        let position = |((topic, partition), offset): (&(TopicName, i32), &Offset)| Position {
            topic: topic.clone(),
            partition: *partition,
            offset: *offset,
            leader_epoch: LeaderEpoch::NONE,
            metadata: None,
        };
        self.done.iter().map(position).collect()
    }

    fn call(&mut self, world: &mut World<Process>, op: Op) -> CallId {
        self.calls += 1;
        let call = CallId(self.life * LIFE + self.calls);
        world.call(self.process, call, Arc::new(op));
        call
    }

    /// Joins, and begins to poll; also after a restart.
    pub fn started(&mut self, world: &mut World<Process>) {
        if self.work.automatic {
            self.subscribe(world);
            self.poll(world);
        }
    }

    pub fn subscribe(&mut self, world: &mut World<Process>) {
        let topics = self.topics.to_vec();
        self.call(world, Op::Subscribe(topics));
        let stay = self.work.stay;
        self.leaves_at =
            (stay.high > Duration::ZERO).then(|| world.now() + stay.draw(&mut self.rng));
    }

    pub fn unsubscribe(&mut self, world: &mut World<Process>) -> CallId {
        self.told.push(Told::Left { consumer: self.number });
        let call = self.call(world, Op::Unsubscribe);
        self.owned.clear();
        self.done.clear();
        self.metadata = outside(&self.work.id);
        call
    }

    /// Takes records; a change of what it holds may come in their place.
    pub fn poll(&mut self, world: &mut World<Process>) {
        let op = Op::Poll { max_records: self.max_records, timeout: TIMEOUT };
        self.stage = Stage::Poll(self.call(world, op));
    }

    /// Commits all that is done.
    pub fn commit(&mut self, world: &mut World<Process>) -> Option<CallId> {
        let positions = self.positions();
        if positions.is_empty() {
            return None;
        }
        self.done.clear();
        let call = self.call(world, Op::Commit(Some(positions.clone())));
        self.commits.push((call, positions));
        Some(call)
    }

    /// What is done goes with a transaction.
    pub fn take_positions(&mut self) -> Vec<Position> {
        let positions = self.positions();
        self.done.clear();
        positions
    }

    /// Ends it, once what was polled is worked on and committed.
    pub fn close(&mut self, world: &mut World<Process>) {
        self.closing = true;
        if matches!(self.stage, Stage::Out) {
            self.commit_and_close(world);
        }
    }

    /// Whether nothing holds its process any longer.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.stage, Stage::Closed)
    }

    fn commit_and_close(&mut self, world: &mut World<Process>) {
        if let Some(call) = self.commit(world) {
            self.stage = Stage::Commit(call, After::Poll);
            return;
        }
        self.told.push(Told::Left { consumer: self.number });
        self.stage = Stage::Close(self.call(world, Op::Close));
        self.owned.clear();
        self.metadata = outside(&self.work.id);
    }

    /// The process died.
    pub fn gone(&mut self) {
        self.life += 1;
        self.calls = 0;
        self.closing = false;
        self.stage = Stage::Out;
        self.is_fenced = false;
        self.commits.clear();
        self.done.clear();
        self.owned.clear();
        self.metadata = outside(&self.work.id);
    }

    /// Some time has passed: perhaps that which it rests, or works.
    pub fn timer(&mut self, world: &mut World<Process>) {
        let now = world.now();
        match std::mem::replace(&mut self.stage, Stage::Out) {
            Stage::Rest(until) if until <= now && self.closing => self.commit_and_close(world),
            Stage::Rest(until) if until <= now => self.poll(world),
            Stage::Work(records, until) if until <= now => self.worked(world, &records),
            stage @ (Stage::Out
            | Stage::Poll(_)
            | Stage::Work(..)
            | Stage::Commit(..)
            | Stage::Leave(_)
            | Stage::Close(_)
            | Stage::Closed
            | Stage::Rest(_)) => self.stage = stage,
        }
    }

    /// A call was answered. When to call [`Self::timer`], if it wants that.
    pub fn returned(
        &mut self,
        world: &mut World<Process>,
        call: CallId,
        outcome: &Outcome,
    ) -> Option<Instant> {
        if call.0 / LIFE != self.life {
            return None;
        }
        if let Some(index) = self.commits.iter().position(|(known, _)| *known == call) {
            let (_, positions) = self.commits.remove(index);
            let (consumer, group) = (self.number, Arc::clone(&self.work.id));
            self.told.push(Told::Committed {
                consumer,
                group,
                positions,
                outcome: outcome.clone(),
            });
            self.note_fencing(outcome);
        }
        match std::mem::replace(&mut self.stage, Stage::Out) {
            Stage::Poll(poll) if poll == call => self.polled(world, outcome),
            Stage::Commit(commit, after) if commit == call => self.committed(world, outcome, after),
            Stage::Close(close) if close == call => {
                self.stage = Stage::Closed;
                None
            }
            Stage::Leave(leave) if leave == call => {
                self.subscribe(world);
                self.poll(world);
                None
            }
            stage @ (Stage::Out
            | Stage::Poll(_)
            | Stage::Work(..)
            | Stage::Commit(..)
            | Stage::Leave(_)
            | Stage::Close(_)
            | Stage::Closed
            | Stage::Rest(_)) => {
                self.stage = stage;
                None
            }
        }
    }

    fn note_fencing(&mut self, outcome: &Outcome) {
        let Outcome::Failed(error) = outcome else { return };
        let is_fencing = matches!(
            error,
            ErrorCode::UnknownMemberId
                | ErrorCode::IllegalGeneration
                | ErrorCode::FencedInstanceId
                | ErrorCode::FencedMemberEpoch
                | ErrorCode::StaleMemberEpoch
        );
        if is_fencing && !std::mem::replace(&mut self.is_fenced, true) {
            self.fenced += 1;
        }
    }

    fn polled(&mut self, world: &mut World<Process>, outcome: &Outcome) -> Option<Instant> {
        match outcome {
            Outcome::Polled(records) => {
                let consumer = self.number;
                if records.is_empty() {
                    return self.go_on(world);
                }
                self.told.push(Told::Polled { consumer, records: Arc::clone(records) });
                self.note_reached(records);
                if self.work.delivery == MemberDelivery::AtMostOnce {
                    self.note_done(records);
                    let after = After::Work(Arc::clone(records));
                    return self.commit_and_wait(world, after);
                }
                self.work_on(world, records)
            }
            Outcome::Rebalanced(change) => {
                let (consumer, group) = (self.number, Arc::clone(&self.work.id));
                self.told.push(Told::Rebalanced { consumer, group, change: Arc::clone(change) });
                self.rebalanced(world, change)
            }
            Outcome::Failed(_) | Outcome::Unknown(_) => {
                self.note_fencing(outcome);
                self.rest(world.now())
            }
            Outcome::Done | Outcome::Sent { .. } | Outcome::Committed(_) | Outcome::Answered(_) => {
                self.rest(world.now())
            }
        }
    }

    fn rest(&mut self, now: Instant) -> Option<Instant> {
        self.stage = Stage::Rest(now + REST);
        Some(now + REST)
    }

    /// The next poll, unless a script leads, or it is time to leave for a moment.
    fn go_on(&mut self, world: &mut World<Process>) -> Option<Instant> {
        if self.closing {
            self.commit_and_close(world);
            return None;
        }
        if !self.work.automatic {
            return None;
        }
        if self.leaves_at.is_some_and(|at| at <= world.now()) {
            self.leaves_at = None;
            self.stage = Stage::Leave(self.unsubscribe(world));
            return None;
        }
        self.poll(world);
        None
    }

    fn rebalanced(&mut self, world: &mut World<Process>, change: &Rebalance) -> Option<Instant> {
        match change {
            Rebalance::Assigned(partitions, metadata) => {
                self.owned.extend(partitions.iter().cloned());
                self.metadata = metadata.clone();
                self.is_fenced = false;
                self.go_on(world)
            }
            Rebalance::Lost(partitions) => {
                self.give_up(partitions);
                self.go_on(world)
            }
            // They are its own until the next poll: what is done can still be committed.
            Rebalance::Revoked(partitions) => {
                let commits = matches!(self.work.commit, CommitMode::Sync | CommitMode::Async);
                self.owned.retain(|owned| !partitions.contains(owned));
                if commits && self.work.automatic && !self.done.is_empty() {
                    return self.commit_and_wait(world, After::Poll);
                }
                self.give_up(partitions);
                self.go_on(world)
            }
        }
    }

    fn give_up(&mut self, partitions: &[(TopicName, i32)]) {
        self.owned.retain(|owned| !partitions.contains(owned));
        self.done.retain(|partition, _| !partitions.contains(partition));
    }

    fn commit_and_wait(&mut self, world: &mut World<Process>, after: After) -> Option<Instant> {
        match self.commit(world) {
            Some(call) => {
                self.stage = Stage::Commit(call, after);
                None
            }
            None => self.go_on(world),
        }
    }

    fn committed(
        &mut self,
        world: &mut World<Process>,
        outcome: &Outcome,
        after: After,
    ) -> Option<Instant> {
        match after {
            After::Work(records) if *outcome == Outcome::Done => self.work_on(world, &records),
            // Whether the commit took place or not: these may be somebody else's.
            After::Work(_) | After::Poll => self.go_on(world),
        }
    }

    fn work_on(
        &mut self,
        world: &mut World<Process>,
        records: &Arc<[ConsumedRecord]>,
    ) -> Option<Instant> {
        let time = self.work.work.draw(&mut self.rng);
        if time == Duration::ZERO {
            self.worked(world, records);
            return None;
        }
        let until = world.now() + time;
        self.stage = Stage::Work(Arc::clone(records), until);
        Some(until)
    }

    fn worked(&mut self, world: &mut World<Process>, records: &Arc<[ConsumedRecord]>) {
        self.consumed += u64::try_from(records.len()).expect("a length fits u64");
        let (group, records) = (Arc::clone(&self.work.id), Arc::clone(records));
        self.told.push(Told::Worked { group, records: Arc::clone(&records) });
        let records = &*records;
        let next = match (self.work.delivery, self.work.commit) {
            (MemberDelivery::AtMostOnce, _) => self.go_on(world),
            (MemberDelivery::AtLeastOnce, CommitMode::Auto) => self.go_on(world),
            (MemberDelivery::AtLeastOnce, CommitMode::Sync) => {
                self.note_done(records);
                self.commit_and_wait(world, After::Poll)
            }
            (MemberDelivery::AtLeastOnce, CommitMode::Async) => {
                self.note_done(records);
                self.commit(world);
                self.go_on(world)
            }
            (MemberDelivery::AtLeastOnce, CommitMode::None) => {
                self.note_done(records);
                self.go_on(world)
            }
        };
        assert!(next.is_none(), "after its work a member goes on at once");
    }

    fn note_done(&mut self, records: &[ConsumedRecord]) {
        for record in records {
            self.done.insert((record.topic.clone(), record.partition), record.offset.next());
        }
    }

    fn note_reached(&mut self, records: &[ConsumedRecord]) {
        for record in records {
            let topic = self.topics.iter().position(|name| *name == record.topic);
            let partition = usize::try_from(record.partition).ok();
            let Some((topic, partition)) = topic.zip(partition) else { continue };
            if let Some(reached) = self.reached[topic].get_mut(partition) {
                *reached = (*reached).max(record.offset.0);
            }
        }
    }
}

/// No membership.
fn outside(group: &Arc<str>) -> GroupMetadata {
    GroupMetadata { group: Arc::clone(group), member: "".into(), instance: None, generation: -1 }
}

#[cfg(test)]
mod tests {
    use seedlog::time::Timestamp;

    use super::*;
    use crate::cluster::{self, Cluster};
    use crate::scenario::script::Role;

    /// A member that has begun, in a world in which nobody answers it by himself.
    fn member(commit: &str) -> (MemberClient, World<Process>) {
        let text =
            format!("# A member.\n[workload]\nconsumers = 1\n[group]\ncommit = {commit:?}\n");
        let scenario = Scenario::parse("s.toml", &text, &[]).unwrap_or_else(|e| panic!("{e}"));
        let (mut world, cluster): (_, Cluster) = cluster::build(&scenario, Seed(1));
        let process = cluster.all(Role::Consumer).next().expect("there is one");
        let work = scenario.group.as_ref().expect("the text has one");
        let mut member = MemberClient::new(&scenario, work, Seed(1), 0, process);
        member.started(&mut world);
        (member, world)
    }

    /// The call that the stage waits for.
    fn awaited(member: &MemberClient) -> (&'static str, CallId) {
        match &member.stage {
            Stage::Poll(call) => ("poll", *call),
            Stage::Commit(call, _) => ("commit", *call),
            Stage::Leave(call) => ("leave", *call),
            Stage::Close(call) => ("close", *call),
            stage @ (Stage::Out | Stage::Work(..) | Stage::Closed | Stage::Rest(_)) => {
                panic!("{stage:?} waits for no call")
            }
        }
    }

    /// Answers that call; what is waited for then.
    fn answer(
        member: &mut MemberClient,
        world: &mut World<Process>,
        outcome: Outcome,
    ) -> &'static str {
        let (_, call) = awaited(member);
        member.returned(world, call, &outcome);
        if member.is_closed() { "nothing" } else { awaited(member).0 }
    }

    fn records(offsets: &[i64]) -> Outcome {
        let record = |offset: &i64| ConsumedRecord {
            topic: "orders".into(),
            partition: 0,
            offset: Offset(*offset),
            timestamp: Timestamp(0),
            key: None,
            value: None,
            headers: Vec::new(),
        };
        Outcome::Polled(offsets.iter().map(record).collect())
    }

    #[test]
    fn a_member_commits_what_it_has_done_where_it_commits_itself() {
        for (commit, then) in [("auto", "poll"), ("sync", "commit"), ("async", "poll")] {
            let (mut member, mut world) = member(commit);
            assert_eq!(answer(&mut member, &mut world, records(&[4, 5])), then, "{commit}");
            assert_eq!(member.commits.len(), usize::from(commit != "auto"), "{commit}");
            assert_eq!(member.consumed, 2);
        }
    }

    #[test]
    fn a_member_that_is_closed_works_on_what_it_polled_commits_it_and_ends() {
        for (commit, way) in [
            ("auto", &["close", "nothing"][..]),
            ("sync", &["commit", "close", "nothing"]),
            ("async", &["close", "nothing"]),
            ("none", &["commit", "close", "nothing"]),
        ] {
            let (mut member, mut world) = member(commit);
            member.close(&mut world);
            assert_eq!(awaited(&member).0, "poll", "{commit}: the poll comes to its end");
            let mut outcome = records(&[4, 5]);
            for next in way {
                assert_eq!(answer(&mut member, &mut world, outcome), *next, "{commit}");
                outcome = Outcome::Done;
            }
            assert_eq!(member.consumed, 2, "{commit}");
            assert!(matches!(member.told.last(), Some(Told::Left { .. })), "{commit}");
            member.gone();
            member.started(&mut world);
            assert_eq!(awaited(&member).0, "poll", "{commit}: its next life goes on");
        }
    }

    #[test]
    fn what_is_taken_away_is_not_committed_and_what_is_asked_back_is() {
        let part = || ("orders".into(), 0);
        let (mut member, mut world) = member("none");
        answer(&mut member, &mut world, records(&[4]));
        assert_eq!(member.positions().len(), 1);
        let lost = Rebalance::Lost(vec![part()]);
        assert_eq!(answer(&mut member, &mut world, Outcome::Rebalanced(lost.into())), "poll");
        assert_eq!(member.positions(), []);
        member.work = Arc::new(GroupWork { commit: CommitMode::Async, ..(*member.work).clone() });
        member.done.insert(part(), Offset(9));
        let revoked = Rebalance::Revoked(vec![part()]);
        let next = answer(&mut member, &mut world, Outcome::Rebalanced(revoked.into()));
        assert_eq!(next, "commit");
    }

    #[test]
    fn a_stay_that_ends_since_somebody_else_is_in_its_place_is_counted_once() {
        let table = [
            (ErrorCode::IllegalGeneration, 1),
            (ErrorCode::UnknownMemberId, 1),
            (ErrorCode::StaleMemberEpoch, 1),
            (ErrorCode::GroupIdNotFound, 0),
            (ErrorCode::RebalanceInProgress, 0),
            (ErrorCode::NotCoordinator, 0),
        ];
        for (error, fenced) in table {
            let (mut member, mut world) = member("sync");
            member.note_fencing(&Outcome::Failed(error));
            member.note_fencing(&Outcome::Failed(error));
            assert_eq!(member.fenced, fenced, "{error:?}");
            let again = Rebalance::Assigned(vec![("orders".into(), 0)], outside(&"g".into()));
            answer(&mut member, &mut world, Outcome::Rebalanced(again.into()));
            member.note_fencing(&Outcome::Failed(error));
            assert_eq!(member.fenced, fenced * 2, "{error:?}");
        }
    }
}
