//! Carrying out what processes do to their disks, and telling them when it is done.

use std::sync::Arc;

use seedlog::ids::{LogId, LogPoint};
use seedlog::machine::{Effect, FileKey, Input};
use seedlog::message::{Records, Response};
use seedlog::rng::Rng;
use seedlog::time::Duration;

use super::disk::{Disk, DiskFaults};
use super::event::{Event, Life};
use super::fault::{Fault, Span};
use super::ledger::{Dice, Subject};
use super::seed::Draw as _;
use super::{Node, ProcessId, World};

impl<N: Node> World<N> {
    /// Carries out an effect on the process's own disk.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller passes effects on disks only")]
    pub(super) fn store(&mut self, process: ProcessId, effect: Effect) {
        let now = self.time;
        let (disk, faults) = self.disk_and_faults(process);
        match effect {
            Effect::Append { log, .. } | Effect::Flush { log, .. }
                if disk.fenced.contains(&log) => {}
            Effect::Append { log, base, batch } => {
                let Some(fault) = self.refusal(process, Some(log), true) else {
                    let (disk, faults) = self.disk_and_faults(process);
                    disk.append(now, log, base, batch, faults);
                    return;
                };
                if fault == Fault::DiskError {
                    self.write_a_part(process, log, base, &batch);
                }
                self.lose(process, log);
            }
            Effect::Flush { log, upto } => self.flush(process, log, upto),
            Effect::Save { file, value } => self.save(process, file, value),
            Effect::Load { log, from, max_bytes } => {
                let batches = disk.load(log, from, max_bytes);
                let load = faults.load;
                let time = self.draw(process, load, self.disk_faults.load);
                let at = self.disk_and_faults(process).0.busy(now, time);
                let incarnation = self.incarnation(process);
                let input = Box::new(Input::Loaded { log, from, batches });
                self.push(at, Event::Input { process, incarnation, input });
            }
            Effect::Create { log, name } => disk.create(log, name),
            Effect::Truncate { log, to } => disk.truncate(now, log, to),
            Effect::Trim { log, to } => disk.trim(now, log, to),
            Effect::Rewrite { log, from, to, batches } => disk.rewrite(log, from, to, &batches),
            Effect::Remove { log } => disk.remove(log),
            Effect::Delete { file } => disk.delete(file),
            other => unreachable!("{other:?} is no effect on a disk"),
        }
    }

    /// Tells a process that a write of a log failed; until it knows, nothing more is written there.
    fn lose(&mut self, process: ProcessId, log: LogId) {
        self.disk_and_faults(process).0.fenced.push(log);
        self.push_input(process, Input::Lost { log });
    }

    fn disk_and_faults(&mut self, process: ProcessId) -> (&mut Disk, &DiskFaults) {
        let slot = &mut self.processes[process.index()];
        (Arc::make_mut(&mut slot.disk), slot.disk_faults.as_ref().unwrap_or(&self.disk_faults))
    }

    fn disk_rng(&mut self, process: ProcessId) -> &mut Rng {
        let slot = &mut self.processes[process.index()];
        slot.disk_stream.get(|| self.delays.stream("disk", u64::from(process.0), 0))
    }

    /// The disk, and dice for what a fault leaves of it.
    pub(super) fn disk_and_dice(
        &mut self,
        process: ProcessId,
    ) -> (&mut Disk, &DiskFaults, Dice<'_>) {
        let World { processes, disk_faults, delays, ledger, .. } = self;
        let slot = &mut processes[process.index()];
        let rng = slot.disk_stream.get(|| delays.stream("disk", u64::from(process.0), 0));
        let faults = slot.disk_faults.as_ref().unwrap_or(disk_faults);
        (Arc::make_mut(&mut slot.disk), faults, ledger.dice(Subject::Disk(process), rng))
    }

    /// How long an operation takes, where disks usually take `usual`.
    fn draw(&mut self, process: ProcessId, span: Span, usual: Span) -> Duration {
        let time = span.draw(self.disk_rng(process));
        if time > usual.high() {
            self.faults.count(Fault::DiskSlow);
        }
        time
    }

    fn push_input(&mut self, process: ProcessId, input: Input) {
        let incarnation = self.incarnation(process);
        let input = Box::new(input);
        self.push(self.time, Event::Input { process, incarnation, input });
    }

    /// Whether the disk refuses a write (or a flush), and why.
    fn refusal(&mut self, process: ProcessId, log: Option<LogId>, is_write: bool) -> Option<Fault> {
        let (disk, faults) = self.disk_and_faults(process);
        let error = faults.error;
        let directed = disk.fails.iter().position(|fails| fails.is_none() || *fails == log);
        let fault = if is_write && disk.is_full {
            Fault::DiskFull
        } else if let Some(index) = directed {
            disk.fails.remove(index);
            Fault::DiskError
        } else if error.numerator > 0 && error.draw(self.disk_rng(process)) {
            Fault::DiskError
        } else {
            return None;
        };
        self.faults.count(fault);
        Some(fault)
    }

    /// What a write that failed with EIO may leave: nothing, or a part of the batch.
    fn write_a_part(
        &mut self,
        process: ProcessId,
        log: LogId,
        base: seedlog::ids::Offset,
        batch: &bytes::Bytes,
    ) {
        let now = self.time;
        let (disk, faults, mut dice) = self.disk_and_dice(process);
        let len = if dice.chance(1, 2) { dice.place(batch.len().max(1)) } else { 0 };
        if len > 0 {
            let part = batch.slice(..len);
            disk.append(now, log, base, part, faults);
        }
    }

    fn flush(&mut self, process: ProcessId, log: LogId, upto: LogPoint) {
        if self.refusal(process, Some(log), false).is_some() {
            self.lose(process, log);
            return;
        }
        let span = self.disk_and_faults(process).1.flush;
        let time = self.draw(process, span, self.disk_faults.flush);
        let now = self.time;
        let slot = &mut self.processes[process.index()];
        let (at, writes) = Arc::make_mut(&mut slot.disk).flush(now, time, log);
        let life = slot.life();
        self.push(at, Event::Flushed { process, life, log, upto, writes });
    }

    fn save(&mut self, process: ProcessId, file: FileKey, value: bytes::Bytes) {
        if let Some(fault) = self.refusal(process, None, true) {
            if fault == Fault::DiskError {
                let (disk, _, mut dice) = self.disk_and_dice(process);
                disk.save_failed(file, value, &mut dice);
            }
            self.push_input(process, Input::LostFile { file });
            return;
        }
        let span = self.disk_and_faults(process).1.save;
        let time = self.draw(process, span, self.disk_faults.save);
        let now = self.time;
        let slot = &mut self.processes[process.index()];
        let at = Arc::make_mut(&mut slot.disk).save(now, time, file, value);
        let life = slot.life();
        self.push(at, Event::Saved { process, life, file });
    }

    /// A flush ends: durable, even if the process that asked for it is no more.
    pub(super) fn flushed(
        &mut self,
        process: ProcessId,
        life: Life,
        log: LogId,
        upto: LogPoint,
        writes: u64,
    ) -> Option<(ProcessId, Input)> {
        let slot = &mut self.processes[process.index()];
        let present = slot.life();
        if present.disk != life.disk {
            return None;
        }
        if slot.disk.is_stalled {
            self.faults.count(Fault::DiskStall);
            Arc::make_mut(&mut slot.disk).waiting.push(Event::Flushed {
                process,
                life,
                log,
                upto,
                writes,
            });
            return None;
        }
        Arc::make_mut(&mut slot.disk).flushed(log, writes);
        (present == life).then_some((process, Input::Flushed { log, upto }))
    }

    /// A save ends. Those of an earlier incarnation were settled when it ended.
    pub(super) fn saved(
        &mut self,
        process: ProcessId,
        life: Life,
        file: FileKey,
    ) -> Option<(ProcessId, Input)> {
        let now = self.time;
        let slot = &mut self.processes[process.index()];
        if slot.life() != life || slot.node.is_none() {
            return None;
        }
        if slot.disk.is_stalled {
            self.faults.count(Fault::DiskStall);
            Arc::make_mut(&mut slot.disk).waiting.push(Event::Saved { process, life, file });
            return None;
        }
        let (disk, faults) = self.disk_and_faults(process);
        disk.saved(now, file, faults);
        Some((process, Input::Saved { file }))
    }

    /// Some other input is due, for one incarnation; a load waits for a stalled disk.
    pub(super) fn finished(
        &mut self,
        process: ProcessId,
        incarnation: u32,
        input: Box<Input>,
    ) -> Option<(ProcessId, Input)> {
        let slot = &mut self.processes[process.index()];
        if slot.incarnation != incarnation {
            return None;
        }
        if slot.disk.is_stalled && matches!(*input, Input::Loaded { .. }) {
            self.faults.count(Fault::DiskStall);
            Arc::make_mut(&mut slot.disk).waiting.push(Event::Input {
                process,
                incarnation,
                input,
            });
            return None;
        }
        Some((process, *input))
    }

    /// Puts the bytes of stored ranges into an answer, as they are on the disk now; false if it has
    /// none.
    pub(super) fn resolve(&self, process: ProcessId, response: &mut Arc<Response>) -> bool {
        let is_stored = |records: &Records| matches!(records, Records::Stored(_));
        let Response::Fetch(fetched) = response.as_ref() else { return false };
        if !fetched.partitions.iter().any(|partition| is_stored(&partition.records)) {
            return false;
        }
        let disk = &self.processes[process.index()].disk;
        let Response::Fetch(fetched) = Arc::make_mut(response) else { return false };
        for partition in &mut fetched.partitions {
            if let Records::Stored(range) = partition.records {
                partition.records = Records::Inline(disk.read(range.log, range.from, range.to));
            }
        }
        true
    }
}
