//! A list that is cheap to clone however long it is, and cheap to append to after a clone.
//!
//! Items lie in pages of [`PAGE`], pages in nodes of [`NODE`], each behind `Arc`; only the last
//! page is ever written. So a clone is one reference count, and the first push after it copies at
//! most one page (and, when a page fills up, one node and the short list of nodes). An `Arc<Vec>`
//! would copy everything there.

use alloc::sync::Arc;
use alloc::vec::Vec;

const PAGE: usize = 32;
const NODE: usize = 32;
const NODE_ITEMS: usize = PAGE * NODE;

type Page<T> = Arc<Vec<T>>;
type Node<T> = Arc<Vec<Page<T>>>;

/// A list of small `Copy` items, numbered from 0 on. Items leave at both ends; numbers stay.
#[derive(Clone, Debug)]
pub(super) struct Paged<T> {
    /// The number of the first item that is still there.
    first: usize,
    pages: Arc<Pages<T>>,
}

#[derive(Debug)]
struct Pages<T> {
    /// The number of the first item in `nodes`: a multiple of `NODE_ITEMS`.
    nodes_start: usize,
    nodes: Arc<Vec<Node<T>>>,
    /// The number of the first item in `tail`: a multiple of `PAGE`.
    tail_start: usize,
    /// The last page.
    tail: Vec<T>,
}

impl<T> Default for Paged<T> {
    fn default() -> Self {
        let (nodes, tail) = (Arc::default(), Vec::new());
        Paged { first: 0, pages: Arc::new(Pages { nodes_start: 0, nodes, tail_start: 0, tail }) }
    }
}

impl<T: Copy> Paged<T> {
    /// The number of the first item.
    pub(super) fn first(&self) -> usize {
        self.first
    }

    /// The number after the last item.
    pub(super) fn end(&self) -> usize {
        self.pages.tail_start + self.pages.tail.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first == self.end()
    }

    /// The item with that number, which must be there.
    pub(super) fn get(&self, number: usize) -> &T {
        assert!(number >= self.first, "the item has left");
        let pages = &*self.pages;
        if number >= pages.tail_start {
            return &pages.tail[number - pages.tail_start];
        }
        let at = number - pages.nodes_start;
        &pages.nodes[at / NODE_ITEMS][at / PAGE % NODE][at % PAGE]
    }

    pub(super) fn last(&self) -> Option<&T> {
        if self.is_empty() { None } else { Some(self.get(self.end() - 1)) }
    }

    pub(super) fn push(&mut self, item: T) {
        let pages = self.own_pages();
        if pages.tail.len() == PAGE {
            pages.seal();
        }
        pages.tail.push(item);
    }

    /// Removes the items from `to` on.
    pub(super) fn truncate(&mut self, to: usize) {
        assert!(to >= self.first, "the front leaves by trimming");
        if to >= self.end() {
            return;
        }
        let pages = self.own_pages();
        if to >= pages.tail_start {
            pages.tail.truncate(to - pages.tail_start);
            return;
        }
        let at = to - pages.nodes_start;
        let nodes = Arc::make_mut(&mut pages.nodes);
        nodes.truncate(at / NODE_ITEMS + 1);
        let node = Arc::make_mut(nodes.last_mut().expect("the number is in a node"));
        pages.tail.clear();
        pages.tail.extend_from_slice(&node[at / PAGE % NODE][..at % PAGE]);
        node.truncate(at / PAGE % NODE);
        if node.is_empty() {
            nodes.pop();
        }
        pages.tail_start = to - at % PAGE;
    }

    /// Removes the items before `to`.
    pub(super) fn trim(&mut self, to: usize) {
        assert!(to <= self.end(), "only what is there can leave");
        self.first = self.first.max(to);
        let gone = (self.first - self.pages.nodes_start) / NODE_ITEMS;
        let gone = gone.min(self.pages.nodes.len());
        if gone > 0 {
            let pages = self.own_pages();
            Arc::make_mut(&mut pages.nodes).drain(..gone);
            pages.nodes_start += gone * NODE_ITEMS;
        }
    }

    /// The number of the first item that is not `before` (all items before it are), or the end.
    pub(super) fn partition_point(&self, before: impl Fn(&T) -> bool) -> usize {
        let (mut low, mut high) = (self.first, self.end());
        // Readers mostly want what is new: look at the last page first.
        let tail_start = self.pages.tail_start;
        if low < tail_start && high > tail_start {
            if before(&self.pages.tail[0]) {
                low = tail_start;
            } else {
                high = tail_start;
            }
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if before(self.get(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The items with numbers from `from` on.
    pub(super) fn iter_from(&self, from: usize) -> impl Iterator<Item = &T> + '_ {
        (from.max(self.first)..self.end()).map(|number| self.get(number))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> + '_ {
        self.iter_from(self.first)
    }

    /// The pages for writing; forks keep theirs.
    fn own_pages(&mut self) -> &mut Pages<T> {
        if Arc::get_mut(&mut self.pages).is_none() {
            let Pages { nodes_start, ref nodes, tail_start, tail: ref old } = *self.pages;
            let mut tail = Vec::with_capacity(PAGE);
            tail.extend_from_slice(old);
            let nodes = Arc::clone(nodes);
            self.pages = Arc::new(Pages { nodes_start, nodes, tail_start, tail });
        }
        Arc::get_mut(&mut self.pages).expect("nobody else has the new pages")
    }
}

impl<T> Pages<T> {
    fn seal(&mut self) {
        let page = core::mem::replace(&mut self.tail, Vec::with_capacity(PAGE));
        let page = Arc::new(page);
        let nodes = Arc::make_mut(&mut self.nodes);
        match nodes.last_mut() {
            Some(node) if node.len() < NODE => Arc::make_mut(node).push(page),
            Some(_) | None => {
                if nodes.is_empty() {
                    self.nodes_start = self.tail_start;
                }
                let mut node = Vec::with_capacity(NODE);
                node.push(page);
                nodes.push(Arc::new(node));
            }
        }
        self.tail_start += PAGE;
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Act {
        Push(u16),
        Truncate(prop::sample::Index),
        Trim(prop::sample::Index),
        Fork,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            6 => (1..400_u16).prop_map(Act::Push),
            2 => any::<prop::sample::Index>().prop_map(Act::Truncate),
            1 => any::<prop::sample::Index>().prop_map(Act::Trim),
            1 => Just(Act::Fork),
        ]
    }

    fn same(paged: &Paged<usize>, first: usize, plain: &[usize]) {
        assert_eq!(paged.first(), first);
        assert_eq!(paged.end(), plain.len());
        assert!(paged.iter().eq(&plain[first..]));
    }

    proptest! {
        #[test]
        fn it_is_a_list_and_forks_do_not_see_each_other(
            acts in proptest::collection::vec(act(), 1..40),
        ) {
            let (mut paged, mut first, mut plain) = (Paged::default(), 0, Vec::new());
            let mut forks = Vec::new();
            for (turn, act) in acts.into_iter().enumerate() {
                match act {
                    Act::Push(count) => for index in 0..usize::from(count) {
                        paged.push(turn * 1000 + index);
                        plain.push(turn * 1000 + index);
                    },
                    Act::Truncate(at) => {
                        let to = first + at.index(plain.len() - first + 1);
                        paged.truncate(to);
                        plain.truncate(to);
                    }
                    Act::Trim(at) => {
                        first += at.index(plain.len() - first + 1);
                        paged.trim(first);
                    }
                    Act::Fork => forks.push((paged.clone(), first, plain.clone())),
                }
                same(&paged, first, &plain);
            }
            for (paged, first, plain) in forks {
                same(&paged, first, &plain);
            }
        }
    }

    #[test]
    fn a_search_finds_the_first_item_that_is_not_before() {
        let mut paged = Paged::default();
        for item in 0..3000_usize {
            paged.push(item * 2);
        }
        paged.trim(100);
        for wanted in [200, 201, 1999, 4000, 5990, 5999] {
            let expected = 100.max(usize::div_ceil(wanted, 2));
            assert_eq!(paged.partition_point(|item| *item < wanted), expected);
        }
        assert_eq!(paged.partition_point(|_| false), 100);
    }
}
