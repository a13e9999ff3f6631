//! How the leader of a classic group shares out partitions: pure functions from who wants what, and
//! what they had, to what they shall have.

mod cooperative;
mod range;
mod roundrobin;
mod sticky;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::config::AssignmentStrategy;
use crate::defect::Defects;
use crate::ids::TopicName;

/// A partition by its topic's name.
pub type Partition = (TopicName, i32);

/// How many partitions each topic has, of those that there are.
pub type Counts = BTreeMap<TopicName, i32>;

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
pub type CustomAssignor = fn(&[Member], &Counts) -> Assignments;

/// The assignor that a member uses.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Assignor {
    Known(AssignmentStrategy),
    Custom(CustomAssignor),
}

impl Assignor {
    /// What members call it among each other.
    pub const fn name(self) -> &'static str {
        match self {
            Assignor::Known(AssignmentStrategy::Range) => "range",
            Assignor::Known(AssignmentStrategy::RoundRobin) => "roundrobin",
            Assignor::Known(AssignmentStrategy::Sticky) => "sticky",
            Assignor::Known(AssignmentStrategy::CooperativeSticky) => "cooperative-sticky",
            Assignor::Custom(_) => "custom",
        }
    }

    /// Whether members keep what they hold while they rejoin (KIP-429).
    pub const fn is_cooperative(self) -> bool {
        matches!(self, Assignor::Known(AssignmentStrategy::CooperativeSticky))
    }

    /// Whether members tell by way of user data what they had, since they hold nothing when they
    /// join.
    pub const fn remembers(self) -> bool {
        matches!(self, Assignor::Known(AssignmentStrategy::Sticky))
    }

    pub fn assign(self, members: &[Member], counts: &Counts, defects: Defects) -> Assignments {
        match self {
            Assignor::Known(AssignmentStrategy::Range) => range::assign(members, counts),
            Assignor::Known(AssignmentStrategy::RoundRobin) => roundrobin::assign(members, counts),
            Assignor::Known(AssignmentStrategy::Sticky) => sticky::assign(members, counts),
            Assignor::Known(AssignmentStrategy::CooperativeSticky) => {
                cooperative::assign(members, counts, defects)
            }
            Assignor::Custom(assign) => assign(members, counts),
        }
    }
}

/// Members in the order in which Kafka's assignors go through them: static ones first, by their
/// names, which survive a restart.
fn in_order(members: &[Member]) -> Vec<&Member> {
    let mut sorted: Vec<&Member> = members.iter().collect();
    sorted.sort_by_key(|member| match &member.instance {
        Some(instance) => (false, instance.clone()),
        None => (true, member.id.clone()),
    });
    sorted
}

/// Everybody, with nothing.
fn nothing(members: &[Member]) -> Assignments {
    members.iter().map(|member| (member.id.clone(), Vec::new())).collect()
}

fn subscribes(member: &Member, topic: &TopicName) -> bool {
    member.topics.contains(topic)
}
