//! Fetch: answer at once if there is enough, or park until there is.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::broker::metadata_api::resolve;
use crate::broker::{Broker, context};
use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::ids::{ConnId, CorrelationId, LeaderEpoch, NodeId, Offset, PartitionId, TopicRef};
use crate::machine::Effects;
use crate::message::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchedPartition};
use crate::message::{Records, Request, Response};
use crate::replica::{Budget, Reader};
use crate::time::{Duration, Now};

/// The size of what an answer carries.
pub(super) fn bytes_of(records: &Records) -> u32 {
    match records {
        Records::Stored(range) => range.bytes,
        Records::Inline(chunks) => {
            let bytes = chunks.iter().map(bytes::Bytes::len).sum::<usize>();
            u32::try_from(bytes).unwrap_or(u32::MAX)
        }
    }
}

/// An answer in the making.
struct Answer {
    partitions: Vec<FetchedPartition>,
    bytes: u32,
    /// Something in it must not wait.
    urgent: bool,
}

impl Answer {
    fn new(request: &FetchRequest) -> Self {
        let partitions = Vec::with_capacity(request.partitions.len());
        Answer { partitions, bytes: 0, urgent: request.partitions.is_empty() }
    }

    fn budget(&self, request: &FetchRequest) -> Budget {
        Budget {
            bytes: request.max_bytes.saturating_sub(self.bytes),
            at_least_one: self.bytes == 0,
        }
    }

    fn add(&mut self, partition: FetchedPartition) {
        self.bytes = self.bytes.saturating_add(bytes_of(&partition.records));
        self.urgent |= !partition.error.is_ok() || partition.diverging.is_some();
        self.partitions.push(partition);
    }

    fn send(self, client: (ConnId, CorrelationId), out: &mut Effects) {
        let response = FetchResponse { error: ErrorCode::None, partitions: self.partitions };
        Broker::respond(client, Response::Fetch(response), out);
    }
}

impl Broker {
    pub(super) fn fetch(
        &mut self,
        now: Now,
        client: (ConnId, CorrelationId),
        shared: &Arc<Request>,
        request: &FetchRequest,
        out: &mut Effects,
    ) {
        let reader = Reader::of(request.replica, request.isolation);
        let mut answer = Answer::new(request);
        let mut watched = Vec::with_capacity(request.partitions.len());
        for ask in &request.partitions {
            let budget = answer.budget(request);
            match self.hosted(&ask.topic, ask.partition) {
                Ok(id) => {
                    let ctx = context!(self, now);
                    let replica = self.partitions.touch(id).expect("only what is hosted is found");
                    answer.add(replica.fetch(&ctx, ask, reader, budget, out));
                    watched.push(id);
                }
                Err(error) => answer.add(self.refused(ask, error)),
            }
        }
        let enough = answer.urgent || answer.bytes >= request.min_bytes;
        if enough || request.max_wait == Duration::ZERO {
            answer.send(client, out);
            return;
        }
        let deadline = now.mono + request.max_wait;
        self.purgatory.park_fetch(client, deadline, Arc::clone(shared), watched);
    }

    /// Answers a fetch that has waited, with what there is now.
    pub(super) fn answer_fetch(
        &mut self,
        now: Now,
        client: (ConnId, CorrelationId),
        request: &Request,
        out: &mut Effects,
    ) {
        let Request::Fetch(request) = request else { panic!("only fetches are parked so") };
        let reader = Reader::of(request.replica, request.isolation);
        let ctx = context!(self, now);
        let mut answer = Answer::new(request);
        for ask in &request.partitions {
            let budget = answer.budget(request);
            answer.add(match self.hosted(&ask.topic, ask.partition) {
                Ok(id) => {
                    let replica = self.partitions.get(id).expect("only what is hosted is found");
                    replica.read(&ctx, ask, reader, budget)
                }
                Err(error) => self.refused(ask, error),
            });
        }
        // KAFKA-5376: a fetch that has waited needs the list as much as any.
        if self.setup.server.defects.has(Defect::AbortedListDropped) {
            answer.partitions.iter_mut().for_each(|partition| partition.aborted.clear());
        }
        answer.send(client, out);
    }

    /// What a parked fetch would get of one partition.
    pub(super) fn read(
        &self,
        now: Now,
        id: PartitionId,
        request: &FetchRequest,
        ask: &FetchPartition,
    ) -> FetchedPartition {
        let Some(replica) = self.partitions.get(id) else {
            return self.refused(ask, ErrorCode::NotLeaderOrFollower);
        };
        let reader = Reader::of(request.replica, request.isolation);
        let budget = Budget { bytes: request.max_bytes, at_least_one: true };
        replica.read(&context!(self, now), ask, reader, budget)
    }

    /// How much a parked fetch would get in all.
    pub(super) fn available(&self, now: Now, request: &FetchRequest) -> u64 {
        let read = |ask: &FetchPartition| {
            let id = self.hosted(&ask.topic, ask.partition).ok()?;
            Some(u64::from(bytes_of(&self.read(now, id, request, ask).records)))
        };
        request.partitions.iter().filter_map(read).sum()
    }

    fn refused(&self, ask: &FetchPartition, error: ErrorCode) -> FetchedPartition {
        let elsewhere = error == ErrorCode::NotLeaderOrFollower;
        let current_leader =
            if elsewhere { self.known_leader(&ask.topic, ask.partition) } else { None };
        FetchedPartition {
            topic: ask.topic.clone(),
            partition: ask.partition,
            error,
            high_watermark: Offset::NONE,
            last_stable_offset: Offset::NONE,
            log_start_offset: Offset::NONE,
            diverging: None,
            current_leader,
            aborted: Vec::new(),
            records: Records::EMPTY,
        }
    }

    /// Who leads a partition, for clients that came to the wrong broker (KIP-951).
    pub(super) fn known_leader(
        &self,
        topic: &TopicRef,
        partition: i32,
    ) -> Option<(NodeId, LeaderEpoch)> {
        let image = self.metadata.image();
        let topic = resolve(image, topic)?;
        let state = image.partition(PartitionId { topic, partition })?;
        (state.leader != NodeId::NONE).then_some((state.leader, state.leader_epoch))
    }
}
