//! The answer to a request that is refused as a whole: each API has its own place for the error.

mod controlled;
mod coordinated;

pub use self::controlled::{controlled, error_of};
pub use self::coordinated::coordinated;
