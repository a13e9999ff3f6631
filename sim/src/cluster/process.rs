//! One process of a cluster: any of the core's machines behind one type.

use std::sync::Arc;

use seedlog::broker::{Broker, BrokerSetup};
use seedlog::client::{Admin, AdminSetup, Consumer, ConsumerSetup, Producer, ProducerSetup};
use seedlog::controller::{Controller, ControllerSetup};
use seedlog::machine::{Effects, Input, Machine, Survived};
use seedlog::time::{Instant, Now};

use crate::app::{Begin, HostSetup, HostedApp};
use crate::world::Node;

/// A machine of the core. Boxed, so that a world's table of processes stays small.
#[derive(Clone)]
pub enum Process {
    Broker(Box<Broker>),
    Controller(Box<Controller>),
    Producer(Box<Producer>),
    Consumer(Box<Consumer>),
    Admin(Box<Admin>),
    /// An application, or the store of some.
    App(Box<dyn HostedApp>),
}

/// What a process is started with.
#[derive(Clone, Debug)]
pub enum Setup {
    Broker(Arc<BrokerSetup>),
    Controller(Arc<ControllerSetup>),
    Producer(Arc<ProducerSetup>),
    Consumer(Arc<ConsumerSetup>),
    Admin(Arc<AdminSetup>),
    App(Arc<HostSetup>),
}

impl Machine for Process {
    fn step(&mut self, now: Now, input: Input, out: &mut Effects) {
        match self {
            Process::Broker(machine) => machine.step(now, input, out),
            Process::Controller(machine) => machine.step(now, input, out),
            Process::Producer(machine) => machine.step(now, input, out),
            Process::Consumer(machine) => machine.step(now, input, out),
            Process::Admin(machine) => machine.step(now, input, out),
            Process::App(machine) => machine.step(now, input, out),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Process::Broker(machine) => machine.deadline(),
            Process::Controller(machine) => machine.deadline(),
            Process::Producer(machine) => machine.deadline(),
            Process::Consumer(machine) => machine.deadline(),
            Process::Admin(machine) => machine.deadline(),
            Process::App(machine) => machine.deadline(),
        }
    }

    fn listens(&self) -> bool {
        match self {
            Process::Broker(machine) => machine.listens(),
            Process::Controller(machine) => machine.listens(),
            Process::Producer(machine) => machine.listens(),
            Process::Consumer(machine) => machine.listens(),
            Process::Admin(machine) => machine.listens(),
            Process::App(machine) => machine.listens(),
        }
    }
}

impl Node for Process {
    type Config = Setup;

    fn start(
        setup: &Setup,
        seed: [u8; 32],
        now: Now,
        survived: Survived,
        out: &mut Effects,
    ) -> Self {
        match setup {
            Setup::Broker(setup) => {
                Process::Broker(Box::new(Broker::start(setup, seed, now, survived, out)))
            }
            Setup::Controller(setup) => {
                Process::Controller(Box::new(Controller::start(setup, seed, now, survived, out)))
            }
            Setup::Producer(setup) => {
                Process::Producer(Box::new(Producer::start(setup, seed, now, out)))
            }
            Setup::Consumer(setup) => {
                Process::Consumer(Box::new(Consumer::start(setup, seed, now, out)))
            }
            Setup::Admin(setup) => Process::Admin(Box::new(Admin::start(setup, seed, now, out))),
            Setup::App(setup) => {
                let begin = Begin { seed, now, survived };
                Process::App(setup.table.kind.start(setup, begin, out))
            }
        }
    }

    fn check(&self) {
        match self {
            Process::Broker(machine) => machine.check(),
            Process::Controller(machine) => machine.check(),
            Process::Producer(machine) => machine.check(),
            Process::Consumer(machine) => machine.check(),
            Process::Admin(machine) => machine.check(),
            Process::App(machine) => machine.check(),
        }
    }
}

impl Process {
    #[must_use]
    pub fn broker(&self) -> Option<&Broker> {
        match self {
            Process::Broker(broker) => Some(broker),
            Process::Controller(_)
            | Process::Producer(_)
            | Process::Consumer(_)
            | Process::Admin(_)
            | Process::App(_) => None,
        }
    }

    #[must_use]
    pub fn controller(&self) -> Option<&Controller> {
        match self {
            Process::Controller(controller) => Some(controller),
            Process::Broker(_)
            | Process::Producer(_)
            | Process::Consumer(_)
            | Process::Admin(_)
            | Process::App(_) => None,
        }
    }
}
