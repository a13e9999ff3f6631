//! State from its changelog: before a partition is worked on, all that was committed for it is read
//! again, from the changelog's beginning to where it ended when the partition came here.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::client::app::engine::{Ask, Engine, Partition, Purpose, Todo};
use crate::client::app::processor::{Processor, digest};
use crate::event::{ApplicationNote, RestoredNote};
use crate::ids::{LeaderEpoch, Offset, TopicName, TopicRef};
use crate::message::fetch::Isolation;
use crate::message::offsets::{ListOffsetsPartition, ListOffsetsRequest, OffsetSpec};
use crate::message::{Request, Response};
use crate::op::{Op, Outcome, SeekTo, SendRecord};
use crate::time::{Duration, Instant};

const POLL_TIMEOUT: Duration = Duration::from_millis(100);
const POLL_RECORDS: usize = 500;

/// The partitions that are being restored, all together.
#[derive(Clone, Debug)]
pub(super) struct Restore {
    stage: Stage,
    targets: Vec<Target>,
    /// A poll has no answer yet, whatever it was for: there is one at a time.
    polling: bool,
    /// After one that failed.
    poll_not_before: Instant,
}

#[derive(Clone, Debug)]
struct Target {
    lane: Partition,
    ownership: u64,
    /// Where its changelog ends.
    end: Offset,
    /// Up to where it is read.
    reached: Option<Offset>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle { not_before: Instant },
    AskingEnds,
    Seeking { unanswered: usize },
    Reading,
}

impl Default for Restore {
    fn default() -> Self {
        Restore {
            stage: Stage::Idle { not_before: Instant::ZERO },
            targets: Vec::new(),
            polling: false,
            poll_not_before: Instant::ZERO,
        }
    }
}

impl<P: Processor> Engine<P> {
    /// Restores what must be before it is worked on.
    pub(super) fn restore_lanes(&mut self, now: Instant, todo: &mut Todo) {
        let Some(changelog) = self.setup.changelog.clone() else { return };
        match self.restore.stage {
            Stage::Idle { not_before } => {
                let due = self.lanes.values().any(|lane| !lane.restored);
                // What the last transaction has changed counts only once it is decided.
                if !due || !self.transaction.is_known() {
                    return;
                }
                if not_before > now {
                    return self.wake_at(not_before);
                }
                self.ask_ends(&changelog, todo);
            }
            Stage::Reading => {
                let is_there = |target: &Target| target.reached >= Some(target.end);
                if self.restore.targets.iter().all(is_there) {
                    return self.restored(now, todo);
                }
                if self.restore.poll_not_before > now {
                    return self.wake_at(self.restore.poll_not_before);
                }
                if !self.restore.polling {
                    self.restore.polling = true;
                    let poll = Op::Poll { max_records: POLL_RECORDS, timeout: POLL_TIMEOUT };
                    todo.asks.push(Ask::Restorer(Purpose::RestorePoll, poll));
                }
            }
            Stage::AskingEnds | Stage::Seeking { .. } => {}
        }
    }

    /// Asks where the changelogs end, with what is not decided: all of that must be, before the
    /// state is whole.
    fn ask_ends(&mut self, changelog: &TopicName, todo: &mut Todo) {
        let mut targets = Vec::new();
        let mut partitions = Vec::new();
        for (partition, lane) in self.lanes.iter_mut().filter(|(_, lane)| !lane.restored) {
            lane.state.clear();
            let ownership = lane.ownership;
            targets.push(Target {
                lane: partition.clone(),
                ownership,
                end: Offset::MAX,
                reached: None,
            });
            partitions.push(ListOffsetsPartition {
                topic: TopicRef::Name(changelog.clone()),
                partition: partition.1,
                current_leader_epoch: LeaderEpoch::NONE,
                spec: OffsetSpec::Latest,
            });
        }
        self.restore.stage = Stage::AskingEnds;
        self.restore.targets = targets;
        let request = ListOffsetsRequest { isolation: Isolation::ReadUncommitted, partitions };
        let request = Op::Admin(Request::ListOffsets(request));
        todo.asks.push(Ask::Admin(Purpose::Ends, request));
    }

    pub(super) fn ends_told(&mut self, now: Instant, outcome: &Outcome, todo: &mut Todo) {
        let Some(changelog) = self.setup.changelog.clone() else { return };
        if let Outcome::Answered(response) = outcome
            && let Response::ListOffsets(answer) = &**response
        {
            for found in answer.partitions.iter().filter(|found| found.error.is_ok()) {
                let targets = &mut self.restore.targets;
                if let Some(target) = targets.iter_mut().find(|of| of.lane.1 == found.partition) {
                    target.end = found.offset;
                }
            }
        }
        if self.restore.targets.iter().any(|target| target.end == Offset::MAX) {
            let not_before = now + self.setup.config.retry_backoff;
            self.restore.stage = Stage::Idle { not_before };
            return;
        }
        let list: Vec<Partition> =
            self.restore.targets.iter().map(|target| (changelog.clone(), target.lane.1)).collect();
        todo.asks.push(Ask::Restorer(Purpose::RestoreAssign, Op::Assign(list.clone())));
        self.restore.stage = Stage::Seeking { unanswered: list.len() };
        for (topic, partition) in list {
            let seek = Op::Seek { topic, partition, to: SeekTo::Earliest };
            todo.asks.push(Ask::Restorer(Purpose::RestoreSeek, seek));
        }
    }

    pub(super) fn restore_sought(&mut self) {
        if let Stage::Seeking { unanswered } = self.restore.stage {
            self.restore.stage = match unanswered - 1 {
                0 => Stage::Reading,
                unanswered => Stage::Seeking { unanswered },
            };
        }
    }

    pub(super) fn restore_polled(&mut self, now: Instant, outcome: &Outcome) {
        self.restore.polling = false;
        let Outcome::Polled(records) = outcome else {
            self.restore.poll_not_before = now + self.setup.config.retry_backoff;
            return;
        };
        for record in records.iter() {
            let targets = &self.restore.targets;
            let Some(target) = targets.iter().find(|target| target.lane.1 == record.partition)
            else {
                continue;
            };
            let Some(lane) = self.lanes.get_mut(&target.lane) else { continue };
            let (true, Some(key)) = (lane.ownership == target.ownership, &record.key) else {
                continue;
            };
            match &record.value {
                Some(value) => drop(lane.state.insert(key.clone(), value.clone())),
                None => drop(lane.state.remove(key)),
            }
        }
    }

    /// Told after each answer: up to where changelogs are read, by partition.
    pub(super) fn restored_to(&mut self, positions: &[(i32, Offset)]) {
        if self.restore.stage != Stage::Reading {
            return;
        }
        for target in &mut self.restore.targets {
            let found = positions.iter().find(|(partition, _)| *partition == target.lane.1);
            target.reached = found.map(|(_, offset)| *offset);
        }
    }

    fn restored(&mut self, now: Instant, todo: &mut Todo) {
        let changelog = self.setup.changelog.as_ref().expect("it was read");
        for target in core::mem::take(&mut self.restore.targets) {
            if let Some(lane) = self.lanes.get_mut(&target.lane)
                && lane.ownership == target.ownership
            {
                lane.restored = true;
                todo.notes.push(ApplicationNote::Restored(RestoredNote {
                    by: Arc::clone(&self.setup.client_id),
                    changelog: changelog.clone(),
                    partition: target.lane.1,
                    upto: target.reached.unwrap_or(target.end),
                    digest: digest(&lane.state),
                }));
            }
        }
        self.restore.stage = Stage::Idle { not_before: now };
        self.wake_at(now);
    }

    /// What goes into the changelog: the last value of each key that changed.
    pub(super) fn changelog(
        &self,
        partition: &Partition,
        changed: &[(Bytes, Option<Bytes>)],
    ) -> Vec<SendRecord> {
        let Some(topic) = self.setup.changelog.as_ref().filter(|_| self.has_changelog()) else {
            return Vec::new();
        };
        let mut keys: Vec<&Bytes> = changed.iter().map(|(key, _)| key).collect();
        keys.sort();
        keys.dedup();
        let state = self.lanes.get(partition).map(|lane| &lane.state);
        let record = |key: &Bytes| SendRecord {
            topic: topic.clone(),
            partition: Some(partition.1),
            key: Some(key.clone()),
            value: state.and_then(|state| state.get(key)).cloned(),
            headers: Vec::new(),
            timestamp: None,
        };
        keys.into_iter().map(record).collect()
    }
}
