//! One direction between two processes: its faults, its delay and its own stream of randomness.

use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use seedlog::rng::Rng;
use seedlog::time::Duration;

use super::ProcessId;
use super::connection::{ConnectionRef, Message, Side};
use super::fault::{Ratio, Span};
use super::seed::Seed;

/// What a network does to messages of a link. `Default` is a fast local network without faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkFaults {
    /// The usual time on the way.
    pub latency: Span,
    pub loss: Ratio,
    pub duplicate: Ratio,
    pub corrupt: Ratio,
    pub reset: Ratio,
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
        [self.loss, self.duplicate, self.corrupt, self.reset, self.reorder, self.delay]
            .iter()
            .all(|ratio| ratio.numerator == 0)
    }
}

/// A stream of randomness that is made when it is first drawn from, and that forks share until then.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream(Option<Arc<Rng>>);

impl Stream {
    pub(super) fn get(&mut self, make: impl FnOnce() -> Rng) -> &mut Rng {
        Arc::make_mut(self.0.get_or_insert_with(|| Arc::new(make())))
    }
}

/// A message that waits for its link to be unclogged.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) connection: ConnectionRef,
    pub(super) sender: Side,
    pub(super) message: Message,
}

#[derive(Clone, Debug)]
pub(super) struct Link {
    from: ProcessId,
    to: ProcessId,
    stream: Stream,
    /// Faults of its own; otherwise the world's.
    own: Option<Arc<NetworkFaults>>,
    pub(super) is_blocked: bool,
    pub(super) is_clogged: bool,
    pub(super) queue: Vec<Queued>,
}

/// What the network decides about one message.
pub(super) struct Fate {
    pub(super) is_lost: bool,
    pub(super) resets: bool,
    pub(super) is_corrupt: bool,
    pub(super) is_delayed: bool,
    /// Overtaken by later ones.
    pub(super) is_loose: bool,
    pub(super) latency: Duration,
    /// How long after it a copy arrives.
    pub(super) copy_after: Option<Duration>,
}

/// All links that were ever used.
#[derive(Clone, Debug)]
pub(super) struct Links {
    seed: Seed,
    common: Arc<NetworkFaults>,
    by_ends: IndexMap<(ProcessId, ProcessId), Link, FxBuildHasher>,
}

impl Links {
    pub(super) fn new(seed: Seed, common: NetworkFaults) -> Self {
        Links { seed, common: Arc::new(common), by_ends: IndexMap::default() }
    }

    pub(super) fn set_common(&mut self, faults: NetworkFaults) {
        self.common = Arc::new(faults);
    }

    pub(super) fn set_own(&mut self, from: ProcessId, to: ProcessId, own: Option<NetworkFaults>) {
        let link = self.index(from, to);
        self.at_mut(link).own = own.map(Arc::new);
    }

    /// The place of a link; it is made if need be, and stays.
    pub(super) fn index(&mut self, from: ProcessId, to: ProcessId) -> u32 {
        let entry = self.by_ends.entry((from, to));
        let index = entry.index();
        entry.or_insert_with(|| Link {
            from,
            to,
            stream: Stream::default(),
            own: None,
            is_blocked: false,
            is_clogged: false,
            queue: Vec::new(),
        });
        u32::try_from(index).expect("fewer than 2^32 links")
    }

    pub(super) fn get(&self, from: ProcessId, to: ProcessId) -> Option<&Link> {
        self.by_ends.get(&(from, to))
    }

    pub(super) fn at(&self, index: u32) -> &Link {
        let index = usize::try_from(index).expect("an index fits");
        self.by_ends.get_index(index).expect("links stay").1
    }

    pub(super) fn at_mut(&mut self, index: u32) -> &mut Link {
        let index = usize::try_from(index).expect("an index fits");
        self.by_ends.get_index_mut(index).expect("links stay").1
    }

    /// How many links there are: their places are `0..len`.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.by_ends.len()).expect("fewer than 2^32 links")
    }

    /// The usual time on the way, for what is no message: attempts to connect, ends.
    pub(super) fn latency(&mut self, index: u32) -> Duration {
        self.with(index, |faults, rng| faults.latency.draw(rng))
    }

    /// Whether closing a connection delays what is under way on this link, and by how much.
    pub(super) fn lingers(&mut self, index: u32) -> Option<Duration> {
        let own = self.at(index).own.as_ref();
        if own.unwrap_or(&self.common).old_connection.numerator == 0 {
            return None;
        }
        self.with(index, |faults, rng| {
            faults.old_connection.draw(rng).then(|| faults.delay_by.draw(rng))
        })
    }

    pub(super) fn fate(&mut self, index: u32) -> Fate {
        self.with(index, |faults, rng| {
            let latency = faults.latency.draw(rng);
            let mut fate = Fate {
                is_lost: false,
                resets: false,
                is_corrupt: false,
                is_delayed: false,
                is_loose: false,
                latency,
                copy_after: None,
            };
            if faults.is_quiet() {
                return fate;
            }
            fate.is_lost = faults.loss.draw(rng);
            fate.resets = faults.reset.draw(rng);
            fate.is_corrupt = faults.corrupt.draw(rng);
            fate.is_delayed = faults.delay.draw(rng);
            fate.is_loose = faults.reorder.draw(rng);
            if fate.is_delayed || fate.is_loose {
                fate.latency += faults.delay_by.draw(rng);
            }
            if faults.duplicate.draw(rng) {
                fate.copy_after = Some(faults.delay_by.draw(rng));
            }
            fate
        })
    }

    /// Draws from a link's stream.
    pub(super) fn with<T>(
        &mut self,
        index: u32,
        draw: impl FnOnce(&NetworkFaults, &mut Rng) -> T,
    ) -> T {
        let Links { seed, common, by_ends } = self;
        let index = usize::try_from(index).expect("an index fits");
        let Link { from, to, stream, own, .. } =
            by_ends.get_index_mut(index).expect("links stay").1;
        let faults = own.as_ref().unwrap_or(common);
        let rng = stream.get(|| seed.stream("link", u64::from(from.0), u64::from(to.0)));
        draw(faults, rng)
    }
}
