//! The decisions of a run, as they are recorded and carried out again.
//!
//! Every fault and every workload operation is one line in the words of scripts, with its time;
//! what chance decides about single messages, disks and records is kept by the world. A replay
//! carries both out instead of drawing them, so that a failure survives a change of what a seed
//! means.

use std::sync::Arc;

use seedlog::ids::TopicName;
use seedlog::time::Instant;

use super::{Recording, Run, Token};
use crate::check::RecordId;
use crate::scenario::Error;
use crate::scenario::script::{Action, NodeExpr, Role, Who};
use crate::world::Seed;

/// What was decided so far, or what is to be carried out.
#[derive(Clone, Debug, Default)]
pub struct Decisions {
    /// None: not recorded.
    log: Option<Vec<(Instant, Action)>>,
    replay: Option<Arc<Recording>>,
    next: usize,
}

impl Decisions {
    #[must_use]
    pub fn is_replaying(&self) -> bool {
        self.replay.is_some()
    }

    /// What was recorded.
    #[must_use]
    pub fn log(&self) -> &[(Instant, Action)] {
        self.log.as_deref().unwrap_or(&[])
    }

    pub(super) fn note(&mut self, at: Instant, action: &Action) {
        if let Some(log) = &mut self.log {
            log.push((at, action.clone()));
        }
    }

    pub(super) fn note_send(
        &mut self,
        at: Instant,
        producer: usize,
        topic: &TopicName,
        _record: RecordId,
    ) {
        if self.log.is_some() {
            let number = u32::try_from(producer + 1).expect("few producers");
            let node = NodeExpr::Who(Who { role: Role::Producer, number });
            self.note(at, &Action::Send(node, topic.clone(), None, 1));
        }
    }
}

impl Run {
    /// Keeps what is decided from now on.
    pub fn record(&mut self) {
        self.decisions.log = Some(Vec::new());
        self.world.record_chances();
    }

    /// A run that carries out recorded decisions instead of its own; its usual delays come from
    /// another seed if one is given.
    ///
    /// # Errors
    /// If the recorded scenario does not read any more.
    pub fn replaying(recording: Recording, delays: Option<u64>) -> Result<Run, Error> {
        let scenario = recording.scenario()?;
        let mut run = Run::new(&Arc::new(scenario), recording.seed, true);
        run.sources.clear();
        run.atlas_on = recording.atlas_on;
        for (at, _) in &recording.decisions {
            run.world.control(*at, Token::Replay.encode());
        }
        if let Some(seed) = delays {
            run.world.set_delays(Seed(seed));
        }
        run.world.replay_chances(Arc::clone(&recording.chances));
        run.decisions.replay = Some(Arc::new(recording));
        Ok(run)
    }

    pub(super) fn replay_due(&mut self) {
        let Some(recording) = self.decisions.replay.clone() else { return };
        while let Some((at, action)) = recording.decisions.get(self.decisions.next) {
            if *at > self.world.now() {
                break;
            }
            self.decisions.next += 1;
            self.refresh_image();
            self.perform(action);
        }
    }

    /// How many of the recorded decisions have been carried out.
    #[must_use]
    pub fn replayed(&self) -> u64 {
        let acts = u64::try_from(self.decisions.next).expect("a count fits");
        acts + self.world.chances_taken()
    }
}
