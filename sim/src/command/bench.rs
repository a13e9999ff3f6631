//! `sim bench`: how fast the simulator is here.

use std::io::stdout;

use super::cli::BenchArgs;
use crate::bench;

/// `sim bench`.
///
/// # Errors
/// The line to show to the user.
pub fn command(args: &BenchArgs) -> Result<u8, String> {
    if let Some(unknown) = args
        .workloads
        .iter()
        .find(|filter| !bench::workloads().any(|workload| workload.contains(filter.as_str())))
    {
        let known: Vec<&str> = bench::workloads().collect();
        return Err(format!("no workload {unknown:?}; there are: {}", known.join(", ")));
    }
    bench::run(&args.workloads, args.json, &mut stdout()).map_err(|error| error.to_string())?;
    Ok(0)
}
