//! What must stay true of a retry pipeline.

use std::collections::BTreeMap;

use seedlog::client::app::format::Format;
use seedlog::client::app::retry::{ATTEMPT, Message};
use seedlog::config::Delivery;
use seedlog::event::{ApplicationNote, AppliedNote, Event};
use seedlog::ids::TopicName;
use seedlog::record::Record;
use seedlog::time::{Duration, Instant, Timestamp, millis};

use crate::check::{Content, Invariant, Visible};

/// What a pipeline was asked to do.
#[derive(Clone, Debug)]
pub struct Asked {
    pub input: TopicName,
    pub output: TopicName,
    pub dead_letters: TopicName,
    /// The topic of each retry, with how long it must wait at least.
    pub retries: Vec<(TopicName, Duration)>,
    pub format: Format<Message>,
    pub delivery: Delivery,
}

/// Every message ends once: handled and passed on, or among the dead letters, as its own attempts
/// say; until then it goes round over the retry topics in their order, each time late enough, and
/// whatever comes of it says what it said.
#[derive(Clone)]
pub struct EachEndsOnce {
    asked: Asked,
    messages: BTreeMap<String, Way>,
    judged: u64,
}

/// A message on its way.
#[derive(Clone, Debug)]
struct Way {
    /// What it says.
    digest: u64,
    /// How many attempts at it fail; none: all, since it is malformed.
    fails: Option<usize>,
    /// How often it came in.
    sent: u64,
    /// When it may be tried, by attempt: the earliest time of those that it got.
    due: Vec<Timestamp>,
    /// How often it was seen, by the retry that it waited for.
    rounds: Vec<u64>,
    /// How often it has come to its end.
    ends: u64,
    is_handled: bool,
}

/// Where a message is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Input,
    /// Waits for that retry, from 1.
    Retry(usize),
    Output,
    DeadLetters,
}

impl EachEndsOnce {
    #[must_use]
    pub fn new(asked: Asked) -> Self {
        EachEndsOnce { asked, messages: BTreeMap::new(), judged: 0 }
    }

    fn place(&self, topic: &TopicName) -> Option<Place> {
        let Asked { input, output, dead_letters, retries, .. } = &self.asked;
        match topic {
            topic if topic == input => Some(Place::Input),
            topic if topic == output => Some(Place::Output),
            topic if topic == dead_letters => Some(Place::DeadLetters),
            topic => {
                let index = retries.iter().position(|(retry, _)| retry == topic)?;
                Some(Place::Retry(index + 1))
            }
        }
    }

    fn came_in(&mut self, id: String, fails: Option<usize>, digest: u64) {
        let new = Way {
            digest,
            fails,
            sent: 0,
            due: vec![Timestamp(i64::MIN)],
            rounds: vec![0; self.asked.retries.len()],
            ends: 0,
            is_handled: false,
        };
        self.messages.entry(id).or_insert(new).sent += 1;
    }

    /// A message is seen anywhere but where it comes in.
    fn seen(&mut self, id: &str, place: Place, digest: u64, record: &Record) -> Result<(), String> {
        let Asked { retries, delivery, .. } = &self.asked;
        let Some(way) = self.messages.get_mut(id) else {
            return Err("it never came in".into());
        };
        if way.digest != digest {
            return Err("it says something else than what came in".into());
        }
        let attempt = way.leads_to(place, retries.len())?;
        let Some(due) = way.due.get(attempt) else {
            return Err(format!("it never waited for attempt {attempt}"));
        };
        // What is handled is passed on when the store has answered, by a clock that may have been
        // set back meanwhile.
        if place != Place::Output && record.timestamp < *due {
            let early = due.0 - record.timestamp.0;
            return Err(format!("attempt {attempt} at it came {early} ms too early"));
        }
        let times = if let Place::Retry(number) = place {
            if header(record) != Some(number) {
                return Err(format!("it waits for attempt {number} and says {:?}", header(record)));
            }
            let pause = millis(retries[number - 1].1);
            let next = Timestamp(record.timestamp.0 + pause);
            match way.due.get_mut(number) {
                Some(due) => *due = next.min(*due),
                None => way.due.push(next),
            }
            way.rounds[number - 1] += 1;
            way.rounds[number - 1]
        } else {
            way.ends += 1;
            way.ends
        };
        if *delivery != Delivery::AtLeastOnce && times > way.sent {
            return Err(format!("it came in {} times, and is here {times} times", way.sent));
        }
        Ok(())
    }

    /// The store has handled a message.
    fn handled(&mut self, applied: &AppliedNote) -> Result<(), String> {
        let retries = self.asked.retries.len();
        let Some(way) = self.messages.get_mut(&*applied.id) else { return Ok(()) };
        self.judged += 1;
        let wrong = |what: &str| Err(format!("message {}: {what}", applied.id));
        if std::mem::replace(&mut way.is_handled, true) {
            return wrong("it was handled twice");
        }
        match way.fails {
            Some(fails) if fails <= retries && fails < way.due.len() => Ok(()),
            Some(_) | None => wrong("it was handled, although no attempt has succeeded"),
        }
    }
}

impl Way {
    /// The attempt that leads to that place, the first one being 0.
    fn leads_to(&self, place: Place, retries: usize) -> Result<usize, String> {
        let all = self.fails.is_none_or(|fails| fails > retries);
        match (place, self.fails) {
            (Place::Input, _) => Ok(0),
            (Place::Retry(number), Some(fails)) if number <= fails => Ok(number - 1),
            (Place::Retry(number), _) => {
                Err(format!("attempt {} succeeds, or nothing helps, and it goes round", number - 1))
            }
            (Place::Output, Some(fails)) if !all && self.is_handled => Ok(fails),
            (Place::Output, Some(_)) if !all => {
                Err("it was passed on before it was handled".into())
            }
            (Place::Output, _) => Err("it is passed on, although all attempts fail".into()),
            (Place::DeadLetters, Some(_)) if all => Ok(retries),
            (Place::DeadLetters, None) => Ok(0),
            (Place::DeadLetters, Some(fails)) => {
                Err(format!("it was given up, although attempt {fails} succeeds"))
            }
        }
    }
}

/// The number of the attempt that a record waits for.
fn header(record: &Record) -> Option<usize> {
    let (_, value) = record.headers.iter().find(|(key, _)| **key == *ATTEMPT.as_bytes())?;
    std::str::from_utf8(value.as_ref()?).ok()?.parse().ok()
}

impl Invariant for EachEndsOnce {
    fn name(&self) -> &str {
        "EachEndsOnce"
    }

    fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
        let Visible { topic, partition, record, .. } = visible;
        let Some(place) = self.place(topic) else { return Ok(()) };
        let digest = Content::of(visible).digest();
        // What is malformed has no name.
        let (id, fails) = match self.asked.format.decode(record.value.as_ref()) {
            Ok(message) => (message.id, usize::try_from(message.fails).ok()),
            Err(_) => (format!("without a name {digest:016x}"), None),
        };
        if place == Place::Input {
            self.came_in(id, fails, digest);
            return Ok(());
        }
        self.judged += 1;
        let result = self.seen(&id, place, digest, record);
        let offset = record.offset;
        result.map_err(|what| format!("message {id} at {topic}-{partition} {offset}: {what}"))
    }

    fn noted(&mut self, event: &Event, _: Instant) -> Result<(), String> {
        let Event::Application(note) = event else { return Ok(()) };
        let ApplicationNote::Applied(applied) = &**note else { return Ok(()) };
        self.handled(applied)
    }

    fn ended(&mut self) -> Result<(), String> {
        if self.asked.delivery == Delivery::AtMostOnce {
            return Ok(());
        }
        self.judged += u64::try_from(self.messages.len()).expect("a length fits u64");
        let Asked { output, dead_letters, .. } = &self.asked;
        match self.messages.iter().find(|(_, way)| way.ends == 0) {
            Some((id, Way { is_handled: true, .. })) => {
                Err(format!("message {id} was handled, and is not in {output}"))
            }
            Some((id, _)) => {
                Err(format!("message {id} is neither in {output} nor in {dead_letters}"))
            }
            None => Ok(()),
        }
    }

    fn judged(&self) -> Option<u64> {
        Some(self.judged)
    }

    fn clone_box(&self) -> Box<dyn Invariant> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use seedlog::ids::Offset;

    use super::*;

    /// A history: where a message is seen (or `store`), its number of fails, the time.
    type Seen = (&'static str, u32, i64);

    fn asked(delivery: Delivery) -> Asked {
        let wait =
            |number: u32, wait| (format!("in-retry-{number}").into(), Duration::from_millis(wait));
        Asked {
            input: "in".into(),
            output: "out".into(),
            dead_letters: "in-dlt".into(),
            retries: [wait(1, 100), wait(2, 200), wait(3, 400)].into(),
            format: Format::json(),
            delivery,
        }
    }

    fn told(delivery: Delivery, history: &[Seen], body: &str) -> Result<(), String> {
        let mut claim = EachEndsOnce::new(asked(delivery));
        for (offset, (place, fails, time)) in (0..).zip(history) {
            if *place == "store" {
                let (id, by) = ("m".into(), "x1".into());
                let note = AppliedNote { id, by, overwrites: false, changes: [].into() };
                let note = Event::Application(Arc::new(ApplicationNote::Applied(note)));
                claim.noted(&note, Instant::ZERO)?;
                continue;
            }
            let body = if *place == "in" { "hello" } else { body };
            let message = Message { id: "m".into(), body: body.into(), fails: *fails };
            let retry = place.strip_prefix("in-retry-");
            let attempt = |number: &str| {
                let number = number.trim_end_matches('!').to_string();
                (ATTEMPT.into(), Some(Bytes::from(number)))
            };
            let record = Record {
                offset: Offset(offset),
                timestamp: Timestamp(*time),
                key: Some(Bytes::from_static(b"k")),
                value: Some(Format::json().encode(&message)),
                headers: retry.into_iter().map(attempt).collect(),
            };
            let topic = TopicName::from(*place);
            let at = Instant::ZERO;
            claim.visible(&Visible { topic: &topic, partition: 0, record: &record, at })?;
        }
        let came_in = history.iter().filter(|(place, _, _)| *place == "in").count();
        let all = history.len() - came_in;
        assert_eq!(claim.judged, u64::try_from(all).unwrap(), "what comes in is no claim");
        claim.ended()
    }

    const HANDLED: &[Seen] = &[
        ("in", 2, 1_000),
        ("in-retry-1", 2, 1_010),
        ("in-retry-2", 2, 1_110),
        ("store", 2, 1_310),
        ("out", 2, 1_310),
    ];
    const DEAD: &[Seen] = &[
        ("in", 4, 1_000),
        ("in-retry-1", 4, 1_000),
        ("in-retry-2", 4, 1_100),
        ("in-retry-3", 4, 1_300),
        ("in-dlt", 4, 1_700),
    ];

    #[test]
    fn a_message_that_goes_its_way_is_fine() {
        for delivery in [Delivery::AtMostOnce, Delivery::AtLeastOnce, Delivery::ExactlyOnce] {
            assert_eq!(told(delivery, HANDLED, "hello"), Ok(()));
            assert_eq!(told(delivery, DEAD, "hello"), Ok(()));
        }
        let twice: Vec<Seen> = HANDLED.iter().chain(&HANDLED[4..]).copied().collect();
        assert_eq!(told(Delivery::AtLeastOnce, &twice, "hello"), Ok(()));
        assert_eq!(told(Delivery::AtMostOnce, &HANDLED[..2], "hello"), Ok(()), "it may be lost");
    }

    /// A history without what stands at that place, or with something else there.
    fn changed(history: &[Seen], at: usize, by: Option<Seen>) -> Vec<Seen> {
        let mut history = history.to_vec();
        history.splice(at..=at, by);
        history
    }

    #[test]
    fn every_way_to_break_it_is_told() {
        let table: &[(Vec<Seen>, &str)] = &[
            // No pause, or a short one.
            (changed(HANDLED, 2, Some(("in-retry-2", 2, 1_109))), "came 1 ms too early"),
            (changed(DEAD, 4, Some(("in-dlt", 4, 1_699))), "came 1 ms too early"),
            // Given up too soon, too late, or although it was handled.
            ([&HANDLED[..2], &[("in-dlt", 2, 9_000)]].concat(), "although attempt 2 succeeds"),
            ([HANDLED, &[("in-dlt", 2, 9_000)]].concat(), "although attempt 2 succeeds"),
            ([&DEAD[..1], &DEAD[4..]].concat(), "it never waited for attempt 3"),
            // Out of order.
            (changed(HANDLED, 1, None), "it never waited for attempt 1"),
            (changed(DEAD, 2, None), "it never waited for attempt 2"),
            ([&HANDLED[..3], &[("in-retry-3", 2, 9_000)]].concat(), "attempt 2 succeeds"),
            // Handled by nobody, twice, or although every attempt fails.
            (changed(HANDLED, 3, None), "passed on before it was handled"),
            ([HANDLED, &[("store", 2, 0)]].concat(), "it was handled twice"),
            ([&DEAD[..4], &[("store", 4, 0)]].concat(), "although no attempt has succeeded"),
            ([&HANDLED[..1], &[("store", 2, 0)]].concat(), "although no attempt has succeeded"),
            ([&DEAD[..4], &[("out", 4, 9_000)]].concat(), "although all attempts fail"),
            // Lost.
            (HANDLED[..4].to_vec(), "message m was handled, and is not in out"),
            (HANDLED[..2].to_vec(), "message m is neither in out nor in in-dlt"),
            (DEAD[..4].to_vec(), "message m is neither in out nor in in-dlt"),
            (HANDLED[1..].to_vec(), "it never came in"),
        ];
        for (history, expected) in table {
            let found = told(Delivery::AtLeastOnce, history, "hello").expect_err(expected);
            assert!(found.contains(expected), "{found}: {expected}");
        }
        let other = told(Delivery::AtLeastOnce, HANDLED, "good bye").expect_err("another body");
        assert!(other.contains("it says something else"), "{other}");
        for delivery in [Delivery::AtMostOnce, Delivery::ExactlyOnce] {
            for history in [HANDLED, DEAD] {
                let twice = [history, &history[history.len() - 1..]].concat();
                let found = told(delivery, &twice, "hello").expect_err("it ends twice");
                assert!(found.contains("it came in 1 times, and is here 2 times"), "{found}");
            }
        }
    }
}
