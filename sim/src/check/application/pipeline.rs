//! What an application makes of its input: A1, A2, A3.
//!
//! Members of a group that only read make nothing: of them A1 alone can be judged, by what they say
//! that they have worked on.
//!
//! Every record of a pipeline's output carries, first in its value, the identity of the input
//! record that it was made of.

use std::hash::BuildHasher;
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use seedlog::ids::{Offset, ProducerId, TopicName};
use seedlog::op::ConsumedRecord;

use super::super::group::Groups;
use super::super::payload::RecordId;
use super::super::tally::{Check, Tally};
use super::Visible;

/// Input records remembered with what was made of them, oldest forgotten first.
const REMEMBERED: usize = 1 << 16;

/// How often an application delivers what it makes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    AtMostOnce,
    AtLeastOnce,
    ExactlyOnce,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Content {
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
}

impl Content {
    #[must_use]
    pub fn of(visible: &Visible<'_>) -> Self {
        let record = visible.record;
        Content { key: record.key.clone(), value: record.value.clone() }
    }

    /// Stands for the content where a run would have to remember too much.
    #[must_use]
    pub fn digest(&self) -> u64 {
        FxBuildHasher.hash_one(self)
    }
}

/// What an application makes of a record.
pub type Function = fn(Content) -> Content;

/// An application that makes one output record of each input record.
#[derive(Clone, Debug)]
pub struct Pipeline {
    pub input: TopicName,
    /// Empty, as no topic's name is: its members only read.
    pub output: TopicName,
    /// The group whose offsets say how far the input was read.
    pub group: Arc<str>,
    pub promise: Promise,
    /// Whether outputs of one key keep the order of their inputs; at most once, those of one
    /// process: a member that stood still may send what it committed after its successor's.
    pub ordered: bool,
    /// None: it is not known what outputs say, beside their identities.
    pub function: Option<Function>,
}

/// Where a record is: partition and offset.
type At = (i32, Offset);

/// One pipeline, and what is seen of it.
#[derive(Clone, Debug)]
struct Watched {
    pipeline: Pipeline,
    records: IndexMap<RecordId, Seen, FxBuildHasher>,
    /// Per key, and at most once per producer, the input place of the output that came last.
    order: IndexMap<(Bytes, Option<ProducerId>), (At, RecordId), FxBuildHasher>,
    /// Whether all input records are remembered.
    is_whole: bool,
}

/// An input record, and what was made of it.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    input: Option<At>,
    output: Option<At>,
    /// What the function makes of it.
    expected: Option<u64>,
}

impl Seen {
    fn came_in(&self) -> bool {
        self.input.is_some()
    }
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Pipelines(Vec<Watched>);

impl Pipelines {
    #[must_use]
    pub fn new(pipelines: &[Pipeline]) -> Self {
        let watched = |pipeline: &Pipeline| Watched {
            pipeline: pipeline.clone(),
            records: IndexMap::default(),
            order: IndexMap::default(),
            is_whole: true,
        };
        Pipelines(pipelines.iter().map(watched).collect())
    }

    pub fn watches(&self, topic: &TopicName) -> bool {
        self.0.iter().any(|each| each.pipeline.input == *topic || each.pipeline.output == *topic)
    }

    /// Whether a topic's records carry the identities of others.
    pub fn derives(&self, topic: &TopicName) -> bool {
        self.0.iter().any(|each| each.pipeline.output == *topic)
    }

    /// `by`: whose batch it is in.
    pub fn visible(&mut self, visible: &Visible<'_>, by: ProducerId, tally: &mut Tally) {
        let Some(id) = visible.record.value.as_ref().and_then(|value| RecordId::of(value)) else {
            return;
        };
        let at = (visible.partition, visible.record.offset);
        for watched in &mut self.0 {
            if watched.pipeline.input == *visible.topic {
                let made = watched.pipeline.function.map(|make| make(Content::of(visible)));
                let seen = watched.seen(id);
                seen.input = Some(at);
                seen.expected = made.map(|content| content.digest());
            }
            if watched.pipeline.output == *visible.topic {
                watched.made((id, by), at, &Content::of(visible), tally);
            }
        }
    }

    /// A member of a group has worked on these records.
    pub fn worked(&mut self, group: &str, records: &[ConsumedRecord]) {
        let reads =
            |each: &&mut Watched| each.pipeline.output.is_empty() && *each.pipeline.group == *group;
        for watched in self.0.iter_mut().filter(reads) {
            let input = watched.pipeline.input.clone();
            for record in records.iter().filter(|record| record.topic == input) {
                let Some(id) = record.value.as_ref().and_then(|value| RecordId::of(value)) else {
                    continue;
                };
                watched.seen(id).output = Some((record.partition, record.offset));
            }
        }
    }

    /// `start`: where a partition begins; what was deleted is not judged.
    pub fn ended(
        &self,
        groups: &Groups,
        start: impl Fn(&TopicName, i32) -> Offset,
        tally: &mut Tally,
    ) {
        for watched in &self.0 {
            watched.ended(groups, &start, tally);
        }
        self.made_of_nothing(tally);
    }

    /// A2. Nothing is delivered exactly once that never came in, by any of the inputs of an output.
    fn made_of_nothing(&self, tally: &mut Tally) {
        let exact = |each: &&Watched| each.pipeline.promise == Promise::ExactlyOnce;
        for watched in self.0.iter().filter(exact) {
            let output = &watched.pipeline.output;
            let same = || self.0.iter().filter(|each| each.pipeline.output == *output);
            if !same().all(|each| each.is_whole) {
                continue;
            }
            let came_in =
                |id: &RecordId| same().any(|each| each.records.get(id).is_some_and(Seen::came_in));
            for (id, seen) in watched.records.iter().filter(|(id, _)| !came_in(id)) {
                let Some((partition, offset)) = seen.output else { continue };
                tally.expect(Check::ExactlyOnce, false, || {
                    format!(
                        "{output}-{partition} {offset} was made of record {id}, which never was"
                    )
                });
            }
        }
    }
}

impl Watched {
    fn seen(&mut self, id: RecordId) -> &mut Seen {
        if self.records.len() > 2 * REMEMBERED {
            self.records.drain(..REMEMBERED);
            self.is_whole = false;
        }
        self.records.entry(id).or_default()
    }

    /// A2. Each input is delivered as often as is promised, and as what the function makes of it.
    fn made(
        &mut self,
        (id, by): (RecordId, ProducerId),
        at: At,
        content: &Content,
        tally: &mut Tally,
    ) {
        let Pipeline { input, output, promise, ordered, .. } = self.pipeline.clone();
        let seen = self.seen(id);
        let before = seen.output.replace(at);
        let Seen { input: from, expected, .. } = *seen;
        let once = promise != Promise::AtLeastOnce;
        let is_repeated = once && before.is_some();
        let is_other = expected.is_some_and(|expected| expected != content.digest());
        if once || expected.is_some() {
            tally.expect(Check::ExactlyOnce, !is_repeated && !is_other, || {
                if let Some((partition, offset)) = before.filter(|_| once) {
                    return format!(
                        "record {id} of {input} was delivered twice: at {output}-{partition} \
                         {offset} and at {output}-{} {}",
                        at.0, at.1
                    );
                }
                let Content { key, value } = content;
                format!(
                    "what was made of record {id} of {input}, at {output}-{} {}, is not what is \
                     to be made of it: key {key:?}, value {value:?}",
                    at.0, at.1
                )
            });
        }
        if let (true, None, Some(key), Some(from)) = (ordered, before, &content.key, from) {
            let by = (promise == Promise::AtMostOnce).then_some(by);
            self.check_order(id, (key.clone(), by), from, tally);
        }
    }

    /// A3. First deliveries of a key come in the order of its input partition.
    fn check_order(
        &mut self,
        id: RecordId,
        line: (Bytes, Option<ProducerId>),
        from: At,
        tally: &mut Tally,
    ) {
        let (last, before) = *self.order.entry(line.clone()).or_insert((from, id));
        let same = last.0 == from.0;
        tally.expect(Check::PerKeyOrder, !same || from.1 >= last.1, || {
            format!(
                "what was made of record {id} ({}-{} {}) comes after what was made of record \
                 {before} (offset {}) of the same key",
                self.pipeline.input, from.0, from.1, last.1
            )
        });
        self.order.insert(line, (from, id));
    }

    fn ended(&self, groups: &Groups, start: impl Fn(&TopicName, i32) -> Offset, tally: &mut Tally) {
        let Pipeline { input, output, group, promise, .. } = &self.pipeline;
        if *promise == Promise::AtMostOnce {
            return;
        }
        for (id, seen) in &self.records {
            let Some((partition, offset)) = seen.input else { continue };
            let committed = groups.committed(group, &(input.clone(), partition));
            let is_open = committed.is_none_or(|committed| offset >= committed);
            if is_open || offset < start(input, partition) {
                continue;
            }
            tally.expect(Check::AtLeastOnce, seen.output.is_some(), || {
                format!(
                    "record {id} at {input}-{partition} {offset} is done, as group {group:?} has \
                     committed {}, but {}",
                    committed.unwrap_or_default(),
                    match &**output {
                        "" => "nobody has worked on it".to_owned(),
                        output => format!("nothing of it is in {output}"),
                    }
                )
            });
        }
    }
}
