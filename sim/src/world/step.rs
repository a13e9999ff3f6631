//! One event at a time: what it is, whom it reaches, and what comes of it.

use std::hash::Hash;
use std::sync::Arc;

use seedlog::event::Event as Noted;
use seedlog::ids::{ConnId, CorrelationId};
use seedlog::machine::{Effect, Effects, Input};
use seedlog::message::Response;
use seedlog::time::{Duration, Instant};

use super::connection::{ConnectionRef, Message, Side};
use super::digest::{Print, Step};
use super::event::Event;
use super::observer::{Lifecycle, Observer};
use super::{Node, ProcessId, Stepped, World};

/// More events than that without any time passing: some process wakes itself for ever.
const AT_ONCE: u64 = 1_000_000;

/// A deadline this late is none.
const NEVER: Instant = Instant::from_nanos(1 << 62);

impl<N: Node> World<N> {
    /// Delivers exactly one event, and time moves on to it.
    pub fn step(&mut self, observer: &mut impl Observer<N>) -> Stepped {
        self.step_until(Instant::FAR, observer).unwrap_or(Stepped::Idle)
    }

    /// Delivers the next event if it is due by `end`; otherwise nothing, and time stays.
    pub fn step_until(&mut self, end: Instant, observer: &mut impl Observer<N>) -> Option<Stepped> {
        while let Some((at, event)) = self.queue.pop_until(end.as_nanos()) {
            let event = std::mem::take(event);
            let at = Instant::from_nanos(at);
            if at > self.time {
                self.time = at;
                self.at_once = 0;
            }
            // The digest knows nothing of a run's own timetable: a replay has another one.
            if let Event::Control(token) = event {
                return Some(Stepped::Control(token));
            }
            let taker =
                if let Event::Message { connection, sender, is_copy, number, message } = event {
                    self.receive(connection, sender, is_copy, number, message, observer)
                } else if let Event::Inbox { process, incarnation } = event {
                    self.next_in_inbox(process, incarnation, observer)
                } else {
                    self.due(event)
                        .and_then(|(process, input)| self.give(process, input, None, observer))
                };
            if let Some(process) = taker {
                return Some(Stepped::Delivered(process));
            }
        }
        None
    }

    /// Steps until `duration` has passed from now, events at its end included. Control events are
    /// passed over: for tests and tools that have no timetable.
    pub fn run_for(&mut self, duration: Duration, observer: &mut impl Observer<N>) {
        let end = self.time + duration;
        while self.step_until(end, observer).is_some() {}
        self.time = self.time.max(end);
    }

    /// The input that an event turns into, if it still means something.
    fn due(&mut self, event: Event) -> Option<(ProcessId, Input)> {
        match event {
            Event::Wake { process, token } => self.wake(process, token),
            Event::Dial { connection, attempt } => {
                self.dial(connection, attempt);
                None
            }
            Event::Opened { connection } => self.opened(connection),
            Event::Refused { connection } => self.refused(connection),
            Event::Broken { connection } => {
                self.reset_connection(connection);
                None
            }
            Event::Call { process, call, op } => Some((process, Input::Call { call, op })),
            Event::Flushed { process, life, log, upto, writes } => {
                self.flushed(process, life, log, upto, writes)
            }
            Event::Saved { process, life, file } => self.saved(process, life, file),
            Event::Input { process, incarnation, input } => {
                self.finished(process, incarnation, input)
            }
            Event::Taken | Event::Message { .. } | Event::Inbox { .. } | Event::Control(_) => None,
        }
    }

    /// The message of an event reaches the other end of its connection. Whose it is goes from hand
    /// to hand in small pieces: see [`super::queue::Queue::push_with`].
    #[inline]
    fn receive(
        &mut self,
        name: ConnectionRef,
        sender: Side,
        is_copy: bool,
        number: u32,
        message: Message,
        observer: &mut impl Observer<N>,
    ) -> Option<ProcessId> {
        let (process, conn) = self.arrive(name, sender, is_copy, number, &message)?;
        match message {
            Message::Request(correlation, request, print) => {
                let input = Input::Request { from: conn, correlation, request };
                self.give(process, input, Some(print), observer)
            }
            Message::Response(correlation, response, print) => {
                let input = Input::Response { conn, correlation, response };
                self.give(process, input, Some(print), observer)
            }
            Message::Fin => self.give(process, Input::Closed { conn }, None, observer),
        }
    }

    /// Delivers an input if the process can take it now; one that is paused, or has not yet taken
    /// what came before, finds it later.
    fn give(
        &mut self,
        process: ProcessId,
        input: Input,
        print: Option<Print>,
        observer: &mut impl Observer<N>,
    ) -> Option<ProcessId> {
        let slot = &mut self.processes[process.index()];
        slot.node.as_ref()?;
        if slot.is_paused || !slot.inbox.is_empty() {
            slot.inbox.push_back(input);
            return None;
        }
        self.deliver(process, input, print, observer);
        Some(process)
    }

    #[inline(always)]
    fn deliver(
        &mut self,
        process: ProcessId,
        input: Input,
        print: Option<Print>,
        observer: &mut impl Observer<N>,
    ) {
        self.events += 1;
        self.at_once += 1;
        let slot = &mut self.processes[process.index()];
        let name = &slot.name;
        assert!(self.at_once < AT_ONCE, "time stands still: {name} wakes itself for ever");
        let clock = &mut slot.clock;
        let now = clock.read(self.time);
        if !clock.unseen.is_empty() {
            clock.unseen.drain(..).for_each(|fault| self.faults.count(fault));
        }
        if let Input::Lost { log } = &input {
            let disk = &mut self.processes[process.index()].disk;
            Arc::make_mut(disk).fenced.retain(|fenced| fenced != log);
        }
        let mut step = Step::default();
        (process.0, now).hash(&mut step);
        step.input(&input, print);
        observer.delivered(self, process, &input);
        let mut out = std::mem::take(&mut self.out);
        let node = self.processes[process.index()].node.as_mut().expect("admitted, so it is up");
        node.step(now, input, &mut out);
        if self.self_checks {
            node.check();
        }
        self.carry_out(process, step, out, observer);
    }

    /// Carries out the effects of a step or of a start, in their order. `step` has hashed the
    /// input.
    pub(super) fn carry_out(
        &mut self,
        process: ProcessId,
        mut step: Step,
        mut out: Effects,
        observer: &mut impl Observer<N>,
    ) {
        observer.effects(self, process, out.as_slice());
        let mut halts = false;
        for effect in out.drain() {
            // The content of a message is hashed once, for all of its way.
            // What is said for the reader of a report alone is no part of the run.
            let is_aside =
                matches!(&effect, Effect::Note(Noted::Application(note)) if note.is_aside());
            if !is_aside && !matches!(effect, Effect::Send { .. } | Effect::Respond { .. }) {
                effect.hash(&mut step);
            }
            match effect {
                Effect::Send { conn, correlation, request } => {
                    let print = Print::of(&request);
                    step.request(conn, correlation, print);
                    self.send(process, conn, || Message::Request(correlation, request, print));
                }
                Effect::Respond { to, correlation, response } => {
                    let print = Print::of(&response);
                    step.response(to, correlation, print);
                    self.respond(process, to, correlation, (response, print));
                }
                Effect::Connect { conn, to } => self.connect(process, conn, &to),
                Effect::Close { conn } => self.close(process, conn),
                Effect::Return { call, outcome } => {
                    observer.returned(self, process, call, &outcome);
                }
                Effect::Note(_) => {}
                Effect::Halt => {
                    halts = true;
                    break;
                }
                stored @ (Effect::Create { .. }
                | Effect::Append { .. }
                | Effect::Flush { .. }
                | Effect::Truncate { .. }
                | Effect::Trim { .. }
                | Effect::Rewrite { .. }
                | Effect::Remove { .. }
                | Effect::Save { .. }
                | Effect::Delete { .. }
                | Effect::Load { .. }) => self.store(process, stored),
            }
        }
        self.out = out;
        self.digest.join(step);
        if halts {
            self.end(process, Lifecycle::Halted, observer);
        } else {
            self.arm(process);
        }
    }

    /// Answers a request with what is on the disk now.
    #[inline(always)]
    fn respond(
        &mut self,
        process: ProcessId,
        to: ConnId,
        correlation: CorrelationId,
        (mut response, mut print): (Arc<Response>, Print),
    ) {
        if self.resolve(process, &mut response) {
            print = Print::of(&response);
        }
        self.send(process, to, || Message::Response(correlation, response, print));
    }

    /// Sees to it that the process is woken at its deadline. An alarm that goes off earlier is left
    /// alone: it will find that it is early.
    pub(super) fn arm(&mut self, process: ProcessId) {
        let slot = &mut self.processes[process.index()];
        let Some(node) = &slot.node else { return };
        let Some(deadline) = node.deadline().filter(|_| !slot.is_paused) else { return };
        let Some(at) = slot.clock.when(deadline, self.time).filter(|at| *at < NEVER) else {
            return;
        };
        if slot.alarm.at.is_none_or(|set| at < set) {
            slot.alarm.at = Some(at);
            slot.alarm.token = slot.alarm.token.wrapping_add(1);
            let token = slot.alarm.token;
            self.push(at, Event::Wake { process, token });
        }
    }

    /// Forgets the alarm and sets it anew: the clock has changed.
    pub(super) fn rearm(&mut self, process: ProcessId) {
        let alarm = &mut self.processes[process.index()].alarm;
        if !alarm.is_first {
            alarm.at = None;
            alarm.token = alarm.token.wrapping_add(1);
        }
        self.arm(process);
    }

    fn wake(&mut self, process: ProcessId, token: u32) -> Option<(ProcessId, Input)> {
        let slot = &mut self.processes[process.index()];
        if slot.alarm.token != token {
            return None;
        }
        slot.alarm.at = None;
        let node = slot.node.as_ref().filter(|_| !slot.is_paused)?;
        if std::mem::take(&mut slot.alarm.is_first) {
            return Some((process, Input::Wake));
        }
        let deadline = node.deadline()?;
        if slot.clock.read(self.time).mono >= deadline {
            return Some((process, Input::Wake));
        }
        self.arm(process);
        None
    }

    /// Delivers the oldest input that waited for a pause to end.
    fn next_in_inbox(
        &mut self,
        process: ProcessId,
        incarnation: u32,
        observer: &mut impl Observer<N>,
    ) -> Option<ProcessId> {
        let slot = &mut self.processes[process.index()];
        if slot.incarnation != incarnation || slot.is_paused {
            return None;
        }
        let input = slot.inbox.pop_front()?;
        if !slot.inbox.is_empty() {
            self.push(self.time, Event::Inbox { process, incarnation });
        }
        self.deliver(process, input, None, observer);
        Some(process)
    }
}
