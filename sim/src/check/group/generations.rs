//! Generations of classic groups, and epochs of those of KIP-848, read from the committed log
//! itself: R10. A member that asks for its part of a generation gets what the log has of it: G2.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use seedlog::coordinator::schema::{Corrupt, Reader};
use seedlog::message::group::SyncGroupRequest;
use seedlog::record::records;

use super::super::ghost::GhostBatch;
use super::super::tally::{Check, Tally};

/// The epoch of a static member that is away and will come back.
const AWAY: i32 = -2;

/// The committed log of `__consumer_offsets`, as far as membership goes. A group that was removed
/// may begin again.
#[derive(Clone, Debug, Default)]
pub struct Generations {
    classic: BTreeMap<Arc<str>, Round>,
    consumer: BTreeMap<Arc<str>, Epochs>,
}

/// What the last round of a classic group came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Round {
    generation: i32,
    /// What each place was given. A static member's place is its instance (KIP-345).
    given: BTreeMap<Arc<str>, Bytes>,
}

#[derive(Clone, Debug, Default)]
struct Epochs {
    group: i32,
    target: i32,
    targets: BTreeMap<Arc<str>, Bytes>,
    members: BTreeMap<Arc<str>, i32>,
}

/// One record of a group.
enum Change {
    Classic(Option<Round>),
    Group(Option<i32>),
    Target(Option<i32>),
    MemberTarget(Arc<str>, Option<Bytes>),
    Member(Arc<str>, Option<i32>),
}

impl Generations {
    /// A data batch of a shard was committed.
    pub fn written(&mut self, batch: &GhostBatch, tally: &mut Tally) {
        // Groups whose members shall have something else, until their target epoch comes.
        let mut moved: Option<Arc<str>> = None;
        for record in records(&batch.bytes).unwrap_or_default() {
            let Some(key) = record.key else { continue };
            let Ok(Some((group, change))) = read(&key, record.value.as_deref()) else { continue };
            match change {
                Change::Classic(None) => {
                    self.classic.remove(&group);
                }
                Change::Classic(Some(round)) => self.round(group, round, tally),
                Change::Group(None) => {
                    self.consumer.remove(&group);
                }
                Change::Group(Some(epoch)) => {
                    let known = &mut self.consumer.entry(Arc::clone(&group)).or_default().group;
                    rises((&*group, "the group"), known, epoch, true, tally);
                }
                Change::Target(None) => {}
                Change::Target(Some(epoch)) => {
                    let known = &mut self.consumer.entry(Arc::clone(&group)).or_default().target;
                    let anew = moved.take_if(|moved| *moved == group).is_some();
                    rises((&*group, "the target"), known, epoch, anew, tally);
                }
                Change::MemberTarget(member, target) => {
                    let targets = &mut self.consumer.entry(Arc::clone(&group)).or_default().targets;
                    let Some(target) = target else {
                        targets.remove(&member);
                        continue;
                    };
                    let old = targets.insert(member, target.clone());
                    if old.is_some_and(|old| old != target) {
                        moved = Some(group);
                    }
                }
                Change::Member(member, epoch) => self.member(&group, &member, epoch, tally),
            }
        }
        if let Some(group) = moved {
            tally.expect(Check::EpochsMonotone, false, || {
                format!("group {group:?}: members shall have something else in the same epoch")
            });
        }
    }

    fn round(&mut self, group: Arc<str>, round: Round, tally: &mut Tally) {
        let known = self.classic.get(&group);
        let holds = known.is_none_or(|known| {
            known.generation < round.generation
                || (known.generation == round.generation && known.given == round.given)
        });
        tally.expect(Check::EpochsMonotone, holds, || {
            format!("group {group:?}: after {known:?} its log says {round:?}")
        });
        self.classic.insert(group, round);
    }

    fn member(
        &mut self,
        group: &Arc<str>,
        member: &Arc<str>,
        epoch: Option<i32>,
        tally: &mut Tally,
    ) {
        let members = &mut self.consumer.entry(Arc::clone(group)).or_default().members;
        match epoch {
            None => {
                members.remove(member);
            }
            Some(AWAY) => {}
            Some(epoch) => {
                let known = members.entry(Arc::clone(member)).or_default();
                rises((&**group, &format!("member {member:?}")), known, epoch, false, tally);
            }
        }
    }

    /// A member was told what it was given.
    pub fn check_synced(&self, asked: &SyncGroupRequest, given: &Bytes, tally: &mut Tally) {
        let Some(round) = self.classic.get(&asked.group) else { return };
        let place = asked.instance.as_ref().unwrap_or(&asked.member);
        let holds = round.generation == asked.generation && round.given.get(place) == Some(given);
        tally.expect(Check::NoTwoBelievers, holds, || {
            format!(
                "group {:?}: {place} asks for its part of generation {} and gets {given:?}, but \
                 the log has {round:?}",
                asked.group, asked.generation
            )
        });
    }
}

/// An epoch in the log follows that which was there.
fn rises(
    (group, what): (&str, &str),
    known: &mut i32,
    epoch: i32,
    strictly: bool,
    tally: &mut Tally,
) {
    let holds = if strictly { epoch > *known } else { epoch >= *known };
    tally.expect(Check::EpochsMonotone, holds, || {
        format!("group {group:?}: {what} was in epoch {known}, and now its log says {epoch}")
    });
    *known = epoch;
}

/// Reads GroupMetadata (2), and of KIP-848 ConsumerGroupMetadata (3), TargetAssignmentMetadata (6),
/// TargetAssignmentMember (7) and CurrentMemberAssignment (8); none for records of other kinds.
fn read(key: &[u8], value: Option<&[u8]>) -> Result<Option<(Arc<str>, Change)>, Corrupt> {
    let mut key = Reader::new(key);
    let kind = key.i16()?;
    let change: fn(&mut Reader<'_>, Option<&[u8]>) -> Result<Change, Corrupt> = match kind {
        2 => |_, value| Ok(Change::Classic(value.map(round).transpose()?)),
        3 => |_, value| Ok(Change::Group(value.map(epoch).transpose()?)),
        6 => |_, value| Ok(Change::Target(value.map(epoch).transpose()?)),
        7 => {
            |key, value| Ok(Change::MemberTarget(key.string()?, value.map(Bytes::copy_from_slice)))
        }
        8 => |key, value| Ok(Change::Member(key.string()?, value.map(epoch).transpose()?)),
        _ => return Ok(None),
    };
    let group = key.string()?;
    Ok(Some((group, change(&mut key, value)?)))
}

/// The epoch that a value begins with.
fn epoch(value: &[u8]) -> Result<i32, Corrupt> {
    let mut value = Reader::new(value);
    let _version = value.i16()?;
    value.i32()
}

/// GroupMetadataValue, version 3.
fn round(value: &[u8]) -> Result<Round, Corrupt> {
    let mut value = Reader::new(value);
    if value.i16()? != 3 {
        return Err(Corrupt);
    }
    let _protocol_type = value.string()?;
    let generation = value.i32()?;
    let (_protocol, _leader, _since) = (value.nullable()?, value.nullable()?, value.i64()?);
    let mut given = BTreeMap::new();
    for _ in 0..value.length()? {
        let (member, instance) = (value.string()?, value.nullable()?);
        let (_client, _host) = (value.string()?, value.string()?);
        let (_rebalance, _session) = (value.i32()?, value.i32()?);
        let _subscription = value.blob()?;
        given.insert(instance.unwrap_or(member), value.blob()?);
    }
    Ok(Round { generation, given })
}
