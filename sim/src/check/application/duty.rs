//! What a processor of a user's owes of each record that comes in: A1, A2.
//!
//! Nobody but its user knows what it makes of a record. A [`Duty`] without that knowledge says only
//! that what the group is done with was processed; with it, that what is due has been made. Records
//! are known by their places, and what is made of them by what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use seedlog::event::{ApplicationNote, Event, WorkedNote};
use seedlog::ids::{Offset, TopicName};
use seedlog::op::{ConsumedRecord, SendRecord};

use super::super::group::Groups;
use super::super::tally::{Check, Tally};
use super::{Promise, Visible};
use crate::app::named;

type Make = dyn Fn(&ConsumedRecord) -> Vec<SendRecord> + Send + Sync;

/// What is due of a record: key, value and topic of each output, where no topic stands for the
/// first of the application's outputs.
#[derive(Clone)]
pub struct Makes(Arc<Make>);

impl Makes {
    #[must_use]
    pub fn new(make: impl Fn(&ConsumedRecord) -> Vec<SendRecord> + Send + Sync + 'static) -> Self {
        Makes(Arc::new(make))
    }
}

impl fmt::Debug for Makes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Makes")
    }
}

/// What an application owes.
#[derive(Clone, Debug)]
pub struct Duty {
    pub inputs: Vec<TopicName>,
    /// Nobody else writes them, if what is due is known.
    pub outputs: Vec<TopicName>,
    /// What else it may write: its state.
    pub others: Vec<TopicName>,
    /// The group whose offsets say what is done.
    pub group: Arc<str>,
    pub promise: Promise,
    /// None: what is due is not known.
    pub makes: Option<Makes>,
}

/// Where a record lies.
type Place = (TopicName, i32, Offset);

fn at((topic, partition, offset): &Place) -> String {
    format!("{topic}-{partition} offset {offset}")
}

/// An output, by what it says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Output {
    topic: TopicName,
    key: Option<Bytes>,
    value: Option<Bytes>,
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Output { topic, key, value } = self;
        let told = |bytes: &Option<Bytes>| match bytes {
            Some(bytes) => format!("{bytes:?}"),
            None => "none".into(),
        };
        write!(f, "key {}, value {} in {topic}", told(key), told(value))
    }
}

/// How often an output is due, and how often it was made.
#[derive(Clone, Debug, Default)]
struct Count {
    due: u64,
    made: u64,
    /// The input that it was due of last.
    input: Option<Place>,
    /// Where it was made last.
    output: Option<Place>,
}

/// One application, and what is seen of it.
#[derive(Clone, Debug)]
struct Watched {
    duty: Duty,
    /// Each input with what is due of it, by its number among the outputs.
    inputs: BTreeMap<Place, Vec<usize>>,
    processed: BTreeSet<Place>,
    outputs: IndexMap<Output, Count, FxBuildHasher>,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Duties(Vec<Watched>);

impl Duties {
    #[must_use]
    pub fn new(duties: &[Duty]) -> Self {
        let watched = |duty: &Duty| Watched {
            duty: duty.clone(),
            inputs: BTreeMap::new(),
            processed: BTreeSet::new(),
            outputs: IndexMap::default(),
        };
        Duties(duties.iter().map(watched).collect())
    }

    pub fn watches(&self, topic: &TopicName) -> bool {
        self.0.iter().any(|each| {
            let makes = each.duty.makes.is_some() && each.duty.outputs.contains(topic);
            makes || each.duty.inputs.contains(topic)
        })
    }

    /// Whether a topic's records may carry the identities of others.
    pub fn derives(&self, topic: &TopicName) -> bool {
        self.0.iter().any(|each| each.duty.outputs.contains(topic))
    }

    /// Whether it is told of what applications note.
    #[must_use]
    pub fn heeds(&self, event: &Event) -> bool {
        let Event::Application(note) = event else { return false };
        let is_heeded =
            matches!(**note, ApplicationNote::Processed { .. } | ApplicationNote::Worked(_));
        !self.0.is_empty() && is_heeded
    }

    pub fn visible(&mut self, visible: &Visible<'_>, tally: &mut Tally) {
        for watched in &mut self.0 {
            if watched.duty.inputs.contains(visible.topic) {
                watched.came_in(visible);
            } else if watched.duty.makes.is_some() && watched.duty.outputs.contains(visible.topic) {
                watched.made(visible, tally);
            }
        }
    }

    /// An application has noted something.
    pub fn noted(&mut self, event: &Event, tally: &mut Tally) {
        let Event::Application(note) = event else { return };
        if let ApplicationNote::Worked(note) = &**note {
            for watched in self.0.iter().filter(|each| each.duty.group == note.group) {
                watched.worked(note, tally);
            }
        }
        let ApplicationNote::Processed { group, topic, partition, offset } = &**note else {
            return;
        };
        for watched in self.0.iter_mut().filter(|each| each.duty.group == *group) {
            watched.processed((topic.clone(), *partition, *offset), tally);
        }
    }

    /// `start`: where a partition begins; what was deleted is not judged.
    pub fn ended(
        &self,
        groups: &Groups,
        start: impl Fn(&TopicName, i32) -> Offset,
        tally: &mut Tally,
    ) {
        for watched in self.0.iter().filter(|each| each.duty.promise != Promise::AtMostOnce) {
            watched.ended(groups, &start, tally);
        }
    }
}

fn place(visible: &Visible<'_>) -> Place {
    (visible.topic.clone(), visible.partition, visible.record.offset)
}

impl Watched {
    fn came_in(&mut self, visible: &Visible<'_>) {
        let record = visible.record;
        let input = place(visible);
        let due = self.duty.makes.as_ref().map_or_else(Vec::new, |makes| {
            let headers = record
                .headers
                .iter()
                .map(|(key, value)| (Arc::from(&*String::from_utf8_lossy(key)), value.clone()));
            let consumed = ConsumedRecord {
                topic: visible.topic.clone(),
                partition: visible.partition,
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key.clone(),
                value: record.value.clone(),
                headers: headers.collect(),
            };
            named(|| format!("the promise of {}", at(&input)), || (makes.0)(&consumed))
        });
        let mut numbers = Vec::new();
        for SendRecord { topic, key, value, .. } in due {
            let topic = match self.duty.outputs.first() {
                Some(first) if topic.is_empty() => first.clone(),
                Some(_) | None => topic,
            };
            let entry = self.outputs.entry(Output { topic, key, value });
            numbers.push(entry.index());
            let count = entry.or_default();
            count.due += 1;
            count.input = Some(input.clone());
        }
        self.inputs.insert(input, numbers);
    }

    /// A2. Nothing is made but what is due, and no more often than promised.
    fn made(&mut self, visible: &Visible<'_>, tally: &mut Tally) {
        let Visible { topic, record, .. } = *visible;
        let (key, value) = (record.key.clone(), record.value.clone());
        let output = Output { topic: topic.clone(), key, value };
        let here = place(visible);
        let count = self.outputs.entry(output.clone()).or_default();
        count.made += 1;
        let before = count.output.replace(here.clone());
        let Count { due, made, input, .. } = &*count;
        let once = self.duty.promise != Promise::AtLeastOnce;
        let holds = *due > 0 && (*made <= *due || !once);
        tally.expect(Check::ExactlyOnce, holds, || match (input, before) {
            (Some(input), Some(before)) => format!(
                "{output} was made {made} times and is due {due} times: at {} and at {}, of {}",
                at(&before),
                at(&here),
                at(input)
            ),
            (Some(_), None) | (None, _) => {
                format!("{output} at {} is due of no record that came in", at(&here))
            }
        });
    }

    /// A2. Nothing is emitted to where nothing can be due.
    fn worked(&self, note: &WorkedNote, tally: &mut Tally) {
        let Duty { outputs, others, makes, .. } = &self.duty;
        // What comes again is done with then: what was emitted meanwhile goes nowhere.
        if makes.is_none() || note.again_after.is_some() || note.emitted.is_empty() {
            return;
        }
        let is_due = |topic: &TopicName| outputs.contains(topic) || others.contains(topic);
        let astray = note.emitted.iter().find(|emitted| !is_due(&emitted.topic));
        tally.expect(Check::ExactlyOnce, astray.is_none(), || {
            let SendRecord { topic, key, value, .. } = astray.expect("there is one").clone();
            let input = (note.topic.clone(), note.partition, note.offset);
            format!(
                "{} is due of no record: it was emitted for {}, and {topic:?} is no output of the \
                 application",
                Output { topic: topic.clone(), key, value },
                at(&input)
            )
        });
    }

    /// A2. At most once, nothing is processed twice.
    fn processed(&mut self, input: Place, tally: &mut Tally) {
        let again = self.processed.contains(&input);
        if self.duty.promise == Promise::AtMostOnce {
            let group = &self.duty.group;
            tally.expect(Check::ExactlyOnce, !again, || {
                format!("group {group:?} has processed {} twice", at(&input))
            });
        }
        self.processed.insert(input);
    }

    /// A1. What the group is done with was processed, and what is due of it was made.
    fn ended(&self, groups: &Groups, start: impl Fn(&TopicName, i32) -> Offset, tally: &mut Tally) {
        let mut wanted: BTreeMap<usize, u64> = BTreeMap::new();
        for (input, due) in &self.inputs {
            let (topic, partition, offset) = input;
            let committed = groups.committed(&self.duty.group, &(topic.clone(), *partition));
            let is_done = committed.is_some_and(|committed| *offset < committed);
            if !is_done || *offset < start(topic, *partition) {
                continue;
            }
            let done = || {
                let group = &self.duty.group;
                let committed = committed.unwrap_or_default();
                format!("{} is done, as group {group:?} has committed {committed}", at(input))
            };
            tally.expect(Check::AtLeastOnce, self.processed.contains(input), || {
                format!("{}, but nobody has processed it", done())
            });
            for number in due {
                let times = wanted.entry(*number).or_insert(0);
                *times += 1;
                let (output, count) = self.outputs.get_index(*number).expect("it was numbered");
                tally.expect(Check::AtLeastOnce, count.made >= *times, || match count.made {
                    0 => format!("{}, but what is due of it was not made: {output}", done()),
                    made => format!("{}, but {output} was made {made} times only", done()),
                });
            }
        }
    }
}
