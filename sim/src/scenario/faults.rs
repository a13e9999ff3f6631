//! Reads the sources of faults.

use seedlog::event::TransactionState;

use super::group::one_of;
use super::model::{Fault, FaultKind, Target};
use super::parse::{MS, pace};
use super::read::{Table, suggestion};
use super::text::Error;
use super::value::{Ratio, Span};
use crate::run::coordinators::{STATES, state_of};

pub(super) fn faults(root: &mut Table<'_>) -> Result<Vec<Fault>, Error> {
    root.tables("fault")?.into_iter().map(fault).collect()
}

fn fault(mut table: Table<'_>) -> Result<Fault, Error> {
    let place = table.place();
    let at = table.place_of("kind");
    let Some(name) = table.string("kind")? else {
        return Err(table.error("kind", place, "a fault without a kind", "add kind = \"crash\""));
    };
    let Some(kind) = FaultKind::parse(&name) else {
        let cure = suggestion(&name, FaultKind::NAMES);
        return Err(table.error("kind", at, format!("unknown fault {name:?}"), &cure));
    };
    let at = table.place_of("target");
    let target = match table.string("target")? {
        None => default_target(kind),
        Some(name) => Target::parse(&name).ok_or_else(|| {
            let cure = suggestion(&name, Target::NAMES);
            table.error("target", at, format!("unknown target {name:?}"), &cure)
        })?,
    };
    use FaultKind::{Crash, Power, Shutdown, Wipe};
    if target == Target::Store && matches!(kind, Crash | Power | Shutdown | Wipe) {
        let what = format!("{name:?} of the store, which keeps everything in memory");
        return Err(table.error("target", at, what, "pause, isolate or clog it"));
    }
    let fault = Fault {
        kind,
        target,
        when: when(&mut table, target)?,
        every: pace(&mut table, MS(1))?.unwrap_or(Span::new(MS(2_000), MS(10_000))),
        lasts: table.span("for")?.unwrap_or(Span::new(MS(500), MS(5_000))),
        exists: table.ratio("exists")?.unwrap_or(Ratio::new(1, 1)),
        amount: table.span("amount")?.unwrap_or(Span::new(MS(10), MS(500))),
        count: table.number("count", 0, u64::from(u32::MAX))?.unwrap_or(0),
    };
    table.end()?;
    Ok(fault)
}

/// `when = "PrepareCommit"`.
fn when(table: &mut Table<'_>, target: Target) -> Result<Option<TransactionState>, Error> {
    let at = table.place_of("when");
    let state = one_of(table, "when", &STATES.map(|(name, _)| name), state_of)?;
    if state.is_some() && target != Target::TransactionCoordinator {
        let what = format!("a transaction's state, aimed at {:?}", target.name());
        let cure = "set target = \"transaction-coordinator\"";
        return Err(table.error("when", at, what, cure));
    }
    Ok(state)
}

fn default_target(kind: FaultKind) -> Target {
    use FaultKind as F;
    match kind {
        F::Wipe | F::Shutdown | F::Roll | F::DiskFull | F::DiskRot | F::DiskError => Target::Broker,
        F::Crash
        | F::Power
        | F::Pause
        | F::Isolate
        | F::Deafen
        | F::Mute
        | F::DiskSlow
        | F::DiskStall
        | F::ClockJump
        | F::ClockFreeze => Target::Server,
        F::Split
        | F::Cut
        | F::Clog
        | F::Reset
        | F::Lag
        | F::Reassign
        | F::Elect
        | F::Churn
        | F::Configure
        | F::Grow => Target::Anyone,
    }
}
