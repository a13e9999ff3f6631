//! Check, then act: reads each number, decides, writes each number. Between the two anybody may
//! write, and a request that comes twice is done twice.

use alloc::sync::Arc;

use crate::client::app::ledger::format::LedgerRequest;
use crate::client::app::ledger::legs::{is_sound, legs};
use crate::client::app::ledger::{AGAIN, Ledger};
use crate::client::app::processor::Context;
use crate::message::store::{Change, StoreRequest, StoreResponse};
use crate::op::ConsumedRecord;

impl Ledger {
    pub(super) fn begin_reading(
        &mut self,
        record: &ConsumedRecord,
        request: &LedgerRequest,
        context: &mut Context<'_>,
    ) {
        if !is_sound(request) {
            return self.conclude(record, request, false, context);
        }
        self.read.insert((record.partition, record.offset), [].into());
        let legs = legs(request, self.setup.limit, false);
        context.call(StoreRequest::Get { key: Arc::clone(&legs[0].key) });
    }

    pub(super) fn go_on(
        &mut self,
        record: &ConsumedRecord,
        request: &LedgerRequest,
        asked: &StoreRequest,
        response: &StoreResponse,
        context: &mut Context<'_>,
    ) {
        let legs = legs(request, self.setup.limit, false);
        let at = (record.partition, record.offset);
        let read = self.read.entry(at).or_default();
        let written = match (asked, response) {
            (StoreRequest::Get { .. }, StoreResponse::Value(value)) => {
                read.push(value.unwrap_or(0));
                if let Some(next) = legs.get(read.len()) {
                    return context.call(StoreRequest::Get { key: Arc::clone(&next.key) });
                }
                let falls = |(leg, value): (&Change, &i64)| {
                    leg.floor.is_some_and(|floor| value + leg.delta < floor)
                };
                if legs.iter().zip(read.iter()).any(falls) {
                    self.read.remove(&at);
                    return self.conclude(record, request, false, context);
                }
                0
            }
            (StoreRequest::Put { key, .. }, StoreResponse::Done) => {
                legs.iter().take_while(|leg| leg.key != *key).count() + 1
            }
            // No answer to what was asked: nothing is known to be done.
            _ => {
                self.read.remove(&at);
                return context.nack(AGAIN);
            }
        };
        if let (Some(leg), Some(value)) = (legs.get(written), read.get(written)) {
            return context.call(StoreRequest::Put {
                request: request.id.as_str().into(),
                by: Arc::clone(context.client()),
                key: Arc::clone(&leg.key),
                value: value + leg.delta,
                fence: context.fence(),
            });
        }
        self.read.remove(&at);
        self.conclude(record, request, true, context);
    }
}
