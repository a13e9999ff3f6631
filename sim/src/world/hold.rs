//! Keeping chosen messages back across chosen events.

use seedlog::message::{Api, Request, Response};

use super::ProcessId;

/// Which messages to keep back. Fields that are `None` match everything.
#[derive(Clone, Debug)]
pub struct Hold {
    pub api: Option<Api>,
    pub kind: Option<MessageKind>,
    pub from: Option<ProcessId>,
    pub to: Option<ProcessId>,
    /// A condition on the content.
    pub content: Option<fn(Payload<'_>) -> bool>,
    /// How many matching messages pass before the first one is kept.
    pub skip: u64,
    /// How many are kept at most; those after them pass.
    pub limit: u64,
    /// Whether what follows on the same connection waits behind, as it would on TCP.
    pub in_order: bool,
}

impl Default for Hold {
    /// Keeps the first message of any kind, and lets everything behind it pass.
    fn default() -> Self {
        Hold {
            api: None,
            kind: None,
            from: None,
            to: None,
            content: None,
            skip: 0,
            limit: 1,
            in_order: false,
        }
    }
}

/// Names a hold until it is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId(pub(super) u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageKind {
    Request,
    Response,
}

/// A message's content.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    Request(&'a Request),
    Response(&'a Response),
}

impl Payload<'_> {
    #[must_use]
    pub fn api(self) -> Api {
        match self {
            Payload::Request(request) => request.api(),
            Payload::Response(response) => response.api(),
        }
    }

    #[must_use]
    pub fn kind(self) -> MessageKind {
        match self {
            Payload::Request(_) => MessageKind::Request,
            Payload::Response(_) => MessageKind::Response,
        }
    }
}

impl Hold {
    /// Whether a message is one that this hold looks for, `skip` and `limit` aside.
    #[must_use]
    pub fn matches(&self, from: ProcessId, to: ProcessId, payload: Payload<'_>) -> bool {
        self.from.is_none_or(|process| process == from)
            && self.to.is_none_or(|process| process == to)
            && self.kind.is_none_or(|kind| kind == payload.kind())
            && self.api.is_none_or(|api| api == payload.api())
            && self.content.is_none_or(|content| content(payload))
    }
}
