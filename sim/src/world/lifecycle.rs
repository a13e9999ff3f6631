//! Starts and ends of processes, pauses, and clocks. All of it happens at once, between two steps.

use std::sync::Arc;

use seedlog::machine::FileKey;
use seedlog::time::Instant;

use super::clock::Clock;
use super::connection::{EndState, Side};
use super::digest::Step;
use super::disk::{Disk, End, PowerLoss};
use super::event::Event;
use super::fault::Fault;
use super::observer::{Lifecycle, Observer};
use super::process::Alarm;
use super::{Node, ProcessId, World};

/// Process faults.
impl<N: Node> World<N> {
    /// Starts a process that is down, from what its disk holds.
    ///
    /// # Panics
    /// If it is up.
    pub fn start(&mut self, process: ProcessId, observer: &mut impl Observer<N>) {
        assert!(!self.is_up(process), "a process is started while it is down");
        let slot = &mut self.processes[process.index()];
        slot.incarnation += 1;
        slot.is_dark = false;
        if std::mem::take(&mut slot.is_reconfigured) && slot.incarnation > 1 {
            self.faults.count(Fault::Reconfigure);
        }
        let (id, incarnation) = (u64::from(process.0), u64::from(slot.incarnation));
        let seed = self.seed.bytes("process", id, incarnation);
        let now = slot.clock.read(self.time);
        let mut out = std::mem::take(&mut self.out);
        let node = N::start(&slot.config, seed, now, slot.disk.survived(), &mut out);
        if self.self_checks {
            node.check();
        }
        slot.node = Some(node);
        let token = slot.alarm.token.wrapping_add(1);
        slot.alarm = Alarm { at: Some(self.time), token, is_first: true };
        self.push(self.time, Event::Wake { process, token });
        self.tell(process, Lifecycle::Started, observer);
        self.carry_out(process, Step::default(), out, observer);
    }

    /// Kills a process that is up. Its page cache survives; peers see their connections close.
    pub fn crash(&mut self, process: ProcessId, observer: &mut impl Observer<N>) {
        if self.is_up(process) {
            self.end(process, Lifecycle::Crashed, observer);
        }
    }

    /// The application closes its client: the process ends, and nothing has failed. Told as halted.
    pub fn quit(&mut self, process: ProcessId, observer: &mut impl Observer<N>) {
        if self.is_up(process) {
            self.end_machine(process, Lifecycle::Halted);
            self.end_disk(process, End::Process);
            self.tell(process, Lifecycle::Halted, observer);
        }
    }

    /// Cuts the power of a process, up or down. Peers are not told: their connections hang until
    /// they send into them and the machine is back.
    pub fn power_loss(
        &mut self,
        process: ProcessId,
        keeps: PowerLoss,
        observer: &mut impl Observer<N>,
    ) {
        self.faults.count(Fault::PowerLoss);
        self.end_machine(process, Lifecycle::PowerLost);
        self.end_disk(process, End::Power(keeps));
        self.processes[process.index()].is_dark = true;
        self.tell(process, Lifecycle::PowerLost, observer);
    }

    /// A process that is up stands still: inputs wait for it.
    pub fn pause(&mut self, process: ProcessId, observer: &mut impl Observer<N>) {
        let slot = &mut self.processes[process.index()];
        if slot.node.is_some() && !slot.is_paused {
            slot.is_paused = true;
            self.tell(process, Lifecycle::Paused, observer);
        }
    }

    /// It goes on as if nothing had happened, but time has passed.
    pub fn resume(&mut self, process: ProcessId, observer: &mut impl Observer<N>) {
        let slot = &mut self.processes[process.index()];
        if !slot.is_paused {
            return;
        }
        slot.is_paused = false;
        let incarnation = slot.incarnation;
        let waits = !slot.inbox.is_empty();
        if slot.alarm.is_first {
            slot.alarm.at = Some(self.time);
            let token = slot.alarm.token;
            self.push(self.time, Event::Wake { process, token });
        }
        self.arm(process);
        if waits {
            self.push(self.time, Event::Inbox { process, incarnation });
        }
        self.faults.count(Fault::Pause);
        self.tell(process, Lifecycle::Resumed, observer);
    }

    /// Empties the disk of a process that is down.
    ///
    /// # Panics
    /// If it is up.
    pub fn wipe(&mut self, process: ProcessId, observer: &mut impl Observer<N>) {
        assert!(!self.is_up(process), "a disk is wiped while nobody uses it");
        let slot = &mut self.processes[process.index()];
        slot.disk = Arc::new(Disk::blank(&slot.disk));
        self.faults.count(Fault::Wipe);
        self.tell(process, Lifecycle::Wiped, observer);
    }

    /// The config that the process will start with next.
    pub fn reconfigure(&mut self, process: ProcessId, config: N::Config) {
        let slot = &mut self.processes[process.index()];
        slot.config = config;
        slot.is_reconfigured = true;
    }

    /// A crash of the process alone, or its own halt.
    pub(super) fn end(
        &mut self,
        process: ProcessId,
        how: Lifecycle,
        observer: &mut impl Observer<N>,
    ) {
        match how {
            Lifecycle::Halted if self.disk(process).file(FileKey::CleanShutdown).is_some() => {}
            Lifecycle::Halted => self.faults.count(Fault::Halt),
            Lifecycle::Started
            | Lifecycle::Crashed
            | Lifecycle::PowerLost
            | Lifecycle::Paused
            | Lifecycle::Resumed
            | Lifecycle::Wiped => self.faults.count(Fault::Crash),
        }
        self.end_machine(process, how);
        self.end_disk(process, End::Process);
        self.tell(process, how, observer);
    }

    /// Drops the machine, its timers and its ends of connections.
    fn end_machine(&mut self, process: ProcessId, how: Lifecycle) {
        let slot = &mut self.processes[process.index()];
        slot.node = None;
        slot.is_paused = false;
        slot.inbox.clear();
        Arc::make_mut(&mut slot.disk).fenced.clear();
        slot.alarm = Alarm { token: slot.alarm.token.wrapping_add(1), ..Alarm::default() };
        slot.clear_outbound();
        for (name, side) in self.connections.of(process) {
            // It may be gone by now: a process can be connected to itself.
            let Some(connection) = self.connections.get_mut(name) else { continue };
            connection.end_mut(side).state = EndState::Closed;
            if connection.end(Side::Server).state == EndState::Opening {
                self.connections.free(name);
            } else if how != Lifecycle::PowerLost {
                self.finish(name, side);
            }
            self.connections.free_if_over(name);
        }
    }

    fn end_disk(&mut self, process: ProcessId, end: End) {
        let now = self.time;
        let (disk, profile, mut dice) = self.disk_and_dice(process);
        for fault in disk.end(now, end, profile, &mut dice) {
            self.faults.count(fault);
        }
    }

    fn tell(&mut self, process: ProcessId, change: Lifecycle, observer: &mut impl Observer<N>) {
        self.digest.absorb(&(self.time, process.0, change));
        observer.lifecycle(self, process, change);
    }
}

/// Clock faults.
impl<N: Node> World<N> {
    /// The wall clock is off by that many milliseconds from the true time, from now on.
    pub fn skew_clock(&mut self, process: ProcessId, ms: i64) {
        self.set_clock(process, |clock, now| clock.skew(now, ms));
    }

    /// The wall clock jumps by that many milliseconds.
    pub fn jump_clock(&mut self, process: ProcessId, ms: i64) {
        self.set_clock(process, |clock, now| clock.jump(now, ms));
    }

    /// Both clocks gain (or lose) that many microseconds a second.
    ///
    /// # Panics
    /// If they would stand still or run backwards.
    pub fn drift_clock(&mut self, process: ProcessId, ppm: i32) {
        self.set_clock(process, |clock, now| clock.drift(now, ppm));
    }

    /// Both clocks stand still, or go on from where they stood.
    pub fn freeze_clock(&mut self, process: ProcessId, frozen: bool) {
        self.set_clock(process, |clock, now| clock.freeze(now, frozen));
    }

    /// Rate, skew and freeze as new; the wall clock shows the true time again.
    pub fn heal_clock(&mut self, process: ProcessId) {
        self.set_clock(process, Clock::heal);
    }

    fn set_clock(&mut self, process: ProcessId, set: impl FnOnce(&mut Clock, Instant)) {
        set(&mut self.processes[process.index()].clock, self.time);
        self.rearm(process);
    }
}

/// Disk faults.
impl<N: Node> World<N> {
    /// How the disk of a process behaves from now on, whatever the others do.
    pub fn set_disk(&mut self, process: ProcessId, faults: super::DiskFaults) {
        self.processes[process.index()].disk_faults = Some(Arc::new(faults));
    }

    /// Flushes, saves and loads do not end until the disk goes on.
    pub fn stall_disk(&mut self, process: ProcessId, stalled: bool) {
        let disk = Arc::make_mut(&mut self.processes[process.index()].disk);
        disk.is_stalled = stalled;
        if !stalled {
            for event in std::mem::take(&mut disk.waiting) {
                self.push(self.time, event);
            }
        }
    }

    /// Every write fails while the disk is full.
    pub fn fill_disk(&mut self, process: ProcessId, full: bool) {
        Arc::make_mut(&mut self.processes[process.index()].disk).is_full = full;
    }

    /// The next write or flush of this log (of anything, if none is named) fails with EIO.
    pub fn fail_disk(&mut self, process: ProcessId, log: Option<seedlog::ids::LogId>) {
        Arc::make_mut(&mut self.processes[process.index()].disk).fails.push(log);
    }

    /// Flips one bit, drawn from the disk's stream, in the stored batch that begins at `base` (in
    /// any batch of the log, if none is named). False if there is no such batch.
    pub fn rot(
        &mut self,
        process: ProcessId,
        log: seedlog::ids::LogId,
        base: Option<seedlog::ids::Offset>,
    ) -> bool {
        let (disk, _, mut dice) = self.disk_and_dice(process);
        let rots = disk.rot(log, base, &mut dice);
        if rots {
            self.faults.count(Fault::BitRot);
        }
        rots
    }
}
