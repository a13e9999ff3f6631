//! The run's own events in the world's timetable.

use crate::world::ProcessId;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    Boot,
    /// A look at what the phase waits for.
    Tick,
    /// A time that matters to the script.
    Script,
    ScriptTick,
    /// A producer sends, by its place among the producers.
    Send(usize),
    /// A fault source strikes, and ends.
    Strike(usize),
    Relent(usize),
    DiskGoesOn(ProcessId),
    Supervise(ProcessId),
    /// A client goes on.
    Client(ProcessId),
    /// A feed sends, by its place among the feeds.
    Feed(usize),
    /// The next decision of a recorded run.
    Replay,
}

const SHIFT: u32 = 32;

impl Token {
    #[must_use]
    pub fn encode(self) -> u64 {
        let of = |kind: u64, index: usize| {
            (kind << SHIFT) | u64::try_from(index).expect("an index fits u64")
        };
        match self {
            Token::Boot => of(0, 0),
            Token::Tick => of(1, 0),
            Token::Script => of(2, 0),
            Token::ScriptTick => of(3, 0),
            Token::Send(index) => of(4, index),
            Token::Strike(index) => of(5, index),
            Token::Relent(index) => of(6, index),
            Token::DiskGoesOn(process) => of(7, super::index(process)),
            Token::Supervise(process) => of(8, super::index(process)),
            Token::Replay => of(9, 0),
            Token::Client(process) => of(10, super::index(process)),
            Token::Feed(index) => of(11, index),
        }
    }

    /// # Panics
    /// If it is no token.
    #[must_use]
    pub fn decode(token: u64) -> Self {
        let index = usize::try_from(token & u64::from(u32::MAX)).expect("32 bits fit usize");
        let process = ProcessId(u32::try_from(index).expect("masked to 32 bits"));
        match token >> SHIFT {
            0 => Token::Boot,
            1 => Token::Tick,
            2 => Token::Script,
            3 => Token::ScriptTick,
            4 => Token::Send(index),
            5 => Token::Strike(index),
            6 => Token::Relent(index),
            7 => Token::DiskGoesOn(process),
            8 => Token::Supervise(process),
            9 => Token::Replay,
            10 => Token::Client(process),
            11 => Token::Feed(index),
            other => panic!("{other} names no event of a run"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_their_encoding() {
        let all = [
            Token::Boot,
            Token::Tick,
            Token::Script,
            Token::ScriptTick,
            Token::Send(7),
            Token::Strike(3),
            Token::Relent(3),
            Token::DiskGoesOn(ProcessId(9)),
            Token::Supervise(ProcessId(9)),
            Token::Replay,
            Token::Client(ProcessId(9)),
            Token::Feed(2),
        ];
        for token in all {
            assert_eq!(Token::decode(token.encode()), token);
        }
    }
}
