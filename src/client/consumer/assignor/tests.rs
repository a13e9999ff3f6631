//! Who gets what, table by table. A member is its id, its topics, what it owns, its generation.

use std::string::{String, ToString as _};
use std::{format, vec};

use super::*;
use crate::defect::Defect;

type Row<'a> = (&'a str, &'a str, &'a str, i32);

/// `t0 u1` as partitions.
fn partitions(text: &str) -> Vec<Partition> {
    let one = |word: &str| {
        let (topic, partition) = word.split_at(1);
        (TopicName::from(topic), partition.parse().expect("a partition's number"))
    };
    text.split_whitespace().map(one).collect()
}

fn member((id, topics, owned, generation): Row<'_>) -> Member {
    let instance = id.strip_prefix('!').map(Arc::from);
    let topics = topics.split_whitespace().map(TopicName::from).collect();
    Member { id: id.into(), instance, topics, owned: partitions(owned), generation }
}

fn counts(text: &str) -> Counts {
    partitions(text).into_iter().collect()
}

fn shown(assigned: &Assignments) -> String {
    let part = |partitions: &Vec<Partition>| {
        let mut sorted = partitions.clone();
        sorted.sort();
        let words = sorted.iter().map(|(topic, partition)| format!("{topic}{partition}"));
        words.collect::<Vec<_>>().join(" ")
    };
    let members = assigned.iter().map(|(id, partitions)| format!("{id}: {}", part(partitions)));
    members.collect::<Vec<_>>().join(", ")
}

fn assign(strategy: AssignmentStrategy, there: &str, members: &[Row<'_>]) -> String {
    let members: Vec<Member> = members.iter().copied().map(member).collect();
    shown(&Assignor::Known(strategy).assign(&members, &counts(there), Defects::NONE))
}

#[test]
fn a_range_is_a_stretch_of_each_topic() {
    let both = [("a", "t u", "", -1), ("b", "t u", "", -1)];
    let table = [
        ("t3 u3", &both[..], "a: t0 t1 u0 u1, b: t2 u2"),
        ("t2 u2", &both, "a: t0 u0, b: t1 u1"),
        ("t1", &both, "a: t0, b: "),
        ("t2 u2", &[("a", "t", "", -1), ("b", "t u", "", -1)], "a: t0, b: t1 u0 u1"),
        ("t3", &[("a", "t", "", -1), ("!b", "t", "", -1)], "!b: t0 t1, a: t2"),
        ("t3", &[("a", "gone", "", -1)], "a: "),
    ];
    for (there, members, expected) in table {
        assert_eq!(assign(AssignmentStrategy::Range, there, members), expected, "{there}");
    }
}

#[test]
fn round_robin_goes_through_all_partitions_of_all_topics() {
    let both = [("a", "t u", "", -1), ("b", "t u", "", -1)];
    let table = [
        ("t3 u3", &both[..], "a: t0 t2 u1, b: t1 u0 u2"),
        ("t1 u2", &[("a", "u", "", -1), ("b", "t u", "", -1)], "a: u0, b: t0 u1"),
        ("t2 x9", &both, "a: t0, b: t1"),
    ];
    for (there, members, expected) in table {
        assert_eq!(assign(AssignmentStrategy::RoundRobin, there, members), expected, "{there}");
    }
}

#[test]
fn sticky_is_even_and_moves_no_more_than_it_must() {
    let table = [
        ("t4", vec![("a", "t", "", -1), ("b", "t", "", -1)], "a: t0 t2, b: t1 t3"),
        // A new member takes from who has most.
        ("t4", vec![("a", "t", "t0 t1 t2 t3", 3), ("b", "t", "", -1)], "a: t0 t1, b: t2 t3"),
        (
            "t4",
            vec![("a", "t", "t0 t1", 3), ("b", "t", "t2 t3", 3), ("c", "t", "", -1)],
            "a: t0, b: t2 t3, c: t1",
        ),
        // Somebody left.
        ("t4", vec![("a", "t", "t0", 3), ("b", "t", "t2 t3", 3)], "a: t0 t1, b: t2 t3"),
        // What is gone or not subscribed to is not kept.
        ("t2", vec![("a", "t", "t0 t5 u0", 3)], "a: t0 t1"),
        // Only one wants u.
        ("t2 u4", vec![("a", "t u", "t0", 3), ("b", "t", "t1", 3)], "a: u0 u1 u2 u3, b: t0 t1"),
        // The highest generation's claim counts.
        ("t2", vec![("a", "t", "t0 t1", 2), ("b", "t", "t1", 3)], "a: t0, b: t1"),
        ("t1", vec![("a", "t", "t0", 2), ("b", "t", "t0", 3)], "a: , b: t0"),
    ];
    for (there, members, expected) in table {
        assert_eq!(assign(AssignmentStrategy::Sticky, there, &members), expected, "{members:?}");
    }
}

#[test]
fn a_partition_is_taken_away_in_one_round_and_given_in_the_next() {
    let table = [
        ("t4", vec![("a", "t", "t0 t1 t2 t3", 3), ("b", "t", "", -1)], "a: t0 t1, b: "),
        ("t4", vec![("a", "t", "t0 t1", 4), ("b", "t", "", 4)], "a: t0 t1, b: t2 t3"),
        // An old claim may still be believed in, but stops nobody who goes on.
        ("t2", vec![("a", "t", "t0", 2), ("b", "t", "t0 t1", 3)], "a: , b: t0"),
        ("t1", vec![("a", "t", "t0", 2), ("b", "t", "t0", 3)], "a: , b: t0"),
        // Of equal claims neither counts.
        ("t1", vec![("a", "t", "t0", 3), ("b", "t", "t0", 3)], "a: , b: "),
    ];
    for (there, members, expected) in table {
        let strategy = AssignmentStrategy::CooperativeSticky;
        assert_eq!(assign(strategy, there, &members), expected, "{members:?}");
    }
}

#[test]
fn assign_before_revoke_gives_away_what_another_still_holds() {
    let members = [("a", "t", "t0 t1", 3), ("b", "t", "", -1)].map(member);
    let cooperative = Assignor::Known(AssignmentStrategy::CooperativeSticky);
    let given = |defects| shown(&cooperative.assign(&members, &counts("t2"), defects));
    assert_eq!(given(Defects::NONE), "a: t0, b: ");
    let broken = Defects::NONE.with(Defect::AssignBeforeRevoke);
    assert_eq!(
        given(broken),
        if broken.has(Defect::AssignBeforeRevoke) { "a: t0, b: t1" } else { "a: t0, b: " }
    );
}

#[test]
fn every_partition_that_somebody_wants_has_one_owner_in_the_end() {
    let mut rng = crate::rng::Rng::from_number(5);
    for _ in 0..200 {
        let there = counts(&format!("t{} u{}", rng.below(6), rng.below(4)));
        let random = |rng: &mut crate::rng::Rng, place: usize| {
            let topics = ["t", "u", "t u"][rng.index(3)];
            let mut owned = String::new();
            for at in 0..6 {
                if rng.chance(1, 3) {
                    owned.push_str(&format!("{}{at} ", ["t", "u"][rng.index(2)]));
                }
            }
            let generation = i32::try_from(rng.below(3)).expect("small");
            member((&place.to_string(), topics, &owned, generation))
        };
        let members: Vec<Member> = (0..=rng.index(4)).map(|at| random(&mut rng, at)).collect();
        for strategy in ["range", "roundrobin", "sticky", "cooperative-sticky"] {
            let strategy = crate::config::Setting::parse(strategy).expect("a strategy");
            let assigned = Assignor::Known(strategy).assign(&members, &there, Defects::NONE);
            let mut seen = alloc::collections::BTreeSet::new();
            for (id, partition) in
                assigned.iter().flat_map(|(id, all)| all.iter().map(move |p| (id, p)))
            {
                assert!(seen.insert(partition.clone()), "{partition:?} once: {members:?}");
                let taker = members.iter().find(|member| member.id == *id).expect("a member");
                assert!(subscribes(taker, &partition.0), "{id} wants {partition:?}");
            }
            let wanted =
                there.iter().filter(|(topic, _)| members.iter().any(|m| subscribes(m, topic)));
            let all: i32 = wanted.map(|(_, count)| *count).sum();
            let given = i32::try_from(seen.len()).expect("few");
            let cooperative = strategy == AssignmentStrategy::CooperativeSticky;
            assert!(given == all || (cooperative && given < all), "{strategy:?}: {members:?}");
        }
    }
}
