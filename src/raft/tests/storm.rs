//! Seeded storms: loss, duplication, reordering, corruption, partitions, crashes and power losses.

use std::string::String;
use std::vec::Vec;

use super::cluster::{Cluster, Weather};
#[cfg(feature = "defects")]
use crate::defect::Defect;
use crate::defect::Defects;
use crate::ids::Offset;
use crate::raft::Raft;
use crate::time::Duration;

/// One storm and the calm after it.
fn storm(voters: usize, seed: u64, defects: Defects) -> Cluster {
    let mut cluster = Cluster::new(voters, 2, seed, defects);
    cluster.weather = Weather {
        loss: cluster.rng.below(60),
        duplicate: cluster.rng.below(60),
        corrupt: cluster.rng.below(200),
        slowest: 1 + cluster.rng.below(80),
    };
    for _ in 0..400 {
        cluster.run(Duration::from_millis(50));
        if !cluster.violations.is_empty() {
            return cluster;
        }
        cluster.append_record();
        let count = cluster.nodes.len();
        match cluster.rng.below(40) {
            0 | 1 => {
                let (at, power) = (cluster.rng.index(count), cluster.rng.chance(1, 2));
                cluster.crash(at, power);
            }
            2..=8 => {
                let at = cluster.rng.index(count);
                if cluster.nodes[at].raft.is_none() {
                    cluster.start(at);
                }
            }
            9 => {
                let (a, b) = (cluster.rng.index(count), cluster.rng.index(count));
                cluster.cut[a][b] = true;
            }
            10 => {
                let alone = cluster.rng.index(count);
                for other in 0..count {
                    cluster.cut[other][alone] = true;
                }
            }
            11 | 12 => {
                for row in &mut cluster.cut {
                    row.fill(false);
                }
            }
            13 => {
                if let Some(leader) = cluster.leader() {
                    cluster.crash(leader, true);
                    cluster.start(leader);
                }
            }
            14 => {
                // The power fails everywhere.
                for at in 0..count {
                    cluster.crash(at, true);
                    cluster.start(at);
                }
            }
            _quiet => {}
        }
    }
    cluster
}

fn converges(cluster: &mut Cluster) -> Result<(), String> {
    cluster.calm();
    cluster.run(Duration::from_secs(20));
    let last = cluster.append_record().ok_or("nobody leads")?;
    cluster.run(Duration::from_secs(3));
    for (at, node) in cluster.nodes.iter().enumerate() {
        if node.applied <= last {
            return Err(std::format!("node {at} applied {} of {last}", node.applied));
        }
    }
    Ok(())
}

#[test]
fn quorums_of_one_three_and_five_survive_any_storm_and_converge() {
    let (mut committed, mut loaded) = (0, 0);
    for seed in 0..120 {
        let voters = [1, 3, 5][usize::try_from(seed % 3).unwrap()];
        let mut cluster = storm(voters, seed, Defects::NONE);
        assert_eq!(cluster.violations, Vec::<String>::new(), "seed {seed}");
        converges(&mut cluster).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        assert_eq!(cluster.violations, Vec::<String>::new(), "seed {seed}");
        committed += cluster.committed.len();
        loaded += cluster.snapshots_loaded;
    }
    assert!(committed > 2_000, "the storms let little through: {committed}");
    assert!(loaded > 20, "snapshots were loaded: {loaded}");
}

/// How many storms of `seeds` break a rule when `defect` is on.
#[cfg(feature = "defects")]
fn storms_that_find(defect: Defect, seeds: core::ops::Range<u64>) -> usize {
    let found = |seed: &u64| {
        let cluster = storm(3, *seed, Defects::NONE.with(defect));
        !cluster.violations.is_empty()
    };
    seeds.filter(found).count()
}

#[cfg(feature = "defects")]
#[test]
fn storms_find_what_directed_tests_do_not_need_to() {
    let rows = [
        (Defect::KraftNoFlush, 10),
        (Defect::KraftLeaderResumesEpoch, 10),
        (Defect::KraftVoteIgnoresRecency, 150),
    ];
    for (defect, seeds) in rows {
        assert!(storms_that_find(defect, 0..seeds) > 0, "{defect}");
    }
}

#[test]
fn an_idle_observer_costs_few_messages() {
    let mut cluster = Cluster::new(3, 1, 7, Defects::NONE);
    cluster.run(Duration::from_secs(10));
    let mut without = Cluster::new(3, 0, 7, Defects::NONE);
    without.run(Duration::from_secs(10));
    cluster.run(Duration::from_secs(10));
    without.run(Duration::from_secs(10));
    let seconds = 20;
    let each = (cluster.messages.saturating_sub(without.messages)) / seconds;
    assert!(each <= 6, "an observer exchanges {each} messages a second");
}

#[test]
fn a_leader_that_is_only_deaf_resigns() {
    let mut cluster = Cluster::new(3, 0, 3, Defects::NONE);
    cluster.run(Duration::from_secs(5));
    let deaf = cluster.leader().expect("elected");
    for other in 0..3 {
        cluster.cut[other][deaf] = true;
    }
    cluster.run(Duration::from_secs(12));
    let leader = cluster.leader().expect("the others elect");
    assert_ne!(leader, deaf);
    assert!(!cluster.nodes[deaf].leading);
    assert_eq!(cluster.violations, Vec::<String>::new());
}

#[cfg(feature = "defects")]
#[test]
fn without_check_quorum_a_deaf_leader_leads_on() {
    let mut cluster = Cluster::new(3, 0, 3, Defects::NONE.with(Defect::KraftNoCheckQuorum));
    cluster.run(Duration::from_secs(5));
    let deaf = cluster.leader().expect("elected");
    for other in 0..3 {
        cluster.cut[other][deaf] = true;
        cluster.cut[deaf][other] = true;
    }
    cluster.run(Duration::from_secs(30));
    assert!(cluster.nodes[deaf].leading);
}

#[test]
fn a_node_that_was_cut_off_does_not_depose_the_leader() {
    let mut cluster = Cluster::new(3, 0, 4, Defects::NONE);
    cluster.run(Duration::from_secs(5));
    let leader = cluster.leader().expect("elected");
    let epoch = cluster.nodes[leader].raft.as_ref().map(Raft::epoch);
    let alone = (leader + 1) % 3;
    for other in 0..3 {
        cluster.cut[other][alone] = true;
        cluster.cut[alone][other] = true;
    }
    cluster.run(Duration::from_secs(20));
    cluster.calm();
    cluster.run(Duration::from_secs(10));
    assert_eq!(cluster.leader(), Some(leader));
    assert_eq!(cluster.nodes[alone].raft.as_ref().map(Raft::epoch), epoch, "KIP-996");
}

/// Commits on voters 0 and 2, then voter 2 loses its disk and 0 is gone.
fn amnesia(defects: Defects) -> Cluster {
    let mut cluster = Cluster::new(3, 0, 5, defects);
    cluster.run(Duration::from_secs(5));
    let leader = cluster.leader().expect("elected");
    let [behind, wiped] = [(leader + 1) % 3, (leader + 2) % 3];
    cluster.crash(behind, false);
    for _ in 0..5 {
        cluster.append_record().expect("leads");
        cluster.run(Duration::from_millis(200));
    }
    assert!(cluster.true_end > Offset(3));
    cluster.crash(leader, false);
    cluster.wipe(wiped, 9);
    cluster.start(wiped);
    cluster.start(behind);
    cluster.run(Duration::from_secs(20));
    cluster
}

#[test]
fn a_voter_with_a_new_disk_votes_no_more() {
    let cluster = amnesia(Defects::NONE);
    assert_eq!(cluster.violations, Vec::<String>::new());
    assert_eq!(cluster.leader(), None, "one voter of three is no quorum");
}

#[cfg(feature = "defects")]
#[test]
fn an_amnesiac_voter_elects_a_leader_without_what_is_committed() {
    let cluster = amnesia(Defects::NONE.with(Defect::KraftAmnesiacVoter));
    assert!(cluster.violations.iter().any(|text| text.starts_with("K2")), "KIP-853");
}

#[test]
fn a_node_that_lags_behind_the_snapshot_loads_it() {
    let mut cluster = Cluster::new(3, 1, 6, Defects::NONE);
    cluster.run(Duration::from_secs(5));
    let leader = cluster.leader().expect("elected");
    let late = [(leader + 1) % 3, 3];
    for at in late {
        cluster.crash(at, true);
    }
    for _ in 0..200 {
        cluster.append_record();
        cluster.run(Duration::from_millis(50));
    }
    for at in late {
        cluster.start(at);
    }
    cluster.run(Duration::from_secs(5));
    assert!(cluster.snapshots_loaded >= 2);
    for at in late {
        assert_eq!(cluster.nodes[at].applied, cluster.nodes[leader].applied);
    }
    assert_eq!(cluster.violations, Vec::<String>::new());
}

#[test]
fn a_controlled_shutdown_hands_over_quickly() {
    let mut cluster = Cluster::new(3, 0, 8, Defects::NONE);
    cluster.run(Duration::from_secs(5));
    let leader = cluster.leader().expect("elected");
    cluster.call(leader, |raft, now, out| raft.resign(now, out));
    cluster.run(Duration::from_millis(300));
    assert!(cluster.leader().is_some_and(|new| new != leader));
}
