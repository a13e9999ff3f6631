//! The controlled shutdown (KIP-631): leaderships move away, then everything becomes durable, then
//! a mark says that it is.

use alloc::format;

use bytes::Bytes;

use crate::broker::{Broker, Timer};
use crate::ids::CallId;
use crate::machine::{Effect, Effects, FileKey};
use crate::op::Outcome;
use crate::time::Now;

/// How far a controlled shutdown has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shutdown {
    call: CallId,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The controller moves this broker's leaderships to others (KIP-631).
    Leaving,
    /// The logs become durable.
    Flushing,
    /// The mark of a clean shutdown becomes durable.
    Marking,
}

impl Broker {
    /// Starts a controlled shutdown; the call returns when it is done.
    pub(super) fn shut_down(&mut self, now: Now, call: CallId, out: &mut Effects) {
        if self.shutdown.is_some() {
            // One is under way already; that call returns.
            out.push(Effect::Return { call, outcome: Outcome::Done });
            return;
        }
        self.shutdown = Some(Shutdown { call, stage: Stage::Leaving });
        if self.lifecycle.is_registered() && self.setup.broker.controlled_shutdown {
            self.lifecycle.shut_down(now.mono);
            self.timers.set(Timer::Shutdown, now.mono + self.setup.broker.request_timeout);
        } else {
            self.flush_and_leave(now, out);
        }
    }

    /// Whether a controlled shutdown is under way: this broker gives up its leaderships and its
    /// places in ISRs, and stops.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.shutdown.is_some()
    }

    /// Whether nothing more may change on the disk but the shutdown's own.
    pub(super) fn is_leaving(&self) -> bool {
        self.shutdown.is_some_and(|shutdown| shutdown.stage != Stage::Leaving)
    }

    /// The controller has let this broker go, or does not answer: makes everything durable.
    pub(super) fn flush_and_leave(&mut self, now: Now, out: &mut Effects) {
        let Some(Shutdown { stage: stage @ Stage::Leaving, .. }) = &mut self.shutdown else {
            return;
        };
        *stage = Stage::Flushing;
        self.timers.clear();
        self.fetchers.stop(out);
        for replica in self.partitions.iter_mut() {
            let log = replica.log_mut();
            log.checkpoint(out);
            log.flush(out);
        }
        self.checkpoint(now, out);
        self.mark_clean(out);
    }

    /// When all logs are durable: leaves the mark that they are. The last one tells its epoch.
    pub(super) fn mark_clean(&mut self, out: &mut Effects) {
        let Some(Shutdown { stage: stage @ Stage::Flushing, .. }) = &mut self.shutdown else {
            return;
        };
        let durable = self
            .partitions
            .iter()
            .all(|(_, replica)| replica.log().flushed_offset() >= replica.log().end_offset());
        if durable {
            *stage = Stage::Marking;
            let value = Bytes::from(format!("{}", self.lifecycle.epoch()));
            out.push(Effect::Save { file: FileKey::CleanShutdown, value });
        }
    }

    pub(super) fn saved(&mut self, file: FileKey, out: &mut Effects) {
        let Some(Shutdown { call, stage: Stage::Marking }) = self.shutdown else { return };
        if file == FileKey::CleanShutdown {
            out.push(Effect::Return { call, outcome: Outcome::Done });
            out.push(Effect::Halt);
        }
    }
}
