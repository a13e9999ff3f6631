//! The processes that use brokers: producer, consumer and admin, all machines that an application
//! calls by [`Op`](crate::op::Op).
//!
//! [`metadata`] is what a client knows of the cluster, `network` its connections, `coordinator` who
//! coordinates its group or its transactions; the rest is one room for each kind of client.
//! Outcomes are exact: `Failed` surely had no effect, `Unknown` may have had.

pub mod admin;
pub mod app;
pub mod consumer;
mod coordinator;
mod errors;
pub mod metadata;
mod network;
pub mod producer;
#[cfg(test)]
mod testing;

pub use admin::{Admin, AdminSetup};
pub use app::{App, AppSetup};
pub use consumer::{Consumer, ConsumerSetup, GroupSetup};
pub use producer::{Producer, ProducerSetup};

/// The connection space of a client that is a process of its own.
pub const SPACE: u8 = 1;
