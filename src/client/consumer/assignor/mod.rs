//! How the leader of a classic group shares out partitions: pure functions from who wants what, and
//! what they had, to what they shall have.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::ids::TopicName;

/// A partition by its topic's name.
pub type Partition = (TopicName, i32);

/// A member of a classic group, as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub id: Arc<str>,
    /// A static member's name (KIP-345).
    pub instance: Option<Arc<str>>,
    /// What it subscribes to, sorted.
    pub topics: Vec<TopicName>,
    /// What it says it holds.
    pub owned: Vec<Partition>,
    /// The generation in which it got that; -1 if it does not know.
    pub generation: i32,
}

/// What each member shall have, by member id.
pub type Assignments = BTreeMap<Arc<str>, Vec<Partition>>;

/// An assignor of the application's own: members by id, and how many partitions each topic has. It
/// gives each partition to at most one member.
pub type CustomAssignor = fn(&[Member], &BTreeMap<TopicName, i32>) -> Assignments;
