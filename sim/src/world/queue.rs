//! The event queue: a hierarchical timing wheel, exact to the nanosecond.
//!
//! Eleven levels of 64 slots: an entry lies on the level of the highest group of six bits in which
//! its time differs from the time popped last. To push is to link it into one slot; to pop is to find
//! the first occupied slot by two bit scans, and to relink the slot's entries some levels lower. Order is by time
//! and then by the order of pushes, with no sequence number: every entry of one time is always in the same
//! slot, and relinking keeps the order. Entries stay where they are in memory, so a clone is one copy.

const BITS: u32 = 6;
const SLOTS: usize = 64;
const LEVELS: usize = 11;
const NONE: u32 = u32::MAX;

#[derive(Clone, Debug)]
pub(super) struct Queue<T> {
    /// The time popped last: nothing earlier may be pushed.
    last: u64,
    len: usize,
    /// A bit for each level that has an entry, and per level a bit for each slot that has one.
    levels: u32,
    occupied: [u64; LEVELS],
    slots: Vec<Slot>,
    entries: Vec<Entry<T>>,
    free: u32,
}

/// A list of entries, first in, first out.
#[derive(Clone, Copy, Debug)]
struct Slot {
    head: u32,
    tail: u32,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    at: u64,
    next: u32,
    item: Option<T>,
}

/// Indices fit: the wheel has 704 slots, and `entries` is checked when it grows.
fn wide(index: u32) -> usize {
    usize::try_from(index).expect("an index fits")
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Queue {
            last: 0,
            len: 0,
            levels: 0,
            occupied: [0; LEVELS],
            slots: vec![Slot { head: NONE, tail: NONE }; LEVELS * SLOTS],
            entries: Vec::new(),
            free: NONE,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// # Panics
    /// If `at` is before the time popped last.
    pub(super) fn push(&mut self, at: u64, item: T) {
        assert!(at >= self.last, "time does not go back");
        let index = if self.free == NONE {
            let index = u32::try_from(self.entries.len()).expect("fewer than 2^32 events");
            self.entries.push(Entry { at, next: NONE, item: Some(item) });
            index
        } else {
            let index = self.free;
            let entry = &mut self.entries[wide(index)];
            self.free = entry.next;
            *entry = Entry { at, next: NONE, item: Some(item) };
            index
        };
        self.len += 1;
        self.link(index, at);
    }

    fn link(&mut self, index: u32, at: u64) {
        let differs = at ^ self.last;
        let level = (63 - (differs | 1).leading_zeros()) / BITS;
        let slot = (at >> (level * BITS)) & 63;
        self.levels |= 1 << level;
        self.occupied[wide(level)] |= 1 << slot;
        let place = wide(level) * SLOTS + usize::try_from(slot).expect("six bits fit");
        let slot = &mut self.slots[place];
        if slot.head == NONE {
            slot.head = index;
        } else {
            self.entries[wide(slot.tail)].next = index;
        }
        slot.tail = index;
    }

    /// The earliest entry, the one pushed first if there are several.
    pub(super) fn pop(&mut self) -> Option<(u64, T)> {
        loop {
            if self.levels == 0 {
                return None;
            }
            let level = wide(self.levels.trailing_zeros());
            let slot = self.occupied[level].trailing_zeros();
            let place = level * SLOTS + wide(slot);
            let Slot { head, tail } = self.slots[place];
            if level == 0 || head == tail {
                let next = self.entries[wide(head)].next;
                self.slots[place].head = next;
                if next == NONE {
                    self.vacate(level, slot);
                }
                return Some(self.take(head));
            }
            self.slots[place].head = NONE;
            self.vacate(level, slot);
            self.last = self.earliest(head);
            let mut index = head;
            while index != NONE {
                let entry = &mut self.entries[wide(index)];
                let (next, at) = (entry.next, entry.at);
                entry.next = NONE;
                self.link(index, at);
                index = next;
            }
        }
    }

    /// The time of the earliest entry.
    pub(super) fn next_at(&self) -> Option<u64> {
        if self.levels == 0 {
            return None;
        }
        let level = wide(self.levels.trailing_zeros());
        let slot = wide(self.occupied[level].trailing_zeros());
        Some(self.earliest(self.slots[level * SLOTS + slot].head))
    }

    fn earliest(&self, head: u32) -> u64 {
        let (mut index, mut earliest) = (head, u64::MAX);
        while index != NONE {
            let entry = &self.entries[wide(index)];
            earliest = earliest.min(entry.at);
            index = entry.next;
        }
        earliest
    }

    fn vacate(&mut self, level: usize, slot: u32) {
        self.occupied[level] &= !(1 << slot);
        if self.occupied[level] == 0 {
            self.levels &= !(1 << level);
        }
    }

    fn take(&mut self, index: u32) -> (u64, T) {
        let entry = &mut self.entries[wide(index)];
        let item = entry.item.take().expect("a linked entry is full");
        entry.next = self.free;
        self.free = index;
        self.len -= 1;
        self.last = entry.at;
        (entry.at, item)
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
                    prop_assert_eq!(queue.pop(), Some(first));
                    now = first.0;
                }
                prop_assert_eq!(queue.len(), model.len());
            }
            model.sort();
            for entry in model {
                prop_assert_eq!(queue.pop(), Some(entry));
            }
            prop_assert_eq!(queue.pop(), None);
        }
    }

    #[test]
    fn the_far_future_and_the_present_are_in_range() {
        let mut queue = Queue::new();
        queue.push(u64::MAX, "far");
        queue.push(0, "now");
        assert_eq!(queue.pop(), Some((0, "now")));
        assert_eq!(queue.pop(), Some((u64::MAX, "far")));
    }
}
