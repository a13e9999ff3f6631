//! What chance decides in a run beyond the usual delays, under names that no seed changes.
//!
//! A recorded run keeps these decisions, and a replay takes them from there. It draws all the same
//! and throws the draws away, so that under the same seed the delays between them are the same too.

use std::collections::BTreeMap;
use std::sync::Arc;

use seedlog::message::Api;
use seedlog::rng::Rng;
use seedlog::time::{Duration, nanos};

use super::hold::{MessageKind, Payload};
use super::seed::Draw;
use super::trouble::Trouble;
use super::{Node, ProcessId, World};

/// What a decision is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The network's manners in this run.
    Network,
    /// Who heals at the end.
    Core,
    /// How wrong a clock is.
    Clock(ProcessId),
    /// What a producer puts into a record.
    Send(ProcessId),
    /// What a disk keeps when its process or its power goes, and which bits of it rot.
    Disk(ProcessId),
    /// A message from the first to the second, while the network is not quiet.
    Message(ProcessId, ProcessId, Api, MessageKind),
    /// The end of a connection that the first closes, as the second gets to know it.
    Close(ProcessId, ProcessId),
}

/// One decision's name: the so-manyth (from 1) about its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Occasion {
    pub subject: Subject,
    pub number: u64,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chance {
    Trouble(Trouble),
    /// Numbers drawn one after the other.
    Numbers(Vec<u64>),
}

/// Decisions by name. A message or an end of a connection that is not there had no trouble.
pub type Chances = BTreeMap<Occasion, Chance>;

/// The decisions of a world, if somebody wants to know them or already does.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger(Option<Box<Book>>);

#[derive(Clone, Debug, Default)]
struct Book {
    counts: BTreeMap<Subject, u64>,
    noted: Chances,
    /// What to take instead of drawing, and how much of it has been taken.
    recorded: Option<Arc<Chances>>,
    taken: u64,
}

impl Book {
    /// The next occasion about a subject, and what was recorded of it.
    fn next(&mut self, subject: Subject) -> (Occasion, Option<Chance>) {
        let number = self.counts.entry(subject).or_default();
        *number += 1;
        let occasion = Occasion { subject, number: *number };
        let chance = self.recorded.as_ref().and_then(|recorded| recorded.get(&occasion)).cloned();
        self.taken += u64::from(chance.is_some());
        (occasion, chance)
    }
}

impl Ledger {
    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// What happens to a message for which `drawn` was drawn.
    pub(super) fn trouble(
        &mut self,
        (from, to): (ProcessId, ProcessId),
        payload: Payload<'_>,
        drawn: Trouble,
    ) -> Trouble {
        let Some(book) = &mut self.0 else { return drawn };
        let subject = Subject::Message(from, to, payload.api(), payload.kind());
        let (occasion, chance) = book.next(subject);
        if book.recorded.is_some() {
            return match chance {
                Some(Chance::Trouble(trouble)) => trouble,
                Some(Chance::Numbers(_)) | None => Trouble::default(),
            };
        }
        let trouble = drawn.essence();
        if !trouble.is_none() {
            book.noted.insert(occasion, Chance::Trouble(trouble.clone()));
        }
        trouble
    }

    /// By how much the end of a connection delays what is under way.
    pub(super) fn lingers(
        &mut self,
        (from, to): (ProcessId, ProcessId),
        drawn: Option<Duration>,
    ) -> Option<Duration> {
        let Some(book) = &mut self.0 else { return drawn };
        let (occasion, chance) = book.next(Subject::Close(from, to));
        if book.recorded.is_some() {
            return match chance {
                Some(Chance::Numbers(numbers)) => {
                    numbers.first().copied().map(Duration::from_nanos)
                }
                Some(Chance::Trouble(_)) | None => None,
            };
        }
        if let Some(time) = drawn {
            book.noted.insert(occasion, Chance::Numbers(vec![nanos(time)]));
        }
        drawn
    }

    /// Dice for one decision.
    pub(super) fn dice<'a>(&'a mut self, subject: Subject, rng: &'a mut Rng) -> Dice<'a> {
        let page = self.0.as_deref_mut().map(|book| {
            let (occasion, chance) = book.next(subject);
            let recorded = match chance {
                Some(Chance::Numbers(numbers)) => numbers,
                Some(Chance::Trouble(_)) | None => Vec::new(),
            };
            Page { occasion, recorded, book }
        });
        Dice { rng, thrown: 0, page }
    }
}

/// Draws the numbers of one decision: from its stream, or as they were recorded. What was not
/// recorded (the decision has grown since) is drawn.
pub struct Dice<'a> {
    rng: &'a mut Rng,
    thrown: usize,
    page: Option<Page<'a>>,
}

struct Page<'a> {
    occasion: Occasion,
    recorded: Vec<u64>,
    book: &'a mut Book,
}

impl Dice<'_> {
    fn settle(&mut self, drawn: u64, highest: u64) -> u64 {
        let Some(Page { occasion, recorded, book }) = &mut self.page else { return drawn };
        let then = recorded.get(self.thrown).map(|number| (*number).min(highest));
        self.thrown += 1;
        if book.recorded.is_none()
            && let Chance::Numbers(numbers) =
                book.noted.entry(*occasion).or_insert_with(|| Chance::Numbers(Vec::new()))
        {
            numbers.push(drawn);
        }
        then.unwrap_or(drawn)
    }
}

impl Draw for Dice<'_> {
    fn next(&mut self) -> u64 {
        let drawn = self.rng.next_u64();
        self.settle(drawn, u64::MAX)
    }

    fn under(&mut self, bound: u64) -> u64 {
        let drawn = self.rng.below(bound);
        self.settle(drawn, bound - 1)
    }
}

impl<N: Node> World<N> {
    /// Keeps what chance decides from now on.
    pub fn record_chances(&mut self) {
        self.ledger = Ledger(Some(Box::default()));
    }

    /// From now on, chance decides as it is recorded there.
    pub fn replay_chances(&mut self, recorded: Arc<Chances>) {
        let book = Book { recorded: Some(recorded), ..Book::default() };
        self.ledger = Ledger(Some(Box::new(book)));
    }

    /// What has been kept.
    #[must_use]
    pub fn chances(&self) -> Chances {
        self.ledger.0.as_ref().map(|book| book.noted.clone()).unwrap_or_default()
    }

    /// How many of the recorded decisions have been taken over.
    #[must_use]
    pub fn chances_taken(&self) -> u64 {
        self.ledger.0.as_ref().map_or(0, |book| book.taken)
    }

    /// Dice for a decision of the run itself, from a stream of its own.
    pub fn dice<'a>(&'a mut self, subject: Subject, rng: &'a mut Rng) -> Dice<'a> {
        self.ledger.dice(subject, rng)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throws(ledger: &mut Ledger, seed: u64) -> [u64; 3] {
        let mut rng = Rng::from_number(seed);
        let mut dice = ledger.dice(Subject::Disk(ProcessId(4)), &mut rng);
        [dice.under(1_000), dice.under(10), dice.next()]
    }

    #[test]
    fn recorded_numbers_come_again_under_another_seed_and_within_bounds() {
        let mut recording = Ledger(Some(Box::default()));
        let first = throws(&mut recording, 1);
        assert_eq!(first, throws(&mut Ledger::default(), 1), "recording changes nothing");
        let noted = Arc::new(recording.0.expect("it is on").noted);
        let book = Book { recorded: Some(Arc::clone(&noted)), ..Book::default() };
        let mut replay = Ledger(Some(Box::new(book.clone())));
        assert_eq!(throws(&mut replay, 2), first);
        let mut narrow = Ledger(Some(Box::new(book)));
        let mut rng = Rng::from_number(2);
        let mut dice = narrow.dice(Subject::Disk(ProcessId(4)), &mut rng);
        assert_eq!(dice.under(1), 0);
    }

    #[test]
    fn what_was_not_recorded_is_drawn() {
        let book = Book { recorded: Some(Arc::default()), ..Book::default() };
        let mut replay = Ledger(Some(Box::new(book)));
        assert_eq!(throws(&mut replay, 3), throws(&mut Ledger::default(), 3));
        assert_eq!(replay.0.expect("it is on").taken, 0);
    }
}
