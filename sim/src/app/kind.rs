//! What makes an application: its kind, and what a process of it is started with.

use std::fmt;
use std::sync::Arc;

use seedlog::client::app::format::Format;
use seedlog::config::Delivery;
use seedlog::defect::Defects;
use seedlog::ids::{Endpoint, TopicName};
use seedlog::machine::{Effects, Survived};
use seedlog::time::Now;

use super::{AppTable, Described, HostedApp, ValueFormat};
use crate::check::{Duty, Invariant, Pipeline};

/// One process of an application, as a scenario wants it.
#[derive(Clone, Debug)]
pub struct HostSetup {
    /// Its process: x1, x2, ..
    pub client_id: Arc<str>,
    /// From 1, among those of its `[[app]]`.
    pub instance: u32,
    pub bootstrap: Arc<[Endpoint]>,
    /// The store that stands beside the brokers, if the application has one.
    pub store: Option<Endpoint>,
    pub defects: Defects,
    /// What its `[[app]]` says.
    pub table: Arc<AppTable>,
}

impl HostSetup {
    /// The first of its output topics.
    ///
    /// # Panics
    /// If its `[[app]]` names none.
    #[must_use]
    pub fn output(&self) -> TopicName {
        self.table.output.first().expect("the [[app]] has an output").clone()
    }

    /// What its `[[app]]` says under a key of its own.
    #[must_use]
    pub fn own(&self, key: &str) -> Option<&str> {
        self.table.own.get(key).map(|value| &**value)
    }

    /// How values of that type are written and read, as its `[[app]]` says.
    ///
    /// # Panics
    /// If they are bytes without a type.
    #[must_use]
    pub fn format<T: Described>(&self) -> Format<T> {
        self.table.format.of()
    }
}

/// When and with what a process begins.
#[derive(Debug)]
pub struct Begin {
    pub seed: [u8; 32],
    pub now: Now,
    pub survived: Survived,
}

/// What is wrong with a table: under which key, what, and the cure.
pub type Refusal = (&'static str, String, &'static str);

/// A kind of application, by the name that scenarios use.
pub trait AppKind: Send + Sync {
    /// The keys of an `[[app]]` that only this kind knows.
    fn keys(&self) -> &'static [&'static str] {
        &[]
    }

    /// Takes one of [`AppKind::keys`].
    ///
    /// # Errors
    /// What is wrong with the value.
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        Err(format!("{key} = {value:?} means nothing here"))
    }

    /// The formats of values that it knows; the first is the one that it has if none is named.
    fn formats(&self) -> &'static [ValueFormat] {
        ValueFormat::OPAQUE
    }

    /// Whether it needs a store beside the brokers, whatever its `[[app]]` says.
    fn wants_store(&self) -> bool {
        false
    }

    /// Whether it has nowhere to write without an output topic.
    fn needs_output(&self) -> bool {
        false
    }

    /// The delivery mode that it needs, if it leaves no choice.
    fn delivery(&self) -> Option<Delivery> {
        None
    }

    /// What else it writes, beside its outputs and its changelog.
    fn writes(&self, table: &AppTable) -> Vec<TopicName> {
        let _ = table;
        Vec::new()
    }

    /// What is wrong with its table, if something is.
    fn refuses(&self, table: &AppTable) -> Option<Refusal> {
        let _ = table;
        None
    }

    /// What it makes of its input, for the checkers that know pipelines.
    fn pipelines(&self, table: &AppTable) -> Vec<Pipeline> {
        let _ = table;
        Vec::new()
    }

    /// What it owes of records that it alone can read: [`AppTable::duty`], if its processes note
    /// what they have processed.
    fn duty(&self, table: &AppTable) -> Option<Duty> {
        let _ = table;
        None
    }

    /// What else must stay true of it.
    fn invariants(&self, table: &AppTable) -> Vec<Box<dyn Invariant>> {
        let _ = table;
        Vec::new()
    }

    /// Starts one process of it.
    fn start(&self, setup: &HostSetup, begin: Begin, out: &mut Effects) -> Box<dyn HostedApp>;

    fn clone_box(&self) -> Box<dyn AppKind>;
}

impl fmt::Debug for dyn AppKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppKind")
    }
}

impl Clone for Box<dyn AppKind> {
    fn clone(&self) -> Self {
        (**self).clone_box()
    }
}
