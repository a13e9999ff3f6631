//! Consume, transform, produce: each record goes on to another topic, with a word on where it came
//! from.

use alloc::format;

use bytes::Bytes;

use crate::client::app::processor::{Context, Processor};
use crate::ids::TopicName;
use crate::op::{ConsumedRecord, SendRecord};

/// Copies key and value to another topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    pub output: TopicName,
}

/// The header that names the input: `topic-partition@offset`.
pub const SOURCE: &str = "source";

impl Processor for Copy {
    fn process(&mut self, record: &ConsumedRecord, context: &mut Context<'_>) {
        let source = format!("{}-{}@{}", record.topic, record.partition, record.offset);
        context.emit(SendRecord {
            topic: self.output.clone(),
            partition: None,
            key: record.key.clone(),
            value: record.value.clone(),
            headers: [(SOURCE.into(), Some(Bytes::from(source)))].into(),
            timestamp: Some(record.timestamp),
        });
    }
}
