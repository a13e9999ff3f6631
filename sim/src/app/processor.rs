//! Applications around a [`Processor`]: those that come with seedlog, and a user's.

use std::sync::Arc;

use seedlog::client::app::{App, AppSetup, Processor};
use seedlog::machine::Effects;

use super::{AppKind, Application, Begin, HostSetup, HostedApp, ValueFormat};

impl<P: Processor + Send + Sync + 'static> Application for App<P> {
    fn check(&self) {
        App::check(self);
    }
}

/// The kind of an application whose processors that function makes.
#[derive(Clone)]
pub struct ProcessorKind<F>(F);

impl<F> ProcessorKind<F> {
    #[must_use]
    pub fn new(make: F) -> Self {
        ProcessorKind(make)
    }
}

impl<P, F> AppKind for ProcessorKind<F>
where
    P: Processor + Send + Sync + 'static,
    F: Fn(&HostSetup) -> P + Clone + Send + Sync + 'static,
{
    fn formats(&self) -> &'static [ValueFormat] {
        ValueFormat::TYPED
    }

    fn start(&self, setup: &HostSetup, begin: Begin, out: &mut Effects) -> Box<dyn HostedApp> {
        host(setup, (self.0)(setup), begin, out)
    }

    fn clone_box(&self) -> Box<dyn AppKind> {
        Box::new(self.clone())
    }
}

/// A process of an application around that processor, as its scenario wants it.
pub fn host<P: Processor + Send + Sync + 'static>(
    setup: &HostSetup,
    processor: P,
    begin: Begin,
    out: &mut Effects,
) -> Box<dyn HostedApp> {
    let table = &setup.table;
    let client = AppSetup {
        client_id: Arc::clone(&setup.client_id),
        bootstrap: Arc::clone(&setup.bootstrap),
        consumer: table.consumer.clone(),
        producer: table.producer.clone(),
        config: table.config.clone(),
        defects: setup.defects,
        group: Arc::clone(&table.group),
        instance: table.is_static.then(|| Arc::clone(&setup.client_id)),
        inputs: table.input.clone(),
        changelog: table.changelog.clone(),
        store: setup.store.clone(),
    };
    Box::new(App::start(&Arc::new(client), processor, begin.seed, begin.now, out))
}
