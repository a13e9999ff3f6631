//! The event queue: a calendar.
//!
//! Time is cut into days of some microseconds. A ring holds the days to come and a map those beyond
//! it, each as the plain list of its events: to push is to append to a list, whatever the number of
//! nodes. When a day comes, one pass over its list makes a small key of each event, the keys are
//! sorted, and then read off. So the many messages that are in flight are fetched list by list, as
//! they were written, and not one by one from all over the memory.
//!
//! Order is by time and then by the order of pushes, which is the order within a list: nothing can
//! be pushed to a day in the ring before what the map has of it has moved there.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A day is 2^14 ns: about sixteen microseconds.
const SHIFT: u32 = 14;
const DAY: u64 = 1 << SHIFT;
/// Days in the ring, one bit of a `u128` each: about two milliseconds, more than most messages and
/// flushes take.
const DAYS: u64 = 128;

type List<T> = Vec<Entry<T>>;

#[derive(Clone, Debug)]
struct Entry<T> {
    at: u64,
    item: T,
}

#[derive(Clone, Debug)]
pub(super) struct Queue<T> {
    /// The time popped last: nothing earlier may be pushed.
    last: u64,
    len: usize,
    /// The day of `last`.
    day: u64,
    today: List<T>,
    /// What is left of today, backwards: see [`key`].
    order: Vec<u64>,
    /// The days after it, by their number modulo [`DAYS`], and a bit for each that has events.
    ring: Vec<List<T>>,
    occupied: u128,
    /// The days beyond the ring that have events.
    far: BTreeMap<u64, List<T>>,
    /// Empty lists of days that are over.
    spare: Vec<List<T>>,
}

/// The place of a day in the ring.
fn place(day: u64) -> usize {
    usize::try_from(day % DAYS).expect("a small number fits")
}

/// A time of day and a place in the day's list: keys sort as events do.
fn key(at: u64, place: usize) -> u64 {
    let place = u32::try_from(place).expect("fewer than 2^32 events a day");
    ((at % DAY) << 32) | u64::from(place)
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Queue {
            last: 0,
            len: 0,
            day: 0,
            today: Vec::new(),
            order: Vec::new(),
            ring: (0..DAYS).map(|_| Vec::new()).collect(),
            occupied: 0,
            far: BTreeMap::new(),
            spare: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// # Panics
    /// If `at` is before the time popped last.
    pub(super) fn push(&mut self, at: u64, item: T) {
        self.push_with(at, || item);
    }

    /// Pushes an event that is made in its place: to put one together elsewhere and to move it here
    /// at once stalls a processor, since it has to wait until all the pieces are written.
    ///
    /// # Panics
    /// If `at` is before the time popped last.
    #[inline(always)]
    pub(super) fn push_with(&mut self, at: u64, make: impl FnOnce() -> T) {
        assert!(at >= self.last, "time does not go back");
        self.len += 1;
        self.list_of(at).extend(std::iter::once_with(|| Entry { at, item: make() }));
    }

    /// The list to whose end an event at that time is now pushed.
    #[inline(always)]
    fn list_of(&mut self, at: u64) -> &mut List<T> {
        let day = at >> SHIFT;
        match day - self.day {
            0 => {
                self.expect_today(at);
                &mut self.today
            }
            1..DAYS => {
                let list = &mut self.ring[place(day)];
                if list.is_empty() {
                    self.occupied |= 1 << place(day);
                    *list = self.spare.pop().unwrap_or_default();
                }
                list
            }
            DAYS.. => self.far_list(day),
        }
    }

    fn far_list(&mut self, day: u64) -> &mut List<T> {
        self.far.entry(day).or_insert_with(|| self.spare.pop().unwrap_or_default())
    }

    /// Makes room in the order of today for an event that is about to be pushed.
    fn expect_today(&mut self, at: u64) {
        if self.order.is_empty() {
            self.today.clear();
        }
        let key = key(at, self.today.len());
        let behind = self.order.partition_point(|other| *other > key);
        self.order.insert(behind, key);
    }

    /// The earliest event, the one pushed first if there are several; none that is later than
    /// `end`. The caller takes it out of its place.
    #[inline(always)]
    pub(super) fn pop_until(&mut self, end: u64) -> Option<(u64, &mut T)> {
        if self.order.is_empty() && !self.turn(end) {
            return None;
        }
        let (at, place) = self.first()?;
        if at > end {
            return None;
        }
        self.order.pop();
        self.last = at;
        self.len -= 1;
        Some((at, &mut self.today[place].item))
    }

    /// The next event of today: its time, and its place in the list.
    fn first(&self) -> Option<(u64, usize)> {
        let key = self.order.last()?;
        let place = usize::try_from(key % (1 << 32)).expect("32 bits fit");
        Some(((self.day << SHIFT) + (key >> 32), place))
    }

    /// Goes on to the next day that has events; false if there is none by `end`.
    fn turn(&mut self, end: u64) -> bool {
        let Some(next) = self.next_day().filter(|day| self.begins_by(*day, end)) else {
            return false;
        };
        while let Some(far) = self.far.first_entry()
            && far.key() - next < DAYS
        {
            let place = place(*far.key());
            assert!(self.ring[place].is_empty(), "the ring has not come to that day");
            self.ring[place] = far.remove();
            self.occupied |= 1 << place;
        }
        self.day = next;
        self.occupied &= !(1 << place(next));
        let list = std::mem::take(&mut self.ring[place(next)]);
        let mut over = std::mem::replace(&mut self.today, list);
        over.clear();
        self.spare.push(over);
        self.order.extend(self.today.iter().zip(0..).map(|(entry, place)| key(entry.at, place)));
        if self.order.len() > 1 {
            self.order.sort_unstable_by_key(|key| Reverse(*key));
        }
        true
    }

    /// The first day after the one at hand that has events.
    fn next_day(&self) -> Option<u64> {
        if self.occupied == 0 {
            return self.far.first_key_value().map(|(day, _)| *day);
        }
        let tomorrow = self.day + 1;
        let turned = u32::try_from(tomorrow % DAYS).expect("a small number fits");
        Some(tomorrow + u64::from(self.occupied.rotate_right(turned).trailing_zeros()))
    }

    /// Whether the first event of a later day is due by `end`.
    fn begins_by(&self, day: u64, end: u64) -> bool {
        day < end >> SHIFT || (day == end >> SHIFT && self.first_of(day) <= end)
    }

    /// The time of the first event of a later day that has some.
    fn first_of(&self, day: u64) -> u64 {
        let list = if day - self.day < DAYS { &self.ring[place(day)] } else { &self.far[&day] };
        list.iter().map(|entry| entry.at).min().expect("the day has events")
    }

    /// The time of the earliest event.
    pub(super) fn next_at(&self) -> Option<u64> {
        match self.first() {
            Some((at, _)) => Some(at),
            None => self.next_day().map(|day| self.first_of(day)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pop<T: Default>(queue: &mut Queue<T>, end: u64) -> Option<(u64, T)> {
        queue.pop_until(end).map(|(at, item)| (at, std::mem::take(item)))
    }

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
                        prop_assert_eq!(pop(&mut queue, first.0 - 1), None);
                    }
                    prop_assert_eq!(queue.next_at(), Some(first.0));
                    prop_assert_eq!(pop(&mut queue, u64::MAX), Some(first));
                    now = first.0;
                }
                prop_assert_eq!(queue.len(), model.len());
            }
            model.sort();
            for entry in model {
                prop_assert_eq!(pop(&mut queue, u64::MAX), Some(entry));
            }
            prop_assert_eq!(pop(&mut queue, u64::MAX), None);
        }
    }

    #[test]
    fn the_far_future_and_the_present_are_in_range() {
        let mut queue = Queue::new();
        queue.push(u64::MAX, "far");
        queue.push(0, "now");
        assert_eq!(pop(&mut queue, u64::MAX), Some((0, "now")));
        assert_eq!(pop(&mut queue, u64::MAX), Some((u64::MAX, "far")));
    }

    #[test]
    fn what_was_far_comes_before_what_was_pushed_later_for_the_same_time() {
        let mut queue = Queue::new();
        let at = 10 * DAYS * DAY;
        queue.push(at, "early");
        queue.push(at - 1, "before");
        assert_eq!(pop(&mut queue, u64::MAX), Some((at - 1, "before")));
        queue.push(at, "late");
        queue.push(at - 1, "at once");
        assert_eq!(pop(&mut queue, at - 1), Some((at - 1, "at once")));
        assert_eq!(pop(&mut queue, u64::MAX), Some((at, "early")));
        assert_eq!(pop(&mut queue, u64::MAX), Some((at, "late")));
    }
}
