//! The process that votes in the metadata quorum and, when it leads, decides cluster metadata.
//!
//! The active controller decides on the speculative image, appends, and answers when what it
//! decided is committed (see [`crate::coordinator::shard`]). Every controller applies what is
//! committed, takes snapshots of it, and so can take over. One file per concern:
//!
//! | file | decides |
//! |---|---|
//! | `registration` | which incarnation of a broker is the one |
//! | `heartbeat`, `session` | who is fenced, serves or may shut down |
//! | `election` | the ISR, ELR and leader that follow from a change |
//! | `isr` | whether a leader's proposal of an ISR holds |
//! | `topics`, `placement`, `configs` | topics, where their replicas go, their settings |
//! | `reassignment`, `leaders`, `balance` | which replicas move, who leads, and when |
//! | `producer_ids` | who hands out which producer ids |
//!
//! Decisions are functions of an image and a request; only this file, `active` and `answer` hold
//! state.

mod active;
mod answer;
mod balance;
mod configs;
mod election;
#[cfg(test)]
mod fixture;
mod heartbeat;
mod isr;
mod leaders;
mod marks;
mod placement;
mod producer_ids;
mod reassignment;
mod registration;
mod rules;
mod session;
#[cfg(test)]
mod tests;
mod topics;

use alloc::sync::Arc;

use crate::config::{ControllerConfig, ServerConfig};
use crate::controller::answer::Answer;
use crate::controller::rules::Rules;
use crate::controller::session::Sessions;
use crate::coordinator::Shard;
use crate::event::Event;
use crate::format;
use crate::ids::{LogId, NodeId, Offset};
use crate::machine::{Effect, Effects, FileKey, Input, LogName, Machine, Survived};
use crate::message::raft::ReplicaKey;
use crate::metadata::{Image, MetadataRecord};
use crate::raft::{Raft, RaftEvent};
use crate::rng::Rng;
use crate::time::{Instant, Now, Timers, earliest};

/// What a controller is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ControllerSetup {
    pub server: ServerConfig,
    pub controller: ControllerConfig,
}

/// What the active controller does now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// A record on an idle cluster (KIP-835).
    NoOp,
    /// Leaders back to preferred replicas.
    Balance,
    /// Replicas evened out over the brokers.
    Replicas,
}

/// One controller.
#[derive(Clone, Debug)]
pub struct Controller {
    setup: Arc<ControllerSetup>,
    raft: Raft,
    shard: Shard<Image, Answer>,
    /// A hash of the committed image.
    digest: u64,
    sessions: Sessions,
    timers: Timers<Timer>,
    rng: Rng,
    halted: bool,
}

impl Controller {
    /// Starts a controller over whatever survived on its disk.
    #[must_use]
    pub fn start(
        setup: &Arc<ControllerSetup>,
        seed: [u8; 32],
        now: Now,
        survived: Survived,
        out: &mut Effects,
    ) -> Self {
        let mut rng = Rng::new(seed);
        let raft_rng = Rng::from_number(rng.next_u64());
        let server = &setup.server;
        let file = survived.file(FileKey::MetaProperties);
        let (directory, file) = format::identity(file, &server.cluster_id, server.node, &mut rng);
        if let Some(value) = file {
            out.push(Effect::Save { file: FileKey::MetaProperties, value });
        }
        let key = ReplicaKey { node: server.node, directory };
        let logs = survived.logs.iter();
        let log = logs.filter(|log| *log.name == LogName::Metadata).map(|log| log.log).next();
        let log = log.unwrap_or(LogId(0));
        let server = Arc::new(setup.server.clone());
        let raft = Raft::start(&server, key, raft_rng, now, &survived, log, out);
        let image = Image::default();
        let mut controller = Controller {
            setup: Arc::clone(setup),
            raft,
            digest: image.digest(),
            shard: Shard::new(image, Offset::ZERO),
            sessions: Sessions::default(),
            timers: Timers::default(),
            rng,
            halted: false,
        };
        controller.drain(now, out);
        controller
    }

    /// The committed metadata, as far as this controller knows.
    #[must_use]
    pub fn image(&self) -> &Arc<Image> {
        self.shard.committed()
    }

    /// The metadata as it will be if all that was decided gets committed; none unless active.
    #[must_use]
    pub fn speculative(&self) -> Option<&Arc<Image>> {
        self.shard.speculative()
    }

    /// The end of what [`Controller::image`] holds.
    #[must_use]
    pub fn applied(&self) -> Offset {
        self.shard.applied()
    }

    /// Whether this controller decides: it leads, and has applied all that leaders before it
    /// decided.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.shard.is_leading()
    }

    /// When this controller, by its monotonic clock, fences a broker of which it hears nothing
    /// more; none unless active, and for those that have no session.
    #[must_use]
    pub fn session_end(&self, node: NodeId) -> Option<Instant> {
        self.sessions.end(node)
    }

    #[must_use]
    pub fn raft(&self) -> &Raft {
        &self.raft
    }

    /// Internal invariants; called by the simulator after every step.
    ///
    /// # Panics
    /// If one is broken.
    pub fn check(&self) {
        self.raft.check();
        self.shard.check();
        assert!(
            self.shard.applied() <= self.raft.high_watermark(),
            "only what is committed applies"
        );
        assert!(
            self.shard.is_leading() || self.timers.next().is_none(),
            "only the active one acts"
        );
    }

    fn rules(setup: &ControllerSetup) -> Rules<'_> {
        Rules { config: &setup.controller, defects: setup.server.defects }
    }

    fn halt(&mut self, out: &mut Effects) {
        self.halted = true;
        out.push(Effect::Halt);
    }

    /// Takes what raft has to tell, until it has no more.
    fn drain(&mut self, now: Now, out: &mut Effects) {
        while let Some(event) = self.raft.next_event() {
            match event {
                RaftEvent::Leading { .. } => self.lead(now),
                RaftEvent::Resigned { .. } | RaftEvent::Following { .. } => self.resign(out),
                RaftEvent::Committed { last, batch, .. } => self.commit(last, &batch, out),
                RaftEvent::LoadSnapshot { point, state } => self.load(point.offset, &state, out),
            }
        }
        let (image, defects) = (self.shard.committed(), self.setup.server.defects);
        let state = || image.encode(defects);
        self.raft.snapshot_if_due(now, self.shard.applied(), state, out);
    }

    fn commit(&mut self, last: Offset, batch: &bytes::Bytes, out: &mut Effects) {
        let records =
            MetadataRecord::read_batch(batch).expect("a controller wrote what is committed");
        assert_eq!(records.last().map(|(offset, _)| *offset), Some(last), "a batch is whole");
        for (offset, record) in &records {
            let mark = marks::of_record(self.shard.committed(), record);
            // One of the controllers tells, not each.
            if let Some(mark) = mark.filter(|_| self.shard.is_leading()) {
                out.note(Event::Sometimes(mark));
            }
            self.shard.apply(record, *offset);
        }
        if records.iter().any(|(_, record)| *record != MetadataRecord::NoOp) {
            self.digest = self.shard.committed().digest();
            self.shard.committed().check();
        }
        out.note(Event::StateApplied { offset: last, state: self.digest });
        self.answer_committed(out);
    }

    fn load(&mut self, end: Offset, state: &[u8], out: &mut Effects) {
        let Ok(image) = Image::decode(state, self.setup.server.defects) else {
            // A file that its own checksum passed and that is none of ours: the disk is not to be
            // used.
            return self.halt(out);
        };
        image.check();
        self.digest = image.digest();
        self.shard.load(image, end);
        out.note(Event::StateApplied { offset: end + -1, state: self.digest });
    }
}

impl Machine for Controller {
    fn step(&mut self, now: Now, input: Input, out: &mut Effects) {
        if self.halted {
            return;
        }
        if matches!(input, Input::Lost { .. } | Input::LostFile { .. }) {
            return self.halt(out);
        }
        // Raft first: a controller that was paused must learn that it no longer leads before it
        // takes silence for death.
        let taken = self.raft.on_input(now, &input, out);
        self.drain(now, out);
        match input {
            Input::Wake => self.wake(now, out),
            Input::Closed { conn } => self.shard.retain(|answer| answer.to != conn),
            Input::Request { from, correlation, request } if !taken => {
                self.request(now, from, correlation, request, out);
            }
            Input::Opened { .. }
            | Input::Request { .. }
            | Input::Response { .. }
            | Input::Flushed { .. }
            | Input::Saved { .. }
            | Input::Loaded { .. }
            | Input::Lost { .. }
            | Input::LostFile { .. }
            | Input::Call { .. } => {}
        }
        self.drain(now, out);
    }

    fn deadline(&self) -> Option<Instant> {
        if self.halted {
            return None;
        }
        let raft = self.raft.deadline();
        if !self.shard.is_leading() {
            return raft;
        }
        earliest(raft, earliest(self.timers.next(), self.sessions.deadline()))
    }
}
