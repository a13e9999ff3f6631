//! WriteTxnMarkers: the end of transactions on partitions led here, answered once replicated.

use alloc::vec::Vec;

use crate::broker::{Broker, context};
use crate::coordinator::{Requester, kind_of};
use crate::error::ErrorCode;
use crate::ids::{Offset, PartitionId};
use crate::log::Marker;
use crate::machine::Effects;
use crate::message::Response;
use crate::message::coordinator::CoordinatorKind;
use crate::message::transaction::{
    TxnMarker, WriteTxnMarkersRequest, WriteTxnMarkersResponse, WrittenMarker,
};
use crate::time::{Instant, Now};

/// Markers that are appended and not replicated yet.
#[derive(Clone, Debug)]
pub(super) struct DelayedMarkers {
    pub client: Requester,
    pub deadline: Instant,
    /// What still waits carries REQUEST_TIMED_OUT already.
    markers: Vec<WrittenMarker>,
    /// Marker, partition in it, and the high watermark that it needs.
    waiting: Vec<(usize, usize, PartitionId, Offset)>,
}

impl Broker {
    pub(in crate::broker) fn write_markers(
        &mut self,
        now: Now,
        client: Requester,
        request: &WriteTxnMarkersRequest,
        out: &mut Effects,
    ) {
        let mut markers = Vec::with_capacity(request.markers.len());
        let mut waiting = Vec::new();
        for (number, marker) in request.markers.iter().enumerate() {
            let mut partitions = Vec::with_capacity(marker.partitions.len());
            for (index, (topic, partition)) in marker.partitions.iter().enumerate() {
                let appended = self
                    .hosted(topic, *partition)
                    .and_then(|id| Ok((id, self.append_marker(now, id, marker, out)?)));
                let error = match appended {
                    Ok((id, required)) => {
                        waiting.push((number, index, id, required));
                        ErrorCode::RequestTimedOut
                    }
                    Err(error) => error,
                };
                partitions.push((topic.clone(), *partition, error));
            }
            markers.push(WrittenMarker { producer_id: marker.producer_id, partitions });
        }
        let deadline = now.mono + self.setup.broker.request_timeout;
        let delayed = DelayedMarkers { client, deadline, markers, waiting };
        self.transactions.written.push(delayed);
        self.finish_markers(now, None, out);
    }

    /// Appends one; gives the high watermark that makes it durable.
    fn append_marker(
        &mut self,
        now: Now,
        id: PartitionId,
        marker: &TxnMarker,
        out: &mut Effects,
    ) -> Result<Offset, ErrorCode> {
        let groups = kind_of(self.metadata.image(), id) == Some(CoordinatorKind::Group);
        if groups && !self.serves_groups(id) {
            // Retriable for the sender, as Kafka answers it: the coordinator is still loading.
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        let ctx = context!(self, now);
        let replica = self.partitions.touch(id).expect("only what is hosted is found");
        let own = Marker {
            producer_id: marker.producer_id,
            producer_epoch: marker.producer_epoch,
            coordinator_epoch: marker.coordinator_epoch,
            commit: marker.commit,
            version: marker.version,
        };
        let (appended, batch) = replica.append_marker(&ctx, own, out)?;
        let session = (marker.producer_id, marker.producer_epoch);
        self.transactions.enrolments.ended(id, session);
        if groups && !appended.duplicate {
            self.coordinator_marker(now, id, &batch, appended.last, out);
        }
        Ok(appended.last.next())
    }

    /// A partition's high watermark or leadership moved.
    pub(in crate::broker) fn complete_markers(
        &mut self,
        now: Now,
        id: PartitionId,
        out: &mut Effects,
    ) {
        if !self.transactions.written.is_empty() {
            self.finish_markers(now, Some(id), out);
        }
    }

    fn finish_markers(&mut self, now: Now, only: Option<PartitionId>, out: &mut Effects) {
        let ctx = context!(self, now);
        let partitions = &self.partitions;
        for delayed in &mut self.transactions.written {
            let markers = &mut delayed.markers;
            delayed.waiting.retain(|(number, index, id, required)| {
                if only.is_some_and(|only| only != *id) {
                    return true;
                }
                let result = match partitions.get(*id) {
                    Some(replica) => replica.acked(&ctx, *required),
                    None => Some(Err(ErrorCode::NotLeaderOrFollower)),
                };
                let Some(result) = result else { return true };
                markers[*number].partitions[*index].2 = result.err().unwrap_or_default();
                false
            });
        }
        self.answer_markers(|delayed| delayed.waiting.is_empty(), out);
    }

    pub(super) fn expire_markers(&mut self, now: Now, out: &mut Effects) {
        self.answer_markers(|delayed| delayed.deadline <= now.mono, out);
    }

    fn answer_markers(&mut self, done: impl Fn(&DelayedMarkers) -> bool, out: &mut Effects) {
        for delayed in self.transactions.written.extract_if(.., |delayed| done(delayed)) {
            let response = WriteTxnMarkersResponse { markers: delayed.markers };
            Self::respond(delayed.client, Response::WriteTxnMarkers(response), out);
        }
    }
}
