//! The records of `__transaction_state`: Kafka's `TransactionLogKey` version 0 and
//! `TransactionLogValue` version 1.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::coordinator::schema::{Corrupt, Reader, Writer};
use crate::coordinator::transaction::entry::Entry;
use crate::event::TransactionState;
use crate::ids::{ProducerEpoch, ProducerId, TopicName};
use crate::message::transaction::TransactionVersion;
use crate::time::{Duration, Timestamp, millis};

const KEY_VERSION: i16 = 0;
const VALUE_VERSION: i16 = 1;

/// Tags of optional fields.
const PREVIOUS_PRODUCER_ID: u32 = 0;
const NEXT_PRODUCER_ID: u32 = 1;
const CLIENT_VERSION: u32 = 2;

pub(super) fn encode_key(transactional_id: &str) -> Vec<u8> {
    let mut out = Writer::new();
    out.i16(KEY_VERSION);
    out.string(transactional_id);
    out.finish()
}

/// None for a key of another kind, which is to be ignored.
///
/// # Errors
/// `Corrupt` if it says that it is such a key and is none.
pub(super) fn decode_key(bytes: &[u8]) -> Result<Option<Arc<str>>, Corrupt> {
    let mut reader = Reader::new(bytes);
    if reader.i16()? != KEY_VERSION {
        return Ok(None);
    }
    reader.string().map(Some)
}

pub(super) fn encode_value(entry: &Entry) -> Vec<u8> {
    let mut out = Writer::new();
    out.i16(VALUE_VERSION);
    out.i64(entry.producer_id.0);
    out.i16(entry.producer_epoch.0);
    out.i32(i32::try_from(millis(entry.timeout)).unwrap_or(i32::MAX));
    out.i8(code(entry.state));
    let mut topics: BTreeMap<&TopicName, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in &*entry.partitions {
        topics.entry(topic).or_default().push(*partition);
    }
    out.compact_length(topics.len());
    for (topic, partitions) in topics {
        out.compact_string(topic);
        out.compact_length(partitions.len());
        for partition in partitions {
            out.i32(partition);
        }
        out.tagged(&[]);
    }
    out.i64(entry.last_update.0);
    out.i64(entry.start.0);
    let version: i16 = match entry.version {
        TransactionVersion::V1 => 0,
        TransactionVersion::V2 => 2,
    };
    let mut fields = Vec::new();
    if entry.previous_producer_id != ProducerId::NONE {
        fields.push((PREVIOUS_PRODUCER_ID, entry.previous_producer_id.0.to_be_bytes().into()));
    }
    if entry.next_producer_id != ProducerId::NONE {
        fields.push((NEXT_PRODUCER_ID, entry.next_producer_id.0.to_be_bytes().into()));
    }
    fields.push((CLIENT_VERSION, version.to_be_bytes().into()));
    out.tagged(&fields);
    out.finish()
}

/// # Errors
/// `Corrupt` if it is no such value.
pub(super) fn decode_value(bytes: &[u8]) -> Result<Entry, Corrupt> {
    let mut reader = Reader::new(bytes);
    if reader.i16()? != VALUE_VERSION {
        return Err(Corrupt);
    }
    let producer_id = ProducerId(reader.i64()?);
    let mut entry = Entry::new(producer_id, Duration::ZERO, Timestamp::NONE);
    entry.producer_epoch = ProducerEpoch(reader.i16()?);
    let timeout = u64::try_from(reader.i32()?).map_err(|_| Corrupt)?;
    entry.timeout = Duration::from_millis(timeout);
    entry.state = state(reader.i8()?).ok_or(Corrupt)?;
    let mut partitions = BTreeSet::new();
    for _ in 0..reader.compact_length()? {
        let topic = reader.compact_string()?;
        for _ in 0..reader.compact_length()? {
            partitions.insert((topic.clone(), reader.i32()?));
        }
        reader.tagged()?;
    }
    entry.partitions = Arc::new(partitions);
    entry.last_update = Timestamp(reader.i64()?);
    entry.start = Timestamp(reader.i64()?);
    entry.version = TransactionVersion::V1;
    for (tag, value) in reader.tagged()? {
        let mut value = Reader::new(value);
        match tag {
            PREVIOUS_PRODUCER_ID => entry.previous_producer_id = ProducerId(value.i64()?),
            NEXT_PRODUCER_ID => entry.next_producer_id = ProducerId(value.i64()?),
            CLIENT_VERSION if value.i16()? >= 2 => entry.version = TransactionVersion::V2,
            _ => {}
        }
    }
    Ok(entry)
}

fn code(state: TransactionState) -> i8 {
    let known = TransactionState::ALL.iter().position(|known| *known == state);
    known.and_then(|at| i8::try_from(at).ok()).expect("every state is listed")
}

fn state(code: i8) -> Option<TransactionState> {
    usize::try_from(code).ok().and_then(|at| TransactionState::ALL.get(at).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_survives_the_log_but_for_what_kafka_does_not_keep() {
        let mut entry = Entry::new(ProducerId(7), Duration::from_secs(60), Timestamp(5));
        entry.producer_epoch = ProducerEpoch(3);
        entry.last_producer_epoch = ProducerEpoch(2);
        entry.previous_producer_id = ProducerId(6);
        entry.next_producer_id = ProducerId(8);
        entry.state = TransactionState::PrepareCommit;
        entry.start = Timestamp(4);
        entry.partitions = Arc::new([("a".into(), 1), ("a".into(), 0), ("b".into(), 2)].into());
        let read = decode_value(&encode_value(&entry)).expect("just written");
        assert_eq!(read, Entry { last_producer_epoch: ProducerEpoch::NONE, ..entry });
    }

    #[test]
    fn keys_and_damage_are_told_apart() {
        assert_eq!(decode_key(&encode_key("t")), Ok(Some("t".into())));
        assert_eq!(decode_key(&[0, 9]), Ok(None));
        assert_eq!(decode_key(&[0, 0, 0]), Err(Corrupt));
        let entry = Entry::new(ProducerId(7), Duration::from_secs(60), Timestamp(5));
        let bytes = encode_value(&entry);
        for len in 0..bytes.len() {
            assert_eq!(decode_value(&bytes[..len]), Err(Corrupt), "{len} bytes");
        }
    }
}
