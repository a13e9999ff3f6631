//! K1-K9.

use super::*;

#[test]
fn k1_two_leaders_of_a_quorum_epoch() {
    let mut t = Script::new();
    let leads = |epoch| Event::RoleChanged { epoch, role: RaftRole::Leader, leader: C1 };
    t.note(C1, leads(QuorumEpoch(2)));
    t.note(C2, leads(QuorumEpoch(3)));
    t.expect_nothing();
    t.note(C3, leads(QuorumEpoch(3)));
    assert_eq!(t.codes(), ["K1"]);
}

#[test]
fn k2_a_quorum_leader_without_a_committed_record() {
    let mut t = Script::new();
    t.effect(C2, Effect::Truncate { log: META, to: Offset(0) });
    let epoch = QuorumEpoch(2);
    t.note(C2, Event::RoleChanged { epoch, role: RaftRole::Leader, leader: C2 });
    t.expect("K2");
}

#[test]
fn k3_two_contents_at_one_place_of_the_metadata_log() {
    let mut t = Script::new();
    let base = t.metadata_end;
    t.effect(C1, Effect::Append { log: META, base, batch: batch(base.0, 2, &records(1, 1)) });
    t.effect(C2, Effect::Append { log: META, base, batch: batch(base.0, 2, &records(2, 1)) });
    assert_eq!(t.codes(), ["K3"]);
}

#[test]
fn k4_a_quorum_high_watermark_that_falls() {
    let mut t = Script::new();
    t.quorum_mark(C1, Offset(1));
    assert_eq!(t.codes(), ["K4"]);
}

/// A deposed leader that was paused answers what came while it slept (swarm, seed 1).
#[test]
fn a_deposed_quorum_leader_learns_late_what_was_committed_and_forgets_nothing() {
    let mut t = Script::new();
    let (known, epoch) = (t.metadata_end, QuorumEpoch(2));
    t.note(C2, Event::RoleChanged { epoch, role: RaftRole::Leader, leader: C2 });
    t.metadata_end = known.next();
    t.metadata_batch(known, batch(known.0, 2, &records(1, 1)));
    t.note(C2, Event::QuorumHighWatermark { epoch, offset: known.next(), leads: true });
    t.quorum_mark(C1, known);
    t.expect_nothing();
    t.quorum_mark(C1, Offset(known.0 - 1));
    assert_eq!(t.codes(), ["K4"]);
}

#[test]
fn k5_a_high_watermark_that_no_majority_has_flushed() {
    let mut t = Script::new();
    let base = t.metadata_end;
    let bytes = batch(base.0, 1, &records(1, 1));
    for node in [C1, C2] {
        t.effect(node, Effect::Append { log: META, base, batch: bytes.clone() });
    }
    t.checkers.flushed(C1, META, base.next());
    t.quorum_mark(C1, base.next());
    assert_eq!(t.codes(), ["K5"]);
}

#[test]
fn k6_two_votes_in_one_epoch() {
    let mut t = Script::new();
    let epoch = QuorumEpoch(4);
    t.note(C1, Event::Voted { epoch, for_node: C2 });
    t.note(C1, Event::Voted { epoch, for_node: C2 });
    t.expect_nothing();
    t.note(C1, Event::Voted { epoch, for_node: C3 });
    assert_eq!(t.codes(), ["K6"]);
}

#[test]
fn k7_two_states_after_the_same_record() {
    let mut t = Script::new();
    t.note(C1, Event::StateApplied { offset: Offset(3), state: 7 });
    t.note(B1, Event::MetadataApplied { offset: Offset(3), state: 7 });
    t.expect_nothing();
    t.note(B2, Event::MetadataApplied { offset: Offset(3), state: 8 });
    assert_eq!(t.codes(), ["K7"]);
}

#[test]
fn k8_a_leader_that_loads_a_snapshot_and_one_of_what_is_not_committed() {
    let mut t = Script::new();
    let point = LogPoint { epoch: LeaderEpoch(1), offset: Offset(1) };
    let epoch = QuorumEpoch(2);
    t.note(C2, Event::RoleChanged { epoch, role: RaftRole::Leader, leader: C2 });
    t.note(C2, Event::Snapshot { point, loaded: true });
    assert_eq!(t.codes(), ["K8"]);

    let mut t = Script::new();
    let point = LogPoint { epoch: LeaderEpoch(1), offset: t.metadata_end.next() };
    t.note(C2, Event::Snapshot { point, loaded: false });
    assert_eq!(t.codes(), ["K8"]);
}

#[test]
fn k9_a_reply_ahead_of_its_commit() {
    let mut t = Script::new();
    let end = t.metadata_end;
    t.note(C1, Event::ControllerReplied { offset: end, committed: end });
    t.expect_nothing();
    t.note(C1, Event::ControllerReplied { offset: end.next(), committed: end.next() });
    assert_eq!(t.codes(), ["K9"]);
}
