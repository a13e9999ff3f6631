//! The transition table of a batch and its session, as the code has it: what each answer to the
//! oldest request in flight, or none, makes of the batches of a partition.

use std::fmt::Write as _;
use std::format;
use std::string::String;

use super::*;
use crate::client::producer::batch::State;

type Trigger = (&'static str, fn(&mut Script<Producer>, &Asked));

fn refuse(error: ErrorCode) -> impl Fn(&mut Script<Producer>, &Asked) {
    move |script, asked| script.answer(asked, no(error))
}

const TRIGGERS: &[Trigger] = &[
    ("acknowledged", |script, asked| script.answer(asked, ok(5))),
    ("DuplicateSequenceNumber", |s, a| refuse(ErrorCode::DuplicateSequenceNumber)(s, a)),
    ("OutOfOrderSequenceNumber", |s, a| refuse(ErrorCode::OutOfOrderSequenceNumber)(s, a)),
    ("UnknownProducerId", |s, a| refuse(ErrorCode::UnknownProducerId)(s, a)),
    ("InvalidProducerEpoch", |s, a| refuse(ErrorCode::InvalidProducerEpoch)(s, a)),
    ("NotLeaderOrFollower", |s, a| refuse(ErrorCode::NotLeaderOrFollower)(s, a)),
    ("NotEnoughReplicas", |s, a| refuse(ErrorCode::NotEnoughReplicas)(s, a)),
    ("NotEnoughReplicasAfterAppend", |s, a| refuse(ErrorCode::NotEnoughReplicasAfterAppend)(s, a)),
    ("RequestTimedOut", |s, a| refuse(ErrorCode::RequestTimedOut)(s, a)),
    ("MessageTooLarge", |s, a| refuse(ErrorCode::MessageTooLarge)(s, a)),
    ("CorruptMessage", |s, a| refuse(ErrorCode::CorruptMessage)(s, a)),
    ("connection lost", |script, asked| script.hang_up(asked.conn)),
    ("delivery time-out", |script, _| script.pass(secs(11))),
];

/// With the oldest request in flight.
fn starts() -> Vec<(&'static str, Script<Producer>, Asked)> {
    let mut first = producer(config(), &[(1, 3)]);
    let asked_first = send_alone(&mut first, 1);
    let mut one = known(config());
    let asked_one = send_alone(&mut one, 1);
    let mut two = known(config());
    let asked_two = send_alone(&mut two, 1);
    send_alone(&mut two, 2);
    let mut again = known(config());
    let lost = send_alone(&mut again, 1);
    again.hang_up(lost.conn);
    again.pass(secs(1));
    let asked_again = again.asked();
    let mut plain = config();
    plain.enable_idempotence = false;
    let mut without = producer(plain, &[(1, 3)]);
    let asked_without = send_alone(&mut without, 1);
    vec![
        ("First batch of a session in flight", first, asked_first),
        ("One in flight", one, asked_one),
        ("Two in flight", two, asked_two),
        ("In doubt, sent again", again, asked_again),
        ("Without idempotence, in flight", without, asked_without),
    ]
}

fn told(script: &Script<Producer>) -> String {
    let identity = match &script.machine.identity {
        Identity::NotNeeded => "no session".into(),
        Identity::Wanted { .. } => "session wanted".into(),
        Identity::Asked { .. } => "session asked".into(),
        Identity::Awaited => "session awaited".into(),
        Identity::Held(session) => format!("epoch {}", session.epoch.0),
    };
    let mut line = identity;
    for batch in script.machine.accumulator.queues.iter().flat_map(|queue| &queue.batches) {
        let state = match batch.state {
            State::Waiting { .. } => "waiting",
            State::InFlight => "in flight",
            State::Retry { .. } => "retry",
        };
        let number = batch.number.map_or("-".into(), |number| format!("{}", number.base));
        let doubt = if batch.doubt { "?" } else { "" };
        write!(line, ", {state} {number}{doubt}").expect("text grows");
    }
    for (call, outcome) in &script.returned {
        let outcome =
            if let Outcome::Sent { .. } = outcome { "ok".into() } else { format!("{outcome:?}") };
        write!(line, "; call {call} {outcome}").expect("text grows");
    }
    line
}

#[test]
fn the_transition_table_is_known() {
    let mut table = String::from("number of a batch: its first sequence, ?: may be appended\n");
    for (name, mut start, asked) in starts() {
        start.returned.clear();
        writeln!(table, "{name}: {}", told(&start)).expect("text grows");
        for (what, trigger) in TRIGGERS {
            let mut script = start.clone();
            trigger(&mut script, &asked);
            script.machine.check();
            writeln!(table, "  {what:<30} -> {}", told(&script)).expect("text grows");
        }
    }
    insta::assert_snapshot!(table);
}
