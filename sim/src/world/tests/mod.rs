//! Conformance: every fault does what it says and is counted, and digests tell worlds apart.

mod peer;
mod process;
