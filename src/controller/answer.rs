//! Answers: held back until what they tell is committed, refused when leadership is lost.

use alloc::sync::Arc;

use crate::controller::{Controller, marks};
use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::event::Event;
use crate::ids::{ConnId, CorrelationId, Offset};
use crate::machine::{Effect, Effects};
use crate::message::{Request, Response, refusal};

/// The answer to a request, while it waits for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub to: ConnId,
    pub correlation: CorrelationId,
    pub request: Arc<Request>,
    pub response: Response,
}

impl Controller {
    /// Answers as soon as everything decided so far is committed.
    pub(super) fn answer(&mut self, answer: Answer, out: &mut Effects) {
        // KIP-631: what is not committed may never have been.
        if self.setup.server.defects.has(Defect::ControllerReplyBeforeCommit) {
            let end = self.shard.end();
            self.respond(end, answer, out);
        } else {
            self.shard.wait(answer);
            self.answer_committed(out);
        }
    }

    /// Gives the answers whose time has come.
    pub(super) fn answer_committed(&mut self, out: &mut Effects) {
        while let Some((end, answer)) = self.shard.ready() {
            self.respond(end, answer, out);
        }
    }

    /// Answers with something that holds up to `end`.
    pub(super) fn respond(&self, end: Offset, answer: Answer, out: &mut Effects) {
        let committed = self.raft.high_watermark();
        out.note(Event::ControllerReplied { offset: end, committed });
        if let Some(mark) = marks::of_response(&answer.response) {
            out.note(Event::Sometimes(mark));
        }
        let response = Arc::new(answer.response);
        out.push(Effect::Respond { to: answer.to, correlation: answer.correlation, response });
    }
}

/// Tells that this is not the active controller. A client's request that no controller serves ends
/// its connection.
pub(super) fn refuse(to: ConnId, correlation: CorrelationId, request: &Request, out: &mut Effects) {
    match refusal::controlled(request, ErrorCode::NotController) {
        Some(response) => {
            out.push(Effect::Respond { to, correlation, response: Arc::new(response) });
        }
        None => out.push(Effect::Close { conn: to }),
    }
}
