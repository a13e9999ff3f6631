//! The internal topics that coordinators keep their state in, and which of their partitions a group
//! or a transactional id belongs to.

use crate::ids::PartitionId;
use crate::message::coordinator::CoordinatorKind;
use crate::metadata::Image;

/// Whose state a partition keeps; none for topics that clients may write to.
#[must_use]
pub fn kind_of(image: &Image, id: PartitionId) -> Option<CoordinatorKind> {
    let name = &*image.topics.get(&id.topic)?.name;
    let kinds = [CoordinatorKind::Group, CoordinatorKind::Transaction];
    kinds.into_iter().find(|kind| kind.topic() == name)
}

/// The partition that a key belongs to; none as long as the topic is not made.
#[must_use]
pub fn shard_of(image: &Image, kind: CoordinatorKind, key: &str) -> Option<PartitionId> {
    let id = *image.names.get(kind.topic())?;
    let count = image.topics.get(&id)?.partitions.len();
    let count = i32::try_from(count).expect("partitions are few");
    (count > 0).then(|| PartitionId { topic: id, partition: java_hash(key) % count })
}

/// Java's `String.hashCode`, without its sign: how Kafka spreads keys over internal topics.
fn java_hash(key: &str) -> i32 {
    let step = |hash: i32, unit: u16| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    key.encode_utf16().fold(0, step) & i32::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_spread_as_java_does_it() {
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("a"), 97);
        assert_eq!(
            java_hash("my-group"),
            "my-group"
                .bytes()
                .fold(0_i32, |hash, byte| { hash.wrapping_mul(31).wrapping_add(i32::from(byte)) })
                & i32::MAX
        );
        // hashCode() of this one is Integer.MIN_VALUE, whose magnitude Java cannot tell.
        assert_eq!(java_hash("polygenelubricants"), 0);
    }
}
