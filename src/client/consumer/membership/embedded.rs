//! What consumers tell each other through their coordinator: Kafka's ConsumerProtocol, versions 0
//! to 3 as far as it is read, 3 and 0 as it is written.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::client::consumer::assignor::Partition;
use crate::coordinator::schema::{Corrupt, Reader, Writer};
use crate::ids::TopicName;

/// The protocol type of consumers.
pub(crate) const PROTOCOL_TYPE: &str = "consumer";

/// What a member wants and has (ConsumerProtocolSubscription).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// Sorted.
    pub topics: Vec<TopicName>,
    /// What it holds, and since which generation; -1 if it does not know.
    pub owned: Vec<Partition>,
    pub generation: i32,
    /// What the assignor adds.
    pub user_data: Option<Bytes>,
}

impl Subscription {
    /// Version 3.
    pub fn encode(&self) -> Bytes {
        let mut out = Writer::new();
        out.i16(3);
        out.length(self.topics.len());
        for topic in &self.topics {
            out.string(topic);
        }
        match &self.user_data {
            Some(data) => out.blob(data),
            None => out.i32(-1),
        }
        write_partitions(&mut out, &self.owned);
        out.i32(self.generation);
        // No rack.
        out.nullable(None);
        out.finish().into()
    }

    /// # Errors
    /// `Corrupt`, if it is no subscription.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16()?;
        let count = reader.length()?;
        let topics: Result<Vec<TopicName>, Corrupt> = (0..count).map(|_| reader.string()).collect();
        let mut topics = topics?;
        topics.sort();
        topics.dedup();
        let mut read = Subscription { topics, generation: -1, ..Subscription::default() };
        read.user_data = nullable_blob(&mut reader)?;
        if version >= 1 {
            read.owned = read_partitions(&mut reader)?;
        }
        if version >= 2 {
            read.generation = reader.i32()?;
        }
        Ok(read)
    }
}

/// What the sticky assignor remembers in its user data, since its members hold nothing when they
/// join.
pub(crate) fn encode_memory(had: &[Partition], generation: i32) -> Bytes {
    let mut out = Writer::new();
    write_partitions(&mut out, had);
    out.i32(generation);
    out.finish().into()
}

/// [`encode_memory`] back.
///
/// # Errors
/// `Corrupt`, if it is no such thing.
pub(crate) fn decode_memory(bytes: &[u8]) -> Result<(Vec<Partition>, i32), Corrupt> {
    let mut reader = Reader::new(bytes);
    let had = read_partitions(&mut reader)?;
    // The first version does not say.
    Ok((had, reader.i32().unwrap_or(-1)))
}

/// What a member shall have (ConsumerProtocolAssignment, version 0).
pub(crate) fn encode_assignment(partitions: &[Partition]) -> Bytes {
    let mut out = Writer::new();
    out.i16(0);
    write_partitions(&mut out, partitions);
    out.i32(-1);
    out.finish().into()
}

/// Any version of it; no bytes are no partitions.
///
/// # Errors
/// `Corrupt`, if it is no assignment.
pub(crate) fn decode_assignment(bytes: &[u8]) -> Result<Vec<Partition>, Corrupt> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = Reader::new(bytes);
    reader.i16()?;
    read_partitions(&mut reader)
}

fn write_partitions(out: &mut Writer, partitions: &[Partition]) {
    let mut topics: BTreeMap<&TopicName, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in partitions {
        topics.entry(topic).or_default().push(*partition);
    }
    out.length(topics.len());
    for (topic, partitions) in topics {
        out.string(topic);
        out.length(partitions.len());
        for partition in partitions {
            out.i32(partition);
        }
    }
}

fn read_partitions(reader: &mut Reader<'_>) -> Result<Vec<Partition>, Corrupt> {
    let mut partitions = Vec::new();
    for _ in 0..reader.length()? {
        let topic = reader.string()?;
        for _ in 0..reader.length()? {
            partitions.push((topic.clone(), reader.i32()?));
        }
    }
    Ok(partitions)
}

fn nullable_blob(reader: &mut Reader<'_>) -> Result<Option<Bytes>, Corrupt> {
    let length = reader.i32()?;
    if length == -1 {
        return Ok(None);
    }
    let length = usize::try_from(length).map_err(|_| Corrupt)?;
    reader.raw(length).map(|bytes| Some(Bytes::copy_from_slice(bytes)))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_subscription_is_what_kafka_writes_and_survives() {
        let subscription = Subscription {
            topics: vec!["t".into()],
            owned: vec![("t".into(), 1)],
            generation: 7,
            user_data: None,
        };
        let expected = [
            &[0, 3, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff][..],
            &[0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 1],
            &[0, 0, 0, 7, 0xff, 0xff],
        ];
        assert_eq!(subscription.encode(), expected.concat());
        assert_eq!(Subscription::decode(&subscription.encode()), Ok(subscription));
    }

    #[test]
    fn old_versions_tell_less() {
        let v0 = [0, 0, 0, 0, 0, 2, 0, 1, b'u', 0, 1, b't', 0, 0, 0, 1, 9];
        let read = Subscription::decode(&v0).expect("version 0");
        assert_eq!(read.topics, ["t".into(), "u".into()]);
        assert_eq!((read.owned, read.generation), (vec![], -1));
        assert_eq!(read.user_data.as_deref(), Some(&[9][..]));
        assert!(Subscription::decode(&v0[..9]).is_err());
    }

    #[test]
    fn assignments_and_memories_survive() {
        let partitions = vec![("t".into(), 1), ("t".into(), 3), ("u".into(), 0)];
        assert_eq!(decode_assignment(&encode_assignment(&partitions)), Ok(partitions.clone()));
        assert_eq!(decode_assignment(&[]), Ok(vec![]));
        assert!(decode_assignment(&[0, 0, 0, 0, 0, 9]).is_err());
        assert_eq!(decode_memory(&encode_memory(&partitions, 4)), Ok((partitions, 4)));
    }
}
