//! Processors of a user's own, in each delivery mode.

use std::path::PathBuf;

use seedlog::client::app::{Context, Processor};
use seedlog::op::{ConsumedRecord, SendRecord};

use crate::Simulation;
use crate::app::keyed;

/// A scenario with one application `mine` that has these lines.
#[expect(clippy::disallowed_methods, reason = "a test needs a place for its files")]
fn mine(name: &str, lines: &str) -> Simulation {
    let text = format!(
        "# Each is worked on.\nrequire = [\"processed >= 20\"]\n\
         [workload]\nproducers = 0\nconsumers = 0\n[phases]\nsafety = \"8s\"\n\
         [broker]\ngroup.min.session.timeout.ms = 1000\n\
         group.initial.rebalance.delay.ms = 0\n\
         transaction.abort.timed.out.transaction.cleanup.interval.ms = 500\n\
         [[topics]]\nname = \"in\"\npartitions = 2\n[[topics]]\nname = \"out\"\n\
         [[feed]]\nkind = \"tickets\"\ntopic = \"in\"\nevery = \"20ms\"\n\
         [[app]]\nkind = \"mine\"\ninput = \"in\"\noutput = \"out\"\n{lines}"
    );
    let path: PathBuf =
        std::env::temp_dir().join(format!("own-{}-{name}.toml", std::process::id()));
    std::fs::write(&path, text).expect("there is a place for temporary files");
    Simulation::of(path)
}

fn copied(record: &ConsumedRecord) -> SendRecord {
    let (key, value) = (record.key.clone(), record.value.clone());
    let copy = keyed(key.unwrap_or_default(), value.unwrap_or_default());
    SendRecord { topic: "out".into(), ..copy }
}

/// Emits a record unless its state says that it has.
#[derive(Clone)]
struct Remembering;

impl Processor for Remembering {
    fn process(&mut self, record: &ConsumedRecord, context: &mut Context<'_>) {
        let seen = format!("{}", record.offset);
        if context.get(seen.as_bytes()).is_none() {
            context.emit(copied(record));
            context.set(seen.into(), Some("seen".into()));
        }
    }
}

/// A pause makes the coordinator abort (seed 0 lost outputs: the state kept what was aborted).
#[test]
fn an_abort_takes_back_what_a_state_without_a_changelog_remembers() {
    let lines = "delivery = \"exactly-once\"\ntransaction.timeout.ms = 1000\n\
                 [[fault]]\nkind = \"pause\"\ntarget = \"app\"\nevery = \"500ms..2s\"\n\
                 for = \"2s..4s\"\n";
    mine("remembering", lines)
        .processor("mine", |_| Remembering)
        .promise("mine", |record| vec![copied(record)])
        .check(0..30);
}
