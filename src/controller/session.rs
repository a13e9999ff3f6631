//! Who has been heard of lately. Not in the log: a new active controller starts its own count.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::ids::{BrokerEpoch, NodeId, Offset};
use crate::metadata::Image;
use crate::time::{Duration, Instant};

/// The brokers that this controller heard of within the session timeout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sessions {
    by_node: BTreeMap<NodeId, Session>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Session {
    epoch: BrokerEpoch,
    expires: Instant,
    /// How far the broker has applied the metadata log.
    metadata_offset: Offset,
    /// The last record that took something from a broker that shuts down: it may go when all
    /// active brokers know of it.
    shutdown_after: Option<Offset>,
}

impl Sessions {
    /// A controller becomes active: every broker that is not fenced gets a full session to be
    /// heard.
    pub fn begin(image: &Image, now: Instant, timeout: Duration) -> Self {
        let live = image.brokers.iter().filter(|(_, broker)| !broker.fenced);
        let by_node =
            live.map(|(node, broker)| (*node, Session::new(broker.epoch, now + timeout))).collect();
        Sessions { by_node }
    }

    /// A broker registered.
    pub fn open(&mut self, node: NodeId, epoch: BrokerEpoch, expires: Instant) {
        self.by_node.insert(node, Session::new(epoch, expires));
    }

    pub fn close(&mut self, node: NodeId) {
        self.by_node.remove(&node);
    }

    /// A broker was heard of.
    pub fn touch(
        &mut self,
        node: NodeId,
        epoch: BrokerEpoch,
        metadata_offset: Offset,
        expires: Instant,
    ) {
        let session = self.by_node.entry(node).or_insert(Session::new(epoch, expires));
        if session.epoch != epoch {
            *session = Session::new(epoch, expires);
        }
        session.expires = expires;
        session.metadata_offset = session.metadata_offset.max(metadata_offset);
    }

    /// When a broker's session ends if it is not heard of again.
    pub fn end(&self, node: NodeId) -> Option<Instant> {
        self.by_node.get(&node).map(|session| session.expires)
    }

    /// Whether that incarnation was heard of within the timeout.
    pub fn is_valid(&self, node: NodeId, epoch: BrokerEpoch, now: Instant) -> bool {
        let session = self.by_node.get(&node);
        session.is_some_and(|session| session.epoch == epoch && session.expires > now)
    }

    /// Records that a broker's shutdown has to wait until all active brokers have applied `offset`.
    pub fn wait_for(&mut self, node: NodeId, offset: Offset) {
        if let Some(session) = self.by_node.get_mut(&node) {
            session.shutdown_after = Some(offset);
        }
    }

    /// What [`Sessions::wait_for`] recorded.
    pub fn shutdown_after(&self, node: NodeId) -> Option<Offset> {
        self.by_node.get(&node)?.shutdown_after
    }

    /// How far all active brokers have applied the metadata log; [`Offset::MAX`] if there are none.
    pub fn lowest_active(&self, image: &Image) -> Offset {
        let active = self.by_node.iter().filter(|(node, _)| image.is_active(**node));
        active.map(|(_, session)| session.metadata_offset).min().unwrap_or(Offset::MAX)
    }

    /// Forgets and answers those that were not heard of in time.
    pub fn expire(&mut self, now: Instant) -> Vec<NodeId> {
        let silent = self.by_node.iter().filter(|(_, session)| session.expires <= now);
        let silent: Vec<NodeId> = silent.map(|(node, _)| *node).collect();
        for node in &silent {
            self.by_node.remove(node);
        }
        silent
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.by_node.values().map(|session| session.expires).min()
    }
}

impl Session {
    fn new(epoch: BrokerEpoch, expires: Instant) -> Self {
        Session { epoch, expires, metadata_offset: Offset::NONE, shutdown_after: None }
    }
}
