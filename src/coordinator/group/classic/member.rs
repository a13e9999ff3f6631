//! A member of a classic group.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::coordinator::Requester;
use crate::coordinator::group::embedded;
use crate::coordinator::group::record::ClassicMemberValue;
use crate::message::group::JoinGroupRequest;
use crate::time::Duration;

#[derive(Clone, Debug)]
pub(in crate::coordinator::group) struct Member {
    pub instance: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
    /// Assignors with the member's subscription for each, the best first.
    pub protocols: Vec<(Arc<str>, Bytes)>,
    pub assignment: Bytes,
    /// Waits for the round to end.
    pub joining: Option<Requester>,
    /// Waits for its assignment.
    pub syncing: Option<Requester>,
    /// It has asked for its assignment in this generation.
    pub synced: bool,
    /// It has not been told its id yet, so it cannot send heartbeats.
    pub is_new: bool,
}

impl Member {
    pub fn new(asked: &JoinGroupRequest, to: Requester) -> Self {
        Member {
            instance: asked.instance.clone(),
            client_id: asked.client_id.clone(),
            client_host: asked.client_host.clone(),
            session_timeout: asked.session_timeout,
            rebalance_timeout: asked.rebalance_timeout,
            protocols: asked.protocols.clone(),
            assignment: Bytes::new(),
            joining: Some(to),
            syncing: None,
            synced: false,
            is_new: true,
        }
    }

    pub fn load(value: &ClassicMemberValue, protocol: Option<&Arc<str>>) -> Self {
        let protocol = protocol.map(|name| (name.clone(), value.subscription.clone()));
        Member {
            instance: value.instance.clone(),
            client_id: value.client_id.clone(),
            client_host: value.client_host.clone(),
            session_timeout: value.session_timeout,
            rebalance_timeout: value.rebalance_timeout,
            protocols: protocol.into_iter().collect(),
            assignment: value.assignment.clone(),
            joining: None,
            syncing: None,
            synced: true,
            is_new: false,
        }
    }

    /// Takes over what a request to join says anew.
    pub fn update(&mut self, asked: &JoinGroupRequest) {
        self.session_timeout = asked.session_timeout;
        self.rebalance_timeout = asked.rebalance_timeout;
        self.protocols = asked.protocols.clone();
    }

    pub fn is_joining(&self) -> bool {
        self.joining.is_some()
    }

    pub fn is_syncing(&self) -> bool {
        self.syncing.is_some()
    }

    pub fn speaks(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| **name == *protocol)
    }

    /// The member's subscription for a protocol.
    pub fn subscription(&self, protocol: Option<&str>) -> Bytes {
        let mut protocols = self.protocols.iter();
        let found = protocols.find(|(name, _)| Some(&**name) == protocol);
        found.map(|(_, subscription)| subscription.clone()).unwrap_or_default()
    }

    /// Whether the member wants the same topics as `other`, as far as a coordinator can tell.
    pub fn wants_the_same(&self, other: &Member, protocol: Option<&str>) -> bool {
        let topics = |member: &Member| embedded::subscribed(&member.subscription(protocol));
        match (topics(self), topics(other)) {
            (Ok(mine), Ok(theirs)) => mine == theirs,
            // The protocol is somebody's own: only its name counts, as in Kafka.
            (Ok(_) | Err(_), Ok(_) | Err(_)) => true,
        }
    }
}
