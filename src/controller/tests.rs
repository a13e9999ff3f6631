//! One controller, alone in its quorum, stepped through its effects.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test names what it expects, and no more")]

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use super::*;
use crate::config::{QuorumConfig, Voter};
use crate::defect::{Defect, Defects};
use crate::error::ErrorCode;
use crate::format::MetaProperties;
use crate::ids::{BrokerEpoch, ConnId, CorrelationId, Endpoint, NodeId, ProducerId, Uuid};
use crate::machine::SurvivedLog;
use crate::message::admin::{CreatableTopic, CreateTopicsRequest, ListReassignmentsRequest};
use crate::message::cluster::{
    AllocateProducerIdsRequest, BrokerHeartbeatRequest, BrokerRegistrationRequest,
};
use crate::message::metadata::DescribeClusterRequest;
use crate::message::{Request, Response};
use crate::time::{Duration, Timestamp};

const CLIENT: ConnId = ConnId(7);

fn endpoint() -> Endpoint {
    Endpoint { host: "c1".into(), port: 9093 }
}

fn setup(defects: Defects, snapshot_bytes: u64) -> Arc<ControllerSetup> {
    let key = ReplicaKey { node: NodeId(100), directory: Uuid([1; 4]) };
    let server = ServerConfig {
        node: key.node,
        cluster_id: "test".into(),
        endpoint: endpoint(),
        rack: None,
        voters: [Voter { key, endpoint: endpoint() }].into(),
        quorum: QuorumConfig { snapshot_bytes, ..QuorumConfig::default() },
        defects,
    };
    Arc::new(ControllerSetup { server, controller: ControllerConfig::default() })
}

/// What carries out a controller's effects: a disk that may be slow, and a client.
struct Bench {
    controller: Controller,
    now: Now,
    disk: Survived,
    slow: bool,
    flushes: VecDeque<Input>,
    answers: Vec<(u32, Response)>,
    closed: Vec<ConnId>,
    notes: Vec<Event>,
    next: u32,
}

impl Bench {
    fn start(setup: &Arc<ControllerSetup>, disk: Survived) -> Self {
        let now = Now { mono: Instant::from_nanos(1), wall: Timestamp(1) };
        let mut out = Effects::new();
        let controller = Controller::start(setup, [3; 32], now, disk.clone(), &mut out);
        let mut bench = Bench {
            controller,
            now,
            disk,
            slow: false,
            flushes: VecDeque::new(),
            answers: Vec::new(),
            closed: Vec::new(),
            notes: Vec::new(),
            next: 0,
        };
        bench.carry_out(out);
        bench
    }

    /// A formatted disk, and a controller on it that has become active.
    fn active(setup: &Arc<ControllerSetup>) -> Self {
        let server = &setup.server;
        let properties = MetaProperties {
            cluster_id: server.cluster_id.clone(),
            node: server.node,
            directory: server.voters[0].key.directory,
        };
        let files = [(FileKey::MetaProperties, properties.encode())].into();
        let mut bench = Bench::start(setup, Survived { files, logs: Vec::new() });
        bench.elect();
        bench
    }

    fn elect(&mut self) {
        for _ in 0..20 {
            if self.controller.is_active() {
                return;
            }
            self.wake();
        }
        panic!("a quorum of one elects itself");
    }

    /// Lets time pass up to the next deadline.
    fn wake(&mut self) {
        let deadline = self.controller.deadline().expect("there is something to wait for");
        self.now.mono = self.now.mono.max(deadline);
        self.step(Input::Wake);
    }

    fn run(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while self.controller.deadline().is_some_and(|deadline| deadline <= end) {
            self.wake();
        }
        self.now.mono = end;
    }

    fn step(&mut self, input: Input) {
        let mut out = Effects::new();
        self.controller.step(self.now, input, &mut out);
        self.controller.check();
        self.carry_out(out);
    }

    fn carry_out(&mut self, mut out: Effects) {
        for effect in out.drain().collect::<Vec<_>>() {
            match effect {
                Effect::Flush { log, upto } => {
                    self.flushes.push_back(Input::Flushed { log, upto });
                }
                Effect::Save { file, value } => {
                    self.write(file, value);
                    self.flushes.push_back(Input::Saved { file });
                }
                Effect::Create { log, name } => {
                    self.disk.logs.push(SurvivedLog { log, name, chunks: Vec::new() });
                }
                Effect::Append { batch, .. } => self.disk.logs[0].chunks.push(batch),
                Effect::Trim { to, .. } => {
                    let kept = |chunk: &Bytes| {
                        let header = crate::record::verify(chunk).expect("just written");
                        header.last_offset() >= to
                    };
                    self.disk.logs[0].chunks.retain(kept);
                }
                Effect::Respond { to: CLIENT, correlation, response } => {
                    self.answers.push((correlation.0, (*response).clone()));
                }
                Effect::Close { conn } => self.closed.push(conn),
                Effect::Note(event) => self.notes.push(event),
                Effect::Connect { .. } => {}
                other => panic!("not expected of a lone controller: {other:?}"),
            }
        }
        if !self.slow {
            self.settle();
        }
    }

    fn write(&mut self, file: FileKey, value: Bytes) {
        match self.disk.files.binary_search_by_key(&file, |(key, _)| *key) {
            Ok(at) => self.disk.files[at].1 = value,
            Err(at) => self.disk.files.insert(at, (file, value)),
        }
    }

    /// The disk catches up.
    fn settle(&mut self) {
        self.slow = false;
        while let Some(input) = self.flushes.pop_front() {
            self.step(input);
        }
    }

    fn send(&mut self, request: Request) -> u32 {
        let correlation = CorrelationId(self.next);
        self.next += 1;
        self.step(Input::Request { from: CLIENT, correlation, request: Arc::new(request) });
        correlation.0
    }

    /// Sends a request whose answer comes at once.
    fn ask(&mut self, request: Request) -> Response {
        let correlation = self.send(request);
        let (answered, response) = self.answers.pop().expect("answered at once");
        assert_eq!(answered, correlation);
        response
    }

    fn register(&mut self, node: i32) -> BrokerEpoch {
        match self.ask(register(node)) {
            Response::BrokerRegistration(response) => {
                assert_eq!(response.error, ErrorCode::None);
                response.epoch
            }
            other => panic!("another answer: {other:?}"),
        }
    }

    fn serve(&mut self, node: i32) -> BrokerEpoch {
        let epoch = self.register(node);
        self.ask(heartbeat(node, epoch));
        assert!(self.controller.image().is_active(NodeId(node)));
        epoch
    }

    fn allocate(&mut self, node: i32, epoch: BrokerEpoch) -> ProducerId {
        let request = AllocateProducerIdsRequest { node: NodeId(node), epoch };
        match self.ask(Request::AllocateProducerIds(request)) {
            Response::AllocateProducerIds(response) => response.first,
            other => panic!("another answer: {other:?}"),
        }
    }

    /// Starts again over what is on the disk.
    fn restart(self) -> Self {
        let mut bench = Bench::start(&self.controller.setup.clone(), self.disk);
        bench.elect();
        bench
    }
}

fn register(node: i32) -> Request {
    Request::BrokerRegistration(BrokerRegistrationRequest {
        node: NodeId(node),
        cluster_id: "test".into(),
        incarnation: Uuid([1, 0, 0, node.unsigned_abs()]),
        directory: Uuid([2, 0, 0, node.unsigned_abs()]),
        endpoint: Endpoint { host: "b".into(), port: 9092 },
        rack: None,
        previous_epoch: BrokerEpoch::NONE,
    })
}

fn heartbeat(node: i32, epoch: BrokerEpoch) -> Request {
    Request::BrokerHeartbeat(BrokerHeartbeatRequest {
        node: NodeId(node),
        epoch,
        metadata_offset: Offset(epoch.0),
        want_fence: false,
        want_shutdown: false,
    })
}

fn create(name: &str) -> Request {
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: 3,
        replication_factor: 1,
        assignments: Vec::new(),
        configs: Vec::new(),
    };
    let topics = [topic].into();
    let timeout = Duration::from_secs(1);
    Request::CreateTopics(CreateTopicsRequest { timeout, validate_only: false, topics })
}

fn errors(answers: &[(u32, Response)]) -> Vec<ErrorCode> {
    let error = |(_, response): &(u32, Response)| match response {
        Response::CreateTopics(response) => response.topics[0].error,
        Response::BrokerHeartbeat(response) => response.error,
        other => panic!("another answer: {other:?}"),
    };
    answers.iter().map(error).collect()
}

#[test]
fn a_request_sees_the_one_before_it_and_both_are_answered_when_committed() {
    let mut bench = Bench::active(&setup(Defects::NONE, 100_000));
    bench.serve(1);
    bench.slow = true;
    bench.send(create("orders"));
    bench.send(create("orders"));
    assert_eq!(bench.answers, []);
    assert!(bench.controller.image().topics.is_empty());
    bench.notes.clear();
    bench.settle();
    assert_eq!(errors(&bench.answers), [ErrorCode::None, ErrorCode::TopicAlreadyExists]);
    assert_eq!(bench.controller.image().topics.len(), 1);
    let lied = bench.notes.iter().any(|event| {
        matches!(event, Event::ControllerReplied { offset, committed } if offset > committed)
    });
    assert!(!lied, "{:?}", bench.notes);
}

#[test]
#[cfg(feature = "defects")]
fn controller_reply_before_commit_tells_what_may_be_lost() {
    let defects = Defects::NONE.with(Defect::ControllerReplyBeforeCommit);
    let mut bench = Bench::active(&setup(defects, 1000));
    bench.serve(1);
    bench.slow = true;
    bench.notes.clear();
    bench.send(create("orders"));
    assert_eq!(errors(&bench.answers), [ErrorCode::None]);
    let told = bench.notes.iter().any(|event| {
        matches!(event, Event::ControllerReplied { offset, committed } if offset > committed)
    });
    assert!(told, "{:?}", bench.notes);
}

#[test]
fn who_steps_down_refuses_what_it_decided_and_forgets_it() {
    let mut bench = Bench::active(&setup(Defects::NONE, 100_000));
    bench.serve(1);
    bench.slow = true;
    bench.send(create("orders"));
    let mut out = Effects::new();
    bench.controller.resign(&mut out);
    bench.carry_out(out);
    assert_eq!(errors(&bench.answers), [ErrorCode::NotController]);
    assert!(bench.controller.speculative().is_none());
    bench.answers.clear();
    bench.send(heartbeat(1, BrokerEpoch(1)));
    assert_eq!(errors(&bench.answers), [ErrorCode::NotController]);
}

#[test]
fn a_silent_broker_is_fenced_and_its_partitions_have_no_leader() {
    let mut bench = Bench::active(&setup(Defects::NONE, 100_000));
    let epoch = bench.serve(1);
    bench.ask(create("orders"));
    bench.run(Duration::from_millis(8_900));
    bench.ask(heartbeat(1, epoch));
    bench.run(Duration::from_millis(8_900));
    assert!(bench.controller.image().is_active(NodeId(1)));
    bench.run(Duration::from_millis(200));
    let image = bench.controller.image();
    assert!(!image.is_active(NodeId(1)));
    assert!(image.partitions().all(|(_, partition)| partition.leader == NodeId::NONE));
    bench.ask(heartbeat(1, epoch));
    let image = bench.controller.image();
    assert!(image.partitions().all(|(_, partition)| partition.leader == NodeId(1)));
}

#[test]
fn an_idle_cluster_still_gets_a_record_now_and_then() {
    let mut bench = Bench::active(&setup(Defects::NONE, 100_000));
    bench.run(Duration::from_secs(1));
    let before = bench.controller.applied();
    bench.run(Duration::from_secs(5));
    assert_eq!(bench.controller.applied() - before, 10);
}

#[test]
fn metadata_survives_a_restart_from_the_log_and_from_a_snapshot() {
    for snapshot_bytes in [100_000, 300] {
        let mut bench = Bench::active(&setup(Defects::NONE, snapshot_bytes));
        bench.serve(1);
        bench.ask(create("orders"));
        bench.run(Duration::from_secs(3));
        let image = bench.controller.image().clone();
        let digest = image.digest();
        let has_snapshot = bench.disk.file(FileKey::Snapshot).is_some();
        assert_eq!(has_snapshot, snapshot_bytes == 300);
        let bench = bench.restart();
        assert_eq!(*bench.controller.image(), image);
        assert_eq!(bench.controller.digest, digest);
    }
}

/// The first producer id of the block after a restart from a snapshot, where one was given out.
fn next_block(defects: Defects) -> ProducerId {
    let mut bench = Bench::active(&setup(defects, 1));
    let epoch = bench.serve(1);
    assert_eq!(bench.allocate(1, epoch), ProducerId(0));
    bench.run(Duration::from_secs(3));
    bench.restart().allocate(1, epoch)
}

#[test]
fn a_block_of_producer_ids_is_given_once_unless_pid_block_reissued() {
    assert_eq!(next_block(Defects::NONE), ProducerId(1000));
    let defects = Defects::NONE.with(Defect::PidBlockReissued);
    let lost = defects.has(Defect::PidBlockReissued);
    assert_eq!(next_block(defects), ProducerId(if lost { 0 } else { 1000 }));
}

#[test]
fn what_no_controller_serves_ends_the_connection() {
    let mut bench = Bench::active(&setup(Defects::NONE, 100_000));
    bench.send(Request::DescribeCluster(DescribeClusterRequest { include_fenced_brokers: true }));
    assert_eq!((bench.closed, bench.answers), ([CLIENT].into(), Vec::new()));
}

#[test]
fn a_broker_of_another_cluster_is_refused() {
    let mut bench = Bench::active(&setup(Defects::NONE, 100_000));
    let Request::BrokerRegistration(mut request) = register(1) else { panic!("just made") };
    request.cluster_id = "other".into();
    let Response::BrokerRegistration(response) = bench.ask(Request::BrokerRegistration(request))
    else {
        panic!("another answer")
    };
    assert_eq!(response.error, ErrorCode::InconsistentClusterId);
}

#[test]
fn reassignments_are_listed_from_what_is_committed() {
    let mut bench = Bench::active(&setup(Defects::NONE, 100_000));
    bench.serve(1);
    let list = ListReassignmentsRequest { partitions: None };
    let Response::ListPartitionReassignments(response) =
        bench.ask(Request::ListPartitionReassignments(list))
    else {
        panic!("another answer")
    };
    assert_eq!((response.error, response.partitions), (ErrorCode::None, Vec::new()));
}

#[test]
fn a_wiped_disk_gets_an_identity_of_its_own_and_no_vote() {
    let bench = Bench::start(&setup(Defects::NONE, 100_000), Survived::default());
    let file = bench.disk.file(FileKey::MetaProperties).expect("written at the first start");
    let properties = MetaProperties::decode(file).expect("just written");
    assert_ne!(properties.directory, Uuid([1; 4]));
    assert!(!bench.controller.raft().is_voter());
}

#[test]
fn a_disk_error_stops_the_controller() {
    let mut bench = Bench::active(&setup(Defects::NONE, 100_000));
    let mut out = Effects::new();
    bench.controller.step(bench.now, Input::Lost { log: LogId(0) }, &mut out);
    assert_eq!(out.as_slice(), [Effect::Halt]);
    assert_eq!(bench.controller.deadline(), None);
}
