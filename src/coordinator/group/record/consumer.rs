//! The records of a KIP-848 group: one for each thing that changes by itself.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::coordinator::schema::{Corrupt, Reader, Writer};
use crate::ids::{TopicId, TopicName, Uuid};
use crate::time::{Duration, millis};

/// Partitions, by topic.
pub(in crate::coordinator::group) type Partitions = BTreeSet<(TopicId, i32)>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::coordinator::group) enum ConsumerRecord {
    /// ConsumerGroupMetadata (3): the group epoch.
    Epoch(Option<i32>),
    /// ConsumerGroupPartitionMetadata (4): the topics that the epoch was decided on, with how many
    /// partitions each had.
    Topics(Option<BTreeMap<TopicName, (TopicId, i32)>>),
    /// ConsumerGroupMemberMetadata (5): what a member told of itself.
    Member(Arc<str>, Option<MemberValue>),
    /// ConsumerGroupTargetAssignmentMetadata (6): the group epoch that the target is made for.
    TargetEpoch(Option<i32>),
    /// ConsumerGroupTargetAssignmentMember (7).
    Target(Arc<str>, Option<Partitions>),
    /// ConsumerGroupCurrentMemberAssignment (8).
    Current(Arc<str>, Option<CurrentValue>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::coordinator::group) struct MemberValue {
    pub instance: Option<Arc<str>>,
    pub rack: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub topics: BTreeSet<TopicName>,
    pub rebalance_timeout: Duration,
    pub assignor: Option<Arc<str>>,
}

/// Where a member stands on its way to the target (KIP-848).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::coordinator::group) enum MemberState {
    /// It has what it shall have, as of its epoch.
    #[default]
    Stable,
    /// It was told to give partitions up and has not said that it did.
    UnrevokedPartitions,
    /// It waits for partitions that others still hold.
    UnreleasedPartitions,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::coordinator::group) struct CurrentValue {
    pub epoch: i32,
    pub previous_epoch: i32,
    pub state: MemberState,
    pub assigned: Partitions,
    /// What it shall give up and may still hold.
    pub revoking: Partitions,
}

impl ConsumerRecord {
    /// Whether it removes what its key names.
    pub fn removes(&self) -> bool {
        match self {
            ConsumerRecord::Epoch(value) | ConsumerRecord::TargetEpoch(value) => value.is_none(),
            ConsumerRecord::Topics(value) => value.is_none(),
            ConsumerRecord::Member(_, value) => value.is_none(),
            ConsumerRecord::Target(_, value) => value.is_none(),
            ConsumerRecord::Current(_, value) => value.is_none(),
        }
    }

    pub fn encode(&self, group: &str, key: &mut Writer) -> Option<Vec<u8>> {
        key.i16(match self {
            ConsumerRecord::Epoch(_) => 3,
            ConsumerRecord::Topics(_) => 4,
            ConsumerRecord::Member(..) => 5,
            ConsumerRecord::TargetEpoch(_) => 6,
            ConsumerRecord::Target(..) => 7,
            ConsumerRecord::Current(..) => 8,
        });
        key.string(group);
        let mut out = Writer::new();
        out.i16(0);
        match self {
            ConsumerRecord::Epoch(epoch) | ConsumerRecord::TargetEpoch(epoch) => {
                out.i32((*epoch)?);
            }
            ConsumerRecord::Topics(topics) => write_topics(&mut out, topics.as_ref()?),
            ConsumerRecord::Member(member, value) => {
                key.string(member);
                value.as_ref()?.write(&mut out);
            }
            ConsumerRecord::Target(member, target) => {
                key.string(member);
                write_partitions(&mut out, target.as_ref()?);
            }
            ConsumerRecord::Current(member, value) => {
                key.string(member);
                value.as_ref()?.write(&mut out);
            }
        }
        out.tagged(&[]);
        Some(out.finish())
    }

    /// The group and the record of a key of that kind.
    pub fn decode(
        kind: i16,
        key: &mut Reader<'_>,
        value: Option<&[u8]>,
    ) -> Result<Option<(Arc<str>, Self)>, Corrupt> {
        if !(3..=8).contains(&kind) {
            return Ok(None);
        }
        let group = key.string()?;
        let mut value = value.map(Reader::new);
        if let Some(value) = &mut value
            && value.i16()? != 0
        {
            return Err(Corrupt);
        }
        let mut value = value.as_mut();
        let record = match kind {
            3 => ConsumerRecord::Epoch(value.map(Reader::i32).transpose()?),
            4 => ConsumerRecord::Topics(value.map(read_topics).transpose()?),
            5 => {
                let member = key.string()?;
                ConsumerRecord::Member(member, value.map(MemberValue::read).transpose()?)
            }
            6 => ConsumerRecord::TargetEpoch(value.map(Reader::i32).transpose()?),
            7 => {
                let member = key.string()?;
                let target = value.as_mut().map(|value| read_partitions(value)).transpose()?;
                ConsumerRecord::Target(member, target)
            }
            _ => {
                let member = key.string()?;
                ConsumerRecord::Current(member, value.map(CurrentValue::read).transpose()?)
            }
        };
        Ok(Some((group, record)))
    }
}

impl MemberValue {
    fn write(&self, out: &mut Writer) {
        out.compact_nullable(self.instance.as_deref());
        out.compact_nullable(self.rack.as_deref());
        out.compact_string(&self.client_id);
        out.compact_string(&self.client_host);
        out.compact_length(self.topics.len());
        for topic in &self.topics {
            out.compact_string(topic);
        }
        // No pattern.
        out.compact_nullable(None);
        out.i32(i32::try_from(millis(self.rebalance_timeout)).unwrap_or(i32::MAX));
        out.compact_nullable(self.assignor.as_deref());
    }

    fn read(value: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let (instance, rack) = (value.compact_nullable()?, value.compact_nullable()?);
        let (client_id, client_host) = (value.compact_string()?, value.compact_string()?);
        let count = value.compact_length()?;
        let topics = (0..count).map(|_| value.compact_string()).collect::<Result<_, _>>()?;
        value.compact_nullable()?;
        let timeout = u64::try_from(value.i32()?).map_err(|_| Corrupt)?;
        let rebalance_timeout = Duration::from_millis(timeout);
        let assignor = value.compact_nullable()?;
        Ok(MemberValue {
            instance,
            rack,
            client_id,
            client_host,
            topics,
            rebalance_timeout,
            assignor,
        })
    }
}

impl MemberState {
    /// Kafka's number of it.
    const fn number(self) -> i8 {
        match self {
            MemberState::Stable => 0,
            MemberState::UnrevokedPartitions => 1,
            MemberState::UnreleasedPartitions => 2,
        }
    }

    fn from_number(number: i8) -> Result<Self, Corrupt> {
        let all = [
            MemberState::Stable,
            MemberState::UnrevokedPartitions,
            MemberState::UnreleasedPartitions,
        ];
        all.into_iter().find(|state| state.number() == number).ok_or(Corrupt)
    }
}

impl CurrentValue {
    fn write(&self, out: &mut Writer) {
        out.i32(self.epoch);
        out.i32(self.previous_epoch);
        out.i8(self.state.number());
        write_partitions(out, &self.assigned);
        write_partitions(out, &self.revoking);
    }

    fn read(value: &mut Reader<'_>) -> Result<Self, Corrupt> {
        Ok(CurrentValue {
            epoch: value.i32()?,
            previous_epoch: value.i32()?,
            state: MemberState::from_number(value.i8()?)?,
            assigned: read_partitions(value)?,
            revoking: read_partitions(value)?,
        })
    }
}

fn write_topics(out: &mut Writer, topics: &BTreeMap<TopicName, (TopicId, i32)>) {
    out.compact_length(topics.len());
    for (name, (id, partitions)) in topics {
        out.raw(&id.to_bytes());
        out.compact_string(name);
        out.i32(*partitions);
        // No racks.
        out.compact_length(0);
        out.tagged(&[]);
    }
}

fn read_topics(value: &mut Reader<'_>) -> Result<BTreeMap<TopicName, (TopicId, i32)>, Corrupt> {
    let mut topics = BTreeMap::new();
    for _ in 0..value.compact_length()? {
        let id = read_uuid(value)?;
        let name = value.compact_string()?;
        topics.insert(name, (id, value.i32()?));
        for _ in 0..value.compact_length()? {
            value.i32()?;
            for _ in 0..value.compact_length()? {
                value.compact_string()?;
            }
            value.tagged()?;
        }
        value.tagged()?;
    }
    Ok(topics)
}

fn write_partitions(out: &mut Writer, partitions: &Partitions) {
    let topics = by_topic(partitions);
    out.compact_length(topics.len());
    for (topic, partitions) in topics {
        out.raw(&topic.to_bytes());
        out.compact_length(partitions.len());
        for partition in partitions {
            out.i32(partition);
        }
        out.tagged(&[]);
    }
}

fn read_partitions(value: &mut Reader<'_>) -> Result<Partitions, Corrupt> {
    let mut partitions = Partitions::new();
    for _ in 0..value.compact_length()? {
        let topic = read_uuid(value)?;
        for _ in 0..value.compact_length()? {
            partitions.insert((topic, value.i32()?));
        }
        value.tagged()?;
    }
    Ok(partitions)
}

fn read_uuid(value: &mut Reader<'_>) -> Result<Uuid, Corrupt> {
    let bytes = value.raw(16)?.try_into().expect("sixteen bytes were taken");
    Ok(Uuid::from_bytes(bytes))
}

/// Partitions as messages and records list them.
pub(in crate::coordinator::group) fn by_topic(partitions: &Partitions) -> Vec<(TopicId, Vec<i32>)> {
    let mut topics: Vec<(TopicId, Vec<i32>)> = Vec::new();
    for (topic, partition) in partitions {
        match topics.last_mut() {
            Some((last, list)) if last == topic => list.push(*partition),
            Some(_) | None => topics.push((*topic, alloc::vec![*partition])),
        }
    }
    topics
}
