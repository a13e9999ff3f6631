//! A cluster of the core's own machines in a world: what each process is, and who is who.

mod build;
mod process;
mod state;
mod view;

pub use build::{Cluster, build, world_config, world_ratio, world_span};
pub use process::{Process, Setup};
pub use state::{QuorumState, ReplicaState};
pub use view::{View, newest_image};
