//! How much a run remembers, in things that can be counted: the same on every machine.

use seedlog::ids::Offset;

use crate::run::Run;

/// What a run holds at one moment, or the most that it held of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Batches of the metadata log in the memory of controllers and brokers.
    pub metadata_batches: usize,
    /// Batches on the disks, in page caches too.
    pub stored_batches: usize,
    /// Batches that checkers keep.
    pub ghost_batches: usize,
    /// Records that checkers can look up.
    pub known_records: usize,
    pub connections: usize,
    /// Things that wait to happen.
    pub pending: usize,
}

impl Footprint {
    #[must_use]
    pub fn of(run: &Run) -> Self {
        let world = &run.world;
        let metadata = world.processes().filter_map(|process| {
            let node = world.node(process)?;
            let controller = node.controller().map(seedlog::controller::Controller::raft);
            let raft = node.broker().map(seedlog::broker::Broker::raft).or(controller)?;
            Some(raft.entries(Offset::ZERO).count())
        });
        let stored = world.processes().map(|process| {
            let disk = world.disk(process);
            disk.logs().map(|(log, _)| disk.batches(log).count()).sum::<usize>()
        });
        let checkers = run.watch.checkers.as_ref();
        let (ghost_batches, known_records) = checkers.map_or((0, 0), |checkers| checkers.size());
        Footprint {
            metadata_batches: metadata.sum(),
            stored_batches: stored.sum(),
            ghost_batches,
            known_records,
            connections: world.connections(),
            pending: world.pending(),
        }
    }

    /// The larger of the two, count by count.
    #[must_use]
    pub fn max(self, other: Footprint) -> Self {
        Footprint {
            metadata_batches: self.metadata_batches.max(other.metadata_batches),
            stored_batches: self.stored_batches.max(other.stored_batches),
            ghost_batches: self.ghost_batches.max(other.ghost_batches),
            known_records: self.known_records.max(other.known_records),
            connections: self.connections.max(other.connections),
            pending: self.pending.max(other.pending),
        }
    }

    /// By name.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, usize); 6] {
        [
            ("metadata_batches", self.metadata_batches),
            ("stored_batches", self.stored_batches),
            ("ghost_batches", self.ghost_batches),
            ("known_records", self.known_records),
            ("connections", self.connections),
            ("pending", self.pending),
        ]
    }
}
