//! What an application counts is what it notes, and it works on no more at once than it may.

use std::sync::Arc;

use seedlog::config::Delivery;
use seedlog::event::{ApplicationNote, Counters, Event};
use seedlog::time::Instant;

use super::AppTable;
use crate::check::{Invariant, Visible};

/// Each counter that has notes beside it says how many there were; nothing was processed that was
/// not received; and no process had more records in work than it has workers.
#[derive(Clone)]
pub struct Counted {
    group: Arc<str>,
    /// Records in work at once, at most.
    workers: u64,
    noted: Counters,
    counted: Counters,
    judged: u64,
}

impl Counted {
    #[must_use]
    pub fn new(table: &AppTable) -> Self {
        let config = &table.config;
        // A transaction is bounded by what it holds.
        let workers = match config.delivery {
            Delivery::AtMostOnce | Delivery::AtLeastOnce => config.workers,
            Delivery::ExactlyOnce => config.max_poll_records,
        };
        let workers = u64::try_from(workers).expect("a usize fits u64");
        let (noted, counted) = (Counters::default(), Counters::default());
        Counted { group: Arc::clone(&table.group), workers, noted, counted, judged: 0 }
    }

    /// Counters and notes, where both are.
    fn compared(&self) -> [(&'static str, u64, u64); 5] {
        let Counted { noted, counted, .. } = self;
        [
            ("processed", counted.processed, noted.processed),
            ("failed", counted.failed, noted.failed),
            ("retried", counted.retried, noted.retried),
            ("dead-lettered", counted.dead_lettered, noted.dead_lettered),
            ("duplicates", counted.duplicates, noted.duplicates),
        ]
    }

    fn judge(&mut self, more: &Counters) -> Result<(), String> {
        self.judged += 1;
        self.counted.add(more);
        let Counted { group, workers, .. } = &*self;
        if let Some((name, counted, noted)) =
            self.compared().into_iter().find(|(_, counted, noted)| counted != noted)
        {
            return Err(format!("group {group} has counted {counted} {name}, and noted {noted}"));
        }
        let Counters { received, processed, .. } = self.counted;
        if processed > received {
            return Err(format!("group {group} has processed {processed} and received {received}"));
        }
        if more.busiest > *workers {
            let busiest = more.busiest;
            return Err(format!("a process of group {group} has {busiest} in work, of {workers}"));
        }
        Ok(())
    }
}

impl Invariant for Counted {
    fn name(&self) -> &str {
        "Counted"
    }

    fn judged(&self) -> Option<u64> {
        Some(self.judged)
    }

    fn visible(&mut self, _: &Visible<'_>) -> Result<(), String> {
        Ok(())
    }

    fn noted(&mut self, event: &Event, _: Instant) -> Result<(), String> {
        let Event::Application(note) = event else { return Ok(()) };
        let mine = |group: &Arc<str>| u64::from(*group == self.group);
        match &**note {
            ApplicationNote::Processed { group, .. } => self.noted.processed += mine(group),
            ApplicationNote::Retried { group, .. } => {
                let mine = mine(group);
                self.noted.failed += mine;
                self.noted.retried += mine;
            }
            ApplicationNote::DeadLettered { group, .. } => {
                let mine = mine(group);
                self.noted.failed += mine;
                self.noted.dead_lettered += mine;
            }
            ApplicationNote::Duplicate { group, .. } => self.noted.duplicates += mine(group),
            // Noted last of all that a process does in one step.
            ApplicationNote::Counters { group, counters } if *group == self.group => {
                return self.judge(counters);
            }
            ApplicationNote::Counters { .. }
            | ApplicationNote::Applied(_)
            | ApplicationNote::Malformed(_)
            | ApplicationNote::Astray(_)
            | ApplicationNote::Restored(_)
            | ApplicationNote::Rebalanced { .. }
            | ApplicationNote::Unsent(_)
            | ApplicationNote::Worked(_) => {}
        }
        Ok(())
    }

    fn clone_box(&self) -> Box<dyn Invariant> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(counters: Counters) -> Result<(), String> {
        let (noted, counted) = (Counters::default(), Counters::default());
        let mut claim = Counted { group: "g".into(), workers: 2, noted, counted, judged: 0 };
        let mut notes = Vec::new();
        for group in ["g", "another"] {
            let (group, id) = (Arc::<str>::from(group), Arc::<str>::from("m"));
            let (topic, partition, offset) = ("t".into(), 0, seedlog::ids::Offset(0));
            notes.extend([
                ApplicationNote::Retried { group: group.clone(), id: id.clone(), attempt: 1 },
                ApplicationNote::DeadLettered { group: group.clone(), id: id.clone() },
                ApplicationNote::Duplicate { group: group.clone(), id },
                ApplicationNote::Processed { group, topic, partition, offset },
            ]);
        }
        notes.push(ApplicationNote::Counters { group: "another".into(), counters: WRONG });
        notes.push(ApplicationNote::Counters { group: "g".into(), counters });
        let mut told = Ok(());
        for note in notes {
            told = claim.noted(&Event::Application(Arc::new(note)), Instant::ZERO);
        }
        assert_eq!(claim.judged, 1);
        told
    }

    const RIGHT: Counters = Counters {
        published: 9,
        received: 1,
        processed: 1,
        failed: 2,
        retried: 1,
        dead_lettered: 1,
        duplicates: 1,
        paused: 0,
        busiest: 2,
    };
    const WRONG: Counters = Counters { failed: 9, ..RIGHT };

    #[test]
    fn counters_that_agree_with_what_was_noted_are_right_and_no_others() {
        assert_eq!(told(RIGHT), Ok(()));
        let table = [
            (WRONG, "group g has counted 9 failed, and noted 2"),
            (Counters { processed: 2, ..RIGHT }, "group g has counted 2 processed, and noted 1"),
            (Counters { retried: 0, ..RIGHT }, "group g has counted 0 retried, and noted 1"),
            (
                Counters { dead_lettered: 0, ..RIGHT },
                "group g has counted 0 dead-lettered, and noted 1",
            ),
            (Counters { duplicates: 2, ..RIGHT }, "group g has counted 2 duplicates, and noted 1"),
            (Counters { received: 0, ..RIGHT }, "group g has processed 1 and received 0"),
            (Counters { busiest: 3, ..RIGHT }, "a process of group g has 3 in work, of 2"),
        ];
        for (counters, expected) in table {
            assert_eq!(told(counters), Err(expected.into()));
        }
    }
}
