//! Markers of the coordinators on this broker, on their way to the leaders of their partitions.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::broker::Broker;
use crate::broker::transaction::{Errand, RETRY};
use crate::coordinator::transaction::{Delivery, MarkerErrand};
use crate::error::ErrorCode;
use crate::ids::{NodeId, PartitionId};
use crate::machine::Effects;
use crate::message::Request;
use crate::message::transaction::{WriteTxnMarkersRequest, WrittenMarker};
use crate::time::{Instant, Now, earliest};

/// All of them, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Deliveries {
    next: u64,
    pending: BTreeMap<u64, Pending>,
    /// When to look for something to send; none while all is with the leaders.
    due: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Pending {
    errand: MarkerErrand,
    /// None while it is with a leader.
    due: Option<Instant>,
}

impl Deliveries {
    fn add(&mut self, now: Instant, errand: MarkerErrand) {
        self.pending.insert(self.next, Pending { errand, due: Some(now) });
        self.next += 1;
        self.due = Some(now);
    }

    /// Nobody answered, or "not now".
    pub(super) fn again(&mut self, now: Instant, number: u64) {
        if let Some(pending) = self.pending.get_mut(&number) {
            pending.due = Some(now + RETRY);
            self.due = earliest(self.due, pending.due);
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// A connection is up.
    pub(super) fn look_again(&mut self) {
        if !self.pending.is_empty() {
            self.due = Some(Instant::ZERO);
        }
    }
}

/// Where a marker goes.
enum Target {
    Leader(NodeId),
    /// Nobody leads it now.
    Nobody,
    /// The partition is gone, and its transactions with it.
    Gone,
}

impl Broker {
    /// Sends what is due to whoever leads now.
    pub(super) fn deliver_markers(&mut self, now: Now, out: &mut Effects) {
        for errand in self.coordinators.take_markers() {
            self.transactions.deliveries.add(now.mono, errand);
        }
        if self.transactions.deliveries.due.is_none_or(|due| due > now.mono) {
            return;
        }
        self.transactions.deliveries.due = None;
        let mut by_leader: BTreeMap<NodeId, Vec<u64>> = BTreeMap::new();
        let mut gone = Vec::new();
        for (number, pending) in &self.transactions.deliveries.pending {
            if pending.due.is_none_or(|due| due > now.mono) {
                continue;
            }
            match self.target(&pending.errand) {
                Target::Leader(leader) => by_leader.entry(leader).or_default().push(*number),
                Target::Nobody => {}
                Target::Gone => gone.push(*number),
            }
        }
        for (leader, numbers) in by_leader {
            self.send_markers(now, leader, numbers, out);
        }
        for number in gone {
            self.settle_marker(now, number, Delivery::Written, out);
        }
        self.rest(now);
    }

    /// What could not be sent is looked at again after a rest.
    fn rest(&mut self, now: Now) {
        let deliveries = &mut self.transactions.deliveries;
        for pending in deliveries.pending.values_mut() {
            if let Some(due) = &mut pending.due {
                *due = (*due).max(now.mono + RETRY);
                deliveries.due = earliest(deliveries.due, Some(*due));
            }
        }
    }

    fn target(&self, errand: &MarkerErrand) -> Target {
        let image = self.metadata.image();
        let Some(topic) = image.names.get(&errand.topic) else { return Target::Gone };
        let id = PartitionId { topic: *topic, partition: errand.partition };
        let Some(partition) = image.partition(id) else { return Target::Gone };
        if image.brokers.contains_key(&partition.leader) {
            Target::Leader(partition.leader)
        } else {
            Target::Nobody
        }
    }

    fn send_markers(&mut self, now: Now, leader: NodeId, numbers: Vec<u64>, out: &mut Effects) {
        let image = Arc::clone(self.metadata.image());
        let endpoint = &image.brokers[&leader].endpoint;
        let channels = &mut self.transactions.channels;
        if !channels.ready(now.mono, &leader, endpoint, out) {
            return;
        }
        let mut markers = Vec::with_capacity(numbers.len());
        for number in &numbers {
            let pending = self.transactions.deliveries.pending.get_mut(number);
            let pending = pending.expect("collected from there");
            pending.due = None;
            markers.push(pending.errand.marker());
        }
        let request = Arc::new(Request::WriteTxnMarkers(WriteTxnMarkersRequest { markers }));
        let deadline = now.mono + self.setup.broker.request_timeout;
        let errand = Errand::Markers(numbers);
        self.transactions.channels.send(&leader, request, deadline, errand, out);
    }

    pub(super) fn marker_answered(
        &mut self,
        now: Now,
        number: u64,
        answer: &WrittenMarker,
        out: &mut Effects,
    ) {
        let error = answer.partitions.first().map(|(_, _, error)| *error);
        // A topic that is gone is seen in the image, not believed from a broker that may lag.
        match Delivery::of(error.unwrap_or(ErrorCode::UnknownServerError)) {
            Delivery::Again => self.transactions.deliveries.again(now.mono, number),
            last @ (Delivery::Written | Delivery::Cancelled) => {
                self.settle_marker(now, number, last, out);
            }
        }
    }

    fn settle_marker(&mut self, now: Now, number: u64, delivery: Delivery, out: &mut Effects) {
        let Some(pending) = self.transactions.deliveries.pending.remove(&number) else { return };
        self.marker_delivered(now, &pending.errand, delivery, out);
    }

    /// A coordinator is gone from this broker: whoever follows it delivers what it decided.
    pub(in crate::broker) fn forget_markers(&mut self, shard: i32) {
        self.transactions.deliveries.pending.retain(|_, pending| pending.errand.shard != shard);
    }
}
