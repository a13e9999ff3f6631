//! Images for tests.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::config::ControllerConfig;
use crate::controller::rules::Rules;
use crate::defect::Defects;
use crate::ids::{
    BrokerEpoch, Endpoint, LeaderEpoch, NodeId, Offset, PartitionEpoch, PartitionId, Uuid,
};
use crate::message::admin::ConfigResource;
use crate::message::partition::LeaderRecovery;
use crate::metadata::{Image, MetadataRecord, PartitionImage};

pub fn nodes(ids: &[i32]) -> Vec<NodeId> {
    ids.iter().map(|id| NodeId(*id)).collect()
}

pub fn config() -> ControllerConfig {
    ControllerConfig::default()
}

pub fn rules(config: &ControllerConfig) -> Rules<'_> {
    Rules { config, defects: Defects::NONE }
}

/// An image with these brokers, unfenced; a broker's epoch is its id.
pub fn image(brokers: &[i32]) -> Image {
    let mut image = Image::default();
    for node in brokers {
        broker(&mut image, *node);
    }
    image
}

pub fn broker(image: &mut Image, id: i32) {
    let (node, epoch) = (NodeId(id), BrokerEpoch(id.into()));
    let word = id.unsigned_abs();
    let register = MetadataRecord::RegisterBroker {
        node,
        epoch,
        incarnation: Uuid([word, 0, 0, 1]),
        directory: Uuid([word, 0, 0, 2]),
        endpoint: Endpoint { host: "b".into(), port: 9092 },
        rack: None,
    };
    image.apply(&register, Offset(epoch.0));
    set_broker(image, id, false, false);
}

pub fn set_broker(image: &mut Image, id: i32, fenced: bool, in_controlled_shutdown: bool) {
    let node = NodeId(id);
    let epoch = image.brokers[&node].epoch;
    let change = MetadataRecord::BrokerChange { node, epoch, fenced, in_controlled_shutdown };
    image.apply(&change, Offset(50));
}

pub fn fence(image: &mut Image, id: i32) {
    set_broker(image, id, true, false);
}

/// A topic; all replicas are in sync, the first leads. Gives the first partition.
pub fn topic(image: &mut Image, name: &str, partitions: &[&[i32]]) -> PartitionId {
    let topic = Uuid([u32::try_from(image.topics.len()).expect("few"), 0, 0, 9]);
    image.apply(&MetadataRecord::Topic { name: name.into(), id: topic }, Offset(51));
    for (partition, replicas) in (0..).zip(partitions) {
        let replicas: Arc<[NodeId]> = nodes(replicas).into();
        let state = PartitionImage {
            isr: replicas.clone(),
            leader: replicas[0],
            replicas,
            elr: Arc::default(),
            last_known_elr: Arc::default(),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            recovery: LeaderRecovery::Recovered,
            adding: Arc::default(),
            removing: Arc::default(),
        };
        let id = PartitionId { topic, partition };
        image.apply(&MetadataRecord::Partition { id, state }, Offset(52));
    }
    PartitionId { topic, partition: 0 }
}

pub fn set(image: &mut Image, topic: &str, name: &str, value: &str) {
    let resource = ConfigResource::Topic(topic.into());
    let (name, value) = (name.into(), Some(value.into()));
    image.apply(&MetadataRecord::Config { resource, name, value }, Offset(53));
}

/// Changes a partition behind the protocol's back.
pub fn edit(image: &mut Image, id: PartitionId, change: impl FnOnce(&mut PartitionImage)) {
    let index = usize::try_from(id.partition).expect("not negative");
    let topic = image.topics.get_mut(&id.topic).expect("known");
    change(Arc::make_mut(&mut topic.partitions[index]));
}
