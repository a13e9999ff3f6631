//! Producer.

use alloc::sync::Arc;

use crate::config::ProducerConfig;
use crate::defect::Defects;
use crate::ids::Endpoint;
use crate::machine::{Effects, Input, Machine};
use crate::rng::Rng;
use crate::time::{Instant, Now};

/// What a Producer is started with.
#[derive(Clone, Debug)]
pub struct ProducerSetup {
    pub client_id: Arc<str>,
    /// Where to ask for the cluster's brokers first; any one that lives is enough.
    pub bootstrap: Arc<[Endpoint]>,
    pub config: ProducerConfig,
    pub defects: Defects,
    /// A partitioner of the application's own: the partition of a record among so many.
    pub partitioner: Option<fn(&crate::op::SendRecord, i32) -> i32>,
}

#[derive(Clone, Debug)]
pub struct Producer {
    setup: Arc<ProducerSetup>,
    rng: Rng,
}

impl Producer {
    #[must_use]
    pub fn start(
        setup: &Arc<ProducerSetup>,
        seed: [u8; 32],
        _now: Now,
        _out: &mut Effects,
    ) -> Self {
        Producer { setup: Arc::clone(setup), rng: Rng::new(seed) }
    }

    /// The invariants of what it holds.
    pub fn check(&self) {
        assert!(!self.setup.bootstrap.is_empty(), "a client has somebody to ask");
        let _ = &self.rng;
    }
}

impl Machine for Producer {
    fn step(&mut self, _now: Now, _input: Input, _out: &mut Effects) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }
}
