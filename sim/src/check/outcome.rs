//! What clients are told: sends that were acknowledged, records that were read.

use seedlog::config::IsolationLevel;
use seedlog::ids::{Offset, PartitionId, TopicName};
use seedlog::op::ConsumedRecord;

use super::ghost::GhostBatch;
use super::payload::RecordId;
use super::{Checkers, client};

impl Checkers {
    pub(super) fn partition_id(&self, topic: &TopicName, partition: i32) -> Option<PartitionId> {
        Some(PartitionId { topic: *self.image.names.get(topic)?, partition })
    }

    /// A send of a record was acknowledged.
    pub fn acknowledged(
        &mut self,
        topic: &TopicName,
        partition: i32,
        record: RecordId,
        offset: Offset,
    ) {
        let Some(id) = self.partition_id(topic, partition) else { return };
        self.transactions.acknowledged(record, id);
        if offset == Offset::NONE || self.partitions.get(&id).is_some_and(|p| p.excused) {
            return;
        }
        let committed = self.committed_end(id);
        let promises = self.settings.promises;
        self.ledger.acknowledged(id, record, offset, promises, committed, &mut self.tally);
    }

    /// A send failed and surely had no effect.
    pub fn send_failed(&mut self, record: RecordId) {
        self.ledger.send_failed(record, &mut self.tally);
    }

    /// A poll of a consumer delivered records.
    pub fn polled(&mut self, consumer: u32, records: &[ConsumedRecord]) {
        let Checkers { partitions, transactions, applications, ledger, tally, .. } = self;
        let isolation = self.settings.isolation;
        for consumed in records {
            let Some(topic) = self.image.names.get(&consumed.topic) else { continue };
            let id = PartitionId { topic: *topic, partition: consumed.partition };
            let Some(partition) = partitions.get(&id).filter(|ghost| !ghost.excused) else {
                continue;
            };
            let place = (id, consumed.offset);
            let committed = &partition.committed;
            if isolation == IsolationLevel::ReadCommitted {
                transactions.check_read(consumer, place, committed, tally);
            }
            let value = consumed.value.as_ref().filter(|_| !applications.derives(&consumed.topic));
            let record = value.and_then(|value| RecordId::of(value));
            let readable = |batch: &GhostBatch| transactions.is_readable(id, batch, isolation);
            let kept = (committed, partition.deleted);
            ledger.polled(consumer, place, record, kept, &readable, tally);
        }
    }

    /// A consumer process started anew: it may read from anywhere.
    pub fn consumer_gone(&mut self, consumer: u32) {
        self.ledger.consumer_gone(consumer);
    }

    /// A consumer was moved to another place in a partition.
    pub fn consumer_moved(&mut self, consumer: u32, topic: &TopicName, partition: i32) {
        if let Some(id) = self.partition_id(topic, partition) {
            self.ledger.moved(consumer, id);
        }
    }

    /// The run is over, and consumers had time to read everything.
    pub fn ended(&mut self) {
        let Checkers { ledger, partitions, transactions, settings, groups, image, tally, .. } =
            self;
        let is_to_read = |consumer, id: PartitionId| {
            let named = image.topics.get(&id.topic).map(|topic| (topic.name.clone(), id.partition));
            named.is_none_or(|named| groups.is_to_read(consumer, &named))
        };
        let unread = |id, from, to| {
            let committed = &partitions.get(&id)?.committed;
            let readable =
                |batch: &GhostBatch| transactions.is_readable(id, batch, settings.isolation);
            client::skipped(committed, from, to, &readable)
        };
        let excused = |id| partitions.get(&id).is_none_or(|ghost| ghost.excused);
        ledger.ended(excused, is_to_read, unread, tally);
        self.transactions_ended();
        self.applications_ended();
        self.cycles.judge(&mut self.tally);
    }
}
