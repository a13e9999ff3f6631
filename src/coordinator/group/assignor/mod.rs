//! The coordinator's assignors of KIP-848: pure functions from who wants what, and what they had,
//! to what they shall have.

mod range;
#[cfg(test)]
mod tests;
mod uniform;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;

use super::record::Partitions;
use crate::ids::TopicId;

/// The assignor of a group whose members do not ask for another one.
pub(super) const DEFAULT: &str = "uniform";

const RANGE: &str = "range";

/// Whether there is an assignor of that name.
pub(super) fn is_known(name: &str) -> bool {
    name == DEFAULT || name == RANGE
}

/// A member, as an assignor sees it.
#[derive(Clone, Debug)]
pub(super) struct Subscriber<'a> {
    /// What its place among the others goes by: the same name after a restart.
    pub place: Arc<str>,
    /// The topics that it wants and that are there.
    pub topics: BTreeSet<TopicId>,
    /// What it was to have before.
    pub had: &'a Partitions,
}

/// Members by their ids, and what becomes of them.
type Subscribers<'a> = BTreeMap<Arc<str>, Subscriber<'a>>;
type Targets = BTreeMap<Arc<str>, Partitions>;

/// Gives each partition of the topics that somebody wants to one member that wants it.
pub(super) fn assign(
    name: &str,
    subscribers: &Subscribers<'_>,
    topics: &BTreeMap<TopicId, i32>,
) -> Targets {
    if name == RANGE {
        range::assign(subscribers, topics)
    } else {
        uniform::assign(subscribers, topics)
    }
}
