//! Cluster metadata as everybody sees it: the records of the metadata log, and the image that they
//! add up to.
//!
//! The controller writes the records; controllers and brokers apply them. Ground for both.

pub mod image;
pub mod record;

pub use image::{BrokerImage, Image, PartitionImage, TopicImage};
pub use record::MetadataRecord;
