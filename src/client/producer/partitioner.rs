//! Which partition a record goes to that names none.

use alloc::vec::Vec;

use crate::client::metadata::TopicMetadata;
use crate::config::Partitioner;
use crate::ids::NodeId;
use crate::rng::Rng;

/// Kafka's murmur2, bit for bit (`org.apache.kafka.common.utils.Utils.murmur2`): producers of every
/// client put a key where all others do.
#[must_use]
pub fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(data.len()).expect("a key is shorter than 4 GiB");
    let mut hash = 0x9747_b28c ^ length;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes(word.try_into().expect("chunks of four bytes"));
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        k = k.wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (byte, shift) in rest.iter().zip([0, 8, 16]) {
            hash ^= u32::from(*byte) << shift;
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition of a key among so many.
#[must_use]
pub fn partition_of_key(key: &[u8], partitions: i32) -> i32 {
    let positive = i32::try_from(murmur2(key) & 0x7fff_ffff).expect("31 bits fit");
    positive % partitions
}

/// Where a topic's records without a partition go next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spread {
    /// The sticky partition (KIP-480), and the bytes it has had (KIP-794).
    sticky: Option<(i32, u32)>,
    turn: u64,
}

impl Spread {
    /// Picks a partition for a record of `size` bytes.
    pub fn pick(
        &mut self,
        how: Partitioner,
        key: Option<&[u8]>,
        size: u32,
        batch_size: u32,
        topic: &TopicMetadata,
        rng: &mut Rng,
    ) -> i32 {
        let count = i32::try_from(topic.partitions.len()).expect("partitions are few");
        match (how, key) {
            (Partitioner::Murmur2, Some(key)) => partition_of_key(key, count),
            (Partitioner::Murmur2, None) | (Partitioner::Sticky, _) => {
                self.stick(size, batch_size, topic, rng)
            }
            (Partitioner::RoundRobin, _) => {
                let available = available(topic);
                let turn = self.turn;
                self.turn = turn.wrapping_add(1);
                let len = u64::try_from(available.len()).expect("partitions are few");
                available[usize::try_from(turn % len).expect("an index fits usize")]
            }
        }
    }

    /// One partition for about a batch's worth of bytes, then another.
    fn stick(&mut self, size: u32, batch_size: u32, topic: &TopicMetadata, rng: &mut Rng) -> i32 {
        if let Some((partition, bytes)) = &mut self.sticky
            && *bytes < batch_size
            && usize::try_from(*partition).is_ok_and(|index| index < topic.partitions.len())
        {
            *bytes = bytes.saturating_add(size);
            return *partition;
        }
        let mut choices = available(topic);
        if let Some((old, _)) = self.sticky
            && choices.len() > 1
        {
            choices.retain(|partition| *partition != old);
        }
        let partition = choices[rng.index(choices.len())];
        self.sticky = Some((partition, size));
        partition
    }
}

/// The partitions that somebody leads; all of them if nobody leads any.
fn available(topic: &TopicMetadata) -> Vec<i32> {
    let all = (0..).zip(&topic.partitions);
    let led: Vec<i32> =
        all.clone().filter(|(_, leader)| leader.node != NodeId::NONE).map(|(i, _)| i).collect();
    if led.is_empty() { all.map(|(i, _)| i).collect() } else { led }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::metadata::Leader;
    use crate::ids::{LeaderEpoch, TopicId};

    /// From Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn murmur2_is_kafkas() {
        for (text, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }

    fn topic(leaders: &[i32]) -> TopicMetadata {
        let leader = |node: &i32| Leader { node: NodeId(*node), epoch: LeaderEpoch(0) };
        TopicMetadata { id: TopicId::ZERO, partitions: leaders.iter().map(leader).collect() }
    }

    #[test]
    fn round_robin_visits_every_partition_that_is_led() {
        let (mut spread, mut rng) = (Spread::default(), Rng::from_number(1));
        let topic = topic(&[1, -1, 2]);
        let picks: Vec<i32> = (0..4)
            .map(|_| spread.pick(Partitioner::RoundRobin, None, 1, 9, &topic, &mut rng))
            .collect();
        assert_eq!(picks, [0, 2, 0, 2]);
    }

    #[test]
    fn the_sticky_partition_changes_after_a_batch_of_bytes() {
        let (mut spread, mut rng) = (Spread::default(), Rng::from_number(1));
        let topic = topic(&[1, 2]);
        let mut pick = || spread.pick(Partitioner::Sticky, Some(b"k"), 5, 10, &topic, &mut rng);
        let first = pick();
        assert_eq!(pick(), first);
        assert_eq!(pick(), 1 - first);
    }

    #[test]
    fn a_key_decides_alone_also_where_nobody_leads() {
        let (mut spread, mut rng) = (Spread::default(), Rng::from_number(1));
        let topic = topic(&[-1, -1, -1, -1]);
        let pick = spread.pick(Partitioner::Murmur2, Some(b"foobar"), 5, 10, &topic, &mut rng);
        assert_eq!(pick, partition_of_key(b"foobar", 4));
    }
}
