//! One direction between two processes: its faults, its delay and its own stream of randomness.

use seedlog::time::Duration;

use super::fault::{Ratio, Span};

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
