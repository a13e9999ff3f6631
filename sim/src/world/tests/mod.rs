//! Conformance: every fault does what it says and is counted, and digests tell worlds apart.

mod clock;
mod digest;
mod disk;
mod network;
mod peer;
mod process;
