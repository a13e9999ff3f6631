//! The core that heals: big enough to make progress, chosen by seed; everybody else stays as they
//! are.

use seedlog::broker::Broker;
use seedlog::ids::NodeId;

use crate::cluster::Process;
use crate::run::Run;
use crate::scenario::script::Role;
use crate::world::{Dice, Draw as _, NetworkFaults, ProcessId, Subject};

impl Run {
    /// Chooses the core and makes it healthy: up, running, connected. Disks and clocks are good
    /// again everywhere: who is outside the core is either well, or away.
    pub(crate) fn heal_core(&mut self) {
        self.core = self.choose_core();
        let core = self.core.clone();
        self.network = NetworkFaults { latency: self.network.latency, ..NetworkFaults::default() };
        self.world.set_network(self.network.clone());
        for name in self.holds.keys().cloned().collect::<Vec<_>>() {
            for hold in self.holds.remove(&name).unwrap_or_default() {
                self.world.release(hold);
            }
        }
        self.connect_core();
        for process in self.cluster.servers() {
            self.world.fill_disk(process, false);
            self.world.stall_disk(process, false);
            self.world.set_disk(process, self.disk.clone());
            self.world.freeze_clock(process, false);
        }
        for process in core {
            if !self.world.is_up(process) {
                self.world.start(process, &mut self.watch);
            } else if self.world.is_paused(process) {
                self.world.resume(process, &mut self.watch);
            }
        }
    }

    /// Whoever is outside and cut off from a part of the core is away: cut off from everybody. A
    /// leader that a client or a follower does not hear, but the controllers do, would stop these
    /// for as long as that lasts, and the controllers that hear it may be outside themselves
    /// (`asymmetric_partition` seed 48, `swarm` seed 133). All other links are healed.
    fn connect_core(&mut self) {
        for link in std::mem::take(&mut self.lagged) {
            self.world.set_link(link.0, link.1, None);
        }
        let everybody: Vec<ProcessId> = self.cluster.everybody().collect();
        let away: Vec<ProcessId> =
            everybody.iter().copied().filter(|one| self.is_cut_off(*one)).collect();
        for one in everybody.iter().copied() {
            for other in everybody.iter().copied().filter(|other| *other != one) {
                self.world.unclog(one, other);
                if away.contains(&one) || away.contains(&other) {
                    self.world.block(one, other);
                } else {
                    self.world.unblock(one, other);
                }
            }
        }
    }

    /// Whether a process outside the core and some process of the core do not hear each other.
    fn is_cut_off(&self, one: ProcessId) -> bool {
        let blocked = |other: &ProcessId| {
            self.world.is_blocked(one, *other) || self.world.is_blocked(*other, one)
        };
        !self.core.contains(&one) && self.core.iter().any(blocked)
    }

    /// All clients, most brokers, most controllers. As many are left out as the atlas lets be away,
    /// if every partition can do without them; otherwise fewer.
    fn choose_core(&mut self) -> Vec<ProcessId> {
        let mut rng = self.world.seed().stream("core", 0, 0);
        let mut dice = self.world.dice(Subject::Core, &mut rng);
        let shuffle = |role: Role, dice: &mut Dice<'_>| {
            let mut list: Vec<ProcessId> = self.cluster.all(role).collect();
            for index in (1..list.len()).rev() {
                list.swap(index, dice.place(index + 1));
            }
            list
        };
        let brokers = shuffle(Role::Broker, &mut dice);
        let controllers = shuffle(Role::Controller, &mut dice);
        let lost = &self.lossy.lost_voters;
        let spare = usize::try_from(self.scenario.atlas.controllers).expect("few controllers");
        let spare = spare.saturating_sub(lost.len());
        let dropped: Vec<ProcessId> =
            controllers.iter().copied().filter(|c| !lost.contains(c)).take(spare).collect();
        let limit = usize::try_from(self.scenario.atlas.brokers).expect("few brokers");
        let limit = limit.min(brokers.len() - 1);
        let left_out = (0..=limit).rev().map(|count| &brokers[..count]);
        let left_out = left_out.into_iter().find(|out| self.can_do_without(out)).unwrap_or(&[]);
        let everybody = self.cluster.everybody();
        everybody.filter(|p| !left_out.contains(p) && !dropped.contains(p)).collect()
    }

    /// Whether every partition makes progress without these brokers: a candidate that keeps its log
    /// can lead, and enough replicas are left for min.insync.replicas.
    pub(super) fn can_do_without(&self, out: &[ProcessId]) -> bool {
        let is_out = |node: &NodeId| {
            self.cluster.of_node(*node).is_some_and(|process| out.contains(&process))
        };
        self.image.partitions().all(|(id, partition)| {
            let left = partition.replicas.iter().filter(|node| !is_out(node)).count();
            let needed = self.image.topic_config(id.topic).map_or(1, |c| partition.min_isr(c));
            let mut candidates: Vec<&NodeId> =
                partition.isr.iter().chain(partition.elr.iter()).collect();
            // Then only the last known leader may be elected (KIP-966); `broker_failover` seed 217.
            if candidates.is_empty() {
                candidates.extend(partition.last_known_elr.iter());
            }
            let keeps = candidates.into_iter().all(|node| !is_out(node));
            left >= needed.max(1) && (keeps || self.has_survivor(out, partition))
        })
    }

    /// Whether a candidate inside the core can lead as it is, and will still be a candidate when
    /// those outside are gone.
    fn has_survivor(
        &self,
        out: &[ProcessId],
        partition: &seedlog::metadata::PartitionImage,
    ) -> bool {
        let mut candidates = partition.isr.iter().chain(partition.elr.iter());
        candidates.any(|node| {
            let outside = self.cluster.of_node(*node).is_none_or(|process| out.contains(&process));
            !outside && self.is_settled(*node)
        })
    }

    /// Whether nothing is under way that takes this broker out of ISR and ELR. One that is down, or
    /// not registered yet, leaves them: its new incarnation counts as unclean. So does one that
    /// shuts down in a controlled way (`everything` seed 3114), and one that was cut off until now,
    /// which may be fenced before it is heard again.
    fn is_settled(&self, node: NodeId) -> bool {
        let process = self.cluster.of_node(node).and_then(|process| self.world.node(process));
        let leaves = process.and_then(Process::broker).is_some_and(Broker::is_shutting_down);
        self.is_known(node) && !leaves && self.is_heard(node)
    }

    /// Whether the controller has heard of a broker in the younger half of its session. One that
    /// becomes active gives everybody a new session.
    fn is_heard(&self, node: NodeId) -> bool {
        let Some(active) = self.view().controller() else { return true };
        let controller = self.world.node(active).and_then(Process::controller);
        let Some(end) = controller.and_then(|active| active.session_end(node)) else {
            return false;
        };
        let half = self.scenario.controller.broker_session_timeout / 2;
        end >= self.world.clock(active).mono + half
    }
}
