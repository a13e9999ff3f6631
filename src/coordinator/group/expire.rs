//! Offsets that nobody has use for any more (KIP-211).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::deadlines::Timer;
use super::groups::{Group, Kind};
use super::offsets::Commit;
use super::record::Record;
use super::remove::{group_tombstones, tombstone};
use super::{Author, GroupCoordinator, Step};
use crate::time::{Duration, Timestamp};

impl GroupCoordinator {
    /// Removes what is due, and then groups that nothing is left of. What the log refuses is tried
    /// again with the next check.
    pub(super) fn expire(&mut self, step: &mut Step<'_>) {
        self.forget_deleted(step);
        let config = step.ctx.config;
        let minutes = u64::from(config.offsets_retention_minutes);
        let retention = Duration::from_secs(minutes.saturating_mul(60));
        let horizon = step.ctx.now.wall.saturating_sub(retention);
        let groups = self.groups.iter().map(|(name, group)| expired(name, group, horizon));
        let expired: Vec<_> = groups.filter(|records| !records.is_empty()).collect();
        for records in expired {
            if self.append(step, &Author::nobody(), None, records).is_err() {
                break;
            }
        }
        self.deadlines.set(Timer::Expire, step.now() + config.offsets_retention_check_interval);
    }
}

/// The records that remove what is older than `horizon`. Kafka also takes offsets of topics that a
/// group with members has given up; here such a group keeps all of its offsets.
fn expired(name: &Arc<str>, group: &Group, horizon: Timestamp) -> Vec<Record> {
    if !group.is_empty() {
        return Vec::new();
    }
    let is_old = |commit: &Commit| match &group.kind {
        // KIP-211: of a group that had members, since it is empty.
        Kind::Classic(classic) if classic.protocol_type.is_some() && classic.since.0 >= 0 => {
            classic.since <= horizon
        }
        Kind::Classic(_) | Kind::Consumer(_) => commit.timestamp <= horizon,
    };
    let offsets = &group.offsets;
    let due = offsets.committed.iter().filter(|(partition, commit)| {
        // An open transaction has a say in it.
        is_old(commit) && !offsets.is_unstable(partition)
    });
    let mut records: Vec<_> = due.map(|(partition, _)| tombstone(name, partition)).collect();
    if records.len() == offsets.committed.len() && offsets.pending.is_empty() && is_settled(group) {
        records.extend(group_tombstones(name, group));
    }
    records
}

/// Whether nobody is about to join.
fn is_settled(group: &Group) -> bool {
    match &group.kind {
        Kind::Classic(classic) => classic.pending.is_empty(),
        Kind::Consumer(_) => true,
    }
}
