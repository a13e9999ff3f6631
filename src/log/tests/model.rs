//! Random lives of a log against a plain model of its disk.

use proptest::prelude::*;

use super::*;
use crate::record::BatchHeader;

#[derive(Clone, Debug)]
enum Act {
    Append { records: i32, numbered: bool },
    NextEpoch,
    Truncate(prop::sample::Index),
    Trim(prop::sample::Index),
    Retain,
    Crash,
    Fork,
}

fn act() -> impl Strategy<Value = Act> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        12 => (1..4, any::<bool>())
            .prop_map(|(records, numbered)| Act::Append { records, numbered }),
        3 => Just(Act::NextEpoch),
        2 => index().prop_map(Act::Truncate),
        1 => index().prop_map(Act::Trim),
        1 => Just(Act::Retain),
        2 => Just(Act::Crash),
        1 => Just(Act::Fork),
    ]
}

/// A log, its disk and its only producer.
#[derive(Clone)]
struct Life {
    log: Log,
    disk: Disk,
    epoch: i32,
    clock: i64,
}

impl Life {
    fn new() -> Self {
        let set = [("segment.records", "5"), ("retention.ms", "15")];
        Life { log: new(config(&set)), disk: Disk::default(), epoch: 0, clock: 0 }
    }

    fn offset(&self, index: prop::sample::Index) -> Offset {
        let span = usize::try_from(self.log.end - self.log.start).unwrap() + 1;
        self.log.start + i64::try_from(index.index(span)).unwrap()
    }

    fn append(&mut self, records: i32, numbered: bool, out: &mut Effects) {
        self.clock += 1;
        let mut builder = Builder::new();
        if numbered {
            let producer = self.log.producers().get(ProducerId(1));
            let last = producer.and_then(|producer| producer.batches().last());
            let next = last.map_or(0, |batch| batch.last_sequence + 1);
            builder.set_producer(ProducerId(1), ProducerEpoch(0), next);
        }
        for _ in 0..records {
            builder.append(Timestamp(self.clock), Some(b"k"), Some(b"v"));
        }
        let epoch = LeaderEpoch(self.epoch);
        let end = self.log.end;
        let appended = self.log.append_as_leader(now(self.clock), epoch, &builder.build(), out);
        assert_eq!(appended.map(|appended| appended.base), Ok(end));
    }

    fn act(&mut self, act: &Act) {
        let mut out = Effects::new();
        match act {
            Act::Append { records, numbered } => self.append(*records, *numbered, &mut out),
            Act::NextEpoch => {
                self.epoch += 1;
                self.log.assign_epoch(LeaderEpoch(self.epoch), &mut out);
            }
            Act::Truncate(to) => {
                let to = self.offset(*to);
                self.log.truncate(to, &mut out);
            }
            Act::Trim(to) => {
                let to = self.offset(*to);
                self.log.trim(to, &mut out);
            }
            Act::Retain => self.log.retain(now(self.clock), self.log.end, &mut out),
            Act::Crash => {
                let mut recovered = self.disk.recover(self.log.config().clone(), &mut out);
                self.compare(&mut recovered);
                self.log = recovered;
            }
            Act::Fork => {}
        }
        self.disk.apply(&mut out);
        self.check();
    }

    /// What a crash of the process must not change.
    fn compare(&self, recovered: &mut Log) {
        let live = &self.log;
        assert_eq!(recovered.end, live.end);
        assert_eq!(recovered.start, live.start);
        assert_eq!(recovered.producers(), live.producers());
        // Epochs without records are forgotten.
        let with_records = |log: &Log| {
            let entries = log.epochs().entries().to_vec();
            entries.into_iter().filter(|entry| entry.offset < live.end).collect::<Vec<_>>()
        };
        assert_eq!(with_records(recovered), with_records(live));
    }

    fn check(&self) {
        let log = &self.log;
        log.check_all();
        let stored: Vec<_> = self
            .disk
            .batches
            .iter()
            .map(|batch| {
                let header = BatchHeader::parse(batch).unwrap();
                (header.base_offset, header.last_offset(), header.leader_epoch, batch.len())
            })
            .collect();
        let size = |batch: &BatchMeta| usize::try_from(batch.size).unwrap();
        let known: Vec<_> =
            log.batches().map(|batch| (batch.base, batch.last, batch.epoch, size(batch))).collect();
        assert_eq!(stored, known);
        // Readers step over everything from the start to the end, without a gap.
        let mut next = log.start;
        while let Some(range) = log.read(next, log.end, 200, true) {
            assert!(range.from <= next && next < range.to);
            next = range.to;
        }
        assert_eq!(next, log.end);
        for (_, last, epoch, _) in known.iter().filter(|(_, last, ..)| *last >= log.start) {
            assert_eq!(log.epoch_at(*last), Some(*epoch));
        }
    }
}

proptest! {
    #[test]
    fn a_log_is_what_its_disk_holds_through_crashes_and_forks(
        acts in proptest::collection::vec(act(), 1..60),
    ) {
        let mut life = Life::new();
        let mut forks = Vec::new();
        for act in &acts {
            life.act(act);
            if matches!(act, Act::Fork) {
                forks.push(life.clone());
            }
        }
        for fork in forks {
            fork.check();
        }
    }

    #[test]
    fn any_damage_leaves_a_prefix(
        acts in proptest::collection::vec(act(), 1..40),
        cut: Option<prop::sample::Index>,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 0..8_u32), 0..3),
        lost_file: Option<prop::sample::Index>,
    ) {
        let mut life = Life::new();
        for act in &acts {
            life.act(act);
        }
        let mut disk = life.disk.clone();
        let mut bytes = disk.batches.concat();
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        for (index, bit) in flips {
            if bytes.is_empty() {
                break;
            }
            let index = index.index(bytes.len());
            // Where a log with one batch begins, only that batch says.
            if index >= 8 {
                bytes[index] ^= 1 << bit;
            }
        }
        disk.batches = vec![Bytes::from(bytes)];
        if let Some(lost) = lost_file && !disk.files.is_empty() {
            disk.files.remove(lost.index(disk.files.len()));
        }
        let mut out = Effects::new();
        let mut log = disk.recover(life.log.config().clone(), &mut out);
        prop_assert!(log.end <= life.log.end.max(log.start));
        for found in log.batches() {
            let same = |was: &BatchMeta| (was.base, was.last) == (found.base, found.last);
            prop_assert!(life.log.batches().any(same));
        }
        // And it goes on from there.
        let end = log.end;
        prop_assert_eq!(lead(&mut log, 1 << 30, &data(1, 5)), Ok((end.0, false)));
    }
}
