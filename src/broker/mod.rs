//! The process that serves clients: it follows the metadata quorum, hosts replicas of partitions and
//! answers for those it leads.

use alloc::sync::Arc;

use crate::config::{BrokerConfig, ServerConfig};
use crate::ids::BrokerEpoch;
use crate::machine::{Effects, Input, Machine, Survived};
use crate::metadata::Image;
use crate::rng::Rng;
use crate::time::{Instant, Now};

/// What a broker is started with.
#[derive(Clone, Debug)]
pub struct BrokerSetup {
    pub server: Arc<ServerConfig>,
    pub broker: BrokerConfig,
}

/// A broker.
#[derive(Clone, Debug)]
pub struct Broker {
    setup: Arc<BrokerSetup>,
    rng: Rng,
    image: Arc<Image>,
    epoch: BrokerEpoch,
}

impl Broker {
    /// Starts a new incarnation over whatever a crash or a shutdown left on its disk. `seed` has to be
    /// new for each incarnation. [`Op::Close`](crate::op::Op::Close) shuts it down in a controlled way.
    #[must_use]
    pub fn start(
        setup: &Arc<BrokerSetup>,
        seed: [u8; 32],
        _now: Now,
        _survived: Survived,
        _out: &mut Effects,
    ) -> Self {
        Broker {
            setup: Arc::clone(setup),
            rng: Rng::new(seed),
            image: Arc::new(Image::default()),
            epoch: BrokerEpoch::NONE,
        }
    }

    #[must_use]
    pub fn setup(&self) -> &Arc<BrokerSetup> {
        &self.setup
    }

    /// The cluster's metadata as far as this broker has applied it.
    #[must_use]
    pub fn image(&self) -> &Arc<Image> {
        &self.image
    }

    /// The epoch of this incarnation's registration, [`BrokerEpoch::NONE`] before it.
    #[must_use]
    pub fn epoch(&self) -> BrokerEpoch {
        self.epoch
    }

    /// Internal invariants; called by the simulator after every step.
    pub fn check(&self) {
        let _ = &self.rng;
    }
}

impl Machine for Broker {
    fn step(&mut self, _now: Now, _input: Input, _out: &mut Effects) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }
}
