use super::*;
use crate::config::ControllerConfig;
use crate::controller::fixture::{self, nodes};
use crate::defect::Defects;
use crate::ids::Offset;

/// A partition of three replicas, min.insync.replicas 2, with these brokers active.
struct Case {
    active: &'static [i32],
    isr: &'static [i32],
    elr: &'static [i32],
    last_known: &'static [i32],
    leader: i32,
}

const ALL: Case =
    Case { active: &[1, 2, 3], isr: &[1, 2, 3], elr: &[], last_known: &[], leader: 1 };

fn set_up(case: &Case) -> (Image, PartitionId) {
    let mut image = fixture::image(&[1, 2, 3]);
    let id = fixture::topic(&mut image, "t", &[&[1, 2, 3]]);
    fixture::set(&mut image, "t", "min.insync.replicas", "2");
    for node in [1, 2, 3] {
        if !case.active.contains(&node) {
            fixture::fence(&mut image, node);
        }
    }
    fixture::edit(&mut image, id, |p| {
        (p.isr, p.elr) = (nodes(case.isr).into(), nodes(case.elr).into());
        (p.last_known_elr, p.leader) = (nodes(case.last_known).into(), NodeId(case.leader));
    });
    (image, id)
}

/// Who is in sync, eligible, last known, and who leads.
type State = (Vec<NodeId>, Vec<NodeId>, Vec<NodeId>, i32);

fn after(image: &Image, id: PartitionId) -> State {
    image.check();
    let p = image.partition(id).expect("known");
    (p.isr.to_vec(), p.elr.to_vec(), p.last_known_elr.to_vec(), p.leader.0)
}

fn state(isr: &[i32], elr: &[i32], last_known: &[i32], leader: i32) -> State {
    (nodes(isr), nodes(elr), nodes(last_known), leader)
}

fn run(
    case: &Case,
    config: &ControllerConfig,
    defects: Defects,
    act: impl Fn(&mut Draft<'_>, Rules<'_>),
) -> State {
    let (mut image, id) = set_up(case);
    act(&mut Draft::over(&mut image, Offset(100)), Rules { config, defects });
    after(&image, id)
}

#[test]
fn a_broker_that_goes_leaves_the_isr_and_its_partitions_to_others() {
    let table = [
        ("a follower goes", Case { active: &[1, 2], ..ALL }, 3, state(&[1, 2], &[], &[], 1)),
        ("the leader goes", Case { active: &[2, 3], ..ALL }, 1, state(&[2, 3], &[], &[], 2)),
        (
            "below min.insync.replicas it stays eligible",
            Case { active: &[2], isr: &[1, 2], ..ALL },
            1,
            state(&[2], &[1], &[], 2),
        ),
        (
            "the last one too, and the leader is remembered",
            Case { active: &[], isr: &[2], elr: &[1], leader: 2, ..ALL },
            2,
            state(&[], &[1, 2], &[2], -1),
        ),
        (
            "an eligible replica takes over",
            Case { active: &[1], isr: &[2], elr: &[1], leader: 2, ..ALL },
            2,
            state(&[1], &[2], &[], 1),
        ),
    ];
    for (what, case, node, expected) in table {
        let act =
            |draft: &mut Draft<'_>, rules: Rules<'_>| leave(draft, rules, NodeId(node), false);
        assert_eq!(run(&case, &fixture::config(), Defects::NONE, act), expected, "{what}");
    }
}

#[test]
fn a_broker_that_comes_back_leads_where_it_may() {
    let empty = Case { active: &[], isr: &[], elr: &[], last_known: &[], leader: -1 };
    let table = [
        (
            "eligible",
            Case { active: &[1], elr: &[1, 2], last_known: &[2], ..empty },
            state(&[1], &[2], &[], 1),
        ),
        (
            "not eligible while somebody is",
            Case { active: &[3], elr: &[1, 2], last_known: &[2], ..empty },
            state(&[], &[1, 2], &[2], -1),
        ),
        (
            "the last leader, when nobody is eligible",
            Case { active: &[2], last_known: &[2], ..empty },
            state(&[2], &[], &[], 2),
        ),
        (
            "only the first of those remembered",
            Case { active: &[1], last_known: &[2, 1], ..empty },
            state(&[], &[], &[2, 1], -1),
        ),
        (
            "not just anybody",
            Case { active: &[3], last_known: &[2], ..empty },
            state(&[], &[], &[2], -1),
        ),
    ];
    for (what, case, expected) in table {
        let node = NodeId(case.active[0]);
        let act = |draft: &mut Draft<'_>, rules: Rules<'_>| elect_leaderless(draft, rules, node);
        assert_eq!(run(&case, &fixture::config(), Defects::NONE, act), expected, "{what}");
    }
}

#[test]
fn an_unclean_restart_costs_the_place_in_isr_and_elr() {
    let table = [
        ("in the isr", Case { active: &[2], isr: &[1, 2], ..ALL }, state(&[2], &[], &[], 2)),
        (
            "in the elr",
            Case { active: &[2], isr: &[2], elr: &[1], leader: 2, ..ALL },
            state(&[2], &[], &[], 2),
        ),
        (
            "the last of the isr",
            Case { active: &[], isr: &[1], elr: &[2], ..ALL },
            state(&[], &[2], &[1], -1),
        ),
        (
            "the last of the elr, remembered behind the last leader",
            Case { active: &[], isr: &[], elr: &[1], last_known: &[2], leader: -1 },
            state(&[], &[], &[2, 1], -1),
        ),
    ];
    for (what, case, expected) in table {
        let act = |draft: &mut Draft<'_>, rules: Rules<'_>| leave(draft, rules, NodeId(1), true);
        assert_eq!(run(&case, &fixture::config(), Defects::NONE, act), expected, "{what}");
    }
}

#[test]
fn without_elr_the_last_member_stays_in_the_isr_and_waits() {
    let config =
        ControllerConfig { eligible_leader_replicas: false, ..ControllerConfig::default() };
    let case = Case { active: &[2], isr: &[1], ..ALL };
    let leave = |draft: &mut Draft<'_>, rules: Rules<'_>| leave(draft, rules, NodeId(1), false);
    assert_eq!(run(&case, &config, Defects::NONE, leave), state(&[1], &[], &[], -1));
}

#[test]
fn a_topic_that_allows_it_elects_anybody_and_forgets_the_eligible() {
    let case = Case { active: &[3], isr: &[], elr: &[1, 2], last_known: &[2], leader: -1 };
    let (mut image, id) = set_up(&case);
    fixture::set(&mut image, "t", "unclean.leader.election.enable", "true");
    let config = fixture::config();
    let mut draft = Draft::over(&mut image, Offset(100));
    elect_leaderless(&mut draft, fixture::rules(&config), NodeId(3));
    assert_eq!(after(&image, id), state(&[3], &[], &[], 3));
    assert_eq!(image.partition(id).expect("known").recovery, LeaderRecovery::Recovering);
}

#[test]
#[cfg(feature = "defects")]
fn reelect_last_isr_keeps_a_lossy_last_member_as_the_only_candidate() {
    let defects = Defects::NONE.with(Defect::ReelectLastIsr);
    let case = Case { active: &[2], isr: &[1], elr: &[2], ..ALL };
    let leave = |draft: &mut Draft<'_>, rules: Rules<'_>| leave(draft, rules, NodeId(1), true);
    assert_eq!(run(&case, &fixture::config(), defects, leave), state(&[1], &[2], &[1], -1));
    assert_eq!(run(&case, &fixture::config(), Defects::NONE, leave), state(&[2], &[], &[], 2));
}

#[test]
#[cfg(feature = "defects")]
fn unclean_election_on_elects_a_live_replica_that_lacks_records() {
    let defects = Defects::NONE.with(Defect::UncleanElectionOn);
    let case = Case { active: &[3], isr: &[], elr: &[1, 2], last_known: &[2], leader: -1 };
    let elect = |draft: &mut Draft<'_>, rules: Rules<'_>| {
        elect_leaderless(draft, rules, NodeId(3));
    };
    assert_eq!(run(&case, &fixture::config(), defects, elect), state(&[3], &[], &[], 3));
    let right = run(&case, &fixture::config(), Defects::NONE, elect);
    assert_eq!(right, state(&[], &[1, 2], &[2], -1));
}
