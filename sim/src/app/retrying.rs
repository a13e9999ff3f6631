//! `kind = "retry"`: a pipeline with retry topics, messages for it, and what must stay true.

mod claims;

use seedlog::client::app::format::Format;
use seedlog::client::app::retry::{Message, Retry, Schedule};
use seedlog::ids::TopicName;
use seedlog::machine::Effects;
use seedlog::op::SendRecord;
use seedlog::time::Duration;

use self::claims::{Asked, EachEndsOnce};
use super::{
    AppKind, AppTable, Begin, Described, Feed, HostSetup, HostedApp, Refusal, ValueFormat,
    duration, host, keyed, number,
};
use crate::check::Invariant;
use crate::scenario::value::Ratio;
use crate::world::Draw;

impl Described for Message {
    const SCHEMA: &'static str = r#"{"type": "record", "name": "Message", "fields": [
        {"name": "id", "type": "string"},
        {"name": "body", "type": "string"},
        {"name": "fails", "type": "long", "default": 0}]}"#;
}

/// Its first input is NAME, the others NAME-retry-1 and so on; its output takes what was handled.
#[derive(Clone, Default)]
pub struct RetryKind {
    schedule: Schedule,
}

/// Retries at most.
const MOST_RETRIES: u32 = 100;

impl RetryKind {
    fn retry(&self, table: &AppTable) -> Retry {
        Retry {
            name: table.input[0].clone(),
            output: table.output[0].clone(),
            format: table.format.of(),
            schedule: self.schedule,
        }
    }

    /// How long a message waits for each retry: each time twice as long, up to the longest.
    fn pauses(&self) -> impl Iterator<Item = Duration> {
        let longest = self.schedule.longest;
        std::iter::successors(Some(self.schedule.first), |pause| Some(pause.saturating_mul(2)))
            .map(move |pause| pause.min(longest))
    }
}

impl AppKind for RetryKind {
    fn formats(&self) -> &'static [ValueFormat] {
        ValueFormat::TYPED
    }

    fn keys(&self) -> &'static [&'static str] {
        &["retries", "backoff.first", "backoff.max"]
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "retries" => self.schedule.retries = number(value)?,
            "backoff.first" => self.schedule.first = duration(value)?,
            _ => self.schedule.longest = duration(value)?,
        }
        if self.schedule.retries > MOST_RETRIES {
            return Err(format!("{value} retries, each with its topic: {MOST_RETRIES} at most"));
        }
        Ok(())
    }

    fn needs_output(&self) -> bool {
        true
    }

    fn wants_store(&self) -> bool {
        true
    }

    fn writes(&self, table: &AppTable) -> Vec<TopicName> {
        let retry = self.retry(table);
        let mut topics = retry.inputs();
        topics.push(retry.dead_letters());
        topics
    }

    fn refuses(&self, table: &AppTable) -> Option<Refusal> {
        let wanted = self.retry(table).inputs();
        let what = format!("a retry pipeline consumes {}", wanted.join(", "));
        (table.input != wanted).then_some(("input", what, "name them in this order"))
    }

    fn invariants(&self, table: &AppTable) -> Vec<Box<dyn Invariant>> {
        let retry = self.retry(table);
        let topics = retry.inputs().into_iter().skip(1);
        vec![Box::new(EachEndsOnce::new(Asked {
            input: retry.name.clone(),
            output: retry.output.clone(),
            dead_letters: retry.dead_letters(),
            retries: topics.zip(self.pauses()).collect(),
            format: retry.format,
            delivery: table.config.delivery,
        }))]
    }

    fn start(&self, setup: &HostSetup, begin: Begin, out: &mut Effects) -> Box<dyn HostedApp> {
        host(setup, self.retry(&setup.table), begin, out)
    }

    fn clone_box(&self) -> Box<dyn AppKind> {
        Box::new(self.clone())
    }
}

/// Messages, some of which fail once, twice or for ever.
#[derive(Clone)]
pub struct MessagesFeed {
    fails: Ratio,
    keys: u64,
    format: Format<Message>,
    made: u64,
}

impl Default for MessagesFeed {
    fn default() -> Self {
        MessagesFeed { fails: Ratio::new(1, 4), keys: 50, format: Format::json(), made: 0 }
    }
}

/// Attempts that fail at most: one more than there are.
const MOST_FAILS: u64 = 5;

impl Feed for MessagesFeed {
    fn keys(&self) -> &'static [&'static str] {
        &["fails", "keys"]
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        if key == "keys" {
            self.keys = number(value)?;
            return if self.keys > 0 { Ok(()) } else { Err("no keys".into()) };
        }
        let ratio = Ratio::parse(value);
        self.fails = ratio.ok_or(format!("expected a probability, found {value:?}"))?;
        Ok(())
    }

    fn formats(&self) -> &'static [ValueFormat] {
        ValueFormat::TYPED
    }

    fn write_in(&mut self, format: ValueFormat) {
        self.format = format.of();
    }

    fn next(&mut self, dice: &mut dyn Draw) -> Option<SendRecord> {
        self.made += 1;
        let key = dice.under(self.keys);
        let fails = dice.chance(self.fails.numerator, self.fails.denominator);
        let fails = if fails { 1 + dice.under(MOST_FAILS) } else { 0 };
        let message = Message {
            id: format!("m{}", self.made),
            body: "hello".into(),
            fails: u32::try_from(fails).expect("a few"),
        };
        Some(keyed(format!("key-{key}"), self.format.encode(&message)))
    }
}
