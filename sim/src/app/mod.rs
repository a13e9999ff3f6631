//! Applications in the simulator, and the door for a user's own.
//!
//! An application is a machine on the client API (`seedlog::client::app`, or anybody's). A scenario
//! names its kind in `[[app]]`; a [`Registry`] knows the kinds, and those that come with seedlog go
//! through it as a user's do. What they work on is sent by `[[feed]]`s.
//!
//! Both name the format of their values ([`ValueFormat`]). A type has an Avro schema by
//! [`Described`]; a processor gets its format from [`HostSetup::format`], a feed from
//! [`Feed::write_in`], an invariant of one's own from [`ValueFormat::of`].

mod avro;
mod cast;
mod copying;
mod counted;
mod feed;
mod feeder;
mod format;
mod hosted;
mod kind;
mod ledger;
mod processor;
mod progress;
mod registry;
mod retrying;
mod storing;
mod table;
#[cfg(test)]
mod tests;
mod tickets;
mod whose;

pub use avro::{Avro, Described};
pub use cast::{STORE, store, unwritten};
pub use counted::Counted;
pub use feed::{Feed, HostedFeed, keyed};
pub use feeder::{Fed, Feeder};
pub use format::ValueFormat;
pub use hosted::{Application, HostedApp};
pub use kind::{AppKind, Begin, HostSetup, Refusal};
pub use processor::{ProcessorKind, host};
pub use progress::{AppTally, Progress};
pub use registry::Registry;
pub use table::{AppTable, FeedTable, Surroundings, apps, duration, feeds, number};
pub use whose::{named, who_panicked};
