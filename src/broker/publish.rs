//! What new metadata means for this broker: which partitions it hosts, leads and follows.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::broker::metadata_log::Changes;
use crate::broker::{Broker, context};
use crate::config::TopicConfig;
use crate::defect::Defect;
use crate::ids::{LogId, PartitionId, TopicName};
use crate::log::{Log, LogConfig};
use crate::machine::{Effect, Effects, FileKey, LogName, SurvivedLog};
use crate::metadata::PartitionImage;
use crate::replica::Replica;
use crate::time::Now;

impl Broker {
    /// Acts upon changes of the image. The first time the whole image counts, and logs that nobody
    /// wants any more are removed before anything is served.
    pub(super) fn publish(&mut self, now: Now, changes: &Changes, first: bool, out: &mut Effects) {
        self.update_configs(changes);
        let partitions =
            if changes.all { self.every_partition() } else { changes.partitions.clone() };
        for id in partitions {
            self.place(now, id, out);
        }
        if changes.topics_removed || changes.all {
            self.topics_deleted(now, out);
        }
        if first {
            for stray in core::mem::take(&mut self.found).into_strays() {
                remove_log(stray.log, out);
            }
        }
    }

    /// Partitions of the image, and those hosted here that it may not know any more.
    fn every_partition(&self) -> BTreeSet<PartitionId> {
        let known = self.metadata.image().partitions().map(|(id, _)| id);
        known.chain(self.partitions.ids()).collect()
    }

    fn update_configs(&mut self, changes: &Changes) {
        if changes.topic_configs.is_empty() && !changes.configs && !changes.all {
            return;
        }
        let image = Arc::clone(self.metadata.image());
        let named = |name: &TopicName| changes.topic_configs.contains(name);
        for replica in self.partitions.iter_mut() {
            let Some(topic) = image.topics.get(&replica.id().topic) else { continue };
            if changes.all || changes.configs || named(&topic.name) {
                replica.update_config(Arc::clone(&topic.config));
            }
        }
    }

    /// Makes of one partition what the image says.
    fn place(&mut self, now: Now, id: PartitionId, out: &mut Effects) {
        let image = Arc::clone(self.metadata.image());
        let node = self.setup.server.node;
        let assigned = |state: &&Arc<PartitionImage>| state.replicas.contains(&node);
        let Some(state) = image.partition(id).filter(assigned) else {
            self.evict(now, id, out);
            return;
        };
        if self.partitions.get(id).is_none() {
            let topic = &image.topics[&id.topic];
            let replica = self.host(now, id, &topic.name, &topic.config, out);
            self.partitions.insert(replica);
        }
        let ctx = context!(self, now);
        let replica = self.partitions.touch(id).expect("it was just placed");
        replica.apply(&ctx, state, out);
        self.fetchers.follow(id, replica.follows(), out);
    }

    /// The replica of a partition that is new here, or whose log survived.
    fn host(
        &mut self,
        now: Now,
        id: PartitionId,
        name: &TopicName,
        config: &Arc<TopicConfig>,
        out: &mut Effects,
    ) -> Replica {
        let defects = self.setup.server.defects;
        let config = LogConfig::new(Arc::clone(config), &self.setup.broker, defects);
        let log_name = LogName::Partition { topic: name.clone(), id };
        let survived = self.found.take(|log| match log {
            // KIP-516: a topic that was made again under the same name is another topic.
            LogName::Partition { topic, id: old } if defects.has(Defect::NoTopicIdCheck) => {
                topic == name && old.partition == id.partition
            }
            LogName::Partition { .. } | LogName::Metadata => *log == log_name,
        });
        let Some(survived) = survived else {
            let log = self.partitions.new_log();
            return Replica::new(id, Log::create(log, Arc::new(log_name), config, out));
        };
        let SurvivedLog { log, .. } = survived;
        let high_watermark = self.found.high_watermark(id);
        let log = Log::recover(log, &survived, self.found.files(), config, now, out);
        Replica::recover(id, log, high_watermark)
    }

    /// This broker no longer hosts the partition: who waits for it hears so, and its log goes.
    fn evict(&mut self, now: Now, id: PartitionId, out: &mut Effects) {
        let Some(replica) = self.partitions.touch(id) else { return };
        replica.stop(out);
        self.fetchers.follow(id, None, out);
        self.settle_partitions(now, out);
        let replica = self.partitions.remove(id).expect("it was just here");
        self.coordinator_evicted(id, out);
        self.purgatory.forget(id);
        remove_log(replica.log().id(), out);
    }
}

fn remove_log(log: LogId, out: &mut Effects) {
    out.push(Effect::Remove { log });
    let files: Vec<FileKey> =
        alloc::vec![FileKey::LeaderEpochs(log), FileKey::Producers(log), FileKey::LogStart(log)];
    for file in files {
        out.push(Effect::Delete { file });
    }
}
