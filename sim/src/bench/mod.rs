//! `sim bench`.
