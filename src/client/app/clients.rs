//! The clients that an application process holds, each with connections of its own.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::channel::Backoff;
use crate::client::admin::{Admin, AdminSetup};
use crate::client::app::AppSetup;
use crate::client::app::engine::{Ask, Purpose};
use crate::client::app::store_client::StoreClient;
use crate::client::consumer::{Consumer, ConsumerSetup, GroupSetup};
use crate::client::producer::{Producer, ProducerSetup};
use crate::config::{AdminConfig, Delivery, IsolationLevel, OffsetReset};
use crate::defect::Defect;
use crate::ids::{CallId, ConnId, Offset};
use crate::machine::{Effect, Effects, Input, Machine};
use crate::op::{Op, Outcome};
use crate::rng::Rng;
use crate::time::{Instant, Now, earliest};

const ADMIN_SPACE: u8 = crate::client::SPACE;
const CONSUMER_SPACE: u8 = 2;
const RESTORER_SPACE: u8 = 3;
const STORE_SPACE: u8 = 4;
/// Each producer of the process gets the next one, so that it meets nothing of the one before.
const FIRST_PRODUCER_SPACE: u8 = 16;
const PRODUCER_SPACES: u8 = 100;

/// The clients, and what they were asked for.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    setup: Arc<AppSetup>,
    consumer: Consumer,
    producer: Producer,
    /// For state with a changelog.
    changelog: Option<Changelog>,
    store: Option<StoreClient>,
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

/// Who reads changelogs, and who says where they end.
#[derive(Clone, Debug)]
struct Changelog {
    restorer: Consumer,
    admin: Admin,
}

/// Which of the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Consumer,
    Producer,
    Restorer,
    Admin,
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
            changelog: changelog(setup, rng, now, out),
            store: setup.store.clone().map(|endpoint| {
                let backoff = Backoff {
                    base: setup.producer.reconnect_backoff,
                    max: setup.producer.reconnect_backoff_max,
                };
                let timeout = setup.config.store_timeout;
                StoreClient::new(endpoint, STORE_SPACE, timeout, backoff)
            }),
            producer_setup,
            next_call: 0,
            asked: BTreeMap::new(),
            producer_conns: Vec::new(),
        }
    }

    /// Calls a client, or takes another producer.
    pub fn ask(&mut self, now: Now, ask: Ask, rng: &mut Rng, inbox: &mut Inbox, out: &mut Effects) {
        let (client, purpose, op) = match ask {
            Ask::Consumer(purpose, op) => (Client::Consumer, purpose, op),
            Ask::Producer(purpose, op) => (Client::Producer, purpose, op),
            Ask::Restorer(purpose, op) => (Client::Restorer, purpose, op),
            Ask::Admin(purpose, op) => (Client::Admin, purpose, op),
            Ask::Store(purpose, request) => {
                let store = self.store.as_mut().expect("a processor that calls a store has one");
                return store.ask(now.mono, purpose, request, out);
            }
            Ask::RenewProducer => return self.renew_producer(now, rng, out),
        };
        self.next_call += 1;
        let call = CallId(self.next_call);
        let of_producer = client == Client::Producer;
        self.asked.insert(call, Asked { purpose, of_producer });
        self.step_client(client, now, Input::Call { call, op: Arc::new(op) }, inbox, out);
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
    pub fn step(
        &mut self,
        now: Now,
        input: Input,
        rng: &mut Rng,
        inbox: &mut Inbox,
        out: &mut Effects,
    ) {
        let conn = match &input {
            Input::Opened { conn } | Input::Closed { conn } | Input::Response { conn, .. } => *conn,
            Input::Wake
            | Input::Request { .. }
            | Input::Flushed { .. }
            | Input::Saved { .. }
            | Input::Loaded { .. }
            | Input::Lost { .. }
            | Input::LostFile { .. }
            | Input::Call { .. } => return self.wake(now, rng, inbox, out),
        };
        match conn.space() {
            CONSUMER_SPACE => self.step_client(Client::Consumer, now, input, inbox, out),
            RESTORER_SPACE => self.step_client(Client::Restorer, now, input, inbox, out),
            ADMIN_SPACE => self.step_client(Client::Admin, now, input, inbox, out),
            STORE_SPACE => {
                if let Some(store) = &mut self.store {
                    store.step(now.mono, input, rng, inbox, out);
                }
            }
            space if space == self.producer_setup.space => {
                if matches!(input, Input::Closed { .. }) {
                    self.producer_conns.retain(|open| *open != conn);
                }
                self.step_client(Client::Producer, now, input, inbox, out);
            }
            // Of a producer that is no more.
            _ => {}
        }
    }

    fn wake(&mut self, now: Now, rng: &mut Rng, inbox: &mut Inbox, out: &mut Effects) {
        for client in [Client::Consumer, Client::Producer, Client::Restorer, Client::Admin] {
            self.step_client(client, now, Input::Wake, inbox, out);
        }
        if let Some(store) = &mut self.store {
            store.step(now.mono, Input::Wake, rng, inbox, out);
        }
    }

    fn step_client(
        &mut self,
        client: Client,
        now: Now,
        input: Input,
        inbox: &mut Inbox,
        out: &mut Effects,
    ) {
        let mut own = Effects::new();
        match (client, &mut self.changelog) {
            (Client::Consumer, _) => self.consumer.step(now, input, &mut own),
            (Client::Producer, _) => self.producer.step(now, input, &mut own),
            (Client::Restorer, Some(changelog)) => changelog.restorer.step(now, input, &mut own),
            (Client::Admin, Some(changelog)) => changelog.admin.step(now, input, &mut own),
            (Client::Restorer | Client::Admin, None) => return,
        }
        for effect in own.drain() {
            if client == Client::Producer {
                self.watch_producer(&effect);
            }
            self.pass_on(effect, inbox, out);
        }
    }

    fn watch_producer(&mut self, effect: &Effect) {
        if let Effect::Connect { conn, .. } = effect {
            self.producer_conns.push(*conn);
        } else if let Effect::Close { conn } = effect {
            self.producer_conns.retain(|open| open != conn);
        }
    }

    fn pass_on(&mut self, effect: Effect, inbox: &mut Inbox, out: &mut Effects) {
        let Effect::Return { call, outcome } = effect else { return out.push(effect) };
        if let Some(asked) = self.asked.remove(&call) {
            inbox.push_back((asked.purpose, outcome));
        }
    }

    /// Up to where changelogs are read, by partition.
    pub fn restored(&self) -> Vec<(i32, Offset)> {
        let Some(changelog) = &self.changelog else { return Vec::new() };
        changelog.restorer.positions().map(|(_, partition, offset)| (partition, offset)).collect()
    }

    /// Hangs up where nobody needs to be told.
    pub fn close(&mut self, now: Now, out: &mut Effects) {
        for client in [Client::Restorer, Client::Admin] {
            let close = Input::Call { call: CallId(0), op: Arc::new(Op::Close) };
            self.step_client(client, now, close, &mut Inbox::new(), out);
        }
        if let Some(store) = &mut self.store {
            store.close(out);
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        let own = earliest(self.consumer.deadline(), self.producer.deadline());
        let store = self.store.as_ref().and_then(StoreClient::deadline);
        let changelog = self.changelog.as_ref().and_then(|changelog| {
            earliest(changelog.restorer.deadline(), changelog.admin.deadline())
        });
        earliest(own, earliest(store, changelog))
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

fn changelog(setup: &AppSetup, rng: &mut Rng, now: Now, out: &mut Effects) -> Option<Changelog> {
    let wants = setup.config.delivery == Delivery::ExactlyOnce && setup.changelog.is_some();
    wants.then(|| {
        let admin = Arc::new(admin_setup(setup));
        Changelog {
            restorer: Consumer::start(&Arc::new(restorer_setup(setup)), seed(rng), now, out),
            admin: Admin::start(&admin, seed(rng), now, out),
        }
    })
}

fn admin_setup(setup: &AppSetup) -> AdminSetup {
    AdminSetup {
        client_id: Arc::clone(&setup.client_id),
        bootstrap: Arc::clone(&setup.bootstrap),
        config: AdminConfig {
            // Kafka Streams takes one `request.timeout.ms` for all clients of an application.
            request_timeout: setup.consumer.request_timeout,
            ..AdminConfig::default()
        },
        defects: setup.defects,
    }
}

fn restorer_setup(setup: &AppSetup) -> ConsumerSetup {
    let mut config = setup.consumer.clone();
    // What a transaction took back never was (KIP-98).
    config.isolation_level = if setup.defects.has(Defect::ReadUncommittedLedger) {
        IsolationLevel::ReadUncommitted
    } else {
        IsolationLevel::ReadCommitted
    };
    config.auto_offset_reset = OffsetReset::Earliest;
    ConsumerSetup {
        client_id: Arc::clone(&setup.client_id),
        bootstrap: Arc::clone(&setup.bootstrap),
        config,
        group: None,
        defects: setup.defects,
        space: RESTORER_SPACE,
    }
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
    use alloc::vec;

    use super::*;
    use crate::client::app::testing::setup;
    use crate::client::testing::{Script, endpoint, secs};
    use crate::defect::Defects;
    use crate::ids::{LeaderEpoch, TopicRef};
    use crate::message::Request;
    use crate::message::fetch::Isolation;
    use crate::message::offsets::{ListOffsetsPartition, ListOffsetsRequest, OffsetSpec};
    use crate::op::Op;
    use crate::time::Duration;

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
    fn state_is_restored_from_what_is_committed_unless_the_switch_is_on() {
        let mut setup = setup(Delivery::ExactlyOnce);
        let level = |setup: &AppSetup| restorer_setup(setup).config.isolation_level;
        assert_eq!(level(&setup), IsolationLevel::ReadCommitted);
        setup.defects = Defects::NONE.with(Defect::ReadUncommittedLedger);
        let reads_all = level(&setup) == IsolationLevel::ReadUncommitted;
        assert_eq!(reads_all, cfg!(feature = "defects"));
    }

    /// A broker that stands still holds up a restore no longer than any other request (`everything`
    /// seed 25).
    #[test]
    fn all_clients_of_an_application_wait_as_long_as_its_consumer() {
        let mut setup = setup(Delivery::ExactlyOnce);
        setup.consumer.request_timeout = secs(3);
        setup.bootstrap = [endpoint(1)].into();
        let admin = Arc::new(admin_setup(&setup));
        let mut script = Script::new(|now, out| Admin::start(&admin, [1; 32], now, out), &[(1, 1)]);
        let partition = ListOffsetsPartition {
            topic: TopicRef::Name("orders".into()),
            partition: 0,
            current_leader_epoch: LeaderEpoch::NONE,
            spec: OffsetSpec::Latest,
        };
        let (isolation, partitions) = (Isolation::ReadUncommitted, vec![partition]);
        let ends = Request::ListOffsets(ListOffsetsRequest { isolation, partitions });
        script.call(1, Op::Admin(ends));
        let _unanswered = script.asked();
        script.pass(secs(4));
        assert_eq!(script.asked().node, 1);
    }

    #[test]
    fn exactly_once_reads_what_is_committed_and_commits_itself() {
        let exact = consumer_setup(&setup(Delivery::ExactlyOnce)).config;
        assert_eq!(exact.isolation_level, IsolationLevel::ReadCommitted);
        assert!(!exact.enable_auto_commit);
        let least = producer_setup(&setup(Delivery::AtLeastOnce), &mut Rng::from_number(1));
        assert_eq!(least.transactional_id, None);
    }

    #[test]
    fn the_producer_has_the_settings_that_the_application_was_given() {
        let mut setup = setup(Delivery::AtLeastOnce);
        setup.producer.linger = Duration::from_millis(77);
        let config = producer_setup(&setup, &mut Rng::from_number(1)).config;
        assert_eq!(config, setup.producer);
    }
}
