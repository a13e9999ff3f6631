//! An external store of numbers, such as Redis with a script, as applications use one beside Kafka.
//! None of Kafka's APIs: brokers and controllers refuse it, and it has no wire format.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::error::ErrorCode;

/// What an application asks the store for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StoreRequest {
    Get {
        key: Arc<str>,
    },
    /// Sets a number, whatever it was.
    Put {
        /// The request that it is for: only told to the checkers.
        request: Arc<str>,
        /// Who asks: only told to the checkers.
        by: Arc<str>,
        key: Arc<str>,
        value: i64,
        fence: Option<Fence>,
    },
    /// Checks and changes several numbers in one unit.
    Apply(Apply),
    /// Asks for the newest token of each of these scopes.
    Tokens {
        scopes: Vec<Arc<str>>,
    },
    /// Claims tokens, each the next one of its scope.
    Claim {
        fences: Vec<Fence>,
    },
}

/// An atomic check-and-apply.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Apply {
    /// The request that it is for: only told to the checkers.
    pub request: Arc<str>,
    /// Who asks: only told to the checkers.
    pub by: Arc<str>,
    /// Kept with the changes: a second one of that id is a duplicate. None: nothing is kept.
    pub once: Option<Arc<str>>,
    pub changes: Vec<Change>,
    pub fence: Option<Fence>,
}

/// The change of one number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    pub key: Arc<str>,
    pub delta: i64,
    /// The number may not fall below this. None: no limit.
    pub floor: Option<i64>,
}

/// Keeps out who lost its right to write: of a scope only the newest token writes, and the store
/// gives each out once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fence {
    pub scope: Arc<str>,
    pub token: i64,
}

/// The store's answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StoreResponse {
    /// To `Get`.
    Value(Option<i64>),
    /// To `Put`.
    Done,
    /// All changes are made: the numbers after them, in the order of the request.
    Applied(Vec<i64>),
    /// It was applied before; nothing is changed.
    Duplicate,
    /// A number would fall below its floor; nothing is changed.
    Refused,
    /// The token is not the newest one; nothing is changed.
    Fenced,
    /// To `Tokens`, in the order of the request; 0 if there is none.
    Tokens(Vec<i64>),
    /// To `Claim`, in the order of the request: whether it was given out.
    Claimed(Vec<bool>),
    /// Whoever was asked is no store.
    Failed(ErrorCode),
}
