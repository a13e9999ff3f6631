//! An application as the simulator hosts it, whatever its type.

use std::fmt;

use seedlog::machine::{Effects, Input, Machine};
use seedlog::time::{Instant, Now};

/// A machine that may be hosted: anything that can be forked and sent between threads.
pub trait Application: Machine + Send + Sync + 'static {
    /// Panics if its state contradicts itself. Called after each of its steps in tests.
    fn check(&self) {}
}

/// An [`Application`] without its type: the one place of the simulator with `dyn`. It is the user's
/// door: a machine that somebody else wrote must fit into a world without a change of the world.
pub trait HostedApp: Send + Sync {
    fn step(&mut self, now: Now, input: Input, out: &mut Effects);
    fn deadline(&self) -> Option<Instant>;
    fn listens(&self) -> bool;
    fn check(&self);
    fn clone_box(&self) -> Box<dyn HostedApp>;
}

impl<A: Application> HostedApp for A {
    fn step(&mut self, now: Now, input: Input, out: &mut Effects) {
        Machine::step(self, now, input, out);
    }

    fn deadline(&self) -> Option<Instant> {
        Machine::deadline(self)
    }

    fn listens(&self) -> bool {
        Machine::listens(self)
    }

    fn check(&self) {
        Application::check(self);
    }

    fn clone_box(&self) -> Box<dyn HostedApp> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn HostedApp> {
    fn clone(&self) -> Self {
        (**self).clone_box()
    }
}

impl fmt::Debug for Box<dyn HostedApp> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostedApp")
    }
}
