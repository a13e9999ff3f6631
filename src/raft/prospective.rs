//! Prospective (KIP-996): asks whether it would be elected before it raises the epoch, so that a
//! node that was cut off does not depose a good leader.

use crate::machine::Effects;
use crate::raft::Raft;
use crate::raft::role::Role;
use crate::raft::vote::Tally;
use crate::time::Now;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prospective {
    pub tally: Tally,
}

impl Raft {
    /// Keeps the epoch, the vote and the leader that it knows.
    pub(super) fn become_prospective(&mut self, now: Now, out: &mut Effects) {
        let me = self.me.expect("only voters stand for election");
        let was = self.known();
        let tally = Tally::new(self.server.voters.len(), me);
        self.begin(Role::Prospective(Prospective { tally }), was, out);
        self.start_election_timer(now);
        self.count_votes(now, out);
    }

    /// The others see no need for an election: back to the leader, if there is one.
    pub(super) fn stop_asking(&mut self, now: Now, out: &mut Effects) {
        let epoch = self.epoch();
        match self.known_leader {
            Some(leader) => self.become_follower(now, epoch, leader, out),
            None => self.become_unattached(now, epoch, out),
        }
    }
}
