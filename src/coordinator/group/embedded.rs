//! What consumers of the classic protocol tell each other through their coordinator, which has no
//! need to understand it, as far as it helps to: whether a topic is in use, who has what.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::coordinator::schema::{Corrupt, Reader};
use crate::ids::TopicName;

/// The protocol type of consumers.
pub(super) const CONSUMER: &str = "consumer";

/// The topics of a ConsumerProtocolSubscription, any version.
pub(super) fn subscribed(bytes: &[u8]) -> Result<BTreeSet<TopicName>, Corrupt> {
    let mut reader = Reader::new(bytes);
    reader.i16()?;
    let count = reader.length()?;
    (0..count).map(|_| reader.string()).collect()
}

/// The partitions of a ConsumerProtocolAssignment, any version; none for a member without any.
pub(super) fn assigned(bytes: &[u8]) -> Result<Vec<(TopicName, i32)>, Corrupt> {
    let mut partitions = Vec::new();
    if bytes.is_empty() {
        return Ok(partitions);
    }
    let mut reader = Reader::new(bytes);
    reader.i16()?;
    for _ in 0..reader.length()? {
        let topic = reader.string()?;
        for _ in 0..reader.length()? {
            partitions.push((topic.clone(), reader.i32()?));
        }
    }
    Ok(partitions)
}
