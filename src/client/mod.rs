//! The processes that use brokers: producer, consumer and admin, all machines that an application
//! calls by [`Op`](crate::op::Op).

pub mod admin;
pub mod consumer;
pub mod producer;

pub use admin::{Admin, AdminSetup};
pub use consumer::{Consumer, ConsumerSetup};
pub use producer::{Producer, ProducerSetup};
