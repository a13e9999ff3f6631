//! The application that administers the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use seedlog::error::ErrorCode;
use seedlog::ids::CallId;
use seedlog::message::{Request, Response};
use seedlog::op::{Op, Outcome};

use crate::cluster::Process;
use crate::world::{ProcessId, World};

/// The admin client: requests under way and the newest answers.
#[derive(Clone, Debug)]
pub struct AdminClient {
    pub process: ProcessId,
    calls: u64,
    pending: BTreeMap<CallId, Arc<Op>>,
    /// Answers that somebody waits for.
    answers: BTreeMap<CallId, Outcome>,
    awaited: Option<CallId>,
}

impl AdminClient {
    #[must_use]
    pub fn new(process: ProcessId) -> Self {
        AdminClient {
            process,
            calls: 0,
            pending: BTreeMap::new(),
            answers: BTreeMap::new(),
            awaited: None,
        }
    }

    /// Sends one request.
    pub fn ask(&mut self, world: &mut World<Process>, request: Request) -> CallId {
        self.calls += 1;
        let call = CallId(self.calls);
        let op = Arc::new(Op::Admin(request));
        self.pending.insert(call, Arc::clone(&op));
        world.call(self.process, call, op);
        call
    }

    /// Sends one request whose answer will be asked for by [`Self::take`].
    pub fn ask_and_wait(&mut self, world: &mut World<Process>, request: Request) -> CallId {
        let call = self.ask(world, request);
        self.awaited = Some(call);
        call
    }

    /// The answer to a request, once.
    pub fn take(&mut self, call: CallId) -> Option<Outcome> {
        self.answers.remove(&call)
    }

    pub fn returned(&mut self, call: CallId, outcome: &Outcome) {
        self.pending.remove(&call);
        if self.awaited == Some(call) {
            self.awaited = None;
            self.answers.insert(call, outcome.clone());
        }
    }

    /// The process died. How many requests never get an answer.
    pub fn gone(&mut self) -> u64 {
        let lost = u64::try_from(self.pending.len()).expect("a length fits u64");
        self.pending.clear();
        if let Some(call) = self.awaited.take() {
            self.answers.insert(call, Outcome::Unknown(ErrorCode::NetworkException));
        }
        lost
    }
}

/// Whether every topic of a CreateTopics answer exists now; otherwise the first error.
///
/// # Errors
/// What the controller said about the first topic that it did not make.
pub fn created(outcome: &Outcome) -> Result<(), String> {
    match outcome {
        Outcome::Answered(response) => {
            let Response::CreateTopics(response) = &**response else {
                return Err(format!("{:?} in place of CreateTopics", response.api()));
            };
            let made = |error| matches!(error, ErrorCode::None | ErrorCode::TopicAlreadyExists);
            match response.topics.iter().find(|topic| !made(topic.error)) {
                Some(topic) => Err(format!("{}: {:?}", topic.name, topic.error)),
                None => Ok(()),
            }
        }
        Outcome::Failed(error) | Outcome::Unknown(error) => Err(format!("{error:?}")),
        Outcome::Done
        | Outcome::Sent { .. }
        | Outcome::Polled(_)
        | Outcome::Rebalanced(_)
        | Outcome::Committed(_) => Err("no answer".into()),
    }
}
