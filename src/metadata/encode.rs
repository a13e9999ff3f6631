//! Metadata records as bytes: one record of the metadata log holds one of them as its value.

use bytes::Bytes;

use crate::ids::{BrokerEpoch, LeaderEpoch, PartitionEpoch, PartitionId, ProducerId};
use crate::metadata::codec::{Corrupt, Reader, Writer};
use crate::metadata::record::PartitionChange;
use crate::metadata::{MetadataRecord, PartitionImage};

const REGISTER_BROKER: u8 = 1;
const UNREGISTER_BROKER: u8 = 2;
const BROKER_CHANGE: u8 = 3;
const TOPIC: u8 = 4;
const REMOVE_TOPIC: u8 = 5;
const PARTITION: u8 = 6;
const PARTITION_CHANGE: u8 = 7;
const CONFIG: u8 = 8;
const PRODUCER_IDS: u8 = 9;
const NO_OP: u8 = 10;

impl MetadataRecord {
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut w = Writer::default();
        match self {
            MetadataRecord::RegisterBroker {
                node,
                epoch,
                incarnation,
                directory,
                endpoint,
                rack,
            } => {
                w.byte(REGISTER_BROKER);
                w.int(node.0);
                w.long(epoch.0);
                w.uuid(*incarnation);
                w.uuid(*directory);
                w.endpoint(endpoint);
                w.option(rack.as_deref(), Writer::text);
            }
            MetadataRecord::UnregisterBroker { node, epoch } => {
                w.byte(UNREGISTER_BROKER);
                w.int(node.0);
                w.long(epoch.0);
            }
            MetadataRecord::BrokerChange { node, epoch, fenced, in_controlled_shutdown } => {
                w.byte(BROKER_CHANGE);
                w.int(node.0);
                w.long(epoch.0);
                w.flag(*fenced);
                w.flag(*in_controlled_shutdown);
            }
            MetadataRecord::Topic { name, id } => {
                w.byte(TOPIC);
                w.text(name);
                w.uuid(*id);
            }
            MetadataRecord::RemoveTopic { id } => {
                w.byte(REMOVE_TOPIC);
                w.uuid(*id);
            }
            MetadataRecord::Partition { id, state } => {
                w.byte(PARTITION);
                w.partition_id(*id);
                w.partition(state);
            }
            MetadataRecord::PartitionChange { id, change } => {
                w.byte(PARTITION_CHANGE);
                w.partition_id(*id);
                w.change(change);
            }
            MetadataRecord::Config { resource, name, value } => {
                w.byte(CONFIG);
                w.resource(resource);
                w.text(name);
                w.option(value.as_deref(), Writer::text);
            }
            MetadataRecord::ProducerIds { node, epoch, next } => {
                w.byte(PRODUCER_IDS);
                w.int(node.0);
                w.long(epoch.0);
                w.long(next.0);
            }
            MetadataRecord::NoOp => w.byte(NO_OP),
        }
        w.bytes.into()
    }

    /// Reads one record.
    ///
    /// # Errors
    /// If the bytes are none, or have something behind it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut r = Reader::new(bytes);
        let record = match r.byte()? {
            REGISTER_BROKER => MetadataRecord::RegisterBroker {
                node: r.node()?,
                epoch: r.broker_epoch()?,
                incarnation: r.uuid()?,
                directory: r.uuid()?,
                endpoint: r.endpoint()?,
                rack: r.option(Reader::text)?,
            },
            UNREGISTER_BROKER => {
                MetadataRecord::UnregisterBroker { node: r.node()?, epoch: r.broker_epoch()? }
            }
            BROKER_CHANGE => MetadataRecord::BrokerChange {
                node: r.node()?,
                epoch: r.broker_epoch()?,
                fenced: r.flag()?,
                in_controlled_shutdown: r.flag()?,
            },
            TOPIC => MetadataRecord::Topic { name: r.text()?, id: r.uuid()? },
            REMOVE_TOPIC => MetadataRecord::RemoveTopic { id: r.uuid()? },
            PARTITION => MetadataRecord::Partition { id: r.partition_id()?, state: r.partition()? },
            PARTITION_CHANGE => {
                MetadataRecord::PartitionChange { id: r.partition_id()?, change: r.change()? }
            }
            CONFIG => MetadataRecord::Config {
                resource: r.resource()?,
                name: r.text()?,
                value: r.option(Reader::text)?,
            },
            PRODUCER_IDS => MetadataRecord::ProducerIds {
                node: r.node()?,
                epoch: r.broker_epoch()?,
                next: ProducerId(r.long()?),
            },
            NO_OP => MetadataRecord::NoOp,
            _ => return Err(Corrupt),
        };
        r.end()?;
        Ok(record)
    }
}

impl Writer {
    fn partition_id(&mut self, id: PartitionId) {
        self.uuid(id.topic);
        self.int(id.partition);
    }

    pub(super) fn partition(&mut self, state: &PartitionImage) {
        let PartitionImage {
            replicas,
            isr,
            elr,
            last_known_elr,
            leader,
            leader_epoch,
            partition_epoch,
            recovery,
            adding,
            removing,
        } = state;
        for nodes in [replicas, isr, elr, last_known_elr, adding, removing] {
            self.nodes(nodes);
        }
        self.int(leader.0);
        self.int(leader_epoch.0);
        self.int(partition_epoch.0);
        self.recovery(*recovery);
    }

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
        for nodes in [replicas, isr, elr, last_known_elr, adding, removing] {
            self.option(nodes.as_deref(), Writer::nodes);
        }
        self.option(*leader, |w, leader| w.int(leader.0));
        self.option(*recovery, Writer::recovery);
    }
}

impl Reader<'_> {
    fn broker_epoch(&mut self) -> Result<BrokerEpoch, Corrupt> {
        self.long().map(BrokerEpoch)
    }

    fn partition_id(&mut self) -> Result<PartitionId, Corrupt> {
        Ok(PartitionId { topic: self.uuid()?, partition: self.int()? })
    }

    pub(super) fn partition(&mut self) -> Result<PartitionImage, Corrupt> {
        let [replicas, isr, elr, last_known_elr, adding, removing] = [
            self.nodes()?,
            self.nodes()?,
            self.nodes()?,
            self.nodes()?,
            self.nodes()?,
            self.nodes()?,
        ];
        Ok(PartitionImage {
            replicas: replicas.into(),
            isr: isr.into(),
            elr: elr.into(),
            last_known_elr: last_known_elr.into(),
            adding: adding.into(),
            removing: removing.into(),
            leader: self.node()?,
            leader_epoch: LeaderEpoch(self.int()?),
            partition_epoch: PartitionEpoch(self.int()?),
            recovery: self.recovery()?,
        })
    }

    fn change(&mut self) -> Result<PartitionChange, Corrupt> {
        Ok(PartitionChange {
            replicas: self.option(Reader::nodes)?,
            isr: self.option(Reader::nodes)?,
            elr: self.option(Reader::nodes)?,
            last_known_elr: self.option(Reader::nodes)?,
            adding: self.option(Reader::nodes)?,
            removing: self.option(Reader::nodes)?,
            leader: self.option(Reader::node)?,
            recovery: self.option(Reader::recovery)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Endpoint, NodeId, Uuid};
    use crate::message::admin::ConfigResource;
    use crate::message::partition::LeaderRecovery;
    use alloc::vec;

    fn records() -> [MetadataRecord; 11] {
        let id = PartitionId { topic: Uuid([1, 2, 3, 4]), partition: 7 };
        let nodes = |ids: &[i32]| ids.iter().map(|id| NodeId(*id)).collect::<vec::Vec<_>>();
        [
            MetadataRecord::RegisterBroker {
                node: NodeId(1),
                epoch: BrokerEpoch(1 << 40),
                incarnation: Uuid([u32::MAX; 4]),
                directory: Uuid([9; 4]),
                endpoint: Endpoint { host: "b1".into(), port: 9092 },
                rack: Some("west".into()),
            },
            MetadataRecord::UnregisterBroker { node: NodeId(1), epoch: BrokerEpoch(5) },
            MetadataRecord::BrokerChange {
                node: NodeId(1),
                epoch: BrokerEpoch(5),
                fenced: false,
                in_controlled_shutdown: true,
            },
            MetadataRecord::Topic { name: "orders".into(), id: id.topic },
            MetadataRecord::RemoveTopic { id: id.topic },
            MetadataRecord::Partition {
                id,
                state: PartitionImage {
                    replicas: nodes(&[1, 2, 3]).into(),
                    isr: nodes(&[1, 2]).into(),
                    elr: nodes(&[3]).into(),
                    last_known_elr: nodes(&[]).into(),
                    leader: NodeId::NONE,
                    leader_epoch: LeaderEpoch(3),
                    partition_epoch: PartitionEpoch(4),
                    recovery: LeaderRecovery::Recovering,
                    adding: nodes(&[]).into(),
                    removing: nodes(&[2]).into(),
                },
            },
            MetadataRecord::PartitionChange {
                id,
                change: PartitionChange {
                    isr: Some(nodes(&[2])),
                    leader: Some(NodeId(2)),
                    recovery: Some(LeaderRecovery::Recovered),
                    elr: Some(vec![]),
                    ..PartitionChange::default()
                },
            },
            MetadataRecord::Config {
                resource: ConfigResource::Topic("orders".into()),
                name: "retention.ms".into(),
                value: Some("1".into()),
            },
            MetadataRecord::Config {
                resource: ConfigResource::Broker(None),
                name: "retention.ms".into(),
                value: None,
            },
            MetadataRecord::ProducerIds {
                node: NodeId(1),
                epoch: BrokerEpoch(5),
                next: ProducerId(2000),
            },
            MetadataRecord::NoOp,
        ]
    }

    #[test]
    fn every_record_survives_its_bytes() {
        for record in records() {
            assert_eq!(MetadataRecord::decode(&record.encode()).as_ref(), Ok(&record));
        }
    }

    #[test]
    fn a_cut_or_lengthened_record_is_an_error() {
        for record in records() {
            let bytes = record.encode();
            for cut in 0..bytes.len() {
                assert_eq!(MetadataRecord::decode(&bytes[..cut]), Err(Corrupt));
            }
            let mut longer = bytes.to_vec();
            longer.push(0);
            assert_eq!(MetadataRecord::decode(&longer), Err(Corrupt));
        }
    }
}
