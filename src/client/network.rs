//! A client's connections, and the metadata that tells where to connect to.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::channel::{Backoff, Channels};
use crate::client::metadata::Metadata;
use crate::ids::{ConnId, CorrelationId, Endpoint, NodeId, TopicName, TopicRef};
use crate::machine::{Effects, Input};
use crate::message::metadata::MetadataRequest;
use crate::message::{Request, Response};
use crate::rng::Rng;
use crate::time::{Duration, Instant, earliest};

/// Settings that all clients share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NetworkConfig {
    /// Whose connections these are, if a process holds several clients (see [`ConnId::outbound`]).
    pub space: u8,
    pub request_timeout: Duration,
    pub metadata_max_age: Duration,
    pub retry: Backoff,
    pub reconnect: Backoff,
    pub auto_create_topics: bool,
}

/// Connections to brokers. `T` is what the owner wants back with an answer.
#[derive(Clone, Debug)]
pub(crate) struct Network<T> {
    config: NetworkConfig,
    bootstrap: Arc<[Endpoint]>,
    pub metadata: Metadata,
    channels: Channels<NodeId, Tag<T>>,
    /// What the owner wants to know of, sorted.
    topics: Vec<TopicName>,
    /// How often something was added there, as of now and of the last answer.
    wants: (u64, u64),
    refresh: Refresh,
}

#[derive(Clone, Debug)]
enum Tag<T> {
    /// With what was wanted then.
    Metadata(u64),
    Owner(T),
}

#[derive(Clone, Debug)]
struct Refresh {
    wanted: bool,
    in_flight: bool,
    not_before: Instant,
    /// Answers in a row that told nothing new.
    fruitless: u32,
    /// When what is known is too old.
    due: Instant,
    /// A broker dialled to ask it.
    dialled: Option<NodeId>,
}

/// What an input brings the owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News<T> {
    /// Only the network's own.
    Nothing,
    /// Requests that will have no answer, oldest first: their connection broke, or their time is
    /// up.
    Failed(Vec<T>),
    Answer(NodeId, T, Arc<Response>),
}

impl<T> Network<T> {
    pub fn new(bootstrap: Arc<[Endpoint]>, config: NetworkConfig) -> Self {
        assert!(!bootstrap.is_empty(), "a client has somebody to ask");
        Network {
            config,
            bootstrap,
            metadata: Metadata::default(),
            channels: Channels::new(config.space, config.reconnect),
            topics: Vec::new(),
            wants: (0, 0),
            refresh: Refresh {
                wanted: true,
                in_flight: false,
                not_before: Instant::ZERO,
                fruitless: 0,
                due: Instant::FAR,
                dialled: None,
            },
        }
    }

    /// Asks for a topic in all metadata requests from now on.
    pub fn want(&mut self, topic: &TopicName) {
        if let Err(index) = self.topics.binary_search(topic) {
            self.topics.insert(index, topic.clone());
            self.wants.0 += 1;
            self.refresh.wanted = true;
            self.refresh.not_before = Instant::ZERO;
            self.refresh.fruitless = 0;
        }
    }

    /// Asks for no other topics any longer.
    pub fn retain(&mut self, keep: impl Fn(&TopicName) -> bool) {
        self.topics.retain(keep);
    }

    /// Whether some broker has answered for all the topics that are wanted: those that are not in
    /// the metadata are not there.
    pub fn is_told(&self) -> bool {
        self.wants.0 == self.wants.1
    }

    /// Asks for metadata as soon as the backoff allows.
    pub fn request_refresh(&mut self) {
        self.refresh.wanted = true;
    }

    /// Sends a metadata request if one is wanted, or dials somebody for it.
    pub fn pump(&mut self, now: Instant, rng: &mut Rng, out: &mut Effects) {
        if self.refresh.due <= now {
            self.refresh.wanted = true;
        }
        if !self.refresh.wanted || self.refresh.in_flight || self.refresh.not_before > now {
            return;
        }
        let Some(node) = self.any_broker(now, rng, out) else { return };
        let topics = self.topics.iter().cloned().map(TopicRef::Name).collect();
        let request = Arc::new(Request::Metadata(MetadataRequest {
            topics: Some(topics),
            allow_auto_topic_creation: self.config.auto_create_topics,
        }));
        let deadline = now + self.config.request_timeout;
        self.channels.send(&node, request, deadline, Tag::Metadata(self.wants.0), out);
        self.refresh.wanted = false;
        self.refresh.in_flight = true;
        self.refresh.dialled = None;
    }

    /// The open connection with the least in flight; without one, dials some broker: a known one,
    /// then one of the bootstrap list (KIP-1102).
    pub fn any_broker(&mut self, now: Instant, rng: &mut Rng, out: &mut Effects) -> Option<NodeId> {
        let candidates = self.candidates();
        let open = candidates.iter().filter(|(node, _)| self.channels.is_open(node));
        if let Some((node, _)) = open.min_by_key(|(node, _)| self.channels.in_flight(node)) {
            return Some(*node);
        }
        if self.refresh.dialled.is_some_and(|node| self.channels.is_dialling(&node)) {
            return None;
        }
        let known = self.metadata.brokers.len();
        let (first, second) = candidates.split_at(known);
        for group in [first, second] {
            let free: Vec<&(NodeId, Endpoint)> = group
                .iter()
                .filter(|(node, _)| !self.channels.is_dialling(node))
                .filter(|(node, _)| self.channels.blocked_until(node).is_none_or(|at| at <= now))
                .collect();
            if !free.is_empty() {
                let (node, endpoint) = free[rng.index(free.len())];
                self.channels.ready(now, node, endpoint, out);
                self.refresh.dialled = Some(*node);
                return None;
            }
        }
        None
    }

    /// Known brokers first, then the bootstrap list.
    fn candidates(&self) -> Vec<(NodeId, Endpoint)> {
        let known = self.metadata.brokers.iter().map(|(node, endpoint)| (*node, endpoint.clone()));
        let bootstrap = self.bootstrap.iter().enumerate().map(|(index, endpoint)| {
            let index = i32::try_from(index).expect("a bootstrap list is short");
            // -1 is `NodeId::NONE`.
            (NodeId(-2 - index), endpoint.clone())
        });
        known.chain(bootstrap).collect()
    }

    /// True if a request to that broker could be sent now; otherwise dials it if the backoff is
    /// over.
    pub fn ready(&mut self, now: Instant, node: NodeId, out: &mut Effects) -> bool {
        match self.metadata.brokers.get(&node) {
            Some(endpoint) => self.channels.ready(now, &node, endpoint, out),
            None => false,
        }
    }

    /// When [`Self::ready`] may dial again, if it must wait.
    pub fn blocked_until(&self, node: NodeId) -> Option<Instant> {
        self.channels.blocked_until(&node)
    }

    /// Requests without an answer yet.
    pub fn in_flight(&self, node: NodeId) -> usize {
        self.channels.in_flight(&node)
    }

    /// Sends to a broker that is ready.
    pub fn send(
        &mut self,
        now: Instant,
        node: NodeId,
        request: Request,
        tag: T,
        out: &mut Effects,
    ) {
        self.send_within(now + self.config.request_timeout, node, request, tag, out);
    }

    /// [`Self::send`], with an answer by that time.
    pub fn send_within(
        &mut self,
        deadline: Instant,
        node: NodeId,
        request: Request,
        tag: T,
        out: &mut Effects,
    ) {
        self.channels.send(&node, Arc::new(request), deadline, Tag::Owner(tag), out);
    }

    /// Sends a request that has no answer.
    pub fn send_one_way(&mut self, node: NodeId, request: Request, out: &mut Effects) {
        self.channels.send_one_way(&node, Arc::new(request), out);
    }

    /// Takes any input but a call; what it brings the owner.
    pub fn take(
        &mut self,
        now: Instant,
        input: Input,
        rng: &mut Rng,
        out: &mut Effects,
    ) -> News<T> {
        match input {
            Input::Wake => News::Failed(self.expire(now, rng, out)),
            Input::Opened { conn } => {
                self.channels.opened(conn);
                News::Nothing
            }
            Input::Closed { conn } => match self.channels.closed(now, conn, rng) {
                Some((_, tags)) => News::Failed(self.failed(now, tags, rng)),
                None => News::Nothing,
            },
            Input::Response { conn, correlation, response } => {
                self.answered(now, conn, correlation, response, rng)
            }
            // A client serves nobody and has no disk.
            Input::Call { .. }
            | Input::Request { .. }
            | Input::Flushed { .. }
            | Input::Saved { .. }
            | Input::Loaded { .. }
            | Input::Lost { .. }
            | Input::LostFile { .. } => News::Nothing,
        }
    }

    /// Closes connections with overdue requests; answers the owner's requests that have failed.
    fn expire(&mut self, now: Instant, rng: &mut Rng, out: &mut Effects) -> Vec<T> {
        let mut failed = Vec::new();
        if self.channels.deadline().is_none_or(|at| at > now) {
            return failed;
        }
        for (_, tags) in self.channels.expire(now, rng, out) {
            failed.extend(self.failed(now, tags, rng));
        }
        failed
    }

    /// A connection broke: perhaps its broker is gone, so who leads is worth a question.
    fn failed(&mut self, now: Instant, tags: Vec<Tag<T>>, rng: &mut Rng) -> Vec<T> {
        self.refresh.wanted = true;
        let mut owners = Vec::new();
        for tag in tags {
            match tag {
                Tag::Metadata(_) => {
                    self.refresh.in_flight = false;
                    self.back_off(now, rng);
                }
                Tag::Owner(tag) => owners.push(tag),
            }
        }
        owners
    }

    fn back_off(&mut self, now: Instant, rng: &mut Rng) {
        self.refresh.not_before = now + self.config.retry.after(self.refresh.fruitless, rng);
        self.refresh.fruitless = self.refresh.fruitless.saturating_add(1);
    }

    fn answered(
        &mut self,
        now: Instant,
        conn: ConnId,
        correlation: CorrelationId,
        response: Arc<Response>,
        rng: &mut Rng,
    ) -> News<T> {
        match self.channels.answered(conn, correlation) {
            None => News::Nothing,
            Some((node, Tag::Owner(tag))) => News::Answer(node, tag, response),
            Some((_, Tag::Metadata(wants))) => {
                self.wants.1 = wants;
                self.refresh.in_flight = false;
                self.refresh.due = now + self.config.metadata_max_age;
                if let Response::Metadata(metadata) = &*response
                    && self.metadata.update(metadata)
                {
                    self.refresh.fruitless = 0;
                }
                // The next one waits a little even if this one told something: brokers learn in
                // turn.
                self.back_off(now, rng);
                self.refresh.wanted |= self.metadata.brokers.is_empty();
                News::Nothing
            }
        }
    }

    /// Hangs up on everybody.
    pub fn shut_down(&mut self, out: &mut Effects) {
        self.channels.close_all(out);
        self.refresh.wanted = false;
        self.refresh.due = Instant::FAR;
    }

    /// When to take a wake, or when [`Self::pump`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let timeouts = self.channels.deadline();
        if self.refresh.in_flight {
            return timeouts;
        }
        if !self.refresh.wanted {
            let due = (self.refresh.due != Instant::FAR).then_some(self.refresh.due);
            return earliest(timeouts, due);
        }
        earliest(timeouts, self.refresh_at())
    }

    /// When a wanted refresh could go on; none while a dial for it waits for its answer.
    fn refresh_at(&self) -> Option<Instant> {
        if self.refresh.dialled.is_some_and(|node| self.channels.is_dialling(&node)) {
            return None;
        }
        let candidates = self.candidates();
        let free = candidates
            .iter()
            .filter(|(node, _)| !self.channels.is_dialling(node))
            .map(|(node, _)| self.channels.blocked_until(node).unwrap_or(Instant::ZERO))
            .min()?;
        Some(free.max(self.refresh.not_before))
    }
}
