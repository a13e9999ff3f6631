//! Start over whatever survived: the election state, the snapshot and the log.

use alloc::vec::Vec;

use crate::defect::Defect;
use crate::ids::{LogId, LogPoint, QuorumEpoch};
use crate::machine::{Effect, Effects, FileKey, LogName, Survived, SurvivedLog};
use crate::raft::Raft;
use crate::raft::RaftEvent;
use crate::raft::election::{Ballot, Election};
use crate::raft::log::{Entry, QuorumLog};
use crate::raft::snapshot::Snapshot;
use crate::record::{self, BatchError};
use crate::time::Now;

/// What the disk holds is not what this node wrote, and as a voter it must not guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged;

/// The batches that survived, up to the first bad one.
struct Scan {
    entries: Vec<Entry>,
    end: End,
}

/// How a log that survived ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    /// In a batch that is cut short: the last write, which nobody was told about.
    Torn,
    /// In bytes that no write leaves: what was promised may be lost.
    Rotten,
}

fn scan(survived: &SurvivedLog) -> Scan {
    let mut entries: Vec<Entry> = Vec::new();
    let last = survived.chunks.len().saturating_sub(1);
    for (at, chunk) in survived.chunks.iter().enumerate() {
        let mut read = 0;
        for batch in record::batches(chunk) {
            let entry = batch.and_then(|(_, batch)| {
                let entry = Entry::new(&record::verify(&batch)?, batch);
                match entries.last() {
                    Some(last) if last.last.next() != entry.base || last.epoch > entry.epoch => {
                        Err(BatchError::OutOfOrder)
                    }
                    Some(_) | None => Ok(entry),
                }
            });
            match entry {
                Ok(entry) => {
                    read += entry.batch.len();
                    entries.push(entry);
                }
                Err(error) => {
                    let cut = error == BatchError::Truncated || is_blank(&chunk[read..]);
                    let end = if cut && at == last { End::Torn } else { End::Rotten };
                    return Scan { entries, end };
                }
            }
        }
    }
    Scan { entries, end: End::Whole }
}

/// A file grows before its data is written.
fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// The log over the snapshot, as good as the disk allows.
pub(super) fn recover_log(
    id: LogId,
    survived: Option<&SurvivedLog>,
    snapshot: Option<LogPoint>,
    voter: bool,
    out: &mut Effects,
) -> Result<QuorumLog, Damaged> {
    let point = snapshot.unwrap_or_default();
    let Some(survived) = survived else {
        out.push(Effect::Create { log: id, name: LogName::Metadata.into() });
        return Ok(QuorumLog::new(id, point));
    };
    let Scan { entries, end: tail } = scan(survived);
    let base = entries.first().map_or(point.offset, |entry| entry.base);
    let end = entries.last().map_or(point.offset, |entry| entry.last.next());
    let hole = base > point.offset;
    if voter && (tail == End::Rotten || hole) {
        return Err(Damaged);
    }
    let first = entries.iter().position(|entry| entry.base >= point.offset);
    let fits = first.is_some_and(|at| entries[at].base == point.offset) || end == point.offset;
    let mut log = QuorumLog::new(id, point);
    if hole || !fits || end < point.offset {
        log.reset(point, out);
        return Ok(log);
    }
    if tail != End::Whole {
        out.push(Effect::Truncate { log: id, to: end });
    }
    if base < point.offset {
        out.push(Effect::Trim { log: id, to: point.offset });
    }
    for entry in entries.into_iter().skip(first.unwrap_or(usize::MAX)) {
        if log.continues(&entry).is_err() {
            // The log parts from the snapshot, which is committed.
            log.reset(point, out);
            return Ok(log);
        }
        log.push(entry);
    }
    Ok(log)
}

impl Raft {
    pub(super) fn recover(
        &mut self,
        survived: &Survived,
        log: LogId,
        out: &mut Effects,
    ) -> Result<(), Damaged> {
        if let Some(file) = survived.file(FileKey::QuorumState) {
            // Who forgets a vote may give another one.
            self.ballot = Ballot::recovered(Election::decode(file).ok_or(Damaged)?);
        }
        let voter = self.me.is_some();
        let snapshot = match survived.file(FileKey::Snapshot) {
            Some(file) => match Snapshot::decode(file.clone()) {
                None if voter => return Err(Damaged),
                decoded => decoded,
            },
            None => None,
        };
        let point = snapshot.as_ref().map(|snapshot| snapshot.point);
        let old = survived.logs.iter().find(|survived| survived.log == log);
        self.log = recover_log(log, old, point, voter, out)?;
        if let (Some(point), Some(snapshot)) = (point, &snapshot) {
            self.high_watermark = point.offset;
            self.applied = point.offset;
            self.events.push_back(RaftEvent::LoadSnapshot { point, state: snapshot.state() });
        }
        self.snapshot = snapshot;
        self.make_durable(out);
        Ok(())
    }

    /// The first role of a new process.
    pub(super) fn first_role(&mut self, now: Now, out: &mut Effects) {
        let saved = self.ballot.current();
        let logged = QuorumEpoch(self.log.last().epoch.0.max(0));
        if logged > saved.epoch {
            self.become_unattached(now, logged, out);
        } else if saved.leads && self.me.is_some() {
            // KAFKA-10527: what it appended last may be lost here and known elsewhere.
            if self.defects().has(Defect::KraftLeaderResumesEpoch) {
                self.become_leader(now, out);
            } else {
                self.become_resigned(now, Vec::new(), out);
            }
        } else {
            self.become_unattached(now, saved.epoch, out);
        }
    }
}
