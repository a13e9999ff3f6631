//! One log on a disk: what is in the page cache, and how to take back what was not flushed.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use seedlog::ids::Offset;
use seedlog::machine::{LogName, SurvivedLog};
use seedlog::time::{Duration, Instant};

use super::PowerLoss;
use super::batches::{Batches, Stored};
use crate::world::fault::Fault;
use crate::world::seed::Draw;

#[derive(Clone, Debug)]
pub(super) struct DiskLog {
    pub(super) name: Arc<LogName>,
    pub(super) batches: Batches,
    /// Takes back the writes that are not durable, oldest first.
    undo: VecDeque<Undo>,
    /// Writes ever made, and how many of them are durable.
    pub(super) writes: u64,
    durable: u64,
    /// When the last flush under way ends.
    pub(super) busy_until: Instant,
}

/// What took place at or before `at`, and how to take it back.
#[derive(Clone, Debug)]
struct Undo {
    at: Instant,
    change: Change,
}

#[derive(Clone, Debug)]
enum Change {
    /// So many batches were appended.
    Appends(u64),
    /// These were taken off the end, in order.
    Truncate(Vec<Stored>),
    /// These were taken off the beginning, in order.
    Trim(Vec<Stored>),
}

impl Undo {
    /// How many writes it covers.
    fn writes(&self) -> u64 {
        match &self.change {
            Change::Appends(count) => *count,
            Change::Truncate(_) | Change::Trim(_) => 1,
        }
    }
}

/// Appends this close to each other share an entry.
const GRAIN: Duration = Duration::from_secs(1);

impl DiskLog {
    /// An empty log. Its writes count on from `writes`, so that a flush of a log that was there
    /// before it cannot be taken for one of its own.
    pub(super) fn new(name: Arc<LogName>, writes: u64) -> Self {
        DiskLog {
            name,
            batches: Batches::default(),
            undo: VecDeque::new(),
            writes,
            durable: writes,
            busy_until: Instant::ZERO,
        }
    }

    pub(super) fn append(&mut self, now: Instant, base: Offset, bytes: Bytes) {
        self.batches.push(Stored { base, bytes });
        self.writes += 1;
        if let Some(Undo { at, change: Change::Appends(count) }) = self.undo.back_mut()
            && now.since(*at) < GRAIN
        {
            *count += 1;
            return;
        }
        self.undo.push_back(Undo { at: now, change: Change::Appends(1) });
    }

    pub(super) fn truncate(&mut self, now: Instant, to: Offset) {
        let mut gone = Vec::new();
        while self.batches.last().is_some_and(|last| last.base >= to) {
            gone.extend(self.batches.pop());
        }
        gone.reverse();
        self.writes += 1;
        self.undo.push_back(Undo { at: now, change: Change::Truncate(gone) });
    }

    pub(super) fn trim(&mut self, now: Instant, to: Offset) {
        let gone = self.batches.pop_front_while(|stored| end_of(stored) <= to);
        if !gone.is_empty() {
            self.writes += 1;
            self.undo.push_back(Undo { at: now, change: Change::Trim(gone) });
        }
    }

    /// Replaces sealed batches, as Kafka's cleaner does: new files, flushed, then renamed.
    pub(super) fn rewrite(&mut self, from: Offset, to: Offset, new: &[(Offset, Bytes)]) {
        let old: Vec<Stored> = self.batches.iter().cloned().collect();
        let kept_before = old.iter().take_while(|stored| stored.base < from);
        let behind = old.iter().skip_while(|stored| stored.base < to);
        let open = u64::try_from(behind.clone().count()).expect("a count fits");
        let new = new.iter().map(|(base, bytes)| Stored { base: *base, bytes: bytes.clone() });
        self.batches.replace(kept_before.cloned().chain(new).chain(behind.cloned()));
        // What lies below was flushed when its segment was sealed; only the appends behind remain.
        let mut appends = 0;
        let mut at = Instant::ZERO;
        while let Some(Undo { at: last, change: Change::Appends(count) }) = self.undo.back() {
            appends += count;
            at = at.max(*last);
            self.undo.pop_back();
        }
        self.undo.clear();
        let appends = appends.min(open);
        self.durable = self.writes - appends;
        if appends > 0 {
            self.undo.push_back(Undo { at, change: Change::Appends(appends) });
        }
    }

    /// The first `writes` writes are durable.
    pub(super) fn flushed(&mut self, writes: u64) {
        while self.durable < writes {
            let Some(oldest) = self.undo.front_mut() else { break };
            let missing = writes - self.durable;
            let covered = oldest.writes();
            if let Change::Appends(count) = &mut oldest.change
                && *count > missing
            {
                *count -= missing;
                self.durable += missing;
                return;
            }
            self.durable += covered;
            self.undo.pop_front();
        }
    }

    /// What is older than `age` is durable: the kernel has written it back.
    pub(super) fn written_back(&mut self, now: Instant, age: Duration) {
        while let Some(oldest) = self.undo.front()
            && now.since(oldest.at) > age + GRAIN
        {
            self.durable += oldest.writes();
            self.undo.pop_front();
        }
    }

    /// Leaves what a power loss leaves; tells which faults that were.
    pub(super) fn power_loss(&mut self, keeps: PowerLoss, rng: &mut impl Draw) -> Vec<Fault> {
        let unflushed = self.writes - self.durable;
        if unflushed == 0 {
            return Vec::new();
        }
        let (kept, tears) = match keeps {
            PowerLoss::KeepAll => (unflushed, false),
            PowerLoss::KeepNothing => (0, false),
            PowerLoss::Drawn => (rng.under(unflushed + 1), rng.chance(1, 2)),
            PowerLoss::Torn => (rng.under(unflushed), true),
        };
        let mut faults = Vec::new();
        let mut first_lost = None;
        for _ in kept..unflushed {
            first_lost = self.take_back();
        }
        if kept < unflushed {
            faults.push(Fault::LostWrites);
        }
        if kept > 0 {
            faults.push(Fault::UnackedWrite);
        }
        if tears
            && let Some(stored) = first_lost
            && stored.bytes.len() > 1
        {
            let len = 1 + rng.place(stored.bytes.len() - 1);
            self.batches.push(Stored { base: stored.base, bytes: stored.bytes.slice(..len) });
            faults.push(Fault::TornWrite);
        }
        self.undo.clear();
        self.durable = self.writes;
        faults
    }

    /// Takes the last write back; gives the batch if it was an append.
    fn take_back(&mut self) -> Option<Stored> {
        let last = self.undo.back_mut()?;
        match &mut last.change {
            Change::Appends(count) => {
                *count -= 1;
                if *count == 0 {
                    self.undo.pop_back();
                }
                self.batches.pop()
            }
            Change::Truncate(gone) => {
                let gone = std::mem::take(gone);
                gone.into_iter().for_each(|stored| self.batches.push(stored));
                self.undo.pop_back();
                None
            }
            Change::Trim(gone) => {
                let gone = std::mem::take(gone);
                let rest: Vec<Stored> = self.batches.iter().cloned().collect();
                self.batches.replace(gone.into_iter().chain(rest));
                self.undo.pop_back();
                None
            }
        }
    }

    pub(super) fn survived(&self, log: seedlog::ids::LogId) -> SurvivedLog {
        let chunks = self.batches.iter().map(|stored| stored.bytes.clone()).collect();
        SurvivedLog { log, name: Arc::clone(&self.name), chunks }
    }
}

/// Where the field `lastOffsetDelta` of a batch lies.
const LAST_OFFSET_DELTA: std::ops::Range<usize> = 23..27;

/// The offset after a batch's last record; after its base if its header is torn.
fn end_of(stored: &Stored) -> Offset {
    let delta = stored.bytes.get(LAST_OFFSET_DELTA).map_or(0, |bytes| {
        i32::from_be_bytes(bytes.try_into().expect("a range of four bytes")).max(0)
    });
    stored.base + i64::from(delta) + 1
}

#[cfg(test)]
mod tests {
    use seedlog::rng::Rng;

    use super::*;

    fn batch(number: u8) -> Bytes {
        Bytes::from(vec![number; 10])
    }

    fn log() -> DiskLog {
        DiskLog::new(Arc::new(LogName::Metadata), 0)
    }

    fn bases(log: &DiskLog) -> Vec<i64> {
        log.batches.iter().map(|stored| stored.base.0).collect()
    }

    fn written(log: &mut DiskLog) {
        for base in 0..5 {
            log.append(Instant::ZERO, Offset(base), batch(1));
        }
        log.flushed(3);
        log.truncate(Instant::ZERO, Offset(2));
        log.append(Instant::ZERO, Offset(2), batch(2));
        log.trim(Instant::ZERO, Offset(1));
    }

    #[test]
    fn a_power_loss_leaves_the_writes_in_order_up_to_some_point() {
        // Writes after the flush: append 3, append 4, truncate to 2, append 2', trim to 1.
        let expected: [&[i64]; 6] =
            [&[0, 1, 2], &[0, 1, 2, 3], &[0, 1, 2, 3, 4], &[0, 1], &[0, 1, 2], &[1, 2]];
        for (kept, bases_left) in expected.into_iter().enumerate() {
            let mut log = log();
            written(&mut log);
            for _ in kept..5 {
                log.take_back();
            }
            assert_eq!(bases(&log), bases_left, "{kept} writes kept");
        }
    }

    #[test]
    fn keep_nothing_goes_back_to_the_flush_and_keep_all_loses_nothing() {
        let (mut nothing, mut all) = (log(), log());
        written(&mut nothing);
        written(&mut all);
        let mut rng = Rng::from_number(1);
        assert_eq!(nothing.power_loss(PowerLoss::KeepNothing, &mut rng), [Fault::LostWrites]);
        assert_eq!(all.power_loss(PowerLoss::KeepAll, &mut rng), [Fault::UnackedWrite]);
        assert_eq!(bases(&nothing), [0, 1, 2]);
        assert_eq!(bases(&all), [1, 2]);
        assert_eq!(nothing.power_loss(PowerLoss::KeepNothing, &mut rng), []);
    }

    #[test]
    fn a_torn_write_is_a_true_prefix_of_the_first_one_lost() {
        for seed in 0..20 {
            let mut log = log();
            (0..3).for_each(|base| log.append(Instant::ZERO, Offset(base), batch(7)));
            log.flushed(1);
            let faults = log.power_loss(PowerLoss::Torn, &mut Rng::from_number(seed));
            assert!(faults.contains(&Fault::TornWrite) && faults.contains(&Fault::LostWrites));
            let last = log.batches.last().expect("a torn batch").clone();
            assert!((1..10).contains(&last.bytes.len()));
            assert_eq!(last.base.0, i64::try_from(bases(&log).len()).expect("few") - 1);
        }
    }

    #[test]
    fn old_pages_are_durable_without_a_flush() {
        let mut log = log();
        let at = |secs| Instant::ZERO + Duration::from_secs(secs);
        log.append(at(0), Offset(0), batch(1));
        log.append(at(40), Offset(1), batch(1));
        log.written_back(at(60), Duration::from_secs(30));
        log.power_loss(PowerLoss::KeepNothing, &mut Rng::from_number(1));
        assert_eq!(bases(&log), [0]);
    }

    #[test]
    fn a_rewrite_is_durable_and_the_open_end_is_not() {
        let mut log = log();
        (0..4).for_each(|base| log.append(Instant::ZERO, Offset(base), batch(1)));
        log.rewrite(Offset(0), Offset(3), &[(Offset(1), batch(9))]);
        assert_eq!(bases(&log), [1, 3]);
        log.power_loss(PowerLoss::KeepNothing, &mut Rng::from_number(1));
        assert_eq!(bases(&log), [1]);
    }
}
