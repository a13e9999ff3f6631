//! Kinds of applications and of feeds, by the names that scenarios use.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::copying::CopyKind;
use super::ledger::{LedgerFeed, LedgerKind};
use super::retrying::{MessagesFeed, RetryKind};
use super::storing::StoreKind;
use super::tickets::{TicketsFeed, TicketsKind};
use super::{AppKind, HostedFeed, STORE};

/// What `[[app]]` and `[[feed]]` may name. What comes with seedlog is in it as what a user adds is.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    apps: BTreeMap<Arc<str>, Box<dyn AppKind>>,
    feeds: BTreeMap<Arc<str>, Box<dyn HostedFeed>>,
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

    /// Adds a kind of application; the name's last kind counts.
    pub fn add_app(&mut self, name: &str, kind: Box<dyn AppKind>) {
        self.apps.insert(name.into(), kind);
    }

    /// Adds a kind of feed; the name's last kind counts.
    pub fn add_feed(&mut self, name: &str, feed: Box<dyn HostedFeed>) {
        self.feeds.insert(name.into(), feed);
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
