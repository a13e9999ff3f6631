//! The right to write to an external store for a partition: a token that the store gives out.
//!
//! A group's generation is no such token: it begins at 1 again when the group was deleted, or has
//! expired, and whoever comes then would be taken for a zombie for ever. The store remembers for as
//! long as it guards, so it numbers the owners itself. Who may have the next number is found out in
//! three steps, before anything of the partition is worked on:
//!
//! 1. ask the store for the newest token;
//! 2. commit the position at which the partition stands: its coordinator takes that from the
//!    group's present generation only (KIP-447's fencing);
//! 3. claim the token after the one of step 1: the store gives it out unless somebody has it.
//!
//! So no zombie gets past the owner. An owner with token n has seen n - 1, and after that its
//! commit was taken: by then whoever had the partition before had lost it. One of those that has
//! seen less than n comes too late to claim n; one that has seen n did so after that commit, and
//! its own is refused. What they wrote before n was given out, they wrote before the owner began.
//!
//! Exactly-once, step 2 is a transaction of its own: a plain commit that comes late is fenced by no
//! epoch, and would take the group back over what a transaction has committed since.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem::take;

use crate::client::app::AppSetup;
use crate::client::app::commit::position;
use crate::client::app::engine::{Ask, Engine, Partition, Purpose, Todo};
use crate::client::app::lane::{Lane, Right, Work};
use crate::client::app::processor::Processor;
use crate::client::app::task::TaskRef;
use crate::defect::Defect;
use crate::ids::Offset;
use crate::message::Response;
use crate::message::store::{Apply, Fence, StoreRequest, StoreResponse};
use crate::op::{Op, Outcome, Position};
use crate::time::Instant;

/// The partitions that are being claimed, all together.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    stage: Stage,
    targets: Vec<Target>,
}

#[derive(Clone, Debug)]
struct Target {
    partition: Partition,
    ownership: u64,
    /// To be claimed.
    token: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle {
        not_before: Instant,
    },
    /// Waits for the newest tokens.
    Asking,
    /// Has seen them, and waits until nothing else is being committed, or for the transaction.
    Seen,
    Committing,
    Claiming,
}

impl Default for Stage {
    fn default() -> Self {
        Stage::Idle { not_before: Instant::ZERO }
    }
}

impl Claims {
    /// Whether a commit is due.
    pub fn is_seen(&self) -> bool {
        self.stage == Stage::Seen
    }

    fn is_committing(&self) -> bool {
        self.stage == Stage::Committing
    }
}

/// What a partition's tokens are counted for.
fn scope(setup: &AppSetup, (topic, partition): &Partition) -> Arc<str> {
    format!("{}/{topic}-{partition}", setup.group).into()
}

/// What keeps whoever has lost the partition from writing for it.
pub(super) fn fence(setup: &AppSetup, partition: &Partition, right: Right) -> Option<Fence> {
    // A member that lost its partitions may not know it yet, and must not write (KIP-447's motive).
    if setup.defects.has(Defect::ZombieConsumerEffect) {
        return None;
    }
    match right {
        Right::Held(token) => Some(Fence { scope: scope(setup, partition), token }),
        Right::Wanted | Right::Free => None,
    }
}

/// The token that a request was sent with.
fn token(request: &StoreRequest) -> Option<i64> {
    match request {
        StoreRequest::Put { fence, .. } | StoreRequest::Apply(Apply { fence, .. }) => {
            fence.as_ref().map(|fence| fence.token)
        }
        StoreRequest::Get { .. } | StoreRequest::Tokens { .. } | StoreRequest::Claim { .. } => None,
    }
}

/// What the store said, if it said something.
pub(super) fn told(outcome: &Outcome) -> Option<&StoreResponse> {
    let Outcome::Answered(response) = outcome else { return None };
    let Response::Store(response) = &**response else { return None };
    Some(response)
}

impl<P: Processor> Engine<P> {
    /// Claims what must be claimed before it is worked on.
    pub(super) fn claim_lanes(&mut self, now: Instant, todo: &mut Todo) {
        match self.claims.stage {
            Stage::Idle { not_before } => {
                let targets = self.claimable();
                if targets.is_empty() || self.commit.is_going_back() {
                    return;
                }
                if not_before > now {
                    return self.wake_at(not_before);
                }
                let scopes = targets.iter().map(|target| scope(&self.setup, &target.partition));
                let request = StoreRequest::Tokens { scopes: scopes.collect() };
                todo.asks.push(Ask::Store(Purpose::Tokens, request));
                self.claims = Claims { stage: Stage::Asking, targets };
            }
            Stage::Seen if !self.is_transactional() && self.commit.in_flight.is_none() => {
                self.commit_claimed(now, todo);
            }
            Stage::Seen | Stage::Asking | Stage::Committing | Stage::Claiming => {}
        }
    }

    /// Partitions that wait for a token.
    fn claimable(&self) -> Vec<Target> {
        let waits = |(partition, lane): &(&Partition, &Lane)| {
            let wants = lane.right == Right::Wanted && !lane.entries.is_empty();
            wants
                && (!self.leaves(partition) || lane.begun().is_some() || self.has_unfinished(lane))
        };
        let target = |(partition, lane): (&Partition, &Lane)| Target {
            partition: partition.clone(),
            ownership: lane.ownership,
            token: 0,
        };
        self.lanes.iter().filter(waits).map(target).collect()
    }

    fn claim_again(&mut self, now: Instant) {
        let not_before = now + self.setup.config.retry_backoff;
        self.claims = Claims { stage: Stage::Idle { not_before }, targets: Vec::new() };
    }

    /// Takes the newest tokens.
    pub(super) fn tokens_told(&mut self, now: Instant, outcome: &Outcome) {
        let Some(StoreResponse::Tokens(newest)) = told(outcome) else {
            return self.claim_again(now);
        };
        for (target, newest) in self.claims.targets.iter_mut().zip(newest) {
            target.token = newest + 1;
        }
        self.claims.stage = Stage::Seen;
    }

    /// Where the partitions stand, to be committed now; empty if none is claimed any longer.
    pub(super) fn claimed_positions(&mut self, now: Instant) -> Vec<Position> {
        let (first, lanes) = (self.commits_first(), &self.lanes);
        let stands = |lane: &Lane| {
            let reached: Option<Offset> = if first { lane.committed } else { lane.done };
            reached.or(lane.start)
        };
        let mut positions = Vec::new();
        self.claims.targets.retain(|target| {
            let lane = lanes.get(&target.partition);
            let lane = lane.filter(|lane| lane.ownership == target.ownership);
            let at = lane.and_then(stands);
            positions.extend(at.map(|offset| position(&target.partition, offset)));
            at.is_some()
        });
        if positions.is_empty() {
            self.claim_again(now);
        } else {
            self.claims.stage = Stage::Committing;
        }
        positions
    }

    fn commit_claimed(&mut self, now: Instant, todo: &mut Todo) {
        let positions = self.claimed_positions(now);
        if positions.is_empty() {
            return;
        }
        // Nothing else is committed meanwhile: it might be overtaken.
        self.commit.in_flight = Some(Vec::new());
        todo.asks.push(Ask::Consumer(Purpose::CommitClaimed, Op::Commit(Some(positions))));
    }

    /// Takes what became of that commit.
    pub(super) fn claimed_committed(&mut self, now: Instant, outcome: &Outcome, todo: &mut Todo) {
        self.commit.in_flight = None;
        if *outcome == Outcome::Done {
            self.claim(todo);
        } else {
            self.leave_unclaimed();
            self.claim_again(now);
        }
    }

    /// Takes what became of the transaction, if it is the one that the claim waits for.
    pub(super) fn claim_transacted(&mut self, now: Instant, is_committed: bool, todo: &mut Todo) {
        match (self.claims.is_committing(), is_committed) {
            (true, true) => self.claim(todo),
            (true, false) => self.claim_again(now),
            (false, _) => {}
        }
    }

    fn claim(&mut self, todo: &mut Todo) {
        let fence = |target: &Target| Fence {
            scope: scope(&self.setup, &target.partition),
            token: target.token,
        };
        let fences = self.claims.targets.iter().map(fence).collect();
        self.claims.stage = Stage::Claiming;
        todo.asks.push(Ask::Store(Purpose::Claim, StoreRequest::Claim { fences }));
    }

    /// Who leaves has no time for another try: the next owner does what is not done.
    fn leave_unclaimed(&mut self) {
        for target in take(&mut self.claims.targets) {
            let is_it = |lane: &Lane| lane.right == Right::Wanted;
            if self.leaves(&target.partition)
                && self.lanes.get(&target.partition).is_some_and(is_it)
            {
                self.lanes.remove(&target.partition);
                self.transaction.break_off();
            }
        }
    }

    /// Takes the claimed tokens.
    pub(super) fn claimed(&mut self, now: Instant, outcome: &Outcome) {
        let Some(StoreResponse::Claimed(given)) = told(outcome) else {
            // They may have been given out: then the next ones are claimed.
            return self.claim_again(now);
        };
        for (target, given) in take(&mut self.claims.targets).into_iter().zip(given) {
            if let Some(lane) = self.lanes.get_mut(&target.partition)
                && (lane.ownership, *given) == (target.ownership, true)
            {
                lane.right = Right::Held(target.token);
            }
        }
        let not_before =
            if given.contains(&false) { now + self.setup.config.retry_backoff } else { now };
        self.claims.stage = Stage::Idle { not_before };
    }

    /// The store has refused a request for its token: nothing of it was done. The record is not
    /// done either, whoever has the partition: its own position is committed only by its group.
    pub(super) fn fenced(&mut self, task: &TaskRef, request: &StoreRequest) {
        let Some(entry) = self.entry(task) else { return };
        entry.work = Work::Waiting { not_before: Instant::ZERO };
        let lane = self.lanes.get_mut(&task.partition).expect("its entry was just found");
        // An answer may come after the next token.
        if token(request).map(Right::Held) == Some(lane.right) {
            lane.right = Right::Wanted;
        }
    }
}
