//! What waits in the queue.

use std::sync::Arc;

use seedlog::ids::{CallId, LogId, LogPoint};
use seedlog::machine::{FileKey, Input};
use seedlog::op::Op;

use super::ProcessId;
use super::connection::{ConnectionRef, Message, Side};

#[derive(Clone, Debug, Default)]
pub(super) enum Event {
    /// What is left in the queue of an event that was taken out.
    #[default]
    Taken,
    /// A deadline that may have moved since: only the newest token of a process counts.
    Wake {
        process: ProcessId,
        token: u32,
    },
    /// A message reaches the end across from `sender`.
    Message {
        connection: ConnectionRef,
        sender: Side,
        is_copy: bool,
        /// The how-manieth of its direction it is.
        number: u32,
        message: Message,
    },
    /// An attempt to connect reaches the server.
    Dial {
        connection: ConnectionRef,
        attempt: u32,
    },
    /// The server's acceptance reaches the client.
    Opened {
        connection: ConnectionRef,
    },
    /// The server's refusal reaches the client, or the client gives up.
    Refused {
        connection: ConnectionRef,
    },
    /// A connection that went dead is given up.
    Broken {
        connection: ConnectionRef,
    },
    Call {
        process: ProcessId,
        call: CallId,
        op: Arc<Op>,
    },
    Flushed {
        process: ProcessId,
        life: Life,
        log: LogId,
        upto: LogPoint,
        writes: u64,
    },
    Saved {
        process: ProcessId,
        life: Life,
        file: FileKey,
    },
    /// Any other input, for one incarnation.
    Input {
        process: ProcessId,
        incarnation: u32,
        input: Box<Input>,
    },
    /// A process that was paused takes the next input that waits for it.
    Inbox {
        process: ProcessId,
        incarnation: u32,
    },
    Control(u64),
}

/// Which life of a process and of its disk an event belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) incarnation: u32,
    /// Grows when the disk loses its pending work: at a power loss, a wipe.
    pub(super) disk: u32,
}

const _: () = assert!(size_of::<Event>() <= 48, "an event stays small: the queue copies it");
