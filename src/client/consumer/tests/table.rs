//! The transition table of a member of a classic group, as the code has it: what each trigger makes
//! of it, what it asks then, and what its application is told.

use std::fmt::Write as _;
use std::format;
use std::string::String;

use super::group::{
    asked_of, beaten, is_beat, is_join, is_sync, joined, member_with, round, settings, synced, told,
};
use super::*;
use crate::config::AssignmentStrategy;
use crate::message::Api;
use crate::message::group::JoinGroupRequest;

/// Gives whether it could be.
type Trigger = (&'static str, fn(&mut Script<Consumer>) -> bool);

const NAME: &str = "cooperative-sticky";

/// Answers a request of that kind, if there is one.
fn answer(script: &mut Script<Consumer>, is_it: fn(&Request) -> bool, response: Response) -> bool {
    let waits = script.unanswered.iter().any(|asked| is_it(&asked.request));
    if waits {
        let asked = asked_of(script, is_it);
        script.answer(&asked, response);
    }
    waits
}

fn beat(script: &mut Script<Consumer>, error: ErrorCode) -> bool {
    answer(script, is_beat, beaten(error))
}

fn join(script: &mut Script<Consumer>, error: ErrorCode) -> bool {
    answer(script, is_join, joined(error, 2, NAME))
}

fn sync(script: &mut Script<Consumer>, error: ErrorCode, partitions: &[i32]) -> bool {
    answer(script, is_sync, synced(error, partitions))
}

const TRIGGERS: &[Trigger] = &[
    ("JoinGroup: ok", |s| join(s, ErrorCode::None)),
    ("JoinGroup: MemberIdRequired", |s| join(s, ErrorCode::MemberIdRequired)),
    ("JoinGroup: UnknownMemberId", |s| join(s, ErrorCode::UnknownMemberId)),
    ("JoinGroup: NotCoordinator", |s| join(s, ErrorCode::NotCoordinator)),
    ("JoinGroup: FencedInstanceId", |s| join(s, ErrorCode::FencedInstanceId)),
    ("SyncGroup: the same", |s| sync(s, ErrorCode::None, &[0, 1])),
    ("SyncGroup: less", |s| sync(s, ErrorCode::None, &[0])),
    ("SyncGroup: RebalanceInProgress", |s| sync(s, ErrorCode::RebalanceInProgress, &[])),
    ("SyncGroup: IllegalGeneration", |s| sync(s, ErrorCode::IllegalGeneration, &[])),
    ("Heartbeat: ok", |s| beat(s, ErrorCode::None)),
    ("Heartbeat: RebalanceInProgress", |s| beat(s, ErrorCode::RebalanceInProgress)),
    ("Heartbeat: IllegalGeneration", |s| beat(s, ErrorCode::IllegalGeneration)),
    ("Heartbeat: UnknownMemberId", |s| beat(s, ErrorCode::UnknownMemberId)),
    ("Heartbeat: FencedInstanceId", |s| beat(s, ErrorCode::FencedInstanceId)),
    ("connection lost", |s| {
        let conn = s.unanswered[0].conn;
        s.hang_up(conn);
        s.pass(ms(100));
        true
    }),
    ("a poll", |_| true),
    ("no poll for long", |s| {
        s.pass(secs(301));
        true
    }),
];

fn starts() -> Vec<(&'static str, Script<Consumer>)> {
    let strategy = AssignmentStrategy::CooperativeSticky;
    let config = ConsumerConfig {
        partition_assignment_strategy: strategy,
        enable_auto_commit: false,
        request_timeout: secs(400),
        ..settings()
    };
    let joining = member_with(config, None, Defects::NONE);
    let mut stable = joining.clone();
    round(&mut stable, 1, NAME, &[0, 1]);
    told(&mut stable);
    stable.pass(secs(3));
    let mut rejoining = stable.clone();
    beat(&mut rejoining, ErrorCode::RebalanceInProgress);
    let mut syncing = rejoining.clone();
    join(&mut syncing, ErrorCode::None);
    syncing.pass(secs(3));
    let mut giving_up = rejoining.clone();
    join(&mut giving_up, ErrorCode::None);
    sync(&mut giving_up, ErrorCode::None, &[0]);
    giving_up.pass(secs(3));
    vec![
        ("Joining for the first time", joining),
        ("Stable with 0 and 1, heartbeat in flight", stable),
        ("Joining again, with 0 and 1", rejoining),
        ("Syncing, with 0 and 1, heartbeat in flight", syncing),
        ("Has to give up 1, heartbeat in flight", giving_up),
    ]
}

/// What it asks, and what the next two polls tell.
fn shown(script: &mut Script<Consumer>) -> String {
    let mut line = String::new();
    for call in 1..3 {
        let holds = script.machine.group.as_ref().map(|group| group.holding.owned().len());
        let standing = match script.machine.standing(script.now.mono) {
            Ok(Some(membership)) => format!("generation {}", membership.generation),
            Ok(None) => "nobody".into(),
            Err(error) => format!("{error:?}"),
        };
        write!(line, "{standing}, holds {}", holds.unwrap_or_default()).expect("text grows");
        for asked in &script.unanswered {
            let anew = |request: &JoinGroupRequest| request.member.is_empty();
            if matches!(&*asked.request, Request::JoinGroup(request) if anew(request)) {
                line.push_str(" +join anew");
                continue;
            }
            let names = [
                (Api::JoinGroup, "join"),
                (Api::SyncGroup, "sync"),
                (Api::Heartbeat, "beat"),
                (Api::LeaveGroup, "leave"),
                (Api::FindCoordinator, "look up"),
            ];
            let api = asked.request.api();
            if let Some((_, name)) = names.iter().find(|(named, _)| *named == api) {
                write!(line, " +{name}").expect("text grows");
            }
        }
        if call == 1 {
            script.returned.clear();
            script.call(call, Op::Poll { max_records: 9, timeout: Duration::ZERO });
            let outcome = script.returned.pop().map(|(_, outcome)| outcome);
            let told = match outcome {
                Some(Outcome::Rebalanced(change)) => format!("{change:?}"),
                Some(Outcome::Failed(error)) => format!("{error:?}"),
                _nothing => "nothing".into(),
            };
            let told = told.split(", GroupMetadata").next().unwrap_or_default().replace('"', "");
            write!(line, "; told {told}; then ").expect("text grows");
        }
    }
    line
}

#[test]
fn the_transition_table_is_known() {
    let mut table = String::from("what it may commit as, what it holds, +what it asks\n");
    for (name, start) in starts() {
        writeln!(table, "{name}").expect("text grows");
        for (what, trigger) in TRIGGERS {
            let mut script = start.clone();
            if !trigger(&mut script) {
                continue;
            }
            script.machine.check();
            writeln!(table, "  {what:<32} -> {}", shown(&mut script)).expect("text grows");
        }
    }
    insta::assert_snapshot!(table);
}
