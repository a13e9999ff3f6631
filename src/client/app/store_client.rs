//! The application's connection to the external store.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::channel::{Backoff, Channels};
use crate::client::app::clients::Inbox;
use crate::client::app::engine::Purpose;
use crate::error::ErrorCode;
use crate::ids::Endpoint;
use crate::machine::{Effects, Input};
use crate::message::Request;
use crate::message::store::StoreRequest;
use crate::op::Outcome;
use crate::rng::Rng;
use crate::time::{Duration, Instant, earliest};

/// Asks the store, and says so if no answer came: then it may have had its effect.
#[derive(Clone, Debug)]
pub(super) struct StoreClient {
    endpoint: Endpoint,
    timeout: Duration,
    channels: Channels<(), Purpose>,
    /// Asked for before the connection is up.
    waiting: Vec<(Purpose, StoreRequest)>,
}

impl StoreClient {
    pub fn new(endpoint: Endpoint, space: u8, timeout: Duration, backoff: Backoff) -> Self {
        let channels = Channels::new(space, backoff);
        StoreClient { endpoint, timeout, channels, waiting: Vec::new() }
    }

    pub fn ask(
        &mut self,
        now: Instant,
        purpose: Purpose,
        request: StoreRequest,
        out: &mut Effects,
    ) {
        self.waiting.push((purpose, request));
        self.pump(now, out);
    }

    fn pump(&mut self, now: Instant, out: &mut Effects) {
        if self.waiting.is_empty() || !self.channels.ready(now, &(), &self.endpoint, out) {
            return;
        }
        for (purpose, request) in self.waiting.drain(..) {
            let request = Arc::new(Request::Store(request));
            self.channels.send(&(), request, now + self.timeout, purpose, out);
        }
    }

    /// Takes a wake, or what happens to its connection.
    pub fn step(
        &mut self,
        now: Instant,
        input: Input,
        rng: &mut Rng,
        inbox: &mut Inbox,
        out: &mut Effects,
    ) {
        let failed = match input {
            Input::Opened { conn } => {
                self.channels.opened(conn);
                Vec::new()
            }
            Input::Closed { conn } => {
                self.channels.closed(now, conn, rng).map(|(_, failed)| failed).unwrap_or_default()
            }
            Input::Response { conn, correlation, response } => {
                if let Some((_, purpose)) = self.channels.answered(conn, correlation) {
                    inbox.push_back((purpose, Outcome::Answered(response)));
                }
                Vec::new()
            }
            Input::Wake => {
                let late = self.channels.expire(now, rng, out);
                late.into_iter().flat_map(|(_, failed)| failed).collect()
            }
            Input::Call { .. }
            | Input::Request { .. }
            | Input::Flushed { .. }
            | Input::Saved { .. }
            | Input::Loaded { .. }
            | Input::Lost { .. }
            | Input::LostFile { .. } => Vec::new(),
        };
        let unknown = Outcome::Unknown(ErrorCode::RequestTimedOut);
        inbox.extend(failed.into_iter().map(|purpose| (purpose, unknown.clone())));
        self.pump(now, out);
    }

    pub fn close(&mut self, out: &mut Effects) {
        self.channels.close_all(out);
        self.waiting.clear();
    }

    pub fn deadline(&self) -> Option<Instant> {
        let dial = if self.waiting.is_empty() { None } else { self.channels.blocked_until(&()) };
        earliest(self.channels.deadline(), dial)
    }
}
