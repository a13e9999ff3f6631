//! Ghost state of one partition, and the invariants of replication: R1-R9.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use seedlog::event::IsrView;
use seedlog::ids::{LeaderEpoch, NodeId, Offset, PartitionId};
use seedlog::metadata::PartitionImage;

use super::ghost::{GhostBatch, GhostLog, Replica, Survivor};
use super::producer::Sessions;
use super::tally::{Check, Tally};

/// Everything the oracle knows of one partition.
#[derive(Clone, Debug, Default)]
pub struct Partition {
    pub id: PartitionId,
    /// By broker, also of brokers that are down: what is on their disks.
    pub replicas: BTreeMap<NodeId, Replica>,
    /// What was ever committed, fixed at the first leader's high watermark that passed it.
    pub committed: GhostLog,
    /// Content by place of creation (R2), as far as `committed` reaches back.
    created: BTreeMap<(Offset, LeaderEpoch), u64>,
    /// Who led in which epoch (R9).
    leaders: BTreeMap<LeaderEpoch, NodeId>,
    /// The leaders' own views of the ISR.
    views: BTreeMap<NodeId, Arc<IsrView>>,
    /// The last high watermark of each broker as a leader.
    leader_marks: BTreeMap<NodeId, (LeaderEpoch, Offset)>,
    pub sessions: Sessions,
    /// What brokers have lost and not got back: they were not admitted to the ISR since.
    losses: BTreeMap<NodeId, Loss>,
    /// Records below were deleted by retention or on request, at least at one replica.
    pub deleted: Offset,
    /// More was lost than the protocol promises to survive, or an unclean election chose a log that
    /// lacks something: what was committed is no longer expected to be there.
    pub excused: bool,
}

/// What a crash or a wipe took from one broker.
#[derive(Clone, Debug, Default)]
struct Loss {
    /// Committed batches were among it.
    committed: bool,
    /// Batches that were not committed yet, but may come to be: their leader may have counted this
    /// copy.
    in_doubt: BTreeSet<(Offset, LeaderEpoch)>,
}

/// What the oracle knows about the cluster while it looks at one partition.
pub struct Surroundings<'a> {
    /// The committed registration, if the topic still exists.
    pub image: Option<&'a PartitionImage>,
    pub min_insync_replicas: usize,
    /// Whether a broker runs in the incarnation that the controller has registered.
    pub current: &'a dyn Fn(NodeId) -> bool,
}

impl Partition {
    #[must_use]
    pub fn new(id: PartitionId) -> Self {
        Partition { id, ..Partition::default() }
    }

    /// Everything below this offset was committed once.
    #[must_use]
    pub fn true_high_watermark(&self) -> Offset {
        self.committed.end()
    }

    pub fn appended(&mut self, node: NodeId, batch: GhostBatch, tally: &mut Tally) {
        let created = *self.created.entry((batch.base, batch.epoch)).or_insert(batch.digest);
        tally.expect(Check::EpochOffsetUnique, created == batch.digest, || {
            format!("{}: broker {node} appends other content as {}", self.id, batch.describe())
        });
        self.replicas.entry(node).or_default().log.append(batch);
    }

    pub fn truncated(
        &mut self,
        node: NodeId,
        to: Offset,
        around: &Surroundings<'_>,
        tally: &mut Tally,
    ) {
        self.replicas.entry(node).or_default().truncate(to);
        if to < self.true_high_watermark() {
            self.check_held_somewhere(around, tally);
        }
    }

    pub fn trimmed(&mut self, node: NodeId, to: Offset) {
        self.deleted = self.deleted.max(to);
        let replica = self.replicas.entry(node).or_default();
        replica.log.trim(to);
        if replica.log.is_empty() {
            replica.verified = replica.verified.max(to);
        }
        let low = self.replicas.values().map(|replica| replica.log.start()).min();
        let low = low.unwrap_or(Offset::ZERO).min(self.committed.end());
        self.committed.trim(low);
        self.sessions.trimmed(low);
        self.created = self.created.split_off(&(low, LeaderEpoch(0)));
    }

    /// Batches that the oracle keeps, of replicas and of what is committed.
    pub fn batches(&self) -> usize {
        let replicas = self.replicas.values().map(|replica| replica.log.len());
        replicas.sum::<usize>() + self.committed.len()
    }

    /// A broker starts with what its disk kept.
    pub fn survived(
        &mut self,
        node: NodeId,
        survivor: Survivor,
        around: &Surroundings<'_>,
        tally: &mut Tally,
    ) {
        let Survivor { log, whole } = survivor;
        let old = self.replicas.insert(node, Replica { log, verified: Offset::ZERO });
        self.leader_marks.remove(&node);
        self.views.remove(&node);
        if let Some(old) = old
            && self.lost(node, old.log.from(whole), around)
        {
            self.check_held_somewhere(around, tally);
        }
    }

    /// A broker's disk was wiped, or its replica removed.
    pub fn removed(
        &mut self,
        node: NodeId,
        lossy: bool,
        around: &Surroundings<'_>,
        tally: &mut Tally,
    ) {
        let Some(old) = self.replicas.remove(&node) else { return };
        if lossy {
            self.lost(node, old.log.from(old.log.start()), around);
        }
        self.check_held_somewhere(around, tally);
    }

    /// A disk has not kept these batches. They may have gone by a power loss, by a write that
    /// failed, by rot that the scan of the log met: what counts is that a copy is missing. Says
    /// whether it may matter.
    fn lost<'a>(
        &mut self,
        node: NodeId,
        batches: impl Iterator<Item = &'a GhostBatch>,
        around: &Surroundings<'_>,
    ) -> bool {
        let mut loss = Loss::default();
        for batch in batches {
            if batch.base >= self.true_high_watermark() {
                loss.in_doubt.insert((batch.base, batch.epoch));
            } else {
                let committed = self.committed.at(batch.base);
                loss.committed |= committed.is_some_and(|committed| committed.same(batch));
            }
        }
        let matters = loss.committed || !loss.in_doubt.is_empty();
        if matters {
            let known = self.losses.entry(node).or_default();
            known.committed |= loss.committed;
            known.in_doubt.append(&mut loss.in_doubt);
            self.weigh_losses(around);
        }
        matters
    }

    /// What is committed is on min.insync.replicas disks: it survives the loss of all but one.
    /// After more than that nothing is promised, but what some replica still holds is judged on.
    fn weigh_losses(&mut self, around: &Surroundings<'_>) {
        let lossy = self.losses.values().filter(|loss| loss.committed).count();
        if !self.excused && lossy >= around.min_insync_replicas.max(1) {
            self.excused = !self.is_held_somewhere();
        }
    }

    /// Whether some replica, running or not, holds everything that was committed.
    fn is_held_somewhere(&mut self) -> bool {
        let wanted = self.true_high_watermark();
        let committed = &self.committed;
        let mut replicas = self.replicas.values_mut();
        replicas.any(|replica| replica.verify(committed, wanted).is_ok_and(|upto| upto >= wanted))
    }

    /// R11: no committed record is lost by all replicas, up to the losses that the protocol
    /// survives.
    fn check_held_somewhere(&mut self, around: &Surroundings<'_>, tally: &mut Tally) {
        self.weigh_losses(around);
        let wanted = self.true_high_watermark();
        if self.excused || around.image.is_none() || wanted == Offset::ZERO {
            return;
        }
        let held = self.is_held_somewhere();
        tally.expect(Check::AckedDurable, held, || {
            format!("{}: no replica holds all committed records below {wanted} any more", self.id)
        });
    }

    pub fn leader_started(
        &mut self,
        node: NodeId,
        epoch: LeaderEpoch,
        around: &Surroundings<'_>,
        tally: &mut Tally,
    ) {
        let leader = *self.leaders.entry(epoch).or_insert(node);
        tally.expect(Check::OneLeaderPerEpoch, leader == node, || {
            format!("{}: brokers {leader} and {node} both lead in epoch {epoch}", self.id)
        });
        while self.leaders.len() > 16 {
            self.leaders.pop_first();
        }
        let current =
            around.image.is_some_and(|image| image.leader_epoch == epoch && image.leader == node);
        self.weigh_losses(around);
        if current && !self.excused {
            let wanted = self.true_high_watermark();
            self.expect_complete(Check::LeaderCompleteness, node, wanted, "leads", tally);
        }
    }

    fn expect_complete(
        &mut self,
        check: Check,
        node: NodeId,
        wanted: Offset,
        role: &str,
        tally: &mut Tally,
    ) {
        let id = self.id;
        let replica = self.replicas.entry(node).or_default();
        match replica.verify(&self.committed, wanted) {
            Ok(upto) => tally.expect(check, upto >= wanted, || {
                let end = replica.log.end();
                format!("{id}: broker {node} {role} with log end {end}, but records below {wanted} were committed")
            }),
            Err(mismatch) => tally.expect(check, false, || {
                let (committed, held) = (mismatch.committed, mismatch.held);
                format!(
                    "{id}: broker {node} {role} and holds {held} where {committed} was committed"
                )
            }),
        }
    }

    /// A replica's high watermark moved. Answers the batches that are newly committed.
    pub fn high_watermark(
        &mut self,
        node: NodeId,
        epoch: LeaderEpoch,
        mark: Offset,
        leads: bool,
        around: &Surroundings<'_>,
        tally: &mut Tally,
    ) -> Vec<GhostBatch> {
        let id = self.id;
        self.begin_behind_retention(node, mark);
        let replica = self.replicas.entry(node).or_default();
        let (start, end) = (replica.log.start(), replica.log.end());
        tally.expect(Check::Bounds, start <= mark && mark <= end, || {
            format!("{id}: broker {node}: start {start}, high watermark {mark}, end {end}")
        });
        if !self.excused {
            let agreed = mark.min(self.committed.end());
            let matches = replica.verify(&self.committed, agreed);
            let check = if leads { Check::ConsistentRead } else { Check::LogMatching };
            tally.expect(check, matches.is_ok(), || {
                let Err(mismatch) = matches else { return String::new() };
                let (committed, held) = (mismatch.committed, mismatch.held);
                format!("{id}: broker {node} has {held} below its high watermark {mark} where {committed} was committed")
            });
        }
        if !leads {
            return Vec::new();
        }
        if let Some((old_epoch, old)) = self.leader_marks.insert(node, (epoch, mark)) {
            tally.expect(Check::ConsistentRead, old_epoch != epoch || old <= mark, || {
                format!(
                    "{id}: leader {node}'s high watermark fell from {old} to {mark} in epoch \
                     {epoch}"
                )
            });
        }
        self.commit(node, mark, around, tally)
    }

    /// A follower that was away for too long drops its log and begins again, empty, at its leader's
    /// log start: where retention has been, nothing is missing (broker_failover, seed 42, with
    /// segments of 4 KiB of which two are kept).
    fn begin_behind_retention(&mut self, node: NodeId, mark: Offset) {
        let begins = self.replicas.get(&node).is_some_and(|replica| {
            let log = &replica.log;
            log.is_empty() && log.end() < mark
        });
        let past = |log: &GhostLog| log.start() > Offset::ZERO && log.first_end() >= mark;
        if begins && self.replicas.values().any(|replica| past(&replica.log)) {
            let log = GhostLog::starting_at(mark);
            self.replicas.insert(node, Replica { log, verified: mark });
        }
    }

    fn commit(
        &mut self,
        node: NodeId,
        mark: Offset,
        around: &Surroundings<'_>,
        tally: &mut Tally,
    ) -> Vec<GhostBatch> {
        let from = self.committed.end();
        if mark <= from {
            return Vec::new();
        }
        let replica = self.replicas.entry(node).or_default();
        let fresh: Vec<GhostBatch> =
            replica.log.from(from).take_while(|batch| batch.base < mark).cloned().collect();
        for batch in &fresh {
            self.committed.append(batch.clone());
            for loss in self.losses.values_mut() {
                loss.committed |= loss.in_doubt.remove(&(batch.base, batch.epoch));
            }
        }
        if replica.verified >= from {
            replica.verified = self.committed.end();
        }
        self.weigh_losses(around);
        self.check_candidates(around, tally);
        fresh
    }

    /// R4: whom the controller may elect holds everything committed.
    pub fn check_candidates(&mut self, around: &Surroundings<'_>, tally: &mut Tally) {
        let Some(image) = around.image else { return };
        self.weigh_losses(around);
        if self.excused {
            return;
        }
        let wanted = self.true_high_watermark();
        for node in image.isr.iter().chain(image.elr.iter()) {
            if (around.current)(*node) {
                self.expect_complete(
                    Check::CandidateCompleteness,
                    *node,
                    wanted,
                    "may be elected",
                    tally,
                );
            }
        }
    }

    pub fn isr_view(
        &mut self,
        node: NodeId,
        view: Arc<IsrView>,
        around: &Surroundings<'_>,
        tally: &mut Tally,
    ) {
        self.views.insert(node, view);
        self.check_superset(around, tally);
    }

    /// R5: a leader that may commit waits for everybody whom the controller may elect.
    pub fn check_superset(&mut self, around: &Surroundings<'_>, tally: &mut Tally) {
        let Some(image) = around.image else { return };
        if !(around.current)(image.leader) {
            return;
        }
        let Some(view) = self.views.get(&image.leader) else { return };
        let may_commit = view.committed.len() >= around.min_insync_replicas;
        if view.leader_epoch != image.leader_epoch || !may_commit {
            return;
        }
        let missing =
            image.isr.iter().chain(image.elr.iter()).find(|node| !view.maximal.contains(node));
        tally.expect(Check::QuorumSuperset, missing.is_none(), || {
            format!(
                "{}: leader {} waits for {:?}, the controller may elect from ISR {:?} and ELR {:?}",
                self.id, image.leader, view.maximal, image.isr, image.elr
            )
        });
    }

    /// The controller's registration changed.
    pub fn registered(
        &mut self,
        old: Option<&PartitionImage>,
        around: &Surroundings<'_>,
        fenced: &dyn Fn(NodeId) -> bool,
        elr_enabled: bool,
        tally: &mut Tally,
    ) {
        let Some(image) = around.image else { return };
        check_sane(self.id, image, around.min_insync_replicas, fenced, elr_enabled, tally);
        if let Some(old) = old {
            let monotone = old.leader_epoch <= image.leader_epoch
                && old.partition_epoch <= image.partition_epoch;
            tally.expect(Check::EpochsMonotone, monotone, || {
                format!("{}: epochs fell from {old:?} to {image:?}", self.id)
            });
        }
        let joined = |node: &NodeId| {
            image.isr.contains(node) && old.is_some_and(|old| !old.isr.contains(node))
        };
        self.losses.retain(|node, _| {
            let is_back = joined(node) && (around.current)(*node);
            image.replicas.contains(node) && !is_back
        });
        self.check_candidates(around, tally);
        self.check_superset(around, tally);
    }

    /// A leader was elected from outside of ISR and ELR: what it lacks is gone. If it lacks
    /// nothing, as after a crash that left every disk whole, all promises stand.
    pub fn elected_unclean(&mut self, leader: NodeId) {
        let wanted = self.true_high_watermark();
        let replica = self.replicas.entry(leader).or_default();
        let complete = replica.verify(&self.committed, wanted).is_ok_and(|upto| upto >= wanted);
        self.excused |= !complete;
    }
}

/// R7.
fn check_sane(
    id: PartitionId,
    image: &PartitionImage,
    min_insync_replicas: usize,
    fenced: &dyn Fn(NodeId) -> bool,
    elr_enabled: bool,
    tally: &mut Tally,
) {
    let within = image.isr.iter().all(|node| image.replicas.contains(node));
    let leads = image.leader == NodeId::NONE || image.isr.contains(&image.leader);
    let apart = !image.isr.iter().any(|node| image.elr.contains(node));
    let min = min_insync_replicas.min(image.replicas.len());
    let settled = image.isr.len() < min || image.elr.is_empty();
    let unfenced = !elr_enabled || !image.isr.iter().any(|node| fenced(*node));
    for (holds, rule) in [
        (within, "the ISR is not within the replicas"),
        (leads, "the leader is not in the ISR"),
        (apart, "ISR and ELR overlap"),
        (settled, "the ELR is not empty though the ISR is large enough"),
        (unfenced, "a fenced broker is in the ISR"),
    ] {
        tally.expect(Check::MetadataSane, holds, || format!("{id}: {rule}: {image:?}"));
    }
}
