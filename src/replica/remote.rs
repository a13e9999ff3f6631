//! What a leader knows about one of its followers, from that follower's fetches.

use crate::ids::{BrokerEpoch, NodeId, Offset};
use crate::time::{Duration, Instant};

/// A follower in the leader's eyes. All of it comes from fetches in the current leader epoch: when
/// a new epoch begins, nothing is known (KIP-320).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    pub node: NodeId,
    /// The follower's LEO, [`Offset::NONE`] before its first fetch.
    pub end: Offset,
    /// The follower's log start, [`Offset::NONE`] before its first fetch.
    pub log_start: Offset,
    /// The incarnation that fetched last (KIP-903); none before the first fetch.
    pub broker_epoch: Option<BrokerEpoch>,
    /// When it fetched last, and what the leader's LEO was then.
    last_fetch: Option<Instant>,
    leader_end: Offset,
    /// When it last held everything that the leader held; none if never.
    caught_up: Option<Instant>,
}

impl Remote {
    /// A follower of which nothing is known yet. A member of the ISR gets time to come.
    pub fn new(node: NodeId, in_isr: bool, now: Instant) -> Self {
        Remote {
            node,
            end: Offset::NONE,
            log_start: Offset::NONE,
            broker_epoch: None,
            last_fetch: None,
            leader_end: Offset::NONE,
            caught_up: in_isr.then_some(now),
        }
    }

    /// A fetch at `end` arrived while the leader's LEO was `leader_end`.
    pub fn fetched(
        &mut self,
        now: Instant,
        end: Offset,
        log_start: Offset,
        leader_end: Offset,
        broker_epoch: BrokerEpoch,
    ) {
        if end >= leader_end {
            self.caught_up = self.caught_up.max(Some(now));
        } else if end >= self.leader_end {
            // It has everything that was there when it asked before: it keeps up, under load.
            self.caught_up = self.caught_up.max(self.last_fetch);
        }
        self.end = end;
        self.log_start = log_start;
        self.leader_end = self.leader_end.max(leader_end);
        self.last_fetch = Some(now);
        self.broker_epoch = Some(broker_epoch);
    }

    /// Whether it is not behind for longer than `max_lag`. One that holds everything never is.
    pub fn is_caught_up(&self, leader_end: Offset, now: Instant, max_lag: Duration) -> bool {
        self.end == leader_end || self.caught_up.is_some_and(|at| now.since(at) <= max_lag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn fetched(remote: &mut Remote, seconds: u64, end: i64, leader_end: i64) {
        remote.fetched(at(seconds), Offset(end), Offset::ZERO, Offset(leader_end), BrokerEpoch(1));
    }

    #[test]
    fn a_member_of_the_isr_gets_time_for_its_first_fetch() {
        let member = Remote::new(NodeId(2), true, at(5));
        assert!(member.is_caught_up(Offset(7), at(15), LAG));
        assert!(!member.is_caught_up(Offset(7), at(16), LAG));
        let other = Remote::new(NodeId(3), false, at(5));
        assert!(!other.is_caught_up(Offset(7), at(5), LAG));
    }

    #[test]
    fn a_follower_that_always_trails_by_one_fetch_keeps_up() {
        let mut remote = Remote::new(NodeId(2), false, at(0));
        fetched(&mut remote, 1, 0, 10);
        assert!(!remote.is_caught_up(Offset(10), at(1), LAG));
        for second in 2_u8..40 {
            let end = i64::from(second - 1) * 10;
            fetched(&mut remote, u64::from(second), end, end + 10);
        }
        assert!(remote.is_caught_up(Offset(1000), at(48), LAG));
        assert!(!remote.is_caught_up(Offset(1000), at(49), LAG));
    }

    #[test]
    fn one_that_holds_everything_is_never_out_of_sync() {
        let mut remote = Remote::new(NodeId(2), false, at(0));
        fetched(&mut remote, 1, 10, 10);
        assert!(remote.is_caught_up(Offset(10), at(1_000), LAG));
        assert!(!remote.is_caught_up(Offset(11), at(1_000), LAG));
    }
}
