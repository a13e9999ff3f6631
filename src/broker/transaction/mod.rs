//! Transactions from a broker's side (KIP-98, KIP-890): markers that end them on partitions led
//! here, markers that coordinators here have to deliver, and produces that wait until their
//! transaction knows of the partition.
//!
//! - `markers`: WriteTxnMarkers, served.
//! - `delivery`: markers of the coordinators on this broker, sent to the leaders of their
//!   partitions until each has an answer.
//! - `enrolment`: AddPartitionsToTxn to a transaction's coordinator before its first record goes
//!   into a partition.

mod delivery;
mod enrolment;
mod markers;

pub(super) use enrolment::{Claim, Verdicts};

use alloc::vec::Vec;

use crate::broker::Broker;
use crate::broker::transaction::delivery::Deliveries;
use crate::broker::transaction::enrolment::Enrolments;
use crate::broker::transaction::markers::DelayedMarkers;
use crate::channel::{Backoff, Channels};
use crate::error::ErrorCode;
use crate::ids::{
    ConnId, CorrelationId, NodeId, Offset, PartitionId, ProducerId, TopicName, TopicRef,
};
use crate::log::Producer;
use crate::machine::Effects;
use crate::message::Response;
use crate::message::transaction::{
    ActiveProducer, DescribeProducersRequest, DescribeProducersResponse,
};
use crate::time::{Duration, Instant, Now, earliest};

/// The connection space of these channels.
pub(super) const SPACE: u8 = 4;

const RECONNECT: Backoff = Backoff { base: Duration::from_millis(50), max: Duration::from_secs(1) };

/// How long a question rests that could not be sent, or was answered "not now".
const RETRY: Duration = Duration::from_millis(20);

/// What another broker was asked for.
#[derive(Clone, Debug)]
enum Errand {
    /// These deliveries, in the order of the request's markers.
    Markers(Vec<u64>),
    Enrolment(u64),
}

/// All that is under way.
#[derive(Clone, Debug)]
pub(super) struct Transactions {
    channels: Channels<NodeId, Errand>,
    deliveries: Deliveries,
    enrolments: Enrolments,
    written: Vec<DelayedMarkers>,
}

impl Transactions {
    pub(super) fn new() -> Self {
        Transactions {
            channels: Channels::new(SPACE, RECONNECT),
            deliveries: Deliveries::default(),
            enrolments: Enrolments::default(),
            written: Vec::new(),
        }
    }

    pub(super) fn hang_up(&mut self, conn: ConnId) {
        self.written.retain(|delayed| delayed.client.0 != conn);
        self.enrolments.hang_up(conn);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let written =
            self.written.iter().fold(None, |first, each| earliest(first, Some(each.deadline)));
        let own = earliest(self.deliveries.due(), self.enrolments.deadline());
        earliest(written, earliest(own, self.channels.deadline()))
    }

    pub(super) fn opened(&mut self, conn: ConnId) {
        self.channels.opened(conn);
        self.deliveries.look_again();
        self.enrolments.look_again();
    }
}

impl Broker {
    /// Sends what is due, at the end of a step.
    pub(super) fn run_transactions(&mut self, now: Now, out: &mut Effects) {
        self.deliver_markers(now, out);
        self.enrol_partitions(now, out);
    }

    pub(super) fn transactions_closed(&mut self, now: Now, conn: ConnId) {
        let lost = self.transactions.channels.closed(now.mono, conn, &mut self.rng);
        for errand in lost.map_or_else(Vec::new, |(_, errands)| errands) {
            self.errand_lost(now, &errand);
        }
    }

    /// Gives up what nobody answers.
    pub(super) fn expire_transactions(&mut self, now: Now, out: &mut Effects) {
        let late = self.transactions.channels.expire(now.mono, &mut self.rng, out);
        for errand in late.into_iter().flat_map(|(_, errands)| errands) {
            self.errand_lost(now, &errand);
        }
        self.expire_markers(now, out);
        self.expire_enrolments(now, out);
    }

    fn errand_lost(&mut self, now: Now, errand: &Errand) {
        match errand {
            Errand::Markers(deliveries) => {
                for number in deliveries {
                    self.transactions.deliveries.again(now.mono, *number);
                }
            }
            Errand::Enrolment(number) => self.transactions.enrolments.again(now.mono, *number),
        }
    }

    pub(super) fn transactions_answered(
        &mut self,
        now: Now,
        conn: ConnId,
        correlation: CorrelationId,
        response: &Response,
        out: &mut Effects,
    ) {
        let Some((_, errand)) = self.transactions.channels.answered(conn, correlation) else {
            return;
        };
        match (&errand, response) {
            (Errand::Markers(numbers), Response::WriteTxnMarkers(answer))
                if answer.markers.len() == numbers.len() =>
            {
                for (number, marker) in numbers.iter().zip(&answer.markers) {
                    self.marker_answered(now, *number, marker, out);
                }
            }
            (Errand::Enrolment(number), Response::AddPartitionsToTxn(answer)) => {
                self.enrolment_answered(now, *number, answer, out);
            }
            // Whoever answers another question than was asked is as good as silent.
            (Errand::Markers(_) | Errand::Enrolment(_), _) => self.errand_lost(now, &errand),
        }
    }

    /// DescribeProducers: what the log of a partition knows of its producers (KIP-664).
    pub(super) fn describe_producers(
        &self,
        request: &DescribeProducersRequest,
    ) -> DescribeProducersResponse {
        let describe = |(topic, partition): &(TopicName, i32)| {
            let name = TopicRef::Name(topic.clone());
            let found = self.hosted(&name, *partition).and_then(|id| self.producers_of(id));
            let (error, producers) = match found {
                Ok(producers) => (ErrorCode::None, producers),
                Err(error) => (error, Vec::new()),
            };
            (topic.clone(), *partition, error, producers)
        };
        DescribeProducersResponse { partitions: request.partitions.iter().map(describe).collect() }
    }

    fn producers_of(&self, id: PartitionId) -> Result<Vec<ActiveProducer>, ErrorCode> {
        let replica = self.partitions.get(id).ok_or(ErrorCode::NotLeaderOrFollower)?;
        let active = |(producer_id, state): (ProducerId, &Producer)| ActiveProducer {
            producer_id,
            producer_epoch: state.epoch,
            last_sequence: state.batches().last().map_or(-1, |batch| batch.last_sequence),
            last_timestamp: state.last_timestamp,
            coordinator_epoch: state.coordinator_epoch,
            transaction_start: state.transaction_start.unwrap_or(Offset::NONE),
        };
        Ok(replica.log().producers().iter().map(active).collect())
    }
}
