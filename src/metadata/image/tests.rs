use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::defect::{Defect, Defects};
use crate::ids::Offset;
use crate::metadata::record::PartitionChange;
use crate::metadata::{Changed, MetadataRecord};

const TOPIC: TopicId = Uuid([1, 0, 0, 0]);
const P0: PartitionId = PartitionId { topic: TOPIC, partition: 0 };

fn nodes(ids: &[i32]) -> Vec<NodeId> {
    ids.iter().map(|id| NodeId(*id)).collect()
}

fn register(node: i32, offset: i64) -> MetadataRecord {
    MetadataRecord::RegisterBroker {
        node: NodeId(node),
        epoch: BrokerEpoch(offset),
        incarnation: Uuid([9, 9, 9, 9]),
        directory: Uuid([8, 8, 8, 8]),
        endpoint: Endpoint { host: "b".into(), port: 9092 },
        rack: None,
    }
}

fn config(resource: ConfigResource, name: &str, value: Option<&str>) -> MetadataRecord {
    MetadataRecord::Config { resource, name: name.into(), value: value.map(Into::into) }
}

fn image() -> Image {
    let mut image = Image::default();
    let state = PartitionImage {
        replicas: nodes(&[1, 2]).into(),
        isr: nodes(&[1, 2]).into(),
        elr: Arc::default(),
        last_known_elr: Arc::default(),
        leader: NodeId(1),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(0),
        recovery: LeaderRecovery::Recovered,
        adding: Arc::default(),
        removing: Arc::default(),
    };
    let records = [
        register(1, 0),
        register(2, 1),
        MetadataRecord::Topic { name: "orders".into(), id: TOPIC },
        MetadataRecord::Partition { id: P0, state },
        config(ConfigResource::Topic("orders".into()), "min.insync.replicas", Some("2")),
        MetadataRecord::ProducerIds {
            node: NodeId(1),
            epoch: BrokerEpoch(0),
            next: ProducerId(1000),
        },
    ];
    for (offset, record) in (0..).zip(&records) {
        image.apply(record, Offset(offset));
    }
    image.check();
    image
}

fn changed(change: PartitionChange) -> (LeaderEpoch, PartitionEpoch) {
    let mut image = image();
    let record = MetadataRecord::PartitionChange { id: P0, change };
    assert_eq!(image.apply(&record, Offset(9)), Changed::Partition(P0));
    let partition = image.partition(P0).expect("the partition exists");
    (partition.leader_epoch, partition.partition_epoch)
}

#[test]
fn every_change_bumps_the_partition_epoch_and_a_new_leader_the_leader_epoch() {
    let table = [
        (PartitionChange { isr: Some(nodes(&[1])), ..PartitionChange::default() }, 0),
        (PartitionChange { leader: Some(NodeId(2)), ..PartitionChange::default() }, 1),
        (PartitionChange { leader: Some(NodeId(1)), ..PartitionChange::default() }, 1),
        (PartitionChange { replicas: Some(nodes(&[2, 1, 3])), ..PartitionChange::default() }, 0),
        (PartitionChange { replicas: Some(nodes(&[1, 3])), ..PartitionChange::default() }, 1),
    ];
    for (change, leader_epoch) in table {
        assert_eq!(changed(change), (LeaderEpoch(leader_epoch), PartitionEpoch(1)));
    }
}

#[test]
fn a_registered_broker_starts_fenced_and_its_next_incarnation_again() {
    let mut image = image();
    let unfence = MetadataRecord::BrokerChange {
        node: NodeId(1),
        epoch: BrokerEpoch(0),
        fenced: false,
        in_controlled_shutdown: false,
    };
    assert!(!image.is_active(NodeId(1)));
    assert_eq!(image.apply(&unfence, Offset(6)), Changed::Broker(NodeId(1)));
    assert!(image.is_active(NodeId(1)));
    image.apply(&register(1, 7), Offset(7));
    assert!(!image.is_active(NodeId(1)));
}

#[test]
fn a_topics_own_config_wins_over_the_clusters_and_that_over_the_default() {
    let mut image = image();
    let min_isr = |image: &Image| image.topics[&TOPIC].config.min_insync_replicas;
    assert_eq!(min_isr(&image), 2);
    let name = "min.insync.replicas";
    image.apply(&config(ConfigResource::Broker(None), name, Some("3")), Offset(6));
    assert_eq!(min_isr(&image), 2);
    image.apply(&config(ConfigResource::Topic("orders".into()), name, None), Offset(7));
    assert_eq!(min_isr(&image), 3);
    image.apply(&config(ConfigResource::Broker(None), name, None), Offset(8));
    assert_eq!(min_isr(&image), 1);
}

#[test]
fn a_removed_topic_takes_its_configs_with_it() {
    let mut image = image();
    assert_eq!(
        image.apply(&MetadataRecord::RemoveTopic { id: TOPIC }, Offset(6)),
        Changed::TopicRemoved { id: TOPIC, name: "orders".into(), partitions: 1 }
    );
    assert!(image.names.is_empty() && image.configs.is_empty() && image.topics.is_empty());
}

#[test]
fn an_image_survives_its_snapshot() {
    let image = image();
    let read = Image::decode(&image.encode(Defects::NONE), Defects::NONE);
    assert_eq!(read.as_ref(), Ok(&image));
    assert_eq!(read.map(|read| read.digest()), Ok(image.digest()));
    for cut in 0..image.encode(Defects::NONE).len() {
        assert!(Image::decode(&image.encode(Defects::NONE)[..cut], Defects::NONE).is_err());
    }
}

#[test]
fn a_snapshot_keeps_the_next_producer_id_unless_pid_block_reissued() {
    for (defects, next) in [
        (Defects::NONE, 1000),
        (
            Defects::NONE.with(Defect::PidBlockReissued),
            if cfg!(feature = "defects") { 0 } else { 1000 },
        ),
    ] {
        let read = Image::decode(&image().encode(defects), defects).expect("it was just written");
        assert_eq!(read.next_producer_id, ProducerId(next));
    }
}

#[test]
fn different_states_have_different_digests() {
    let (one, mut other) = (image(), image());
    assert_eq!(one.digest(), other.digest());
    let change = PartitionChange { isr: Some(vec![NodeId(1)]), ..PartitionChange::default() };
    other.apply(&MetadataRecord::PartitionChange { id: P0, change }, Offset(6));
    assert_ne!(one.digest(), other.digest());
}
