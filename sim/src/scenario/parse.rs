//! From text to a [`Scenario`]: reads every section, applies defaults, refuses what is impossible.

use std::path::Path;
use std::sync::Arc;

use seedlog::config::{
    AdminConfig, BrokerConfig, ConsumerConfig, ControllerConfig, OffsetReset, ProducerConfig,
    QuorumConfig, TopicConfig,
};
use seedlog::defect::{Defect, Defects};
use seedlog::event::Mark;
use seedlog::time::Duration;

use super::model::{
    Atlas, Clock, Cluster, Disk, Fault, FaultKind, Network, Phases, RatioRange, Requirement,
    Scenario, Target, Topic, Workload,
};
use super::read::{Table, suggestion};
use super::script;
use super::text::{Error, Kind, Place, Text, Value, read_file};
use super::value::{Range, Ratio, Span, print_duration};
use crate::check::Check;
use crate::world;

/// A setting's name and value.
type TextPair = (Arc<str>, Arc<str>);

const MS: fn(u64) -> Duration = Duration::from_millis;

impl Scenario {
    /// Reads a scenario from text; `file` is its name in errors.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place and its cure.
    pub fn parse(file: &str, text: &str, overrides: &[String]) -> Result<Scenario, Error> {
        let text = Text::parse(file, text, overrides)?;
        let mut root = Table::root(&text);
        let cluster = cluster(&mut root)?;
        let topics = topics(&mut root, &cluster)?;
        let workload = workload(&mut root)?;
        let atlas = atlas(&mut root, &cluster, &topics)?;
        let names = script::Names {
            brokers: cluster.brokers,
            controllers: cluster.controllers,
            producers: workload.producers,
            consumers: workload.consumers,
        };
        let mut consumer: ConsumerConfig =
            settings(&mut root, "consumer", ConsumerConfig::NAMES, consumer_set)?;
        if place_of_setting(&text, "consumer", "auto.offset.reset").is_none() {
            consumer.auto_offset_reset = OffsetReset::Earliest;
        }
        let scenario = Scenario {
            name: stem(file),
            file: Arc::clone(&text.file),
            claim: text.claim.clone(),
            overrides: overrides.to_vec(),
            seed: root.number("seed", 0, u64::MAX)?.unwrap_or(1),
            broker: settings(&mut root, "broker", BrokerConfig::NAMES, BrokerConfig::set)?,
            controller: settings(
                &mut root,
                "controller",
                ControllerConfig::NAMES,
                ControllerConfig::set,
            )?,
            quorum: settings(&mut root, "quorum", QuorumConfig::NAMES, QuorumConfig::set)?,
            producer: settings(&mut root, "producer", ProducerConfig::NAMES, ProducerConfig::set)?,
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
            cluster,
            topics,
            workload,
        };
        root.end()?;
        contradictions(&text, &scenario)?;
        Ok(scenario)
    }

    /// Reads a scenario file.
    ///
    /// # Errors
    /// If it cannot be read, or says something wrong.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Scenario, Error> {
        let file = path.display().to_string();
        let text = read_file(path, "name a scenario file")?;
        if text.trim().is_empty() {
            let (key, what) = (String::new(), "says nothing".into());
            let cure = "begin with a comment that states its claim".into();
            return Err(Error { place: file, key, what, cure });
        }
        Scenario::parse(&file, &text, overrides)
    }
}

fn stem(file: &str) -> String {
    let path = Path::new(file);
    path.file_stem().map_or_else(|| file.to_string(), |stem| stem.to_string_lossy().into_owned())
}

fn u32_of(number: u64) -> u32 {
    u32::try_from(number).expect("the range was checked")
}

fn consumer_set(config: &mut ConsumerConfig, name: &str, value: &str) -> Result<(), String> {
    config.set(name, value)
}

/// Where the text itself gives a setting.
fn place_of_setting(text: &Text, section: &'static str, name: &str) -> Option<Place> {
    let table = Table::root(text).table(section).ok()??;
    let found = table.settings().into_iter().find(|(_, key, _)| key == name);
    found.map(|(place, ..)| place)
}

/// Settings that are sound one by one, and not together.
fn contradictions(text: &Text, scenario: &Scenario) -> Result<(), Error> {
    let Scenario { producer, broker, .. } = scenario;
    let wrong = |name: &str, what: String, cure: &str| {
        let place = place_of_setting(text, "producer", name).unwrap_or(text.root.place);
        Err(text.error(place, &format!("producer.{name}"), what, cure))
    };
    if producer.enable_idempotence && producer.max_in_flight > 5 {
        let what = format!("{} in flight with idempotence", producer.max_in_flight);
        let cure = "brokers remember five batches of a producer: lower it";
        return wrong("max.in.flight.requests.per.connection", what, cure);
    }
    if producer.sequence_max != broker.sequence_max {
        let what = format!("{}, but {} at brokers", producer.sequence_max, broker.sequence_max);
        let cure = "set broker.producer.sequence.max to the same";
        return wrong("producer.sequence.max", what, cure);
    }
    let least = producer.linger.saturating_add(producer.request_timeout);
    if producer.delivery_timeout < least {
        let what = format!("{} ms", producer.delivery_timeout.as_millis());
        let cure = "take no less than linger.ms + request.timeout.ms";
        return wrong("delivery.timeout.ms", what, cure);
    }
    Ok(())
}

/// How to mend a setting: its name, unless that is known.
fn setting_cure(name: &str, known: &[&str]) -> String {
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

fn topics(root: &mut Table<'_>, cluster: &Cluster) -> Result<Vec<Topic>, Error> {
    let defaults = match root.table("topic")? {
        Some(table) => topic_settings(root, "topic", table)?,
        None => Vec::new(),
    };
    let tables = root.tables("topics")?;
    let mut topics = Vec::new();
    for table in tables {
        let (place, name) = (table.place_of("name"), table.name("name"));
        let topic = topic(table, cluster, &defaults)?;
        if topics.iter().any(|other: &Topic| other.name == topic.name) {
            let what = format!("a second topic {:?}", topic.name);
            return Err(root.error(&name, place, what, "each has a name of its own"));
        }
        topics.push(topic);
    }
    if topics.is_empty() {
        let replication_factor = cluster.brokers.min(3);
        let config = defaults;
        let (name, partitions, assignments) = ("orders".into(), 1, Vec::new());
        topics.push(Topic { name, partitions, replication_factor, assignments, config });
    }
    Ok(topics)
}

/// Kafka settings of a topic as the admin will send them, after a check.
fn topic_settings(
    root: &Table<'_>,
    section: &str,
    table: Table<'_>,
) -> Result<Vec<TextPair>, Error> {
    let mut config = TopicConfig::default();
    let mut list = Vec::new();
    for (place, name, value) in table.settings() {
        config.set(&name, &value).map_err(|what| {
            let cure = setting_cure(&name, TopicConfig::NAMES);
            root.error(&format!("{section}.{name}"), place, what, &cure)
        })?;
        list.push((Arc::from(name), Arc::from(value)));
    }
    Ok(list)
}

fn topic(mut table: Table<'_>, cluster: &Cluster, defaults: &[TextPair]) -> Result<Topic, Error> {
    let place = table.place_of("name");
    let counted = [table.place_of("partitions"), table.place_of("replication-factor")];
    let Some(name) = table.string("name")? else {
        return Err(table.error("name", place, "a topic without a name", "add name = \"orders\""));
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 249 || !name.chars().all(legal) {
        let cure = "letters, digits, '.', '_' and '-', 249 of them at most";
        return Err(table.error("name", place, format!("{name:?} names no topic"), cure));
    }
    let assignments = assignments(&mut table, cluster)?;
    let count = u64::try_from(assignments.len()).expect("a length fits u64");
    let partitions = table.number("partitions", 1, 10_000)?;
    if let (Some(partitions), true) = (partitions, count > 0)
        && partitions != count
    {
        let what = format!("{partitions} partitions, but assignments for {count}");
        return Err(table.error("partitions", counted[0], what, "take one of them out"));
    }
    let given = table.number("replication-factor", 1, 99)?;
    let default = assignments.first().map_or(u64::from(cluster.brokers.min(3)), |first| {
        u64::try_from(first.len()).expect("a length fits u64")
    });
    let replication_factor = u32_of(given.unwrap_or(default));
    if replication_factor > cluster.brokers {
        let what = format!("{replication_factor} replicas on {} brokers", cluster.brokers);
        let cure = "lower it, or raise cluster.brokers";
        return Err(table.error("replication-factor", counted[1], what, cure));
    }
    let mut config = defaults.to_vec();
    if let Some(own) = table.table("config")? {
        let section = table.name("config");
        for (name, value) in topic_settings(&table.nameless(), &section, own)? {
            config.retain(|(known, _)| *known != name);
            config.push((name, value));
        }
    }
    let partitions = u32_of(if count > 0 { count } else { partitions.unwrap_or(1) });
    table.end()?;
    Ok(Topic { name: name.into(), partitions, replication_factor, assignments, config })
}

/// `assignments = [[1, 2, 3], [2, 3, 1]]`: brokers by partition.
fn assignments(table: &mut Table<'_>, cluster: &Cluster) -> Result<Vec<Vec<u32>>, Error> {
    let Some(value) = table.take("assignments") else { return Ok(Vec::new()) };
    let wrong = |place, what: String| {
        let cure = "write a list of broker numbers for each partition: [[1, 2, 3]]";
        Err(table.error("assignments", place, what, cure))
    };
    let Kind::Array(rows) = &value.kind else {
        return wrong(value.place, format!("expected an array, found {}", value.kind.name()));
    };
    let mut partitions: Vec<Vec<u32>> = Vec::new();
    for row in rows {
        let Kind::Array(items) = &row.kind else {
            return wrong(row.place, format!("expected an array, found {}", row.kind.name()));
        };
        let mut replicas = Vec::new();
        for item in items {
            match broker_number(item, cluster) {
                Some(broker) if !replicas.contains(&broker) => replicas.push(broker),
                Some(broker) => return wrong(item.place, format!("broker {broker} twice")),
                None => {
                    let what = format!("not a broker from 1 to {}", cluster.brokers);
                    return wrong(item.place, what);
                }
            }
        }
        let first = partitions.first().map_or(replicas.len(), Vec::len);
        if replicas.is_empty() || replicas.len() != first {
            return wrong(row.place, "partitions with different numbers of replicas".into());
        }
        partitions.push(replicas);
    }
    Ok(partitions)
}

fn broker_number(item: &Value, cluster: &Cluster) -> Option<u32> {
    let Kind::Integer(digits) = &item.kind else { return None };
    let broker: u32 = digits.parse().ok()?;
    (1..=cluster.brokers).contains(&broker).then_some(broker)
}

fn workload(root: &mut Table<'_>) -> Result<Workload, Error> {
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

/// The time from one to the next: at least so long at its longest, or a run would never end.
fn pace(table: &mut Table<'_>, least: Duration) -> Result<Option<Span>, Error> {
    let place = table.place_of("every");
    let Some(every) = table.span("every")? else { return Ok(None) };
    if every.high < least {
        let what = format!("{every} between one and the next: time would stand still");
        let cure = format!("let at least {} pass", print_duration(least));
        return Err(table.error("every", place, what, &cure));
    }
    Ok(Some(every))
}

fn atlas(root: &mut Table<'_>, cluster: &Cluster, topics: &[Topic]) -> Result<Atlas, Error> {
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
    };
    let Some(mut table) = root.table("atlas")? else { return Ok(atlas) };
    atlas.on = table.boolean("on")?;
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

fn network(root: &mut Table<'_>) -> Result<Network, Error> {
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

fn disk(root: &mut Table<'_>) -> Result<Disk, Error> {
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

fn clock(root: &mut Table<'_>) -> Result<Clock, Error> {
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

fn faults(root: &mut Table<'_>) -> Result<Vec<Fault>, Error> {
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
    let fault = Fault {
        kind,
        target,
        every: pace(&mut table, MS(1))?.unwrap_or(Span::new(MS(2_000), MS(10_000))),
        lasts: table.span("for")?.unwrap_or(Span::new(MS(500), MS(5_000))),
        exists: table.ratio("exists")?.unwrap_or(Ratio::new(1, 1)),
        amount: table.span("amount")?.unwrap_or(Span::new(MS(10), MS(500))),
        count: table.number("count", 0, u64::from(u32::MAX))?.unwrap_or(0),
    };
    table.end()?;
    Ok(fault)
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
    matches!(name, "acked" | "consumed" | "consumed.percent" | "leaders" | "controllers")
}

/// `require = ["acked >= 100", "fault.crash >= 1"]`.
fn requirements(root: &mut Table<'_>, workload: &Workload) -> Result<Vec<Requirement>, Error> {
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
                        controllers, fault.KIND, check.CODE or sometimes.NAME";
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
