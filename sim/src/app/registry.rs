//! Kinds of applications and of feeds, by the names that scenarios use.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::copying::CopyKind;
use super::ledger::{LedgerFeed, LedgerKind};
use super::retrying::{MessagesFeed, RetryKind};
use super::storing::StoreKind;
use super::tickets::{TicketsFeed, TicketsKind};
use super::{AppKind, HostedFeed, STORE};
use crate::check::Makes;

/// What `[[app]]` and `[[feed]]` may name. What comes with seedlog is in it as what a user adds is.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    apps: BTreeMap<Arc<str>, Box<dyn AppKind>>,
    feeds: BTreeMap<Arc<str>, Box<dyn HostedFeed>>,
    makes: BTreeMap<Arc<str>, Makes>,
    /// What users have added to what an `[[app]]` of a kind may say.
    keys: BTreeMap<Arc<str>, Vec<Arc<str>>>,
}

impl Registry {
    /// The applications that come with seedlog.
    #[must_use]
    pub fn built_in() -> Self {
        let mut registry = Registry::default();
        registry.add_app("copy", Box::new(CopyKind));
        registry.add_app("ledger", Box::new(LedgerKind::default()));
        registry.add_app("retry", Box::new(RetryKind::default()));
        registry.add_app("tickets", Box::new(TicketsKind));
        registry.add_feed("ledger", Box::new(LedgerFeed::default()));
        registry.add_feed("messages", Box::new(MessagesFeed::default()));
        registry.add_feed("tickets", Box::new(TicketsFeed::default()));
        registry.add_app(STORE, Box::new(StoreKind));
        registry
    }

    /// Adds a kind of application.
    ///
    /// # Panics
    /// If one of that name is there.
    pub fn add_app(&mut self, name: &str, kind: Box<dyn AppKind>) {
        let before = self.apps.insert(name.into(), kind);
        assert!(before.is_none(), "there is an application {name:?} already: name yours otherwise");
    }

    /// Adds a kind of feed.
    ///
    /// # Panics
    /// If one of that name is there.
    pub fn add_feed(&mut self, name: &str, feed: Box<dyn HostedFeed>) {
        let before = self.feeds.insert(name.into(), feed);
        assert!(before.is_none(), "there is a feed {name:?} already: name yours otherwise");
    }

    /// Says what an application of that name owes of each record.
    ///
    /// # Panics
    /// If that was said before.
    pub fn add_promise(&mut self, name: &str, makes: Makes) {
        let before = self.makes.insert(name.into(), makes);
        assert!(before.is_none(), "{name:?} has a promise already: it has one at most");
    }

    /// Lets an `[[app]]` of that name say something more.
    pub fn add_key(&mut self, name: &str, key: &str) {
        self.keys.entry(name.into()).or_default().push(key.into());
    }

    /// What was added to what an `[[app]]` of that name may say.
    #[must_use]
    pub fn keys(&self, name: &str) -> &[Arc<str>] {
        self.keys.get(name).map_or(&[], Vec::as_slice)
    }

    /// What an application of that name owes of each record, if that was said.
    #[must_use]
    pub fn makes(&self, name: &str) -> Option<Makes> {
        self.makes.get(name).cloned()
    }

    #[must_use]
    pub fn app(&self, name: &str) -> Option<Box<dyn AppKind>> {
        self.apps.get(name).cloned()
    }

    #[must_use]
    pub fn feed(&self, name: &str) -> Option<Box<dyn HostedFeed>> {
        self.feeds.get(name).cloned()
    }

    /// The names of all kinds that an `[[app]]` may have, sorted.
    #[must_use]
    pub fn app_names(&self) -> Vec<&str> {
        self.apps.keys().map(|name| &**name).filter(|name| *name != STORE).collect()
    }

    /// The names of all kinds of feeds, sorted.
    #[must_use]
    pub fn feed_names(&self) -> Vec<&str> {
        self.feeds.keys().map(|name| &**name).collect()
    }
}
