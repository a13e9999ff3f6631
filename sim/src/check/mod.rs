//! Checkers: what must stay true.
