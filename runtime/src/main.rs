//! The command `seedlog`.
fn main() {}
