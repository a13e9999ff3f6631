//! What looks at a world from outside: checkers, traces, histories.

use seedlog::ids::CallId;
use seedlog::machine::{Effect, Input};
use seedlog::op::Outcome;

use super::{Node, ProcessId, World};

/// Hooks around every event. All do nothing by default; `()` observes nothing.
pub trait Observer<N: Node> {
    /// An input is about to be delivered; the process is still as it was.
    fn delivered(&mut self, _world: &World<N>, _process: ProcessId, _input: &Input) {}

    /// A step (or a start) is over; its effects are about to be carried out, in this order.
    fn effects(&mut self, _world: &World<N>, _process: ProcessId, _effects: &[Effect]) {}

    /// Something happened to a process as a whole. Starts are told before their effects.
    fn lifecycle(&mut self, _world: &World<N>, _process: ProcessId, _change: Lifecycle) {}

    /// A call of the application was answered.
    fn returned(
        &mut self,
        _world: &World<N>,
        _process: ProcessId,
        _call: CallId,
        _outcome: &Outcome,
    ) {
    }
}

impl<N: Node> Observer<N> for () {}

/// What happens to a process as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lifecycle {
    Started,
    /// The process died; the page cache lives. Calls without an answer never get one.
    Crashed,
    /// The machine died; the disk shows already what survived.
    PowerLost,
    /// The process stopped itself.
    Halted,
    Paused,
    Resumed,
    /// The disk is empty now.
    Wiped,
}
