//! Where faults come from: sources that strike again and again, what is survivable, and the core
//! that heals at the end.
//!
//! A source only decides; what it decides are actions in the words of scripts, carried out (and
//! recorded) by the run.

mod atlas;
mod heal;
mod source;
mod strike;
#[cfg(test)]
mod tests;

pub use atlas::{Lossy, atlas_on};
pub use source::{Source, sources};
