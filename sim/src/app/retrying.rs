//! `kind = "retry"`: a pipeline with retry topics, messages for it, and what must stay true.

use std::collections::{BTreeMap, BTreeSet};

use seedlog::client::app::format::Format;
use seedlog::client::app::retry::{Message, Retry};
use seedlog::event::{ApplicationNote, Event};
use seedlog::ids::TopicName;
use seedlog::machine::Effects;
use seedlog::op::SendRecord;
use seedlog::time::Instant;

use super::{
    AppKind, AppTable, Begin, Described, Feed, HostSetup, HostedApp, Refusal, ValueFormat, host,
    keyed, number,
};
use crate::check::{Invariant, Values, Visible};
use crate::scenario::value::Ratio;
use crate::world::Draw;

impl Described for Message {
    const SCHEMA: &'static str = r#"{"type": "record", "name": "Message", "fields": [
        {"name": "id", "type": "string"},
        {"name": "body", "type": "string"},
        {"name": "fails", "type": "long", "default": 0}]}"#;
}

/// Its first input is NAME, the others NAME-retry-1 to 3; its output takes what was handled.
#[derive(Clone)]
pub struct RetryKind;

fn retry(table: &AppTable) -> Retry {
    Retry {
        name: table.input[0].clone(),
        output: table.output[0].clone(),
        format: table.format.of(),
    }
}

impl AppKind for RetryKind {
    fn formats(&self) -> &'static [ValueFormat] {
        ValueFormat::TYPED
    }

    fn needs_output(&self) -> bool {
        true
    }

    fn wants_store(&self) -> bool {
        true
    }

    fn writes(&self, table: &AppTable) -> Vec<TopicName> {
        let retry = retry(table);
        let mut topics = retry.inputs();
        topics.push(retry.dead_letters());
        topics
    }

    fn refuses(&self, table: &AppTable) -> Option<Refusal> {
        let wanted = retry(table).inputs();
        let what = format!("a retry pipeline consumes {}", wanted.join(", "));
        (table.input != wanted).then_some(("input", what, "name them in this order"))
    }

    fn invariants(&self, table: &AppTable) -> Vec<Box<dyn Invariant>> {
        vec![Box::new(EachEndsOnce {
            input: Values::new(table.input[0].clone(), table.format.of()),
            dead_letters: Values::new(retry(table).dead_letters(), table.format.of()),
            messages: BTreeMap::new(),
            handled: BTreeSet::new(),
        })]
    }

    fn start(&self, setup: &HostSetup, begin: Begin, out: &mut Effects) -> Box<dyn HostedApp> {
        host(setup, retry(&setup.table), begin, out)
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

/// Every message is handled once or lies among the dead letters.
#[derive(Clone)]
struct EachEndsOnce {
    input: Values<Message>,
    dead_letters: Values<Message>,
    /// Whether each has come to an end.
    messages: BTreeMap<String, bool>,
    handled: BTreeSet<String>,
}

impl Invariant for EachEndsOnce {
    fn name(&self) -> &str {
        "EachEndsOnce"
    }

    fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
        if let Some(Ok(message)) = self.input.read(visible) {
            self.messages.entry(message.id).or_insert(false);
        } else if let Some(Ok(message)) = self.dead_letters.read(visible) {
            self.messages.insert(message.id, true);
        }
        Ok(())
    }

    fn noted(&mut self, event: &Event, _: Instant) -> Result<(), String> {
        let Event::Application(note) = event else { return Ok(()) };
        let ApplicationNote::Applied(applied) = &**note else { return Ok(()) };
        self.messages.insert(applied.id.to_string(), true);
        if self.handled.insert(applied.id.to_string()) {
            return Ok(());
        }
        Err(format!("message {} was handled twice", applied.id))
    }

    fn ended(&mut self) -> Result<(), String> {
        match self.messages.iter().find(|(_, ended)| !**ended) {
            Some((id, _)) => Err(format!("message {id} is neither handled nor a dead letter")),
            None => Ok(()),
        }
    }

    fn clone_box(&self) -> Box<dyn Invariant> {
        Box::new(self.clone())
    }
}
