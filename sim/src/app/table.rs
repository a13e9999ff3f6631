//! Reads `[[app]]` and `[[feed]]`.

use std::collections::BTreeMap;
use std::sync::Arc;

use seedlog::config::{AppConfig, ConsumerConfig, Delivery, ProducerConfig, Setting as _};
use seedlog::ids::TopicName;
use seedlog::time::Duration;

use super::{AppKind, HostedFeed, Registry, ValueFormat};
use crate::check::{Duty, Makes, Promise};
use crate::scenario::Error;
use crate::scenario::read::{Table, suggestion};
use crate::scenario::text::Place;
use crate::scenario::value::{Ratio, Span, parse_duration};

/// What an `[[app]]` says of every kind.
#[derive(Clone, Debug)]
pub struct AppTable {
    /// The kind's name.
    pub name: Arc<str>,
    pub kind: Box<dyn AppKind>,
    /// Processes of it.
    pub instances: u32,
    pub input: Vec<TopicName>,
    pub output: Vec<TopicName>,
    /// Where it keeps its state, partition by partition as its input has them.
    pub changelog: Option<TopicName>,
    /// Whether it has a store beside the brokers.
    pub store: bool,
    pub group: Arc<str>,
    /// Whether its members have names that outlive them (KIP-345): those of their processes.
    pub is_static: bool,
    /// How its values are written and read.
    pub format: ValueFormat,
    /// All topics of the scenario.
    pub topics: Arc<[TopicName]>,
    pub config: AppConfig,
    pub consumer: ConsumerConfig,
    pub producer: ProducerConfig,
    /// What its user says is due of each record.
    pub makes: Option<Makes>,
    /// Its keys that a user has added to the kind.
    pub own: BTreeMap<Arc<str>, Arc<str>>,
}

impl AppTable {
    /// How often it delivers.
    #[must_use]
    pub fn promise(&self) -> Promise {
        match self.config.delivery {
            Delivery::AtMostOnce => Promise::AtMostOnce,
            Delivery::AtLeastOnce => Promise::AtLeastOnce,
            Delivery::ExactlyOnce => Promise::ExactlyOnce,
        }
    }

    /// What it owes of each record, as far as its user has said.
    #[must_use]
    pub fn duty(&self) -> Duty {
        Duty {
            inputs: self.input.clone(),
            outputs: self.output.clone(),
            others: self.kind.writes(self).into_iter().chain(self.changelog.clone()).collect(),
            group: Arc::clone(&self.group),
            promise: self.promise(),
            makes: self.makes.clone(),
        }
    }

    #[must_use]
    pub fn is_exactly_once(&self) -> bool {
        self.config.delivery == Delivery::ExactlyOnce
    }
}

/// What a `[[feed]]` says of every kind.
#[derive(Clone, Debug)]
pub struct FeedTable {
    pub name: Arc<str>,
    pub feed: Box<dyn HostedFeed>,
    pub format: ValueFormat,
    pub topic: TopicName,
    /// Time between two sends.
    pub every: Span,
    /// Sends that may be unanswered.
    pub pending: u64,
    /// Stop after so many new records; 0: go on.
    pub records: u64,
    /// How often a record is sent once more although it was acknowledged.
    pub repeat: Ratio,
}

/// What the tables are read against.
pub struct Surroundings<'a> {
    pub registry: &'a Registry,
    pub topics: &'a [crate::scenario::Topic],
    /// What `[consumer]` and `[producer]` say: an application begins with that.
    pub consumer: &'a ConsumerConfig,
    pub producer: &'a ProducerConfig,
}

/// Reads all `[[app]]`.
///
/// # Errors
/// The first thing that is wrong, with its place and its cure.
pub fn apps(root: &mut Table<'_>, around: &Surroundings<'_>) -> Result<Vec<Arc<AppTable>>, Error> {
    let mut apps = Vec::new();
    for table in root.tables("app")? {
        let app = app(table, around, &apps)?;
        apps.push(Arc::new(app));
    }
    Ok(apps)
}

/// Reads all `[[feed]]`.
///
/// # Errors
/// The first thing that is wrong, with its place and its cure.
pub fn feeds(
    root: &mut Table<'_>,
    around: &Surroundings<'_>,
) -> Result<Vec<Arc<FeedTable>>, Error> {
    root.tables("feed")?.into_iter().map(|table| Ok(Arc::new(feed(table, around)?))).collect()
}

/// The kind that a table names, and where.
fn kind(table: &mut Table<'_>, what: &str, known: &[&str]) -> Result<(Place, String), Error> {
    let (place, at) = (table.place(), table.place_of("kind"));
    match table.string("kind")? {
        Some(name) if known.contains(&&*name) => Ok((at, name)),
        Some(name) => {
            let what = format!("unknown kind of {what} {name:?}");
            Err(table.error("kind", at, what, &suggestion(&name, known)))
        }
        None => {
            let cure = format!("add kind = {:?}", known.first().unwrap_or(&"mine"));
            Err(table.error("kind", place, "it has no kind", &cure))
        }
    }
}

/// The format that a table names, of those that its kind knows.
fn format(table: &mut Table<'_>, kind: &str, known: &[ValueFormat]) -> Result<ValueFormat, Error> {
    let at = table.place_of("format");
    let Some(name) = table.string("format")? else { return Ok(known[0]) };
    if let Some(format) = known.iter().find(|format| format.name() == name) {
        return Ok(*format);
    }
    let what = match ValueFormat::ALL.iter().any(|format| format.name() == name) {
        true => format!("a {kind} has no values in {name}"),
        false => format!("unknown format {name:?}"),
    };
    let names: Vec<&str> = known.iter().map(|format| format.name()).collect();
    Err(table.error("format", at, what, &format!("one of: {}", names.join(", "))))
}

/// Topics of the scenario under one key.
fn topics(
    table: &mut Table<'_>,
    key: &'static str,
    around: &Surroundings<'_>,
) -> Result<Vec<TopicName>, Error> {
    let named = table.strings(key)?;
    known(table, key, named, around)
}

/// The topics of these names.
fn known(
    table: &Table<'_>,
    key: &'static str,
    named: Vec<(Place, String)>,
    around: &Surroundings<'_>,
) -> Result<Vec<TopicName>, Error> {
    let known: Vec<&str> = around.topics.iter().map(|topic| &*topic.name).collect();
    let topic =
        |(place, name): (Place, String)| match around.topics.iter().find(|t| *t.name == *name) {
            Some(topic) => Ok(topic.name.clone()),
            None => {
                let what = format!("there is no topic {name:?}");
                Err(table.error(key, place, what, &suggestion(&name, &known)))
            }
        };
    named.into_iter().map(topic).collect()
}

/// The changelog, if there is one: `none` and nothing at all take out one that was named.
fn changelog(table: &mut Table<'_>, around: &Surroundings<'_>) -> Result<Option<TopicName>, Error> {
    let mut named = table.strings("changelog")?;
    named.retain(|(_, name)| !name.is_empty() && name != "none");
    Ok(known(table, "changelog", named, around)?.pop())
}

/// Where the keys of an `[[app]]` stand, or the table itself if it has none such.
struct Places {
    table: Place,
    input: Place,
    output: Place,
    changelog: Place,
    group: Place,
}

/// One of an application's inputs that what it writes comes back to, by way of the others.
fn comes_back<'a>(app: &'a AppTable, others: &'a [Arc<AppTable>]) -> Option<&'a TopicName> {
    let mut reached: Vec<&TopicName> = app.output.iter().collect();
    let mut next = 0;
    while let Some(topic) = reached.get(next).copied() {
        next += 1;
        let readers = others.iter().filter(|other| other.input.contains(topic));
        for output in readers.flat_map(|reader| reader.output.iter().chain(&reader.changelog)) {
            if !reached.contains(&output) {
                reached.push(output);
            }
        }
    }
    reached.into_iter().find(|topic| app.input.contains(topic))
}

/// Refuses an application that has nowhere to read or write, or nobody to be.
fn has_its_topics(
    table: &Table<'_>,
    app: &AppTable,
    places: &Places,
    around: &Surroundings<'_>,
    others: &[Arc<AppTable>],
) -> Result<(), Error> {
    if app.input.is_empty() {
        return Err(table.error(
            "input",
            places.input,
            "it has no input",
            "name a topic of the scenario",
        ));
    }
    if app.group.is_empty() {
        let cure = "name it, or leave the line out";
        return Err(table.error("group", places.group, "a group needs a name", cure));
    }
    let looped = |topic: &&TopicName| app.input.contains(topic);
    let outputs = app.output.iter().find(looped).map(|topic| ("output", places.output, topic));
    let logs = app.changelog.iter().find(looped);
    if let Some((key, place, topic)) =
        outputs.or(logs.map(|topic| ("changelog", places.changelog, topic)))
    {
        let what = format!("it would work on what it writes itself: {topic:?}");
        return Err(table.error(key, place, what, "name another topic"));
    }
    if let Some(topic) = comes_back(app, others) {
        let what = format!("by way of the applications above it comes back to {topic:?}");
        let cure = "name a topic that none of them reads: records would go round for ever";
        return Err(table.error("output", places.output, what, cure));
    }
    let partitions = |name: &TopicName| {
        around.topics.iter().find(|topic| topic.name == *name).map(|topic| topic.partitions)
    };
    if let Some(changelog) = &app.changelog
        && (app.input.len() > 1 || partitions(changelog) != partitions(&app.input[0]))
    {
        let cure = "give it as many partitions as the one input has";
        return Err(table.error(
            "changelog",
            places.changelog,
            "it does not follow the input",
            cure,
        ));
    }
    if app.output.is_empty() && app.kind.needs_output() {
        return Err(table.error(
            "output",
            places.input,
            "it has no output",
            "name a topic of the scenario",
        ));
    }
    Ok(())
}

/// One `[[app]]`; the others are those before it.
fn app(
    mut table: Table<'_>,
    around: &Surroundings<'_>,
    others: &[Arc<AppTable>],
) -> Result<AppTable, Error> {
    let (_, name) = kind(&mut table, "application", &around.registry.app_names())?;
    let kind = around.registry.app(&name).expect("the name is one of the registry");
    let places = Places {
        table: table.place(),
        input: table.place_of("input"),
        output: table.place_of("output"),
        changelog: table.place_of("changelog"),
        group: table.place_of("group"),
    };
    let mut app = AppTable {
        instances: u32::try_from(table.number("instances", 1, 100)?.unwrap_or(1))
            .expect("the range was checked"),
        input: topics(&mut table, "input", around)?,
        output: topics(&mut table, "output", around)?,
        changelog: changelog(&mut table, around)?,
        store: table.boolean("store")?.unwrap_or(false),
        group: table.word("group")?.unwrap_or_else(|| name.clone()).into(),
        is_static: table.boolean("static")?.unwrap_or(false),
        format: format(&mut table, &name, kind.formats())?,
        topics: around.topics.iter().map(|topic| topic.name.clone()).collect(),
        config: AppConfig::default(),
        consumer: around.consumer.clone(),
        producer: around.producer.clone(),
        makes: around.registry.makes(&name),
        own: BTreeMap::new(),
        name: name.into(),
        kind,
    };
    has_its_topics(&table, &app, &places, around, others)?;
    let (path, prefix) = (table.nameless(), table.name(""));
    let mut settings = BTreeMap::new();
    for (place, key, value) in table.settings() {
        let own = around.registry.keys(&app.name);
        let result = set(&mut app, own, &key, &value);
        result
            .map_err(|(what, cure)| path.error(&format!("{prefix}.{key}"), place, what, &cure))?;
        settings.insert(key, place);
    }
    settings.insert("changelog".into(), places.changelog);
    app.store |= app.kind.wants_store();
    let named = app.config.delivery;
    app.config.delivery = app.kind.delivery().unwrap_or(named);
    if let Some((key, what, cure)) = useless(&app, named, |key| settings.contains_key(key)) {
        return Err(path.error(&format!("{prefix}.{key}"), settings[key], what, cure));
    }
    if let Some((key, what, cure)) = app.kind.refuses(&app) {
        let place = if key == "changelog" { places.changelog } else { places.input };
        return Err(path.error(&format!("{prefix}.{key}"), place, what, cure));
    }
    if let Some(topic) = app.kind.writes(&app).iter().find(|topic| !app.topics.contains(topic)) {
        let what = format!("there is no topic {topic:?}, which it writes");
        return Err(path.error(&prefix, places.table, what, "add it as one of [[topics]]"));
    }
    Ok(app)
}

/// A key that its delivery mode has no use for: what is wrong with it, and its cure.
fn useless(
    app: &AppTable,
    named: Delivery,
    has: impl Fn(&str) -> bool,
) -> Option<(&'static str, String, &'static str)> {
    let delivery = app.config.delivery;
    if has("delivery") && named != delivery {
        let what = format!("this {} is {} only", app.name, delivery.print());
        return Some(("delivery", what, "take it out"));
    }
    // Where the kind decides, it has a use for these in another design.
    if app.kind.delivery().is_some() {
        return None;
    }
    if has("workers") && app.is_exactly_once() {
        let what = "a transaction takes its records one after another";
        return Some(("workers", what.into(), "take it out"));
    }
    if app.changelog.is_some() && !app.is_exactly_once() {
        let cure = "set delivery = \"exactly-once\", or changelog = \"none\"";
        return Some(("changelog", "only exactly-once keeps its state there".into(), cure));
    }
    None
}

/// One setting of its own kind, or of its clients.
fn set(
    app: &mut AppTable,
    own: &[Arc<str>],
    key: &str,
    value: &str,
) -> Result<(), (String, String)> {
    let plain = |what: String| (what, String::new());
    if app.kind.keys().contains(&key) {
        return app.kind.set(key, value).map_err(plain);
    }
    if own.iter().any(|name| **name == *key) {
        app.own.insert(key.into(), value.into());
        return Ok(());
    }
    let (hosts, consumes, produces) = (
        AppConfig::NAMES.contains(&key),
        ConsumerConfig::NAMES.contains(&key),
        ProducerConfig::NAMES.contains(&key),
    );
    if hosts {
        app.config.set(key, value).map_err(plain)?;
    }
    if consumes {
        app.consumer.set(key, value).map_err(plain)?;
    }
    if produces {
        app.producer.set(key, value).map_err(plain)?;
    }
    if hosts || consumes || produces {
        return Ok(());
    }
    let mut known = vec![
        "kind",
        "instances",
        "input",
        "output",
        "changelog",
        "store",
        "group",
        "static",
        "format",
    ];
    known.extend(app.kind.keys());
    known.extend(own.iter().map(|name| &**name));
    known.extend(AppConfig::NAMES);
    known.extend(ConsumerConfig::NAMES);
    known.extend(ProducerConfig::NAMES);
    Err(("unknown key".into(), suggestion(key, &known)))
}

fn feed(mut table: Table<'_>, around: &Surroundings<'_>) -> Result<FeedTable, Error> {
    let (_, name) = kind(&mut table, "feed", &around.registry.feed_names())?;
    let at = table.place_of("topic");
    let topic = topics(&mut table, "topic", around)?;
    let [topic] = &topic[..] else {
        return Err(table.error("topic", at, "a feed fills one topic", "name one"));
    };
    let millis = Duration::from_millis;
    let every = table.place_of("every");
    let limit = u64::from(u32::MAX);
    let mut own = around.registry.feed(&name).expect("the name is one of the registry");
    let format = format(&mut table, &name, own.formats())?;
    own.write_in(format);
    let mut feed = FeedTable {
        feed: own,
        format,
        topic: topic.clone(),
        every: table.span("every")?.unwrap_or(Span::new(millis(10), millis(10))),
        pending: table.number("pending", 1, limit)?.unwrap_or(64),
        records: table.number("records", 0, limit)?.unwrap_or(0),
        repeat: table.ratio("repeat")?.unwrap_or(Ratio::NEVER),
        name: name.into(),
    };
    if feed.every.high < Duration::from_micros(1) {
        let what = format!("{} between one and the next: time would stand still", feed.every);
        return Err(table.error("every", every, what, "let at least 1us pass"));
    }
    let (path, prefix) = (table.nameless(), table.name(""));
    for (place, key, value) in table.settings() {
        let known = feed.feed.keys();
        let result = if known.contains(&&*key) {
            feed.feed.set(&key, &value).map_err(|what| (what, String::new()))
        } else {
            let mut all = vec!["kind", "topic", "format", "every", "pending", "records", "repeat"];
            all.extend(known);
            Err(("unknown key".into(), suggestion(&key, &all)))
        };
        result
            .map_err(|(what, cure)| path.error(&format!("{prefix}.{key}"), place, what, &cure))?;
    }
    Ok(feed)
}

/// A duration among a kind's own keys.
///
/// # Errors
/// What it has to be.
pub fn duration(value: &str) -> Result<Duration, String> {
    parse_duration(value)
        .ok_or_else(|| format!("expected a duration such as \"10s\", found {value:?}"))
}

/// A whole number among a kind's own keys.
///
/// # Errors
/// What it has to be.
pub fn number<T: std::str::FromStr>(value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("expected a whole number, found {value:?}"))
}
