//! Reads what a run has to have done.

use std::sync::Arc;

use seedlog::event::Mark;

use super::model::{Requirement, Workload};
use super::read::Table;
use super::text::Error;
use crate::check::Check;
use crate::{run, world};

/// Whether a run counts something under that name.
fn is_counter(name: &str) -> bool {
    if let Some(fault) = name.strip_prefix("fault.") {
        return world::Fault::ALL.iter().any(|known| known.name() == fault);
    }
    if let Some(code) = name.strip_prefix("check.") {
        return Check::ALL.iter().any(|known| known.code() == code);
    }
    if let Some(mark) = name.strip_prefix("sometimes.") {
        return Mark::ALL.iter().any(|known| known.name() == mark);
    }
    run::is_counter(name)
        || matches!(name, "acked" | "consumed" | "consumed.percent" | "leaders" | "controllers")
}

/// `violates = ["R3", "R4"]`.
pub(super) fn promises(root: &mut Table<'_>) -> Result<Vec<Arc<str>>, Error> {
    let mut codes = Vec::new();
    for (place, code) in root.strings("violates")? {
        let checked = Check::ALL.iter().any(|check| check.code() == code);
        if !checked && !run::PROMISES.contains(&&*code) {
            let cure = "write the code of a promise, such as R4; a report lists them";
            return Err(root.error("violates", place, format!("unknown code {code:?}"), cure));
        }
        codes.push(Arc::from(code));
    }
    Ok(codes)
}

/// `require = ["acked >= 100", "fault.crash >= 1"]`.
pub(super) fn requirements(
    root: &mut Table<'_>,
    workload: &Workload,
) -> Result<Vec<Requirement>, Error> {
    let mut list = Vec::new();
    for (place, text) in root.strings("require")? {
        let parsed = text.split_once(">=").and_then(|(name, number)| {
            let name = name.trim();
            let known = is_counter(name);
            let at_least = number.trim().parse().ok().filter(|_| known)?;
            Some(Requirement { name: name.to_string(), at_least })
        });
        let Some(requirement) = parsed else {
            let cure = "write NAME >= NUMBER with acked, consumed, consumed.percent, leaders, \
                        controllers, committed, aborted, fenced, refused, rebalances, rejoins, \
                        coordinators.STATE, \
                        published, received, processed, processed.rate, processed.worst, \
                        applied, failed, retries, deadletters, duplicates, paused, busiest, \
                        malformed, reprocessed, \
                        fault.KIND, check.CODE or sometimes.NAME";
            return Err(root.error("require", place, format!("cannot read {text:?}"), cure));
        };
        let absent = match requirement.name.as_str() {
            "acked" if workload.producers == 0 => Some("producers"),
            "consumed" if workload.consumers == 0 => Some("consumers"),
            _ => None,
        };
        if let Some(clients) = absent.filter(|_| requirement.at_least > 0) {
            let what = format!("{text:?} of no {clients}");
            let cure = format!("raise workload.{clients}, or take it out");
            return Err(root.error("require", place, what, &cure));
        }
        list.push(requirement);
    }
    Ok(list)
}
