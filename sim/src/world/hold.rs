//! Keeping chosen messages back across chosen events.

use seedlog::message::{Api, Request, Response};

use super::ProcessId;
use super::link::Queued;

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

/// A hold that is in force.
#[derive(Clone, Debug)]
pub(super) struct ActiveHold {
    pub(super) id: HoldId,
    pub(super) hold: Hold,
    /// Matching messages seen and kept so far.
    seen: u64,
    kept: u64,
    /// How many of them were let go one by one.
    let_go: u64,
    /// What it keeps, in order: the messages, and what waits behind them.
    pub(super) queue: Vec<Queued>,
}

impl ActiveHold {
    pub(super) fn new(id: HoldId, hold: Hold) -> Self {
        ActiveHold { id, hold, seen: 0, kept: 0, let_go: 0, queue: Vec::new() }
    }

    /// Whether to keep a message that is sent now.
    pub(super) fn takes(&mut self, from: ProcessId, to: ProcessId, payload: Payload<'_>) -> bool {
        if self.kept == self.hold.limit || !self.hold.matches(from, to, payload) {
            return false;
        }
        self.seen += 1;
        if self.seen <= self.hold.skip {
            return false;
        }
        self.kept += 1;
        true
    }

    pub(super) fn kept(&self) -> u64 {
        self.kept - self.let_go
    }

    /// Takes the oldest messages out, so many at most; the hold goes on.
    pub(super) fn let_go(&mut self, count: u64) -> Vec<Queued> {
        let count = count.min(self.kept());
        self.let_go += count;
        let count = usize::try_from(count).expect("a count of messages fits").min(self.queue.len());
        self.queue.drain(..count).collect()
    }
}
