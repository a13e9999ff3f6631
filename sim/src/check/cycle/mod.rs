//! Transactions that depend on each other in a circle: G1c, precommitted-read.
//!
//! An operation is a committed transaction. It writes records, and it reads what is below the
//! offsets that it commits for a group and not below those committed before. The order in which
//! concurrent transactions write to a partition is nobody's promise (G0), so only reads count.

mod graph;
mod ledger;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use seedlog::ids::{Offset, PartitionId, ProducerId};

use super::tally::{Check, Tally};
use graph::{Dependency, Graph};
pub use ledger::LedgerCycles;

/// Operations looked at together; of concurrent ones all are among them.
const WINDOW: usize = 1 << 12;

/// A decision of a transaction's coordinator: producer, and offset in the coordinator's log.
type Operation = (ProducerId, Offset);

/// What transactions wrote and read lately.
#[derive(Clone, Debug, Default)]
pub struct Cycles {
    operations: IndexMap<Operation, Accesses, FxBuildHasher>,
}

/// Ranges of offsets, the end not included.
#[derive(Clone, Debug, Default)]
struct Accesses {
    writes: Vec<(PartitionId, Offset, Offset)>,
    reads: Vec<(PartitionId, Offset, Offset)>,
}

impl Cycles {
    /// A committed transaction wrote these offsets.
    pub fn wrote(
        &mut self,
        operation: Operation,
        range: (PartitionId, Offset, Offset),
        tally: &mut Tally,
    ) {
        self.of(operation, tally).writes.push(range);
    }

    /// A committed transaction read these offsets.
    pub fn read(
        &mut self,
        operation: Operation,
        range: (PartitionId, Offset, Offset),
        tally: &mut Tally,
    ) {
        self.of(operation, tally).reads.push(range);
    }

    fn of(&mut self, operation: Operation, tally: &mut Tally) -> &mut Accesses {
        if self.operations.len() >= 2 * WINDOW && !self.operations.contains_key(&operation) {
            self.judge(tally);
            self.operations.drain(..WINDOW);
        }
        self.operations.entry(operation).or_default()
    }

    /// Looks for cycles among what is known.
    pub fn judge(&self, tally: &mut Tally) {
        if self.operations.values().all(|accesses| accesses.reads.is_empty()) {
            return;
        }
        let cycles = self.graph().cycles(&[Dependency::WriteRead]);
        let (own, others): (Vec<_>, Vec<_>) =
            cycles.into_iter().partition(|cycle| cycle.steps.len() == 1);
        for (check, found) in [(Check::PrecommittedRead, own), (Check::CircularRead, others)] {
            let cycle = found.first();
            tally.expect(check, cycle.is_none(), || {
                cycle.map(ToString::to_string).unwrap_or_default()
            });
        }
    }

    fn graph(&self) -> Graph {
        let mut graph = Graph::default();
        let mut written: BTreeMap<(PartitionId, Offset), (Offset, usize)> = BTreeMap::new();
        for ((producer, at), accesses) in &self.operations {
            let node = graph.operation(format!("transaction {producer}@{at}"));
            for (id, from, to) in &accesses.writes {
                written.insert((*id, *to), (*from, node));
            }
        }
        for (node, accesses) in self.operations.values().enumerate() {
            for (id, from, to) in &accesses.reads {
                // By their markers: each has one of its own. Whoever reads inside a transaction's
                // stretch does so after its marker, be the record its own or not.
                let near = written.range((*id, from.next())..);
                let near = near.take_while(|((other, _), (first, _))| other == id && first < to);
                for (_, (first, writer)) in near {
                    let why = format!("it wrote to {id} from {first}, which that one read");
                    graph.edge(*writer, node, Dependency::WriteRead, why);
                }
            }
        }
        graph
    }

    /// How many operations it remembers.
    #[must_use]
    pub fn size(&self) -> usize {
        self.operations.len()
    }
}
