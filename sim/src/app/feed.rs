//! What applications get to work on: a workload of a user's own.

use bytes::Bytes;
use seedlog::op::{Outcome, SendRecord};

use super::ValueFormat;
use crate::world::Draw;

/// Makes records for an application, one at a time. A record that was not acknowledged is sent
/// again until it is, as a client does that wants an answer.
pub trait Feed: Clone + Send + Sync + 'static {
    /// The keys of a `[[feed]]` that only this kind knows.
    fn keys(&self) -> &'static [&'static str] {
        &[]
    }

    /// Takes one of [`Feed::keys`].
    ///
    /// # Errors
    /// What is wrong with the value.
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        Err(format!("{key} = {value:?} means nothing here"))
    }

    /// The formats of values that it can write; the first is the one that it has if none is named.
    fn formats(&self) -> &'static [ValueFormat] {
        ValueFormat::OPAQUE
    }

    /// Which of [`Feed::formats`] its values have. Said once, before the first record.
    fn write_in(&mut self, format: ValueFormat) {
        let _ = format;
    }

    /// The next record; none: nothing this time. Whatever is random comes from `dice`, or a seed
    /// would not be one run. The topic is the scenario's: leave it empty to have it filled in.
    fn next(&mut self, dice: &mut dyn Draw) -> Option<SendRecord>;

    /// A record was acknowledged, or will be sent again.
    fn answered(&mut self, record: &SendRecord, outcome: &Outcome) {
        let _ = (record, outcome);
    }
}

/// A record with key and value, for the topic that the scenario names.
#[must_use]
pub fn keyed(key: impl Into<Bytes>, value: impl Into<Bytes>) -> SendRecord {
    SendRecord {
        topic: "".into(),
        partition: None,
        key: Some(key.into()),
        value: Some(value.into()),
        headers: Vec::new(),
        timestamp: None,
    }
}

/// A [`Feed`] without its type.
pub trait HostedFeed: Send + Sync {
    fn keys(&self) -> &'static [&'static str];
    /// # Errors
    /// As [`Feed::set`].
    fn set(&mut self, key: &str, value: &str) -> Result<(), String>;
    fn formats(&self) -> &'static [ValueFormat];
    fn write_in(&mut self, format: ValueFormat);
    fn next(&mut self, dice: &mut dyn Draw) -> Option<SendRecord>;
    fn answered(&mut self, record: &SendRecord, outcome: &Outcome);
    fn clone_box(&self) -> Box<dyn HostedFeed>;
}

impl<F: Feed> HostedFeed for F {
    fn keys(&self) -> &'static [&'static str] {
        Feed::keys(self)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        Feed::set(self, key, value)
    }

    fn formats(&self) -> &'static [ValueFormat] {
        Feed::formats(self)
    }

    fn write_in(&mut self, format: ValueFormat) {
        Feed::write_in(self, format);
    }

    fn next(&mut self, dice: &mut dyn Draw) -> Option<SendRecord> {
        Feed::next(self, dice)
    }

    fn answered(&mut self, record: &SendRecord, outcome: &Outcome) {
        Feed::answered(self, record, outcome);
    }

    fn clone_box(&self) -> Box<dyn HostedFeed> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn HostedFeed> {
    fn clone(&self) -> Self {
        (**self).clone_box()
    }
}

impl std::fmt::Debug for Box<dyn HostedFeed> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostedFeed")
    }
}
