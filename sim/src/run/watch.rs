//! What looks at every event of a run: it feeds the checkers, counts what happened, and keeps what
//! the run itself has to react to.

use seedlog::event::{Event, Mark, RaftRole};
use seedlog::ids::CallId;
use seedlog::machine::{Effect, FileKey, Input, Survived, SurvivedLog};
use seedlog::op::Outcome;

use super::coordinators::Coordinators;
use super::story::Story;
use super::trace::Trace;
use crate::app::Progress;
use crate::check::Checkers;
use crate::cluster::{Cluster, Process};
use crate::scenario::script::Role;
use crate::world::{Lifecycle, Observer, ProcessId, World};

/// The observer of a run.
#[derive(Clone)]
pub struct Watch {
    pub cluster: Cluster,
    /// None in benchmarks.
    pub checkers: Option<Checkers>,
    pub trace: Option<Trace>,
    pub story: Option<Story>,
    /// Calls that were answered in the last step.
    pub returned: Vec<(ProcessId, CallId, Outcome)>,
    /// What happened to processes in the last step.
    pub changes: Vec<(ProcessId, Lifecycle)>,
    pub marks: Marks,
    pub coordinators: Coordinators,
    /// What applications have done.
    pub apps: Progress,
}

/// How often something of interest happened.
#[derive(Clone, Debug)]
pub struct Marks {
    /// Brokers that began to lead a partition.
    pub leaders: u64,
    /// Controllers that began to lead the quorum.
    pub controllers: u64,
    /// Rare branches, in the order of [`Mark::ALL`].
    sometimes: [u64; Mark::ALL.len()],
}

impl Default for Marks {
    fn default() -> Self {
        Marks { leaders: 0, controllers: 0, sometimes: [0; Mark::ALL.len()] }
    }
}

impl Watch {
    fn server(&self, process: ProcessId) -> Option<seedlog::ids::NodeId> {
        self.cluster.node(process)
    }
}

impl Marks {
    /// The rare branches that were reached, and how often.
    pub fn reached(&self) -> impl Iterator<Item = (Mark, u64)> {
        let all = Mark::ALL.iter().zip(&self.sometimes).map(|(mark, count)| (*mark, *count));
        all.filter(|(_, count)| *count > 0)
    }

    fn effect(&mut self, event: &Event) {
        match event {
            Event::LeaderStarted { .. } => self.leaders += 1,
            Event::RoleChanged { role: RaftRole::Leader, .. } => self.controllers += 1,
            Event::Sometimes(mark) => self.sometimes[mark.index()] += 1,
            Event::RoleChanged { .. }
            | Event::FollowerStarted { .. }
            | Event::ReplicaStopped { .. }
            | Event::HighWatermark { .. }
            | Event::Isr { .. }
            | Event::Registered { .. }
            | Event::Fenced { .. }
            | Event::MetadataApplied { .. }
            | Event::Voted { .. }
            | Event::QuorumHighWatermark { .. }
            | Event::Snapshot { .. }
            | Event::StateApplied { .. }
            | Event::ControllerReplied { .. }
            | Event::Transaction(_)
            | Event::Group(_)
            | Event::OffsetCommitted(_)
            | Event::Application(_)
            | Event::Reset(_) => {}
        }
    }
}

impl Observer<Process> for Watch {
    fn delivered(&mut self, world: &World<Process>, process: ProcessId, input: &Input) {
        if let Some(trace) = &mut self.trace {
            trace.delivered(world, process, input);
        }
        if let Some(story) = &mut self.story {
            story.delivered(world, process, self.cluster.who(process), input);
        }
        let node = self.cluster.node(process);
        let Some(checkers) = &mut self.checkers else { return };
        checkers.at(world.now(), world.events());
        if let (Some(node), Input::Flushed { log, upto }) = (node, input) {
            checkers.flushed(node, *log, upto.offset);
        }
        if let (Some(node), Input::Request { from, correlation, request }) = (node, input) {
            checkers.requested(node, *from, *correlation, request);
        }
    }

    fn effects(&mut self, world: &World<Process>, process: ProcessId, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Note(event) = effect {
                self.marks.effect(event);
                self.coordinators.told(process, event);
                self.apps.noted(event, world.now());
            }
        }
        if let Some(trace) = &mut self.trace {
            trace.effects(world, process, effects);
        }
        if let Some(story) = &mut self.story {
            story.effects(world, process, self.cluster.who(process), effects);
        }
        let Some(checkers) = &mut self.checkers else { return };
        match self.cluster.node(process) {
            Some(node) => checkers.effects(node, effects),
            None => {
                let who = self.cluster.who(process);
                let reader = (who.role == Role::Consumer).then(|| who.number - 1);
                effects.iter().for_each(|effect| checkers.client_effect(reader, effect));
            }
        }
    }

    fn lifecycle(&mut self, world: &World<Process>, process: ProcessId, change: Lifecycle) {
        self.changes.push((process, change));
        if let Some(trace) = &mut self.trace {
            trace.lifecycle(world, process, change);
        }
        if let Some(story) = &mut self.story {
            story.lifecycle(world, process, change);
        }
        let node = self.server(process);
        let who = self.cluster.who(process);
        let Some(checkers) = &mut self.checkers else { return };
        checkers.at(world.now(), world.events());
        match (node, change) {
            (Some(node), Lifecycle::Started) => {
                checkers.started(node, &survived(world, process));
            }
            (Some(node), Lifecycle::Crashed | Lifecycle::PowerLost | Lifecycle::Halted) => {
                checkers.stopped(node);
            }
            (Some(node), Lifecycle::Wiped) => checkers.wiped(node),
            (None, Lifecycle::Crashed | Lifecycle::PowerLost | Lifecycle::Halted)
                if who.role == Role::Consumer =>
            {
                checkers.consumer_gone(who.number - 1);
                checkers.member_gone(who.number - 1);
            }
            (_, Lifecycle::Paused | Lifecycle::Resumed) | (None, _) => {}
        }
    }

    fn returned(
        &mut self,
        _world: &World<Process>,
        process: ProcessId,
        call: CallId,
        outcome: &Outcome,
    ) {
        self.returned.push((process, call, outcome.clone()));
    }
}

/// What a process finds on its disk, as its machine gets to see it.
fn survived(world: &World<Process>, process: ProcessId) -> Survived {
    let disk = world.disk(process);
    let logs = disk.logs().map(|(log, name)| SurvivedLog {
        log,
        name: std::sync::Arc::clone(name),
        chunks: disk.batches(log).map(|(_, batch)| batch.clone()).collect(),
    });
    let snapshot = disk.file(FileKey::Snapshot).map(|value| (FileKey::Snapshot, value.clone()));
    Survived { files: snapshot.into_iter().collect(), logs: logs.collect() }
}
