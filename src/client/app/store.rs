//! The external store: serves [`StoreRequest`]s one at a time, so that each is atomic.
//!
//! It keeps everything in memory. What is judged is what applications make of such a store, so
//! nothing here crashes in the middle.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::defect::{Defect, Defects};
use crate::event::{ApplicationNote, AppliedChange, AppliedNote, Event};
use crate::machine::{Effect, Effects, Input, Machine};
use crate::message::store::{Apply, Change, Fence, StoreRequest, StoreResponse};
use crate::message::{Request, Response};
use crate::time::{Duration, Instant, Now};

/// What a store is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSetup {
    /// How long the ids of what was applied are kept.
    pub processed_ttl: Duration,
    pub defects: Defects,
}

impl Default for StoreSetup {
    /// A day: far longer than any request comes again.
    fn default() -> Self {
        StoreSetup { processed_ttl: Duration::from_secs(86_400), defects: Defects::NONE }
    }
}

/// What is kept of an id if it is kept too short.
const TOO_SHORT: Duration = Duration::from_secs(2);

/// A store process.
#[derive(Clone, Debug)]
pub struct Store {
    setup: Arc<StoreSetup>,
    numbers: BTreeMap<Arc<str>, i64>,
    /// When each id was applied.
    processed: BTreeMap<Arc<str>, Instant>,
    /// The newest token of each scope.
    fences: BTreeMap<Arc<str>, i64>,
}

impl Store {
    #[must_use]
    pub fn start(setup: &Arc<StoreSetup>) -> Self {
        Store {
            setup: Arc::clone(setup),
            numbers: BTreeMap::new(),
            processed: BTreeMap::new(),
            fences: BTreeMap::new(),
        }
    }

    fn serve(&mut self, now: Instant, request: &StoreRequest, out: &mut Effects) -> StoreResponse {
        match request {
            StoreRequest::Get { key } => StoreResponse::Value(self.numbers.get(key).copied()),
            StoreRequest::Put { request, by, key, value, fence } => {
                if !self.admits(fence.as_ref()) {
                    return StoreResponse::Fenced;
                }
                let delta = value - self.number(key);
                let change = Change { key: Arc::clone(key), delta, floor: None };
                self.change((request, by, true), &[change], out);
                StoreResponse::Done
            }
            StoreRequest::Apply(apply) => self.apply(now, apply, out),
            StoreRequest::Tokens { scopes } => {
                let newest = |scope: &Arc<str>| self.fences.get(scope).copied().unwrap_or(0);
                StoreResponse::Tokens(scopes.iter().map(newest).collect())
            }
            StoreRequest::Claim { fences } => {
                StoreResponse::Claimed(fences.iter().map(|fence| self.claim(fence)).collect())
            }
        }
    }

    fn apply(&mut self, now: Instant, apply: &Apply, out: &mut Effects) -> StoreResponse {
        if !self.admits(apply.fence.as_ref()) {
            return StoreResponse::Fenced;
        }
        if apply.once.as_ref().is_some_and(|id| self.knows(now, id)) {
            return StoreResponse::Duplicate;
        }
        let falls = |change: &Change| {
            change.floor.is_some_and(|floor| self.number(&change.key) + change.delta < floor)
        };
        if apply.changes.iter().any(falls) {
            return StoreResponse::Refused;
        }
        if let Some(id) = &apply.once {
            self.processed.insert(Arc::clone(id), now);
        }
        let origin = (&apply.request, &apply.by, false);
        StoreResponse::Applied(self.change(origin, &apply.changes, out))
    }

    /// Whether the id was applied, and is still kept.
    fn knows(&self, now: Instant, id: &Arc<str>) -> bool {
        // An id must be kept for longer than its request can come again: longer than any retry
        // waits and any producer delivers (as KIP-854 keeps producer ids).
        let ttl = if self.setup.defects.has(Defect::DedupeKeyExpiry) {
            TOO_SHORT
        } else {
            self.setup.processed_ttl
        };
        self.processed.get(id).is_some_and(|at| now.since(*at) < ttl)
    }

    /// Gives a token out, if it is the next one.
    fn claim(&mut self, Fence { scope, token }: &Fence) -> bool {
        let newest = self.fences.entry(Arc::clone(scope)).or_insert(0);
        let is_next = *token == *newest + 1;
        if is_next {
            *newest = *token;
        }
        is_next
    }

    /// Whether nobody has a newer token.
    fn admits(&self, fence: Option<&Fence>) -> bool {
        fence.is_none_or(|Fence { scope, token }| self.fences.get(scope) == Some(token))
    }

    fn number(&self, key: &Arc<str>) -> i64 {
        self.numbers.get(key).copied().unwrap_or(0)
    }

    /// Changes numbers for a request of somebody's, who may be writing over them.
    fn change(
        &mut self,
        (request, by, overwrites): (&Arc<str>, &Arc<str>, bool),
        changes: &[Change],
        out: &mut Effects,
    ) -> Vec<i64> {
        let mut noted = Vec::new();
        for Change { key, delta, .. } in changes {
            let number = self.numbers.entry(Arc::clone(key)).or_insert(0);
            *number += delta;
            noted.push(AppliedChange { key: Arc::clone(key), delta: *delta, balance: *number });
        }
        let numbers = noted.iter().map(|change| change.balance).collect();
        let (id, by) = (Arc::clone(request), Arc::clone(by));
        let note = AppliedNote { id, by, overwrites, changes: noted.into() };
        out.note(Event::Application(Arc::new(ApplicationNote::Applied(note))));
        numbers
    }

    /// The invariants of what it holds.
    ///
    /// # Panics
    /// If one is broken: a bug of ours.
    pub fn check(&self) {
        assert!(self.fences.values().all(|token| *token >= 0), "tokens are counted");
    }
}

impl Machine for Store {
    fn step(&mut self, now: Now, input: Input, out: &mut Effects) {
        let Input::Request { from, correlation, request } = input else { return };
        // Whoever asks for anything else has the wrong address.
        let Request::Store(request) = &*request else {
            return out.push(Effect::Close { conn: from });
        };
        let response = Arc::new(Response::Store(self.serve(now.mono, request, out)));
        out.push(Effect::Respond { to: from, correlation, response });
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use StoreResponse::{Applied, Done, Duplicate, Fenced, Refused, Value};

    fn apply(id: &str, deltas: &[(&str, i64)], token: Option<i64>) -> StoreRequest {
        let change = |(key, delta): &(&str, i64)| Change {
            key: Arc::from(*key),
            delta: *delta,
            floor: Some(0),
        };
        StoreRequest::Apply(Apply {
            request: id.into(),
            by: "x1".into(),
            once: Some(id.into()),
            changes: deltas.iter().map(change).collect(),
            fence: token.map(|token| Fence { scope: "in-0".into(), token }),
        })
    }

    /// What a store answers to these, so many seconds after its start.
    fn answers(defects: Defects, requests: &[(u64, StoreRequest)]) -> Vec<StoreResponse> {
        let mut store = Store::start(&Arc::new(StoreSetup { defects, ..StoreSetup::default() }));
        let serve = |(at, request): &(u64, StoreRequest)| {
            let now = Instant::ZERO + Duration::from_secs(*at);
            let answer = store.serve(now, request, &mut Effects::new());
            store.check();
            answer
        };
        requests.iter().map(serve).collect()
    }

    #[test]
    fn changes_are_made_together_or_not_at_all() {
        let requests = [
            (0, apply("fund", &[("a", 5)], None)),
            (0, apply("move", &[("a", -3), ("b", 3)], None)),
            (0, apply("too much", &[("b", 9), ("a", -9)], None)),
            (0, StoreRequest::Get { key: "b".into() }),
            (0, StoreRequest::Get { key: "c".into() }),
        ];
        let expected =
            [Applied([5].into()), Applied([2, 3].into()), Refused, Value(Some(3)), Value(None)];
        assert_eq!(answers(Defects::NONE, &requests), expected);
    }

    #[test]
    fn an_id_counts_once_unless_it_is_forgotten_too_early() {
        let requests = [(0, apply("x", &[("a", 5)], None)), (60, apply("x", &[("a", 5)], None))];
        assert_eq!(answers(Defects::NONE, &requests)[1], Duplicate);
        let forgetful = answers(Defects::NONE.with(Defect::DedupeKeyExpiry), &requests);
        let forgets = cfg!(feature = "defects");
        assert_eq!(forgetful[1] == Applied([10].into()), forgets);
    }

    #[test]
    fn only_the_newest_token_writes_and_each_is_given_out_once() {
        let fence = |token| Fence { scope: "in-0".into(), token };
        let claim = |token| StoreRequest::Claim { fences: [fence(token)].into() };
        let put = |token| StoreRequest::Put {
            request: "r".into(),
            by: "x1".into(),
            key: "a".into(),
            value: 7,
            fence: Some(fence(token)),
        };
        let given = |given| StoreResponse::Claimed([given].into());
        let tokens = StoreRequest::Tokens { scopes: ["in-0".into(), "in-1".into()].into() };
        let table = [
            (put(1), Fenced),
            (claim(2), given(false)),
            (claim(1), given(true)),
            (put(1), Done),
            (claim(1), given(false)),
            (claim(2), given(true)),
            (put(1), Fenced),
            (apply("x", &[("a", 1)], Some(1)), Fenced),
            (apply("x", &[("a", 1)], Some(2)), Applied([8].into())),
            (tokens, StoreResponse::Tokens([2, 0].into())),
        ];
        let requests = table.clone().map(|(request, _)| (0, request));
        let expected = table.map(|(_, answer)| answer);
        assert_eq!(answers(Defects::NONE, &requests), expected);
    }
}
