//! One test per rule, most with the rule's defect too.

use super::*;
#[cfg(feature = "defects")]
use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::message::raft::{BeginQuorumEpochRequest, QuorumFetchResponse};
use crate::raft::vote::{Question, up_to_date};

#[test]
fn a_vote_is_answered_once_it_is_durable() {
    let mut raft = voter(3, Defects::NONE);
    assert_eq!(ask(&mut raft, &vote_request(1, 1, point(0, 0))), []);
    let mut out = Effects::new();
    // The first write holds the epoch alone, the second the vote.
    raft.saved(now(), FileKey::QuorumState, &mut out);
    assert_eq!(answers(&mut out), []);
    raft.saved(now(), FileKey::QuorumState, &mut out);
    let answers = answers(&mut out);
    assert!(answers.iter().all(granted) && answers.len() == 1, "{answers:?}");
    assert_eq!(raft.durable_vote(), (epoch(1), Some(key(1, 0))));
}

#[cfg(feature = "defects")]
#[test]
fn without_durability_a_vote_is_given_twice() {
    let defects = Defects::NONE.with(Defect::KraftVoteNotDurable);
    for candidate in [1, 2] {
        let mut raft = voter(3, defects);
        let answers = ask(&mut raft, &vote_request(candidate, 1, point(0, 0)));
        assert!(answers.iter().all(granted) && answers.len() == 1, "and the power fails");
    }
}

#[test]
fn a_vote_is_given_once_in_an_epoch() {
    let mut raft = voter(3, Defects::NONE);
    ask(&mut raft, &vote_request(1, 1, point(0, 0)));
    settle(&mut raft);
    let [again] = &ask(&mut raft, &vote_request(1, 1, point(0, 0)))[..] else { panic!() };
    let [other] = &ask(&mut raft, &vote_request(2, 1, point(9, 9)))[..] else { panic!() };
    assert!(granted(again) && !granted(other));
}

#[test]
fn a_vote_needs_the_right_voter_and_a_known_candidate() {
    let mut raft = voter(3, Defects::NONE);
    for (voter, candidate, error) in [
        (key(0, 7), key(1, 0), ErrorCode::InvalidVoterKey),
        (key(0, 0), key(1, 7), ErrorCode::InconsistentVoterSet),
        (key(0, 0), key(1, 0), ErrorCode::None),
    ] {
        let (last, pre_vote) = (point(0, 0), true);
        let request = VoteRequest { epoch: epoch(0), candidate, voter, last, pre_vote };
        let [Response::Vote(answer)] = &ask(&mut raft, &Request::Vote(request))[..] else {
            panic!("one answer")
        };
        assert_eq!((answer.error, answer.granted), (error, error.is_ok()));
    }
}

#[test]
fn the_later_epoch_is_more_up_to_date_than_the_longer_log() {
    let rows = [
        (point(2, 5), point(2, 5), true),
        (point(2, 6), point(2, 5), true),
        (point(2, 4), point(2, 5), false),
        (point(3, 1), point(2, 5), true),
        (point(1, 9), point(2, 5), false),
    ];
    for (theirs, ours, expected) in rows {
        assert_eq!(up_to_date(theirs, ours, Defects::NONE), expected, "{theirs:?} {ours:?}");
    }
}

#[cfg(feature = "defects")]
#[test]
fn a_long_old_log_wins_when_recency_is_ignored() {
    let defects = Defects::NONE.with(Defect::KraftVoteIgnoresRecency);
    assert!(up_to_date(point(1, 9), point(2, 5), defects));
    assert!(!up_to_date(point(3, 1), point(2, 5), defects));
}

#[test]
fn who_gets_a_vote() {
    let base = Question {
        role: RaftRole::Unattached,
        pre_vote: false,
        voted: None,
        leader_known: false,
        fetched: false,
        candidate: key(1, 0),
        up_to_date: true,
    };
    let me = Some(key(1, 0));
    let other = Some(key(2, 0));
    let rows = [
        ("nobody has it yet", base, true),
        ("the log is too old", Question { up_to_date: false, ..base }, false),
        ("the same again", Question { voted: me, ..base }, true),
        ("another has it", Question { voted: other, ..base }, false),
        ("a leader is known", Question { leader_known: true, ..base }, false),
        ("a leader", Question { role: RaftRole::Leader, pre_vote: true, ..base }, false),
        ("a follower", Question { role: RaftRole::Follower, ..base }, false),
        (
            "a follower that hears its leader",
            Question { role: RaftRole::Follower, pre_vote: true, fetched: true, ..base },
            false,
        ),
        (
            "a follower that does not hear it yet",
            Question { role: RaftRole::Follower, pre_vote: true, ..base },
            true,
        ),
        ("a pre-vote binds nobody", Question { pre_vote: true, voted: other, ..base }, true),
    ];
    for (why, question, expected) in rows {
        assert_eq!(question.granted(), expected, "{why}");
    }
}

#[test]
fn a_leader_alone_leads_once_its_first_record_is_durable() {
    let mut raft = leading(1, Defects::NONE);
    assert_eq!(raft.high_watermark(), Offset(1));
    assert_eq!(events(&mut raft).last(), Some(&RaftEvent::Leading { epoch: epoch(1) }));
    let mut out = Effects::new();
    assert_eq!(raft.append(now(), &[record("a"), record("b")], &mut out), Some(Offset(2)));
    assert_eq!(raft.high_watermark(), Offset(1), "not durable");
    raft.flushed(now(), raft.last(), &mut out);
    let [RaftEvent::Committed { base, last, batch, .. }] = &events(&mut raft)[..] else { panic!() };
    assert_eq!((*base, *last), (Offset(1), Offset(2)));
    let values: Vec<_> =
        crate::record::records(batch).unwrap().into_iter().map(|r| r.value).collect();
    assert_eq!(values, [Some(record("a")), Some(record("b"))]);
}

#[test]
fn a_node_takes_a_snapshot_whenever_its_log_has_grown_enough_and_drops_the_log_below() {
    let (mut raft, state) = (leading(1, Defects::NONE), || Bytes::from_static(b"state"));
    let enough = usize::try_from(raft.server.quorum.snapshot_bytes).unwrap();
    for (size, due) in [(1, false), (enough, true), (1, false), (enough, true)] {
        let mut out = Effects::new();
        let last = raft.append(now(), &[std::vec![0; size].into()], &mut out).unwrap();
        raft.flushed(now(), raft.last(), &mut out);
        events(&mut raft);
        let mut out = Effects::new();
        raft.snapshot_if_due(now(), last.next(), state, &mut out);
        let saves = |effect: &Effect| matches!(effect, Effect::Save { .. });
        assert_eq!(out.as_slice().iter().any(saves), due, "{size} bytes more");
        let before = raft.start_offset();
        raft.saved(now(), FileKey::Snapshot, &mut out);
        assert_eq!(raft.start_offset(), if due { last.next() } else { before });
    }
}

#[cfg(feature = "defects")]
#[test]
fn without_flush_what_is_in_the_page_cache_counts() {
    let mut raft = leading(1, Defects::NONE.with(Defect::KraftNoFlush));
    let mut out = Effects::new();
    raft.append(now(), &[record("a")], &mut out);
    assert_eq!(raft.high_watermark(), Offset(2));
}

#[test]
fn an_append_is_one_batch_and_one_flush_at_a_time() {
    let mut raft = leading(3, Defects::NONE);
    settle(&mut raft);
    let mut out = Effects::new();
    raft.append(now(), &[record("a")], &mut out);
    raft.append(now(), &[record("b")], &mut out);
    let effects: Vec<Effect> = out.drain().collect();
    let [
        Effect::Append { log: LOG, base: Offset(1), .. },
        Effect::Flush { log: LOG, upto: first },
        Effect::Append { log: LOG, base: Offset(2), .. },
    ] = &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(*first, point(1, 2));
    raft.flushed(now(), *first, &mut out);
    assert_eq!(out.as_slice(), [Effect::Flush { log: LOG, upto: point(1, 3) }]);
}

/// A leader of epoch 2 whose log has a record of epoch 1 at offset 0, and what node 1 fetches.
fn with_an_older_record(defects: Defects) -> Raft {
    let (mut raft, mut out) = (voter(3, defects), Effects::new());
    raft.become_prospective(now(), &mut out);
    raft.become_candidate(now(), &mut out);
    settle(&mut raft);
    raft.become_leader(now(), &mut out);
    settle(&mut raft);
    raft.become_resigned(now(), Vec::new(), &mut out);
    raft.become_prospective(now(), &mut out);
    raft.become_candidate(now(), &mut out);
    settle(&mut raft);
    raft.become_leader(now(), &mut out);
    settle(&mut raft);
    assert_eq!((raft.epoch(), raft.end_offset()), (epoch(2), Offset(2)));
    ask(&mut raft, &fetch_request(1, 2, point(1, 1), 0));
    raft
}

#[test]
fn a_majority_of_an_older_epochs_records_commits_nothing() {
    let mut raft = with_an_older_record(Defects::NONE);
    assert_eq!(raft.high_watermark(), Offset(0));
    ask(&mut raft, &fetch_request(1, 2, point(2, 2), 0));
    assert_eq!(raft.high_watermark(), Offset(2));
}

#[cfg(feature = "defects")]
#[test]
fn off_by_one_a_majority_of_an_older_epochs_records_commits() {
    let raft = with_an_older_record(Defects::NONE.with(Defect::KraftCommitPriorEpoch));
    assert_eq!(raft.high_watermark(), Offset(1), "KAFKA-12619");
}

fn fetched(answers: &[Response]) -> &QuorumFetchResponse {
    let [Response::QuorumFetch(answer)] = answers else { panic!("{answers:?}") };
    answer
}

#[test]
fn a_fetch_with_nothing_to_tell_is_parked_until_its_time_is_up() {
    let mut raft = leading(3, Defects::NONE);
    settle(&mut raft);
    ask(&mut raft, &fetch_request(1, 1, point(1, 1), 0));
    assert_eq!(raft.high_watermark(), Offset(1));
    assert_eq!(ask(&mut raft, &fetch_request(1, 1, point(1, 1), 1)), []);
    let late = Now { mono: now().mono + Duration::from_millis(500), ..now() };
    assert!(raft.deadline() <= Some(late.mono));
    let mut out = Effects::new();
    raft.wake(late, &mut out);
    assert_eq!(fetched(&answers(&mut out)).batches, Vec::<Bytes>::new());
}

#[test]
fn a_parked_voter_gets_what_is_durable_and_an_observer_what_is_committed() {
    let mut raft = leading(3, Defects::NONE);
    settle(&mut raft);
    ask(&mut raft, &fetch_request(1, 1, point(1, 1), 0));
    ask(&mut raft, &fetch_request(1, 1, point(1, 1), 1));
    ask(&mut raft, &fetch_request(9, 1, point(1, 1), 1));
    let mut out = Effects::new();
    raft.append(now(), &[record("a")], &mut out);
    assert_eq!(answers(&mut out), [], "not durable yet");
    raft.flushed(now(), point(1, 2), &mut out);
    let batches = |answers: Vec<Response>| fetched(&answers).batches.len();
    assert_eq!(batches(answers(&mut out)), 1, "the voter's");
    let request = fetch_request(1, 1, point(1, 2), 1);
    raft.on_request(now(), ConnId::inbound(0), CorrelationId(1), &request, &mut out);
    let answers = answers(&mut out);
    assert_eq!(answers.len(), 2, "the observer's records, the voter's high watermark");
    assert_eq!(fetched(&answers[..1]).batches.len(), 1);
    assert_eq!(fetched(&answers[1..]).high_watermark, Offset(2));
}

#[test]
fn a_fetch_is_answered_with_what_the_fetcher_has_to_do_first() {
    let mut raft = with_an_older_record(Defects::NONE);
    // (epoch, last fetched epoch and offset) to (error, diverging).
    let rows = [
        (1, point(1, 1), ErrorCode::FencedLeaderEpoch, None),
        (3, point(1, 1), ErrorCode::UnknownLeaderEpoch, None),
        (2, point(1, 2), ErrorCode::None, Some(point(1, 1))),
        (2, point(2, 9), ErrorCode::None, Some(point(2, 2))),
        (2, point(7, 2), ErrorCode::None, Some(point(2, 2))),
        (2, point(1, 1), ErrorCode::None, None),
    ];
    for (at, last, error, diverging) in rows {
        let answers = ask(&mut raft, &fetch_request(1, at, last, 0));
        let answer = fetched(&answers);
        assert_eq!((answer.error, answer.diverging), (error, diverging), "{at} {last:?}");
    }
    assert_eq!(raft.high_watermark(), Offset(0), "a diverging fetch does not count");
}

#[test]
fn a_follower_turns_fetchers_away_and_names_the_leader() {
    let mut raft = voter(3, Defects::NONE);
    let begin = BeginQuorumEpochRequest { epoch: epoch(1), leader: NodeId(2), voter: key(0, 0) };
    ask(&mut raft, &Request::BeginQuorumEpoch(begin));
    let answers = ask(&mut raft, &fetch_request(1, 1, point(0, 0), 0));
    let answer = fetched(&answers);
    let expected = (ErrorCode::NotLeaderOrFollower, Some(NodeId(2)));
    assert_eq!((answer.error, answer.leader), expected);
}

#[test]
fn a_stopped_leader_turns_its_parked_fetchers_away() {
    let mut raft = leading(3, Defects::NONE);
    settle(&mut raft);
    ask(&mut raft, &fetch_request(9, 1, point(1, 1), 0));
    let mut out = Effects::new();
    raft.resign(now(), &mut out);
    assert_eq!(fetched(&answers(&mut out)).error, ErrorCode::NotLeaderOrFollower);
    let told = events(&mut raft);
    let following = RaftEvent::Following { epoch: epoch(1), leader: NOBODY };
    assert!(told.ends_with(&[RaftEvent::Resigned { epoch: epoch(1) }, following]));
    assert_eq!(raft.append(now(), &[record("a")], &mut out), None);
}

#[test]
fn a_delayed_copy_of_a_fetch_does_not_take_the_place_of_a_newer_one() {
    let mut raft = leading(3, Defects::NONE);
    settle(&mut raft);
    let request = fetch_request(9, 1, point(1, 1), 0);
    let (from, mut out) = (ConnId::inbound(5), Effects::new());
    raft.on_request(now(), from, CorrelationId(2), &request, &mut out);
    raft.on_request(now(), from, CorrelationId(1), &request, &mut out);
    raft.closed(now(), ConnId::inbound(6), &mut out);
    assert_eq!(raft.parked.len(), 1);
    raft.closed(now(), from, &mut out);
    assert_eq!(raft.parked.len(), 0);
}
