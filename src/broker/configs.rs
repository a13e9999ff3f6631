//! DescribeConfigs: what is in force, and where it comes from.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::broker::BrokerSetup;
use crate::config::{BrokerConfig, TopicConfig};
use crate::error::ErrorCode;
use crate::ids::{NodeId, TopicName};
use crate::message::admin::{
    ConfigEntry, ConfigResource, ConfigSource, DescribeConfigsRequest, DescribeConfigsResponse,
    DescribedConfigs,
};
use crate::metadata::Image;

pub(super) fn describe(
    setup: &BrokerSetup,
    image: &Image,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let resources = request.resources.iter();
    DescribeConfigsResponse {
        resources: resources
            .map(|(resource, names)| {
                let configs = match resource {
                    ConfigResource::Topic(name) => topic(image, name),
                    ConfigResource::Broker(node) => broker(setup, image, *node),
                };
                answer(resource, configs, names.as_deref())
            })
            .collect(),
    }
}

fn answer(
    resource: &ConfigResource,
    configs: Result<Vec<ConfigEntry>, ErrorCode>,
    names: Option<&[Arc<str>]>,
) -> DescribedConfigs {
    let asked = |entry: &ConfigEntry| names.is_none_or(|names| names.contains(&entry.name));
    let (error, configs) = match configs {
        Ok(configs) => (ErrorCode::None, configs.into_iter().filter(asked).collect()),
        Err(error) => (error, Vec::new()),
    };
    DescribedConfigs { resource: resource.clone(), error, configs }
}

fn topic(image: &Image, name: &TopicName) -> Result<Vec<ConfigEntry>, ErrorCode> {
    let id = image.names.get(name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let config = image.topic_config(*id).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let own = image.configs.get(&ConfigResource::Topic(name.clone()));
    let shared = image.configs.get(&ConfigResource::Broker(None));
    let entry = |key: &&str| {
        let source = if own.is_some_and(|own| own.contains_key(*key)) {
            ConfigSource::Topic
        } else if shared.is_some_and(|shared| shared.contains_key(*key)) {
            ConfigSource::Broker
        } else {
            ConfigSource::Default
        };
        let value = config.get(key).expect("a listed name has a value").into();
        ConfigEntry { name: (*key).into(), value, source }
    };
    Ok(TopicConfig::NAMES.iter().map(entry).collect())
}

/// The settings of this broker with what it was started with, and what the cluster's metadata holds
/// for it; of another broker only the latter is known here.
fn broker(
    setup: &BrokerSetup,
    image: &Image,
    node: Option<NodeId>,
) -> Result<Vec<ConfigEntry>, ErrorCode> {
    let stored = image.configs.get(&ConfigResource::Broker(node)).into_iter().flatten();
    let mut entries: Vec<ConfigEntry> = stored
        .map(|(name, value)| ConfigEntry {
            name: Arc::clone(name),
            value: Arc::clone(value),
            source: ConfigSource::Broker,
        })
        .collect();
    let Some(node) = node else { return Ok(entries) };
    if node != setup.server.node {
        return Err(ErrorCode::InvalidRequest);
    }
    let default = BrokerConfig::default();
    for name in BrokerConfig::NAMES {
        if entries.iter().any(|entry| *entry.name == **name) {
            continue;
        }
        let value = setup.broker.get(name).expect("a listed name has a value");
        let is_default = default.get(name).as_ref() == Some(&value);
        let source = if is_default { ConfigSource::Default } else { ConfigSource::Static };
        entries.push(ConfigEntry { name: (*name).into(), value: value.into(), source });
    }
    Ok(entries)
}
