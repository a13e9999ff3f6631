//! R1-R11.

use super::*;

#[test]
fn a_healthy_history_is_not_flagged_and_everything_is_counted() {
    let mut t = Script::new();
    t.append(&[B1, B2, B3], 0, &batch(0, 0, &records(1, 2)));
    t.mark(B1, 0, 2, true);
    t.mark(B2, 0, 2, false);
    t.acknowledged(records(1, 2)[0], 0);
    t.acknowledged(records(1, 2)[1], 1);
    t.poll(0, records(1, 2)[0]);
    t.poll(1, records(1, 2)[1]);
    t.change(PartitionChange { leader: Some(B2), ..isr(&[B2, B3]) });
    t.leads(B2, 1);
    t.checkers.ended();
    t.expect_nothing();
    for check in [Check::LogMatching, Check::LeaderCompleteness, Check::CandidateCompleteness] {
        assert!(t.checkers.count(check).checked > 0, "{}", check.code());
    }
}

#[test]
fn r1_a_follower_with_other_content_below_its_high_watermark() {
    let mut t = Script::new();
    t.append(&[B1, B3], 0, &batch(0, 0, &records(1, 1)));
    t.append(&[B2], 0, &batch(0, 1, &records(2, 1)));
    t.change(isr(&[B1, B3]));
    t.mark(B1, 0, 1, true);
    t.mark(B2, 0, 1, false);
    t.expect("R1");
}

#[test]
fn r2_two_contents_at_one_epoch_and_offset() {
    let mut t = Script::new();
    t.append(&[B1], 0, &batch(0, 0, &records(1, 1)));
    t.append(&[B2], 0, &batch(0, 0, &records(2, 1)));
    assert_eq!(t.codes(), ["R2"]);
}

#[test]
fn r3_a_leader_without_a_committed_record() {
    let mut t = Script::new();
    t.append(&[B1, B2], 0, &batch(0, 0, &records(1, 1)));
    t.change(isr(&[B1, B2]));
    t.mark(B1, 0, 1, true);
    t.expect_nothing();
    t.change(PartitionChange { leader: Some(B3), ..isr(&[B3, B2]) });
    t.leads(B3, 1);
    t.expect("R3");
}

#[test]
fn r4_a_member_of_the_isr_that_lacks_a_committed_record() {
    let mut t = Script::new();
    t.append(&[B1, B2], 0, &batch(0, 0, &records(1, 1)));
    t.mark(B1, 0, 1, true);
    assert_eq!(t.codes(), ["R4"]);
}

#[test]
fn r4_a_stopped_member_is_no_candidate_until_it_is_registered_again() {
    let mut t = Script::new();
    t.append(&[B1, B2], 0, &batch(0, 0, &records(1, 1)));
    t.checkers.stopped(B3);
    t.mark(B1, 0, 1, true);
    t.checkers.started(B3, &Survived::default());
    t.expect_nothing();
    t.note(B3, Event::Registered { epoch: epoch_of(B3) });
    t.expect("R4");
}

#[test]
fn r5_a_leader_that_does_not_wait_for_a_candidate() {
    let mut t = Script::new();
    let view = |maximal: &[NodeId]| {
        Arc::new(IsrView {
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            committed: [B1, B2, B3].into(),
            maximal: maximal.into(),
        })
    };
    t.note(B1, Event::Isr { partition: P0, view: view(&[B1, B2, B3]) });
    t.expect_nothing();
    t.note(B1, Event::Isr { partition: P0, view: view(&[B1, B2]) });
    assert_eq!(t.codes(), ["R5"]);
}

#[test]
fn r6_a_leaders_high_watermark_that_falls() {
    let mut t = Script::new();
    t.append(&[B1, B2, B3], 0, &batch(0, 0, &records(1, 2)));
    t.mark(B1, 0, 2, true);
    t.mark(B1, 0, 0, true);
    assert_eq!(t.codes(), ["R6"]);
}

#[test]
fn r6_a_followers_high_watermark_may_fall() {
    let mut t = Script::new();
    t.append(&[B1, B2, B3], 0, &batch(0, 0, &records(1, 2)));
    t.mark(B1, 0, 2, true);
    t.mark(B2, 0, 2, false);
    t.mark(B2, 0, 0, false);
    t.expect_nothing();
}

#[test]
fn r7_registrations_that_make_no_sense() {
    for (change, rule) in [
        (PartitionChange { leader: Some(B1), ..isr(&[B2, B3]) }, "leader"),
        (isr(&[B1, B2, C1]), "within"),
        (PartitionChange { elr: Some(vec![B2]), ..isr(&[B1, B2]) }, "overlap"),
        (PartitionChange { elr: Some(vec![B3]), ..isr(&[B1, B2]) }, "not empty"),
    ] {
        let mut t = Script::new();
        t.change(change);
        t.expect("R7");
        assert!(t.checkers.violations()[0].detail.contains(rule), "{:?}", t.checkers.violations());
    }
    let mut t = Script::new();
    t.commit_metadata(&[MetadataRecord::BrokerChange {
        node: B3,
        epoch: epoch_of(B3),
        fenced: true,
        in_controlled_shutdown: false,
    }]);
    t.change(isr(&[B1, B2, B3]));
    t.expect("R7");
}

#[test]
fn r8_a_high_watermark_above_the_log_end() {
    let mut t = Script::new();
    t.mark(B2, 0, 5, false);
    assert_eq!(t.codes(), ["R8"]);
}

#[test]
fn r9_two_leaders_in_one_epoch() {
    let mut t = Script::new();
    t.leads(B2, 0);
    assert_eq!(t.codes(), ["R9"]);
}

#[test]
fn r10_a_partition_epoch_that_falls() {
    let mut t = Script::new();
    let next = PartitionId { partition: 1, ..P0 };
    let mut state = registration();
    t.commit_metadata(&[MetadataRecord::Partition { id: next, state: state.clone() }]);
    t.expect_nothing();
    let older = state.clone();
    state.partition_epoch = PartitionEpoch(7);
    t.checkers.partitions.entry(next).or_default().registered(
        Some(&state),
        &Surroundings { image: Some(&older), min_insync_replicas: 2, current: &|_| false },
        &|_| false,
        true,
        &mut t.checkers.tally,
    );
    t.expect("R10");
}

#[test]
fn r10_one_incarnation_registered_twice() {
    let again = |epoch: Offset| MetadataRecord::RegisterBroker {
        node: B1,
        epoch: BrokerEpoch(epoch.0),
        incarnation: Uuid([1; 4]),
        directory: Uuid::ZERO,
        endpoint: Endpoint { host: "b".into(), port: 1 },
        rack: None,
    };
    let mut t = Script::new();
    t.commit_metadata(&[again(t.metadata_end)]);
    t.expect_nothing();
    t.commit_metadata(&[again(t.metadata_end)]);
    t.expect("R10");
}

#[test]
fn r11_an_acknowledged_record_that_is_not_committed() {
    let mut t = Script::new();
    t.append(&[B1], 0, &batch(0, 0, &records(1, 1)));
    t.acknowledged(records(1, 1)[0], 0);
    t.expect("R11");
}
