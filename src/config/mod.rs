//! Settings under Kafka's names, with Kafka's defaults unless a line says otherwise.
//!
//! Units are part of a name only here, at the edge (`.ms`, `.bytes`); inside they are types.

#[macro_use]
mod setting;
mod client;
mod server;
#[cfg(test)]
mod tests;
mod topic;

pub use client::{
    AcksSetting, AdminConfig, AppConfig, AssignmentStrategy, ConsumerConfig, Delivery,
    GroupProtocol, IsolationLevel, OffsetReset, Partitioner, ProducerConfig, RemoteAssignor,
};
pub use server::{BrokerConfig, ControllerConfig, QuorumConfig, ServerConfig, Voter};
pub use setting::{Pair, Setting, suggestion};
pub use topic::{CleanupPolicy, TimestampType, TopicConfig, topic_setting};
