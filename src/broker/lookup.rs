//! ListOffsets by time: the index finds the batch, and the record is found in the batch.
//!
//! A batch of several records is read back and looked into, unless it is compressed: that one is
//! answered as a whole, with its greatest timestamp and its first offset.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::broker::Broker;
use crate::error::ErrorCode;
use crate::ids::{ConnId, CorrelationId, LeaderEpoch, LogId, Offset};
use crate::machine::{Effect, Effects};
use crate::message::fetch::Isolation;
use crate::message::offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListedOffset, OffsetSpec,
};
use crate::message::{LogRange, Response};
use crate::record::{BatchError, Records, batches};
use crate::time::{Instant, Now, Timestamp, earliest};

/// A request that waits for batches.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    to: ConnId,
    correlation: CorrelationId,
    deadline: Instant,
    isolation: Isolation,
    /// In the order of the request; as far as the index knows.
    partitions: Vec<ListedOffset>,
    waiting: Vec<Wanted>,
}

/// A batch to look into.
#[derive(Clone, Debug)]
struct Wanted {
    index: usize,
    ask: ListOffsetsPartition,
    batch: LogRange,
}

impl Broker {
    pub(super) fn list_offsets(
        &mut self,
        now: Now,
        (to, correlation): (ConnId, CorrelationId),
        request: &ListOffsetsRequest,
        out: &mut Effects,
    ) {
        let deadline = now.mono + self.setup.broker.request_timeout;
        let isolation = request.isolation;
        let (partitions, waiting) = (Vec::new(), Vec::new());
        let mut lookup = Lookup { to, correlation, deadline, isolation, partitions, waiting };
        for (index, ask) in request.partitions.iter().enumerate() {
            let (listed, batch) = self.list_offset(ask, isolation, Offset::ZERO);
            lookup.partitions.push(listed);
            if let Some(batch) = batch {
                lookup.waiting.push(Wanted { index, ask: ask.clone(), batch });
                out.push(load(batch));
            }
        }
        self.lookups.push(lookup);
        self.answer_lookups(|lookup| lookup.waiting.is_empty(), out);
    }

    /// What the index knows, looking from an offset on; and the batch in which to look for more.
    fn list_offset(
        &self,
        ask: &ListOffsetsPartition,
        isolation: Isolation,
        from: Offset,
    ) -> (ListedOffset, Option<LogRange>) {
        let id = match self.hosted(&ask.topic, ask.partition) {
            Ok(id) => id,
            Err(error) => return (unlisted(ask, error), None),
        };
        let replica = self.partitions.get(id).expect("only what is hosted is found");
        let listed = replica.list_offset(ask, isolation, from);
        let by_time = match ask.spec {
            OffsetSpec::MaxTimestamp | OffsetSpec::At(_) => listed.offset != Offset::NONE,
            OffsetSpec::Earliest | OffsetSpec::Latest => false,
        };
        let batch = by_time.then(|| replica.log().batch_of_several(listed.offset)).flatten();
        (listed, batch)
    }

    /// Takes a batch that was read back, for those who wait for it.
    pub(super) fn look_into(
        &mut self,
        log: LogId,
        from: Offset,
        chunks: &[Bytes],
        out: &mut Effects,
    ) {
        if self.lookups.is_empty() {
            return;
        }
        let first = chunks.first().and_then(|chunk| batches(chunk).next());
        let batch = first.and_then(Result::ok).map(|(_, batch)| batch).unwrap_or_default();
        let mut lookups = core::mem::take(&mut self.lookups);
        for lookup in &mut lookups {
            let arrived =
                |wanted: &mut Wanted| (wanted.batch.log, wanted.batch.from) == (log, from);
            let arrived: Vec<Wanted> = lookup.waiting.extract_if(.., arrived).collect();
            for wanted in arrived {
                if let Some(next) = self.look_for(wanted, &batch, lookup) {
                    out.push(load(next.batch));
                    lookup.waiting.push(next);
                }
            }
        }
        self.lookups = lookups;
        self.answer_lookups(|lookup| lookup.waiting.is_empty(), out);
    }

    /// Writes down what is found in a batch; gives the next one if it is not there.
    fn look_for(&self, wanted: Wanted, batch: &Bytes, lookup: &mut Lookup) -> Option<Wanted> {
        let Wanted { index, ask, batch: range } = wanted;
        let listed = &mut lookup.partitions[index];
        let time = match ask.spec {
            OffsetSpec::At(time) => time,
            OffsetSpec::MaxTimestamp | OffsetSpec::Earliest | OffsetSpec::Latest => {
                listed.timestamp
            }
        };
        match first_at(batch, time, listed.offset) {
            Ok(Some(found)) => (listed.timestamp, listed.offset) = found,
            // Its greatest timestamp is that of a record before the log's start.
            Ok(None) if matches!(ask.spec, OffsetSpec::At(_)) => {
                let (next, batch) = self.list_offset(&ask, lookup.isolation, range.to);
                *listed = next;
                return batch.map(|batch| Wanted { index, ask, batch });
            }
            Ok(None) | Err(BatchError::Compressed) => {}
            // The log was cut meanwhile, or the disk is bad: whoever leads then may know.
            Err(_) => *listed = unlisted(&ask, ErrorCode::NotLeaderOrFollower),
        }
        None
    }

    pub(super) fn expire_lookups(&mut self, now: Now, out: &mut Effects) {
        let late = |lookup: &&mut Lookup| lookup.deadline <= now.mono;
        for lookup in self.lookups.iter_mut().filter(late) {
            for wanted in lookup.waiting.drain(..) {
                lookup.partitions[wanted.index] = unlisted(&wanted.ask, ErrorCode::RequestTimedOut);
            }
        }
        self.answer_lookups(|lookup| lookup.waiting.is_empty(), out);
    }

    fn answer_lookups(&mut self, done: impl Fn(&Lookup) -> bool, out: &mut Effects) {
        for lookup in self.lookups.extract_if(.., |lookup| done(lookup)) {
            let response = ListOffsetsResponse { partitions: lookup.partitions };
            let client = (lookup.to, lookup.correlation);
            Self::respond(client, Response::ListOffsets(response), out);
        }
    }

    pub(super) fn lookups_deadline(&self) -> Option<Instant> {
        self.lookups.iter().fold(None, |first, each| earliest(first, Some(each.deadline)))
    }

    pub(super) fn forget_lookups(&mut self, conn: ConnId) {
        self.lookups.retain(|lookup| lookup.to != conn);
    }
}

fn load(batch: LogRange) -> Effect {
    Effect::Load { log: batch.log, from: batch.from, max_bytes: batch.bytes }
}

fn unlisted(ask: &ListOffsetsPartition, error: ErrorCode) -> ListedOffset {
    ListedOffset {
        topic: ask.topic.clone(),
        partition: ask.partition,
        error,
        timestamp: Timestamp::NONE,
        offset: Offset::NONE,
        leader_epoch: LeaderEpoch::NONE,
    }
}

/// The first record of a batch, from an offset on, that is not older than `time`.
fn first_at(
    batch: &[u8],
    time: Timestamp,
    from: Offset,
) -> Result<Option<(Timestamp, Offset)>, BatchError> {
    for record in Records::new(batch)? {
        let record = record?;
        if record.timestamp >= time && record.offset >= from {
            return Ok(Some((record.timestamp, record.offset)));
        }
    }
    Ok(None)
}
