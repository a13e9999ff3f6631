//! The disk of one process: small files, logs, and what a crash leaves of both.

mod batches;
mod log;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use seedlog::ids::{LogId, Offset};
use seedlog::machine::{FileKey, LogName, Survived};
use seedlog::time::{Duration, Instant};

use self::log::DiskLog;
use super::event::Event;
use super::fault::{Fault, Ratio, Span};
use super::seed::Draw;

/// How a disk behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskFaults {
    /// Time of a flush, of a save and of a load.
    pub flush: Span,
    pub save: Span,
    pub load: Span,
    /// How often a write or a flush fails with EIO.
    pub error: Ratio,
    /// After how long the kernel writes a dirty page back by itself; none: never.
    pub writeback: Option<Duration>,
    /// Checkpoint files are replaced in place and not flushed, so that a crash may tear them
    /// (`Defect::CheckpointNotFsynced`). Off: a save is atomic and durable.
    pub torn_saves: bool,
}

impl Default for DiskFaults {
    fn default() -> Self {
        DiskFaults {
            flush: Span::new(Duration::from_micros(200), Duration::from_millis(2)),
            save: Span::new(Duration::from_micros(200), Duration::from_millis(2)),
            load: Span::new(Duration::from_micros(50), Duration::from_micros(500)),
            error: Ratio::NEVER,
            writeback: Some(Duration::from_secs(30)),
            torn_saves: false,
        }
    }
}

/// What a power loss leaves of the writes that were not flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PowerLoss {
    /// Any prefix of each log's writes, drawn; the next batch may be torn.
    Drawn,
    /// Only what was flushed.
    KeepNothing,
    /// All of it.
    KeepAll,
    /// A drawn prefix, and for sure a part of the batch behind it if there is one.
    Torn,
}

/// How a process ends, as its disk sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The page cache lives on.
    Process,
    Power(PowerLoss),
}

#[derive(Clone, Debug, Default)]
pub struct Disk {
    files: BTreeMap<FileKey, Bytes>,
    logs: BTreeMap<LogId, DiskLog>,
    /// Saves under way, oldest first; no value: the file was deleted meanwhile.
    saves: VecDeque<(FileKey, Option<Bytes>)>,
    /// When the last save or load under way ends.
    busy_until: Instant,
    /// Checkpoint files that were saved and not flushed, and when: only with `torn_saves`.
    unflushed_files: BTreeMap<FileKey, Instant>,
    /// The most writes that a removed log had seen.
    removed_writes: u64,
    /// Which life of the disk this is: pending work of an earlier one is lost.
    pub(super) life: u32,
    pub(super) is_stalled: bool,
    pub(super) is_full: bool,
    /// Directed errors to come.
    pub(super) fails: Vec<Option<LogId>>,
    /// Logs of which a write failed and whose process has not been told yet. A driver that met an
    /// error writes nothing behind it, so that no hole is left in the middle of a log.
    pub(super) fenced: Vec<LogId>,
    /// What ended while the disk stalled.
    pub(super) waiting: Vec<Event>,
}

/// Looking.
impl Disk {
    /// A file's content as a process that starts now would find it.
    #[must_use]
    pub fn file(&self, file: FileKey) -> Option<&Bytes> {
        self.files.get(&file)
    }

    /// All logs by id.
    pub fn logs(&self) -> impl Iterator<Item = (LogId, &Arc<LogName>)> {
        self.logs.iter().map(|(id, log)| (*id, &log.name))
    }

    /// The stored batches of a log, with the base offsets under which they were appended; none if
    /// there is no such log.
    pub fn batches(&self, log: LogId) -> impl Iterator<Item = (Offset, &Bytes)> {
        let log = self.logs.get(&log);
        log.into_iter().flat_map(|log| log.batches.iter().map(|one| (one.base, &one.bytes)))
    }

    /// The empty disk that takes the place of a wiped one; it is as full and as slow.
    pub(super) fn blank(old: &Disk) -> Disk {
        Disk {
            life: old.life.wrapping_add(1),
            is_stalled: old.is_stalled,
            is_full: old.is_full,
            ..Disk::default()
        }
    }

    pub(super) fn survived(&self) -> Survived {
        Survived {
            files: self.files.iter().map(|(key, value)| (*key, value.clone())).collect(),
            logs: self.logs.iter().map(|(id, log)| log.survived(*id)).collect(),
        }
    }
}

/// Files.
impl Disk {
    pub(super) fn format(&mut self, file: FileKey, content: Bytes) {
        self.files.insert(file, content);
    }

    /// Begins a save that takes `time`; answers when it ends.
    pub(super) fn save(
        &mut self,
        now: Instant,
        time: Duration,
        file: FileKey,
        value: Bytes,
    ) -> Instant {
        self.saves.push_back((file, Some(value)));
        self.busy(now, time)
    }

    /// Loads and saves end in their order.
    pub(super) fn busy(&mut self, now: Instant, time: Duration) -> Instant {
        self.busy_until = self.busy_until.max(now + time);
        self.busy_until
    }

    /// The oldest save under way ends.
    pub(super) fn saved(&mut self, now: Instant, file: FileKey, faults: &DiskFaults) {
        let (key, value) = self.saves.pop_front().expect("a save that ends was under way");
        assert_eq!(key, file, "saves end in their order");
        let Some(value) = value else { return };
        self.files.insert(file, value);
        if faults.torn_saves && is_checkpoint(file) {
            self.unflushed_files.insert(file, now);
        }
    }

    /// A save that fails leaves the old or the new content.
    pub(super) fn save_failed(&mut self, file: FileKey, value: Bytes, rng: &mut impl Draw) {
        if rng.chance(1, 2) {
            self.files.insert(file, value);
        }
    }

    pub(super) fn delete(&mut self, file: FileKey) {
        self.files.remove(&file);
        self.unflushed_files.remove(&file);
        for (_, value) in self.saves.iter_mut().filter(|(pending, _)| *pending == file) {
            *value = None;
        }
    }
}

/// Logs. Reads and writes of a log that does not exist are bugs of the process.
impl Disk {
    /// An empty log; one of the same id that was there is removed.
    pub(super) fn create(&mut self, log: LogId, name: Arc<LogName>) {
        self.remove(log);
        self.logs.insert(log, DiskLog::new(name, self.removed_writes));
    }

    pub(super) fn remove(&mut self, log: LogId) {
        if let Some(old) = self.logs.remove(&log) {
            self.removed_writes = self.removed_writes.max(old.writes);
        }
    }

    pub(super) fn append(
        &mut self,
        now: Instant,
        log: LogId,
        base: Offset,
        bytes: Bytes,
        faults: &DiskFaults,
    ) {
        let log = self.log(log);
        if let Some(age) = faults.writeback {
            log.written_back(now, age);
        }
        log.append(now, base, bytes);
    }

    pub(super) fn truncate(&mut self, now: Instant, log: LogId, to: Offset) {
        self.log(log).truncate(now, to);
    }

    pub(super) fn trim(&mut self, now: Instant, log: LogId, to: Offset) {
        self.log(log).trim(now, to);
    }

    pub(super) fn rewrite(&mut self, log: LogId, from: Offset, to: Offset, batches: &[Bytes]) {
        let new: Vec<(Offset, Bytes)> =
            batches.iter().map(|bytes| (base_of(bytes).unwrap_or(from), bytes.clone())).collect();
        self.log(log).rewrite(from, to, &new);
    }

    /// Begins a flush; answers when it ends and which writes it will have made durable.
    pub(super) fn flush(&mut self, now: Instant, time: Duration, log: LogId) -> (Instant, u64) {
        let log = self.log(log);
        log.busy_until = log.busy_until.max(now + time);
        (log.busy_until, log.writes)
    }

    /// A flush ends. The log may be gone by now.
    pub(super) fn flushed(&mut self, log: LogId, writes: u64) {
        if let Some(log) = self.logs.get_mut(&log) {
            log.flushed(writes);
        }
    }

    /// Batches with `from <= base < to`.
    pub(super) fn read(&self, log: LogId, from: Offset, to: Offset) -> Vec<Bytes> {
        let Some(log) = self.logs.get(&log) else { return Vec::new() };
        let range = log.batches.from(from).take_while(|stored| stored.base < to);
        range.map(|stored| stored.bytes.clone()).collect()
    }

    /// Batches from the one that holds `from`, up to a size, but at least one.
    pub(super) fn load(&self, log: LogId, from: Offset, max_bytes: u32) -> Arc<[Bytes]> {
        let Some(log) = self.logs.get(&log) else { return Arc::new([]) };
        let first = log.batches.iter().take_while(|stored| stored.base <= from).last();
        let first = first.map_or(from, |stored| stored.base);
        let mut size = 0;
        let max_bytes = usize::try_from(max_bytes).expect("32 bits fit");
        let fits = |bytes: &&Bytes| {
            let is_first = size == 0;
            size += bytes.len();
            is_first || size <= max_bytes
        };
        log.batches.from(first).map(|stored| &stored.bytes).take_while(fits).cloned().collect()
    }

    fn log(&mut self, log: LogId) -> &mut DiskLog {
        self.logs.get_mut(&log).expect("a process writes only to logs that it has created")
    }
}

/// Ends and decay.
impl Disk {
    /// The process, or its machine, is no more; tells what that did.
    pub(super) fn end(
        &mut self,
        now: Instant,
        end: End,
        faults: &DiskFaults,
        rng: &mut impl Draw,
    ) -> Vec<Fault> {
        let mut delivered = self.end_saves(faults, rng);
        self.fails.clear();
        let End::Power(keeps) = end else { return delivered };
        self.life = self.life.wrapping_add(1);
        self.waiting.clear();
        for log in self.logs.values_mut() {
            if let Some(age) = faults.writeback {
                log.written_back(now, age);
            }
            delivered.extend(log.power_loss(keeps, rng));
            log.busy_until = now;
        }
        for (file, at) in std::mem::take(&mut self.unflushed_files) {
            let is_old = faults.writeback.is_some_and(|age| now.since(at) > age);
            if !is_old && keeps != PowerLoss::KeepAll && self.tear(file, rng) {
                delivered.push(Fault::TornFile);
            }
        }
        delivered
    }

    /// Of the saves under way, any prefix has happened; the next one may be torn.
    fn end_saves(&mut self, faults: &DiskFaults, rng: &mut impl Draw) -> Vec<Fault> {
        let mut delivered = Vec::new();
        self.busy_until = Instant::ZERO;
        self.waiting.retain(|event| !matches!(event, Event::Saved { .. }));
        if self.saves.is_empty() {
            return delivered;
        }
        let landed = rng.place(self.saves.len() + 1);
        for (index, (file, value)) in std::mem::take(&mut self.saves).into_iter().enumerate() {
            let Some(value) = value else { continue };
            let tears = index == landed && faults.torn_saves && is_checkpoint(file);
            if index < landed || tears {
                self.files.insert(file, value);
            }
            if tears && self.tear(file, rng) {
                delivered.push(Fault::TornFile);
            }
        }
        delivered
    }

    /// Keeps a part of a file only.
    fn tear(&mut self, file: FileKey, rng: &mut impl Draw) -> bool {
        let Some(value) = self.files.get_mut(&file).filter(|value| !value.is_empty()) else {
            return false;
        };
        *value = value.slice(..rng.place(value.len()));
        true
    }

    /// Flips a bit of a stored batch: of the one at `base`, or of any.
    pub(super) fn rot(&mut self, log: LogId, base: Option<Offset>, rng: &mut impl Draw) -> bool {
        let Some(log) = self.logs.get_mut(&log) else { return false };
        let index = match base {
            Some(base) => log.batches.iter().position(|stored| stored.base == base),
            None => match log.batches.iter().count() {
                0 => None,
                count => Some(rng.place(count)),
            },
        };
        let Some((index, stored)) =
            index.and_then(|index| log.batches.iter().enumerate().nth(index))
        else {
            return false;
        };
        let rotten = place_to_flip(&stored.bytes, rng)
            .and_then(|(byte, bit)| flip_at(&stored.bytes, byte, bit));
        let Some(rotten) = rotten else { return false };
        log.batches.set(index, rotten);
        true
    }
}

/// The files that Kafka calls checkpoints: what they say can be found out again.
fn is_checkpoint(file: FileKey) -> bool {
    match file {
        FileKey::HighWatermarks
        | FileKey::LeaderEpochs(_)
        | FileKey::Producers(_)
        | FileKey::LogStart(_) => true,
        FileKey::MetaProperties
        | FileKey::QuorumState
        | FileKey::Snapshot
        | FileKey::CleanShutdown => false,
    }
}

fn base_of(batch: &[u8]) -> Option<Offset> {
    let bytes = batch.get(..8)?;
    Some(Offset(i64::from_be_bytes(bytes.try_into().expect("a range of eight bytes"))))
}

/// Where the part of a batch begins that its checksum protects, counting the magic byte and the
/// checksum: Kafka cannot notice a flip of the base offset or of the leader epoch before it.
const PROTECTED: usize = 16;

/// Draws a byte of the protected part of a batch, and a bit of it; none if it has no such part.
pub(super) fn place_to_flip(batch: &Bytes, rng: &mut impl Draw) -> Option<(usize, u64)> {
    let len = batch.len().checked_sub(PROTECTED).filter(|len| *len > 0)?;
    Some((PROTECTED + rng.place(len), rng.under(8)))
}

/// A copy with that bit flipped; none if the batch is shorter.
pub(super) fn flip_at(batch: &Bytes, byte: usize, bit: u64) -> Option<Bytes> {
    let mut copy = batch.to_vec();
    *copy.get_mut(byte)? ^= 1 << bit;
    Some(copy.into())
}
