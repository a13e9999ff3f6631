//! The metadata quorum: K1-K9.

use std::collections::{BTreeMap, BTreeSet};

use seedlog::event::RaftRole;
use seedlog::ids::{LeaderEpoch, LogPoint, NodeId, Offset, QuorumEpoch};

use super::ghost::{GhostBatch, GhostLog, Replica};
use super::tally::{Check, Tally};

/// Offsets of which state hashes are kept; appliers lag less than that behind each other, or load a
/// snapshot.
const KEPT_STATES: usize = 4096;

/// Epochs of which leaders and votes are kept.
const KEPT_EPOCHS: usize = 256;

/// Ghost state of the metadata log.
#[derive(Clone, Debug, Default)]
pub struct Quorum {
    voters: BTreeSet<NodeId>,
    replicas: BTreeMap<NodeId, Replica>,
    /// What each node has made durable, up to here.
    flushed: BTreeMap<NodeId, Offset>,
    committed: GhostLog,
    created: BTreeMap<(Offset, LeaderEpoch), u64>,
    leaders: BTreeMap<QuorumEpoch, NodeId>,
    /// The last high watermark that the leader of an epoch reported.
    marks: BTreeMap<QuorumEpoch, Offset>,
    votes: BTreeMap<(QuorumEpoch, NodeId), NodeId>,
    roles: BTreeMap<NodeId, RaftRole>,
    /// State hash by the offset that was applied last.
    states: BTreeMap<Offset, (u64, NodeId)>,
}

impl Quorum {
    #[must_use]
    pub fn new(voters: impl IntoIterator<Item = NodeId>) -> Self {
        Quorum { voters: voters.into_iter().collect(), ..Quorum::default() }
    }

    fn votes_here(&self, node: NodeId) -> bool {
        self.voters.contains(&node)
    }

    pub fn appended(&mut self, node: NodeId, batch: GhostBatch, tally: &mut Tally) {
        if self.votes_here(node) {
            let created = *self.created.entry((batch.base, batch.epoch)).or_insert(batch.digest);
            tally.expect(Check::QuorumLogMatching, created == batch.digest, || {
                format!("metadata: controller {node} appends other content as {}", batch.describe())
            });
        }
        self.replicas.entry(node).or_default().log.append(batch);
    }

    pub fn truncated(&mut self, node: NodeId, to: Offset) {
        let replica = self.replicas.entry(node).or_default();
        // Recovery cuts away whatever bytes are left of a log that a snapshot took the place of.
        if replica.log.is_empty() {
            return;
        }
        replica.truncate(to);
        let flushed = self.flushed.entry(node).or_default();
        *flushed = (*flushed).min(to);
    }

    pub fn trimmed(&mut self, node: NodeId, to: Offset) {
        let replica = self.replicas.entry(node).or_default();
        replica.log.trim(to);
        if replica.log.is_empty() {
            replica.verified = replica.verified.max(to);
            let flushed = self.flushed.entry(node).or_default();
            *flushed = (*flushed).max(to);
        }
        let starts = self.voters.iter().filter_map(|voter| self.replicas.get(voter));
        let low = starts.map(|replica| replica.log.start()).min().unwrap_or(Offset::ZERO);
        let low = low.min(self.committed.end());
        self.committed.trim(low);
        self.created = self.created.split_off(&(low, LeaderEpoch(0)));
    }

    /// Batches that the oracle keeps, of nodes and of what is committed.
    pub fn batches(&self) -> usize {
        let replicas = self.replicas.values().map(|replica| replica.log.len());
        replicas.sum::<usize>() + self.committed.len()
    }

    pub fn flushed(&mut self, node: NodeId, upto: Offset) {
        let end = self.replicas.get(&node).map_or(Offset::ZERO, |replica| replica.log.end());
        let flushed = self.flushed.entry(node).or_default();
        *flushed = (*flushed).max(upto.min(end));
    }

    /// A node starts with what its disk kept; all of that is durable. What a snapshot holds need
    /// not be in the log (`power_loss` seed 86 without the atlas).
    pub fn survived(&mut self, node: NodeId, log: GhostLog, snapshot: Option<Offset>) {
        let (log, verified) = match snapshot {
            Some(end) if end > log.end() => (GhostLog::starting_at(end), end),
            Some(_) | None => (log, Offset::ZERO),
        };
        self.flushed.insert(node, log.end());
        self.replicas.insert(node, Replica { log, verified });
        self.roles.remove(&node);
    }

    pub fn wiped(&mut self, node: NodeId) {
        self.replicas.remove(&node);
        self.flushed.remove(&node);
        self.roles.remove(&node);
        // A node with another disk is another voter (KIP-853).
        self.votes.retain(|(_, voter), _| *voter != node);
        self.voters.remove(&node);
    }

    /// K6.
    pub fn voted(
        &mut self,
        node: NodeId,
        epoch: QuorumEpoch,
        candidate: NodeId,
        tally: &mut Tally,
    ) {
        if candidate == NodeId::NONE {
            return;
        }
        let first = *self.votes.entry((epoch, node)).or_insert(candidate);
        while self.votes.len() > KEPT_EPOCHS {
            self.votes.pop_first();
        }
        tally.expect(Check::VoteOnce, first == candidate, || {
            format!("controller {node} voted for {first} and for {candidate} in epoch {epoch}")
        });
    }

    /// K1, K2.
    pub fn role(&mut self, node: NodeId, epoch: QuorumEpoch, role: RaftRole, tally: &mut Tally) {
        self.roles.insert(node, role);
        if role != RaftRole::Leader {
            return;
        }
        let first = *self.leaders.entry(epoch).or_insert(node);
        while self.leaders.len() > KEPT_EPOCHS {
            self.leaders.pop_first();
        }
        tally.expect(Check::ElectionSafety, first == node, || {
            format!("controllers {first} and {node} both lead epoch {epoch}")
        });
        let wanted = self.committed.end();
        let replica = self.replicas.entry(node).or_default();
        match replica.verify(&self.committed, wanted) {
            Ok(upto) => tally.expect(Check::QuorumLeaderCompleteness, upto >= wanted, || {
                let end = replica.log.end();
                format!("controller {node} leads epoch {epoch} with log end {end}, below {wanted} is committed")
            }),
            Err(mismatch) => tally.expect(Check::QuorumLeaderCompleteness, false, || {
                let (committed, held) = (mismatch.committed, mismatch.held);
                format!("controller {node} leads epoch {epoch} and holds {held} where {committed} was committed")
            }),
        }
    }

    /// K3, K4, K5. Answers the batches that are newly committed, in order.
    pub fn high_watermark(
        &mut self,
        node: NodeId,
        epoch: QuorumEpoch,
        mark: Offset,
        leads: bool,
        tally: &mut Tally,
    ) -> Vec<GhostBatch> {
        let replica = self.replicas.entry(node).or_default();
        let matches = replica.verify(&self.committed, mark.min(self.committed.end()));
        tally.expect(Check::QuorumLogMatching, matches.is_ok(), || {
            let Err(mismatch) = matches else { return String::new() };
            let (committed, held) = (mismatch.committed, mismatch.held);
            format!("metadata: node {node} has {held} below its high watermark {mark} where {committed} was committed")
        });
        if !leads {
            return Vec::new();
        }
        let from = self.committed.end();
        // A leader that does not know of its successor may learn late what was committed long ago;
        // in its own epoch its mark may not fall (swarm, seed 1).
        let newest = self.leaders.last_key_value().is_none_or(|(newest, _)| *newest <= epoch);
        let own = self.marks.insert(epoch, mark).unwrap_or_default();
        while self.marks.len() > KEPT_EPOCHS {
            self.marks.pop_first();
        }
        let low = if newest { from } else { own };
        tally.expect(Check::MonotonicHighWatermark, mark >= low, || {
            format!(
                "metadata: leader {node} of epoch {epoch} reports high watermark {mark} after {low}"
            )
        });
        let majority = self.voters.len() / 2 + 1;
        let durable = self
            .voters
            .iter()
            .filter(|voter| self.flushed.get(voter).is_some_and(|flushed| *flushed >= mark));
        let reached = durable.count();
        tally.expect(Check::MajorityReachedHighWatermark, reached >= majority, || {
            format!("metadata: leader {node} reports high watermark {mark}, {reached} voters have flushed it: {:?}", self.flushed)
        });
        let replica = self.replicas.entry(node).or_default();
        let fresh: Vec<GhostBatch> =
            replica.log.from(from).take_while(|batch| batch.base < mark).cloned().collect();
        for batch in &fresh {
            self.committed.append(batch.clone());
        }
        replica.verified = replica.verified.max(mark);
        fresh
    }

    /// K7.
    pub fn applied(&mut self, node: NodeId, offset: Offset, state: u64, tally: &mut Tally) {
        let (first, by) = *self.states.entry(offset).or_insert((state, node));
        tally.expect(Check::StateMachineAgreement, first == state, || {
            format!("nodes {by} and {node} applied the metadata log up to {offset} and differ")
        });
        while self.states.len() > KEPT_STATES {
            self.states.pop_first();
        }
    }

    /// K8.
    pub fn snapshot(&mut self, node: NodeId, point: LogPoint, loaded: bool, tally: &mut Tally) {
        let committed = self.committed.end();
        tally.expect(Check::SnapshotDiscipline, point.offset <= committed, || {
            format!(
                "node {node}: a snapshot up to {}, but only {committed} is committed",
                point.offset
            )
        });
        if loaded {
            let leads = self.roles.get(&node) == Some(&RaftRole::Leader);
            tally.expect(Check::SnapshotDiscipline, !leads, || {
                format!("controller {node} leads and loads a snapshot")
            });
            let log = GhostLog::starting_at(point.offset);
            self.flushed.insert(node, point.offset);
            self.replicas.insert(node, Replica { log, verified: point.offset });
        }
    }

    /// K9.
    pub fn replied(&mut self, node: NodeId, offset: Offset, tally: &mut Tally) {
        let committed = self.committed.end();
        tally.expect(Check::NoUncommittedReply, offset <= committed, || {
            format!("controller {node} answers with an effect that ends at {offset}, committed is below {committed}")
        });
    }
}
