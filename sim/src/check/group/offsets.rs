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
use super::reigns::Said;

/// Commits remembered of each partition of each group.
const REMEMBERED: usize = 64;

/// A group's partition.
pub type Key = (Arc<str>, Named);

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
    recent: VecDeque<Held>,
    /// The newest place and the highest offset among what was forgotten.
    forgotten: Option<Commit>,
    /// The event up to which nothing was committed.
    began: u64,
    /// What each of its coordinators said first, and what last.
    said: Said<(Arc<OffsetNote>, Arc<OffsetNote>)>,
}

/// A commit, from the event that brought it to the event that replaced it.
#[derive(Clone, Copy, Debug)]
struct Held {
    commit: Commit,
    since: u64,
    until: u64,
}

/// An offset, and where its record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Commit {
    /// [`Offset::NONE`]: removed.
    offset: Offset,
    at: Offset,
}

impl Kept {
    fn apply(&mut self, commit: Commit, event: u64) {
        // KAFKA-14505: a marker says that an offset holds, not when it was said.
        if self.now.is_some_and(|now| now.at > commit.at) {
            let last = self.recent.len() - 1;
            self.recent.insert(last, Held { commit, since: event, until: event });
        } else {
            match self.recent.back_mut() {
                Some(last) => last.until = event,
                None => self.began = event,
            }
            self.now = Some(commit);
            self.recent.push_back(Held { commit, since: event, until: u64::MAX });
        }
        if self.recent.len() > REMEMBERED
            && let Some(Held { commit: old, .. }) = self.recent.pop_front()
        {
            let past = self.forgotten.get_or_insert(old);
            *past = Commit { offset: past.offset.max(old.offset), at: past.at.max(old.at) };
        }
    }

    /// Whether the log says so, or said so too long ago to be remembered: what is above everything
    /// forgotten is judged.
    fn holds(&self, commit: Commit) -> bool {
        let old = self.forgotten.is_some_and(|past| commit.at <= past.at);
        old || self.recent.iter().any(|known| known.commit == commit)
    }

    /// The same, wherever in the log it is.
    fn holds_offset(&self, offset: Offset) -> bool {
        let old = self.forgotten.is_some_and(|past| offset <= past.offset);
        old || self.recent.iter().any(|known| known.commit.offset == offset)
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

fn describe(note: &OffsetNote) -> String {
    let OffsetNote { group, topic, partition, offset, member, at, shard, .. } = note;
    format!(
        "group {group:?}, {topic}-{partition}: offset {offset} of member {member:?} (record {at} \
         of __consumer_offsets-{shard})"
    )
}

/// G3. Two that follow one another, said by one coordinator or the second by its successor, which
/// has read what the first one wrote: the second is later in the log.
fn check_order(before: &OffsetNote, note: &OffsetNote, is_cut: bool, tally: &mut Tally) {
    tally.expect(Check::OffsetMonotone, note.at >= before.at, || {
        format!(
            "{} overrides the newer record {}: whoever replays the log comes to {}",
            describe(note),
            before.at,
            before.offset
        )
    });
    // A member's own commits may overtake each other on their way.
    let own = before.member == note.member || note.member.is_empty();
    // A topic that was made again begins anew.
    let removed = note.offset == Offset::NONE || before.topic_id != note.topic_id;
    let holds = own || removed || is_cut || note.offset >= before.offset;
    tally.expect(Check::OffsetMonotone, holds, || {
        format!(
            "{} falls from {}, which member {:?} had committed",
            describe(note),
            before.offset,
            before.member
        )
    });
}

impl Offsets {
    /// A data batch of a shard was committed.
    pub fn written(&mut self, shard: i32, batch: &GhostBatch, header: &BatchHeader, event: u64) {
        for record in records(&batch.bytes).unwrap_or_default() {
            let Some(key) = record.key else { continue };
            let Ok(Some((key, offset))) = read(&key, record.value.as_deref()) else { continue };
            let commit = Commit { offset, at: record.offset };
            if header.is_transactional() {
                let staged = self.staged.entry((shard, header.producer_id)).or_default();
                staged.push((key, commit));
            } else {
                if offset == Offset::NONE {
                    for staged in self.staged.values_mut() {
                        staged.retain(|(other, _)| *other != key);
                    }
                }
                self.kept.entry(key).or_default().apply(commit, event);
            }
        }
    }

    /// A marker ended a transaction on a shard. Gives what it moves, from where and to where.
    pub fn closed(
        &mut self,
        shard: i32,
        closed: &Closed,
        event: u64,
    ) -> Vec<(Named, Offset, Offset)> {
        let staged = self.staged.remove(&(shard, closed.producer)).unwrap_or_default();
        let mut moved = Vec::new();
        for (key, commit) in staged.into_iter().filter(|_| closed.commit) {
            let named = key.1.clone();
            let kept = self.kept.entry(key).or_default();
            let before = kept.now.map_or(Offset::ZERO, |now| now.offset.max(Offset::ZERO));
            moved.push((named, before, commit.offset));
            kept.apply(commit, event);
        }
        moved
    }

    /// G3, G6. A coordinator says that an offset is committed.
    pub fn noted(&mut self, note: &Arc<OffsetNote>, is_cut: bool, tally: &mut Tally) {
        let key = (Arc::clone(&note.group), (note.topic.clone(), note.partition));
        let kept = self.kept.entry(key).or_default();
        let commit = Commit { offset: note.offset, at: note.at };
        let known = kept.holds(commit);
        let check = match note.producer {
            Some(_) => Check::OffsetOutputAtomic,
            None => Check::AckedCommitDurable,
        };
        tally.expect(check, known, || {
            let what = describe(note);
            format!("{what} counts for its coordinator, but the committed log does not say so")
        });
        let reign = note.coordinator_epoch;
        if let Some((_, before)) = kept.said.upto(reign) {
            check_order(before, note, is_cut, tally);
        }
        if let Some((after, _)) = kept.said.after(reign) {
            check_order(note, after, is_cut, tally);
        }
        let said = (Arc::clone(note), Arc::clone(note));
        kept.said.say(reign, said, |(_, last), (_, new)| *last = new);
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
            let known = kept.is_some_and(|kept| kept.holds_offset(position.offset));
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

    /// Whether that was committed at some time since the event `asked`, for a topic that was made
    /// in the event `birth`.
    pub fn was(&self, key: &Key, offset: Offset, asked: u64, birth: u64) -> bool {
        let Some(kept) = self.kept.get(key) else { return offset == Offset::NONE };
        let mut own = kept.recent.iter().filter(|known| known.since >= birth);
        let began = own.clone().next().is_none_or(|first| first.since >= asked);
        let nothing = kept.began >= asked || (birth > 0 && began);
        (offset == Offset::NONE && nothing)
            || own.any(|known| known.commit.offset == offset && known.until >= asked)
    }

    /// What was committed last for a topic that was made in the event `birth`.
    pub fn since(&self, key: &Key, birth: u64) -> Option<Offset> {
        let last = self.kept.get(key)?.recent.back().filter(|known| known.since >= birth);
        last.map(|known| known.commit.offset)
    }

    /// Whether a transaction has written that offset: it waits for its marker, or counts.
    pub fn is_written(&self, group: &str, position: &Position) -> bool {
        let same = |key: &Key| {
            *key.0 == *group && key.1.0 == position.topic && key.1.1 == position.partition
        };
        let staged = self.staged.values().flatten();
        let mut staged = staged.filter(|(key, _)| same(key));
        if staged.any(|(_, commit)| commit.offset == position.offset) {
            return true;
        }
        let key = (Arc::from(group), (position.topic.clone(), position.partition));
        self.kept.get(&key).is_some_and(|kept| kept.holds_offset(position.offset))
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
