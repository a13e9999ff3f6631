//! Admin.

use alloc::sync::Arc;

use crate::config::AdminConfig;
use crate::defect::Defects;
use crate::ids::Endpoint;
use crate::machine::{Effects, Input, Machine};
use crate::rng::Rng;
use crate::time::{Instant, Now};

/// What a Admin is started with.
#[derive(Clone, Debug)]
pub struct AdminSetup {
    pub client_id: Arc<str>,
    /// Where to ask for the cluster's brokers first; any one that lives is enough.
    pub bootstrap: Arc<[Endpoint]>,
    pub config: AdminConfig,
    pub defects: Defects,
}

#[derive(Clone, Debug)]
pub struct Admin {
    setup: Arc<AdminSetup>,
    rng: Rng,
}

impl Admin {
    #[must_use]
    pub fn start(setup: &Arc<AdminSetup>, seed: [u8; 32], _now: Now, _out: &mut Effects) -> Self {
        Admin { setup: Arc::clone(setup), rng: Rng::new(seed) }
    }

    /// The invariants of what it holds.
    pub fn check(&self) {
        assert!(!self.setup.bootstrap.is_empty(), "a client has somebody to ask");
        let _ = &self.rng;
    }
}

impl Machine for Admin {
    fn step(&mut self, _now: Now, _input: Input, _out: &mut Effects) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }
}
