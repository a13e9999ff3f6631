//! The store that stands beside the brokers.

use std::sync::Arc;

use seedlog::client::app::store::{Store, StoreSetup};
use seedlog::machine::Effects;

use super::{AppKind, Application, Begin, HostSetup, HostedApp};

impl Application for Store {
    fn check(&self) {
        Store::check(self);
    }
}

/// What every registry knows as [`STORE`](super::STORE). No `[[app]]` names it: it is there where
/// an application wants one. It keeps everything in memory, so no fault source crashes it.
#[derive(Clone)]
pub struct StoreKind;

impl AppKind for StoreKind {
    fn start(&self, setup: &HostSetup, _: Begin, _: &mut Effects) -> Box<dyn HostedApp> {
        let setup = StoreSetup { defects: setup.defects, ..StoreSetup::default() };
        Box::new(Store::start(&Arc::new(setup)))
    }

    fn clone_box(&self) -> Box<dyn AppKind> {
        Box::new(self.clone())
    }
}
