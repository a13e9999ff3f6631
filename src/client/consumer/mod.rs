//! Consumer.

use alloc::sync::Arc;

use crate::config::ConsumerConfig;
use crate::defect::Defects;
use crate::ids::Endpoint;
use crate::machine::{Effects, Input, Machine};
use crate::rng::Rng;
use crate::time::{Instant, Now};

/// What a Consumer is started with.
#[derive(Clone, Debug)]
pub struct ConsumerSetup {
    pub client_id: Arc<str>,
    /// Where to ask for the cluster's brokers first; any one that lives is enough.
    pub bootstrap: Arc<[Endpoint]>,
    pub config: ConsumerConfig,
    pub defects: Defects,
}

#[derive(Clone, Debug)]
pub struct Consumer {
    setup: Arc<ConsumerSetup>,
    rng: Rng,
}

impl Consumer {
    #[must_use]
    pub fn start(
        setup: &Arc<ConsumerSetup>,
        seed: [u8; 32],
        _now: Now,
        _out: &mut Effects,
    ) -> Self {
        Consumer { setup: Arc::clone(setup), rng: Rng::new(seed) }
    }

    /// The invariants of what it holds.
    pub fn check(&self) {
        assert!(!self.setup.bootstrap.is_empty(), "a client has somebody to ask");
        let _ = &self.rng;
    }
}

impl Machine for Consumer {
    fn step(&mut self, _now: Now, _input: Input, _out: &mut Effects) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }
}
