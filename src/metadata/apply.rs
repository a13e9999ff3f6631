//! What each metadata record does to the image.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::config::TopicConfig;
use crate::ids::{NodeId, Offset, PartitionId, TopicId, TopicName};
use crate::message::admin::ConfigResource;
use crate::metadata::record::PartitionChange;
use crate::metadata::{BrokerImage, Image, MetadataRecord, PartitionImage, TopicImage};

/// Which part of the image a record changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    Nothing,
    /// Registered, unregistered, fenced, unfenced or shutting down.
    Broker(NodeId),
    /// A new topic; its partitions follow.
    Topic(TopicId),
    /// A topic is gone with all its partitions and configs.
    TopicRemoved {
        id: TopicId,
        name: TopicName,
        partitions: i32,
    },
    /// A new or changed partition.
    Partition(PartitionId),
    /// A config; for a broker's it may have changed that of all topics.
    Config(ConfigResource),
    ProducerIds,
}

impl Image {
    /// Applies the record at `offset` of the metadata log.
    ///
    /// # Panics
    /// If the record contradicts the image: it names what does not exist, or goes back in an epoch.
    /// Only a controller writes these records, so that is a bug of ours.
    pub fn apply(&mut self, record: &MetadataRecord, offset: Offset) -> Changed {
        if let Some(contradiction) = self.contradiction(record, offset) {
            panic!("metadata record {offset}: {contradiction}: {record:?}");
        }
        match record {
            MetadataRecord::RegisterBroker {
                node,
                epoch,
                incarnation,
                directory,
                endpoint,
                rack,
            } => {
                let broker = BrokerImage {
                    epoch: *epoch,
                    incarnation: *incarnation,
                    directory: *directory,
                    endpoint: endpoint.clone(),
                    rack: rack.clone(),
                    fenced: true,
                    in_controlled_shutdown: false,
                };
                self.brokers.insert(*node, broker);
                Changed::Broker(*node)
            }
            MetadataRecord::UnregisterBroker { node, .. } => {
                self.brokers.remove(node);
                Changed::Broker(*node)
            }
            MetadataRecord::BrokerChange { node, fenced, in_controlled_shutdown, .. } => {
                let broker = self.brokers.get_mut(node).expect("only a registered broker changes");
                broker.fenced = *fenced;
                broker.in_controlled_shutdown = *in_controlled_shutdown;
                Changed::Broker(*node)
            }
            MetadataRecord::Topic { name, id } => self.add_topic(name, *id),
            MetadataRecord::RemoveTopic { id } => self.remove_topic(*id),
            MetadataRecord::Partition { id, state } => {
                let topic =
                    self.topics.get_mut(&id.topic).expect("a topic precedes its partitions");
                topic.partitions.push(Arc::new(state.clone()));
                Changed::Partition(*id)
            }
            MetadataRecord::PartitionChange { id, change } => {
                let topic = self.topics.get_mut(&id.topic).expect("only a known topic changes");
                let index = usize::try_from(id.partition).expect("partitions count from zero");
                let partition = Arc::make_mut(&mut topic.partitions[index]);
                partition.change(change);
                Changed::Partition(*id)
            }
            MetadataRecord::Config { resource, name, value } => {
                self.set_config(resource, name, value.as_ref());
                Changed::Config(resource.clone())
            }
            MetadataRecord::ProducerIds { next, .. } => {
                self.next_producer_id = *next;
                Changed::ProducerIds
            }
            MetadataRecord::NoOp => Changed::Nothing,
        }
    }

    /// Why a record cannot follow on this image, if it cannot: it names what does not exist, or
    /// goes back in an epoch.
    #[must_use]
    pub fn contradiction(&self, record: &MetadataRecord, offset: Offset) -> Option<&'static str> {
        let epoch_of = |node: &NodeId| self.brokers.get(node).map(|broker| broker.epoch);
        let rule = |holds: bool, rule: &'static str| (!holds).then_some(rule);
        match record {
            MetadataRecord::RegisterBroker { node, epoch, .. } => {
                let own = rule(epoch.0 == offset.0, "a broker epoch is its registration's offset");
                let grows = epoch_of(node).is_none_or(|old| old < *epoch);
                own.or(rule(grows, "broker epochs grow"))
            }
            MetadataRecord::UnregisterBroker { node, epoch }
            | MetadataRecord::BrokerChange { node, epoch, .. } => {
                rule(epoch_of(node) == Some(*epoch), "only the registered broker changes")
            }
            MetadataRecord::Topic { name, id } => {
                let fresh = !self.topics.contains_key(id) && !self.names.contains_key(name);
                rule(fresh, "topic names and ids are unique")
            }
            MetadataRecord::RemoveTopic { id } => {
                rule(self.topics.contains_key(id), "only a known topic is removed")
            }
            MetadataRecord::Partition { id, .. } => {
                let count = self.topics.get(&id.topic).map(|topic| topic.partitions.len());
                let next = usize::try_from(id.partition).ok();
                rule(
                    count.is_some() && count == next,
                    "partitions come in order, after their topic",
                )
            }
            MetadataRecord::PartitionChange { id, .. } => {
                rule(self.partition(*id).is_some(), "only a known partition changes")
            }
            MetadataRecord::Config { .. }
            | MetadataRecord::ProducerIds { .. }
            | MetadataRecord::NoOp => None,
        }
    }

    fn add_topic(&mut self, name: &TopicName, id: TopicId) -> Changed {
        let config = self.effective_config(name);
        let topic = TopicImage { name: name.clone(), partitions: Vec::new(), config };
        self.topics.insert(id, topic);
        self.names.insert(name.clone(), id);
        Changed::Topic(id)
    }

    fn remove_topic(&mut self, id: TopicId) -> Changed {
        let topic = self.topics.remove(&id).expect("only a known topic is removed");
        self.names.remove(&topic.name);
        self.configs.remove(&ConfigResource::Topic(topic.name.clone()));
        let partitions = i32::try_from(topic.partitions.len()).expect("partitions are i32");
        Changed::TopicRemoved { id, name: topic.name, partitions }
    }

    fn set_config(&mut self, resource: &ConfigResource, name: &Arc<str>, value: Option<&Arc<str>>) {
        match value {
            Some(value) => {
                let configs = self.configs.entry(resource.clone()).or_default();
                configs.insert(name.clone(), value.clone());
            }
            None => {
                if let Some(configs) = self.configs.get_mut(resource) {
                    configs.remove(name);
                    if configs.is_empty() {
                        self.configs.remove(resource);
                    }
                }
            }
        }
        match resource {
            ConfigResource::Topic(topic) => {
                if let Some(id) = self.names.get(topic).copied() {
                    self.refresh_config(id);
                }
            }
            ConfigResource::Broker(None) => {
                for id in self.names.values().copied().collect::<Vec<_>>() {
                    self.refresh_config(id);
                }
            }
            ConfigResource::Broker(Some(_)) => {}
        }
    }

    pub(super) fn refresh_config(&mut self, id: TopicId) {
        let name = self.topics[&id].name.clone();
        let config = self.effective_config(&name);
        self.topics.get_mut(&id).expect("the topic was just read").config = config;
    }

    /// Kafka's defaults, then the cluster's (the default of all brokers), then the topic's own.
    fn effective_config(&self, topic: &TopicName) -> Arc<TopicConfig> {
        let mut config = TopicConfig::default();
        let layers = [ConfigResource::Broker(None), ConfigResource::Topic(topic.clone())];
        for values in layers.iter().filter_map(|resource| self.configs.get(resource)) {
            overlay(&mut config, values);
        }
        Arc::new(config)
    }
}

/// Sets what a topic knows; a broker's own settings are not a topic's. The controller validates
/// values before it writes them, so one that does not parse leaves the value below it in force.
fn overlay(config: &mut TopicConfig, values: &BTreeMap<Arc<str>, Arc<str>>) {
    for (name, value) in values {
        if TopicConfig::NAMES.contains(&&**name) {
            config.set(name, value).ok();
        }
    }
}

impl PartitionImage {
    fn change(&mut self, change: &PartitionChange) {
        let PartitionChange {
            replicas,
            isr,
            elr,
            last_known_elr,
            leader,
            recovery,
            adding,
            removing,
        } = change;
        let removed = replicas
            .as_ref()
            .is_some_and(|new| self.replicas.iter().any(|replica| !new.contains(replica)));
        for (field, new) in [
            (&mut self.replicas, replicas),
            (&mut self.isr, isr),
            (&mut self.elr, elr),
            (&mut self.last_known_elr, last_known_elr),
            (&mut self.adding, adding),
            (&mut self.removing, removing),
        ] {
            if let Some(new) = new {
                *field = new.as_slice().into();
            }
        }
        if let Some(leader) = leader {
            self.leader = *leader;
        }
        if let Some(recovery) = recovery {
            self.recovery = *recovery;
        }
        // The removed replica must not go on fetching, so the epoch grows for it too.
        if leader.is_some() || removed {
            self.leader_epoch = self.leader_epoch.next();
        }
        self.partition_epoch = self.partition_epoch.next();
    }
}
