//! The whole image as bytes: what a snapshot of the metadata log holds (KIP-630).

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::config::TopicConfig;
use crate::defect::{Defect, Defects};
use crate::ids::{BrokerEpoch, NodeId, ProducerId, TopicId};
use crate::metadata::codec::{Corrupt, Reader, Writer};
use crate::metadata::{BrokerImage, Image, TopicImage};

impl Image {
    /// The image as the state of a snapshot.
    #[must_use]
    pub fn encode(&self, defects: Defects) -> Bytes {
        let Image { brokers, topics, names: _, configs, next_producer_id } = self;
        let mut w = Writer::default();
        w.length(brokers.len());
        for (node, broker) in brokers {
            w.broker(*node, broker);
        }
        w.length(topics.len());
        for (id, topic) in topics {
            w.uuid(*id);
            w.text(&topic.name);
            w.length(topic.partitions.len());
            for partition in &topic.partitions {
                w.partition(partition);
            }
        }
        w.length(configs.len());
        for (resource, values) in configs {
            w.resource(resource);
            w.length(values.len());
            for (name, value) in values {
                w.text(name);
                w.text(value);
            }
        }
        // KAFKA-13357: without it, a controller that starts from the snapshot hands ids out again.
        if !defects.has(Defect::PidBlockReissued) {
            w.long(next_producer_id.0);
        }
        w.bytes.into()
    }

    /// Reads the state of a snapshot.
    ///
    /// # Errors
    /// If the bytes are none.
    pub fn decode(bytes: &[u8], defects: Defects) -> Result<Image, Corrupt> {
        let mut r = Reader::new(bytes);
        let mut image = Image::default();
        for _ in 0..r.length()? {
            let (node, broker) = r.broker()?;
            image.brokers.insert(node, broker);
        }
        for _ in 0..r.length()? {
            let (id, topic) = r.topic()?;
            image.names.insert(topic.name.clone(), id);
            image.topics.insert(id, topic);
        }
        for _ in 0..r.length()? {
            let resource = r.resource()?;
            let mut values = BTreeMap::new();
            for _ in 0..r.length()? {
                values.insert(r.text()?, r.text()?);
            }
            image.configs.insert(resource, values);
        }
        if !defects.has(Defect::PidBlockReissued) {
            image.next_producer_id = ProducerId(r.long()?);
        }
        r.end()?;
        for id in image.names.values().copied().collect::<Vec<_>>() {
            image.refresh_config(id);
        }
        Ok(image)
    }
}

impl Writer {
    fn broker(&mut self, node: NodeId, broker: &BrokerImage) {
        self.int(node.0);
        self.long(broker.epoch.0);
        self.uuid(broker.incarnation);
        self.uuid(broker.directory);
        self.endpoint(&broker.endpoint);
        self.option(broker.rack.as_deref(), Writer::text);
        self.flag(broker.fenced);
        self.flag(broker.in_controlled_shutdown);
    }
}

impl Reader<'_> {
    fn broker(&mut self) -> Result<(NodeId, BrokerImage), Corrupt> {
        let node = self.node()?;
        let broker = BrokerImage {
            epoch: BrokerEpoch(self.long()?),
            incarnation: self.uuid()?,
            directory: self.uuid()?,
            endpoint: self.endpoint()?,
            rack: self.option(Reader::text)?,
            fenced: self.flag()?,
            in_controlled_shutdown: self.flag()?,
        };
        Ok((node, broker))
    }

    fn topic(&mut self) -> Result<(TopicId, TopicImage), Corrupt> {
        let (id, name) = (self.uuid()?, self.text()?);
        let count = self.length()?;
        let partitions =
            (0..count).map(|_| self.partition().map(Arc::new)).collect::<Result<_, _>>()?;
        // Configs come behind the topics; they are filled in at the end.
        Ok((id, TopicImage { name, partitions, config: Arc::new(TopicConfig::default()) }))
    }
}
