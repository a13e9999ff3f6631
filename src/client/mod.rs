//! The processes that use brokers.
