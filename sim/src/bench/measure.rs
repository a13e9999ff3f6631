//! Time and memory of one workload.

use std::fmt;

use serde::Serialize;

/// How often a short workload runs: what else a machine does shows in single runs.
const RUNS: usize = 5;

/// What a workload cost.
#[derive(Clone, Debug, Serialize)]
pub struct Measure {
    pub workload: String,
    /// Inputs delivered.
    pub events: u64,
    pub wall_s: f64,
    /// Processor time of this process, in user and kernel mode.
    pub cpu_s: f64,
    /// Per second of processor time.
    pub events_per_s: f64,
    pub ns_per_event: f64,
    /// The most memory the process held during the workload; 0 where the system does not tell.
    pub peak_rss_mib: f64,
    /// Figures of this workload alone.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

impl Measure {
    /// Runs a workload that answers how many events it delivered.
    #[expect(
        clippy::disallowed_types,
        clippy::disallowed_methods,
        reason = "it measures real time"
    )]
    #[expect(clippy::float_arithmetic, reason = "rates are for people")]
    pub(super) fn of(workload: &str, run: impl FnOnce() -> u64) -> Self {
        forget_peak();
        let (wall, cpu) = (std::time::Instant::now(), cpu_seconds());
        let events = run();
        let (wall_s, cpu_s) = (wall.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        let cpu_s = if cpu_s > 0.0 { cpu_s } else { wall_s };
        let count = float(events);
        Measure {
            workload: workload.to_owned(),
            events,
            wall_s,
            cpu_s,
            events_per_s: (count / cpu_s).round(),
            ns_per_event: cpu_s * 1e9 / count.max(1.0),
            peak_rss_mib: peak_rss_mib(),
            more: serde_json::Map::new(),
        }
    }

    /// The run of a short workload that took the middle of the times.
    pub(super) fn median(run: impl Fn() -> Measure) -> Self {
        let mut runs: Vec<Measure> = (0..RUNS).map(|_| run()).collect();
        runs.sort_by(|a, b| a.cpu_s.total_cmp(&b.cpu_s));
        runs.swap_remove(RUNS / 2)
    }

    /// Adds a figure of this workload alone.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// Adds how much time was simulated, and how much faster than real time that was.
    #[must_use]
    #[expect(clippy::float_arithmetic, reason = "rates are for people")]
    pub(super) fn with_simulated(self, simulated: std::time::Duration) -> Self {
        let simulated = simulated.as_secs_f64();
        let speed = (simulated / self.wall_s).round();
        self.with("simulated_s", rounded(simulated)).with("simulated_over_wall", speed)
    }

    /// One line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("plain fields always serialise")
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Measure { workload, events, cpu_s, events_per_s, ns_per_event, peak_rss_mib, .. } =
            self;
        write!(
            f,
            "{workload:32} {events:>9} events  {cpu_s:>7.3} s cpu  {ns_per_event:>8.1} ns/event  \
             {events_per_s:>11.0} events/s  {peak_rss_mib:>7.1} MiB peak"
        )?;
        self.more.iter().try_for_each(|(name, value)| write!(f, "  {name} {value}"))
    }
}

/// Processor time of an event in microseconds.
#[expect(clippy::float_arithmetic, reason = "rates are for people")]
pub(super) fn per_event_us(measure: &Measure) -> f64 {
    rounded(measure.ns_per_event / 1e3)
}

#[expect(clippy::float_arithmetic, reason = "rates are for people")]
pub(super) fn difference(after: f64, before: f64) -> f64 {
    rounded(after - before)
}

/// To three places.
#[expect(clippy::float_arithmetic, reason = "rates are for people")]
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// A count as a float; exact below 2^53.
fn float(count: u64) -> f64 {
    let (high, low) = (count >> 32, count & u64::from(u32::MAX));
    let part = |part: u64| f64::from(u32::try_from(part).expect("32 bits"));
    #[expect(clippy::float_arithmetic, reason = "a conversion without `as`")]
    let float = part(high) * 4_294_967_296.0 + part(low);
    float
}

/// Processor time of all threads so far; 0 where the system does not tell.
#[expect(clippy::float_arithmetic, reason = "rates are for people")]
fn cpu_seconds() -> f64 {
    let nanos = || {
        let tasks = std::fs::read_dir("/proc/self/task").ok()?;
        let of = |task: std::fs::DirEntry| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        };
        Some(tasks.filter_map(Result::ok).filter_map(of).sum())
    };
    float(nanos().unwrap_or(0)) / 1e9
}

/// Starts the peak anew (Linux: see `proc(5)`, `clear_refs`). Where that fails, the peak is that of
/// the process so far.
fn forget_peak() {
    drop(std::fs::write("/proc/self/clear_refs", "5"));
}

fn peak_rss_mib() -> f64 {
    status_mib("VmHWM:")
}

/// Memory that the process holds now, in MiB.
pub(super) fn rss_mib() -> f64 {
    status_mib("VmRSS:")
}

#[expect(clippy::float_arithmetic, reason = "rates are for people")]
fn status_mib(field: &str) -> f64 {
    let kib = || {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    float(kib().unwrap_or(0)) / 1_024.0
}
