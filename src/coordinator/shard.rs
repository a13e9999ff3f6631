//! A shard: state that a replicated log adds up to, and the answers that wait for the log.
//!
//! After Kafka's `CoordinatorRuntime` and `QuorumController`. While its log's leader, a shard keeps
//! two states. *Committed* is what every replica will come to; *speculative* runs ahead of it, to
//! the end of the leader's log. Decisions are taken on the speculative state, so that each request
//! sees what the one before it decided, and an answer is given when everything that the decision
//! rests on is committed. A leader that steps down forgets the speculative state: none of it was
//! shown to anybody.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::ids::Offset;

/// What the records of a log add up to.
pub trait State: Clone {
    type Record;

    /// Applies the record at `offset`.
    fn apply_record(&mut self, record: &Self::Record, offset: Offset);
}

/// One shard; `A` is an answer that waits.
#[derive(Clone, Debug)]
pub struct Shard<S, A> {
    committed: Arc<S>,
    /// The end of what `committed` holds.
    applied: Offset,
    /// Only while leading.
    leading: Option<Speculative<S>>,
    /// Ends of what they rest on, ascending.
    waiting: VecDeque<(Offset, A)>,
}

#[derive(Clone, Debug)]
struct Speculative<S> {
    state: Arc<S>,
    /// The end of the last record that was decided here.
    end: Offset,
}

/// A decision in the making: the state as it is with all records so far.
#[derive(Debug)]
pub struct Draft<'a, S: State> {
    state: &'a mut S,
    base: Offset,
    records: Vec<S::Record>,
}

impl<S: State, A> Shard<S, A> {
    /// A shard over the state of everything below `applied`.
    #[must_use]
    pub fn new(state: S, applied: Offset) -> Self {
        Shard { committed: Arc::new(state), applied, leading: None, waiting: VecDeque::new() }
    }

    /// What is committed.
    #[must_use]
    pub fn committed(&self) -> &Arc<S> {
        &self.committed
    }

    /// The end of what is committed and applied.
    #[must_use]
    pub fn applied(&self) -> Offset {
        self.applied
    }

    /// What holds if all that was decided gets committed: none unless leading.
    #[must_use]
    pub fn speculative(&self) -> Option<&Arc<S>> {
        self.leading.as_ref().map(|leading| &leading.state)
    }

    #[must_use]
    pub fn is_leading(&self) -> bool {
        self.leading.is_some()
    }

    /// The end of what the next answer rests on: all that was decided so far.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.leading.as_ref().map_or(self.applied, |leading| leading.end)
    }

    /// Leadership begins. Whatever earlier leaders appended is committed and applied by now.
    pub fn lead(&mut self) {
        assert!(self.waiting.is_empty(), "a shard that did not lead promised nothing");
        self.leading = Some(Speculative { state: Arc::clone(&self.committed), end: self.applied });
    }

    /// Leadership ends: what was decided and is not committed may be lost. Gives back the answers
    /// that must not be given any more.
    pub fn resign(&mut self) -> VecDeque<(Offset, A)> {
        self.leading = None;
        core::mem::take(&mut self.waiting)
    }

    /// Starts a decision whose first record will be at `base`; none unless leading.
    pub fn draft(&mut self, base: Offset) -> Option<Draft<'_, S>> {
        let leading = self.leading.as_mut()?;
        assert!(base >= leading.end, "the log's end is behind all that was decided");
        Some(Draft { state: Arc::make_mut(&mut leading.state), base, records: Vec::new() })
    }

    /// The records of a draft were appended, the last one at `last`.
    pub fn appended(&mut self, last: Offset) {
        let leading = self.leading.as_mut().expect("only a leader appends");
        assert!(last >= leading.end, "the log grows");
        leading.end = last.next();
    }

    /// Keeps an answer until everything decided so far is committed.
    pub fn wait(&mut self, answer: A) {
        self.waiting.push_back((self.end(), answer));
    }

    /// Applies a committed record.
    pub fn apply(&mut self, record: &S::Record, offset: Offset) {
        assert!(offset >= self.applied, "records are committed in order");
        Arc::make_mut(&mut self.committed).apply_record(record, offset);
        self.applied = offset.next();
    }

    /// Takes the next answer that may be given, with the end of what it rests on.
    pub fn ready(&mut self) -> Option<(Offset, A)> {
        let (end, _) = self.waiting.front()?;
        if *end <= self.applied { self.waiting.pop_front() } else { None }
    }

    /// Forgets the answers that nobody waits for any more.
    pub fn retain(&mut self, keep: impl Fn(&A) -> bool) {
        self.waiting.retain(|(_, answer)| keep(answer));
    }

    /// Starts anew from a snapshot: the state of everything below `applied`.
    pub fn load(&mut self, state: S, applied: Offset) {
        assert!(self.leading.is_none(), "a leader never loads a snapshot");
        assert!(applied >= self.applied, "a snapshot does not go back");
        self.committed = Arc::new(state);
        self.applied = applied;
    }

    /// Internal invariants.
    ///
    /// # Panics
    /// If one is broken.
    pub fn check(&self) {
        let ends = self.waiting.iter().map(|(end, _)| *end);
        assert!(ends.clone().is_sorted(), "answers wait in the order of the log");
        assert!(ends.clone().all(|end| end > self.applied), "what is committed is answered");
        assert!(self.is_leading() || self.waiting.is_empty(), "only a leader has answers to give");
    }
}

impl<S: State> Draft<'_, S> {
    /// The state with all records so far.
    #[must_use]
    pub fn state(&self) -> &S {
        self.state
    }

    /// The offset of the next record.
    #[must_use]
    pub fn next(&self) -> Offset {
        let count = i64::try_from(self.records.len()).expect("a batch is small");
        self.base + count
    }

    /// Adds a record and applies it.
    pub fn push(&mut self, record: S::Record) {
        self.state.apply_record(&record, self.next());
        self.records.push(record);
    }

    /// The records, in order.
    #[must_use]
    pub fn finish(self) -> Vec<S::Record> {
        self.records
    }
}

impl<'a, S: State> Draft<'a, S> {
    /// A decision outside a shard, for tests and plans.
    pub fn over(state: &'a mut S, base: Offset) -> Self {
        Draft { state, base, records: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sum, as state.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Sum(i64);

    impl State for Sum {
        type Record = i64;
        fn apply_record(&mut self, record: &i64, _offset: Offset) {
            self.0 += record;
        }
    }

    fn decide(shard: &mut Shard<Sum, &'static str>, base: i64, add: i64, answer: &'static str) {
        let mut draft = shard.draft(Offset(base)).expect("leading");
        draft.push(add);
        assert_eq!(draft.finish(), [add]);
        shard.appended(Offset(base));
        shard.wait(answer);
    }

    #[test]
    fn a_request_sees_what_the_one_before_decided_and_both_are_answered_on_commit() {
        let mut shard = Shard::new(Sum(1), Offset(5));
        shard.lead();
        decide(&mut shard, 6, 10, "first");
        decide(&mut shard, 7, 100, "second");
        shard.wait("a read of both");
        shard.check();
        assert_eq!(shard.speculative().map(|sum| sum.0), Some(111));
        assert_eq!((shard.committed().0, shard.ready()), (1, None));
        shard.apply(&10, Offset(6));
        assert_eq!(shard.ready(), Some((Offset(7), "first")));
        assert_eq!(shard.ready(), None);
        shard.apply(&100, Offset(7));
        assert_eq!(shard.ready(), Some((Offset(8), "second")));
        assert_eq!(shard.ready(), Some((Offset(8), "a read of both")));
        shard.check();
    }

    #[test]
    fn resignation_forgets_what_was_decided_and_leadership_starts_from_what_is_committed() {
        let mut shard = Shard::new(Sum(1), Offset(0));
        shard.lead();
        decide(&mut shard, 1, 10, "lost");
        assert_eq!(shard.resign(), [(Offset(2), "lost")]);
        assert!(shard.draft(Offset(2)).is_none());
        shard.apply(&7, Offset(1));
        shard.lead();
        assert_eq!(shard.speculative().map(|sum| sum.0), Some(8));
    }

    #[test]
    fn a_read_with_nothing_pending_is_ready_at_once() {
        let mut shard = Shard::new(Sum(1), Offset(3));
        shard.lead();
        shard.wait("read");
        assert_eq!(shard.ready(), Some((Offset(3), "read")));
    }
}
