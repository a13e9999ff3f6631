//! State that lives in a log: decide, append, apply, answer on commit.
