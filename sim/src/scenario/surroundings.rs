//! Reads what surrounds processes: networks, disks, clocks.

use seedlog::time::Duration;

use super::model::{Clock, Disk, Network, RatioRange};
use super::parse::MS;
use super::read::Table;
use super::text::Error;
use super::value::{Range, Ratio, Span};

/// A probability, or two that a seed draws between: `"0/1000..5/1000"`.
fn ratio_range(table: &mut Table<'_>, key: &'static str) -> Result<RatioRange, Error> {
    let place = table.place_of(key);
    let Some(text) = table.string(key)? else { return Ok(RatioRange::NEVER) };
    let parsed = match text.split_once("..") {
        Some((low, high)) => Ratio::parse(low).zip(Ratio::parse(high)),
        None => Ratio::parse(&text).map(|ratio| (ratio, ratio)),
    };
    let rises = |low: Ratio, high: Ratio| {
        u128::from(low.numerator) * u128::from(high.denominator)
            <= u128::from(high.numerator) * u128::from(low.denominator)
    };
    match parsed {
        Some((low, high)) if rises(low, high) => Ok(RatioRange { low, high }),
        Some(_) | None => {
            let what = format!("expected a probability such as \"2/1000\", found {text:?}");
            Err(table.error(key, place, what, "or a range of two: \"0/1000..5/1000\""))
        }
    }
}

pub(super) fn network(root: &mut Table<'_>) -> Result<Network, Error> {
    let never = RatioRange::NEVER;
    let delay = Span::new(Duration::from_micros(200), MS(2));
    let Some(mut table) = root.table("network")? else {
        let (loss, duplicate, reorder) = (never, never, never);
        let (corrupt, reset, breaks, ghost) = (never, never, never, never);
        return Ok(Network { delay, loss, duplicate, reorder, corrupt, reset, breaks, ghost });
    };
    let network = Network {
        delay: table.span("delay")?.unwrap_or(delay),
        loss: ratio_range(&mut table, "loss")?,
        duplicate: ratio_range(&mut table, "duplicate")?,
        reorder: ratio_range(&mut table, "reorder")?,
        corrupt: ratio_range(&mut table, "corrupt")?,
        reset: ratio_range(&mut table, "reset")?,
        breaks: ratio_range(&mut table, "break")?,
        ghost: ratio_range(&mut table, "ghost")?,
    };
    table.end()?;
    Ok(network)
}

pub(super) fn disk(root: &mut Table<'_>) -> Result<Disk, Error> {
    let micros = |low, high| Span::new(Duration::from_micros(low), Duration::from_micros(high));
    let mut disk = Disk {
        append: micros(0, 0),
        flush: micros(500, 4_000),
        save: micros(500, 4_000),
        load: micros(50, 500),
    };
    let Some(mut table) = root.table("disk")? else { return Ok(disk) };
    disk.append = table.span("append")?.unwrap_or(disk.append);
    disk.flush = table.span("flush")?.unwrap_or(disk.flush);
    disk.save = table.span("save")?.unwrap_or(disk.save);
    disk.load = table.span("load")?.unwrap_or(disk.load);
    table.end()?;
    Ok(disk)
}

pub(super) fn clock(root: &mut Table<'_>) -> Result<Clock, Error> {
    let none = Span::new(Duration::ZERO, Duration::ZERO);
    let mut clock = Clock { skew: none, drift_ppm: Range::new(0, 0) };
    let Some(mut table) = root.table("clock")? else { return Ok(clock) };
    let drifts = table.place_of("drift-ppm");
    clock.skew = table.span("skew")?.unwrap_or(clock.skew);
    clock.drift_ppm = table.range("drift-ppm")?.unwrap_or(clock.drift_ppm);
    if clock.drift_ppm.high > 500_000 {
        return Err(table.error("drift-ppm", drifts, "more than half", "at most 500000"));
    }
    table.end()?;
    Ok(clock)
}
