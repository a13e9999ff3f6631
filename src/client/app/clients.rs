//! The clients that an application process holds, each with connections of its own.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::client::app::AppSetup;
use crate::client::app::engine::{Ask, Purpose};
use crate::client::consumer::{Consumer, ConsumerSetup, GroupSetup};
use crate::client::producer::{Producer, ProducerSetup};
use crate::config::{Delivery, IsolationLevel};
use crate::defect::Defect;
use crate::ids::{CallId, ConnId};
use crate::machine::{Effect, Effects, Input, Machine};
use crate::op::Outcome;
use crate::rng::Rng;
use crate::time::{Instant, Now, earliest};

const CONSUMER_SPACE: u8 = 1;
/// Each producer of the process gets the next one, so that it meets nothing of the one before.
const FIRST_PRODUCER_SPACE: u8 = 16;
const PRODUCER_SPACES: u8 = 100;

/// A consumer and a producer, and what they were asked for.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    setup: Arc<AppSetup>,
    consumer: Consumer,
    producer: Producer,
    producer_setup: Arc<ProducerSetup>,
    next_call: u64,
    asked: BTreeMap<CallId, Asked>,
    /// Open or dialled connections of the producer.
    producer_conns: Vec<ConnId>,
}

#[derive(Clone, Debug)]
struct Asked {
    purpose: Purpose,
    of_producer: bool,
}

/// Answers in the order in which they came.
pub(super) type Inbox = VecDeque<(Purpose, Outcome)>;

impl Clients {
    pub fn start(setup: &Arc<AppSetup>, rng: &mut Rng, now: Now, out: &mut Effects) -> Self {
        let consumer = Arc::new(consumer_setup(setup));
        let producer_setup = Arc::new(producer_setup(setup, rng));
        Clients {
            setup: Arc::clone(setup),
            consumer: Consumer::start(&consumer, seed(rng), now, out),
            producer: Producer::start(&producer_setup, seed(rng), now, out),
            producer_setup,
            next_call: 0,
            asked: BTreeMap::new(),
            producer_conns: Vec::new(),
        }
    }

    /// Calls a client, or takes another producer.
    pub fn ask(&mut self, now: Now, ask: Ask, rng: &mut Rng, inbox: &mut Inbox, out: &mut Effects) {
        let (purpose, op, of_producer) = match ask {
            Ask::Consumer(purpose, op) => (purpose, op, false),
            Ask::Producer(purpose, op) => (purpose, op, true),
            Ask::RenewProducer => return self.renew_producer(now, rng, out),
        };
        self.next_call += 1;
        let call = CallId(self.next_call);
        self.asked.insert(call, Asked { purpose, of_producer });
        let input = Input::Call { call, op: Arc::new(op) };
        if of_producer {
            self.step_producer(now, input, inbox, out);
        } else {
            self.step_consumer(now, input, inbox, out);
        }
    }

    fn renew_producer(&mut self, now: Now, rng: &mut Rng, out: &mut Effects) {
        for conn in core::mem::take(&mut self.producer_conns) {
            out.push(Effect::Close { conn });
        }
        self.asked.retain(|_, asked| !asked.of_producer);
        let mut setup = ProducerSetup::clone(&self.producer_setup);
        let next = setup.space - FIRST_PRODUCER_SPACE + 1;
        setup.space = FIRST_PRODUCER_SPACE + next % PRODUCER_SPACES;
        self.producer_setup = Arc::new(setup);
        self.producer = Producer::start(&self.producer_setup, seed(rng), now, out);
    }

    /// Takes any input but a call.
    pub fn step(&mut self, now: Now, input: Input, inbox: &mut Inbox, out: &mut Effects) {
        let conn = match &input {
            Input::Opened { conn } | Input::Closed { conn } | Input::Response { conn, .. } => {
                Some(*conn)
            }
            Input::Wake
            | Input::Request { .. }
            | Input::Flushed { .. }
            | Input::Saved { .. }
            | Input::Loaded { .. }
            | Input::Lost { .. }
            | Input::LostFile { .. }
            | Input::Call { .. } => None,
        };
        match conn.map(ConnId::space) {
            None => {
                self.step_consumer(now, Input::Wake, inbox, out);
                self.step_producer(now, Input::Wake, inbox, out);
            }
            Some(CONSUMER_SPACE) => self.step_consumer(now, input, inbox, out),
            Some(space) if space == self.producer_setup.space => {
                if let Input::Closed { conn } = input {
                    self.producer_conns.retain(|open| *open != conn);
                }
                self.step_producer(now, input, inbox, out);
            }
            // Of a producer that is no more.
            Some(_) => {}
        }
    }

    fn step_consumer(&mut self, now: Now, input: Input, inbox: &mut Inbox, out: &mut Effects) {
        let mut own = Effects::new();
        self.consumer.step(now, input, &mut own);
        for effect in own.drain() {
            self.pass_on(effect, inbox, out);
        }
    }

    fn step_producer(&mut self, now: Now, input: Input, inbox: &mut Inbox, out: &mut Effects) {
        let mut own = Effects::new();
        self.producer.step(now, input, &mut own);
        for effect in own.drain() {
            if let Effect::Connect { conn, .. } = effect {
                self.producer_conns.push(conn);
            } else if let Effect::Close { conn } = effect {
                self.producer_conns.retain(|open| *open != conn);
            }
            self.pass_on(effect, inbox, out);
        }
    }

    fn pass_on(&mut self, effect: Effect, inbox: &mut Inbox, out: &mut Effects) {
        let Effect::Return { call, outcome } = effect else { return out.push(effect) };
        if let Some(asked) = self.asked.remove(&call) {
            inbox.push_back((asked.purpose, outcome));
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        earliest(self.consumer.deadline(), self.producer.deadline())
    }

    pub fn check(&self) {
        self.consumer.check();
        self.producer.check();
        assert_eq!(self.setup.client_id, self.producer_setup.client_id, "one process, one name");
    }
}

fn seed(rng: &mut Rng) -> [u8; 32] {
    let mut seed = [0; 32];
    for chunk in seed.chunks_exact_mut(8) {
        chunk.copy_from_slice(&rng.next_u64().to_le_bytes());
    }
    seed
}

fn consumer_setup(setup: &AppSetup) -> ConsumerSetup {
    let mut config = setup.consumer.clone();
    // The application commits, after the effects.
    config.enable_auto_commit = false;
    if setup.config.delivery == Delivery::ExactlyOnce {
        config.isolation_level = IsolationLevel::ReadCommitted;
    }
    ConsumerSetup {
        client_id: Arc::clone(&setup.client_id),
        bootstrap: Arc::clone(&setup.bootstrap),
        config,
        group: Some(GroupSetup {
            id: Arc::clone(&setup.group),
            instance: setup.instance.clone(),
            assignor: None,
        }),
        defects: setup.defects,
        space: CONSUMER_SPACE,
    }
}

fn producer_setup(setup: &AppSetup, rng: &mut Rng) -> ProducerSetup {
    let transactional = setup.config.delivery == Delivery::ExactlyOnce;
    ProducerSetup {
        client_id: Arc::clone(&setup.client_id),
        bootstrap: Arc::clone(&setup.bootstrap),
        config: setup.producer.clone(),
        defects: setup.defects,
        partitioner: None,
        transactional_id: transactional.then(|| transactional_id(setup, rng)),
        space: FIRST_PRODUCER_SPACE,
    }
}

/// The same in each life of the process, so that the next life fences the one before and ends what
/// that one left open (KIP-98).
fn transactional_id(setup: &AppSetup, rng: &mut Rng) -> Arc<str> {
    let AppSetup { group, client_id, .. } = setup;
    if setup.defects.has(Defect::RandomTransactionalId) {
        format!("{group}-{client_id}-{:016x}", rng.next_u64()).into()
    } else {
        format!("{group}-{client_id}").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::app::testing::setup;
    use crate::defect::Defects;

    #[test]
    fn a_transactional_id_outlives_the_process_unless_it_is_drawn_at_random() {
        let mut setup = setup(Delivery::ExactlyOnce);
        let ids = |setup: &AppSetup| {
            [1, 2].map(|life| transactional_id(setup, &mut Rng::from_number(life)))
        };
        let [first, second] = ids(&setup);
        assert_eq!((&*first, &*second), ("g-x1", "g-x1"));
        setup.defects = Defects::NONE.with(Defect::RandomTransactionalId);
        let [first, second] = ids(&setup);
        let random = cfg!(feature = "defects");
        assert_eq!(first != second, random);
    }

    #[test]
    fn exactly_once_reads_what_is_committed_and_commits_itself() {
        let exact = consumer_setup(&setup(Delivery::ExactlyOnce)).config;
        assert_eq!(exact.isolation_level, IsolationLevel::ReadCommitted);
        assert!(!exact.enable_auto_commit);
        let least = producer_setup(&setup(Delivery::AtLeastOnce), &mut Rng::from_number(1));
        assert_eq!(least.transactional_id, None);
    }
}
