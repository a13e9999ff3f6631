//! seedlog: a Kafka-compatible messaging core, written as pure state machines.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod broker;
pub mod channel;
pub mod client;
pub mod config;
pub mod controller;
pub mod coordinator;
pub mod defect;
pub mod error;
pub mod event;
pub mod format;
pub mod ids;
pub mod log;
pub mod machine;
pub mod message;
pub mod metadata;
pub mod op;
pub mod raft;
pub mod record;
pub mod replica;
pub mod rng;
pub mod time;
