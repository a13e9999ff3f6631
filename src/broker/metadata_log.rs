//! The metadata log as this broker follows it: an observer's committed batches become the image,
//! and the image decides what the broker hosts and leads.
//!
//! Nothing is done with the image before it knows this incarnation of the broker: until then it may
//! be older than the logs on the disk, and what it says of this broker was decided for the
//! incarnation before.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;

use crate::broker::Broker;
use crate::broker::controller_channel::Errand;
use crate::error::ErrorCode;
use crate::event::Event;
use crate::ids::{BrokerEpoch, NodeId, Offset, PartitionId};
use crate::machine::Effects;
use crate::message::admin::ConfigResource;
use crate::metadata::{Changed, Image, MetadataRecord};
use crate::raft::RaftEvent;
use crate::time::Now;

/// The image, and what of it is not yet acted upon.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    image: Arc<Image>,
    /// The last offset of the metadata log that the image holds; -1 before any.
    applied: Offset,
    changes: Changes,
    /// Whether this broker has acted upon an image that knows its incarnation.
    published: bool,
    /// Whether this broker is fenced, as far as the image has told.
    fenced: bool,
}

/// What changed since the image was last acted upon.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    any: bool,
    /// A whole new image.
    pub all: bool,
    /// Settings of every topic.
    pub configs: bool,
    pub topics_removed: bool,
    pub topic_configs: BTreeSet<crate::ids::TopicName>,
    pub partitions: BTreeSet<PartitionId>,
}

impl Metadata {
    pub(super) fn new() -> Self {
        Metadata {
            image: Arc::default(),
            applied: Offset::NONE,
            changes: Changes { all: true, ..Changes::default() },
            published: false,
            fenced: true,
        }
    }

    pub(super) fn image(&self) -> &Arc<Image> {
        &self.image
    }

    pub(super) fn applied(&self) -> Offset {
        self.applied
    }

    pub(super) fn is_published(&self) -> bool {
        self.published
    }

    /// Whether the image knows this incarnation.
    pub(super) fn knows(&self, node: NodeId, epoch: BrokerEpoch) -> bool {
        self.image.brokers.get(&node).is_some_and(|broker| broker.epoch == epoch)
    }

    /// Takes the changes to act upon, if there are any.
    pub(super) fn take_changes(&mut self) -> Option<Changes> {
        if !self.changes.any {
            return None;
        }
        self.published = true;
        Some(core::mem::take(&mut self.changes))
    }

    fn commit(&mut self, batch: &bytes::Bytes, last: Offset, out: &mut Effects) {
        let records = MetadataRecord::read_batch(batch)
            .expect("a committed batch passed its checksum and holds what a controller wrote");
        let image = Arc::make_mut(&mut self.image);
        for (offset, record) in &records {
            assert!(*offset > self.applied, "the metadata log is applied once and in order");
            self.changes.add(&image.apply(record, *offset));
        }
        self.applied = last;
        out.note(Event::MetadataApplied { offset: last, state: self.image.digest() });
    }

    pub(super) fn load(&mut self, upto: Offset, image: Image, out: &mut Effects) {
        self.image = Arc::new(image);
        self.applied = upto + -1;
        out.note(Event::MetadataApplied { offset: self.applied, state: self.image.digest() });
        self.changes.any = true;
        self.changes.all = true;
    }

    /// Tells whether this broker was fenced or unfenced.
    fn note_fenced(&mut self, node: NodeId, epoch: BrokerEpoch, out: &mut Effects) {
        let own = self.image.brokers.get(&node).filter(|broker| broker.epoch == epoch);
        let fenced = own.is_none_or(|broker| broker.fenced);
        if fenced != self.fenced {
            self.fenced = fenced;
            out.note(Event::Fenced { fenced });
        }
    }
}

impl Changes {
    fn add(&mut self, changed: &Changed) {
        match changed {
            Changed::Nothing | Changed::ProducerIds => return,
            Changed::Broker(_) | Changed::Topic(_) => {}
            Changed::TopicRemoved { id, name: _, partitions } => {
                let all = (0..*partitions).map(|partition| PartitionId { topic: *id, partition });
                self.partitions.extend(all);
                self.topics_removed = true;
            }
            Changed::Partition(id) => {
                self.partitions.insert(*id);
            }
            Changed::Config(ConfigResource::Topic(name)) => {
                self.topic_configs.insert(name.clone());
            }
            Changed::Config(ConfigResource::Broker(_)) => self.configs = true,
        }
        self.any = true;
    }
}

impl Broker {
    /// Takes in what raft has committed, and acts upon it.
    pub(super) fn follow_metadata(&mut self, now: Now, out: &mut Effects) {
        while let Some(event) = self.raft.next_event() {
            match event {
                RaftEvent::Committed { last, batch, .. } => self.metadata.commit(&batch, last, out),
                RaftEvent::LoadSnapshot { point, state } => {
                    let image = Image::decode(&state, self.setup.server.defects)
                        .expect("a snapshot holds what a controller wrote");
                    self.metadata.load(point.offset, image, out);
                }
                RaftEvent::Following { leader, .. } => {
                    let failed = self.controller.follow(leader, out);
                    self.errands_failed(now, &failed, out);
                }
                RaftEvent::Leading { .. } | RaftEvent::Resigned { .. } => {
                    panic!("a broker only observes the metadata quorum")
                }
            }
        }
        let (image, defects) = (&self.metadata.image, self.setup.server.defects);
        let state = || image.encode(defects);
        self.raft.snapshot_if_due(now, self.metadata.applied.next(), state, out);
        if !self.metadata.changes.any || self.is_leaving() {
            return;
        }
        let (node, epoch) = (self.setup.server.node, self.lifecycle.epoch());
        if !self.lifecycle.is_registered() || !self.metadata.knows(node, epoch) {
            return;
        }
        self.metadata.note_fenced(node, epoch, out);
        let first = !self.metadata.published;
        if let Some(changes) = self.metadata.take_changes() {
            self.publish(now, &changes, first, out);
        }
        if first {
            // The controller can unfence this broker as soon as it hears of it.
            self.lifecycle.hurry(now.mono);
        }
    }

    /// What was under way with a controller comes to nothing: each errand is due again.
    pub(super) fn errands_failed(&mut self, now: Now, errands: &[Errand], out: &mut Effects) {
        for errand in errands {
            match errand {
                Errand::Registration | Errand::Heartbeat => {
                    self.lifecycle.failed(now.mono, &mut self.rng);
                }
                Errand::AlterPartition => {
                    self.isr_refused(now, ErrorCode::NetworkException, out);
                }
                Errand::ProducerIds => self.producer_ids.failed(now.mono),
                Errand::Forward(number) => self.forwards.retry(now.mono, *number),
                // Whoever asks for the topic again starts it again.
                Errand::AutoCreate(name) => {
                    self.auto_creating.remove(name);
                }
            }
        }
    }
}
