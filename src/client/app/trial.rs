//! A processor by itself, without a cluster: for its unit tests.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem::take;

use bytes::Bytes;

use crate::client::app::processor::{Context, Processor, State, Wishes};
use crate::event::ApplicationNote;
use crate::ids::{Offset, TopicName};
use crate::message::store::{Fence, StoreRequest, StoreResponse};
use crate::op::{ConsumedRecord, SendRecord};
use crate::rng::Rng;
use crate::time::{Duration, Instant, Now, Timestamp};

/// One partition in a processor's hands.
///
/// ```
/// # use seedlog::client::app::copy::Copy;
/// # use seedlog::client::app::trial::Trial;
/// let mut trial = Trial::new(Copy { output: "out".into() });
/// let done = trial.process("in", "key", "value");
/// assert_eq!(done.emitted[0].value.as_deref(), Some(&b"value"[..]));
/// assert!(done.is_acked());
/// ```
#[derive(Clone, Debug)]
pub struct Trial<P> {
    pub processor: P,
    /// The partition's state.
    pub state: State,
    pub now: Now,
    /// What a record gets as its fence.
    pub fence: Option<Fence>,
    rng: Rng,
    next: Offset,
    /// The record that is not done, and how often it came.
    open: Option<(ConsumedRecord, u32)>,
    /// The question to the external store that waits for its answer.
    asked: Option<StoreRequest>,
}

/// What a processor asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    pub emitted: Vec<SendRecord>,
    /// The record comes again after that time.
    pub again_after: Option<Duration>,
    /// The external store is asked.
    pub call: Option<StoreRequest>,
    pub notes: Vec<ApplicationNote>,
}

impl Done {
    /// Whether the record is done.
    #[must_use]
    pub fn is_acked(&self) -> bool {
        self.again_after.is_none() && self.call.is_none()
    }
}

impl<P: Processor> Trial<P> {
    /// A partition without state, at the beginning of time, with the same randomness each time.
    #[must_use]
    pub fn new(processor: P) -> Self {
        Trial {
            processor,
            state: State::new(),
            now: Now { mono: Instant::ZERO, wall: Timestamp(0) },
            fence: None,
            rng: Rng::from_number(0),
            next: Offset::ZERO,
            open: None,
            asked: None,
        }
    }

    /// The next record comes, with that key and value.
    pub fn process(&mut self, topic: &str, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Done {
        self.take(ConsumedRecord {
            topic: TopicName::from(topic),
            partition: 0,
            offset: self.next,
            timestamp: self.now.wall,
            key: Some(key.into()),
            value: Some(value.into()),
            headers: Vec::new(),
        })
    }

    /// A record comes.
    pub fn take(&mut self, record: ConsumedRecord) -> Done {
        self.next = record.offset.next();
        self.open = Some((record, 0));
        self.once(None)
    }

    /// The last record comes again, after the time that it asked for.
    ///
    /// # Panics
    /// If it is done.
    pub fn again(&mut self, after: Duration) -> Done {
        self.now.mono += after;
        self.once(None)
    }

    /// The store answers what was asked for the last record.
    ///
    /// # Panics
    /// If nothing was asked.
    pub fn answer(&mut self, response: &StoreResponse) -> Done {
        let request = self.asked.take().expect("the processor has asked the store");
        self.once(Some((&request, response)))
    }

    /// Another process takes the partition over: what the processor keeps in fields is gone, and
    /// what it keeps as state stays, as a changelog has it.
    pub fn taken_over_by(&mut self, processor: P) {
        self.processor = processor;
        self.open = None;
        self.asked = None;
    }

    fn once(&mut self, answer: Option<(&StoreRequest, &StoreResponse)>) -> Done {
        let (record, attempts) = self.open.take().expect("a record is open");
        let (client, group): (Arc<str>, Arc<str>) = ("x1".into(), "group".into());
        let mut context = Context {
            now: self.now,
            rng: &mut self.rng,
            state: &mut self.state,
            attempt: attempts,
            client: &client,
            group: &group,
            fence: self.fence.clone(),
            wishes: Wishes::default(),
        };
        let attempts = match answer {
            None => {
                self.processor.process(&record, &mut context);
                attempts + 1
            }
            Some((request, response)) => {
                self.processor.answered(&record, request, response, &mut context);
                attempts
            }
        };
        let mut wishes = context.conclude();
        self.processor.check();
        self.asked.clone_from(&wishes.call);
        let done = Done {
            emitted: take(&mut wishes.emitted),
            again_after: wishes.again_after,
            call: wishes.call,
            notes: wishes.notes,
        };
        if !done.is_acked() {
            self.open = Some((record, attempts));
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::app::processor::LEAST_DELAY;

    /// Counts the records of a key: the first attempt fails, and a key `ask` asks the store.
    #[derive(Clone)]
    struct Counting;

    impl Processor for Counting {
        fn process(&mut self, record: &ConsumedRecord, context: &mut Context<'_>) {
            let key = record.key.clone().expect("it has a key");
            let count = context.get(&key).map_or(0, |value| value.len());
            context.set(key.clone(), Some(alloc::vec![b'+'; count + 1].into()));
            context.emit(SendRecord {
                topic: "out".into(),
                partition: None,
                key: Some(key.clone()),
                value: context.get(&key).cloned(),
                headers: Vec::new(),
                timestamp: None,
            });
            if &*key == b"ask" {
                context.call(StoreRequest::Get { key: "k".into() });
            } else if context.attempt() == 0 {
                context.nack(Duration::from_millis(5));
            }
        }
    }

    fn value(done: &Done) -> Option<&[u8]> {
        done.emitted.first().and_then(|record| record.value.as_deref())
    }

    #[test]
    fn what_a_processor_asks_for_is_seen_without_a_cluster() {
        let mut trial = Trial::new(Counting);
        let first = trial.process("in", "a", "x");
        assert_eq!(first.again_after, Some(Duration::from_millis(5)));
        assert!(!first.is_acked() && trial.state.is_empty(), "it is taken back: {first:?}");
        let second = trial.again(Duration::from_millis(5));
        assert!(second.is_acked());
        assert_eq!(value(&second), Some(&b"+"[..]));
        trial.taken_over_by(Counting);
        let _ = trial.process("in", "a", "x");
        assert_eq!(value(&trial.again(Duration::ZERO)), Some(&b"++"[..]), "state is taken over");
    }

    /// Wants each record again, at once.
    #[derive(Clone)]
    struct Hasty;

    impl Processor for Hasty {
        fn process(&mut self, _: &ConsumedRecord, context: &mut Context<'_>) {
            context.nack(Duration::ZERO);
        }
    }

    #[test]
    fn what_comes_again_at_once_comes_a_little_later() {
        let done = Trial::new(Hasty).process("in", "k", "v");
        assert_eq!(done.again_after, Some(LEAST_DELAY));
    }

    #[test]
    fn a_question_to_the_store_waits_for_its_answer() {
        let mut trial = Trial::new(Counting);
        let asked = trial.process("in", "ask", "x");
        assert_eq!(asked.call, Some(StoreRequest::Get { key: "k".into() }));
        assert!(!asked.is_acked() && asked.emitted.is_empty());
        let answered = trial.answer(&StoreResponse::Value(None));
        assert!(answered.is_acked());
    }

    /// Says which keys it finds.
    #[derive(Clone)]
    struct Listing;

    impl Processor for Listing {
        fn process(&mut self, _: &ConsumedRecord, context: &mut Context<'_>) {
            let (all, some) = (context.entries().count(), context.starting_with(b"b").count());
            assert_eq!((all, some), (4, 2));
        }
    }

    #[test]
    fn the_state_is_gone_through_in_order() {
        let mut trial = Trial::new(Listing);
        for key in ["a", "b", "ba", "c"] {
            trial.state.insert(key.into(), Bytes::new());
        }
        assert!(trial.process("in", "k", "v").is_acked());
    }
}
