//! The transition tables, as the code has them.

use std::fmt::Write as _;
use std::string::String;

use super::classic::{SESSION, described, heartbeat, join, leave, stable, sync};
use super::*;
use crate::coordinator::group::record::{CurrentValue, Partitions};
use crate::message::consumer_group::ConsumerGroupHeartbeatRequest;

type Trigger = (&'static str, fn(&mut Rig, &Arc<str>));

/// A group of one member, in each state; the member is in it, or was.
fn starts() -> [(&'static str, Rig, Arc<str>); 5] {
    let (stable, ids) = stable(1);
    let id = &ids[0];
    let mut preparing = stable.clone();
    preparing.send(join(""));
    let mut completing = stable.clone();
    completing.send(join(id));
    let mut empty = stable.clone();
    empty.ask(leave(id, None));
    empty.commit();
    [
        ("no group", Rig::new(), id.clone()),
        ("Empty", empty, id.clone()),
        ("PreparingRebalance", preparing, id.clone()),
        ("CompletingRebalance", completing, id.clone()),
        ("Stable", stable, id.clone()),
    ]
}

fn generation(rig: &Rig) -> i32 {
    let group = rig.coordinator.classic(GROUP);
    group.map_or(0, |group| group.generation)
}

const TRIGGERS: &[Trigger] = &[
    ("newcomer joins", |rig, _| {
        rig.send(join(""));
    }),
    ("member joins again", |rig, id| {
        rig.send(join(id));
    }),
    ("leader syncs", |rig, id| {
        rig.send(sync(id, generation(rig), &[(id, &[0])]));
    }),
    ("leader syncs, committed", |rig, id| {
        rig.send(sync(id, generation(rig), &[(id, &[0])]));
        rig.commit();
    }),
    ("leader syncs, refused", |rig, id| {
        rig.log.refuses = Some(ErrorCode::NotEnoughReplicas);
        rig.send(sync(id, generation(rig), &[(id, &[0])]));
        rig.log.refuses = None;
    }),
    ("heartbeat", |rig, id| {
        rig.send(heartbeat(id, generation(rig)));
    }),
    ("member leaves", |rig, id| {
        rig.send(leave(id, None));
    }),
    ("plain commit", |rig, _| {
        rig.send(commit(nobody(), 5));
    }),
    ("member commits", |rig, id| {
        rig.send(commit(member(id, generation(rig)), 5));
    }),
    ("session ends", |rig, _| rig.pass(SESSION)),
    ("rebalance time is over", |rig, _| rig.pass(Duration::from_secs(61))),
    ("deleted", |rig, _| {
        let groups = alloc::vec![GROUP.into()];
        let delete = crate::message::group::DeleteGroupsRequest { groups };
        rig.send(Request::DeleteGroups(delete));
    }),
    ("coordinator fails", |rig, _| rig.fail_over()),
];

#[test]
fn the_classic_transition_table_is_known() {
    let mut table = String::new();
    for (name, mut start, id) in starts() {
        start.commit();
        writeln!(table, "{name}").unwrap();
        let before = generation(&start);
        for (what, trigger) in TRIGGERS {
            let mut rig = start.clone();
            rig.answers.clear();
            trigger(&mut rig, &id);
            let answers: Vec<_> = rig.answers.iter().map(|(_, answer)| error(answer)).collect();
            let later = generation(&rig) - before;
            let state = described(&mut rig).state;
            let mut line = std::format!("  {what:<24} -> {state}");
            if later != 0 {
                write!(line, ", generation {later:+}").unwrap();
            }
            for answer in answers {
                write!(line, ", {answer}").unwrap();
            }
            writeln!(table, "{line}").unwrap();
        }
    }
    insta::assert_snapshot!(table);
}

type Beat = (&'static str, fn(&mut Rig) -> Option<ConsumerGroupHeartbeatRequest>);

/// The member `b` of two or three, in each state that a member may be in.
fn members() -> [(&'static str, Rig); 5] {
    let two = consumer::two();
    let mut shrinking = two.clone();
    consumer::beat(&mut shrinking, consumer::joins("c"));
    let mut unrevoked = shrinking.clone();
    consumer::beat(&mut unrevoked, consumer::quiet("b", 2));
    let mut unreleased = Rig::new();
    consumer::beat(&mut unreleased, consumer::joins("a"));
    consumer::beat(&mut unreleased, consumer::joins("b"));
    let mut growing = two.clone();
    consumer::beat(&mut growing, consumer::quiet("a", -1));
    [
        ("Stable", two),
        ("Stable, target shrank", shrinking),
        ("Stable, another left", growing),
        ("UnrevokedPartitions", unrevoked),
        ("UnreleasedPartitions", unreleased),
    ]
}

const BEATS: &[Beat] = &[
    ("heartbeat", |rig| Some(consumer::quiet("b", epoch(rig)))),
    ("holds what it shall", |rig| {
        let held = current(rig).map(|current| current.assigned.clone()).unwrap_or_default();
        let held: Vec<i32> = held.iter().map(|(_, partition)| *partition).collect();
        Some(consumer::holds("b", epoch(rig), &held))
    }),
    ("holds everything", |rig| Some(consumer::holds("b", epoch(rig), &[0, 1, 2, 3]))),
    ("epoch of the future", |rig| Some(consumer::quiet("b", epoch(rig) + 1))),
    ("joins again", |_| Some(consumer::joins("b"))),
    ("leaves", |_| Some(consumer::quiet("b", -1))),
    ("another leaves, heartbeat", |rig| {
        consumer::beat(rig, consumer::quiet("a", -1));
        Some(consumer::quiet("b", epoch(rig)))
    }),
    ("rebalance time is over", |rig| {
        rig.live(consumer::REBALANCE);
        None
    }),
    ("session ends", |rig| {
        rig.live(rig.config.group_consumer_session_timeout);
        None
    }),
    ("coordinator fails", |rig| {
        rig.fail_over();
        None
    }),
];

fn current(rig: &Rig) -> Option<&CurrentValue> {
    Some(&rig.coordinator.consumer(GROUP)?.members.get("b")?.current)
}

fn epoch(rig: &Rig) -> i32 {
    current(rig).map_or(0, |current| current.epoch)
}

#[test]
fn the_member_transition_table_is_known() {
    let mut table = String::new();
    for (name, start) in members() {
        writeln!(table, "{name}, epoch {}", epoch(&start)).unwrap();
        for (what, trigger) in BEATS {
            let mut rig = start.clone();
            let answer = trigger(&mut rig).map(|request| consumer::beat(&mut rig, request));
            let mut line = std::format!("  {what:<26} -> ");
            match current(&rig) {
                None => line.push_str("gone"),
                Some(now) => {
                    let numbers = |set: &Partitions| -> Vec<i32> {
                        set.iter().map(|(_, partition)| *partition).collect()
                    };
                    let (has, gives) = (numbers(&now.assigned), numbers(&now.revoking));
                    write!(line, "{:?}, epoch {}, has {has:?}", now.state, now.epoch).unwrap();
                    if !gives.is_empty() {
                        write!(line, ", gives up {gives:?}").unwrap();
                    }
                }
            }
            if let Some(answer) = answer.filter(|answer| !answer.error.is_ok()) {
                write!(line, ", {}", answer.error).unwrap();
            }
            writeln!(table, "{line}").unwrap();
        }
    }
    insta::assert_snapshot!(table);
}
