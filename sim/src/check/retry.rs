//! What a broker answers to a batch that it has already: P6.
//!
//! A retry is refused or taken in the step that the request arrives in, so one request is
//! remembered, and only answers of that step are judged. A later one may answer an earlier copy of
//! the request, refused before the batch came that it now finds in the log: one partition was
//! refused, another waited (`sim run scenarios/message_chaos.toml --seed 1172`).

use std::sync::Arc;

use seedlog::error::ErrorCode;
use seedlog::ids::{ConnId, CorrelationId, NodeId, PartitionId, ProducerId, TopicName, TopicRef};
use seedlog::message::produce::{ProducePartition, ProduceResponse};
use seedlog::message::{Records, Request};
use seedlog::record::BatchHeader;

use super::ghost::{GhostBatch, GhostLog};
use super::tally::Check;
use super::{Checkers, Image};

/// Batches of one producer that a log remembers (KAFKA-5494).
const WINDOW: usize = 5;

/// The last Produce request that arrived anywhere.
#[derive(Clone, Debug)]
pub struct Asked {
    event: u64,
    node: NodeId,
    from: ConnId,
    correlation: CorrelationId,
    request: Arc<Request>,
}

impl Checkers {
    /// A request arrived at a broker.
    pub fn requested(
        &mut self,
        node: NodeId,
        from: ConnId,
        correlation: CorrelationId,
        request: &Arc<Request>,
    ) {
        if matches!(**request, Request::Produce(_)) {
            let (event, request) = (self.tally.event(), Arc::clone(request));
            self.asked = Some(Asked { event, node, from, correlation, request });
        } else {
            self.group_requested(node, from, correlation, request);
        }
    }

    /// P6. A broker answers a Produce request.
    pub(super) fn produce_answered(
        &mut self,
        node: NodeId,
        to: ConnId,
        correlation: CorrelationId,
        response: &ProduceResponse,
    ) {
        let refused = |error| error == ErrorCode::OutOfOrderSequenceNumber;
        if !response.partitions.iter().any(|answer| refused(answer.error)) {
            return;
        }
        let Some(asked) = &self.asked else { return };
        let is_same = (asked.node, asked.from, asked.correlation) == (node, to, correlation);
        if !is_same || asked.event != self.tally.event() {
            return;
        }
        let Request::Produce(request) = &*asked.request else { return };
        for (part, answer) in request.partitions.iter().zip(&response.partitions) {
            if !refused(answer.error) {
                continue;
            }
            let Some(id) = partition_id(&self.image, &part.topic, part.partition) else { continue };
            let replica = self.partitions.get(&id).and_then(|ghost| ghost.replicas.get(&node));
            let held = replica.and_then(|replica| remembered(&replica.log, part));
            self.tally.expect(Check::RetryRecognised, held.is_none(), || {
                let held = held.map(GhostBatch::describe).unwrap_or_default();
                format!("{id}: broker {node} refuses a batch as out of order and holds it: {held}")
            });
        }
    }
}

pub(super) fn partition_id(image: &Image, topic: &TopicRef, partition: i32) -> Option<PartitionId> {
    let by_name = |name: &TopicName| image.names.get(name).copied();
    let topic = match topic {
        TopicRef::Id(id) => *id,
        TopicRef::Name(name) => by_name(name)?,
    };
    Some(PartitionId { topic, partition })
}

/// The batch in the log that a request sends again, if it is among its producer's last ones.
fn remembered<'l>(log: &'l GhostLog, part: &ProducePartition) -> Option<&'l GhostBatch> {
    let Records::Inline(chunks) = &part.records else { return None };
    let sent = BatchHeader::parse(chunks.first()?).ok()?;
    if sent.producer_id == ProducerId::NONE {
        return None;
    }
    let of_producer = log.latest().filter_map(|batch| {
        let header = BatchHeader::parse(&batch.bytes).ok()?;
        let same = header.producer_id == sent.producer_id && !header.is_control();
        same.then_some((batch, header))
    });
    let numbers = |header: &BatchHeader| {
        (header.producer_epoch, header.base_sequence, header.last_offset_delta)
    };
    let mut last = of_producer.take(WINDOW);
    last.find(|(_, header)| numbers(header) == numbers(&sent)).map(|(batch, _)| batch)
}
