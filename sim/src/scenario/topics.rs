//! Reads the topics that exist before the workload starts.

use std::sync::Arc;

use seedlog::config::TopicConfig;

use super::model::{Cluster, Topic};
use super::parse::{setting_cure, u32_of};
use super::read::Table;
use super::text::{Error, Kind, Value};

/// A setting's name and value.
type TextPair = (Arc<str>, Arc<str>);

pub(super) fn topics(root: &mut Table<'_>, cluster: &Cluster) -> Result<Vec<Topic>, Error> {
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
