//! R10 of groups, and G1-G7.

use std::slice;

use seedlog::config::OffsetReset;
use seedlog::event::GroupMemberNote;
use seedlog::event::ResetNote;
use seedlog::message::Response;
use seedlog::message::commit::{
    Committer, FetchedGroup, FetchedOffset, OffsetCommitRequest, OffsetCommitResponse,
    OffsetFetchRequest, OffsetFetchResponse,
};
use seedlog::message::group::{SyncGroupRequest, SyncGroupResponse};
use seedlog::op::{GroupMetadata, Outcome, Rebalance};

use super::cluster::*;
use super::*;

fn assigned(member: &str, generation: i32, partitions: &[i32]) -> Rebalance {
    let metadata =
        GroupMetadata { group: "g".into(), member: member.into(), instance: None, generation };
    Rebalance::Assigned(partitions.iter().map(|partition| orders(*partition)).collect(), metadata)
}

#[test]
fn g1_two_members_own_a_partition() {
    let mut t = Cluster::new();
    t.group(1, &[("a", 1, &[0]), ("b", 1, &[1])]);
    t.expect_nothing();
    t.group(2, &[("a", 2, &[0]), ("b", 2, &[0, 1])]);
    assert_eq!(t.codes(), ["G1"]);
}

#[test]
fn g1_what_a_member_is_to_give_up_is_still_its_own() {
    let mut t = Cluster::new();
    let note = seedlog::event::GroupNote {
        group: "g".into(),
        generation: 2,
        shard: 0,
        coordinator_epoch: LeaderEpoch(0),
        members: [
            GroupMemberNote {
                member: "a".into(),
                epoch: 1,
                assigned: [].into(),
                revoking: [orders(0)].into(),
            },
            GroupMemberNote {
                member: "b".into(),
                epoch: 2,
                assigned: [orders(0)].into(),
                revoking: [].into(),
            },
        ]
        .into(),
    };
    t.note(B1, Event::Group(Arc::new(note)));
    assert_eq!(t.codes(), ["G1"]);
}

#[test]
fn g2_two_members_believe_that_they_own_a_partition() {
    let mut t = Cluster::new();
    t.group(1, &[("a", 1, &[0])]);
    t.checkers.rebalanced(1, "g", &assigned("a", 1, &[0]));
    t.group(2, &[("a", 2, &[]), ("b", 2, &[0])]);
    t.checkers.rebalanced(2, "g", &assigned("b", 2, &[0]));
    assert_eq!(t.codes(), ["G2"]);
}

#[test]
fn g2_who_gave_it_up_or_is_out_of_the_group_is_no_believer() {
    for out in [false, true] {
        let mut t = Cluster::new();
        t.group(1, &[("a", 1, &[0])]);
        t.checkers.rebalanced(1, "g", &assigned("a", 1, &[0]));
        if out {
            t.group(2, &[("b", 2, &[0])]);
        } else {
            t.checkers.rebalanced(1, "g", &Rebalance::Revoked(vec![orders(0)]));
            t.group(2, &[("a", 2, &[]), ("b", 2, &[0])]);
        }
        t.checkers.rebalanced(2, "g", &assigned("b", 2, &[0]));
        t.expect_nothing();
        assert_eq!(t.checkers.count(Check::NoTwoBelievers).checked, 2);
    }
}

/// `a` holds a partition since generation 1 and `b` is given it in generation 2: whether `a`, which
/// has a name of its own, was told of generation 2.
#[test]
fn g2_a_static_member_that_has_not_joined_again_is_late_and_no_believer() {
    for told in [false, true] {
        let mut t = Cluster::new();
        let named = |generation, partitions: &[i32]| {
            let change = assigned("a", generation, partitions);
            let Rebalance::Assigned(partitions, metadata) = change else { panic!("{change:?}") };
            Rebalance::Assigned(
                partitions,
                GroupMetadata { instance: Some("a".into()), ..metadata },
            )
        };
        t.group(1, &[("a", 1, &[0])]);
        t.checkers.rebalanced(1, "g", &named(1, &[0]));
        t.group(2, &[("a", 2, &[]), ("b", 2, &[0])]);
        if told {
            t.checkers.rebalanced(1, "g", &named(2, &[]));
        }
        t.checkers.rebalanced(2, "g", &assigned("b", 2, &[0]));
        assert_eq!(t.codes(), if told { &["G2"][..] } else { &[] });
    }
}

#[test]
fn g3_an_offset_falls_by_another_member() {
    let mut t = Cluster::new();
    let first = t.offset(10, None);
    t.counts(10, first, ("a", 1), None);
    let second = t.offset(5, None);
    t.counts(5, second, ("b", 2), None);
    assert_eq!(t.codes(), ["G3"]);
}

#[test]
fn g3_a_members_own_commits_may_overtake_each_other() {
    let mut t = Cluster::new();
    let first = t.offset(10, None);
    t.counts(10, first, ("a", 1), None);
    let second = t.offset(5, None);
    t.counts(5, second, ("a", 1), None);
    t.expect_nothing();
}

#[test]
fn g3_a_marker_brings_back_an_older_record() {
    let mut t = Cluster::new();
    t.begin(0);
    let staged = t.offset(5, Some((PRODUCER, 0)));
    let plain = t.offset(6, None);
    t.counts(6, plain, ("a", 1), None);
    t.decide(1, true);
    t.marker(OFFSETS, 1, true);
    t.expect_nothing();
    t.counts(5, staged, ("a", 1), Some(PRODUCER));
    t.expect("G3");
}

/// `group_coordinator_failover` seeds 4 (G3) and 37 (G4): one stood still with a record
/// that its followers had, another one took over and noted more, and then it went on.
#[test]
fn g3_g4_a_coordinator_that_stood_still_says_late_what_the_log_had() {
    let mut t = Cluster::new();
    t.group(1, &[("a", 1, &[0])]);
    let first = t.offset(5, None);
    t.counts(5, first, ("a", 1), None);
    let late = t.offset(6, None);
    t.reign = LeaderEpoch(1);
    t.group(2, &[("b", 2, &[0])]);
    let newer = t.offset(8, None);
    t.counts(8, newer, ("b", 2), None);
    t.reign = LeaderEpoch(0);
    t.counts(6, late, ("a", 1), None);
    t.group(1, &[("a", 1, &[0])]);
    t.reign = LeaderEpoch(1);
    let newest = t.offset(9, None);
    t.counts(9, newest, ("b", 2), None);
    t.expect_nothing();
    let count = |check| t.checkers.count(check).checked;
    assert_eq!((count(Check::CommitFencing), count(Check::OffsetMonotone)), (4, 8));
    t.counts(6, late, ("b", 2), None);
    assert_eq!(t.codes(), ["G3"], "within its reign it went back");
}

/// What is said late is judged in the order of the log, on both sides of it.
#[test]
fn g3_an_offset_falls_from_one_coordinator_to_the_next() {
    // The offsets in the order of the log, by other members each, and which falls.
    let table = [
        ([5, 6, 8], true, None),
        ([5, 4, 8], true, Some("offset 4 of member \"b\" (record 1 ")),
        ([5, 9, 8], true, Some("offset 8 of member \"c\" (record 2 ")),
        ([5, 6, 4], true, Some("offset 4 of member \"c\" (record 2 ")),
        ([5, 6, 8], false, None),
        ([5, 9, 8], false, Some("offset 8 of member \"c\" (record 2 ")),
    ];
    for (offsets, late, falls) in table {
        let mut t = Cluster::new();
        let [first, second, third] = offsets.map(|offset| {
            t.reign = LeaderEpoch(i32::from(t.end(OFFSETS) == 2));
            t.offset(offset, None)
        });
        let last =
            if late { [(2, third, 1), (1, second, 0)] } else { [(1, second, 0), (2, third, 1)] };
        for (number, at, reign) in [(0, first, 0)].into_iter().chain(last) {
            t.reign = LeaderEpoch(reign);
            t.counts(offsets[number], at, (["a", "b", "c"][number], 1), None);
        }
        let codes: &[&str] = if falls.is_some() { &["G3"] } else { &[] };
        assert_eq!(t.codes(), codes, "{offsets:?} {late}");
        let text = format!("{:?}", t.checkers.violations()).replace('\\', "");
        assert!(falls.is_none_or(|falls| text.contains(falls)), "{offsets:?} {late}: {text}");
    }
}

/// KAFKA-14505, over a change of coordinators: the one that ends the transaction has read the
/// record that its predecessor wrote, and says late, behind the staged one.
#[test]
fn g3_a_successor_brings_back_an_older_record() {
    for late in [false, true] {
        let mut t = Cluster::new();
        t.begin(0);
        let staged = t.offset(5, Some((PRODUCER, 0)));
        let plain = t.offset(6, None);
        if !late {
            t.counts(6, plain, ("a", 1), None);
        }
        t.decide(1, true);
        t.reign = LeaderEpoch(1);
        t.marker(OFFSETS, 1, true);
        t.counts(5, staged, ("a", 1), Some(PRODUCER));
        if late {
            t.reign = LeaderEpoch(0);
            t.counts(6, plain, ("a", 1), None);
        }
        assert_eq!(t.codes(), ["G3"], "{late}");
    }
}

#[test]
fn j8_a_member_need_not_read_on_what_its_group_gave_to_another() {
    for (owner, codes) in [("a", &["J8"][..]), ("b", &[])] {
        let mut t = Cluster::new();
        t.begin(0);
        for number in [1, 2] {
            let at = t.data(P0, 0, 0, &ids(&[number]));
            t.checkers.acknowledged(&"orders".into(), 0, ids(&[number])[0], Offset(at));
        }
        t.decide(1, true);
        t.marker(P0, 1, true);
        t.checkers.rebalanced(1, "g", &assigned("a", 1, &[0]));
        let value = Some(ids(&[1])[0].to_value(16));
        let record = ConsumedRecord {
            topic: "orders".into(),
            partition: 0,
            offset: Offset(0),
            timestamp: Timestamp(1),
            key: None,
            value,
            headers: [].into(),
        };
        t.checkers.polled(1, &[record]);
        t.group(2, &[(owner, 2, &[0])]);
        t.checkers.ended();
        let found: Vec<_> = t.codes().into_iter().filter(|code| *code == "J8").collect();
        assert_eq!(found, codes, "{owner}");
    }
}

#[test]
fn g4_an_offset_of_a_member_of_an_earlier_generation() {
    let mut t = Cluster::new();
    t.group(2, &[("b", 2, &[0])]);
    let at = t.offset(5, None);
    t.counts(5, at, ("b", 2), None);
    t.expect_nothing();
    let at = t.offset(6, None);
    t.counts(6, at, ("a", 1), None);
    assert_eq!(t.codes(), ["G4"]);
}

#[test]
fn g4_an_offset_of_a_member_that_the_group_does_not_have() {
    for by in [("c", 2), ("b", 3), ("b", 1), ("", 2), ("", -1)] {
        let mut t = Cluster::new();
        t.group(2, &[("b", 2, &[0])]);
        let at = t.offset(5, None);
        t.counts(5, at, by, None);
        assert_eq!(t.codes(), ["G4"], "{by:?}");
    }
}

/// KAFKA-20634: its place in the log is another one's, in whose group the member is not.
#[test]
fn g4_a_deposed_coordinator_counts_what_another_one_has_overwritten() {
    let mut t = Cluster::new();
    t.group(1, &[("a", 1, &[0])]);
    t.reign = LeaderEpoch(1);
    t.group(2, &[("b", 2, &[0])]);
    let at = t.offset(5, None);
    t.reign = LeaderEpoch(0);
    t.counts(5, at, ("a", 1), None);
    assert_eq!(t.codes(), ["G4"]);
}

/// Its successor did not say anything of the group, which it has as it was.
#[test]
fn g4_a_successor_takes_offsets_of_a_member_that_it_does_not_have() {
    for (by, codes) in [(("a", 1), &[][..]), (("b", 1), &["G4"])] {
        let mut t = Cluster::new();
        t.group(1, &[("a", 1, &[0])]);
        t.reign = LeaderEpoch(1);
        let at = t.offset(5, None);
        t.counts(5, at, by, None);
        assert_eq!(t.codes(), codes, "{by:?}");
    }
}

#[test]
fn g2_what_a_coordinator_says_late_brings_no_believer_back() {
    let mut t = Cluster::new();
    t.group(1, &[("a", 1, &[0])]);
    t.checkers.rebalanced(1, "g", &assigned("a", 1, &[0]));
    t.reign = LeaderEpoch(1);
    t.group(2, &[("b", 2, &[0])]);
    t.reign = LeaderEpoch(0);
    t.group(1, &[("a", 1, &[0]), ("b", 1, &[])]);
    t.checkers.rebalanced(2, "g", &assigned("b", 2, &[0]));
    t.expect_nothing();
}

#[test]
fn g4_an_admin_moves_the_offsets_of_a_group_without_members() {
    let mut t = Cluster::new();
    t.group(2, &[]);
    let at = t.offset(5, None);
    t.counts(5, at, ("", -1), None);
    t.expect_nothing();
}

fn commit_request(t: &mut Cluster, member: &str, generation: i32, error: ErrorCode) {
    let committer =
        Committer { group: "g".into(), member: member.into(), instance: None, generation };
    let request = OffsetCommitRequest { committer, partitions: Vec::new() };
    let (from, correlation) = (ConnId(1), CorrelationId(1));
    t.checkers.requested(B1, from, correlation, &Arc::new(Request::OffsetCommit(request)));
    let partitions = vec![(TopicRef::Name("orders".into()), 0, error)];
    let response = Response::OffsetCommit(OffsetCommitResponse { partitions });
    t.effect(B1, Effect::Respond { to: from, correlation, response: Arc::new(response) });
}

#[test]
fn g4_a_commit_of_who_had_lost_its_place_is_taken() {
    let mut t = Cluster::new();
    t.group(2, &[("b", 2, &[0])]);
    commit_request(&mut t, "b", 2, ErrorCode::None);
    commit_request(&mut t, "a", 1, ErrorCode::UnknownMemberId);
    t.expect_nothing();
    commit_request(&mut t, "a", 1, ErrorCode::None);
    assert_eq!(t.codes(), ["G4"]);
}

/// Consumer 1 asks where to begin, and is told, after ten records were acknowledged of which some
/// were deleted.
fn begins(policy: OffsetReset, to: OffsetReset, offset: i64) -> Vec<&'static str> {
    let mut t = Cluster::with(|settings| settings.reset = policy);
    for number in 1..=10 {
        let at = t.data(P0, 0, 0, &ids(&[number]));
        t.checkers.acknowledged(&"orders".into(), 0, ids(&[number])[0], Offset(at));
        if number == 1 {
            t.begin(0);
        }
    }
    t.decide(1, true);
    t.marker(P0, 1, true);
    t.effect(B1, Effect::Trim { log: DATA, to: Offset(4) });
    for offset in [Offset::NONE, Offset(offset)] {
        let note = ResetNote { topic: "orders".into(), partition: 0, to, offset };
        let effect = Effect::Note(Event::Reset(Arc::new(note)));
        t.checkers.client_effect(Some(1), &effect);
    }
    t.codes().into_iter().filter(|code| *code == "G7").collect()
}

#[test]
fn g7_a_consumer_begins_where_its_policy_says() {
    use OffsetReset::{Earliest, Latest, None};
    let table = [
        (Earliest, Earliest, 4, true),
        (Earliest, Earliest, 2, true),
        (Earliest, Earliest, 5, false),
        (Earliest, Latest, 11, false),
        (Latest, Latest, 11, true),
        (Latest, Latest, 10, true),
        (Latest, Latest, 4, false),
        (Latest, Earliest, 4, false),
        (None, Earliest, 4, false),
    ];
    for (policy, to, offset, holds) in table {
        let expected: &[&str] = if holds { &[] } else { &["G7"] };
        assert_eq!(begins(policy, to, offset), expected, "{policy:?} {to:?} {offset}");
    }
}

#[test]
fn g6_an_acknowledged_offset_that_is_in_no_log() {
    let mut t = Cluster::new();
    t.offset(5, None);
    t.offset(7, None);
    t.checkers.committed(1, "g", slice::from_ref(&position(5)), &Outcome::Done);
    let lost = Outcome::Unknown(ErrorCode::RequestTimedOut);
    t.checkers.committed(1, "g", slice::from_ref(&position(6)), &lost);
    t.expect_nothing();
    t.checkers.committed(1, "g", slice::from_ref(&position(6)), &Outcome::Done);
    assert_eq!(t.codes(), ["G6"]);
}

#[test]
fn g6_judges_what_comes_after_many_commits() {
    for counted in [true, false] {
        let mut t = Cluster::new();
        for offset in 1..=200 {
            let at = t.offset(offset, None);
            t.counts(offset, at, ("a", 1), None);
            t.checkers.committed(1, "g", slice::from_ref(&position(offset)), &Outcome::Done);
        }
        t.checkers.committed(1, "g", slice::from_ref(&position(3)), &Outcome::Done);
        t.expect_nothing();
        if counted {
            t.counts(201, t.end(OFFSETS), ("a", 1), None);
        } else {
            t.checkers.committed(1, "g", slice::from_ref(&position(201)), &Outcome::Done);
        }
        assert_eq!(t.codes(), ["G6"], "in no log");
    }
}

#[test]
fn g6_a_coordinator_counts_what_is_not_committed() {
    let mut t = Cluster::new();
    t.counts(5, 0, ("a", 1), None);
    assert_eq!(t.codes(), ["G6"]);
}

#[test]
fn g6_an_owned_partitions_offset_is_removed() {
    let mut t = Cluster::new();
    t.group(1, &[("a", 1, &[0])]);
    let at = t.offset(-1, None);
    t.counts(-1, at, ("", -1), None);
    assert_eq!(t.codes(), ["G6"]);
}

fn fetch_offset(t: &mut Cluster, correlation: u32, answer: Option<i64>) {
    let (from, correlation) = (ConnId(1), CorrelationId(correlation));
    let Some(offset) = answer else {
        let request = OffsetFetchRequest { groups: Vec::new(), require_stable: true };
        t.checkers.requested(B1, from, correlation, &Arc::new(Request::OffsetFetch(request)));
        return;
    };
    let fetched = FetchedOffset {
        topic: TopicRef::Name("orders".into()),
        partition: 0,
        error: ErrorCode::None,
        offset: Offset(offset),
        leader_epoch: LeaderEpoch::NONE,
        metadata: None,
    };
    let group =
        FetchedGroup { group: "g".into(), error: ErrorCode::None, partitions: vec![fetched] };
    let response = Response::OffsetFetch(OffsetFetchResponse { groups: vec![group] });
    t.effect(B1, Effect::Respond { to: from, correlation, response: Arc::new(response) });
}

#[test]
fn g6_a_coordinator_tells_what_the_log_does_not_say() {
    let mut t = Cluster::new();
    t.checkers.at(Instant::ZERO, 1);
    fetch_offset(&mut t, 1, None);
    t.checkers.at(Instant::ZERO, 2);
    t.offset(5, None);
    t.checkers.at(Instant::ZERO, 3);
    fetch_offset(&mut t, 1, Some(-1));
    t.expect_nothing();
    fetch_offset(&mut t, 2, None);
    t.checkers.at(Instant::ZERO, 4);
    fetch_offset(&mut t, 2, Some(5));
    t.expect_nothing();
    fetch_offset(&mut t, 3, None);
    fetch_offset(&mut t, 3, Some(-1));
    assert_eq!(t.codes(), ["G6"], "the coordinator has not read its log");
}

/// What a broker says that has applied so much of the metadata log, after `orders` was made again
/// and 3 was committed for it, perhaps.
fn begins_anew(knows: bool, commits: bool, offset: i64) -> Vec<&'static str> {
    let mut t = Cluster::new();
    t.checkers.at(Instant::ZERO, 1);
    t.offset(5, None);
    t.checkers.at(Instant::ZERO, 2);
    let id = Uuid([7; 4]);
    let partition = PartitionId { topic: id, partition: 0 };
    t.commit_metadata(&[
        MetadataRecord::RemoveTopic { id: TOPIC },
        MetadataRecord::Topic { name: "orders".into(), id },
        MetadataRecord::Partition { id: partition, state: registration() },
    ]);
    if knows {
        let offset = t.metadata_end + -1;
        t.note(B1, Event::MetadataApplied { offset, state: 1 });
    }
    t.checkers.at(Instant::ZERO, 3);
    if commits {
        t.offset(3, None);
    }
    t.checkers.at(Instant::ZERO, 4);
    fetch_offset(&mut t, 1, None);
    t.checkers.at(Instant::ZERO, 5);
    fetch_offset(&mut t, 1, Some(offset));
    t.codes().into_iter().filter(|code| *code == "G6").collect()
}

#[test]
fn g6_an_offset_from_before_its_topic_was_made_again() {
    let table = [
        (true, false, -1, true),
        (true, false, 5, false),
        (true, true, 3, true),
        (true, true, 5, false),
        (true, true, -1, false),
        // It does not know yet, and tells what was true.
        (false, false, 5, true),
    ];
    for (knows, commits, offset, holds) in table {
        let expected: &[&str] = if holds { &[] } else { &["G6"] };
        assert_eq!(begins_anew(knows, commits, offset), expected, "{knows} {commits} {offset}");
    }
}

#[test]
fn g3_a_topic_that_was_made_again_begins_anew() {
    let mut t = Cluster::new();
    for (offset, member, topic_id) in [(10, "a", Uuid([1; 4])), (5, "b", Uuid([2; 4]))] {
        let at = t.offset(offset, None);
        t.counts_of(topic_id, offset, at, (member, 1), None);
    }
    t.expect_nothing();
}

#[test]
fn r10_a_generation_falls_or_gives_something_else() {
    type Member = (&'static str, Option<&'static str>, &'static str);
    let first: [Member; 2] = [("a", None, "0"), ("b", Some("i"), "1")];
    let table: [(i32, &[Member], bool); 7] = [
        (6, &[("a", None, "0,1")], true),
        (5, &first, true),
        // KIP-345: the same place, under another id.
        (5, &[("a", None, "0"), ("c", Some("i"), "1")], true),
        (5, &[("a", None, "0,1")], false),
        (5, &[("c", None, "0"), ("b", Some("i"), "1")], false),
        (4, &first, false),
        (1, &first, false),
    ];
    for (generation, members, holds) in table {
        let mut t = Cluster::new();
        t.round(5, &first);
        t.expect_nothing();
        t.round(generation, members);
        let expected: &[&str] = if holds { &[] } else { &["R10"] };
        assert_eq!(t.codes(), expected, "{generation} {members:?}");
    }
}

#[test]
fn r10_a_group_that_was_removed_begins_again() {
    let mut t = Cluster::new();
    t.round(5, &[("a", None, "0")]);
    t.log_of_groups(&[(2, "", None)]);
    t.round(1, &[("a", None, "0")]);
    t.log_of_groups(&[(3, "", Some(epoch(7)))]);
    t.log_of_groups(&[(3, "", None)]);
    t.log_of_groups(&[(3, "", Some(epoch(1)))]);
    t.expect_nothing();
}

/// A value that begins with an epoch.
fn epoch(epoch: i32) -> Vec<u8> {
    [&[0, 0][..], &epoch.to_be_bytes()].concat()
}

#[test]
fn r10_an_epoch_falls_or_gives_something_else() {
    let value = |number| Some(epoch(number));
    type Records<'a> = &'a [(i16, &'a str, Option<Vec<u8>>)];
    let table: [(Records<'_>, bool); 9] = [
        (&[(3, "", value(6)), (7, "a", value(1)), (6, "", value(6)), (8, "a", value(6))], true),
        (&[(3, "", value(5))], false),
        (&[(6, "", value(4))], false),
        (&[(8, "a", value(4))], false),
        (&[(8, "a", value(-2))], true),
        (&[(8, "a", None), (8, "a", value(1))], true),
        (&[(7, "a", value(1))], false),
        (&[(7, "a", value(1)), (6, "", value(5))], false),
        (&[(7, "b", value(1))], true),
    ];
    for (records, holds) in table {
        let mut t = Cluster::new();
        let (group, member) = ((3, "", value(5)), (8, "a", value(5)));
        t.log_of_groups(&[group, (7, "a", value(0)), (6, "", value(5)), member]);
        t.expect_nothing();
        t.log_of_groups(records);
        let expected: &[&str] = if holds { &[] } else { &["R10"] };
        assert_eq!(t.codes(), expected, "{records:?}");
    }
}

#[test]
fn g2_a_member_is_told_something_else_than_the_log_has_of_its_generation() {
    for (member, generation, given, holds) in
        [("a", 5, "0", true), ("a", 5, "1", false), ("a", 4, "0", false), ("c", 5, "", false)]
    {
        let mut t = Cluster::new();
        t.round(5, &[("a", None, "0"), ("b", None, "1")]);
        let request = SyncGroupRequest {
            group: "g".into(),
            generation,
            member: member.into(),
            instance: None,
            protocol_type: None,
            protocol: None,
            assignments: Vec::new(),
        };
        let (from, correlation) = (ConnId(1), CorrelationId(1));
        t.checkers.requested(B1, from, correlation, &Arc::new(Request::SyncGroup(request)));
        let response = Response::SyncGroup(SyncGroupResponse {
            error: ErrorCode::None,
            protocol_type: None,
            protocol: None,
            assignment: Bytes::from(given),
        });
        t.effect(B1, Effect::Respond { to: from, correlation, response: Arc::new(response) });
        let expected: &[&str] = if holds { &[] } else { &["G2"] };
        assert_eq!(t.codes(), expected, "{member} {generation} {given}");
    }
}

#[test]
fn a_refused_commit_counts_if_its_member_had_lost_its_place() {
    let mut t = Cluster::new();
    t.group(2, &[("b", 2, &[0])]);
    commit_request(&mut t, "b", 2, ErrorCode::RebalanceInProgress);
    commit_request(&mut t, "a", 1, ErrorCode::NotCoordinator);
    assert_eq!(t.checkers.refused_commits(), 0);
    commit_request(&mut t, "a", 1, ErrorCode::UnknownMemberId);
    // KIP-345: its successor is in the same generation.
    commit_request(&mut t, "a", 2, ErrorCode::FencedInstanceId);
    assert_eq!(t.checkers.refused_commits(), 2);
    t.expect_nothing();
}
