//! Consumers that come, go, dawdle and lose connections, on a real group coordinator: no two of
//! them that it would listen to hold the same partition, and in the end everything is held.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use std::collections::BTreeSet;

use super::*;
use crate::config::{AssignmentStrategy, GroupProtocol};
use crate::coordinator::group::tests::rig::{Rig, topic_id};
use crate::ids::{ConnId, CorrelationId, TopicId};
use crate::message::commit::Committer;
use crate::message::coordinator::{FindCoordinatorResponse, FoundCoordinator};
use crate::op::{GroupMetadata, Rebalance};
use crate::rng::Rng;

const PARTITIONS: usize = 4;

/// What an application knows.
#[derive(Default)]
struct App {
    held: BTreeSet<(TopicName, i32)>,
    giving_up: BTreeSet<(TopicName, i32)>,
    waits: bool,
    /// Takes its time before it polls again.
    dawdles: bool,
    closing: bool,
}

struct Client {
    machine: Consumer,
    app: App,
    /// Inputs in the order in which they will come.
    inbox: VecDeque<Input>,
    /// Requests in the order in which they will reach the coordinator.
    outbox: VecDeque<(ConnId, CorrelationId, Arc<Request>)>,
    calls: u64,
}

struct Storm {
    rig: Rig,
    rng: Rng,
    setup: ConsumerConfig,
    clients: Vec<Option<Client>>,
    /// Requests that the coordinator has not answered, by its numbers.
    asked: BTreeMap<u32, (usize, ConnId, CorrelationId)>,
    lives: u64,
    defects: Defects,
    /// A partition that two of them held at once.
    shared: Option<(TopicName, i32)>,
}

impl Storm {
    fn new(seed: u64, setup: ConsumerConfig, defects: Defects) -> Self {
        let (rig, rng) = (Rig::new(), Rng::from_number(seed));
        let mut storm = Storm {
            rig,
            rng,
            setup,
            clients: Vec::new(),
            asked: BTreeMap::new(),
            lives: 0,
            defects,
            shared: None,
        };
        for at in 0..4 {
            storm.clients.push(None);
            storm.start(at);
        }
        storm
    }

    fn start(&mut self, at: usize) {
        self.lives += 1;
        let instance = (at == 0).then(|| "static".into());
        let setup = Arc::new(ConsumerSetup {
            client_id: std::format!("k{at}").into(),
            bootstrap: [endpoint(1)].into(),
            config: self.setup.clone(),
            group: Some(GroupSetup { id: "g".into(), instance, assignor: None }),
            defects: self.defects,
            space: 1,
        });
        let mut out = Effects::new();
        let seed = [u8::try_from(self.lives % 251).expect("below 251"); 32];
        let machine = Consumer::start(&setup, seed, self.rig.now, &mut out);
        let (inbox, outbox) = (VecDeque::from([Input::Wake]), VecDeque::new());
        let app = App::default();
        self.clients[at] = Some(Client { machine, app, inbox, outbox, calls: 0 });
        self.call(at, Op::Subscribe([TopicName::from("orders")].into()));
        self.asked.retain(|_, (client, ..)| *client != at);
    }

    fn call(&mut self, at: usize, op: Op) {
        let Some(client) = &mut self.clients[at] else { return };
        client.calls += 1;
        let call = CallId(client.calls);
        client.inbox.push_back(Input::Call { call, op: Arc::new(op) });
    }

    /// Delivers the next input of a client.
    fn deliver(&mut self, at: usize) {
        let now = self.rig.now;
        let Some(client) = &mut self.clients[at] else { return };
        let Some(input) = client.inbox.pop_front() else { return };
        let mut out = Effects::new();
        client.machine.step(now, input, &mut out);
        client.machine.check();
        let mut returned = Vec::new();
        for effect in out.drain() {
            if let Effect::Connect { conn, .. } = effect {
                client.inbox.push_back(Input::Opened { conn });
            } else if let Effect::Send { conn, correlation, request } = effect {
                client.outbox.push_back((conn, correlation, request));
            } else if let Effect::Return { outcome, .. } = effect {
                returned.push(outcome);
            }
        }
        for outcome in returned {
            self.returned(at, outcome);
        }
        self.check();
    }

    fn returned(&mut self, at: usize, outcome: Outcome) {
        let Some(client) = &mut self.clients[at] else { return };
        let app = &mut client.app;
        if app.closing && outcome == Outcome::Done {
            self.clients[at] = None;
            return;
        }
        if let Outcome::Rebalanced(rebalance) = outcome {
            app.waits = false;
            match &*rebalance {
                Rebalance::Revoked(list) => app.giving_up = list.iter().cloned().collect(),
                Rebalance::Lost(list) => {
                    let mut all = list.iter();
                    assert!(all.all(|lost| app.held.remove(lost)), "it loses what it had");
                }
                Rebalance::Assigned(list, _) => {
                    let mut all = list.iter().cloned();
                    assert!(all.all(|new| app.held.insert(new)), "it gets what it had not");
                }
            }
            let commits = self.rng.chance(1, 2);
            if commits {
                self.call(at, Op::Commit(None));
            }
        } else if matches!(outcome, Outcome::Polled(_)) {
            app.waits = false;
        }
    }

    /// The application polls again.
    fn poll(&mut self, at: usize) {
        let Some(client) = &mut self.clients[at] else { return };
        let app = &mut client.app;
        if app.waits || app.dawdles || app.closing {
            return;
        }
        for gone in core::mem::take(&mut app.giving_up) {
            assert!(app.held.remove(&gone), "it gives up what it has");
        }
        app.waits = true;
        self.call(at, Op::Poll { max_records: 10, timeout: secs(1) });
    }

    /// The oldest request of a client reaches the cluster.
    fn reach(&mut self, at: usize) {
        let Some(client) = &mut self.clients[at] else { return };
        let Some((conn, correlation, request)) = client.outbox.pop_front() else { return };
        let Some(response) = elsewhere(&request) else {
            let number = self.rig.send((*request).clone());
            self.asked.insert(number, (at, conn, correlation));
            return;
        };
        let response = Arc::new(response);
        client.inbox.push_back(Input::Response { conn, correlation, response });
    }

    /// What the coordinator has answered is on its way.
    fn answers(&mut self) {
        for (number, response) in core::mem::take(&mut self.rig.answers) {
            let Some((at, conn, correlation)) = self.asked.remove(&number) else { continue };
            let Some(client) = &mut self.clients[at] else { continue };
            let response = Arc::new(response);
            client.inbox.push_back(Input::Response { conn, correlation, response });
        }
    }

    /// A connection of a client breaks, with all that is on it.
    fn break_connection(&mut self, at: usize) {
        let Some(client) = &mut self.clients[at] else { return };
        let asked =
            self.asked.values().find(|(client, ..)| *client == at).map(|(_, conn, _)| *conn);
        let Some(conn) = asked.or(client.outbox.front().map(|(conn, ..)| *conn)) else { return };
        client.outbox.retain(|(on, ..)| *on != conn);
        client
            .inbox
            .retain(|input| !matches!(input, Input::Response { conn: on, .. } if *on == conn));
        self.asked.retain(|_, (_, on, _)| *on != conn);
        client.inbox.push_back(Input::Closed { conn });
    }

    fn pass(&mut self, time: Duration) {
        self.rig.live(time);
        let now = self.rig.now.mono;
        for client in self.clients.iter_mut().flatten() {
            if client.machine.deadline().is_some_and(|at| at <= now) {
                client.inbox.push_back(Input::Wake);
            }
        }
    }

    /// Those that the coordinator would take a commit of, with what their applications hold.
    fn check(&mut self) {
        let now = self.rig.now.mono;
        let mut holders: BTreeMap<(TopicName, i32), usize> = BTreeMap::new();
        for (at, client) in self.clients.iter_mut().enumerate() {
            let Some(client) = client else { continue };
            let Ok(Some(standing)) = client.machine.standing(now) else { continue };
            let GroupMetadata { group, member, instance, generation } = standing;
            if !self.rig.accepts(&Committer { group, member, instance, generation }) {
                continue;
            }
            for partition in &client.app.held {
                let owned =
                    client.machine.group.as_ref().is_some_and(|g| g.holding.owns(partition));
                if owned && holders.insert(partition.clone(), at).is_some() {
                    self.shared = Some(partition.clone());
                }
            }
        }
    }

    fn step(&mut self) {
        let at = self.rng.index(self.clients.len());
        match self.rng.below(60) {
            0 => self.start(at),
            1 => {
                let app = self.clients[at].as_mut().map(|client| &mut client.app);
                if let Some(app) = app.filter(|app| !app.closing) {
                    app.closing = true;
                    self.call(at, Op::Close);
                }
            }
            2 => self.break_connection(at),
            3 => {
                if let Some(client) = &mut self.clients[at] {
                    client.app.dawdles = !client.app.dawdles;
                }
            }
            4 if self.rng.chance(1, 3) => self.rig.fail_over(),
            5 if self.clients[at].is_none() => self.start(at),
            6 if self.rng.chance(1, 4) => self.pass(secs(10)),
            7..12 => self.pass(ms(300)),
            12..20 => self.rig.commit(),
            20..32 => self.reach(at),
            32..44 => self.deliver(at),
            _ => self.poll(at),
        }
        self.answers();
    }

    /// Nothing fails any more.
    fn calm_down(&mut self, rounds: usize) {
        for at in 0..self.clients.len() {
            match &mut self.clients[at] {
                Some(client) if client.app.closing => self.clients[at] = None,
                Some(client) => client.app.dawdles = false,
                None => {}
            }
            if self.clients[at].is_none() {
                self.start(at);
            }
        }
        for _ in 0..rounds {
            for _ in 0..6 {
                for at in 0..self.clients.len() {
                    self.poll(at);
                    self.deliver(at);
                    self.reach(at);
                    self.rig.commit();
                    self.answers();
                }
            }
            self.pass(ms(250));
        }
    }
}

fn metadata_here() -> crate::message::metadata::MetadataResponse {
    let leaders = [(1, 0); PARTITIONS];
    let mut response = metadata(&leaders);
    let id: TopicId = topic_id(1);
    response.topics[0].id = id;
    response
}

fn found() -> Response {
    let found = FoundCoordinator {
        key: "g".into(),
        error: ErrorCode::None,
        node: NodeId(1),
        endpoint: Some(endpoint(1)),
    };
    Response::FindCoordinator(FindCoordinatorResponse { coordinators: [found].into() })
}

/// Whether two of them held a partition at once. If not, everybody has a part in the end.
fn is_shared(setup: &ConsumerConfig, defects: Defects, seed: u64) -> bool {
    let mut storm = Storm::new(seed, setup.clone(), defects);
    for _ in 0..1_500 {
        storm.step();
    }
    storm.calm_down(400);
    if storm.shared.is_some() {
        return true;
    }
    for client in storm.clients.iter().flatten() {
        assert_eq!(client.app.held.len(), 1, "{seed}: everybody has a part");
    }
    let held: BTreeSet<(TopicName, i32)> =
        storm.clients.iter().flatten().flat_map(|client| client.app.held.clone()).collect();
    assert_eq!(held.len(), PARTITIONS, "{seed}: {held:?}");
    false
}

fn rage(setup: &ConsumerConfig, seeds: u64) {
    for seed in 0..seeds {
        assert!(!is_shared(setup, Defects::NONE, seed), "{seed}: held by two at once");
    }
}

fn config(protocol: GroupProtocol, strategy: AssignmentStrategy) -> ConsumerConfig {
    ConsumerConfig {
        group_protocol: protocol,
        partition_assignment_strategy: strategy,
        session_timeout: secs(8),
        heartbeat_interval: secs(1),
        max_poll_interval: secs(12),
        request_timeout: secs(5),
        auto_commit_interval: secs(1),
        ..ConsumerConfig::default()
    }
}

#[test]
fn eager_members_share_in_the_end_and_never_at_once() {
    for strategy in
        [AssignmentStrategy::Range, AssignmentStrategy::RoundRobin, AssignmentStrategy::Sticky]
    {
        rage(&config(GroupProtocol::Classic, strategy), 20);
    }
}

#[test]
fn cooperative_members_share_in_the_end_and_never_at_once() {
    rage(&config(GroupProtocol::Classic, AssignmentStrategy::CooperativeSticky), 40);
}

#[test]
fn members_that_the_coordinator_leads_share_in_the_end_and_never_at_once() {
    rage(&config(GroupProtocol::Consumer, AssignmentStrategy::Range), 40);
}

#[test]
fn assign_before_revoke_makes_two_hold_the_same() {
    let config = config(GroupProtocol::Classic, AssignmentStrategy::CooperativeSticky);
    let broken = Defects::NONE.with(Defect::AssignBeforeRevoke);
    if broken.has(Defect::AssignBeforeRevoke) {
        assert!((0..20).any(|seed| is_shared(&config, broken, seed)));
    }
}

/// What brokers answer that have nothing to do with the group.
fn elsewhere(request: &Request) -> Option<Response> {
    if matches!(request, Request::Metadata(_)) {
        return Some(Response::Metadata(metadata_here()));
    }
    if matches!(request, Request::FindCoordinator(_)) {
        return Some(found());
    }
    // No leader has anything.
    if matches!(request, Request::Fetch(_)) {
        let nothing = FetchResponse { error: ErrorCode::None, partitions: Vec::new() };
        return Some(Response::Fetch(nothing));
    }
    if matches!(request, Request::OffsetForLeaderEpoch(_)) {
        let partitions = Vec::new();
        let nothing = OffsetForLeaderEpochResponse { partitions };
        return Some(Response::OffsetForLeaderEpoch(nothing));
    }
    let Request::ListOffsets(asked) = request else { return None };
    let listed = asked.partitions.iter().map(|p| ListedOffset {
        topic: p.topic.clone(),
        partition: p.partition,
        error: ErrorCode::None,
        timestamp: Timestamp::NONE,
        offset: Offset(0),
        leader_epoch: LeaderEpoch(0),
    });
    Some(Response::ListOffsets(ListOffsetsResponse { partitions: listed.collect() }))
}
