//! The end of a step: what it moved reaches those who wait for it.

use alloc::sync::Arc;

use crate::broker::fetch::bytes_of;
use crate::broker::purgatory::{DelayedProduce, Expired};
use crate::broker::{Broker, context};
use crate::error::ErrorCode;
use crate::event::{Event, Mark};
use crate::ids::PartitionId;
use crate::machine::Effects;
use crate::message::produce::ProduceResponse;
use crate::message::{Request, Response};
use crate::time::Now;

impl Broker {
    /// Brings everything in line after an input.
    pub(super) fn settle(&mut self, now: Now, out: &mut Effects) {
        self.report_lost_fetches(now);
        self.follow_metadata(now, out);
        self.settle_partitions(now, out);
        self.fetch_from_leaders(now, out);
        self.run_errands(now, out);
        self.run_transactions(now, out);
        self.coordinators.settle(out);
    }

    /// Looks at what the touched partitions say has moved, and completes exactly those who wait for
    /// it.
    pub(super) fn settle_partitions(&mut self, now: Now, out: &mut Effects) {
        while let Some((id, replica)) = self.partitions.next_touched() {
            let changes = replica.take_changes();
            if !changes.any() {
                continue;
            }
            if changes.fetch
                && let Some(leader) = replica.follows()
            {
                self.fetchers.wake(leader);
            }
            let ctx = context!(self, now);
            if changes.proposal
                && let Some(replica) = self.partitions.get_mut(id)
                && let Some(proposal) = replica.isr_proposal(&ctx)
            {
                self.isr_changes.propose(now.mono, proposal);
            }
            if changes.role || changes.high_watermark || changes.proposal {
                self.complete_produces(now, id, out);
                self.complete_markers(now, id, out);
            }
            if changes.role || changes.high_watermark || changes.end_offset {
                self.complete_fetches(now, id, changes.role, out);
            }
            if changes.role {
                self.coordinator_role(now, id, out);
            }
            if changes.high_watermark {
                self.coordinator_committed(now, id, out);
            }
            if changes.start_offset || changes.role {
                self.complete_deletions(now, id, out);
            }
        }
    }

    fn complete_produces(&mut self, now: Now, id: PartitionId, out: &mut Effects) {
        let ctx = context!(self, now);
        let Some(replica) = self.partitions.get(id) else { return };
        while let Some(watchers) = self.purgatory.watchers(id)
            && let Some(required) = watchers.first_required()
            && let Some(result) = replica.acked(&ctx, required)
        {
            let error = result.err().unwrap_or_default();
            if error == ErrorCode::NotEnoughReplicasAfterAppend {
                out.note(Event::Sometimes(Mark::NotEnoughReplicasAfterAppend));
            }
            if let Some(done) = self.purgatory.complete_produce(id, error) {
                answer_produce(done, out);
            }
        }
    }

    /// Completes fetches that this partition has something for. `role` says that its leadership
    /// changed: then they get their answer at once, whatever it is.
    fn complete_fetches(&mut self, now: Now, id: PartitionId, role: bool, out: &mut Effects) {
        let mut index = 0;
        while let Some(number) = self.purgatory.watchers(id).and_then(|list| list.fetch(index)) {
            if role || self.is_satisfied(now, id, number) {
                let fetch = self.purgatory.complete_fetch(number);
                let request = Arc::clone(&fetch.request);
                self.answer_fetch(now, (fetch.to, fetch.correlation), &request, out);
            } else {
                index += 1;
            }
        }
    }

    /// Whether a parked fetch has enough now that this partition moved.
    fn is_satisfied(&self, now: Now, id: PartitionId, number: u64) -> bool {
        let fetch = self.purgatory.delayed_fetch(number).expect("a watcher is parked");
        let Request::Fetch(request) = &*fetch.request else { panic!("only fetches are parked so") };
        let image = self.metadata.image();
        let own = request.partitions.iter().find(|ask| {
            ask.partition == id.partition
                && super::metadata_api::resolve(image, &ask.topic) == Some(id.topic)
        });
        // The topic's name is gone from the image: let the fetch find out.
        let Some(ask) = own else { return true };
        let answer = self.read(now, id, request, ask);
        if !answer.error.is_ok() || answer.diverging.is_some() {
            return true;
        }
        match bytes_of(&answer.records) {
            0 => false,
            bytes if bytes >= request.min_bytes => true,
            _ => self.available(now, request) >= u64::from(request.min_bytes),
        }
    }

    /// Answers those whose time is over with what there is.
    pub(super) fn expire_requests(&mut self, now: Now, out: &mut Effects) {
        while let Some(expired) = self.purgatory.expire(now.mono) {
            match expired {
                Expired::Produce(produce) => {
                    out.note(Event::Sometimes(Mark::ProduceTimedOut));
                    answer_produce(produce, out);
                }
                Expired::Fetch(fetch) => {
                    let request = Arc::clone(&fetch.request);
                    self.answer_fetch(now, (fetch.to, fetch.correlation), &request, out);
                }
            }
        }
        self.expire_deletions(now, out);
        self.expire_lookups(now, out);
        self.expire_errands(now, out);
    }

    /// Wakes replicas whose deadline is over.
    pub(super) fn wake_replicas(&mut self, now: Now, out: &mut Effects) {
        let ctx = context!(self, now);
        for id in self.partitions.take_due(now.mono) {
            let replica =
                self.partitions.touch(id).expect("a replica is due only while it is here");
            replica.tick(&ctx, out);
        }
    }
}

fn answer_produce(produce: DelayedProduce, out: &mut Effects) {
    let DelayedProduce { to, correlation, partitions, .. } = produce;
    Broker::respond((to, correlation), Response::Produce(ProduceResponse { partitions }), out);
}
