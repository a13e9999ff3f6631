//! Configs of topics and brokers change (IncrementalAlterConfigs, KIP-339).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::config::{BrokerConfig, TopicConfig};
use crate::controller::election::change_all;
use crate::controller::rules::{Draft, Rules};
use crate::error::ErrorCode;
use crate::ids::NodeId;
use crate::message::admin::{
    AlterConfig, AlterConfigsRequest, AlterConfigsResponse, ConfigChange, ConfigResource,
};
use crate::metadata::{Image, MetadataRecord};

/// Checks a setting of a topic.
///
/// # Errors
/// One line for the user.
pub(super) fn validate_topic_config(name: &str, value: &str) -> Result<(), String> {
    let mut config = TopicConfig::default();
    config.set(name, value)?;
    if config.min_insync_replicas == 0 || config.segment_bytes == 0 || config.segment_records == 0 {
        return Err(format!("{name} = {value:?}: expected at least 1"));
    }
    Ok(())
}

/// Changes configs, those of one resource together or not at all.
pub(super) fn alter_configs(
    draft: &mut Draft<'_>,
    rules: Rules<'_>,
    request: &AlterConfigsRequest,
) -> AlterConfigsResponse {
    let resources = request.resources.iter().map(|(resource, changes)| {
        let records = plan(draft.state(), resource, changes);
        match records {
            Ok(records) => {
                for record in records.into_iter().filter(|_| !request.validate_only) {
                    draft.push(record);
                }
                (resource.clone(), ErrorCode::None, None)
            }
            Err((error, message)) => (resource.clone(), error, Some(message)),
        }
    });
    let resources = resources.collect();
    settle(draft, rules);
    AlterConfigsResponse { resources }
}

/// What follows for partitions from a new min.insync.replicas or from unclean elections allowed: an
/// ISR that is large enough now needs no ELR, and a leader may be there to be elected.
fn settle(draft: &mut Draft<'_>, rules: Rules<'_>) {
    change_all(
        draft,
        rules,
        |partition| !partition.elr.is_empty() || partition.leader == NodeId::NONE,
        |_| {},
    );
}

type Refusal = (ErrorCode, String);

fn plan(
    image: &Image,
    resource: &ConfigResource,
    changes: &[AlterConfig],
) -> Result<Vec<MetadataRecord>, Refusal> {
    check_resource(image, resource)?;
    let refuse = |message: String| (ErrorCode::InvalidConfig, message);
    let mut records = Vec::with_capacity(changes.len());
    for (at, change) in changes.iter().enumerate() {
        if changes[..at].iter().any(|other| other.name == change.name) {
            let message = format!("{} is changed twice", change.name);
            return Err((ErrorCode::InvalidRequest, message));
        }
        let value = match &change.change {
            ConfigChange::Delete => None,
            ConfigChange::Set(value) => Some(value.clone()),
            ConfigChange::Append(item) => {
                Some(edit_list(image, resource, &change.name, item, true).map_err(refuse)?)
            }
            ConfigChange::Subtract(item) => {
                Some(edit_list(image, resource, &change.name, item, false).map_err(refuse)?)
            }
        };
        if let Some(value) = &value {
            validate(resource, &change.name, value).map_err(refuse)?;
        }
        let (resource, name) = (resource.clone(), change.name.clone());
        records.push(MetadataRecord::Config { resource, name, value });
    }
    Ok(records)
}

fn check_resource(image: &Image, resource: &ConfigResource) -> Result<(), Refusal> {
    match resource {
        ConfigResource::Topic(name) if !image.names.contains_key(name) => {
            Err((ErrorCode::UnknownTopicOrPartition, format!("no topic {name:?}")))
        }
        ConfigResource::Broker(Some(node)) if !image.brokers.contains_key(node) => {
            Err((ErrorCode::BrokerIdNotRegistered, format!("no broker {node}")))
        }
        ConfigResource::Topic(_) | ConfigResource::Broker(_) => Ok(()),
    }
}

fn validate(resource: &ConfigResource, name: &str, value: &str) -> Result<(), String> {
    match resource {
        ConfigResource::Broker(_) if BrokerConfig::NAMES.contains(&name) => {
            BrokerConfig::default().set(name, value)
        }
        ConfigResource::Topic(_) | ConfigResource::Broker(_) => validate_topic_config(name, value),
    }
}

/// The value of a list with an item more or less. The one list that there is: `cleanup.policy`.
fn edit_list(
    image: &Image,
    resource: &ConfigResource,
    name: &str,
    item: &str,
    add: bool,
) -> Result<Arc<str>, String> {
    if name != "cleanup.policy" {
        return Err(format!("{name} is no list"));
    }
    let set = image.configs.get(resource).and_then(|configs| configs.get(name));
    let old = set.map_or("delete", |value| value);
    let mut items: Vec<&str> = old.split(',').collect();
    items.retain(|other| *other != item);
    if add {
        items.push(item);
    }
    items.sort_unstable();
    Ok(items.join(",").to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fixture::{self, nodes};
    use crate::ids::Offset;

    fn alter(image: &mut Image, change: (&str, ConfigChange)) -> (ErrorCode, Vec<MetadataRecord>) {
        let (config, mut draft) = (fixture::config(), Draft::over(image, Offset(100)));
        let change = AlterConfig { name: change.0.into(), change: change.1 };
        let request = AlterConfigsRequest {
            validate_only: false,
            resources: [(ConfigResource::Topic("t".into()), [change].into())].into(),
        };
        let response = alter_configs(&mut draft, fixture::rules(&config), &request);
        (response.resources[0].1, draft.finish())
    }

    fn value(image: &Image, name: &str) -> Option<Arc<str>> {
        image.configs.get(&ConfigResource::Topic("t".into()))?.get(name).cloned()
    }

    #[test]
    fn configs_are_validated_set_and_deleted() {
        let mut image = fixture::image(&[1]);
        fixture::topic(&mut image, "t", &[&[1]]);
        let table = [
            ("retention.ms", ConfigChange::Set("5".into()), ErrorCode::None, Some("5")),
            ("retention.ms", ConfigChange::Set("x".into()), ErrorCode::InvalidConfig, Some("5")),
            ("retention.ms", ConfigChange::Append("1".into()), ErrorCode::InvalidConfig, Some("5")),
            ("retention.ms", ConfigChange::Delete, ErrorCode::None, None),
            ("no.such", ConfigChange::Set("5".into()), ErrorCode::InvalidConfig, None),
            ("min.insync.replicas", ConfigChange::Set("0".into()), ErrorCode::InvalidConfig, None),
            (
                "cleanup.policy",
                ConfigChange::Append("compact".into()),
                ErrorCode::None,
                Some("compact,delete"),
            ),
            (
                "cleanup.policy",
                ConfigChange::Subtract("delete".into()),
                ErrorCode::None,
                Some("compact"),
            ),
            (
                "cleanup.policy",
                ConfigChange::Subtract("compact".into()),
                ErrorCode::InvalidConfig,
                Some("compact"),
            ),
        ];
        for (name, change, error, after) in table {
            assert_eq!(alter(&mut image, (name, change)).0, error);
            assert_eq!(value(&image, name).as_deref(), after);
        }
    }

    #[test]
    fn a_lower_min_isr_empties_the_elr_in_the_same_batch() {
        let mut image = fixture::image(&[1, 2, 3]);
        let id = fixture::topic(&mut image, "t", &[&[1, 2, 3]]);
        fixture::set(&mut image, "t", "min.insync.replicas", "2");
        fixture::edit(&mut image, id, |p| {
            (p.isr, p.elr) = (nodes(&[1]).into(), nodes(&[2]).into())
        });
        let change = ("min.insync.replicas", ConfigChange::Set("1".into()));
        let (error, records) = alter(&mut image, change);
        assert_eq!((error, records.len()), (ErrorCode::None, 2));
        assert!(image.partition(id).expect("exists").elr.is_empty());
    }
}
