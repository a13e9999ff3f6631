//! What a member holds, as its group has it and as its application knows it.
//!
//! The application learns of changes one at a time, from polls. It is told what to give up and
//! holds it until it polls again; what is lost is gone before it hears of it; what is new it holds
//! once it is told.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::client::consumer::assignor::Partition;
use crate::op::{GroupMetadata, Rebalance};

pub(crate) type Partitions = BTreeSet<Partition>;

/// What a member holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holding {
    /// As the group has it: what nobody else has.
    owned: Partitions,
    /// What the application believes to hold.
    told: Partitions,
    /// A part of `owned` that has to go, of which the application knows or shall know.
    revoking: Partitions,
    revocation: Revocation,
    /// A part of `told` that is gone already.
    lost: Partitions,
    /// It may still work on what it was told to give up, and that is gone.
    leaving: bool,
    /// A membership that the application has not been told of.
    news: Option<GroupMetadata>,
    /// How often everything was gone.
    losses: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Revocation {
    #[default]
    None,
    /// The application has to be told.
    Wanted,
    /// It was told, and may still work on it.
    Told,
    /// It has polled since.
    Acknowledged,
}

impl Holding {
    pub fn owned(&self) -> &Partitions {
        &self.owned
    }

    pub fn owns(&self, partition: &Partition) -> bool {
        self.owned.contains(partition)
    }

    /// Whether nothing waits for the application: nothing to give up, nothing to learn of that is
    /// gone.
    pub fn is_settled(&self) -> bool {
        self.revocation == Revocation::None && self.lost.is_empty() && !self.leaving
    }

    /// Whether only [`Self::release`] is missing for a revocation.
    pub fn is_acknowledged(&self) -> bool {
        self.revocation == Revocation::Acknowledged
    }

    /// The group gives exactly these, with this membership.
    pub fn grant(&mut self, partitions: Partitions, membership: GroupMetadata) {
        assert!(self.is_settled(), "what is given up is given up first");
        let lacking = self.told.difference(&partitions).next();
        assert!(lacking.is_none(), "what the application holds is taken from it by its leave");
        self.owned = partitions;
        self.news = Some(membership);
    }

    /// The same partitions in another epoch.
    pub fn renew(&mut self, membership: GroupMetadata) {
        self.news = Some(membership);
    }

    /// These have to go. What the application does not know of yet goes at once.
    pub fn give_up(&mut self, partitions: &Partitions) {
        assert!(self.revocation == Revocation::None, "one revocation at a time");
        let leaving: Partitions = self.owned.intersection(partitions).cloned().collect();
        for partition in leaving {
            if self.told.contains(&partition) {
                self.revoking.insert(partition);
            } else {
                self.owned.remove(&partition);
            }
        }
        if !self.revoking.is_empty() {
            self.revocation = Revocation::Wanted;
        }
    }

    /// Everything is gone: the group has gone on without this member.
    pub fn lose(&mut self) {
        self.lost.extend(core::mem::take(&mut self.told));
        if self.revocation >= Revocation::Told {
            // Until it polls it takes them for its own: given anew meanwhile, they would get its
            // old positions (`ledger_double_spend` with atomic-apply, seed 150).
            self.leaving |= self.revocation == Revocation::Told;
            // It knows of these already.
            for partition in &self.revoking {
                self.lost.remove(partition);
            }
        }
        self.revoking.clear();
        self.revocation = Revocation::None;
        self.owned.clear();
        self.news = None;
        self.losses += 1;
    }

    /// Everything is gone, as the application wanted it.
    pub fn clear(&mut self) {
        *self = Holding { losses: self.losses + 1, ..Holding::default() };
    }

    /// Counts the times that everything was gone: whoever began something before means something
    /// else.
    pub fn losses(&self) -> u64 {
        self.losses
    }

    /// The application polls: it is done with what it was told to give up.
    pub fn polled(&mut self) {
        self.leaving = false;
        if self.revocation == Revocation::Told {
            self.revocation = Revocation::Acknowledged;
        }
    }

    /// Lets go of what the application is done with.
    pub fn release(&mut self) {
        assert!(self.is_acknowledged(), "the application goes first");
        for partition in core::mem::take(&mut self.revoking) {
            self.owned.remove(&partition);
            self.told.remove(&partition);
        }
        self.revocation = Revocation::None;
    }

    /// Whether the next thing to tell is what has to be given up.
    pub fn shall_revoke(&self) -> bool {
        self.lost.is_empty() && self.revocation == Revocation::Wanted
    }

    /// The next thing that the application has to be told.
    pub fn notice(&mut self) -> Option<Rebalance> {
        if !self.lost.is_empty() {
            return Some(Rebalance::Lost(core::mem::take(&mut self.lost).into_iter().collect()));
        }
        if self.revocation == Revocation::Wanted {
            self.revocation = Revocation::Told;
            return Some(Rebalance::Revoked(self.revoking.iter().cloned().collect()));
        }
        if self.revocation != Revocation::None {
            return None;
        }
        let membership = self.news.take()?;
        let new: Vec<Partition> = self.owned.difference(&self.told).cloned().collect();
        self.told.clone_from(&self.owned);
        Some(Rebalance::Assigned(new, membership))
    }

    /// Internal invariants.
    ///
    /// # Panics
    /// If one is broken.
    pub fn check(&self) {
        assert!(self.told.is_subset(&self.owned), "it believes no more than what it has");
        assert!(self.revoking.is_subset(&self.told), "it gives up what it knows of");
        let revokes = self.revocation != Revocation::None;
        assert_eq!(revokes, !self.revoking.is_empty(), "a revocation is of something");
        assert!(self.lost.is_disjoint(&self.told), "what is lost is not held");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(partitions: &[i32]) -> Partitions {
        partitions.iter().map(|partition| ("t".into(), *partition)).collect()
    }

    fn list(partitions: &[i32]) -> Vec<Partition> {
        set(partitions).into_iter().collect()
    }

    fn membership(generation: i32) -> GroupMetadata {
        GroupMetadata { group: "g".into(), member: "m".into(), instance: None, generation }
    }

    /// A member whose application knows of these.
    fn holding(partitions: &[i32]) -> Holding {
        let mut holding = Holding::default();
        holding.grant(set(partitions), membership(1));
        assert_eq!(holding.notice(), Some(Rebalance::Assigned(list(partitions), membership(1))));
        holding
    }

    #[test]
    fn what_is_given_up_is_held_until_the_poll_after_the_notice() {
        let mut holding = holding(&[0, 1]);
        holding.give_up(&set(&[1, 7]));
        holding.polled();
        assert!(!holding.is_acknowledged(), "it was not told yet");
        assert_eq!(holding.notice(), Some(Rebalance::Revoked(list(&[1]))));
        assert!(holding.owns(&("t".into(), 1)) && holding.notice().is_none());
        holding.polled();
        holding.release();
        assert_eq!(holding.owned(), &set(&[0]));
        holding.check();
    }

    #[test]
    fn nobody_hears_of_what_came_and_went_between_two_polls() {
        let mut holding = holding(&[0]);
        holding.grant(set(&[0, 1]), membership(2));
        holding.give_up(&set(&[1]));
        assert!(holding.is_settled());
        assert_eq!(holding.notice(), Some(Rebalance::Assigned(Vec::new(), membership(2))));
        assert_eq!(holding.notice(), None);
    }

    #[test]
    fn what_is_lost_is_told_once_and_before_what_is_new() {
        let mut holding = holding(&[0, 1, 2]);
        holding.give_up(&set(&[2]));
        holding.notice();
        holding.lose();
        assert!(holding.owned().is_empty() && !holding.is_settled());
        assert_eq!(holding.notice(), Some(Rebalance::Lost(list(&[0, 1]))), "2 is given up");
        assert!(!holding.is_settled(), "its application may still work on 2");
        holding.polled();
        holding.grant(set(&[1]), membership(5));
        assert_eq!(holding.notice(), Some(Rebalance::Assigned(list(&[1]), membership(5))));
        holding.check();
    }
}
