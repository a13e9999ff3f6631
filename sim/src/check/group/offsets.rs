//! What is committed for groups, read from the committed log itself: G3, G6.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use seedlog::coordinator::schema::{Corrupt, Reader};
use seedlog::event::OffsetNote;
use seedlog::ids::{Offset, ProducerId};
use seedlog::op::Position;
use seedlog::record::{BatchHeader, records};

use super::super::ghost::GhostBatch;
use super::super::tally::{Check, Tally};
use super::super::transaction::Closed;
use super::Named;

/// Commits remembered of each partition of each group.
const REMEMBERED: usize = 64;

/// A group's partition.
type Key = (Arc<str>, Named);

/// The committed log of `__consumer_offsets`, as far as offsets go.
#[derive(Clone, Debug, Default)]
pub struct Offsets {
    kept: IndexMap<Key, Kept, FxBuildHasher>,
    /// By shard and producer: what open transactions are about to commit.
    staged: BTreeMap<(i32, ProducerId), Vec<(Key, Commit)>>,
}

/// One partition's offsets.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// What a coordinator that replays the log comes to.
    now: Option<Commit>,
    /// What it was before, oldest first, `now` included.
    recent: VecDeque<Commit>,
    /// What its coordinator said last, with the member that committed it.
    said: Option<(Commit, Arc<str>)>,
}

/// An offset, and where its record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Commit {
    /// [`Offset::NONE`]: removed.
    offset: Offset,
    at: Offset,
}

impl Kept {
    fn apply(&mut self, commit: Commit) {
        // KAFKA-14505: a marker says that an offset holds, not when it was said.
        if self.now.is_some_and(|now| now.at > commit.at) {
            self.remember(commit);
            return;
        }
        self.now = Some(commit);
        self.remember(commit);
    }

    fn remember(&mut self, commit: Commit) {
        self.recent.push_back(commit);
        if self.recent.len() > REMEMBERED {
            self.recent.pop_front();
        }
    }
}

/// Reads OffsetCommitKey and OffsetCommitValue; none for records of other kinds.
fn read(key: &[u8], value: Option<&[u8]>) -> Result<Option<(Key, Offset)>, Corrupt> {
    let mut key = Reader::new(key);
    if !matches!(key.i16()?, 0 | 1) {
        return Ok(None);
    }
    let (group, topic, partition) = (key.string()?, key.string()?, key.i32()?);
    let offset = match value {
        None => Offset::NONE,
        Some(value) => {
            let mut value = Reader::new(value);
            let _version = value.i16()?;
            Offset(value.i64()?)
        }
    };
    Ok(Some(((group, (topic, partition)), offset)))
}

impl Offsets {
    /// A data batch of a shard was committed.
    pub fn written(&mut self, shard: i32, batch: &GhostBatch, header: &BatchHeader) {
        for record in records(&batch.bytes).unwrap_or_default() {
            let Some(key) = record.key else { continue };
            let Ok(Some((key, offset))) = read(&key, record.value.as_deref()) else { continue };
            let commit = Commit { offset, at: record.offset };
            if header.is_transactional() {
                let staged = self.staged.entry((shard, header.producer_id)).or_default();
                staged.push((key, commit));
            } else {
                self.kept.entry(key).or_default().apply(commit);
            }
        }
    }

    /// A marker ended a transaction on a shard.
    pub fn closed(&mut self, shard: i32, closed: &Closed) {
        let staged = self.staged.remove(&(shard, closed.producer)).unwrap_or_default();
        for (key, commit) in staged {
            if closed.commit {
                self.kept.entry(key).or_default().apply(commit);
            }
        }
    }

    /// G3, G6. A coordinator says that an offset is committed.
    pub fn noted(&mut self, note: &OffsetNote, tally: &mut Tally) {
        let key = (Arc::clone(&note.group), (note.topic.clone(), note.partition));
        let kept = self.kept.entry(key).or_default();
        let commit = Commit { offset: note.offset, at: note.at };
        let known = kept.recent.contains(&commit);
        let what = || {
            format!(
                "group {:?}, {}-{}: offset {} of member {:?} (record {} of \
                 __consumer_offsets-{})",
                note.group,
                note.topic,
                note.partition,
                note.offset,
                note.member,
                note.at,
                note.shard
            )
        };
        tally.expect(Check::AckedCommitDurable, known, || {
            format!("{} counts for its coordinator, but is not in the committed log", what())
        });
        if let Some((said, member)) = &kept.said {
            tally.expect(Check::OffsetMonotone, commit.at >= said.at, || {
                format!(
                    "{} overrides the newer record {}: whoever replays the log comes to {}",
                    what(),
                    said.at,
                    said.offset
                )
            });
            // A member's own commits may overtake each other on their way.
            let own = *member == note.member || note.member.is_empty();
            let removed = note.offset == Offset::NONE;
            let holds = own || removed || note.offset >= said.offset;
            tally.expect(Check::OffsetMonotone, holds, || {
                format!(
                    "{} falls from {}, which member {member:?} had committed",
                    what(),
                    said.offset
                )
            });
        }
        kept.said = Some((commit, Arc::clone(&note.member)));
    }

    /// G6. A client was told that its offsets are committed.
    pub fn acknowledged(
        &self,
        client: u32,
        group: &str,
        positions: &[Position],
        tally: &mut Tally,
    ) {
        for position in positions {
            let key = (Arc::from(group), (position.topic.clone(), position.partition));
            let kept = self.kept.get(&key);
            let full = kept.is_some_and(|kept| kept.recent.len() >= REMEMBERED);
            let is_it = |commit: &Commit| commit.offset == position.offset;
            let known = full || kept.is_some_and(|kept| kept.recent.iter().any(is_it));
            tally.expect(Check::AckedCommitDurable, known, || {
                format!(
                    "client {client} of group {group:?} was told that offset {} of {}-{} is \
                     committed, but it is not in the committed log: that has {:?}",
                    position.offset,
                    position.topic,
                    position.partition,
                    kept.and_then(|kept| kept.now.map(|now| now.offset))
                )
            });
        }
    }

    /// What a coordinator that replays the log comes to.
    pub fn committed(&self, group: &str, partition: &Named) -> Option<Offset> {
        let kept = self.kept.get(&(Arc::from(group), partition.clone()))?;
        kept.now.map(|now| now.offset).filter(|offset| *offset != Offset::NONE)
    }

    pub fn size(&self) -> usize {
        self.kept.values().map(|kept| kept.recent.len()).sum()
    }
}
