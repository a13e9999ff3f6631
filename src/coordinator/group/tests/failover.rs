use super::*;
use crate::coordinator::group::groups::Groups;

/// What a coordinator knows of offsets, to compare.
fn offsets(groups: &Groups) -> Vec<(Arc<str>, crate::coordinator::group::offsets::Offsets)> {
    groups.iter().map(|(name, group)| (name.clone(), group.offsets.clone())).collect()
}

#[test]
fn a_replay_comes_to_what_the_coordinator_had() {
    // Each a decision: commit, stage, commit marker, abort marker, commit for another group.
    for choices in 0..5_usize.pow(5) {
        let mut rig = Rig::new();
        let mut rest = choices;
        for step in 0..5 {
            let offset = 10 + step;
            match rest % 5 {
                0 => drop(rig.send(commit(nobody(), offset))),
                1 => drop(rig.send(stage(nobody(), offset))),
                2 => rig.marker(true),
                3 => rig.marker(false),
                _ => {
                    let other = Committer { group: "other".into(), ..nobody() };
                    rig.send(stage(other, offset));
                }
            }
            rest /= 5;
        }
        rig.commit();
        let live = offsets(&rig.coordinator.groups);
        rig.fail_over();
        assert_eq!(offsets(&rig.coordinator.groups), live, "choices {choices}");
    }
}

#[test]
fn what_was_not_committed_is_not_known_to_the_next() {
    let mut rig = Rig::new();
    rig.settle(commit(nobody(), 5));
    rig.send(commit(nobody(), 6));
    rig.fail_over();
    assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(5));
}

#[test]
fn a_staged_offset_survives_its_coordinator() {
    let mut rig = Rig::new();
    rig.settle(stage(nobody(), 9));
    rig.fail_over();
    assert_eq!(offset_of(&rig.ask(fetch(true))), Err(ErrorCode::UnstableOffsetCommit));
    rig.marker(true);
    rig.commit();
    assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(9));
}

#[test]
fn garbage_in_the_log_is_passed_over() {
    let mut rig = Rig::new();
    rig.settle(commit(nobody(), 5));
    let mut builder = crate::record::Builder::new();
    builder.append(rig.now.wall, Some(&[0, 1, 0, 9]), Some(b"?"));
    builder.append(rig.now.wall, None, None);
    builder.append(rig.now.wall, Some(&[0, 99]), None);
    rig.log.push(&builder.build());
    rig.committed = rig.log.end;
    rig.fail_over();
    assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(5));
}
