//! Histories of a ledger, for tests.

use std::sync::Arc;

use seedlog::client::app::format::Format;
use seedlog::client::app::ledger::balance_key;
use seedlog::client::app::ledger::format::{Action, LedgerRequest, Posting};
use seedlog::event::{
    ApplicationNote, AppliedChange, AppliedNote, Event, OffsetNote, RestoredNote,
};
use seedlog::ids::{LeaderEpoch, Offset, TopicId, TopicName};
use seedlog::record::Record;
use seedlog::time::{Duration, Instant, Timestamp};

use super::posted::{Place, Trail};
use super::{Invariant, Posted, Reader, Values, Visible};

/// A change of an account, of which only the request is known.
pub fn posting(request: &str, account: &str, delta: i64) -> Posted {
    Posted {
        request: request.into(),
        action: None,
        account: account.into(),
        delta,
        changed: delta,
        left: None,
        overwrites: false,
        funding: None,
        trail: Trail { what: Place::Store { by: "x1".into() }, at: Instant::ZERO },
    }
}

pub fn fund(account: &str, amount: i64) -> Action {
    Action::Fund { account: account.into(), amount }
}

pub fn spend(account: &str, amount: i64, funding: Option<&str>) -> Action {
    Action::Spend { account: account.into(), amount, funding: funding.map(Into::into) }
}

pub fn transfer(from: &str, to: &str, amount: i64) -> Action {
    Action::Transfer { from: from.into(), to: to.into(), amount }
}

/// Reads a ledger whose topics are `requests` and `postings`.
pub fn reader() -> Reader {
    Reader::new(requests(), Values::new("postings", Format::json()))
}

pub fn requests() -> Values<LedgerRequest> {
    Values::new("requests", Format::json())
}

/// What an invariant is shown of such a ledger. Each step comes a second after the one before.
#[derive(Clone)]
pub struct Shown<I> {
    pub invariant: I,
    seconds: u64,
    offset: i64,
}

impl<I: Invariant> Shown<I> {
    pub fn new(invariant: I) -> Self {
        Shown { invariant, seconds: 0, offset: 0 }
    }

    fn now(&mut self) -> Instant {
        self.seconds += 1;
        Instant::ZERO + Duration::from_secs(self.seconds)
    }

    fn record(
        &mut self,
        topic: &str,
        key: Option<bytes::Bytes>,
        value: Option<bytes::Bytes>,
    ) -> Result<(), String> {
        let topic = TopicName::from(topic);
        let (offset, timestamp) = (Offset(self.offset), Timestamp(0));
        let record = Record { offset, timestamp, key, value, headers: Vec::new() };
        self.offset += 1;
        let at = self.now();
        self.invariant.visible(&Visible { topic: &topic, partition: 0, record: &record, at })
    }

    pub fn visible(&mut self, topic: &str, value: bytes::Bytes) -> Result<(), String> {
        self.record(topic, None, Some(value))
    }

    /// A record of the changelog `balances`.
    pub fn keeps(&mut self, key: &'static str, value: Option<&'static str>) {
        assert_eq!(self.record("balances", Some(key.into()), value.map(Into::into)), Ok(()));
    }

    /// Somebody has read that changelog.
    pub fn restores(&mut self, upto: i64, digest: u64) -> Result<(), String> {
        self.happens(ApplicationNote::Restored(RestoredNote {
            by: "x1".into(),
            changelog: "balances".into(),
            partition: 0,
            upto: Offset(upto),
            digest,
        }))
    }

    fn happens(&mut self, note: ApplicationNote) -> Result<(), String> {
        let at = self.now();
        self.invariant.noted(&Event::Application(Arc::new(note)), at)
    }

    /// A group has done with requests below an offset.
    pub fn commits(&mut self, group: &str, offset: i64) {
        let note = OffsetNote {
            group: group.into(),
            topic: "requests".into(),
            topic_id: TopicId::ZERO,
            partition: 0,
            offset: Offset(offset),
            member: "m".into(),
            generation: 1,
            producer: None,
            shard: 0,
            at: Offset(0),
            coordinator_epoch: LeaderEpoch(0),
        };
        let at = self.now();
        assert_eq!(self.invariant.noted(&Event::OffsetCommitted(Arc::new(note)), at), Ok(()));
    }

    pub fn asks(&mut self, id: &str, action: Action) {
        let request = LedgerRequest { id: id.into(), action };
        assert_eq!(self.visible("requests", Format::json().encode(&request)), Ok(()));
    }

    pub fn posts(&mut self, id: &str, account: &str, delta: i64) -> Result<(), String> {
        let posting = Posting {
            request: id.into(),
            account: account.into(),
            delta,
            balance: None,
            funding: None,
        };
        self.visible("postings", Format::json().encode(&posting))
    }

    fn noted(
        &mut self,
        (by, id, overwrites): (&str, &str, bool),
        changes: &[(&str, i64, i64)],
    ) -> Result<(), String> {
        let change = |(account, delta, balance): &(&str, i64, i64)| AppliedChange {
            key: balance_key(account),
            delta: *delta,
            balance: *balance,
        };
        let changes = changes.iter().map(change).collect();
        let note = AppliedNote { id: id.into(), by: by.into(), overwrites, changes };
        self.happens(ApplicationNote::Applied(note))
    }

    /// The store changes accounts in one unit: each by how much, and to what.
    pub fn applies(
        &mut self,
        by: &str,
        id: &str,
        changes: &[(&str, i64, i64)],
    ) -> Result<(), String> {
        self.noted((by, id, false), changes)
    }

    /// Somebody writes over a balance.
    pub fn puts(&mut self, by: &str, id: &str, change: (&str, i64, i64)) -> Result<(), String> {
        self.noted((by, id, true), &[change])
    }
}
