//! Where a consumer stands in one partition, and what it must learn before it can go on.

use crate::client::consumer::buffer::{Buffer, Reached};
use crate::client::metadata::Leader;
use crate::error::ErrorCode;
use crate::ids::{LeaderEpoch, Offset, TopicId, TopicName};
use crate::message::offsets::OffsetSpec;
use crate::time::{Instant, Timestamp};

/// One assigned partition.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub topic: TopicName,
    pub partition: i32,
    /// Changes with each assignment and seek: an answer to an older question is dropped.
    pub fence: u64,
    pub state: State,
    pub paused: bool,
    /// A question about it is on its way.
    pub asked: bool,
    pub not_before: Instant,
    pub failures: u32,
    pub buffer: Buffer,
    /// After a seek to a time: earlier records of the same batch are not delivered.
    pub not_older_than: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Ask the coordinator where the group has come to (OffsetFetch).
    Committed,
    /// Ask the leader where that is (ListOffsets).
    Reset(OffsetSpec),
    At(Position),
    /// Nothing goes on until the application seeks.
    Failed(ErrorCode),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The next offset to deliver.
    pub offset: Offset,
    /// The epoch of the record before it, if known.
    pub epoch: LeaderEpoch,
    /// The leader epoch in which the position is known to be on the leader's log.
    pub validated: LeaderEpoch,
    /// The topic's incarnation; zero until the first fetch.
    pub topic: TopicId,
}

/// The next question about a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Offset(OffsetSpec),
    /// KIP-320: where the epoch of the last record ends on the new leader.
    EpochEnd(Position),
    Records(Position),
    /// The topic was made again: the position means nothing in it.
    OtherTopic,
}

impl Position {
    pub fn at(offset: Offset) -> Self {
        let (epoch, validated) = (LeaderEpoch::NONE, LeaderEpoch::NONE);
        Position { offset, epoch, validated, topic: TopicId::ZERO }
    }
}

impl Slot {
    pub fn new(topic: TopicName, partition: i32, fence: u64, state: State) -> Self {
        Slot {
            topic,
            partition,
            fence,
            state,
            paused: false,
            asked: false,
            not_before: Instant::ZERO,
            failures: 0,
            buffer: Buffer::default(),
            not_older_than: None,
        }
    }

    /// Goes elsewhere; what is under way for the old position no longer counts.
    pub fn move_to(&mut self, fence: u64, state: State) {
        self.fence = fence;
        self.state = state;
        self.asked = false;
        self.not_before = Instant::ZERO;
        self.failures = 0;
        self.buffer.clear();
        self.not_older_than = None;
    }

    /// What to ask next, given who leads; none if nothing is missing.
    pub fn question(&mut self, leader: Leader, topic: TopicId) -> Option<Question> {
        if self.asked || self.paused || !self.buffer.is_empty() {
            return None;
        }
        match &mut self.state {
            State::Reset(spec) => Some(Question::Offset(*spec)),
            State::Committed | State::Failed(_) => None,
            State::At(position) => {
                if position.topic == TopicId::ZERO {
                    position.topic = topic;
                }
                if position.topic != topic {
                    return Some(Question::OtherTopic);
                }
                if position.validated < leader.epoch {
                    if position.epoch != LeaderEpoch::NONE {
                        return Some(Question::EpochEnd(*position));
                    }
                    position.validated = leader.epoch;
                }
                Some(Question::Records(*position))
            }
        }
    }

    /// The application has taken everything before that point.
    pub fn reached(&mut self, reached: Reached) {
        let State::At(position) = &mut self.state else { panic!("records have a position") };
        assert!(position.offset < reached.offset, "a consumer moves forward");
        position.offset = reached.offset;
        if reached.epoch != LeaderEpoch::NONE {
            position.epoch = reached.epoch;
        }
    }

    pub fn position(&self) -> Option<Position> {
        match self.state {
            State::At(position) => Some(position),
            State::Committed | State::Reset(_) | State::Failed(_) => None,
        }
    }
}
