//! A quorum of nodes with a network, disks and checkers of its own: small, seeded, single-threaded.

use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::vec::Vec;

use alloc::sync::Arc;

use bytes::Bytes;

use crate::config::{QuorumConfig, ServerConfig, Voter};
use crate::defect::Defects;
use crate::event::{Event, RaftRole};
use crate::ids::{
    ConnId, Endpoint, LeaderEpoch, LogId, LogPoint, NodeId, Offset, QuorumEpoch, Uuid,
};
use crate::machine::{Effect, Effects, FileKey, Input, LogName, Survived, SurvivedLog};
use crate::message::Response;
use crate::message::raft::ReplicaKey;
use crate::raft::{Raft, RaftEvent};
use crate::record::{BatchHeader, records};
use crate::rng::Rng;
use crate::time::{Duration, Instant, Now, Timestamp};

pub(super) const LOG: LogId = LogId(0);

pub(super) fn key(node: usize, directory: u32) -> ReplicaKey {
    let id = i32::try_from(node).expect("few nodes");
    ReplicaKey {
        node: NodeId(id),
        directory: Uuid([0, 0, directory, u32::try_from(node).unwrap()]),
    }
}

pub(super) fn endpoint(node: usize) -> Endpoint {
    Endpoint { host: "c".into(), port: u16::try_from(node).expect("few nodes") }
}

pub(super) fn server(node: usize, voters: usize, defects: Defects) -> Arc<ServerConfig> {
    let voters =
        (0..voters).map(|node| Voter { key: key(node, 0), endpoint: endpoint(node) }).collect();
    Arc::new(ServerConfig {
        node: key(node, 0).node,
        cluster_id: "test".into(),
        endpoint: endpoint(node),
        rack: None,
        voters,
        quorum: QuorumConfig::default(),
        defects,
    })
}

/// A disk with a page cache.
#[derive(Clone, Debug, Default)]
struct Disk {
    files: BTreeMap<FileKey, Bytes>,
    /// Batches, and how many of them survive a power loss.
    batches: Vec<Bytes>,
    flushed: usize,
    created: bool,
}

impl Disk {
    fn survived(&self) -> Survived {
        let log =
            SurvivedLog { log: LOG, name: LogName::Metadata.into(), chunks: self.batches.clone() };
        Survived {
            files: self.files.iter().map(|(key, value)| (*key, value.clone())).collect(),
            logs: if self.created { Vec::from([log]) } else { Vec::new() },
        }
    }

    fn durable_end(&self) -> Offset {
        let last = self.batches[..self.flushed].last();
        last.map_or(Offset::ZERO, |batch| BatchHeader::parse(batch).unwrap().last_offset().next())
    }

    /// The snapshot counts as what it holds.
    fn durable_with_snapshot(&self, snapshot: Offset) -> Offset {
        self.durable_end().max(snapshot)
    }
}

#[derive(Debug)]
pub(super) struct Node {
    pub raft: Option<Raft>,
    pub key: ReplicaKey,
    disk: Disk,
    incarnation: u64,
    next_inbound: u64,
    /// What the state machine has applied, as a running hash.
    pub applied: Offset,
    pub state: u64,
    pub leading: bool,
}

#[derive(Clone, Debug)]
enum Event_ {
    Input { node: usize, incarnation: u64, input: Input },
    Saved { node: usize, incarnation: u64, file: FileKey, value: Bytes },
    Flushed { node: usize, incarnation: u64, upto: LogPoint },
}

/// How bad the network is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weather {
    pub loss: u64,
    pub duplicate: u64,
    pub corrupt: u64,
    pub slowest: u64,
}

pub(super) struct Cluster {
    pub nodes: Vec<Node>,
    pub voters: usize,
    defects: Defects,
    pub now: Instant,
    queue: BTreeMap<(Instant, u64), Event_>,
    sequence: u64,
    pub rng: Rng,
    pub weather: Weather,
    /// Messages from one to another do not arrive.
    pub cut: Vec<Vec<bool>>,
    /// (client, its connection) to (server, its connection, both incarnations).
    links: BTreeMap<(usize, ConnId), (usize, ConnId, u64, u64)>,
    pub messages: u64,
    pub violations: Vec<String>,
    leaders: BTreeMap<QuorumEpoch, usize>,
    votes: BTreeMap<(ReplicaKey, QuorumEpoch), NodeId>,
    made: BTreeMap<(LeaderEpoch, Offset), Bytes>,
    pub committed: BTreeMap<Offset, Bytes>,
    states: BTreeMap<Offset, u64>,
    pub true_end: Offset,
    pub snapshots_loaded: u64,
    pub snapshot_every: i64,
}

impl Cluster {
    pub(super) fn new(voters: usize, observers: usize, seed: u64, defects: Defects) -> Self {
        let count = voters + observers;
        let mut cluster = Cluster {
            nodes: Vec::new(),
            voters,
            defects,
            now: Instant::from_nanos(1),
            queue: BTreeMap::new(),
            sequence: 0,
            rng: Rng::from_number(seed),
            weather: Weather { slowest: 5, ..Weather::default() },
            cut: std::vec![std::vec![false; count]; count],
            links: BTreeMap::new(),
            messages: 0,
            violations: Vec::new(),
            leaders: BTreeMap::new(),
            votes: BTreeMap::new(),
            made: BTreeMap::new(),
            committed: BTreeMap::new(),
            states: BTreeMap::new(),
            true_end: Offset::ZERO,
            snapshots_loaded: 0,
            snapshot_every: 20,
        };
        for node in 0..count {
            cluster.nodes.push(Node {
                raft: None,
                key: key(node, 0),
                disk: Disk::default(),
                incarnation: 0,
                next_inbound: 0,
                applied: Offset::ZERO,
                state: 0,
                leading: false,
            });
            cluster.start(node);
        }
        cluster
    }

    fn clock(&self) -> Now {
        Now {
            mono: self.now,
            wall: Timestamp(i64::try_from(self.now.as_nanos() / 1_000_000).unwrap()),
        }
    }

    fn schedule(&mut self, after: Duration, event: Event_) {
        self.sequence += 1;
        self.queue.insert((self.now + after, self.sequence), event);
    }

    pub(super) fn start(&mut self, at: usize) {
        assert!(self.nodes[at].raft.is_none());
        let (clock, config) = (self.clock(), server(at, self.voters, self.defects));
        let rng = Rng::from_number(self.rng.next_u64());
        let node = &mut self.nodes[at];
        node.incarnation += 1;
        (node.applied, node.state, node.leading) = (Offset::ZERO, 0, false);
        let mut out = Effects::new();
        let survived = node.disk.survived();
        node.raft = Some(Raft::start(&config, node.key, rng, clock, &survived, LOG, &mut out));
        self.finish(at, out);
    }

    /// Ends a process; with `power` what was not flushed is lost but for a prefix.
    pub(super) fn crash(&mut self, at: usize, power: bool) {
        if self.nodes[at].raft.take().is_none() {
            return;
        }
        // A write under way may land.
        let mine = |event: &Event_| matches!(event, Event_::Saved { node, .. } if *node == at);
        let under_way: Vec<Event_> =
            self.queue.values().filter(|event| mine(event)).cloned().collect();
        for event in under_way {
            if let Event_::Saved { file, value, .. } = event
                && self.rng.chance(1, 2)
            {
                self.nodes[at].disk.files.insert(file, value);
            }
        }
        let keep = self.rng.index(self.nodes[at].disk.batches.len() + 1);
        let disk = &mut self.nodes[at].disk;
        if power {
            disk.batches.truncate(keep.max(disk.flushed));
        }
        disk.flushed = disk.batches.len();
        self.hang_up(at);
    }

    /// Tells the others that the connections of a process are gone.
    fn hang_up(&mut self, at: usize) {
        let gone: Vec<_> = self
            .links
            .iter()
            .filter(|((client, _), (server, ..))| *client == at || *server == at)
            .map(|(link, end)| (*link, *end))
            .collect();
        for ((client, conn), (server, inbound, a, b)) in gone {
            self.links.remove(&(client, conn));
            let (node, incarnation, conn) =
                if client == at { (server, b, inbound) } else { (client, a, conn) };
            let input = Input::Closed { conn };
            self.schedule(Duration::from_millis(1), Event_::Input { node, incarnation, input });
        }
    }

    /// A new disk, and with it a new directory.
    pub(super) fn wipe(&mut self, at: usize, directory: u32) {
        self.crash(at, true);
        self.nodes[at].disk = Disk::default();
        self.nodes[at].key = key(at, directory);
    }

    pub(super) fn run(&mut self, duration: Duration) {
        let until = self.now + duration;
        let mut steps = 0;
        while let Some(at) = self.next_time().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.step();
            steps += 1;
            assert!(steps < 1_000_000, "a storm of its own making");
            if !self.violations.is_empty() {
                return;
            }
        }
        self.now = until;
    }

    fn next_time(&self) -> Option<Instant> {
        let queued = self.queue.keys().next().map(|(at, _)| *at);
        let wakes = self.nodes.iter().filter_map(|node| node.raft.as_ref()?.deadline());
        queued.into_iter().chain(wakes).min()
    }

    fn step(&mut self) {
        for at in 0..self.nodes.len() {
            let deadline = self.nodes[at].raft.as_ref().and_then(Raft::deadline);
            if deadline.is_some_and(|deadline| deadline <= self.now) {
                self.input(at, &Input::Wake);
                let again = self.nodes[at].raft.as_ref().and_then(Raft::deadline);
                assert!(again.is_none_or(|again| again > self.now), "node {at} wakes in circles");
                return;
            }
        }
        let Some(((_, _), event)) = self.queue.pop_first() else { return };
        match event {
            Event_::Input { node, incarnation, input } => {
                if self.nodes[node].incarnation == incarnation {
                    if let Input::Request { .. } | Input::Response { .. } = input {
                        self.messages += 1;
                    }
                    self.input(node, &input);
                }
            }
            Event_::Saved { node, incarnation, file, value } => {
                if self.alive(node, incarnation) {
                    self.nodes[node].disk.files.insert(file, value);
                    self.input(node, &Input::Saved { file });
                }
            }
            Event_::Flushed { node, incarnation, upto } => {
                if self.alive(node, incarnation) {
                    let disk = &mut self.nodes[node].disk;
                    let below = |batch: &Bytes| {
                        BatchHeader::parse(batch).unwrap().last_offset() < upto.offset
                    };
                    let durable = disk.batches.partition_point(below);
                    disk.flushed = disk.flushed.max(durable);
                    self.input(node, &Input::Flushed { log: LOG, upto });
                }
            }
        }
    }

    fn alive(&self, node: usize, incarnation: u64) -> bool {
        self.nodes[node].incarnation == incarnation && self.nodes[node].raft.is_some()
    }

    fn input(&mut self, at: usize, input: &Input) {
        let clock = self.clock();
        let Some(raft) = &mut self.nodes[at].raft else { return };
        let mut out = Effects::new();
        raft.on_input(clock, input, &mut out);
        self.finish(at, out);
    }

    /// Calls a node directly.
    pub(super) fn call<T>(
        &mut self,
        at: usize,
        call: impl FnOnce(&mut Raft, Now, &mut Effects) -> T,
    ) -> T {
        let clock = self.clock();
        let mut out = Effects::new();
        let raft = self.nodes[at].raft.as_mut().expect("the node runs");
        let answer = call(raft, clock, &mut out);
        self.finish(at, out);
        answer
    }

    fn finish(&mut self, at: usize, mut out: Effects) {
        let effects: Vec<Effect> = out.drain().collect();
        for effect in effects {
            self.effect(at, effect);
        }
        while let Some(event) = self.nodes[at].raft.as_mut().and_then(Raft::next_event) {
            self.event(at, event);
        }
        let Some(raft) = &self.nodes[at].raft else { return };
        raft.check();
        let (start, state, applied) =
            (raft.start_offset(), self.nodes[at].state, self.nodes[at].applied);
        if applied - start >= self.snapshot_every && self.rng.chance(1, 4) {
            let state = Bytes::copy_from_slice(&state.to_be_bytes());
            self.call(at, |raft, now, out| raft.snapshot(now, applied, state, out));
        }
    }

    fn delay(&mut self) -> Duration {
        Duration::from_micros(200 + self.rng.below(self.weather.slowest * 1_000))
    }

    fn effect(&mut self, at: usize, effect: Effect) {
        let incarnation = self.nodes[at].incarnation;
        match effect {
            Effect::Connect { conn, to } => self.connect(at, conn, usize::from(to.port)),
            Effect::Close { conn } => {
                if let Some((node, inbound, _, incarnation)) = self.links.remove(&(at, conn)) {
                    let input = Input::Closed { conn: inbound };
                    self.schedule(
                        Duration::from_millis(1),
                        Event_::Input { node, incarnation, input },
                    );
                }
            }
            Effect::Send { conn, correlation, request } => {
                let Some((node, from, _, incarnation)) = self.links.get(&(at, conn)).copied()
                else {
                    return;
                };
                let input = Input::Request { from, correlation, request };
                self.message(at, node, incarnation, input);
            }
            Effect::Respond { to, correlation, response } => {
                let link = self.links.iter().find(|(_, end)| (end.0, end.1) == (at, to));
                let Some(((node, conn), (_, _, incarnation, _))) = link else { return };
                let (node, incarnation, conn) = (*node, *incarnation, *conn);
                let input = Input::Response { conn, correlation, response };
                self.message(at, node, incarnation, input);
            }
            Effect::Create { .. } => self.nodes[at].disk.created = true,
            Effect::Append { base, batch, .. } => self.append(at, base, batch),
            Effect::Flush { upto, .. } => {
                let after = self.delay();
                self.schedule(after, Event_::Flushed { node: at, incarnation, upto });
            }
            Effect::Truncate { to, .. } => {
                let disk = &mut self.nodes[at].disk;
                disk.batches.retain(|batch| BatchHeader::parse(batch).unwrap().base_offset < to);
                disk.flushed = disk.flushed.min(disk.batches.len());
            }
            Effect::Trim { to, .. } => {
                let disk = &mut self.nodes[at].disk;
                let before = disk.batches.len();
                disk.batches.retain(|batch| BatchHeader::parse(batch).unwrap().last_offset() >= to);
                disk.flushed = disk.flushed.saturating_sub(before - disk.batches.len());
            }
            Effect::Save { file, value } => {
                let after = self.delay();
                self.schedule(after, Event_::Saved { node: at, incarnation, file, value });
            }
            Effect::Note(note) => self.note(at, &note),
            Effect::Halt => self.violations.push(format!("node {at} halted")),
            Effect::Rewrite { .. }
            | Effect::Remove { .. }
            | Effect::Delete { .. }
            | Effect::Load { .. }
            | Effect::Return { .. } => panic!("raft does not do {effect:?}"),
        }
    }

    fn connect(&mut self, at: usize, conn: ConnId, node: usize) {
        let incarnation = self.nodes[at].incarnation;
        let after = self.delay();
        let reachable = !self.cut[at][node] && !self.cut[node][at];
        let input = if self.nodes[node].raft.is_some() && reachable {
            let inbound = ConnId::inbound(self.nodes[node].next_inbound);
            self.nodes[node].next_inbound += 1;
            let theirs = self.nodes[node].incarnation;
            self.links.insert((at, conn), (node, inbound, incarnation, theirs));
            Input::Opened { conn }
        } else {
            Input::Closed { conn }
        };
        self.schedule(after, Event_::Input { node: at, incarnation, input });
    }

    fn message(&mut self, from: usize, node: usize, incarnation: u64, input: Input) {
        if self.cut[from][node] || self.rng.chance(self.weather.loss, 1_000) {
            return;
        }
        let input = self.corrupted(input);
        let copies = 1 + usize::from(self.rng.chance(self.weather.duplicate, 1_000));
        for _ in 0..copies {
            let after = self.delay();
            let input = input.clone();
            self.schedule(after, Event_::Input { node, incarnation, input });
        }
    }

    fn corrupted(&mut self, input: Input) -> Input {
        if !self.rng.chance(self.weather.corrupt, 1_000) {
            return input;
        }
        let Input::Response { conn, correlation, response } = input else { return input };
        let mut response = Response::clone(&response);
        if let Response::QuorumFetch(fetch) = &mut response
            && !fetch.batches.is_empty()
        {
            let which = self.rng.index(fetch.batches.len());
            let mut bytes = fetch.batches[which].to_vec();
            let bit = 21 * 8 + self.rng.index((bytes.len() - 21) * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            fetch.batches[which] = bytes.into();
        }
        Input::Response { conn, correlation, response: response.into() }
    }

    fn append(&mut self, at: usize, base: Offset, batch: Bytes) {
        let header = BatchHeader::parse(&batch).unwrap();
        assert_eq!(header.base_offset, base);
        let made = self.made.entry((header.leader_epoch, base)).or_insert_with(|| batch.clone());
        if *made != batch {
            self.violations.push(format!("R2: two contents at {base} in {}", header.leader_epoch));
        }
        self.nodes[at].disk.batches.push(batch);
    }

    fn note(&mut self, at: usize, note: &Event) {
        if let Event::Voted { epoch, for_node } = note {
            let vote = *self.votes.entry((self.nodes[at].key, *epoch)).or_insert(*for_node);
            if vote != *for_node {
                self.violations.push(format!("K6: node {at} voted twice in {epoch}"));
            }
        }
        if let Event::RoleChanged { epoch, role, .. } = note {
            match role {
                RaftRole::Leader => self.elected(at, *epoch),
                RaftRole::Resigned
                | RaftRole::Unattached
                | RaftRole::Prospective
                | RaftRole::Candidate
                | RaftRole::Follower => self.nodes[at].leading = false,
            }
        }
        if let Event::QuorumHighWatermark { offset, leads: true, .. } = note {
            self.exposed(*offset);
        }
        if let Event::Snapshot { loaded, .. } = note {
            self.snapshots_loaded += u64::from(*loaded);
        }
    }

    fn elected(&mut self, at: usize, epoch: QuorumEpoch) {
        let leader = *self.leaders.entry(epoch).or_insert(at);
        if leader != at {
            self.violations.push(format!("K1: {leader} and {at} lead in {epoch}"));
        }
        let Some(raft) = &self.nodes[at].raft else { return };
        let mut missing = raft.end_offset() < self.true_end;
        for entry in raft.entries(Offset::ZERO).take_while(|entry| entry.last < self.true_end) {
            missing |= self.committed.get(&entry.base).is_some_and(|batch| *batch != entry.batch);
        }
        if missing {
            self.violations.push(format!("K2: {at} leads {epoch} without what is committed"));
        }
    }

    fn exposed(&mut self, offset: Offset) {
        if offset < self.true_end {
            self.violations.push(format!("K4: high watermark fell to {offset}"));
        }
        self.true_end = self.true_end.max(offset);
        let durable = |node: &&Node| {
            let snapshot = node.raft.as_ref().and_then(Raft::snapshot_point);
            let snapshot = snapshot.map_or(Offset::ZERO, |point| point.offset);
            node.disk.durable_with_snapshot(snapshot) >= offset
        };
        let have = self.nodes[..self.voters].iter().filter(durable).count();
        if have <= self.voters / 2 {
            self.violations.push(format!("K5: {offset} is durable on {have} voters"));
        }
    }

    fn event(&mut self, at: usize, event: RaftEvent) {
        match event {
            RaftEvent::Leading { .. } => self.nodes[at].leading = true,
            RaftEvent::Resigned { .. } | RaftEvent::Following { .. } => {
                self.nodes[at].leading = false;
            }
            RaftEvent::Committed { base, last, batch, .. } => {
                let known = self.committed.entry(base).or_insert_with(|| batch.clone());
                if *known != batch {
                    self.violations.push(format!("K3: {at} applied another batch at {base}"));
                }
                assert!(base >= self.nodes[at].applied, "batches come in order");
                assert!(!records(&batch).expect("data").is_empty());
                let node = &mut self.nodes[at];
                for byte in batch.iter() {
                    node.state = (node.state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
                }
                node.applied = last.next();
                let state = *self.states.entry(node.applied).or_insert(node.state);
                if state != node.state {
                    self.violations.push(format!("K7: {at} differs at {last}"));
                }
            }
            RaftEvent::LoadSnapshot { point, state } => {
                let node = &mut self.nodes[at];
                node.applied = point.offset;
                node.state = u64::from_be_bytes(state[..].try_into().unwrap());
            }
        }
    }

    /// The node whose state machine leads in the highest epoch.
    pub(super) fn leader(&self) -> Option<usize> {
        let leads = |at: &usize| self.nodes[*at].leading && self.nodes[*at].raft.is_some();
        let epoch = |at: &usize| self.nodes[*at].raft.as_ref().map(Raft::epoch);
        (0..self.nodes.len()).filter(leads).max_by_key(epoch)
    }

    pub(super) fn append_record(&mut self) -> Option<Offset> {
        let leader = self.leader()?;
        let record = Bytes::copy_from_slice(&self.rng.next_u64().to_be_bytes());
        self.call(leader, |raft, now, out| raft.append(now, &[record], out))
    }

    pub(super) fn calm(&mut self) {
        self.weather = Weather { slowest: 5, ..Weather::default() };
        for row in &mut self.cut {
            row.fill(false);
        }
        for at in 0..self.nodes.len() {
            if self.nodes[at].raft.is_none() {
                self.start(at);
            }
        }
    }
}
