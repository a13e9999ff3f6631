//! Cluster metadata as everybody sees it: the records of the metadata log, and the image that they
//! add up to.
//!
//! The controller writes the records; controllers and brokers apply them. Ground for both.

mod apply;
mod batch;
mod codec;
mod encode;
pub mod image;
pub mod record;
mod snapshot;

pub use apply::Changed;
pub use codec::Corrupt;
pub use image::{BrokerImage, Image, PartitionImage, TopicImage};
pub use record::MetadataRecord;
