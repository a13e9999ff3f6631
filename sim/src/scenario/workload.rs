//! Reads what clients do.

use seedlog::time::Duration;

use super::model::Workload;
use super::parse::{MS, pace, u32_of};
use super::read::Table;
use super::text::Error;
use super::value::{Range, Span};

pub(super) fn workload(root: &mut Table<'_>) -> Result<Workload, Error> {
    let mut workload = Workload {
        producers: 1,
        consumers: 1,
        every: Span::new(MS(10), MS(10)),
        keys: 16,
        padding: Range::new(0, 64),
        pending: 64,
        records: 0,
        automatic: true,
        poll_records: 500,
        topics: Vec::new(),
    };
    let Some(mut table) = root.table("workload")? else { return Ok(workload) };
    let limit = u64::from(u32::MAX);
    if let Some(producers) = table.number("producers", 0, 1_000)? {
        workload.producers = u32_of(producers);
    }
    if let Some(consumers) = table.number("consumers", 0, 1_000)? {
        workload.consumers = u32_of(consumers);
    }
    let paddings = table.place_of("padding");
    workload.every = pace(&mut table, Duration::from_micros(1))?.unwrap_or(workload.every);
    workload.keys = table.number("keys", 0, 100_000)?.unwrap_or(workload.keys);
    workload.padding = table.range("padding")?.unwrap_or(workload.padding);
    workload.pending = table.number("pending", 1, limit)?.unwrap_or(workload.pending);
    workload.records = table.number("records", 0, limit)?.unwrap_or(workload.records);
    workload.automatic = table.boolean("automatic")?.unwrap_or(workload.automatic);
    workload.poll_records = table.number("poll-records", 1, limit)?.unwrap_or(500);
    if workload.padding.high > 1 << 20 {
        return Err(table.error("padding", paddings, "values above a mebibyte", "pad less"));
    }
    table.end()?;
    Ok(workload)
}
