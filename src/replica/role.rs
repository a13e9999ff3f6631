//! What new metadata makes of a replica: leader, follower, or neither.

use alloc::sync::Arc;

use crate::defect::Defect;
use crate::event::Event;
use crate::ids::NodeId;
use crate::machine::Effects;
use crate::metadata::PartitionImage;
use crate::replica::follower::Follower;
use crate::replica::leader::Leader;
use crate::replica::{Context, Replica, Role};

impl Replica {
    /// Becomes what the partition's registration says.
    ///
    /// Ignored while the image does not know this incarnation of the broker
    /// ([`Context::knows_this_incarnation`]): apply every partition again once it does. Older
    /// registrations than the applied one are ignored too.
    pub fn apply(&mut self, ctx: &Context<'_>, image: &PartitionImage, out: &mut Effects) {
        if !ctx.knows_this_incarnation()
            || image.partition_epoch < self.partition_epoch
            || image.leader_epoch < self.leader_epoch
        {
            return;
        }
        self.replicas = Arc::clone(&image.replicas);
        if image.partition_epoch == self.partition_epoch {
            // Known already, by the answer to an AlterPartition. A change that was proposed since
            // then is still pending: this image says nothing about it.
            self.update_followers(ctx);
            return;
        }
        let new_epoch = image.leader_epoch > self.leader_epoch;
        let same_leader = image.leader == self.leader;
        self.partition_epoch = image.partition_epoch;
        self.leader_epoch = image.leader_epoch;
        self.leader = image.leader;
        if image.leader == ctx.node {
            self.lead(ctx, image, new_epoch, out);
        } else if image.leader != NodeId::NONE && image.replicas.contains(&ctx.node) {
            self.follow(ctx, new_epoch, same_leader, out);
        } else {
            self.idle(out);
        }
    }

    /// This broker no longer hosts the partition.
    pub fn stop(&mut self, out: &mut Effects) {
        self.leader = NodeId::NONE;
        self.idle(out);
    }

    fn lead(
        &mut self,
        ctx: &Context<'_>,
        image: &PartitionImage,
        new_epoch: bool,
        out: &mut Effects,
    ) {
        if let Role::Leader(leader) = &mut self.role
            && !new_epoch
        {
            leader.settle(Arc::clone(&image.isr));
            self.update_followers(ctx);
        } else {
            assert!(new_epoch, "a change of leader is a new leader epoch");
            let start = self.log.end_offset();
            // KIP-101: the epoch is known from its first moment on, so that followers with longer
            // logs of older epochs find out where to cut.
            self.log.assign_epoch(self.leader_epoch, out);
            let isr = Arc::clone(&image.isr);
            let leader = Leader::new(ctx, start, isr, &self.replicas);
            self.role = Role::Leader(leader);
            self.changes.role = true;
            let (partition, leader_epoch) = (self.id, self.leader_epoch);
            out.note(Event::LeaderStarted { partition, leader_epoch, start });
            // Redpanda #5090: what a new leader holds is not committed because it leads.
            if ctx.defects.has(Defect::LeaderServesBeforeBarrier) {
                self.set_high_watermark(start, out);
            }
        }
        self.note_isr(out);
        self.advance_high_watermark(ctx, out);
    }

    fn follow(&mut self, ctx: &Context<'_>, new_epoch: bool, same_leader: bool, out: &mut Effects) {
        if !new_epoch && matches!(self.role, Role::Follower(_)) {
            return;
        }
        self.role = Role::Follower(Follower::new(ctx.defects, same_leader));
        self.changes.role = true;
        out.note(Event::FollowerStarted {
            partition: self.id,
            leader_epoch: self.leader_epoch,
            leader: self.leader,
        });
        // KIP-101: a high watermark trails what is committed, so it is no place to cut; the leader
        // says where the logs part.
        if ctx.defects.has(Defect::TruncateToHw) {
            self.truncate(self.high_watermark, out);
        }
    }

    fn idle(&mut self, out: &mut Effects) {
        if matches!(self.role, Role::Idle) {
            return;
        }
        self.role = Role::Idle;
        self.changes.role = true;
        out.note(Event::ReplicaStopped { partition: self.id });
    }

    fn update_followers(&mut self, ctx: &Context<'_>) {
        if let Role::Leader(leader) = &mut self.role {
            leader.update_followers(ctx, &self.replicas);
        }
    }
}
