//! DescribeConfigs (32), IncrementalAlterConfigs (44) and AlterConfigs (33).

use std::sync::Arc;

use kafka_protocol::messages as wire;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::protocol::StrBytes;
use seedlog::error::ErrorCode;
use seedlog::ids::NodeId;
use seedlog::message::admin::{
    AlterConfig, AlterConfigsRequest, AlterConfigsResponse, ConfigChange, ConfigEntry,
    ConfigResource, DescribeConfigsRequest, DescribeConfigsResponse, DescribedConfigs, replacing,
};

use super::convert::{Wire, fields, string};
use super::shape::{I8, Shape, TEXT, TEXTS, list, since};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Type and name of a resource.
fn place(resource: &ConfigResource) -> (i8, StrBytes) {
    match resource {
        ConfigResource::Topic(name) => (TOPIC, string(name)),
        ConfigResource::Broker(None) => (BROKER, StrBytes::new()),
        ConfigResource::Broker(Some(node)) => (BROKER, string(&node.0.to_string())),
    }
}

/// A resource that is none becomes a topic or a broker that cannot exist, and is refused as that.
fn resource(kind: i8, name: &str) -> ConfigResource {
    match (kind, name) {
        (TOPIC, name) => ConfigResource::Topic(name.into()),
        (BROKER, "") => ConfigResource::Broker(None),
        (BROKER, name) => ConfigResource::Broker(Some(name.parse().map_or(NodeId::NONE, NodeId))),
        _ => ConfigResource::Topic("".into()),
    }
}

pub const DESCRIBE_CONFIGS: Shape = &[list(&[I8, TEXT, TEXTS]), I8, since(3, I8)];
fields!(DescribeConfigsRequest = wire::DescribeConfigsRequest { resources = resources });
type Asked = (ConfigResource, Option<Vec<Arc<str>>>);
impl Wire<DescribeConfigsResource> for Asked {
    fn out(&self, version: i16) -> DescribeConfigsResource {
        let (kind, name) = place(&self.0);
        let keys = |keys: &Vec<Arc<str>>| keys.iter().map(|key| key.out(version)).collect();
        let out = DescribeConfigsResource::default().with_resource_type(kind);
        out.with_resource_name(name).with_configuration_keys(self.1.as_ref().map(keys))
    }
    fn back(wire: DescribeConfigsResource, version: i16) -> Self {
        let keys =
            |keys: Vec<StrBytes>| keys.into_iter().map(|key| Wire::back(key, version)).collect();
        let resource = resource(wire.resource_type, &wire.resource_name);
        (resource, wire.configuration_keys.map(keys))
    }
}
fields!(DescribeConfigsResponse = wire::DescribeConfigsResponse { resources = results });
impl Wire<DescribeConfigsResult> for DescribedConfigs {
    fn out(&self, version: i16) -> DescribeConfigsResult {
        let (kind, name) = place(&self.resource);
        DescribeConfigsResult::default()
            .with_resource_type(kind)
            .with_resource_name(name)
            .with_error_code(self.error.out(version))
            .with_configs(self.configs.out(version))
    }
    fn back(wire: DescribeConfigsResult, version: i16) -> Self {
        DescribedConfigs {
            resource: resource(wire.resource_type, &wire.resource_name),
            error: Wire::back(wire.error_code, version),
            configs: Wire::back(wire.configs, version),
        }
    }
}
fields!(ConfigEntry = DescribeConfigsResourceResult {
    name = name, value = value, source = config_source,
});

pub const INCREMENTAL_ALTER_CONFIGS: Shape = &[list(&[I8, TEXT, list(&[TEXT, I8, TEXT])]), I8];
fields!(AlterConfigsRequest = wire::IncrementalAlterConfigsRequest {
    resources = resources, validate_only = validate_only,
});
impl Wire<AlterConfigsResource> for (ConfigResource, Vec<AlterConfig>) {
    fn out(&self, version: i16) -> AlterConfigsResource {
        let (kind, name) = place(&self.0);
        let out = AlterConfigsResource::default().with_resource_type(kind);
        out.with_resource_name(name).with_configs(self.1.out(version))
    }
    fn back(wire: AlterConfigsResource, version: i16) -> Self {
        let resource = resource(wire.resource_type, &wire.resource_name);
        (resource, Wire::back(wire.configs, version))
    }
}
impl Wire<AlterableConfig> for AlterConfig {
    fn out(&self, version: i16) -> AlterableConfig {
        let (operation, value) = match &self.change {
            ConfigChange::Set(value) => (0, Some(value)),
            ConfigChange::Delete => (1, None),
            ConfigChange::Append(value) => (2, Some(value)),
            ConfigChange::Subtract(value) => (3, Some(value)),
        };
        AlterableConfig::default()
            .with_name(self.name.out(version))
            .with_config_operation(operation)
            .with_value(value.map(|value| value.out(version)))
    }
    fn back(wire: AlterableConfig, version: i16) -> Self {
        let value: Arc<str> = Wire::back(wire.value, version);
        let change = match wire.config_operation {
            1 => ConfigChange::Delete,
            2 => ConfigChange::Append(value),
            3 => ConfigChange::Subtract(value),
            _ => ConfigChange::Set(value),
        };
        AlterConfig { name: Wire::back(wire.name, version), change }
    }
}
/// AlterConfigs: its number, newest version and shape. Its answers of versions 1 and 2 are those of
/// IncrementalAlterConfigs of versions 0 and 1, byte for byte.
pub const ALTER_CONFIGS: (i16, i16, Shape) = (33, 2, &[list(&[I8, TEXT, list(&[TEXT, TEXT])]), I8]);
pub fn altered(wire: wire::AlterConfigsRequest, version: i16) -> AlterConfigsRequest {
    let resources = wire.resources.into_iter().map(|wire| {
        let resource = resource(wire.resource_type, &wire.resource_name);
        let named = wire.configs.into_iter();
        let named =
            named.map(|set| (Wire::back(set.name, version), Wire::back(set.value, version)));
        replacing(resource, named.collect())
    });
    AlterConfigsRequest { resources: resources.collect(), validate_only: wire.validate_only }
}
fields!(AlterConfigsResponse = wire::IncrementalAlterConfigsResponse { resources = responses });
impl Wire<AlterConfigsResourceResponse> for (ConfigResource, ErrorCode, Option<String>) {
    fn out(&self, version: i16) -> AlterConfigsResourceResponse {
        let (kind, name) = place(&self.0);
        AlterConfigsResourceResponse::default()
            .with_resource_type(kind)
            .with_resource_name(name)
            .with_error_code(self.1.out(version))
            .with_error_message(self.2.out(version))
    }
    fn back(wire: AlterConfigsResourceResponse, version: i16) -> Self {
        let resource = resource(wire.resource_type, &wire.resource_name);
        let error = Wire::back(wire.error_code, version);
        (resource, error, Wire::back(wire.error_message, version))
    }
}
