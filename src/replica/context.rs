//! What a replica is told with each call, and what it tells back.

use crate::config::BrokerConfig;
use crate::defect::Defects;
use crate::error::ErrorCode;
use crate::ids::{BrokerEpoch, NodeId};
use crate::message::fetch::Isolation;
use crate::metadata::Image;
use crate::time::Now;

/// The broker around a replica, for the length of one call.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub now: Now,
    /// This broker.
    pub node: NodeId,
    /// This broker's incarnation; [`BrokerEpoch::NONE`] until the controller has registered it.
    pub broker_epoch: BrokerEpoch,
    pub config: &'a BrokerConfig,
    pub defects: Defects,
    /// The newest metadata that this broker has applied.
    pub image: &'a Image,
}

impl Context<'_> {
    /// Whether the image already knows this incarnation of the broker. Until then what it says
    /// about this broker's leaderships was decided for the incarnation before, whose log may have
    /// held more: such an image must not be followed.
    #[must_use]
    pub fn knows_this_incarnation(&self) -> bool {
        self.image.brokers.get(&self.node).is_some_and(|broker| broker.epoch == self.broker_epoch)
    }
}

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reader {
    Consumer(Isolation),
    /// A follower, in the incarnation that it claims (KIP-903).
    Replica(NodeId, BrokerEpoch),
}

impl Reader {
    /// The reader that a fetch request comes from.
    #[must_use]
    pub const fn of(replica: Option<(NodeId, BrokerEpoch)>, isolation: Isolation) -> Self {
        match replica {
            Some((node, epoch)) => Reader::Replica(node, epoch),
            None => Reader::Consumer(isolation),
        }
    }
}

/// How much a read may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// What is left of the request's own limit; the partition's limit is in the fetch.
    pub bytes: u32,
    /// Return the first batch even if it is larger than the limits (KIP-74), so that a reader makes
    /// progress.
    pub at_least_one: bool,
}

/// What moved since the last [`super::Replica::take_changes`]: a reason to look again at requests
/// that wait in purgatory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Changes {
    /// The high watermark: produces with acks=all and fetches of consumers may be done.
    pub high_watermark: bool,
    /// The log's end: fetches of followers may be done.
    pub end_offset: bool,
    /// The log's start here or on a follower: deletions of records may be done.
    pub start_offset: bool,
    /// The replica began or ceased to lead or to follow, or has a new leader epoch: everything that
    /// waits must be looked at, and fetchers re-assigned.
    pub role: bool,
    /// There may be an ISR proposal to send: ask [`super::Replica::isr_proposal`].
    pub proposal: bool,
    /// A follower's back-off is over: ask [`super::Replica::fetch_request`].
    pub fetch: bool,
}

impl Changes {
    pub const NONE: Changes = Changes {
        high_watermark: false,
        end_offset: false,
        start_offset: false,
        role: false,
        proposal: false,
        fetch: false,
    };

    #[must_use]
    pub fn any(self) -> bool {
        self != Changes::NONE
    }
}

/// What the answer to a follower's fetch led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fetched {
    /// Records were appended.
    Progress,
    /// Nothing new to append; the high watermark may have moved.
    Idle,
    /// The log parted from the leader's and was cut: fetch again at once.
    Truncated,
    /// Not now: [`super::Replica::fetch_request`] gives nothing until the back-off is over (see
    /// [`super::Replica::deadline`]).
    BackOff(ErrorCode),
    /// The answer is to a question that no longer stands; nothing was done with it.
    Stale,
}
