//! What a topic's records say, in the format of its application.

use seedlog::client::app::format::{Format, Malformed};
use seedlog::ids::TopicName;

use super::Visible;

/// The values of one topic.
#[derive(Clone, Debug)]
pub struct Values<T> {
    pub topic: TopicName,
    pub format: Format<T>,
}

impl<T> Values<T> {
    #[must_use]
    pub fn new(topic: impl Into<TopicName>, format: Format<T>) -> Self {
        Values { topic: topic.into(), format }
    }

    /// The value of a record; none if it is of another topic.
    #[must_use]
    pub fn read(&self, visible: &Visible<'_>) -> Option<Result<T, Malformed>> {
        let is_here = *visible.topic == self.topic;
        is_here.then(|| self.format.decode(visible.record.value.as_ref()))
    }

    /// The value of a record; none if it is of another topic.
    ///
    /// # Errors
    /// If it is malformed: where it lies, and why.
    pub fn expect(&self, visible: &Visible<'_>) -> Result<Option<T>, String> {
        let Visible { topic, partition, record, .. } = visible;
        self.read(visible).transpose().map_err(|Malformed(reason)| {
            let format = self.format.name();
            format!("{topic}-{partition} offset {}: malformed {format}: {reason}", record.offset)
        })
    }
}
