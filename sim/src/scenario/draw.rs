//! Settings that every run draws for itself, by its seed: what a claim should not depend on.

use std::sync::Arc;

use seedlog::rng::Rng;

use super::group::{CommitMode, MemberDelivery};
use super::model::Scenario;
use super::read::Table;
use super::text::{Error, Place};
use super::value::Span;
use crate::world::Seed;

/// One setting, and what it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// `consumer.partition.assignment.strategy`.
    pub key: String,
    pub of: Vec<String>,
    /// Its stream: others draw the same without it.
    number: u64,
    place: Place,
}

impl Draw {
    /// Reads all `[[draw]]` but those whose setting a `--set` gives.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place and its cure.
    pub(super) fn read(root: &mut Table<'_>, overrides: &[String]) -> Result<Vec<Draw>, Error> {
        let tables = root.tables("draw")?;
        let read = |(number, mut table): (u64, Table<'_>)| {
            let place = table.place_of("key");
            let key = table.string("key")?.unwrap_or_default();
            let of: Vec<String> = table.strings("of")?.into_iter().map(|(_, text)| text).collect();
            if of.is_empty() {
                let cure = "add of = [\"..\", \"..\"]";
                return Err(table.error("of", place, "nothing to draw", cure));
            }
            table.end()?;
            Ok(Draw { key, of, number, place })
        };
        let mut draws: Vec<Draw> = (0..).zip(tables).map(read).collect::<Result<_, _>>()?;
        draws.retain(|draw| !overrides.iter().any(|set| draw.is_settled(set)));
        Ok(draws)
    }

    /// Whether a `--set` says what would be drawn, for all or for one application.
    fn is_settled(&self, set: &str) -> bool {
        let key = set.split_once('=').map_or(set, |(key, _)| key).trim();
        let of_app = key.strip_prefix("app.").and_then(|key| key.split_once('.'));
        let of_apps = self.key.split_once('.').filter(|(section, _)| *section != "group");
        key == self.key
            || of_app.is_some_and(|(_, own)| of_apps.is_some_and(|(_, name)| own == name))
    }

    /// Tries everything that may be drawn.
    pub(super) fn check(&self, root: &Table<'_>, scenario: &Scenario) -> Result<(), Error> {
        for value in &self.of {
            let tried = scenario.clone().set(&self.key, value);
            tried.map_err(|(what, cure)| root.error(&self.key, self.place, what, cure))?;
        }
        Ok(())
    }
}

/// What is wrong with a value, and how to mend it.
type Wrong = (String, &'static str);

impl Scenario {
    /// What this seed makes of it.
    ///
    /// # Panics
    /// If a value is refused that was taken when the scenario was read.
    #[must_use]
    pub fn drawn_by(self: &Arc<Self>, seed: Seed) -> Arc<Scenario> {
        if self.draws.is_empty() {
            return Arc::clone(self);
        }
        let mut own = Scenario::clone(self);
        for draw in &self.draws {
            let mut rng: Rng = seed.stream("draw", draw.number, 0);
            let value = &draw.of[rng.index(draw.of.len())];
            own.set(&draw.key, value).expect("it was tried when it was read");
            own.drawn.push((draw.key.clone(), value.clone()));
        }
        own.draws.clear();
        Arc::new(own)
    }

    /// Takes over what a recorded run has drawn.
    pub(crate) fn fix(&mut self, drawn: &[(String, String)]) -> Result<(), String> {
        self.draws.clear();
        for (key, value) in drawn {
            self.set(key, value).map_err(|(what, _)| what)?;
        }
        self.drawn = drawn.to_vec();
        Ok(())
    }

    /// Sets one setting of all clients, applications among them, or of all brokers.
    fn set(&mut self, key: &str, value: &str) -> Result<(), Wrong> {
        let plain = |what: String| (what, "");
        let (section, name) = key.split_once('.').unwrap_or((key, ""));
        match (section, name) {
            ("broker", _) => self.broker.set(name, value).map_err(plain),
            ("consumer", _) => {
                self.consumer.set(name, value).map_err(plain)?;
                self.apps
                    .iter_mut()
                    .try_for_each(|app| Arc::make_mut(app).consumer.set(name, value).map_err(plain))
            }
            ("producer", _) => {
                self.producer.set(name, value).map_err(plain)?;
                self.apps
                    .iter_mut()
                    .try_for_each(|app| Arc::make_mut(app).producer.set(name, value).map_err(plain))
            }
            ("group", "static") => {
                let is_static = boolean(value)?;
                let group = self.group.as_mut().ok_or_else(no_group)?;
                group.is_static = is_static;
                Ok(())
            }
            ("group", "commit") => self.set_commit(value),
            ("group", "work") => {
                let work = Span::parse(value);
                let work = work.ok_or_else(|| plain(format!("{value:?} is no time to work")))?;
                self.group.as_mut().ok_or_else(no_group)?.work = work;
                Ok(())
            }
            ("app", "static") => {
                let is_static = boolean(value)?;
                let all = self.apps.iter_mut();
                all.for_each(|app| Arc::make_mut(app).is_static = is_static);
                Ok(())
            }
            _ => {
                let cure = "draw a setting of [broker], [consumer] or [producer], group.static, \
                            group.commit, group.work or app.static";
                Err(("cannot be drawn".into(), cure))
            }
        }
    }

    fn set_commit(&mut self, value: &str) -> Result<(), Wrong> {
        let mode = CommitMode::parse(value)
            .ok_or_else(|| (format!("unknown commit {value:?}"), "see `sim script`"))?;
        let group = self.group.as_mut().ok_or_else(no_group)?;
        if group.delivery == MemberDelivery::AtMostOnce && mode != CommitMode::Sync {
            return Err((format!("{value:?} at most once"), "at most once needs \"sync\""));
        }
        group.commit = mode;
        self.consumer.enable_auto_commit = mode == CommitMode::Auto;
        Ok(())
    }
}

fn no_group() -> Wrong {
    ("there is no group".into(), "add [group]")
}

fn boolean(value: &str) -> Result<bool, Wrong> {
    value.parse().map_err(|_| (format!("{value:?} is neither true nor false"), ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Scenario, Error> {
        Scenario::parse("s.toml", text, &[])
    }

    #[test]
    fn each_seed_draws_for_itself_and_the_same_again() {
        let text = "# Whoever assigns.\n[workload]\nconsumers = 2\n[group]\nmembers = 2\n\
                    [[draw]]\nkey = \"consumer.partition.assignment.strategy\"\n\
                    of = [\"range\", \"sticky\"]\n\
                    [[draw]]\nkey = \"group.static\"\nof = [\"true\", \"false\"]\n";
        let scenario = Arc::new(parse(text).unwrap_or_else(|error| panic!("{error}")));
        let mut seen: Vec<_> = (0..20).map(|seed| scenario.drawn_by(Seed(seed))).collect();
        assert_eq!(seen[3].drawn, scenario.drawn_by(Seed(3)).drawn);
        for one in &seen {
            let group = one.group.as_ref().expect("it has one");
            let strategy = ("range", "sticky");
            let found = (one.drawn[0].1.as_str(), one.drawn[1].1.as_str());
            assert!(found.0 == strategy.0 || found.0 == strategy.1);
            assert_eq!(found.1, group.is_static.to_string());
        }
        seen.sort_by(|one, other| one.drawn.cmp(&other.drawn));
        seen.dedup_by(|one, other| one.drawn == other.drawn);
        assert_eq!(seen.len(), 4, "all combinations");
    }

    #[test]
    fn what_is_set_is_not_drawn_and_the_rest_is_drawn_as_before() {
        let text = "# Whoever assigns.\n[workload]\nconsumers = 2\n[group]\nmembers = 2\n\
                    [[draw]]\nkey = \"consumer.partition.assignment.strategy\"\n\
                    of = [\"range\", \"sticky\"]\n\
                    [[draw]]\nkey = \"group.static\"\nof = [\"true\", \"false\"]\n";
        let set = "consumer.partition.assignment.strategy=roundrobin";
        let drawn = |overrides: &[String], seed| {
            let scenario = Scenario::parse("s.toml", text, overrides).expect("it reads");
            Arc::new(scenario).drawn_by(Seed(seed)).drawn.clone()
        };
        for seed in 0..8 {
            let [_, other] = &drawn(&[], seed)[..] else { panic!("it draws two") };
            assert_eq!(drawn(&[set.into()], seed), std::slice::from_ref(other));
        }
    }

    #[test]
    fn what_was_drawn_is_taken_over_whatever_the_seed() {
        let text = "# Whoever assigns.\n[[draw]]\nkey = \"broker.producer.epoch.max\"\n\
                    of = [\"5\", \"9\"]\n";
        let mut scenario = parse(text).unwrap_or_else(|error| panic!("{error}"));
        let drawn = [("broker.producer.epoch.max".to_string(), "7".to_string())];
        assert_eq!(scenario.fix(&drawn), Ok(()));
        let later = Arc::new(scenario).drawn_by(Seed(9));
        assert_eq!((later.broker.producer_epoch_max, &later.drawn[..]), (7, &drawn[..]));
    }

    #[test]
    fn what_cannot_be_is_refused_before_a_run_draws_it() {
        for (key, of, what) in [
            ("consumer.fetch.max.byte", "1", "unknown"),
            ("consumer.partition.assignment.strategy", "fair", "fair"),
            ("group.static", "true", "there is no group"),
            ("group.work", "5ms..1ms", "\"5ms..1ms\" is no time to work"),
            ("workload.keys", "1", "cannot be drawn"),
        ] {
            let text = format!("# A.\n[[draw]]\nkey = {key:?}\nof = [{of:?}]\n");
            let error = parse(&text).expect_err("it says something wrong").to_string();
            assert!(error.starts_with("s.toml:3") && error.contains(what), "{error}");
        }
    }
}
