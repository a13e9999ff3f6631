//! How far applications have come, by what the coordinators of their groups have committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use seedlog::event::{ApplicationNote, AstrayNote, Counters, Event, OffsetNote};
use seedlog::ids::TopicName;
use seedlog::time::{Duration, millis};

use super::AppTable;

/// What applications have done.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The highest offset that a group has committed, by topic and partition.
    committed: BTreeMap<(Arc<str>, TopicName, i32), i64>,
    /// Which offsets a group has processed, by topic and partition.
    processed: BTreeMap<(Arc<str>, TopicName, i32), Vec<bool>>,
    pub tally: AppTally,
    /// The first record that was emitted to a topic that is not in the scenario.
    pub astray: Option<AstrayNote>,
}

/// How often applications did something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppTally {
    /// What they count themselves.
    pub counters: Counters,
    /// Changes of the external store.
    pub applied: u64,
    /// Attempts at records whose values could not be read.
    pub malformed: u64,
    /// Records that were processed once more.
    pub reprocessed: u64,
    /// Records processed in a second, of the phase with faults, each counted once.
    pub rate: u64,
}

impl AppTally {
    /// The names that `require` and reports use.
    pub const NAMES: [&'static str; 12] = [
        "published",
        "received",
        "processed",
        "processed.rate",
        "applied",
        "failed",
        "retries",
        "deadletters",
        "duplicates",
        "paused",
        "malformed",
        "reprocessed",
    ];

    /// By the names above, in their order.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 12] {
        let AppTally { counters, applied, malformed, reprocessed, rate } = *self;
        let counts = [
            counters.published,
            counters.received,
            counters.processed,
            rate,
            applied,
            counters.failed,
            counters.retried,
            counters.dead_lettered,
            counters.duplicates,
            counters.paused,
            malformed,
            reprocessed,
        ];
        std::array::from_fn(|index| (Self::NAMES[index], counts[index]))
    }
}

impl Progress {
    /// A process noted something.
    pub fn noted(&mut self, event: &Event) {
        if let Event::OffsetCommitted(note) = event {
            self.committed(note);
        } else if let Event::Application(note) = event {
            self.done(note);
        }
    }

    fn committed(&mut self, note: &OffsetNote) {
        let key = (Arc::clone(&note.group), note.topic.clone(), note.partition);
        let highest = self.committed.entry(key).or_insert(-1);
        *highest = (*highest).max(note.offset.0);
    }

    fn done(&mut self, note: &ApplicationNote) {
        match note {
            ApplicationNote::Processed { group, topic, partition, offset } => {
                let key = (Arc::clone(group), topic.clone(), *partition);
                let before = self.processed.entry(key).or_default();
                let offset = usize::try_from(offset.0).expect("records have offsets");
                if before.len() <= offset {
                    before.resize(offset + 1, false);
                }
                let again = std::mem::replace(&mut before[offset], true);
                self.tally.reprocessed += u64::from(again);
            }
            ApplicationNote::Applied(_) => self.tally.applied += 1,
            ApplicationNote::Malformed(_) => self.tally.malformed += 1,
            ApplicationNote::Astray(note) => {
                self.astray.get_or_insert_with(|| note.clone());
            }
            ApplicationNote::Counters { counters, .. } => self.tally.counters.add(counters),
            // Counted by whoever notes it.
            ApplicationNote::Restored(_)
            | ApplicationNote::Retried { .. }
            | ApplicationNote::DeadLettered { .. }
            | ApplicationNote::Duplicate { .. } => {}
        }
    }

    /// So long it took to process what is processed by now.
    pub fn took(&mut self, time: Duration) {
        let millis = u64::try_from(millis(time)).unwrap_or(0);
        let processed = self.tally.counters.processed.saturating_sub(self.tally.reprocessed);
        self.tally.rate = (processed * 1_000).checked_div(millis).unwrap_or(0);
    }

    /// An input of an application that it has not done with, although its highest acknowledged
    /// offset is `highest`.
    #[must_use]
    pub fn unprocessed(
        &self,
        app: &AppTable,
        topic: &TopicName,
        partition: i32,
        highest: i64,
    ) -> Option<String> {
        let key = (Arc::clone(&app.group), topic.clone(), partition);
        let committed = self.committed.get(&key).copied().unwrap_or(0);
        (app.input.contains(topic) && committed <= highest).then(|| {
            format!(
                "group {} of the {} has committed offset {committed} of {topic}-{partition}, \
                 offset {highest} was acknowledged",
                app.group, app.name
            )
        })
    }
}
