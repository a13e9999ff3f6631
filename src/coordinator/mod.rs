//! State that lives in a log: decided, appended, applied, and answered once committed.

pub mod shard;

pub use shard::{Draft, Shard, State};
