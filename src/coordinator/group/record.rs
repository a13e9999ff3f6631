//! The records of `__consumer_offsets`, in Kafka's own schemas.
//!
//! A key begins with a number that says what it names; a value begins with its version. A record
//! without a value removes what its key names.

mod classic;
mod consumer;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::coordinator::schema::{Corrupt, Reader, Writer};
use crate::ids::{LeaderEpoch, Offset, TopicId, TopicName};
use crate::time::Timestamp;

pub(super) use classic::{ClassicMemberValue, ClassicValue};
pub(super) use consumer::{
    ConsumerRecord, CurrentValue, MemberState, MemberValue, Partitions, by_topic,
};

/// One change of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// OffsetCommitKey (1).
    Offset { group: Arc<str>, topic: TopicName, partition: i32, value: Option<OffsetValue> },
    /// GroupMetadataKey (2): a classic group.
    Classic { group: Arc<str>, value: Option<ClassicValue> },
    /// ConsumerGroup..Key (3 to 8): a KIP-848 group.
    Consumer { group: Arc<str>, record: ConsumerRecord },
}

/// OffsetCommitValue: version 4 if it says which incarnation of its topic it is about, otherwise 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OffsetValue {
    /// [`TopicId::ZERO`]: of whatever topic had the name.
    pub topic_id: TopicId,
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub metadata: Arc<str>,
    pub timestamp: Timestamp,
}

impl Record {
    pub fn group(&self) -> &Arc<str> {
        match self {
            Record::Offset { group, .. }
            | Record::Classic { group, .. }
            | Record::Consumer { group, .. } => group,
        }
    }

    /// Key and value.
    pub fn encode(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut key = Writer::new();
        let value = match self {
            Record::Offset { group, topic, partition, value } => {
                key.i16(1);
                key.string(group);
                key.string(topic);
                key.i32(*partition);
                value.as_ref().map(OffsetValue::encode)
            }
            Record::Classic { group, value } => {
                key.i16(2);
                key.string(group);
                value.as_ref().map(ClassicValue::encode)
            }
            Record::Consumer { group, record } => record.encode(group, &mut key),
        };
        (key.finish(), value)
    }

    /// Reads a record; none for a kind that seedlog has no use for.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Record>, Corrupt> {
        let mut key = Reader::new(key);
        Ok(Some(match key.i16()? {
            0 | 1 => {
                let (group, topic, partition) = (key.string()?, key.string()?, key.i32()?);
                let value = value.map(OffsetValue::decode).transpose()?;
                Record::Offset { group, topic, partition, value }
            }
            2 => {
                let group = key.string()?;
                let value = value.map(ClassicValue::decode).transpose()?;
                Record::Classic { group, value }
            }
            kind => {
                let Some((group, record)) = ConsumerRecord::decode(kind, &mut key, value)? else {
                    return Ok(None);
                };
                Record::Consumer { group, record }
            }
        }))
    }
}

/// Of the tagged field that Kafka 4.1 added to version 4.
const TOPIC_ID_TAG: u32 = 0;

impl OffsetValue {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        let flexible = self.topic_id != TopicId::ZERO;
        out.i16(if flexible { 4 } else { 3 });
        out.i64(self.offset.0);
        out.i32(self.leader_epoch.0);
        if flexible {
            out.compact_string(&self.metadata);
            out.i64(self.timestamp.0);
            out.tagged(&[(TOPIC_ID_TAG, Vec::from(self.topic_id.to_bytes()))]);
        } else {
            out.string(&self.metadata);
            out.i64(self.timestamp.0);
        }
        out.finish()
    }

    /// Versions 0 to 4, as Kafka has written them since 0.8.
    fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut value = Reader::new(bytes);
        let version = value.i16()?;
        if !(0..=4).contains(&version) {
            return Err(Corrupt);
        }
        let offset = Offset(value.i64()?);
        let leader_epoch = if version >= 3 { LeaderEpoch(value.i32()?) } else { LeaderEpoch::NONE };
        let metadata = if version >= 4 { value.compact_string()? } else { value.string()? };
        let timestamp = Timestamp(value.i64()?);
        let mut topic_id = TopicId::ZERO;
        if version >= 4 {
            let fields = value.tagged()?;
            if let Some((_, bytes)) = fields.iter().find(|(tag, _)| *tag == TOPIC_ID_TAG) {
                topic_id = TopicId::from_bytes((*bytes).try_into().map_err(|_| Corrupt)?);
            }
        }
        Ok(OffsetValue { topic_id, offset, leader_epoch, metadata, timestamp })
    }
}
