//! The transition tables, as the code has them.

use std::fmt::Write as _;
use std::string::String;

use super::classic::{SESSION, described, heartbeat, join, leave, stable, sync};
use super::*;

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
