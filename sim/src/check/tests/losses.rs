//! What disks lose, what of it the protocol survives, and who may be elected after it.

use seedlog::machine::SurvivedLog;

use super::*;

/// What a broker's disk kept of the partition.
fn kept(batches: &[Bytes]) -> Survived {
    let log = SurvivedLog {
        log: DATA,
        name: Arc::new(LogName::Partition { topic: "orders".into(), id: P0 }),
        chunks: batches.to_vec(),
    };
    Survived { files: Vec::new(), logs: vec![log] }
}

/// A batch in which a bit of the last record has flipped.
fn rotten(batch: &Bytes) -> Bytes {
    let mut bytes = batch.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    bytes.into()
}

impl Script {
    fn restarts(&mut self, node: NodeId, with: &Survived) {
        self.checkers.stopped(node);
        self.checkers.started(node, with);
    }
}

#[test]
fn rot_is_a_loss_that_excuses_as_any_other() {
    let whole = batch(0, 0, &records(1, 1));
    // B1 holds the record as long as it has lost nothing itself.
    for (losers, excused) in [(&[B2][..], false), (&[B2, B3], false), (&[B2, B3, B1], true)] {
        let mut t = Script::new();
        t.append(&[B1, B2, B3], 0, &whole);
        t.mark(B1, 0, 1, true);
        t.change(isr(&[B1]));
        for node in losers {
            t.restarts(*node, &kept(&[rotten(&whole)]));
        }
        t.note(B2, Event::Registered { epoch: epoch_of(B2) });
        t.effect(B2, Effect::Truncate { log: DATA, to: Offset(0) });
        t.expect_nothing();
        t.change(isr(&[B1, B2]));
        assert_eq!(t.codes().is_empty(), excused, "{losers:?}");
    }
}

#[test]
fn the_loss_of_what_is_committed_only_afterwards_counts() {
    let mut t = Script::new();
    t.append(&[B1, B2, B3], 0, &batch(0, 0, &records(1, 1)));
    t.restarts(B2, &kept(&[]));
    t.restarts(B3, &kept(&[]));
    t.mark(B1, 0, 1, true);
    t.restarts(B1, &kept(&[]));
    t.expect_nothing();
}

#[test]
fn the_loss_of_what_is_never_committed_excuses_nothing() {
    let mut t = Script::new();
    let lost = batch(0, 0, &records(1, 1));
    t.append(&[B1, B2, B3], 0, &lost);
    t.restarts(B2, &kept(&[]));
    t.restarts(B3, &kept(&[]));
    t.effect(B1, Effect::Truncate { log: DATA, to: Offset(0) });
    t.append(&[B1], 0, &batch(0, 1, &records(2, 1)));
    t.mark(B1, 1, 1, true);
    t.restarts(B1, &kept(&[]));
    assert_eq!(t.codes(), ["R11"]);
}

#[test]
fn who_was_admitted_to_the_isr_again_has_lost_nothing_any_more() {
    let mut t = Script::new();
    let whole = batch(0, 0, &records(1, 1));
    t.append(&[B1, B2], 0, &whole);
    t.change(isr(&[B1, B2]));
    t.mark(B1, 0, 1, true);
    t.restarts(B2, &kept(&[]));
    t.change(isr(&[B1]));
    t.append(&[B2], 0, &whole);
    t.note(B2, Event::Registered { epoch: epoch_of(B2) });
    t.change(isr(&[B1, B2]));
    t.restarts(B1, &kept(&[]));
    t.expect_nothing();
    t.restarts(B2, &kept(std::slice::from_ref(&whole)));
    t.note(B1, Event::Registered { epoch: epoch_of(B1) });
    t.change(isr(&[B1]));
    t.expect("R4");
}

#[test]
fn r11_the_last_copy_is_cut_off_or_removed() {
    for effect in [Effect::Truncate { log: DATA, to: Offset(0) }, Effect::Remove { log: DATA }] {
        let mut t = Script::new();
        t.append(&[B1, B2], 0, &batch(0, 0, &records(1, 1)));
        t.change(isr(&[B1, B2]));
        t.mark(B1, 0, 1, true);
        t.effect(B1, effect.clone());
        assert!(!t.codes().contains(&"R11"), "b2 holds it");
        t.effect(B2, effect);
        t.expect("R11");
    }
}

#[test]
fn the_last_known_leader_may_be_elected_as_the_last_candidate_restarts() {
    let elected = PartitionChange { leader: Some(B3), elr: Some(Vec::new()), ..isr(&[B3]) };
    for (restarts, excused) in [(B2, true), (B3, false)] {
        let mut t = Script::new();
        t.append(&[B1, B2], 0, &batch(0, 0, &records(1, 1)));
        t.change(isr(&[B1, B2]));
        t.mark(B1, 0, 1, true);
        t.change(PartitionChange {
            leader: Some(NodeId::NONE),
            elr: Some(vec![B2]),
            last_known_elr: Some(vec![B3, B1]),
            ..isr(&[])
        });
        let epoch = BrokerEpoch(t.metadata_end.0);
        let registers = MetadataRecord::RegisterBroker {
            node: restarts,
            epoch,
            incarnation: Uuid([0, 0, 0, 9]),
            directory: Uuid::ZERO,
            endpoint: Endpoint { host: "b".into(), port: 1 },
            rack: None,
        };
        let elected = MetadataRecord::PartitionChange { id: P0, change: elected.clone() };
        t.expect_nothing();
        t.commit_metadata(&[registers, elected]);
        t.note(B3, Event::Registered { epoch: if restarts == B3 { epoch } else { epoch_of(B3) } });
        assert_eq!(t.codes().is_empty(), excused, "{restarts} restarts");
    }
}

#[test]
fn r11_a_wiped_disk_that_held_the_last_copy() {
    let mut t = Script::new();
    t.append(&[B1], 0, &batch(0, 0, &records(1, 1)));
    t.checkers.stopped(B2);
    t.checkers.stopped(B3);
    t.mark(B1, 0, 1, true);
    t.checkers.stopped(B1);
    t.checkers.wiped(B1);
    assert_eq!(t.codes(), ["R11"]);
}

#[test]
fn more_lossy_crashes_than_the_protocol_survives_are_excused() {
    let mut t = Script::new();
    t.append(&[B1, B2, B3], 0, &batch(0, 0, &records(1, 1)));
    t.mark(B1, 0, 1, true);
    for node in [B1, B2, B3] {
        t.checkers.stopped(node);
        t.checkers.wiped(node);
    }
    t.expect_nothing();
}

#[test]
fn losses_after_an_unclean_election_that_was_asked_for_are_excused() {
    let mut t = Script::new();
    t.append(&[B1, B2], 0, &batch(0, 0, &records(1, 1)));
    t.change(isr(&[B1, B2]));
    t.mark(B1, 0, 1, true);
    t.commit_metadata(&[MetadataRecord::Config {
        resource: seedlog::message::admin::ConfigResource::Topic("orders".into()),
        name: "unclean.leader.election.enable".into(),
        value: Some("true".into()),
    }]);
    t.change(PartitionChange { leader: Some(B3), ..isr(&[B3]) });
    t.leads(B3, 1);
    t.expect_nothing();
}

#[test]
fn an_unclean_election_of_a_complete_log_excuses_no_loss() {
    let mut t = Script::new();
    t.append(&[B1, B2], 0, &batch(0, 0, &records(1, 1)));
    t.change(isr(&[B1, B2]));
    t.mark(B1, 0, 1, true);
    let nobody =
        PartitionChange { leader: Some(NodeId::NONE), last_known_elr: Some(vec![B2]), ..isr(&[]) };
    t.change(nobody);
    t.change(PartitionChange { leader: Some(B2), ..isr(&[B2]) });
    t.leads(B2, 1);
    t.expect_nothing();
    t.change(isr(&[B2, B3]));
    t.expect("R4");
}
