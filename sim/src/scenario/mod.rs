#![doc = include_str!("language.md")]

mod asks;
mod contradiction;
mod draw;
mod faults;
pub mod group;
pub mod model;
pub mod parse;
pub mod read;
mod require;
pub mod script;
mod surroundings;
pub mod text;
mod topics;
pub mod transactions;
pub mod value;
mod workload;

pub use draw::Draw;
pub use group::{CommitMode, GroupWork, MemberDelivery};
pub use model::{
    Atlas, CONTROLLER_BASE, Clock, Cluster, Disk, Fault, FaultKind, Network, Phases, RatioRange,
    Requirement, Scenario, Target, Topic, Workload,
};
pub use text::Error;
pub use transactions::Transactions;

#[cfg(test)]
mod tests;
