//! Applications: processes that consume, process and produce, with a promise on how often.
//!
//! An [`App`] is a machine around a user's [`Processor`]. It embeds a consumer and a producer and
//! asks them as any application would, by [`Op`]; what it must do between their answers is here:
//!
//! - `engine`: what comes next; `membership`: polls and rebalances; `lane`: one partition in hand;
//!   `task`: records at work; `commit` and `transaction`: how what is done is made final, and how
//!   to start over.
//! - `claim`: the right to write to an external store.
//! - `restore`: state from its changelog.
//! - `clients`: the embedded machines; `store_client`: the way to an external store.
//! - [`store`]: such a store.
//! - [`format`](mod@format): how values are written and read. A processor has a
//!   [`Format`](format::Format) of each type that it reads ([`Context::read`]) or emits; JSON is
//!   here, and others fit into [`Codec`](format::Codec).
//! - [`trial`]: a processor by itself, for its unit tests.
//! - [`copy`], [`ledger`], [`tickets`], [`retry`]: applications.

mod claim;
mod clients;
mod commit;
pub mod copy;
mod engine;
pub mod format;
mod lane;
pub mod ledger;
mod membership;
pub mod processor;
mod restore;
pub mod retry;
pub mod store;
mod store_client;
mod task;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod tickets;
mod transaction;
pub mod trial;

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::client::app::clients::{Clients, Inbox};
use crate::client::app::engine::{Closing, Engine, Todo};
pub use crate::client::app::processor::{Context, Processor};
use crate::config::{AppConfig, ConsumerConfig, ProducerConfig};
use crate::defect::Defects;
use crate::error::ErrorCode;
use crate::event::Event;
use crate::ids::{CallId, Endpoint, TopicName};
use crate::machine::{Effect, Effects, Input, Machine};
use crate::op::{Op, Outcome};
use crate::rng::Rng;
use crate::time::{Instant, Now, earliest};

/// What an application process is started with.
#[derive(Clone, Debug)]
pub struct AppSetup {
    /// The process's name, the same in each of its lives.
    pub client_id: Arc<str>,
    /// Where to ask for the cluster's brokers first; any one that lives is enough.
    pub bootstrap: Arc<[Endpoint]>,
    pub consumer: ConsumerConfig,
    pub producer: ProducerConfig,
    pub config: AppConfig,
    pub defects: Defects,
    pub group: Arc<str>,
    /// A static member's name (`group.instance.id`, KIP-345).
    pub instance: Option<Arc<str>>,
    pub inputs: Vec<TopicName>,
    /// With exactly-once: where the state is kept, partition by partition as the one input has
    /// them. Compacted, if it shall stay small.
    pub changelog: Option<TopicName>,
    /// An external store, for processors that call one.
    pub store: Option<Endpoint>,
}

/// An application process.
#[derive(Clone, Debug)]
pub struct App<P> {
    rng: Rng,
    clients: Clients,
    engine: Engine<P>,
    /// A call that waits for the graceful stop.
    closing: Option<CallId>,
    closed: bool,
    wake: Option<Instant>,
}

impl<P: Processor> App<P> {
    /// Starts without a connection; the first step joins the group.
    ///
    /// # Panics
    /// If it has a changelog and more than one input.
    #[must_use]
    pub fn start(
        setup: &Arc<AppSetup>,
        processor: P,
        seed: [u8; 32],
        now: Now,
        out: &mut Effects,
    ) -> Self {
        let mut rng = Rng::new(seed);
        let clients = Clients::start(setup, &mut rng, now, out);
        let own = Rng::from_number(rng.next_u64());
        let copartitioned = setup.changelog.is_none() || setup.inputs.len() == 1;
        assert!(copartitioned, "a changelog follows the partitions of one input");
        let engine = Engine::new(setup, processor, own);
        App { rng, clients, engine, closing: None, closed: false, wake: Some(now.mono) }
    }

    /// The user's part.
    #[must_use]
    pub fn processor(&self) -> &P {
        &self.engine.processor
    }

    /// The invariants of what it holds.
    ///
    /// # Panics
    /// If one is broken: a bug of ours.
    pub fn check(&self) {
        self.clients.check();
        self.engine.check();
    }

    fn called(&mut self, call: CallId, op: &Op, out: &mut Effects) {
        if *op != Op::Close || self.closing.is_some() || self.closed {
            let outcome = Outcome::Failed(ErrorCode::InvalidRequest);
            return out.push(Effect::Return { call, outcome });
        }
        self.closing = Some(call);
        self.engine.close();
    }

    /// Lets engine and clients talk until neither has anything to say.
    fn settle(&mut self, now: Now, mut inbox: Inbox, out: &mut Effects) {
        loop {
            let mut todo = Todo::default();
            while let Some((purpose, outcome)) = inbox.pop_front() {
                self.engine.returned(now, purpose, &outcome, &mut todo);
            }
            self.engine.restored_to(&self.clients.restored());
            self.engine.work(now, &mut todo);
            for note in todo.notes {
                out.note(Event::Application(Arc::new(note)));
            }
            for ask in todo.asks {
                self.clients.ask(now, ask, &mut self.rng, &mut inbox, out);
            }
            if inbox.is_empty() {
                break;
            }
        }
        if let Some(note) = self.engine.counted() {
            out.note(Event::Application(Arc::new(note)));
        }
        if self.engine.closing == Closing::Done
            && let Some(call) = self.closing.take()
        {
            self.closed = true;
            self.clients.close(now, out);
            out.push(Effect::Return { call, outcome: Outcome::Done });
        }
    }
}

impl<P: Processor> Machine for App<P> {
    fn step(&mut self, now: Now, input: Input, out: &mut Effects) {
        let mut inbox = Inbox::new();
        if let Input::Call { call, op } = input {
            self.called(call, &op, out);
        } else if !self.closed {
            self.clients.step(now, input, &mut self.rng, &mut inbox, out);
        }
        if !self.closed {
            self.settle(now, inbox, out);
        }
        let next = earliest(self.engine.wake, self.clients.deadline());
        self.wake = if self.closed { None } else { next };
    }

    fn deadline(&self) -> Option<Instant> {
        self.wake
    }
}
