//! Applications around a [`Processor`]: those that come with seedlog, and a user's.

use std::sync::Arc;

use seedlog::client::app::{App, AppSetup, Context, Processor};
use seedlog::event::{ApplicationNote, AstrayNote, WorkedNote};
use seedlog::ids::TopicName;
use seedlog::machine::Effects;
use seedlog::message::store::{StoreRequest, StoreResponse};
use seedlog::op::ConsumedRecord;

use super::{AppKind, AppTable, Application, Begin, HostSetup, HostedApp, ValueFormat, named};
use crate::check::Duty;

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

    fn duty(&self, table: &AppTable) -> Option<Duty> {
        Some(table.duty())
    }

    fn start(&self, setup: &HostSetup, begin: Begin, out: &mut Effects) -> Box<dyn HostedApp> {
        let who = || format!("{}, made for a process of the {}", setup.client_id, setup.table.name);
        host(setup, named(who, || (self.0)(setup)), begin, out)
    }

    fn clone_box(&self) -> Box<dyn AppKind> {
        Box::new(self.clone())
    }
}

/// A processor that is watched: what it asks for is noted, and records to topics that the scenario
/// does not have. A client would ask for such a topic for ever.
#[derive(Clone)]
struct Addressed<P> {
    processor: P,
    kind: Arc<str>,
    topics: Arc<[TopicName]>,
    has_store: bool,
}

impl<P> Addressed<P> {
    /// Tells what it has asked for.
    fn look(&self, record: &ConsumedRecord, context: &mut Context<'_>) {
        context.note(ApplicationNote::Worked(WorkedNote {
            group: Arc::clone(context.group()),
            topic: record.topic.clone(),
            partition: record.partition,
            offset: record.offset,
            key: record.key.clone(),
            attempt: context.attempt() + 1,
            emitted: context.emitted().into(),
            again_after: context.postponed(),
        }));
        let is_astray = |to: &&TopicName| !self.topics.contains(to);
        let found = context.emitted().iter().map(|emitted| &emitted.topic).find(is_astray);
        let Some(to) = found.cloned() else { return };
        context.note(ApplicationNote::Astray(AstrayNote {
            group: Arc::clone(context.group()),
            topic: record.topic.clone(),
            partition: record.partition,
            offset: record.offset,
            to,
        }));
    }
}

impl<P: Processor> Processor for Addressed<P> {
    fn process(&mut self, record: &ConsumedRecord, context: &mut Context<'_>) {
        let client = Arc::clone(context.client());
        let who = || told(&self.kind, &client, record);
        named(who, || {
            self.processor.process(record, context);
            expect_store(self.has_store, context);
        });
        self.look(record, context);
    }

    fn answered(
        &mut self,
        record: &ConsumedRecord,
        request: &StoreRequest,
        response: &StoreResponse,
        context: &mut Context<'_>,
    ) {
        let client = Arc::clone(context.client());
        let who = || told(&self.kind, &client, record);
        named(who, || {
            self.processor.answered(record, request, response, context);
            expect_store(self.has_store, context);
        });
        self.look(record, context);
    }

    fn assigned(&mut self, partitions: &[(TopicName, i32)]) {
        let who = || format!("the {}, assigned partitions", self.kind);
        named(who, || self.processor.assigned(partitions));
    }

    fn revoked(&mut self, partitions: &[(TopicName, i32)]) {
        let who = || format!("the {}, revoked partitions", self.kind);
        named(who, || self.processor.revoked(partitions));
    }

    fn closing(&mut self) {
        let who = || format!("the {}, closing", self.kind);
        named(who, || self.processor.closing());
    }

    fn check(&self) {
        named(|| format!("the {} in its check", self.kind), || self.processor.check());
    }
}

/// # Panics
/// If a store is called that is not there.
fn expect_store(has_store: bool, context: &Context<'_>) {
    let cure = "say `store = true` in its [[app]]";
    let is_there = has_store || context.called().is_none();
    assert!(is_there, "it calls an external store, and has none: {cure}");
}

/// Who works on what.
fn told(kind: &str, client: &str, record: &ConsumedRecord) -> String {
    let ConsumedRecord { topic, partition, offset, .. } = record;
    format!("{client}, a process of the {kind}, at {topic}-{partition} offset {offset}")
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
    let processor = Addressed {
        processor,
        kind: table.name.clone(),
        topics: Arc::clone(&table.topics),
        has_store: setup.store.is_some(),
    };
    Box::new(App::start(&Arc::new(client), processor, begin.seed, begin.now, out))
}
