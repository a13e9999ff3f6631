//! What consumers do that are members of a group.

use std::sync::Arc;

use seedlog::time::Duration;

use super::model::{Workload, named};
use super::parse::u32_of;
use super::read::{Table, suggestion};
use super::text::{Error, Place};
use super::value::Span;

named!(
    /// Who commits a member's positions.
    CommitMode {
        /// The client, every so often.
        Auto = "auto",
        /// The application, which waits for the answer before it goes on.
        Sync = "sync",
        /// The application, which does not wait.
        Async = "async",
        /// Nobody but a script.
        None = "none",
    }
);

named!(
    /// What a member does first with the records of a poll.
    MemberDelivery {
        /// Its work; then it commits.
        AtLeastOnce = "at-least-once",
        /// It commits; then its work.
        AtMostOnce = "at-most-once",
    }
);

/// Members of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupWork {
    pub id: Arc<str>,
    /// The first so many consumers; the others read everything by themselves.
    pub members: u32,
    pub commit: CommitMode,
    pub delivery: MemberDelivery,
    /// Whether members have names that outlive them (KIP-345): those of their processes.
    pub is_static: bool,
    /// The names of static members, given in turn, so that two may have the same; empty: see
    /// `is_static`.
    pub instances: Vec<Arc<str>>,
    /// How long a member works on what a poll gave it.
    pub work: Span,
    /// How long a member stays before it leaves and joins again; zero: for ever.
    pub stay: Span,
    /// Off: only a script subscribes, polls and commits.
    pub automatic: bool,
}

impl GroupWork {
    /// The name that outlives the member of that number, from 0, whose process has this name.
    #[must_use]
    pub fn instance(&self, number: u32, process: &str) -> Option<Arc<str>> {
        let index = usize::try_from(number).expect("few members");
        let named = self.instances.get(index % self.instances.len().max(1));
        named.cloned().or_else(|| self.is_static.then(|| process.into()))
    }

    /// Reads `[group]`.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place and its cure.
    pub(super) fn read(root: &mut Table<'_>, workload: &Workload) -> Result<Option<Self>, Error> {
        let Some(mut table) = root.table("group")? else { return Ok(None) };
        let none = Span::new(Duration::ZERO, Duration::ZERO);
        let (at, name) = (table.place_of("commit"), table.place_of("id"));
        let members = table.number("members", 1, u64::from(workload.consumers))?;
        let group = GroupWork {
            id: table.string("id")?.unwrap_or_else(|| "g".into()).into(),
            members: members.map_or(workload.consumers, u32_of),
            commit: one_of(&mut table, "commit", CommitMode::NAMES, CommitMode::parse)?
                .unwrap_or(CommitMode::Auto),
            delivery: one_of(&mut table, "delivery", MemberDelivery::NAMES, MemberDelivery::parse)?
                .unwrap_or(MemberDelivery::AtLeastOnce),
            is_static: table.boolean("static")?.unwrap_or(false),
            instances: names(table.strings("instances")?),
            work: table.span("work")?.unwrap_or(none),
            stay: table.span("stay")?.unwrap_or(none),
            automatic: table.boolean("automatic")?.unwrap_or(true),
        };
        if group.id.is_empty() {
            let cure = "name it, or leave the line out";
            return Err(table.error("id", name, "a group needs a name", cure));
        }
        table.end()?;
        if group.delivery == MemberDelivery::AtMostOnce && group.commit != CommitMode::Sync {
            let what =
                format!("{:?}, which knows of no commit before its work", group.commit.name());
            return Err(root.error("group.commit", at, what, "at most once needs \"sync\""));
        }
        Ok(Some(group))
    }
}

fn names(names: Vec<(Place, String)>) -> Vec<Arc<str>> {
    names.into_iter().map(|(_, name)| name.into()).collect()
}

/// One of some words.
pub(super) fn one_of<T>(
    table: &mut Table<'_>,
    key: &'static str,
    known: &[&str],
    parse: fn(&str) -> Option<T>,
) -> Result<Option<T>, Error> {
    let at = table.place_of(key);
    let Some(word) = table.string(key)? else { return Ok(None) };
    match parse(&word) {
        Some(value) => Ok(Some(value)),
        None => {
            let cure = suggestion(&word, known);
            Err(table.error(key, at, format!("unknown {key} {word:?}"), &cure))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::Scenario;

    #[test]
    fn members_have_the_names_that_they_are_given_in_turn_or_those_of_their_processes() {
        for (keys, names) in [
            ("", [None, None, None]),
            ("static = true", [Some("k1"), Some("k2"), Some("k3")]),
            ("instances = [\"a\", \"b\"]", [Some("a"), Some("b"), Some("a")]),
            ("static = true\ninstances = [\"a\"]", [Some("a"), Some("a"), Some("a")]),
        ] {
            let text = format!("# A.\n[workload]\nconsumers = 3\n[group]\n{keys}\n");
            let scenario = Scenario::parse("s.toml", &text, &[]).expect("it is well written");
            let group = scenario.group.expect("it has one");
            for (number, name) in (0..).zip(names) {
                let found = group.instance(number, &format!("k{}", number + 1));
                assert_eq!(found.as_deref(), name, "{keys:?}");
            }
        }
    }
}
