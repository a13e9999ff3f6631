//! seedlog: a Kafka-compatible messaging core, written as pure state machines.
//!
//! # The boundary
//!
//! A process (a broker, a controller, a client) is a [`machine::Machine`]: plain data that takes
//! one [`machine::Input`] at a time and answers with an ordered list of [`machine::Effect`]s. It
//! owns its timers, its randomness and its indexes; it names no clock, socket, file, thread or
//! hash map, and `no_std` with `forbid(unsafe_code)` is what enforces that. Cloning a machine
//! forks it, dropping it crashes it.
//!
//! Two drivers deliver inputs and carry out effects: the simulator's world and tokio. Both are
//! thin, because a decision made in a driver is a decision that no simulation tests. The order of
//! a step's effects is the happens-before that crashes attack: an append reaches the page cache,
//! only a flush that was answered survives a power loss, and whatever must wait for that waits in
//! the core.
//!
//! Payload bytes stay with the driver. A [`log::Log`] is an index of small batch metadata; a
//! fetch answer names a range ([`message::LogRange`]) that the driver resolves when it sends.
//!
//! # The rooms, from the ground up
//!
//! - the ground: both clocks and keyed timers ([`time`]), seeded draws ([`rng`]), newtypes
//!   ([`ids`]), Kafka's error codes ([`error`]) and settings ([`config`]), the zoo's switches
//!   ([`defect`]), what checkers may observe ([`event`]), what applications ask ([`op`]), a
//!   disk's identity ([`format`]);
//! - [`machine`], [`channel`], [`message`]: the boundary; outbound connections with back-off and
//!   time-outs; what crosses a connection;
//! - [`record`]: RecordBatch v2, byte for byte Kafka's;
//! - [`log`]: a partition's log: segments, leader epochs, producer state, recovery, retention,
//!   compaction;
//! - [`metadata`]: the records of the metadata log, and the image that they add up to;
//! - [`replica`]: one partition on one broker: leader, follower, ISR, high watermark, truncation;
//! - [`raft`]: the KRaft quorum: one file per role, durable votes, snapshots;
//! - [`coordinator`]: state that lives in a log: decide, append, apply, answer on commit;
//! - [`controller`]: who decides cluster metadata: registration, elections, placement,
//!   reassignment;
//! - [`broker`]: who serves clients, follows the metadata and hosts replicas;
//! - [`client`]: producer, consumer and admin.
//!
//! A room uses those above it in this list and never those below; `broker`, `controller` and
//! `client` do not know each other. `tests/tidy.rs` holds them to it.
//!
//! # Three kinds of failure
//!
//! A peer's or a user's mistake is an error code in a response. A disk's is `Lost`, and ends in
//! `Halt`. Ours is a panic: assertions stay on in release builds.
//!
//! # Switches
//!
//! [`defect::Defect`] lists protocol bugs that once were real. Each stands as one `if` at the
//! rule that it breaks, and is a constant `false` unless the cargo feature `defects` is on.
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
