//! One unit in the store: check, apply all legs, and keep the request's id.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::client::app::ledger::format::LedgerRequest;
use crate::client::app::ledger::legs::{is_sound, legs};
use crate::client::app::ledger::{AGAIN, Ledger};
use crate::client::app::processor::Context;
use crate::defect::Defect;
use crate::message::store::{Apply, Change, StoreRequest, StoreResponse};
use crate::op::ConsumedRecord;

impl Ledger {
    pub(super) fn apply(
        &self,
        record: &ConsumedRecord,
        request: &LedgerRequest,
        context: &mut Context<'_>,
    ) {
        if !is_sound(request) {
            return self.conclude(record, request, false, context);
        }
        self.apply_part(request, 0, context);
    }

    /// The changes of a request, unit by unit.
    fn units(&self, request: &LedgerRequest) -> Vec<Vec<Change>> {
        let mut legs = legs(request, self.setup.limit, false);
        // Debit and credit are one unit, or a crash between them makes or loses money.
        if self.setup.defects.has(Defect::LedgerSplitLegs) {
            let rest = legs.split_off(1);
            [legs, rest].into()
        } else {
            [legs].into()
        }
    }

    fn apply_part(&self, request: &LedgerRequest, part: usize, context: &mut Context<'_>) {
        let Some(changes) = self.units(request).into_iter().nth(part) else { return };
        context.call(StoreRequest::Apply(Apply {
            request: request.id.as_str().into(),
            by: Arc::clone(context.client()),
            once: self.once(request, part),
            changes,
            fence: context.fence(),
        }));
    }

    /// Under which id the store keeps that it was applied.
    fn once(&self, request: &LedgerRequest, part: usize) -> Option<Arc<str>> {
        // A record comes again if its process dies after the effect and before the commit: the
        // effect must know that it was made, in the unit that makes it.
        if self.setup.defects.has(Defect::ProcessThenCommitNoDedupe) {
            return None;
        }
        Some(match part {
            0 => request.id.as_str().into(),
            part => format!("{}/{part}", request.id).into(),
        })
    }

    pub(super) fn applied(
        &self,
        record: &ConsumedRecord,
        request: &LedgerRequest,
        asked: &StoreRequest,
        response: &StoreResponse,
        context: &mut Context<'_>,
    ) {
        let StoreRequest::Apply(asked) = asked else { return };
        let units = self.units(request);
        let part = units.iter().position(|changes| *changes == asked.changes).unwrap_or(0);
        match response {
            StoreResponse::Applied(_) | StoreResponse::Duplicate => {
                if *response == StoreResponse::Duplicate {
                    self.duplicate(request, context);
                }
                if part + 1 < units.len() {
                    return self.apply_part(request, part + 1, context);
                }
                self.conclude(record, request, true, context);
            }
            StoreResponse::Refused => self.conclude(record, request, false, context),
            // No answer to what was asked: nothing is known to be done.
            StoreResponse::Fenced
            | StoreResponse::Tokens(_)
            | StoreResponse::Claimed(_)
            | StoreResponse::Value(_)
            | StoreResponse::Done
            | StoreResponse::Failed(_) => context.nack(AGAIN),
        }
    }
}
