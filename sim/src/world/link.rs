//! One direction between two processes: its faults, its delay and its own stream of randomness.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use seedlog::time::{Duration, nanos};

use super::ProcessId;
use super::connection::{ConnectionRef, Message, Side};
use super::fault::{Ratio, Span};
use super::seed::{Seed, SmallStream};
use super::trouble::Trouble;

/// What a network does to messages of a link. `Default` is a fast local network without faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkFaults {
    /// The usual time on the way.
    pub latency: Span,
    pub loss: Ratio,
    pub duplicate: Ratio,
    pub corrupt: Ratio,
    pub reset: Ratio,
    /// What a lost message means to TCP: it is sent again and again and takes all that follow with
    /// it, until `broken_for` later the connection is given up at both ends.
    pub breaks: Ratio,
    pub broken_for: Span,
    /// A message that is reordered takes `delay_by` longer and lets later ones overtake it.
    pub reorder: Ratio,
    /// A message that is delayed takes `delay_by` longer, and what follows waits for it.
    pub delay: Ratio,
    pub delay_by: Span,
    /// When a connection is closed by one end, what is under way to the other end takes
    /// `delay_by` longer: it meets whatever the closer has done in the meantime.
    pub old_connection: Ratio,
}

impl Default for NetworkFaults {
    fn default() -> Self {
        NetworkFaults {
            latency: Span::new(Duration::from_micros(100), Duration::from_micros(500)),
            loss: Ratio::NEVER,
            duplicate: Ratio::NEVER,
            corrupt: Ratio::NEVER,
            reset: Ratio::NEVER,
            breaks: Ratio::NEVER,
            broken_for: Span::new(Duration::from_millis(100), Duration::from_secs(10)),
            reorder: Ratio::NEVER,
            delay: Ratio::NEVER,
            delay_by: Span::new(Duration::from_millis(1), Duration::from_millis(200)),
            old_connection: Ratio::NEVER,
        }
    }
}

impl NetworkFaults {
    /// Whether nothing but the usual delay can happen to a message.
    fn is_quiet(&self) -> bool {
        let single = [self.loss, self.duplicate, self.corrupt, self.reorder, self.delay];
        let whole = [self.reset, self.breaks];
        single.iter().chain(&whole).all(|ratio| ratio.numerator == 0)
    }
}

/// A message that waits for its link to be unclogged.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) connection: ConnectionRef,
    pub(super) sender: Side,
    pub(super) message: Message,
}

/// Small: each message of a world with many nodes meets another link, and finds it in no cache.
#[derive(Clone, Debug)]
pub(super) struct Link {
    stream: SmallStream,
    /// Faults of its own; otherwise the world's.
    own: Option<Arc<NetworkFaults>>,
    pub(super) is_blocked: bool,
    pub(super) is_clogged: bool,
}

/// What is drawn for one message.
pub(super) struct Fate {
    /// The usual time on the way, in nanoseconds.
    pub(super) latency: u64,
    /// Which bit flips depends on the message: it is drawn afterwards.
    pub(super) is_corrupt: bool,
    pub(super) trouble: Trouble,
}

/// All links that were ever used.
#[derive(Clone, Debug)]
pub(super) struct Links {
    seed: Seed,
    common: Arc<NetworkFaults>,
    common_is_quiet: bool,
    places: IndexMap<(ProcessId, ProcessId), u32, FxBuildHasher>,
    links: Vec<Link>,
    /// What waits in clogged links.
    queues: BTreeMap<u32, Vec<Queued>>,
}

impl Links {
    pub(super) fn new(seed: Seed, common: NetworkFaults) -> Self {
        Links {
            seed,
            common_is_quiet: common.is_quiet(),
            common: Arc::new(common),
            places: IndexMap::default(),
            links: Vec::new(),
            queues: BTreeMap::new(),
        }
    }

    pub(super) fn set_seed(&mut self, seed: Seed) {
        self.seed = seed;
    }

    pub(super) fn set_common(&mut self, faults: NetworkFaults) {
        self.common_is_quiet = faults.is_quiet();
        self.common = Arc::new(faults);
    }

    pub(super) fn set_own(&mut self, from: ProcessId, to: ProcessId, own: Option<NetworkFaults>) {
        let link = self.index(from, to);
        self.at_mut(link).own = own.map(Arc::new);
    }

    /// The place of a link; it is made if need be, and stays.
    pub(super) fn index(&mut self, from: ProcessId, to: ProcessId) -> u32 {
        let next = u32::try_from(self.links.len()).expect("fewer than 2^32 links");
        let place = *self.places.entry((from, to)).or_insert(next);
        if place == next {
            let (a, b) = (u64::from(from.0), u64::from(to.0));
            self.links.push(Link {
                stream: SmallStream::new(self.seed, "link", a, b),
                own: None,
                is_blocked: false,
                is_clogged: false,
            });
        }
        place
    }

    pub(super) fn get(&self, from: ProcessId, to: ProcessId) -> Option<&Link> {
        self.places.get(&(from, to)).map(|place| self.at(*place))
    }

    pub(super) fn at(&self, index: u32) -> &Link {
        &self.links[wide(index)]
    }

    pub(super) fn at_mut(&mut self, index: u32) -> &mut Link {
        &mut self.links[wide(index)]
    }

    /// How many links there are: their places are `0..len`.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.links.len()).expect("fewer than 2^32 links")
    }

    pub(super) fn enqueue(&mut self, index: u32, queued: Queued) {
        self.queues.entry(index).or_default().push(queued);
    }

    /// What waited in a link, in order.
    pub(super) fn dequeue(&mut self, index: u32) -> Vec<Queued> {
        self.queues.remove(&index).unwrap_or_default()
    }

    /// The usual time on the way, for what is no message: attempts to connect, ends.
    pub(super) fn latency(&mut self, index: u32) -> Duration {
        self.with(index, |faults, rng| faults.latency.draw(rng))
    }

    /// Whether closing a connection may delay what is under way on this link.
    pub(super) fn may_linger(&self, index: u32) -> bool {
        let faults = self.at(index).own.as_ref().unwrap_or(&self.common);
        faults.old_connection.numerator > 0
    }

    /// Whether it does, and by how much.
    pub(super) fn lingers(&mut self, index: u32) -> Option<Duration> {
        self.with(index, |faults, rng| {
            faults.old_connection.draw(rng).then(|| faults.delay_by.draw(rng))
        })
    }

    /// Whether a time on the way is longer than anywhere else: the link lags.
    pub(super) fn lags(&self, index: u32, latency: u64) -> bool {
        self.at(index).own.is_some() && latency > nanos(self.common.latency.high())
    }

    /// The time of a message on the way if nothing else can happen to it, in nanoseconds.
    #[inline]
    pub(super) fn quiet_latency(&mut self, index: u32) -> Option<u64> {
        let Link { stream, own, is_blocked, is_clogged } = &mut self.links[wide(index)];
        let is_quiet = self.common_is_quiet && own.is_none() && !*is_blocked && !*is_clogged;
        is_quiet.then(|| self.common.latency.draw_nanos(stream))
    }

    /// What happens to a message where something may.
    pub(super) fn fate(&mut self, index: u32) -> Fate {
        self.with(index, |faults, rng| {
            let latency = faults.latency.draw_nanos(rng);
            let mut trouble = Trouble {
                is_lost: faults.loss.draw(rng),
                resets: faults.reset.draw(rng),
                ..Trouble::default()
            };
            if faults.breaks.draw(rng) {
                trouble.breaks = Some(faults.broken_for.draw_nanos(rng));
            }
            let is_corrupt = faults.corrupt.draw(rng);
            trouble.is_delayed = faults.delay.draw(rng);
            trouble.is_loose = faults.reorder.draw(rng);
            if trouble.is_delayed || trouble.is_loose {
                trouble.late = faults.delay_by.draw_nanos(rng);
            }
            if faults.duplicate.draw(rng) {
                trouble.copy_after = Some(faults.delay_by.draw_nanos(rng));
            }
            Fate { latency, is_corrupt, trouble }
        })
    }

    /// Draws from a link's stream.
    pub(super) fn with<T>(
        &mut self,
        index: u32,
        draw: impl FnOnce(&NetworkFaults, &mut SmallStream) -> T,
    ) -> T {
        let Link { stream, own, .. } = &mut self.links[wide(index)];
        draw(own.as_ref().unwrap_or(&self.common), stream)
    }
}

fn wide(index: u32) -> usize {
    usize::try_from(index).expect("an index fits")
}
