//! A pipeline that does not give up at once: what fails goes round over retry topics, later and
//! later, and in the end to a dead-letter topic. What was done is not done again.
//!
//! It consumes NAME, NAME-retry-1, -2 and -3 with a pool of workers; NAME-dlt is the end.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::client::app::format::Format;
use crate::client::app::processor::{Context, Processor};
use crate::event::ApplicationNote;
use crate::ids::TopicName;
use crate::message::store::{Apply, Change, StoreRequest, StoreResponse};
use crate::op::{ConsumedRecord, SendRecord};
use crate::time::{Duration, Timestamp};

/// The header with the number of the attempt; none is the first, 0.
pub const ATTEMPT: &str = "attempt";
/// The header with the time before which it is too early, in milliseconds since 1970.
pub const NOT_BEFORE: &str = "not-before";

/// How often what fails is tried again, and after which pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Attempts after the first one; a retry pipeline has a topic for each.
    pub retries: u32,
    /// The pause before the first of them. Each pause is twice as long as the one before.
    pub first: Duration,
    /// No pause is longer.
    pub longest: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(5));
        Schedule { retries: 3, first, longest }
    }
}

impl Schedule {
    /// The pause after an attempt that failed; the first one is 0.
    #[must_use]
    pub fn backoff(&self, attempt: u32) -> Duration {
        self.first.saturating_mul(1 << attempt.min(31)).min(self.longest)
    }

    /// What to do with a message whose attempts fail so often.
    fn decide(&self, fails: u32, attempt: u32, not_before: Timestamp, now: Timestamp) -> Decision {
        if let Ok(early) = u64::try_from(not_before.0.saturating_sub(now.0))
            && early > 0
        {
            // Clocks differ: no wait is longer than the longest backoff.
            return Decision::TooEarly(Duration::from_millis(early).min(self.longest));
        }
        match attempt {
            attempt if attempt >= fails => Decision::Handle,
            attempt if attempt < self.retries => Decision::Again(attempt + 1),
            _ => Decision::GiveUp,
        }
    }
}

/// A message of the pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The same on all its ways.
    pub id: String,
    pub body: String,
    /// How many attempts at it fail.
    #[serde(default)]
    pub fails: u32,
}

/// The pipeline's processor.
#[derive(Clone, Debug)]
pub struct Retry {
    /// NAME.
    pub name: TopicName,
    /// Where messages go that were handled.
    pub output: TopicName,
    pub format: Format<Message>,
    pub schedule: Schedule,
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    TooEarly(Duration),
    Handle,
    /// Go round once more, as that attempt.
    Again(u32),
    GiveUp,
}

/// A number in a header.
fn header<T: core::str::FromStr>(record: &ConsumedRecord, name: &str) -> Option<T> {
    let (_, value) = record.headers.iter().find(|(key, _)| &**key == name)?;
    core::str::from_utf8(value.as_ref()?).ok()?.parse().ok()
}

/// Whether a header is the pipeline's own.
fn is_own(name: &str) -> bool {
    [ATTEMPT, NOT_BEFORE].contains(&name)
}

impl Retry {
    /// What it consumes: NAME and the retry topics.
    #[must_use]
    pub fn inputs(&self) -> Vec<TopicName> {
        let retries = (1..=self.schedule.retries).map(|number| self.retry_topic(number));
        [self.name.clone()].into_iter().chain(retries).collect()
    }

    fn retry_topic(&self, number: u32) -> TopicName {
        format!("{}-retry-{number}", self.name).into()
    }

    #[must_use]
    pub fn dead_letters(&self) -> TopicName {
        format!("{}-dlt", self.name).into()
    }

    /// The message as it came, for another topic, with the time of this attempt. Its headers are
    /// its sender's, but for those of the pipeline.
    fn pass_on(record: &ConsumedRecord, topic: TopicName, context: &Context<'_>) -> SendRecord {
        SendRecord {
            topic,
            partition: None,
            key: record.key.clone(),
            value: record.value.clone(),
            headers: record.headers.iter().filter(|(key, _)| !is_own(key)).cloned().collect(),
            timestamp: Some(context.now().wall),
        }
    }

    fn give_up(&self, record: &ConsumedRecord, id: &str, context: &mut Context<'_>) {
        context.emit(Self::pass_on(record, self.dead_letters(), context));
        let group = Arc::clone(context.group());
        context.note(ApplicationNote::DeadLettered { group, id: id.into() });
        context.ack();
    }

    fn send_round(
        &self,
        record: &ConsumedRecord,
        id: &str,
        attempt: u32,
        context: &mut Context<'_>,
    ) {
        let due = context.now().wall.saturating_add(self.schedule.backoff(attempt - 1));
        let mut again = Self::pass_on(record, self.retry_topic(attempt), context);
        again.headers.extend([
            (ATTEMPT.into(), Some(Bytes::from(attempt.to_string()))),
            (NOT_BEFORE.into(), Some(Bytes::from(due.0.to_string()))),
        ]);
        context.emit(again);
        let group = Arc::clone(context.group());
        context.note(ApplicationNote::Retried { group, id: id.into(), attempt });
        context.ack();
    }
}

impl Processor for Retry {
    fn process(&mut self, record: &ConsumedRecord, context: &mut Context<'_>) {
        let Some(message) = context.read(record, &self.format) else {
            // No attempt will make a message of it.
            return self.give_up(record, "", context);
        };
        let attempt = header(record, ATTEMPT).unwrap_or(0);
        let not_before = Timestamp(header(record, NOT_BEFORE).unwrap_or(0));
        match self.schedule.decide(message.fails, attempt, not_before, context.now().wall) {
            Decision::TooEarly(wait) => context.nack(wait),
            Decision::Again(attempt) => self.send_round(record, &message.id, attempt, context),
            Decision::GiveUp => self.give_up(record, &message.id, context),
            Decision::Handle => {
                let id: Arc<str> = message.id.as_str().into();
                let handled = Change { key: "handled".into(), delta: 1, floor: None };
                context.call(StoreRequest::Apply(Apply {
                    request: Arc::clone(&id),
                    by: Arc::clone(context.client()),
                    once: Some(id),
                    changes: [handled].into(),
                    fence: context.fence(),
                }));
            }
        }
    }

    fn answered(
        &mut self,
        record: &ConsumedRecord,
        _request: &StoreRequest,
        response: &StoreResponse,
        context: &mut Context<'_>,
    ) {
        let Some(message) = context.read(record, &self.format) else { return };
        match response {
            StoreResponse::Applied(_) => {
                context.emit(Self::pass_on(record, self.output.clone(), context))
            }
            StoreResponse::Duplicate => {
                let group = Arc::clone(context.group());
                let id = message.id.as_str().into();
                context.note(ApplicationNote::Duplicate { group, id });
                // Whoever handled it may have died before it was passed on.
                context.emit(Self::pass_on(record, self.output.clone(), context));
            }
            // No answer to what was asked: nothing is known to be done.
            StoreResponse::Fenced
            | StoreResponse::Tokens(_)
            | StoreResponse::Claimed(_)
            | StoreResponse::Refused
            | StoreResponse::Value(_)
            | StoreResponse::Done
            | StoreResponse::Failed(_) => context.nack(self.schedule.first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::app::trial::Trial;
    use crate::ids::Offset;
    use Decision::{Again, GiveUp, Handle, TooEarly};

    #[test]
    fn a_message_keeps_its_senders_headers_on_all_its_ways() {
        let (name, output) = ("mail".into(), "handled".into());
        let schedule = Schedule::default();
        let pipeline = Retry { name, output, format: Format::json(), schedule };
        let header = |name: &str, value: &str| -> (Arc<str>, Option<Bytes>) {
            (name.into(), Some(Bytes::from(String::from(value))))
        };
        let trace = [header("trace", "7"), ("empty".into(), None)];
        let passed = |attempt: &str, fails: u32| {
            let message = Message { id: "m".into(), body: "hello".into(), fails };
            let own = [header(NOT_BEFORE, "0"), header(ATTEMPT, attempt)];
            let mut trial = Trial::new(pipeline.clone());
            let done = trial.take(ConsumedRecord {
                topic: "mail".into(),
                partition: 0,
                offset: Offset::ZERO,
                timestamp: Timestamp(0),
                key: None,
                value: Some(pipeline.format.encode(&message)),
                headers: [own.to_vec(), trace.to_vec()].concat(),
            });
            let done = match done.call {
                Some(_) => trial.answer(&StoreResponse::Duplicate),
                None => done,
            };
            let sent = done.emitted.into_iter().next().expect("it is passed on");
            (String::from(&*sent.topic), sent.headers)
        };
        assert_eq!(passed("0", 0), ("handled".into(), trace.to_vec()));
        assert_eq!(passed("3", 9), ("mail-dlt".into(), trace.to_vec()));
        let again = [header(ATTEMPT, "2"), header(NOT_BEFORE, "200")];
        assert_eq!(passed("1", 9), ("mail-retry-2".into(), [trace, again].concat()));
    }

    #[test]
    fn a_message_goes_round_three_times_and_then_to_the_dead_letters() {
        let table = [
            // fails, attempt, not before, now
            ((0, 0, 0, 1_000), Handle),
            ((1, 0, 0, 1_000), Again(1)),
            ((1, 1, 900, 1_000), Handle),
            ((1, 1, 1_000, 1_000), Handle),
            ((1, 1, 1_100, 1_000), TooEarly(Duration::from_millis(100))),
            ((1, 1, 900_000, 1_000), TooEarly(Duration::from_secs(5))),
            ((9, 2, 0, 1_000), Again(3)),
            ((9, 3, 0, 1_000), GiveUp),
            ((3, 3, 0, 1_000), Handle),
        ];
        for ((fails, attempt, not_before, now), expected) in table {
            let found =
                Schedule::default().decide(fails, attempt, Timestamp(not_before), Timestamp(now));
            assert_eq!(found, expected, "{fails} {attempt} {not_before} {now}");
        }
    }

    #[test]
    fn the_backoff_doubles_up_to_the_longest() {
        let millis = |schedule: Schedule| {
            [0, 1, 2, 3, 4, 5, 6, 7, 60].map(|attempt| schedule.backoff(attempt).as_millis())
        };
        let schedule = Schedule::default();
        let usual = [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000];
        assert_eq!((schedule.retries, millis(schedule)), (3, usual));
        let (first, longest) = (Duration::from_secs(2), Duration::from_secs(3));
        let short = [2_000, 3_000, 3_000, 3_000, 3_000, 3_000, 3_000, 3_000, 3_000];
        assert_eq!(millis(Schedule { first, longest, ..schedule }), short);
        let (first, longest) = (Duration::from_millis(1), Duration::MAX);
        assert_eq!(Schedule { first, longest, ..schedule }.backoff(20).as_millis(), 1 << 20);
    }

    #[test]
    fn as_many_retry_topics_as_retries() {
        let inputs = |retries| {
            let schedule = Schedule { retries, ..Schedule::default() };
            let (name, output) = ("mail".into(), "handled".into());
            Retry { name, output, format: Format::json(), schedule }.inputs()
        };
        assert_eq!(inputs(0), ["mail".into()]);
        assert_eq!(inputs(2), ["mail".into(), "mail-retry-1".into(), "mail-retry-2".into()]);
    }
}
