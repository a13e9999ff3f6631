//! From text to a [`Scenario`]: reads every section, applies defaults, refuses what is impossible.

use std::path::Path;
use std::sync::Arc;

use seedlog::config::{
    AdminConfig, BrokerConfig, ConsumerConfig, ControllerConfig, OffsetReset, ProducerConfig,
    QuorumConfig,
};
use seedlog::defect::{Defect, Defects};
use seedlog::ids::TopicName;
use seedlog::time::Duration;

use super::contradiction::{contradictions, place_of_setting};
use super::draw::Draw;
use super::faults::faults;
use super::group::{CommitMode, GroupWork};
use super::model::{Atlas, Cluster, Phases, Scenario, Topic, Workload};
use super::read::{Table, suggestion};
use super::require::{promises, requirements};
use super::script;
use super::surroundings::{clock, disk, network};
use super::text::{Error, Place, Text, read_file};
use super::topics::topics;
use super::transactions::Transactions;
use super::value::{Span, print_duration};
use super::workload::workload;
use crate::app::{self, AppTable, FeedTable, Registry};

pub(super) const MS: fn(u64) -> Duration = Duration::from_millis;

impl Scenario {
    /// Reads a scenario from text; `file` is its name in errors.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place and its cure.
    pub fn parse(file: &str, text: &str, overrides: &[String]) -> Result<Scenario, Error> {
        Scenario::parse_with(file, text, overrides, &Registry::built_in())
    }

    /// Reads a scenario from text that may name those kinds of applications and feeds.
    ///
    /// # Errors
    /// As [`Scenario::parse`].
    pub fn parse_with(
        file: &str,
        text: &str,
        overrides: &[String],
        registry: &Registry,
    ) -> Result<Scenario, Error> {
        let text = Text::parse(file, text, overrides)?;
        let mut root = Table::root(&text);
        let cluster = cluster(&mut root)?;
        let topics = topics(&mut root, &cluster)?;
        let clients = root.place_of("workload");
        let mut workload = workload(&mut root)?;
        let atlas = atlas(&mut root, &cluster, &topics, &workload)?;
        let group = GroupWork::read(&mut root, &workload)?;
        let transactions = Transactions::read(&mut root, &workload)?;
        let consumer = consumer(&mut root, &text, group.as_ref())?;
        let producer = producer(&mut root)?;
        let around = app::Surroundings {
            registry,
            topics: &topics,
            consumer: &consumer,
            producer: &producer,
        };
        let (apps, feeds) = (app::apps(&mut root, &around)?, app::feeds(&mut root, &around)?);
        let store = app::store(&apps, &around);
        give_topics(&root, clients, &mut workload, app::unwritten(&topics, &apps, &feeds))?;
        let names = names(&cluster, &workload, (&apps[..], &feeds[..], store.is_some()));
        let mut broker = settings(&mut root, "broker", BrokerConfig::NAMES, BrokerConfig::set)?;
        keep_small(&text, &cluster, &mut broker);
        let scenario = Scenario {
            name: stem(file),
            file: Arc::clone(&text.file),
            claim: text.claim.clone(),
            overrides: overrides.to_vec(),
            seed: root.number("seed", 0, u64::MAX)?.unwrap_or(1),
            broker,
            controller: controller(&mut root)?,
            quorum: settings(&mut root, "quorum", QuorumConfig::NAMES, QuorumConfig::set)?,
            producer,
            consumer,
            admin: settings(&mut root, "admin", AdminConfig::NAMES, AdminConfig::set)?,
            defects: defects(&mut root)?,
            phases: phases(&mut root)?,
            network: network(&mut root)?,
            disk: disk(&mut root)?,
            clock: clock(&mut root)?,
            faults: faults(&mut root)?,
            swarm: root.boolean("swarm")?.unwrap_or(false),
            atlas,
            steps: script::steps(&mut root, &names)?,
            require: requirements(&mut root, &workload)?,
            violates: promises(&mut root)?,
            draws: Draw::read(&mut root, overrides)?,
            drawn: Vec::new(),
            group,
            assignor: None,
            transactions,
            apps,
            store,
            feeds,
            cluster,
            topics,
            workload,
        };
        scenario.draws.iter().try_for_each(|draw| draw.check(&root, &scenario))?;
        root.end()?;
        contradictions(&text, &scenario)?;
        Ok(scenario)
    }

    /// Reads a scenario file.
    ///
    /// # Errors
    /// If it cannot be read, or says something wrong.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Scenario, Error> {
        Scenario::load_with(path, overrides, &Registry::built_in())
    }

    /// Reads a scenario file that may name those kinds of applications and feeds.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn load_with(
        path: &Path,
        overrides: &[String],
        registry: &Registry,
    ) -> Result<Scenario, Error> {
        let file = path.display().to_string();
        let text = read_file(path, "name a scenario file")?;
        if text.trim().is_empty() {
            let (key, what) = (String::new(), "says nothing".into());
            let cure = "begin with a comment that states its claim".into();
            return Err(Error { place: file, key, what, cure });
        }
        Scenario::parse_with(&file, &text, overrides, registry)
    }
}

fn stem(file: &str) -> String {
    let path = Path::new(file);
    path.file_stem().map_or_else(|| file.to_string(), |stem| stem.to_string_lossy().into_owned())
}

pub(super) fn u32_of(number: u64) -> u32 {
    u32::try_from(number).expect("the range was checked")
}

fn consumer_set(config: &mut ConsumerConfig, name: &str, value: &str) -> Result<(), String> {
    config.set(name, value)
}

/// `transaction.protocol = 1`, of all clients that send transactions.
fn transaction_protocol(root: &mut Table<'_>, producer: &mut ProducerConfig) -> Result<(), Error> {
    let Some(mut table) = root.table("transaction")? else { return Ok(()) };
    let at = table.place_of("protocol");
    if let Some(version) = table.number("protocol", 1, 2)? {
        producer
            .set("transaction.protocol", &version.to_string())
            .map_err(|what| table.error("protocol", at, what, ""))?;
    }
    table.end()
}

/// The settings of consumers: what a scenario leaves open is what its checks need.
fn consumer(
    root: &mut Table<'_>,
    text: &Text,
    group: Option<&GroupWork>,
) -> Result<ConsumerConfig, Error> {
    let mut consumer: ConsumerConfig =
        settings(root, "consumer", ConsumerConfig::NAMES, consumer_set)?;
    if place_of_setting(text, "consumer", "auto.offset.reset").is_none() {
        consumer.auto_offset_reset = OffsetReset::Earliest;
    }
    if let Some(group) = group {
        consumer.enable_auto_commit = group.commit == CommitMode::Auto;
    }
    Ok(consumer)
}

fn producer(root: &mut Table<'_>) -> Result<ProducerConfig, Error> {
    let mut producer = settings(root, "producer", ProducerConfig::NAMES, ProducerConfig::set)?;
    transaction_protocol(root, &mut producer)?;
    Ok(producer)
}

/// What producers write is what nobody else does.
fn give_topics(
    root: &Table<'_>,
    place: Place,
    workload: &mut Workload,
    topics: Vec<TopicName>,
) -> Result<(), Error> {
    if workload.automatic && workload.producers > 0 && topics.is_empty() {
        let what = "nothing is left to write for producers: feeds and applications write all";
        let cure = "set it to 0, or add a topic";
        return Err(root.error("workload.producers", place, what, cure));
    }
    workload.topics = topics;
    Ok(())
}

fn controller(root: &mut Table<'_>) -> Result<ControllerConfig, Error> {
    settings(root, "controller", ControllerConfig::NAMES, ControllerConfig::set)
}

/// Whom a script may name, with its applications, its feeds, and whether there is a store.
fn names(
    cluster: &Cluster,
    workload: &Workload,
    (apps, feeds, store): (&[Arc<AppTable>], &[Arc<FeedTable>], bool),
) -> script::Names {
    script::Names {
        brokers: cluster.brokers,
        controllers: cluster.controllers,
        producers: workload.producers,
        consumers: workload.consumers,
        stores: u32::from(store),
        feeds: u32_of(u64::try_from(feeds.len()).expect("a length fits u64")),
        apps: apps.iter().map(|app| app.instances).sum(),
    }
}

/// Internal topics of a size that fits a short run on few brokers, unless the text says another.
fn keep_small(text: &Text, cluster: &Cluster, broker: &mut BrokerConfig) {
    const PARTITIONS: i32 = 4;
    let given = |name: &str| place_of_setting(text, "broker", name).is_some();
    let factor = i16::try_from(cluster.brokers.min(3)).expect("at most three");
    if !given("offsets.topic.num.partitions") {
        broker.offsets_topic_partitions = PARTITIONS;
    }
    if !given("transaction.state.log.num.partitions") {
        broker.transaction_log_partitions = PARTITIONS;
    }
    if !given("offsets.topic.replication.factor") {
        broker.offsets_topic_replication_factor = factor;
    }
    if !given("transaction.state.log.replication.factor") {
        broker.transaction_log_replication_factor = factor;
    }
}

/// How to mend a setting: its name, unless that is known.
pub(super) fn setting_cure(name: &str, known: &[&str]) -> String {
    if known.contains(&name) { String::new() } else { suggestion(name, known) }
}

/// One section of Kafka settings.
fn settings<C: Default>(
    root: &mut Table<'_>,
    section: &'static str,
    known: &[&str],
    set: fn(&mut C, &str, &str) -> Result<(), String>,
) -> Result<C, Error> {
    let mut config = C::default();
    let Some(table) = root.table(section)? else { return Ok(config) };
    for (place, name, value) in table.settings() {
        set(&mut config, &name, &value).map_err(|what| {
            root.error(&format!("{section}.{name}"), place, what, &setting_cure(&name, known))
        })?;
    }
    Ok(config)
}

fn cluster(root: &mut Table<'_>) -> Result<Cluster, Error> {
    let Some(mut table) = root.table("cluster")? else {
        return Ok(Cluster { brokers: 3, controllers: 3, racks: Vec::new() });
    };
    let place = table.place_of("controllers");
    let cluster = Cluster {
        brokers: u32_of(table.number("brokers", 1, 99)?.unwrap_or(3)),
        controllers: u32_of(table.number("controllers", 1, 9)?.unwrap_or(3)),
        racks: table.strings("racks")?.into_iter().map(|(_, rack)| rack).collect(),
    };
    if cluster.controllers.is_multiple_of(2) {
        let what = format!("{} controllers have no better majority", cluster.controllers);
        return Err(table.error("controllers", place, what, "take an odd number"));
    }
    table.end()?;
    Ok(cluster)
}

/// The time from one to the next: at least so long at its longest, or a run would never end.
pub(super) fn pace(table: &mut Table<'_>, least: Duration) -> Result<Option<Span>, Error> {
    let place = table.place_of("every");
    let Some(every) = table.span("every")? else { return Ok(None) };
    if every.high < least {
        let what = format!("{every} between one and the next: time would stand still");
        let cure = format!("let at least {} pass", print_duration(least));
        return Err(table.error("every", place, what, &cure));
    }
    Ok(Some(every))
}

fn atlas(
    root: &mut Table<'_>,
    cluster: &Cluster,
    topics: &[Topic],
    workload: &Workload,
) -> Result<Atlas, Error> {
    // As many brokers may be away as the scarcest topic still makes progress without.
    let spare = |topic: &Topic| {
        let name = "min.insync.replicas";
        let given = topic.config.iter().find(|(known, _)| **known == *name);
        let min: u32 = given.and_then(|(_, value)| value.parse().ok()).unwrap_or(1);
        topic.replication_factor - min.clamp(1, topic.replication_factor)
    };
    let mut atlas = Atlas {
        on: None,
        brokers: topics.iter().map(spare).min().unwrap_or(0).max(1),
        controllers: (cluster.controllers - 1) / 2,
        require: Vec::new(),
    };
    let Some(mut table) = root.table("atlas")? else { return Ok(atlas) };
    atlas.on = table.boolean("on")?;
    atlas.require = requirements(&mut table, workload)?;
    if let Some(brokers) = table.number("brokers", 0, 99)? {
        atlas.brokers = u32_of(brokers);
    }
    if let Some(controllers) = table.number("controllers", 0, 9)? {
        atlas.controllers = u32_of(controllers);
    }
    table.end()?;
    Ok(atlas)
}

fn phases(root: &mut Table<'_>) -> Result<Phases, Error> {
    let mut phases = Phases { boot: MS(60_000), safety: MS(60_000), liveness: MS(60_000) };
    let Some(mut table) = root.table("phases")? else { return Ok(phases) };
    phases.boot = table.duration("boot")?.unwrap_or(phases.boot);
    phases.safety = table.duration("safety")?.unwrap_or(phases.safety);
    phases.liveness = table.duration("liveness")?.unwrap_or(phases.liveness);
    table.end()?;
    Ok(phases)
}

/// `defects = ["truncate-to-hw"]`, `defects = "none"`.
fn defects(root: &mut Table<'_>) -> Result<Defects, Error> {
    let mut defects = Defects::NONE;
    for (place, name) in root.strings("defects")? {
        if name == "none" {
            continue;
        }
        let Some(defect) = Defect::ALL.iter().find(|defect| defect.id() == name) else {
            let known: Vec<&str> = Defect::ALL.iter().map(|defect| defect.id()).collect();
            let cure = suggestion(&name, &known);
            return Err(root.error("defects", place, format!("unknown defect {name:?}"), &cure));
        };
        defects = defects.with(*defect);
    }
    Ok(defects)
}
