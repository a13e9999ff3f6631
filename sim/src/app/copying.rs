//! `kind = "copy"`: consume, transform, produce.

use seedlog::client::app::copy::Copy;
use seedlog::machine::Effects;

use super::{AppKind, AppTable, Begin, HostSetup, HostedApp, host};
use crate::check::{Content, Pipeline};

/// A copy says what the original says.
fn copied(content: Content) -> Content {
    content
}

/// Copies its first input to its first output.
#[derive(Clone)]
pub struct CopyKind;

impl AppKind for CopyKind {
    fn needs_output(&self) -> bool {
        true
    }

    fn pipelines(&self, table: &AppTable) -> Vec<Pipeline> {
        let pipeline = |input: &seedlog::ids::TopicName| Pipeline {
            input: input.clone(),
            output: table.output[0].clone(),
            group: table.group.clone(),
            promise: table.promise(),
            ordered: table.config.ordered,
            function: Some(copied),
        };
        table.input.iter().map(pipeline).collect()
    }

    fn start(&self, setup: &HostSetup, begin: Begin, out: &mut Effects) -> Box<dyn HostedApp> {
        host(setup, Copy { output: setup.table.output[0].clone() }, begin, out)
    }

    fn clone_box(&self) -> Box<dyn AppKind> {
        Box::new(self.clone())
    }
}
