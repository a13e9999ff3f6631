//! Whose code runs: what panics in a user's is told by its name, and not taken for ours.

use std::cell::Cell;

thread_local! {
    /// Who panicked last on this thread.
    static WHOSE: Cell<Option<String>> = const { Cell::new(None) };
}

/// Gives a panic that passes it a name.
struct Naming<W: Fn() -> String>(W);

impl<W: Fn() -> String> Drop for Naming<W> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            WHOSE.set(Some((self.0)()));
        }
    }
}

/// Runs somebody's code.
pub fn named<R>(who: impl Fn() -> String, work: impl FnOnce() -> R) -> R {
    let _naming = Naming(who);
    work()
}

/// Whose code it was that panicked on this thread, if it was named.
#[must_use]
pub fn who_panicked() -> Option<String> {
    WHOSE.take()
}
