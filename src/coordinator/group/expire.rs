//! Offsets that nobody has use for any more (KIP-211).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::deadlines::Timer;
use super::groups::{Group, Kind};
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

/// The records that remove what is older than `horizon`. Members keep the offsets of topics that
/// one of them wants.
fn expired(name: &Arc<str>, group: &Group, horizon: Timestamp) -> Vec<Record> {
    let empty = group.is_empty();
    let since = match &group.kind {
        // KIP-211: of a group that had members, since it is empty.
        Kind::Classic(classic) if empty && classic.had_members() => Some(classic.since),
        // Who wants what is known between rounds.
        Kind::Classic(classic) if !empty && !classic.tells_its_topics() => return Vec::new(),
        Kind::Classic(_) | Kind::Consumer(_) => None,
    };
    let offsets = &group.offsets;
    let due = offsets.committed.iter().filter(|(partition, commit)| {
        since.unwrap_or(commit.timestamp) <= horizon
            // An open transaction has a say in it.
            && !offsets.is_unstable(partition)
            && !group.is_subscribed(&partition.0)
    });
    let mut records: Vec<_> = due.map(|(partition, _)| tombstone(name, partition)).collect();
    let all = records.len() == offsets.committed.len() && offsets.pending.is_empty();
    if empty && all && is_settled(group) {
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
