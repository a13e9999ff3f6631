//! A deterministic simulator that runs the seedlog core under seeded faults and checks its
//! promises.

pub mod bench;
pub mod check;
pub mod cluster;
pub mod command;
pub mod fault;
pub mod run;
pub mod scenario;
pub mod workload;
pub mod world;
