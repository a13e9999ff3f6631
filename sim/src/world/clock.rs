//! The clocks of one process.
