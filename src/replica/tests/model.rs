//! Three replicas and a small controller under random delays, elections and restarts: what was
//! committed once stays, on everybody who may lead.

use alloc::collections::VecDeque;
use alloc::string::String;

use super::*;
use crate::rng::Rng;

/// What is on its way between two of them.
#[derive(Clone)]
enum Message {
    Fetch { from: usize, to: usize, epoch: BrokerEpoch, ask: FetchPartition },
    Fetched { from: usize, to: usize, ask: FetchPartition, answer: FetchedPartition },
    Alter { from: usize, sent: AlterPartition },
    Altered { to: usize, sent: AlterPartition, answer: AlteredPartition },
}

/// The world, the controller's registration of the partition, and what the oracle knows.
struct Model {
    world: World,
    rng: Rng,
    hosts: [Host; 3],
    /// All registrations so far, and how many of them each broker has heard of.
    metadata: Vec<(Image, PartitionImage)>,
    heard: [usize; 3],
    messages: VecDeque<Message>,
    /// The batches, with their offsets and leader epochs.
    committed: Vec<Bytes>,
    next_epoch: i64,
    /// Whether brokers lose sessions, and whether leaders give up on answers, at all: every kind of
    /// trouble is missing in half of the runs, for others to go deep.
    fences: bool,
    silences: bool,
    written: u32,
    /// How often an election, a join, a cut happened: a run without them proves nothing.
    elections: u32,
    joins: u32,
    cuts: u32,
}

fn index(node: NodeId) -> usize {
    usize::try_from(node.0 - 1).unwrap()
}

/// What the controller does when a broker is gone: the last member of the ISR stays.
fn leave(state: &mut PartitionImage, gone: NodeId) {
    if state.isr.len() > 1 {
        state.isr = state.isr.iter().copied().filter(|member| *member != gone).collect();
    }
    if state.leader == gone {
        state.leader = state.isr[0];
        state.leader_epoch = state.leader_epoch.next();
    }
}

impl Model {
    fn new(seed: u64, defects: Defects) -> Self {
        let mut world = World::new(2);
        world.defects = defects;
        world.config.replica_lag_time_max = Duration::from_secs(4);
        let hosts = world.cluster();
        let metadata = alloc::vec![(world.image.clone(), partition(1, 1, &[1, 2, 3]))];
        Model {
            world,
            rng: Rng::from_number(seed),
            hosts,
            metadata,
            heard: [1; 3],
            messages: VecDeque::new(),
            committed: Vec::new(),
            next_epoch: 100,
            fences: seed % 2 == 1,
            silences: seed % 4 >= 2,
            written: 0,
            elections: 0,
            joins: 0,
            cuts: 0,
        }
    }

    fn now(&self) -> &(Image, PartitionImage) {
        self.metadata.last().unwrap()
    }

    /// A new version of the registration.
    fn publish(&mut self, change: impl FnOnce(&mut Image, &mut PartitionImage)) {
        let (mut image, mut state) = self.now().clone();
        let leader = state.leader;
        change(&mut image, &mut state);
        state.partition_epoch = state.partition_epoch.next();
        let same_epoch = state.leader_epoch == self.now().1.leader_epoch;
        if state.leader != leader && same_epoch {
            state.leader_epoch = state.leader_epoch.next();
        }
        self.metadata.push((image, state));
    }

    /// The world as one broker knows it.
    fn as_known(&mut self, host: usize) {
        self.world.image = self.metadata[self.heard[host] - 1].0.clone();
    }

    fn hear(&mut self, host: usize) {
        let left = self.metadata.len() - self.heard[host];
        if left == 0 {
            return;
        }
        // Several changes at once are one image.
        self.heard[host] += 1 + self.rng.index(left);
        self.as_known(host);
        let state = self.metadata[self.heard[host] - 1].1.clone();
        self.hosts[host].apply(&self.world, &state);
    }

    fn alter(&self, from: usize, sent: &AlterPartition) -> ErrorCode {
        let (image, state) = self.now();
        let eligible = |(node, epoch): &(NodeId, BrokerEpoch)| {
            let broker = &image.brokers[node];
            !broker.fenced && (*epoch == BrokerEpoch::NONE || *epoch == broker.epoch)
        };
        if sent.leader_epoch < state.leader_epoch {
            ErrorCode::FencedLeaderEpoch
        } else if index(state.leader) != from {
            ErrorCode::InvalidRequest
        } else if sent.partition_epoch < state.partition_epoch {
            ErrorCode::InvalidUpdateVersion
        } else if !sent.new_isr.iter().all(eligible) {
            ErrorCode::IneligibleReplica
        } else {
            ErrorCode::None
        }
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::Fetch { from, to, epoch, ask } => {
                self.as_known(to);
                let answer =
                    self.hosts[to].serve(&self.world, (self.hosts[from].node, epoch), &ask);
                self.messages.push_back(Message::Fetched { from: to, to: from, ask, answer });
            }
            Message::Fetched { from, to, ask, answer } => {
                self.as_known(to);
                if self.hosts[to].replica.follows().is_some_and(|leader| index(leader) == from) {
                    let fetched = self.hosts[to].take(&self.world, &ask, &answer);
                    self.cuts += u32::from(fetched == Fetched::Truncated);
                }
            }
            Message::Alter { from, sent } => {
                let error = self.alter(from, &sent);
                if error.is_ok() {
                    let isr: Arc<[NodeId]> = sent.new_isr.iter().map(|(node, _)| *node).collect();
                    self.joins += u32::from(isr.len() > self.now().1.isr.len());
                    self.publish(|_, state| state.isr = isr);
                }
                let (_, state) = self.now();
                let answer = AlteredPartition {
                    partition: ID,
                    error,
                    leader: state.leader,
                    leader_epoch: state.leader_epoch,
                    partition_epoch: state.partition_epoch,
                    isr: state.isr.to_vec(),
                    recovery: LeaderRecovery::Recovered,
                };
                self.messages.push_back(Message::Altered { to: from, sent, answer });
            }
            Message::Altered { to, sent, answer } => {
                self.as_known(to);
                self.hosts[to].answer_with(&self.world, &sent, Ok(&answer));
            }
        }
    }

    /// A process dies and comes back at once, with its log and an old high watermark. The
    /// controller takes it out of the ISR, unless it is the last member.
    fn restart(&mut self, host: usize) {
        let node = self.hosts[host].node;
        let epoch = BrokerEpoch(self.next_epoch);
        self.next_epoch += 1;
        let log = self.hosts[host].replica.log().clone();
        let checkpoint = Offset(self.hosts[host].hw() / 2);
        self.hosts[host].replica = Replica::recover(ID, log, Some(checkpoint));
        self.hosts[host].epoch = epoch;
        self.publish(|image, state| {
            image.brokers.get_mut(&node).unwrap().epoch = epoch;
            leave(state, node);
        });
    }

    fn step(&mut self) {
        let host = self.rng.index(3);
        self.as_known(host);
        match self.rng.below(200) {
            0..50 => {
                if let Some(ask) = self.hosts[host].ask(&self.world) {
                    let to = index(self.hosts[host].replica.follows().unwrap());
                    let epoch = self.hosts[host].epoch;
                    self.messages.push_back(Message::Fetch { from: host, to, epoch, ask });
                }
            }
            50..140 => self.deliver_one(),
            140..160 => {
                let value = alloc::format!("v{}", self.written);
                let appended = self.hosts[host].append(&self.world, Acks::All, &value);
                self.written += u32::from(appended.is_ok());
            }
            160..180 => self.hear(host),
            180..188 => {
                self.world.pass(1);
                self.hosts[host].tick(&self.world);
            }
            188..196 => {
                if let Some(sent) = self.hosts[host].proposal(&self.world) {
                    self.messages.push_back(Message::Alter { from: host, sent });
                }
            }
            196..198 => self.elect(),
            198 if self.fences => self.fence_or_unfence(host),
            198 => {}
            _ => self.restart(host),
        }
    }

    /// A broker loses its session; or the one that has lost it gets it back.
    fn fence_or_unfence(&mut self, host: usize) {
        let fenced = (0..3).find(|other| self.now().0.brokers[&self.hosts[*other].node].fenced);
        let node = self.hosts[fenced.unwrap_or(host)].node;
        self.publish(|image, state| {
            image.brokers.get_mut(&node).unwrap().fenced = fenced.is_none();
            if fenced.is_none() {
                leave(state, node);
            }
        });
    }

    /// The leader hears no answer to a proposal that stays on its way.
    fn give_up_on(&mut self, message: &Message) {
        if let Message::Alter { from, sent } = message {
            let from = *from;
            self.as_known(from);
            self.hosts[from].answer_with(&self.world, sent, Err(ErrorCode::NetworkException));
        }
    }

    /// Delivers one of the oldest messages; some twice, and some fetches never.
    fn deliver_one(&mut self) {
        if self.messages.is_empty() {
            return;
        }
        let at = self.rng.index(self.messages.len().min(4));
        let message = self.messages.remove(at).unwrap();
        match self.rng.below(20) {
            0 => self.messages.push_back(message.clone()),
            1..3 if self.silences && matches!(message, Message::Alter { .. }) => {
                self.give_up_on(&message);
                // Behind everything that is on its way now.
                self.messages.push_back(message);
                return;
            }
            1 if matches!(message, Message::Fetch { .. } | Message::Fetched { .. }) => return,
            _ => {}
        }
        self.deliver(message);
    }

    fn elect(&mut self) {
        let isr = Arc::clone(&self.now().1.isr);
        let leader = isr[self.rng.index(isr.len())];
        if leader != self.now().1.leader {
            self.elections += 1;
            self.publish(|_, state| state.leader = leader);
        }
    }

    /// What must hold after every step; the first thing that does not.
    fn violation(&mut self) -> Option<String> {
        for host in &self.hosts {
            let hw = usize::try_from(host.hw()).unwrap();
            if host.replica.leads() && hw > self.committed.len() {
                self.committed.extend_from_slice(&host.batches[self.committed.len()..hw]);
            }
            let known = hw.min(self.committed.len());
            if host.batches[..known] != self.committed[..known] {
                return Some(alloc::format!("{} differs below its high watermark", host.node));
            }
        }
        for node in self.now().1.isr.iter() {
            if !self.hosts[index(*node)].batches.starts_with(&self.committed) {
                return Some(alloc::format!("{node} may lead and lacks what is committed"));
            }
        }
        None
    }

    fn run(&mut self, steps: u32) -> Option<String> {
        (0..steps).find_map(|step| {
            self.step();
            self.violation().map(|what| alloc::format!("step {step}: {what}"))
        })
    }
}

#[test]
fn what_is_committed_stays_on_everybody_who_may_lead() {
    let (mut committed, mut elections, mut joins, mut cuts) = (0, 0, 0, 0);
    for seed in 0..200 {
        let mut model = Model::new(seed, Defects::NONE);
        assert_eq!(model.run(1_500), None, "seed {seed}");
        committed += model.committed.len();
        elections += model.elections;
        joins += model.joins;
        cuts += model.cuts;
    }
    let work = (committed, elections, joins, cuts);
    assert!(committed > 1_500 && elections > 300 && joins > 300 && cuts > 300, "{work:?}");
}

#[cfg(feature = "defects")]
#[test]
fn the_model_finds_what_the_switches_break() {
    for defect in [
        Defect::TruncateToHw,
        Defect::TruncateSingleEpochLookup,
        Defect::SkipTruncateOnMissedEpoch,
        Defect::IsrJoinBelowHw,
        Defect::DivergingFetchCounts,
        Defect::HwOptimisticShrink,
        Defect::HwCommittedIsrOnExpand,
        Defect::LeaderServesBeforeBarrier,
    ] {
        let found = (0..300).find(|seed| {
            let defects = Defects::NONE.with(defect);
            Model::new(*seed, defects).run(1_500).is_some()
        });
        assert!(found.is_some(), "{defect}");
    }
}
