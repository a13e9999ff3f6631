//! Applications: what they make of their input (A1-A3), and what users claim of their own.

mod duty;
mod fold;
mod invariant;
mod pipeline;
mod posted;
#[cfg(test)]
pub mod testing;
mod values;

use seedlog::event::{ApplicationNote, Event};
use seedlog::ids::{Offset, PartitionId, TopicName};
use seedlog::machine::Effect;
use seedlog::op::ConsumedRecord;
use seedlog::record::{BatchHeader, Record, records};
use seedlog::time::Instant;

use super::Checkers;
use super::ghost::GhostBatch;
use super::transaction::Fate;
use duty::Duties;
pub use duty::{Duty, Makes};
pub use fold::DeterministicFold;
pub use invariant::{Invariant, Invariants};
use pipeline::Pipelines;
pub use pipeline::{Content, Function, Pipeline, Promise};
pub use posted::{Posted, Reader};
pub(crate) use posted::{claim, identity};
pub use values::Values;

/// A record that readers of committed data get.
#[derive(Clone, Copy, Debug)]
pub struct Visible<'a> {
    pub topic: &'a TopicName,
    pub partition: i32,
    pub record: &'a Record,
    /// Since when, in simulated time.
    pub at: Instant,
}

/// Everything the oracle knows of applications.
#[derive(Clone, Debug, Default)]
pub struct Applications {
    pub pipelines: Pipelines,
    pub duties: Duties,
    pub invariants: Invariants,
    /// The record that was looked at when the first promise was broken.
    subject: Option<Record>,
    /// Whether anything has become visible since the last cut.
    is_new: bool,
}

impl Applications {
    #[must_use]
    pub fn new(pipelines: &[Pipeline], duties: &[Duty]) -> Self {
        Applications {
            pipelines: Pipelines::new(pipelines),
            duties: Duties::new(duties),
            ..Applications::default()
        }
    }

    /// Whether a topic's records carry the identities of others.
    #[must_use]
    pub fn derives(&self, topic: &TopicName) -> bool {
        self.pipelines.derives(topic) || self.duties.derives(topic)
    }

    /// Whether somebody looks where no transaction is visible in part.
    #[must_use]
    pub fn watches_cuts(&self) -> bool {
        !self.invariants.is_empty()
    }

    /// Whether the records of a topic are looked at.
    fn watches(&self, topic: &TopicName) -> bool {
        let owes = self.duties.watches(topic);
        owes || !self.invariants.is_empty() || self.pipelines.watches(topic)
    }
}

impl Checkers {
    /// Adds an invariant of the user's own.
    pub fn watch(&mut self, invariant: Box<dyn Invariant>) {
        self.applications.invariants.add(invariant);
    }

    /// A client, an application among them, had that effect. `reader`: the consumer that it is.
    pub fn client_effect(&mut self, reader: Option<u32>, effect: &Effect) {
        let Effect::Note(event) = effect else { return };
        if let (Some(reader), Event::Reset(note)) = (reader, event) {
            self.reset(reader, note);
        }
        let restored = |note: &ApplicationNote| matches!(note, ApplicationNote::Restored(_));
        // What was lost beyond what must survive is restored by nobody.
        if matches!(event, Event::Application(note) if restored(note))
            && self.partitions.values().any(|ghost| ghost.excused)
        {
            return;
        }
        if self.applications.duties.heeds(event)
            && !self.partitions.values().any(|ghost| ghost.excused)
        {
            self.applications.duties.noted(event, &mut self.tally);
        }
        self.applications.invariants.noted(event, &mut self.tally);
    }

    /// A member of a group has worked on these records.
    pub fn worked(&mut self, group: &str, records: &[ConsumedRecord]) {
        self.applications.pipelines.worked(group, records);
    }

    /// The record that readers of committed data had just got when the first promise was broken.
    #[must_use]
    pub fn subject(&self) -> Option<&Record> {
        self.applications.subject.as_ref()
    }

    /// More of a partition is committed: shows what has become visible by it, in the order of
    /// offsets.
    pub(super) fn show(&mut self, id: PartitionId) {
        let Checkers { applications, transactions, partitions, image, tally, .. } = self;
        let Some(topic) = image.topics.get(&id.topic).map(|topic| &topic.name) else { return };
        if !applications.watches(topic) {
            return;
        }
        let Some(log) = partitions.get(&id).map(|ghost| &ghost.committed) else { return };
        let is_lost = partitions.values().any(|ghost| ghost.excused);
        applications.invariants.lost(is_lost);
        let stable: Offset = transactions.first_open(id).unwrap_or_else(|| log.end());
        let shown = transactions.shown(id);
        let mut is_new = false;
        for batch in log.holding(shown).take_while(|batch| batch.base < stable) {
            let Ok(header) = BatchHeader::parse(&batch.bytes) else { continue };
            if header.is_control() || transactions.fate(id, batch) != Fate::Visible {
                continue;
            }
            for record in &records(&batch.bytes).unwrap_or_default() {
                is_new = true;
                let (partition, at) = (id.partition, tally.now());
                let visible = Visible { topic, partition, record, at };
                applications.pipelines.visible(&visible, header.producer_id, tally);
                if !is_lost {
                    applications.duties.visible(&visible, tally);
                }
                applications.invariants.visible(&visible, tally);
                if applications.subject.is_none() && !tally.violations().is_empty() {
                    applications.subject = Some(record.clone());
                }
            }
        }
        transactions.set_shown(id, stable);
        applications.is_new |= is_new;
        if applications.is_new && transactions.is_whole() && !is_lost {
            applications.is_new = false;
            applications.invariants.cut(tally);
        }
    }

    /// The last record of a partition that readers of committed data get.
    #[must_use]
    pub fn last_visible(&self, id: PartitionId) -> Option<Offset> {
        let log = &self.partitions.get(&id)?.committed;
        let is_data = |batch: &&GhostBatch| {
            let control = BatchHeader::parse(&batch.bytes).is_ok_and(|header| header.is_control());
            !control && self.transactions.fate(id, batch) == Fate::Visible
        };
        log.latest().find(is_data).map(|batch| batch.last)
    }

    /// The run is over.
    pub(super) fn applications_ended(&mut self) {
        let Checkers { applications, groups, partitions, image, tally, .. } = self;
        if partitions.values().any(|ghost| ghost.excused) {
            return;
        }
        let start = |topic: &TopicName, partition: i32| {
            let id = image.names.get(topic).map(|topic| PartitionId { topic: *topic, partition });
            let ghost = id.and_then(|id| partitions.get(&id));
            ghost.map_or(Offset::ZERO, |ghost| ghost.committed.start())
        };
        applications.pipelines.ended(groups, start, tally);
        applications.duties.ended(groups, start, tally);
        applications.invariants.ended(tally);
    }
}
