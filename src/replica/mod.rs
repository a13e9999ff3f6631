//! One partition on one broker.

mod context;

pub use context::{Budget, Changes, Context, Fetched, Reader};
