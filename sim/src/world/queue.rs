//! The event queue: a calendar of the next milliseconds, and a heap for what is later.
//!
//! Time is cut into days of some microseconds. A ring holds the days to come, each an unsorted
//! list; the day at hand is sorted once and then read off. To push is to append to a list of small
//! keys, whatever the number of nodes. Order is by time and then by the order of pushes: lists and
//! their sort are stable, and what comes out of the heap enters its day before anything else can be
//! pushed there.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// A day is 2^14 ns: about sixteen microseconds.
const SHIFT: u32 = 14;
/// Days in the ring: about two milliseconds, more than most messages and flushes take.
const DAYS: u64 = 128;
const WORDS: usize = 2;

#[derive(Clone, Copy, Debug)]
struct Key {
    at: u64,
    index: u32,
}

#[derive(Debug)]
pub(super) struct Queue<T> {
    /// The time popped last: nothing earlier may be pushed.
    last: u64,
    /// Pushed for the very time popped last: comes after what `today` has for that time.
    now: VecDeque<u32>,
    /// Sorted: everything up to the end of the day at hand. The first `done` keys are popped.
    today: Vec<Key>,
    done: usize,
    day: u64,
    /// The days after it, by their number modulo [`DAYS`], and a bit for each that has keys.
    ring: Vec<Vec<Key>>,
    occupied: [u64; WORDS],
    /// What lies beyond the ring, by time and order of pushes.
    far: BinaryHeap<Reverse<(u64, u64, u32)>>,
    pushed_far: u64,
    items: Vec<Option<T>>,
    free: Vec<u32>,
}

/// Indices fit: `items` is checked when it grows.
fn wide(index: u32) -> usize {
    usize::try_from(index).expect("an index fits")
}

/// The place of a day in the ring.
fn place(day: u64) -> usize {
    usize::try_from(day % DAYS).expect("a small number fits")
}

/// A clone leaves out the places that a burst has left empty behind the last item.
impl<T: Clone> Clone for Queue<T> {
    fn clone(&self) -> Self {
        let used = self.items.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        Queue {
            last: self.last,
            now: self.now.clone(),
            today: self.today[self.done..].to_vec(),
            done: 0,
            day: self.day,
            ring: self.ring.clone(),
            occupied: self.occupied,
            far: self.far.clone(),
            pushed_far: self.pushed_far,
            items: self.items[..used].to_vec(),
            free: self.free.iter().copied().filter(|index| wide(*index) < used).collect(),
        }
    }
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Queue {
            last: 0,
            now: VecDeque::new(),
            today: Vec::new(),
            done: 0,
            day: 0,
            ring: (0..DAYS).map(|_| Vec::new()).collect(),
            occupied: [0; WORDS],
            far: BinaryHeap::new(),
            pushed_far: 0,
            items: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len() - self.free.len()
    }

    /// # Panics
    /// If `at` is before the time popped last.
    pub(super) fn push(&mut self, at: u64, item: T) {
        assert!(at >= self.last, "time does not go back");
        let index = match self.free.pop() {
            Some(index) => {
                self.items[wide(index)] = Some(item);
                index
            }
            None => {
                self.items.push(Some(item));
                u32::try_from(self.items.len() - 1).expect("fewer than 2^32 events")
            }
        };
        let key = Key { at, index };
        let day = at >> SHIFT;
        if day > self.day {
            if day - self.day < DAYS {
                self.enter(day, key);
            } else {
                self.far.push(Reverse((at, self.pushed_far, index)));
                self.pushed_far += 1;
            }
        } else if at == self.last {
            self.now.push_back(index);
        } else {
            let rest = &self.today[self.done..];
            let behind = self.done + rest.partition_point(|other| other.at <= at);
            self.today.insert(behind, key);
        }
    }

    /// Puts a key into its day in the ring.
    fn enter(&mut self, day: u64, key: Key) {
        let place = place(day);
        self.ring[place].push(key);
        self.occupied[place / 64] |= 1 << (place % 64);
    }

    /// The earliest entry, the one pushed first if there are several; none that is later than
    /// `end`.
    pub(super) fn pop_until(&mut self, end: u64) -> Option<(u64, T)> {
        loop {
            if let Some(Key { at, index }) = self.today.get(self.done).copied()
                && (at == self.last || self.now.is_empty())
            {
                if at > end {
                    return None;
                }
                self.done += 1;
                self.last = at;
                return Some((at, self.take(index)));
            }
            if self.last <= end
                && let Some(index) = self.now.pop_front()
            {
                return Some((self.last, self.take(index)));
            }
            if !self.now.is_empty() || !self.turn() {
                return None;
            }
        }
    }

    /// Goes on to the next day that has keys; false if there is none.
    fn turn(&mut self) -> bool {
        let next = match (self.next_in_ring(), self.far.peek()) {
            (Some(day), _) => day,
            (None, Some(Reverse((at, ..)))) => at >> SHIFT,
            (None, None) => return false,
        };
        self.day = next;
        while let Some(Reverse((at, _, index))) = self.far.peek().copied()
            && (at >> SHIFT) - next < DAYS
        {
            self.far.pop();
            self.enter(at >> SHIFT, Key { at, index });
        }
        let place = place(next);
        self.today.clear();
        self.done = 0;
        std::mem::swap(&mut self.today, &mut self.ring[place]);
        self.occupied[place / 64] &= !(1 << (place % 64));
        if self.today.len() > 1 {
            self.today.sort_by_key(|key| key.at);
        }
        true
    }

    /// The first day after the one at hand that has keys, within the ring.
    fn next_in_ring(&self) -> Option<u64> {
        let first = self.day + 1;
        let start = place(first);
        let mut word = start / 64;
        let mut bits = self.occupied[word] & (u64::MAX << (start % 64));
        for turned in 0..=WORDS {
            if bits != 0 {
                let found = word * 64 + wide(bits.trailing_zeros());
                let ahead = u64::try_from(found).expect("a small number fits") + DAYS;
                let start = u64::try_from(start).expect("a small number fits");
                return Some(first + (ahead - start) % DAYS);
            }
            word = (word + 1) % WORDS;
            bits = self.occupied[word];
            if turned + 1 == WORDS {
                bits &= !(u64::MAX << (start % 64));
            }
        }
        None
    }

    /// The time of the earliest entry.
    pub(super) fn next_at(&self) -> Option<u64> {
        if !self.now.is_empty() {
            return Some(self.last);
        }
        if let Some(key) = self.today.get(self.done) {
            return Some(key.at);
        }
        match self.next_in_ring() {
            Some(day) => self.ring[place(day)].iter().map(|key| key.at).min(),
            None => self.far.peek().map(|Reverse((at, ..))| *at),
        }
    }

    fn take(&mut self, index: u32) -> T {
        self.free.push(index);
        self.items[wide(index)].take().expect("a key names a full place")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_pops_by_time_and_then_by_push_order(
            steps in prop::collection::vec((0_u64..3_000_000_000, 0_u32..40, any::<bool>()), 1..400)
        ) {
            let mut queue = Queue::new();
            let mut model: Vec<(u64, usize)> = Vec::new();
            let mut now = 0;
            for (number, (delay, shift, pops)) in steps.into_iter().enumerate() {
                let at = now + (delay >> shift);
                queue.push(at, number);
                model.push((at, number));
                if pops {
                    let first = *model.iter().min().expect("just pushed");
                    model.retain(|entry| *entry != first);
                    prop_assert_eq!(queue.next_at(), Some(first.0));
                    if first.0 > 0 {
                        prop_assert_eq!(queue.pop_until(first.0 - 1), None);
                    }
                    prop_assert_eq!(queue.next_at(), Some(first.0));
                    prop_assert_eq!(queue.pop_until(u64::MAX), Some(first));
                    now = first.0;
                }
                prop_assert_eq!(queue.len(), model.len());
            }
            model.sort();
            for entry in model {
                prop_assert_eq!(queue.pop_until(u64::MAX), Some(entry));
            }
            prop_assert_eq!(queue.pop_until(u64::MAX), None);
        }
    }

    #[test]
    fn the_far_future_and_the_present_are_in_range() {
        let mut queue = Queue::new();
        queue.push(u64::MAX, "far");
        queue.push(0, "now");
        assert_eq!(queue.pop_until(u64::MAX), Some((0, "now")));
        assert_eq!(queue.pop_until(u64::MAX), Some((u64::MAX, "far")));
    }

    #[test]
    fn what_was_far_comes_before_what_was_pushed_later_for_the_same_time() {
        let mut queue = Queue::new();
        let at = 10 * (DAYS << SHIFT);
        queue.push(at, "early");
        queue.push(at - 1, "before");
        assert_eq!(queue.pop_until(u64::MAX), Some((at - 1, "before")));
        queue.push(at, "late");
        queue.push(at - 1, "at once");
        assert_eq!(queue.pop_until(at - 1), Some((at - 1, "at once")));
        assert_eq!(queue.pop_until(u64::MAX), Some((at, "early")));
        assert_eq!(queue.pop_until(u64::MAX), Some((at, "late")));
    }
}
