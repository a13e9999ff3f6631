//! Which process of a scenario plays which application.

use std::collections::BTreeMap;
use std::sync::Arc;

use seedlog::config::AppConfig;
use seedlog::ids::TopicName;

use super::table::Surroundings;
use super::{AppTable, FeedTable, ValueFormat};
use crate::scenario::script::{Role, Who};
use crate::scenario::{Scenario, Topic};

/// The kind of the store that stands beside the brokers.
pub const STORE: &str = "store";

/// The store of a scenario, if one of its applications wants one.
#[must_use]
pub fn store(apps: &[Arc<AppTable>], around: &Surroundings<'_>) -> Option<Arc<AppTable>> {
    apps.iter().any(|app| app.store).then(|| {
        Arc::new(AppTable {
            name: STORE.into(),
            kind: around.registry.app(STORE).expect("every registry has a store"),
            instances: 1,
            input: Vec::new(),
            output: Vec::new(),
            changelog: None,
            store: false,
            group: STORE.into(),
            is_static: false,
            format: ValueFormat::Bytes,
            topics: Arc::from([]),
            config: AppConfig::default(),
            consumer: around.consumer.clone(),
            producer: around.producer.clone(),
            makes: None,
            own: BTreeMap::new(),
        })
    })
}

/// The topics that neither a feed nor an application writes.
#[must_use]
pub fn unwritten(
    topics: &[Topic],
    apps: &[Arc<AppTable>],
    feeds: &[Arc<FeedTable>],
) -> Vec<TopicName> {
    let is_written = |topic: &&Topic| {
        feeds.iter().any(|feed| feed.topic == topic.name)
            || apps.iter().any(|app| {
                app.output.contains(&topic.name)
                    || app.changelog.as_ref() == Some(&topic.name)
                    || app.kind.writes(app).contains(&topic.name)
            })
    };
    topics.iter().filter(|topic| !is_written(topic)).map(|topic| topic.name.clone()).collect()
}

impl Scenario {
    /// How many processes play applications.
    #[must_use]
    pub fn app_processes(&self) -> u32 {
        self.apps.iter().map(|app| app.instances).sum()
    }

    /// How many processes feed them.
    #[must_use]
    pub fn feed_processes(&self) -> u32 {
        u32::try_from(self.feeds.len()).expect("few feeds")
    }

    /// What an application's process or a store plays, and the process's place among those that
    /// play the same, from 1.
    #[must_use]
    pub fn cast(&self, who: Who) -> Option<(&Arc<AppTable>, u32)> {
        if who.role == Role::Store {
            return Some((self.store.as_ref()?, who.number));
        }
        let mut left = who.number;
        for app in &self.apps {
            if left <= app.instances {
                return Some((app, left));
            }
            left -= app.instances;
        }
        None
    }
}
