//! The transition tables of a member of a group, of the classic protocol and of KIP-848's, as the
//! code has them: what each trigger makes of it, what it asks then, and what its application is
//! told.

use std::fmt::Write as _;
use std::format;
use std::string::String;

use super::group::{
    asked_of, beaten, is_beat, is_join, is_sync, joined, led, member_with, round, settings, synced,
    told,
};
use super::*;
use crate::config::{AssignmentStrategy, GroupProtocol};
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
    ("connection lost", hang_up),
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
            if let Request::ConsumerGroupHeartbeat(request) = &*asked.request {
                let owned = request.owned.iter().flatten().map(|(_, list)| list.len());
                let owned = request.owned.as_ref().map(|_| owned.sum::<usize>());
                let owned = owned.map_or("as before".into(), |count| format!("{count}"));
                write!(line, " +beat in {}, holds {owned}", request.member_epoch)
                    .expect("text grows");
                continue;
            }
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

fn hang_up(script: &mut Script<Consumer>) -> bool {
    let Some(conn) = script.unanswered.front().map(|asked| asked.conn) else { return false };
    script.hang_up(conn);
    script.pass(ms(100));
    true
}

fn lead(script: &mut Script<Consumer>, epoch: i32, assignment: Option<&[i32]>) -> bool {
    answer(script, is_beat, led(epoch, assignment))
}

fn refuse(script: &mut Script<Consumer>, error: ErrorCode) -> bool {
    let Response::ConsumerGroupHeartbeat(mut refused) = led(0, None) else { panic!("built so") };
    refused.error = error;
    answer(script, is_beat, Response::ConsumerGroupHeartbeat(refused))
}

/// Of a member of the KIP-848 protocol.
const LED_TRIGGERS: &[Trigger] = &[
    ("ok, as before", |s| lead(s, 1, None)),
    ("ok, a later epoch", |s| lead(s, 2, None)),
    ("ok, 0 and 1", |s| lead(s, 1, Some(&[0, 1]))),
    ("ok, only 0", |s| lead(s, 1, Some(&[0]))),
    ("ok, nothing", |s| lead(s, 2, Some(&[]))),
    ("FencedMemberEpoch", |s| refuse(s, ErrorCode::FencedMemberEpoch)),
    ("UnknownMemberId", |s| refuse(s, ErrorCode::UnknownMemberId)),
    ("UnreleasedInstanceId", |s| refuse(s, ErrorCode::UnreleasedInstanceId)),
    ("NotCoordinator", |s| refuse(s, ErrorCode::NotCoordinator)),
    ("GroupMaxSizeReached", |s| refuse(s, ErrorCode::GroupMaxSizeReached)),
    ("connection lost", hang_up),
    ("a poll", |_| true),
    ("no poll for long", |s| {
        s.pass(secs(301));
        true
    }),
];

fn led_starts() -> Vec<(&'static str, Script<Consumer>)> {
    let config = ConsumerConfig {
        group_protocol: GroupProtocol::Consumer,
        enable_auto_commit: false,
        request_timeout: secs(400),
        ..settings()
    };
    let joining = member_with(config, None, Defects::NONE);
    let mut member = joining.clone();
    lead(&mut member, 1, Some(&[0, 1]));
    told(&mut member);
    lead(&mut member, 1, None);
    member.pass(secs(6));
    let mut giving_up = member.clone();
    lead(&mut giving_up, 1, Some(&[0]));
    giving_up.pass(secs(6));
    let mut given_up = giving_up.clone();
    lead(&mut given_up, 1, None);
    told(&mut given_up);
    told(&mut given_up);
    let mut put_out = member.clone();
    refuse(&mut put_out, ErrorCode::FencedMemberEpoch);
    vec![
        ("Joining, heartbeat in flight", joining),
        ("Member with 0 and 1, heartbeat in flight", member),
        ("Has to give up 1, heartbeat in flight", giving_up),
        ("Has given up 1, and says so", given_up),
        ("Put out, and has not told so", put_out),
    ]
}

fn table(starts: Vec<(&'static str, Script<Consumer>)>, triggers: &[Trigger]) -> String {
    let mut table = String::from("what it may commit as, what it holds, +what it asks\n");
    for (name, start) in starts {
        writeln!(table, "{name}").expect("text grows");
        for (what, trigger) in triggers {
            let mut script = start.clone();
            if !trigger(&mut script) {
                continue;
            }
            script.machine.check();
            writeln!(table, "  {what:<32} -> {}", shown(&mut script)).expect("text grows");
        }
    }
    table
}

#[test]
fn the_transition_table_is_known() {
    insta::assert_snapshot!(table(starts(), TRIGGERS));
}

#[test]
fn the_transition_table_of_a_member_that_is_led_is_known() {
    insta::assert_snapshot!(table(led_starts(), LED_TRIGGERS));
}
