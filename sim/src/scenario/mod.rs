#![doc = include_str!("language.md")]

mod asks;
pub mod model;
pub mod parse;
pub mod read;
pub mod script;
pub mod text;
pub mod value;

pub use model::{
    Atlas, CONTROLLER_BASE, Clock, Cluster, Disk, Fault, FaultKind, Network, Phases, RatioRange,
    Requirement, Scenario, Target, Topic, Workload,
};
pub use text::Error;

#[cfg(test)]
mod tests;
