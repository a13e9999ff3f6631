//! The high watermarks of all partitions as a small file: `replication-offset-checkpoint`.
//!
//! It only spares a restarted broker work: a leader finds its high watermark again from its
//! followers, and a follower truncates by epoch, never to the checkpoint (KIP-101).

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt::Write as _;

use bytes::Bytes;

use crate::ids::{Offset, PartitionId, Uuid};

/// Writes the file: a version, the number of lines, and a line per partition, as Kafka does, but
/// with topic ids in the place of names.
pub(super) fn encode(marks: &BTreeMap<PartitionId, Offset>) -> Bytes {
    let mut text = String::new();
    let print = "printing into a string does not fail";
    writeln!(text, "0\n{}", marks.len()).expect(print);
    for (PartitionId { topic, partition }, offset) in marks {
        writeln!(text, "{topic} {partition} {offset}").expect(print);
    }
    text.into()
}

/// Reads the file back; whatever is damaged counts as missing.
pub(super) fn decode(file: &[u8]) -> BTreeMap<PartitionId, Offset> {
    let Ok(text) = core::str::from_utf8(file) else { return BTreeMap::new() };
    let mut lines = text.lines();
    let counted = lines.next() == Some("0")
        && lines.next().and_then(|count| count.parse().ok()) == Some(lines.clone().count());
    if counted { lines.filter_map(line).collect() } else { BTreeMap::new() }
}

fn line(line: &str) -> Option<(PartitionId, Offset)> {
    let mut words = line.split(' ');
    let topic = u128::from_str_radix(words.next()?, 16).ok()?;
    let topic = Uuid::from_bytes(topic.to_be_bytes());
    let partition = words.next()?.parse().ok()?;
    let offset = Offset(words.next()?.parse().ok()?);
    (offset >= Offset::ZERO).then_some((PartitionId { topic, partition }, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_reads_back_and_a_damaged_one_is_empty() {
        let id = |partition| PartitionId { topic: Uuid([1, 2, 3, u32::MAX]), partition };
        let marks = BTreeMap::from([(id(0), Offset(5)), (id(3), Offset(0))]);
        let file = encode(&marks);
        assert_eq!(decode(&file), marks);
        assert_eq!(decode(&file[..file.len() - 40]), BTreeMap::new());
        assert_eq!(decode(b"\xff"), BTreeMap::new());
    }
}
