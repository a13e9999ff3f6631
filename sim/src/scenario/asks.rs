//! The faults that a scenario asks for: whatever a run delivers none of, it says nothing about.

use seedlog::time::Duration;

use super::value::Ratio;
use super::{FaultKind, RatioRange, Scenario};
use crate::world::Fault;

impl FaultKind {
    /// What is counted when a source of this kind has struck.
    #[must_use]
    pub const fn counted_as(self) -> Fault {
        match self {
            FaultKind::Crash => Fault::Crash,
            FaultKind::Power => Fault::PowerLoss,
            FaultKind::Pause => Fault::Pause,
            FaultKind::Wipe => Fault::Wipe,
            FaultKind::Shutdown | FaultKind::Roll => Fault::Shutdown,
            FaultKind::Isolate
            | FaultKind::Deafen
            | FaultKind::Mute
            | FaultKind::Split
            | FaultKind::Cut => Fault::Block,
            FaultKind::Clog => Fault::Clog,
            FaultKind::Reset => Fault::Reset,
            FaultKind::Lag => Fault::Lag,
            FaultKind::DiskSlow => Fault::DiskSlow,
            FaultKind::DiskStall => Fault::DiskStall,
            FaultKind::DiskError => Fault::DiskError,
            FaultKind::DiskFull => Fault::DiskFull,
            FaultKind::DiskRot => Fault::BitRot,
            FaultKind::ClockJump => Fault::ClockJump,
            FaultKind::ClockFreeze => Fault::ClockFreeze,
            FaultKind::Reassign => Fault::Reassign,
            FaultKind::Elect => Fault::Elect,
            FaultKind::Churn => Fault::Churn,
            FaultKind::Configure => Fault::Configure,
            FaultKind::Grow => Fault::Grow,
        }
    }
}

impl Scenario {
    /// The faults that each of its runs is to meet, each once. A swarm asks for none: it draws.
    /// Nor does `ghost`: it says what becomes of messages under way if something else closes their
    /// connection.
    #[must_use]
    pub fn asks_for(&self) -> Vec<Fault> {
        if self.swarm {
            return Vec::new();
        }
        let sure = |ratio: Ratio| ratio.numerator == ratio.denominator;
        let sources = self.faults.iter().filter(|fault| sure(fault.exists));
        let mut asked: Vec<Fault> = sources.map(|fault| fault.kind.counted_as()).collect();
        let network = &self.network;
        let ratios = [
            (network.loss, Fault::Loss),
            (network.duplicate, Fault::Duplicate),
            (network.reorder, Fault::Reorder),
            (network.corrupt, Fault::Corrupt),
            (network.reset, Fault::Reset),
        ];
        let some = |ratio: RatioRange| ratio.low.numerator > 0;
        asked.extend(ratios.iter().filter(|(ratio, _)| some(*ratio)).map(|(_, fault)| *fault));
        if self.clock.skew.low > Duration::ZERO {
            asked.push(Fault::ClockSkew);
        }
        if self.clock.drift_ppm.low > 0 {
            asked.push(Fault::ClockDrift);
        }
        asked.sort_unstable();
        asked.dedup();
        asked
    }
}
