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

/// How many retry topics there are.
pub const RETRIES: u32 = 3;
/// The header with the number of the attempt; none is the first, 0.
pub const ATTEMPT: &str = "attempt";
/// The header with the time before which it is too early, in milliseconds since 1970.
pub const NOT_BEFORE: &str = "not-before";

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// 100, 200, 400 ms and so on, up to 5 s.
#[must_use]
pub fn backoff(attempt: u32) -> Duration {
    FIRST_BACKOFF.saturating_mul(1 << attempt.min(10)).min(LONGEST_BACKOFF)
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

fn decide(fails: u32, attempt: u32, not_before: Timestamp, now: Timestamp) -> Decision {
    if let Ok(early) = u64::try_from(not_before.0 - now.0)
        && early > 0
    {
        // Clocks differ: no wait is longer than the longest backoff.
        return Decision::TooEarly(Duration::from_millis(early).min(LONGEST_BACKOFF));
    }
    match attempt {
        attempt if attempt >= fails => Decision::Handle,
        attempt if attempt < RETRIES => Decision::Again(attempt + 1),
        _ => Decision::GiveUp,
    }
}

/// A number in a header.
fn header<T: core::str::FromStr>(record: &ConsumedRecord, name: &str) -> Option<T> {
    let (_, value) = record.headers.iter().find(|(key, _)| &**key == name)?;
    core::str::from_utf8(value.as_ref()?).ok()?.parse().ok()
}

impl Retry {
    /// What it consumes: NAME and the retry topics.
    #[must_use]
    pub fn inputs(&self) -> Vec<TopicName> {
        let retries = (1..=RETRIES).map(|number| self.retry_topic(number));
        [self.name.clone()].into_iter().chain(retries).collect()
    }

    fn retry_topic(&self, number: u32) -> TopicName {
        format!("{}-retry-{number}", self.name).into()
    }

    #[must_use]
    pub fn dead_letters(&self) -> TopicName {
        format!("{}-dlt", self.name).into()
    }

    /// The message as it came, for another topic.
    fn pass_on(record: &ConsumedRecord, topic: TopicName) -> SendRecord {
        SendRecord {
            topic,
            partition: None,
            key: record.key.clone(),
            value: record.value.clone(),
            headers: Vec::new(),
            timestamp: Some(record.timestamp),
        }
    }

    fn give_up(&self, record: &ConsumedRecord, id: &str, context: &mut Context<'_>) {
        context.emit(Self::pass_on(record, self.dead_letters()));
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
        let due = context.now().wall.saturating_add(backoff(attempt - 1));
        let mut again = Self::pass_on(record, self.retry_topic(attempt));
        again.headers = [
            (ATTEMPT.into(), Some(Bytes::from(attempt.to_string()))),
            (NOT_BEFORE.into(), Some(Bytes::from(due.0.to_string()))),
        ]
        .into();
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
        match decide(message.fails, attempt, not_before, context.now().wall) {
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
            StoreResponse::Applied(_) => context.emit(Self::pass_on(record, self.output.clone())),
            StoreResponse::Duplicate => {
                let group = Arc::clone(context.group());
                let id = message.id.as_str().into();
                context.note(ApplicationNote::Duplicate { group, id });
                // Whoever handled it may have died before it was passed on.
                context.emit(Self::pass_on(record, self.output.clone()));
            }
            // Fenced: the partition is somebody else's by now, and so is the message.
            StoreResponse::Fenced
            | StoreResponse::Refused
            | StoreResponse::Value(_)
            | StoreResponse::Done
            | StoreResponse::Failed(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Decision::{Again, GiveUp, Handle, TooEarly};

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
            let found = decide(fails, attempt, Timestamp(not_before), Timestamp(now));
            assert_eq!(found, expected, "{fails} {attempt} {not_before} {now}");
        }
    }

    #[test]
    fn the_backoff_doubles_up_to_five_seconds() {
        let millis = [0, 1, 2, 5, 6, 60].map(|attempt| backoff(attempt).as_millis());
        assert_eq!(millis, [100, 200, 400, 3_200, 5_000, 5_000]);
    }
}
