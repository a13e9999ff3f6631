//! Fault sources: what goes wrong, when, and to whom.
