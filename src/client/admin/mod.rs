//! The admin client: one request a call; it finds who can answer, follows and retries.
//!
//! What the controller decides goes to any broker, which forwards it; what a leader must answer is
//! taken apart by leader. A request that broke off is sent again: then an answer such as
//! TOPIC_ALREADY_EXISTS may be about the first attempt, as with Kafka's own client.

mod route;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::channel::Backoff;
use crate::client::errors::{is_retriable, is_stale_metadata};
use crate::client::network::{Network, NetworkConfig, News};
use crate::config::AdminConfig;
use crate::defect::Defects;
use crate::error::ErrorCode;
use crate::ids::{CallId, Endpoint, NodeId, TopicName};
use crate::machine::{Effect, Effects, Input, Machine};
use crate::message::admin::ConfigResource;
use crate::message::{Request, Response};
use crate::op::{Op, Outcome};
use crate::rng::Rng;
use crate::time::{Duration, Instant, Now, earliest};

/// What an admin client is started with.
#[derive(Clone, Debug)]
pub struct AdminSetup {
    pub client_id: Arc<str>,
    /// Where to ask for the cluster's brokers first; any one that lives is enough.
    pub bootstrap: Arc<[Endpoint]>,
    pub config: AdminConfig,
    pub defects: Defects,
}

/// An admin process.
#[derive(Clone, Debug)]
pub struct Admin {
    setup: Arc<AdminSetup>,
    rng: Rng,
    network: Network<Asked>,
    tasks: BTreeMap<u64, Task>,
    next_task: u64,
    closed: bool,
    wake: Option<Instant>,
}

/// A call under way.
#[derive(Clone, Debug)]
struct Task {
    call: CallId,
    request: Arc<Op>,
    until: Instant,
    not_before: Instant,
    failures: u32,
    /// Some attempt may have had its effect without an answer.
    doubt: bool,
    in_flight: u32,
    /// For leaders: each partition, and the answer about it.
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    topic: TopicName,
    partition: i32,
    asked: bool,
    answer: Option<Response>,
}

/// A request in flight: its task, and which parts it asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    task: u64,
    parts: Vec<usize>,
}

impl Task {
    fn request(&self) -> &Request {
        let Op::Admin(request) = &*self.request else { panic!("only admin requests are tasks") };
        request
    }
}

impl Admin {
    /// Starts without a connection; the first step dials.
    #[must_use]
    pub fn start(setup: &Arc<AdminSetup>, seed: [u8; 32], now: Now, _out: &mut Effects) -> Self {
        let config = &setup.config;
        let network = NetworkConfig {
            space: crate::client::SPACE,
            request_timeout: config.request_timeout,
            metadata_max_age: Duration::from_secs(300),
            retry: Backoff { base: config.retry_backoff, max: config.retry_backoff_max },
            reconnect: Backoff {
                base: config.reconnect_backoff,
                max: config.reconnect_backoff_max,
            },
            auto_create_topics: false,
        };
        Admin {
            setup: Arc::clone(setup),
            rng: Rng::new(seed),
            network: Network::new(Arc::clone(&setup.bootstrap), network),
            tasks: BTreeMap::new(),
            next_task: 0,
            closed: false,
            wake: Some(now.mono),
        }
    }

    fn called(&mut self, now: Now, call: CallId, op: &Arc<Op>, out: &mut Effects) {
        if matches!(**op, Op::Close) {
            for task in core::mem::take(&mut self.tasks).into_values() {
                give_up(&task, ErrorCode::NetworkException, out);
            }
            self.network.shut_down(out);
            self.closed = true;
            return out.push(Effect::Return { call, outcome: Outcome::Done });
        }
        let Op::Admin(request) = &**op else {
            let outcome = Outcome::Failed(ErrorCode::InvalidRequest);
            return out.push(Effect::Return { call, outcome });
        };
        let led = route::led_partitions(request).unwrap_or_default();
        let parts: Vec<Part> = led
            .into_iter()
            .map(|(topic, partition)| Part { topic, partition, asked: false, answer: None })
            .collect();
        for part in &parts {
            self.network.want(&part.topic);
        }
        let task = Task {
            call,
            request: Arc::clone(op),
            until: now.mono + self.setup.config.api_timeout,
            not_before: now.mono,
            failures: 0,
            doubt: false,
            in_flight: 0,
            parts,
        };
        self.tasks.insert(self.next_task, task);
        self.next_task += 1;
    }

    /// Sends whatever has nobody working on it; when to go on without an answer.
    fn ask(&mut self, now: Instant, out: &mut Effects) -> Option<Instant> {
        let mut next = None;
        let tasks: Vec<u64> = self.tasks.keys().copied().collect();
        for id in tasks {
            let task = &self.tasks[&id];
            if task.not_before > now {
                next = earliest(next, Some(task.not_before));
            } else if task.parts.is_empty() {
                next = earliest(next, self.ask_any(now, id, out));
            } else {
                next = earliest(next, self.ask_leaders(now, id, out));
            }
        }
        next
    }

    fn ask_any(&mut self, now: Instant, id: u64, out: &mut Effects) -> Option<Instant> {
        let task = &self.tasks[&id];
        if task.in_flight > 0 || self.network.metadata.brokers.is_empty() {
            return None;
        }
        let own = broker_asked(task.request());
        let node = match own.filter(|node| self.network.metadata.brokers.contains_key(node)) {
            Some(node) if self.network.ready(now, node, out) => node,
            Some(node) => return self.network.blocked_until(node),
            None => match self.network.any_broker(now, &mut self.rng, out) {
                Some(node) => node,
                None => {
                    // The metadata's own search for a broker tells when to go on.
                    self.network.request_refresh();
                    return None;
                }
            },
        };
        let task = self.tasks.get_mut(&id).expect("the caller listed it");
        task.in_flight = 1;
        let request = task.request().clone();
        self.network.send(now, node, request, Asked { task: id, parts: Vec::new() }, out);
        None
    }

    fn ask_leaders(&mut self, now: Instant, id: u64, out: &mut Effects) -> Option<Instant> {
        let mut next = None;
        let mut by_node: BTreeMap<NodeId, Vec<usize>> = BTreeMap::new();
        let task = &self.tasks[&id];
        for (index, part) in task.parts.iter().enumerate() {
            if part.asked || part.answer.is_some() {
                continue;
            }
            match self.network.metadata.leader(&part.topic, part.partition) {
                Some(leader) => by_node.entry(leader.node).or_default().push(index),
                None => self.network.request_refresh(),
            }
        }
        for (node, parts) in by_node {
            if !self.network.ready(now, node, out) {
                next = earliest(next, self.network.blocked_until(node));
                continue;
            }
            let task = self.tasks.get_mut(&id).expect("the caller listed it");
            for index in &parts {
                task.parts[*index].asked = true;
            }
            task.in_flight += 1;
            let request = route::part(task.request(), &parts);
            self.network.send(now, node, request, Asked { task: id, parts }, out);
        }
        next
    }

    fn answered(&mut self, now: Instant, asked: &Asked, response: &Arc<Response>) -> Option<Done> {
        let task = self.tasks.get_mut(&asked.task)?;
        if task.request().api() != response.api() {
            self.unanswered(now, [asked.clone()].into());
            return None;
        }
        task.in_flight -= 1;
        if task.parts.is_empty() {
            let errors = route::errors(response);
            match errors.iter().find(|error| try_elsewhere(**error)) {
                Some(_) => self.failed(now, asked.task),
                None => return Some(Done { task: asked.task, response: Arc::clone(response) }),
            }
            return None;
        }
        let mut answers = route::split(response).into_iter();
        let mut again = false;
        for index in &asked.parts {
            let part = &mut task.parts[*index];
            part.asked = false;
            match answers.next() {
                Some((error, answer)) if !is_stale_metadata(error) && !try_elsewhere(error) => {
                    part.answer = Some(answer);
                }
                Some(_) | None => again = true,
            }
        }
        let all: Option<Vec<Response>> =
            task.parts.iter().map(|part| part.answer.clone()).collect();
        if let Some(whole) = all.and_then(route::join) {
            return Some(Done { task: asked.task, response: Arc::new(whole) });
        }
        if again {
            self.failed(now, asked.task);
        }
        None
    }

    fn failed(&mut self, now: Instant, task: u64) {
        self.network.request_refresh();
        let config = &self.setup.config;
        let backoff = Backoff { base: config.retry_backoff, max: config.retry_backoff_max };
        let task = self.tasks.get_mut(&task).expect("the caller found it");
        task.not_before = now + backoff.after(task.failures, &mut self.rng);
        task.failures = task.failures.saturating_add(1);
    }

    fn unanswered(&mut self, now: Instant, requests: Vec<Asked>) {
        for asked in requests {
            let Some(task) = self.tasks.get_mut(&asked.task) else { continue };
            task.in_flight -= 1;
            task.doubt = true;
            for index in asked.parts {
                task.parts[index].asked = false;
            }
            self.failed(now, asked.task);
        }
    }

    fn work(&mut self, now: Now, out: &mut Effects) {
        let late = |task: &Task| task.until <= now.mono;
        let overdue: Vec<u64> =
            self.tasks.iter().filter(|(_, task)| late(task)).map(|(id, _)| *id).collect();
        for id in overdue {
            let task = self.tasks.remove(&id).expect("it was just listed");
            give_up(&task, ErrorCode::RequestTimedOut, out);
        }
        let next = self.ask(now.mono, out);
        self.network.pump(now.mono, &mut self.rng, out);
        let until = self.tasks.values().map(|task| task.until).min();
        let own = earliest(next, until);
        self.wake = if self.closed { None } else { earliest(own, self.network.deadline()) };
    }

    /// The invariants of what it holds.
    ///
    /// # Panics
    /// If one is broken: a bug of ours.
    pub fn check(&self) {
        for task in self.tasks.values() {
            let asked = task.parts.iter().any(|part| part.asked);
            assert!(
                task.parts.is_empty() || asked == (task.in_flight > 0),
                "who is asked is known"
            );
        }
    }
}

/// A task with its whole answer.
struct Done {
    task: u64,
    response: Arc<Response>,
}

/// Another broker, or the same one later, may answer better.
fn try_elsewhere(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::NotController
            | ErrorCode::BrokerNotAvailable
            | ErrorCode::LeaderNotAvailable
            | ErrorCode::NetworkException
    ) || (is_retriable(error) && error == ErrorCode::CoordinatorLoadInProgress)
}

/// A broker's own settings are known to that broker alone.
fn broker_asked(request: &Request) -> Option<NodeId> {
    let Request::DescribeConfigs(request) = request else { return None };
    request.resources.iter().find_map(|(resource, _)| match resource {
        ConfigResource::Broker(node) => *node,
        ConfigResource::Topic(_) => None,
    })
}

fn give_up(task: &Task, error: ErrorCode, out: &mut Effects) {
    let doubt = task.doubt || task.in_flight > 0;
    let outcome = if doubt { Outcome::Unknown(error) } else { Outcome::Failed(error) };
    out.push(Effect::Return { call: task.call, outcome });
}

impl Machine for Admin {
    fn step(&mut self, now: Now, input: Input, out: &mut Effects) {
        if let Input::Call { call, op } = input {
            if self.closed {
                let outcome = Outcome::Failed(ErrorCode::InvalidRequest);
                return out.push(Effect::Return { call, outcome });
            }
            self.called(now, call, &op, out);
        } else {
            match self.network.take(now.mono, input, &mut self.rng, out) {
                News::Nothing => {}
                News::Failed(requests) => self.unanswered(now.mono, requests),
                News::Answer(_, asked, response) => {
                    if let Some(done) = self.answered(now.mono, &asked, &response) {
                        let task = self.tasks.remove(&done.task).expect("it was just answered");
                        let outcome = Outcome::Answered(done.response);
                        out.push(Effect::Return { call: task.call, outcome });
                    }
                }
            }
        }
        self.work(now, out);
    }

    fn deadline(&self) -> Option<Instant> {
        self.wake
    }
}
