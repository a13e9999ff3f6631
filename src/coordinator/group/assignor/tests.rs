use alloc::format;
use alloc::vec::Vec;

use super::*;
use crate::ids::Uuid;
use crate::rng::Rng;

fn topic(number: u32) -> TopicId {
    Uuid([number; 4])
}

fn members<'a>(wants: &[&[u32]], had: &'a [Partitions]) -> Subscribers<'a> {
    let each = wants.iter().zip(had).enumerate().map(|(index, (wants, had))| {
        let id: Arc<str> = format!("m{index}").into();
        let topics = wants.iter().map(|number| topic(*number)).collect();
        (id.clone(), Subscriber { place: id, topics, had })
    });
    each.collect()
}

fn topics(sizes: &[(u32, i32)]) -> BTreeMap<TopicId, i32> {
    sizes.iter().map(|(number, partitions)| (topic(*number), *partitions)).collect()
}

fn set(partitions: &[(u32, i32)]) -> Partitions {
    partitions.iter().map(|(number, partition)| (topic(*number), *partition)).collect()
}

fn lists(targets: Targets) -> Vec<Partitions> {
    targets.into_values().collect()
}

#[test]
fn range_gives_each_member_a_range_of_each_topic() {
    let had = [const { Partitions::new() }; 3];
    let members = members(&[&[1, 2], &[1, 2], &[2]], &had);
    let targets = assign("range", &members, &topics(&[(1, 3), (2, 4)]));
    let expected = [set(&[(1, 0), (1, 1), (2, 0), (2, 1)]), set(&[(1, 2), (2, 2)]), set(&[(2, 3)])];
    assert_eq!(lists(targets), expected);
}

#[test]
fn range_orders_static_members_by_their_names() {
    let had = [const { Partitions::new() }; 2];
    let mut members = members(&[&[1], &[1]], &had);
    members.get_mut("m0").expect("there").place = "z".into();
    let targets = assign("range", &members, &topics(&[(1, 2)]));
    assert_eq!(lists(targets), [set(&[(1, 1)]), set(&[(1, 0)])]);
}

#[test]
fn uniform_moves_no_more_than_it_must() {
    // A third member comes to two that have three each.
    let first = set(&[(1, 0), (1, 1), (1, 2)]);
    let second = set(&[(1, 3), (1, 4), (1, 5)]);
    let had = [first, second, Partitions::new()];
    let members = members(&[&[1], &[1], &[1]], &had);
    let targets = lists(assign("uniform", &members, &topics(&[(1, 6)])));
    for (target, had) in targets.iter().zip(&had).take(2) {
        assert_eq!((target.len(), target.is_subset(had)), (2, true));
    }
    assert_eq!(targets[2], set(&[(1, 2), (1, 5)]));
}

#[test]
fn uniform_gives_what_only_one_wants_to_that_one() {
    let had = [const { Partitions::new() }; 2];
    let members = members(&[&[1, 2], &[2]], &had);
    let targets = lists(assign("uniform", &members, &topics(&[(1, 3), (2, 3)])));
    assert_eq!(targets, [set(&[(1, 0), (1, 1), (1, 2)]), set(&[(2, 0), (2, 1), (2, 2)])]);
}

#[test]
fn every_wanted_partition_goes_to_one_member_that_wants_it_and_equals_get_the_same() {
    let mut rng = Rng::from_number(848);
    for case in 0..2_000 {
        let size = |rng: &mut Rng| i32::try_from(rng.below(7)).expect("small");
        let sizes: Vec<(u32, i32)> = (0..=2).map(|number| (number, size(&mut rng))).collect();
        let count = 1 + rng.index(5);
        let equal = rng.chance(1, 2);
        let wants: Vec<Vec<u32>> = (0..count)
            .map(|_| {
                let wanted = sizes.iter().filter(|_| equal || rng.chance(1, 2));
                wanted.map(|(number, _)| *number).collect()
            })
            .collect();
        let wants: Vec<&[u32]> = wants.iter().map(Vec::as_slice).collect();
        let had: Vec<Partitions> = (0..count)
            .map(|_| {
                let all =
                    sizes.iter().flat_map(|(number, size)| (0..*size).map(|at| (*number, at)));
                let kept: Vec<_> = all.filter(|_| rng.chance(1, 3)).collect();
                set(&kept)
            })
            .collect();
        let (members, topics) = (members(&wants, &had), topics(&sizes));
        for name in [DEFAULT, RANGE] {
            let targets = assign(name, &members, &topics);
            check(&targets, &members, &topics, case);
            let loads = || targets.values().map(BTreeSet::len);
            if equal && name == DEFAULT {
                let spread = loads().max().unwrap_or(0) - loads().min().unwrap_or(0);
                assert!(spread <= 1, "case {case}: {targets:?}");
            }
        }
    }
}

fn check(
    targets: &Targets,
    members: &Subscribers<'_>,
    topics: &BTreeMap<TopicId, i32>,
    case: usize,
) {
    for (topic, partitions) in topics {
        let wanting = members.values().any(|member| member.topics.contains(topic));
        for partition in 0..*partitions {
            let at = (*topic, partition);
            let holders = targets.values().filter(|target| target.contains(&at)).count();
            assert_eq!(holders, usize::from(wanting), "case {case}: {at:?}");
        }
    }
    for (id, target) in targets {
        let wanted = |(topic, at): &(TopicId, i32)| {
            members[id].topics.contains(topic) && (0..topics[topic]).contains(at)
        };
        assert!(target.iter().all(wanted), "case {case}: {id}");
    }
}
