//! How far applications have come, by what the coordinators of their groups have committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use seedlog::event::{ApplicationNote, AstrayNote, Counters, Event, OffsetNote};
use seedlog::ids::TopicName;
use seedlog::time::{Duration, Instant, millis};

use super::AppTable;

/// What applications have done.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The highest offset that a group has committed, by topic and partition.
    committed: BTreeMap<(Arc<str>, TopicName, i32), i64>,
    /// Which offsets a group has processed, by topic and partition.
    processed: BTreeMap<(Arc<str>, TopicName, i32), Vec<bool>>,
    /// How many were processed in each second, each counted once.
    seconds: Vec<u64>,
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
    /// The same over the twenty seconds of that phase in which the fewest were: a group may stand
    /// still for ten, if coordinators and members crash in turn, and then catches up.
    pub worst: u64,
}

/// Seconds in which the fewest records are looked for.
const WINDOW: usize = 20;

impl AppTally {
    /// The names that `require` and reports use.
    pub const NAMES: [&'static str; 14] = [
        "published",
        "received",
        "processed",
        "processed.rate",
        "processed.worst",
        "applied",
        "failed",
        "retries",
        "deadletters",
        "duplicates",
        "paused",
        "busiest",
        "malformed",
        "reprocessed",
    ];

    /// By the names above, in their order.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 14] {
        let AppTally { counters, applied, malformed, reprocessed, rate, worst } = *self;
        let counts = [
            counters.published,
            counters.received,
            counters.processed,
            rate,
            worst,
            applied,
            counters.failed,
            counters.retried,
            counters.dead_lettered,
            counters.duplicates,
            counters.paused,
            counters.busiest,
            malformed,
            reprocessed,
        ];
        std::array::from_fn(|index| (Self::NAMES[index], counts[index]))
    }
}

/// Whole seconds of a time.
fn second(time: Duration) -> usize {
    usize::try_from(time.as_secs()).expect("a run is short")
}

impl Progress {
    /// A process noted something, at that simulated time.
    pub fn noted(&mut self, event: &Event, at: Instant) {
        if let Event::OffsetCommitted(note) = event {
            self.committed(note);
        } else if let Event::Application(note) = event {
            self.done(note, at);
        }
    }

    fn committed(&mut self, note: &OffsetNote) {
        let key = (Arc::clone(&note.group), note.topic.clone(), note.partition);
        let highest = self.committed.entry(key).or_insert(-1);
        *highest = (*highest).max(note.offset.0);
    }

    fn done(&mut self, note: &ApplicationNote, at: Instant) {
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
                self.processed_at(at, u64::from(!again));
            }
            ApplicationNote::Applied(_) => self.tally.applied += 1,
            ApplicationNote::Malformed(_) => self.tally.malformed += 1,
            ApplicationNote::Astray(note) => {
                self.astray.get_or_insert_with(|| note.clone());
            }
            ApplicationNote::Counters { counters, .. } => self.tally.counters.add(counters),
            // Counted by whoever notes it.
            ApplicationNote::Restored(_)
            | ApplicationNote::Rebalanced { .. }
            | ApplicationNote::Unsent(_)
            | ApplicationNote::Worked(_)
            | ApplicationNote::Retried { .. }
            | ApplicationNote::DeadLettered { .. }
            | ApplicationNote::Duplicate { .. } => {}
        }
    }

    fn processed_at(&mut self, at: Instant, count: u64) {
        let second = second(at.since(Instant::ZERO));
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, 0);
        }
        self.seconds[second] += count;
    }

    /// So long it took until now to process what is processed.
    pub fn took(&mut self, time: Duration, now: Instant) {
        let until = second(now.since(Instant::ZERO));
        self.seconds.resize(until, 0);
        let windows = self.seconds[until.saturating_sub(second(time))..].windows(WINDOW);
        let fewest = windows.map(|window| window.iter().sum::<u64>()).min().unwrap_or(0);
        self.tally.worst = fewest / u64::try_from(WINDOW).expect("it is small");
        let millis = u64::try_from(millis(time)).unwrap_or(0);
        let processed = self.tally.counters.processed.saturating_sub(self.tally.reprocessed);
        self.tally.rate = (processed * 1_000).checked_div(millis).unwrap_or(0);
    }

    /// Whether an application has processed anything at all, or is done with it.
    #[must_use]
    pub fn has_worked(&self, app: &AppTable) -> bool {
        let is_its = |(group, topic, _): &(Arc<str>, TopicName, i32)| {
            *group == app.group && app.input.contains(topic)
        };
        let mut done = self.committed.iter().filter(|(_, offset)| **offset > 0);
        self.processed.keys().any(is_its) || done.any(|(place, _)| is_its(place))
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
                "group {} of the {} has come to {topic}-{partition} offset {committed} and no \
                 further: up to offset {highest} all was acknowledged",
                app.group, app.name
            )
        })
    }
}
