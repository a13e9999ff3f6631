//! Newtypes for everything that Kafka numbers or names.

use alloc::sync::Arc;
use core::fmt;
use core::ops::{Add, AddAssign, Sub};

use crate::rng::Rng;

/// Makes a `Copy` integer newtype with `Display`.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A broker or a controller; both share one number space (KIP-500). Negative: not known, or a
    /// bootstrap server.
    NodeId(i32)
);
id!(
    /// The incarnation of a registered broker: the metadata offset of its registration (KIP-631).
    BrokerEpoch(i64)
);
id!(
    /// How often a partition has had a new leader (KIP-101).
    LeaderEpoch(i32)
);
id!(
    /// The version of a partition's registration: grows with each change of leader, ISR or replicas
    /// (KIP-497).
    PartitionEpoch(i32)
);
id!(
    /// The epoch of a metadata quorum: Raft's term (KIP-595).
    QuorumEpoch(i32)
);
id!(
    /// An idempotent or transactional producer (KIP-98); -1 is none.
    ProducerId(i64)
);
id!(
    /// A producer's session under one id; -1 is none.
    ProducerEpoch(i16)
);
id!(
    /// A connection as one process sees it: see [`ConnId::outbound`] and [`ConnId::inbound`].
    ConnId(u64)
);
id!(
    /// A request's number on its connection.
    CorrelationId(u32)
);
id!(
    /// One of a process's logs: a handle that stays with the log over restarts.
    LogId(u32)
);
id!(
    /// One call of an application into a client process.
    CallId(u64)
);
id!(
    /// The position of a record in its partition.
    Offset(i64)
);

impl NodeId {
    pub const NONE: NodeId = NodeId(-1);
}

impl BrokerEpoch {
    pub const NONE: BrokerEpoch = BrokerEpoch(-1);
}

impl LeaderEpoch {
    pub const NONE: LeaderEpoch = LeaderEpoch(-1);
    #[must_use]
    pub fn next(self) -> Self {
        LeaderEpoch(self.0 + 1)
    }
}

impl PartitionEpoch {
    #[must_use]
    pub fn next(self) -> Self {
        PartitionEpoch(self.0 + 1)
    }
}

impl QuorumEpoch {
    #[must_use]
    pub fn next(self) -> Self {
        QuorumEpoch(self.0 + 1)
    }
}

impl ProducerId {
    pub const NONE: ProducerId = ProducerId(-1);
}

impl ProducerEpoch {
    pub const NONE: ProducerEpoch = ProducerEpoch(-1);
}

impl ConnId {
    /// A connection that the process opens itself. Each owner inside a process (the raft client, a
    /// fetcher, ..) counts in a `space` of its own (1..=127), so that answers find their owner.
    #[must_use]
    pub fn outbound(space: u8, counter: u64) -> Self {
        assert!((1..=127).contains(&space), "space 0 is inbound");
        ConnId((u64::from(space) << 56) | (counter & ((1 << 56) - 1)))
    }

    /// A connection that the driver accepted; the driver counts.
    #[must_use]
    pub fn inbound(counter: u64) -> Self {
        ConnId(counter & ((1 << 56) - 1))
    }

    /// 0 for inbound connections, otherwise the owner given to [`ConnId::outbound`].
    #[must_use]
    pub fn space(self) -> u8 {
        u8::try_from(self.0 >> 56).expect("a shifted u64 fits 8 bits")
    }
}

impl Offset {
    pub const ZERO: Offset = Offset(0);
    /// Kafka's "no offset".
    pub const NONE: Offset = Offset(-1);
    pub const MAX: Offset = Offset(i64::MAX);

    #[must_use]
    pub fn next(self) -> Self {
        Offset(self.0 + 1)
    }
}

impl Add<i64> for Offset {
    type Output = Offset;
    fn add(self, rhs: i64) -> Offset {
        Offset(self.0 + rhs)
    }
}

impl AddAssign<i64> for Offset {
    fn add_assign(&mut self, rhs: i64) {
        self.0 += rhs;
    }
}

impl Sub<Offset> for Offset {
    type Output = i64;
    fn sub(self, rhs: Offset) -> i64 {
        self.0 - rhs.0
    }
}

/// A durable position. Truncation reuses offsets, so an offset alone does not name a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPoint {
    pub epoch: LeaderEpoch,
    pub offset: Offset,
}

/// A 128-bit identifier: Kafka's `Uuid`. Stored as four words so that it aligns to 4 bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u32; 4]);

impl Uuid {
    pub const ZERO: Uuid = Uuid([0; 4]);

    #[must_use]
    pub fn random(rng: &mut Rng) -> Self {
        let mut words = [0; 4];
        for word in &mut words {
            *word = u32::try_from(rng.below(1 << 32)).expect("drawn below 2^32");
        }
        Uuid(words)
    }

    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        for (chunk, word) in bytes.chunks_exact_mut(4).zip(self.0) {
            chunk.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = u32::from_be_bytes(chunk.try_into().expect("chunks of four bytes"));
        }
        Uuid(words)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0;
        write!(f, "{a:08x}{b:08x}{c:08x}{d:08x}")
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A topic's identity: a topic that is deleted and made again gets a new one (KIP-516).
pub type TopicId = Uuid;

/// A topic's name.
pub type TopicName = Arc<str>;

/// Why no topic can have that name, if none can.
#[must_use]
pub fn topic_name_fault(name: &str) -> Option<&'static str> {
    const MAX_BYTES: usize = 249;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || matches!(name, "." | "..") || name.len() > MAX_BYTES {
        return Some("no legal topic name");
    }
    let message = "a topic name has only letters, digits, '.', '_' and '-'";
    (!name.chars().all(legal)).then_some(message)
}

/// A partition of a topic with that identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId {
    pub topic: TopicId,
    pub partition: i32,
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// How a request names a topic: newer versions of Kafka's APIs by identity, older ones by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopicRef {
    Name(TopicName),
    Id(TopicId),
}

/// Where a process listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    pub host: Arc<str>,
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_survives_its_bytes() {
        let id = Uuid([1, 0x8000_0000, u32::MAX, 7]);
        assert_eq!(Uuid::from_bytes(id.to_bytes()), id);
        assert_eq!(alloc::format!("{id}"), "0000000180000000ffffffff00000007");
    }

    #[test]
    fn a_connection_knows_its_owner() {
        assert_eq!(ConnId::outbound(3, 9).space(), 3);
        assert_eq!(ConnId::inbound(9).space(), 0);
        assert_ne!(ConnId::outbound(3, 9), ConnId::outbound(4, 9));
    }
}
