//! Groups and their offsets.

use seedlog::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use seedlog::message::commit::*;
use seedlog::message::consumer_group::*;
use seedlog::message::group::*;
use seedlog::message::transaction::TransactionVersion;
use seedlog::time::Duration;

use super::*;

fn instance(version: i16, since: i16) -> Option<Arc<str>> {
    (version >= since).then(|| "instance".into())
}

fn join(version: i16) -> Request {
    let session_timeout = Duration::from_secs(10);
    Request::JoinGroup(JoinGroupRequest {
        group: "group".into(),
        member: "member".into(),
        instance: instance(version, 5),
        client_id: "client".into(),
        client_host: HOST.into(),
        session_timeout,
        rebalance_timeout: if version == 0 { session_timeout } else { Duration::from_secs(60) },
        protocol_type: "consumer".into(),
        protocols: vec![("range".into(), Bytes::from_static(b"topics"))],
        knows_member_id_required: version >= 4,
    })
}

fn joined(version: i16) -> Response {
    let member = JoinedMember {
        member: "member".into(),
        instance: instance(version, 5),
        subscription: Bytes::from_static(b"topics"),
    };
    Response::JoinGroup(JoinGroupResponse {
        error: ErrorCode::None,
        generation: 3,
        protocol_type: (version >= 7).then(|| "consumer".into()),
        protocol: Some("range".into()),
        leader: "member".into(),
        skip_assignment: version >= 9,
        member: "member".into(),
        members: vec![member],
    })
}

fn sync(version: i16) -> Request {
    Request::SyncGroup(SyncGroupRequest {
        group: "group".into(),
        generation: 3,
        member: "member".into(),
        instance: instance(version, 3),
        protocol_type: (version >= 5).then(|| "consumer".into()),
        protocol: (version >= 5).then(|| "range".into()),
        assignments: vec![("member".into(), Bytes::from_static(b"partitions"))],
    })
}

fn synced(version: i16) -> Response {
    Response::SyncGroup(SyncGroupResponse {
        error: ErrorCode::RebalanceInProgress,
        protocol_type: (version >= 5).then(|| "consumer".into()),
        protocol: (version >= 5).then(|| "range".into()),
        assignment: Bytes::from_static(b"partitions"),
    })
}

fn beat(version: i16) -> Request {
    let (group, member) = ("group".into(), "member".into());
    let instance = instance(version, 3);
    Request::Heartbeat(HeartbeatRequest { group, generation: 3, member, instance })
}

fn beaten(_version: i16) -> Response {
    Response::Heartbeat(HeartbeatResponse { error: ErrorCode::IllegalGeneration })
}

fn leaving(version: i16) -> Vec<LeavingMember> {
    let one = LeavingMember { member: "member".into(), instance: instance(version, 3) };
    let two = LeavingMember { member: "other".into(), instance: None };
    if version < 3 { vec![one] } else { vec![one, two] }
}

fn leave(version: i16) -> Request {
    Request::LeaveGroup(LeaveGroupRequest { group: "group".into(), members: leaving(version) })
}

fn left(version: i16) -> Response {
    let error = if version < 3 { ErrorCode::UnknownMemberId } else { ErrorCode::None };
    let members = leaving(version).into_iter().map(|one| (one, ErrorCode::UnknownMemberId));
    let members = if version < 3 { Vec::new() } else { members.collect() };
    Response::LeaveGroup(LeaveGroupResponse { error, members })
}

fn describe(_version: i16) -> Request {
    let groups = vec!["group".into(), "other".into()];
    Request::DescribeGroups(DescribeGroupsRequest { groups })
}

fn described(version: i16) -> Response {
    let member = DescribedMember {
        member: "member".into(),
        instance: instance(version, 4),
        client_id: "client".into(),
        client_host: HOST.into(),
        subscription: Bytes::from_static(b"topics"),
        assignment: Bytes::from_static(b"partitions"),
    };
    let group = DescribedGroup {
        group: "group".into(),
        error: ErrorCode::None,
        state: "Stable".into(),
        protocol_type: "consumer".into(),
        protocol: "range".into(),
        members: vec![member],
    };
    Response::DescribeGroups(DescribeGroupsResponse { groups: vec![group] })
}

fn list(version: i16) -> Request {
    let states = if version < 4 { vec![] } else { vec!["Stable".into()] };
    let types = if version < 5 { vec![] } else { vec!["classic".into()] };
    Request::ListGroups(ListGroupsRequest { states, types })
}

fn listed(_version: i16) -> Response {
    let group = ListedGroup {
        group: "group".into(),
        protocol_type: "consumer".into(),
        state: "Stable".into(),
        kind: "classic".into(),
    };
    Response::ListGroups(ListGroupsResponse { error: ErrorCode::None, groups: vec![group] })
}

fn delete(_version: i16) -> Request {
    Request::DeleteGroups(DeleteGroupsRequest { groups: vec!["group".into()] })
}

fn deleted(_version: i16) -> Response {
    let groups = vec![("group".into(), ErrorCode::NonEmptyGroup)];
    Response::DeleteGroups(DeleteGroupsResponse { groups })
}

fn committer(instance: Option<Arc<str>>) -> Committer {
    Committer { group: "group".into(), member: "member".into(), instance, generation: 3 }
}

fn committed(epoch: LeaderEpoch) -> Vec<CommittedPartition> {
    vec![CommittedPartition {
        topic: topic(0, 1),
        partition: 1,
        offset: Offset(5),
        leader_epoch: epoch,
        metadata: Some("why".into()),
    }]
}

fn commit(version: i16) -> Request {
    let epoch = if version < 6 { LeaderEpoch::NONE } else { LeaderEpoch(2) };
    Request::OffsetCommit(OffsetCommitRequest {
        committer: committer(instance(version, 7)),
        partitions: committed(epoch),
    })
}

fn outcomes() -> Vec<(TopicRef, i32, ErrorCode)> {
    let error = ErrorCode::OffsetMetadataTooLarge;
    vec![(topic(0, 1), 1, ErrorCode::None), (topic(0, 1), 2, error)]
}

fn commit_done(_version: i16) -> Response {
    Response::OffsetCommit(OffsetCommitResponse { partitions: outcomes() })
}

fn commit_in_transaction(version: i16) -> Request {
    let mut committer = committer(instance(version, 3));
    if version < 3 {
        (committer.member, committer.generation) = ("".into(), -1);
    }
    let epoch = if version < 2 { LeaderEpoch::NONE } else { LeaderEpoch(2) };
    Request::TxnOffsetCommit(TxnOffsetCommitRequest {
        transactional_id: "id".into(),
        producer_id: ProducerId(4),
        producer_epoch: ProducerEpoch(1),
        committer,
        partitions: committed(epoch),
        version: if version < 5 { TransactionVersion::V1 } else { TransactionVersion::V2 },
    })
}

fn commit_in_transaction_done(_version: i16) -> Response {
    Response::TxnOffsetCommit(TxnOffsetCommitResponse { partitions: outcomes() })
}

fn fetch(version: i16) -> Request {
    let one = OffsetFetchGroup {
        group: "group".into(),
        member: (version >= 9).then(|| ("member".into(), 7)),
        partitions: Some(vec![(topic(0, 1), 1), (topic(0, 1), 2)]),
    };
    let all = OffsetFetchGroup { group: "other".into(), member: None, partitions: None };
    let groups = if version < 8 { vec![one] } else { vec![one, all] };
    Request::OffsetFetch(OffsetFetchRequest { groups, require_stable: version >= 7 })
}

fn fetched(version: i16) -> Response {
    let partition = FetchedOffset {
        topic: topic(0, 1),
        partition: 1,
        error: ErrorCode::UnstableOffsetCommit,
        offset: Offset(5),
        leader_epoch: if version < 5 { LeaderEpoch::NONE } else { LeaderEpoch(2) },
        metadata: Some("why".into()),
    };
    let group = FetchedGroup {
        group: if version < 8 { "".into() } else { "group".into() },
        error: ErrorCode::None,
        partitions: vec![partition],
    };
    Response::OffsetFetch(OffsetFetchResponse { groups: vec![group] })
}

fn forget(_version: i16) -> Request {
    let partitions = vec![("orders".into(), 1), ("orders".into(), 2)];
    Request::OffsetDelete(OffsetDeleteRequest { group: "group".into(), partitions })
}

fn forgotten(_version: i16) -> Response {
    let error = ErrorCode::GroupSubscribedToTopic;
    let partitions = vec![("orders".into(), 1, error)];
    Response::OffsetDelete(OffsetDeleteResponse { error: ErrorCode::None, partitions })
}

fn heartbeat_848(version: i16) -> Request {
    Request::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest {
        group: "group".into(),
        member: "member".into(),
        member_epoch: 3,
        instance: Some("instance".into()),
        rack: Some("rack".into()),
        client_id: "client".into(),
        client_host: HOST.into(),
        rebalance_timeout: (version >= 1).then(|| Duration::from_secs(60)),
        subscribed_topics: Some(vec!["orders".into()]),
        subscribed_regex: (version >= 1).then(|| "o.*".into()),
        assignor: Some("uniform".into()),
        owned: Some(vec![(Uuid([7; 4]), vec![1, 2])]),
    })
}

fn heartbeat_848_answered(_version: i16) -> Response {
    Response::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse {
        error: ErrorCode::None,
        message: Some("why".into()),
        member: Some("member".into()),
        member_epoch: 4,
        heartbeat_interval: Duration::from_secs(5),
        assignment: Some(vec![(Uuid([7; 4]), vec![1, 2])]),
    })
}

fn describe_848(_version: i16) -> Request {
    let groups = vec!["group".into(), "other".into()];
    Request::ConsumerGroupDescribe(ConsumerGroupDescribeRequest { groups })
}

fn described_848(_version: i16) -> Response {
    let member = DescribedConsumerMember {
        member: "member".into(),
        instance: Some("instance".into()),
        client_id: "client".into(),
        client_host: HOST.into(),
        member_epoch: 4,
        subscribed_topics: vec!["orders".into()],
        assignment: vec![(Uuid([7; 4]), "orders".into(), vec![1, 2])],
        target: vec![(Uuid([7; 4]), "orders".into(), vec![1])],
    };
    let group = DescribedConsumerGroup {
        group: "group".into(),
        error: ErrorCode::None,
        state: "Reconciling".into(),
        group_epoch: 5,
        assignment_epoch: 5,
        assignor: "uniform".into(),
        members: vec![member],
    };
    Response::ConsumerGroupDescribe(ConsumerGroupDescribeResponse { groups: vec![group] })
}

pub const REQUESTS: &[Sample<Request>] = &[
    (join, 0),
    (sync, 0),
    (beat, 0),
    (leave, 0),
    (describe, 0),
    (list, 0),
    (delete, 0),
    (commit, 2),
    (commit_in_transaction, 0),
    (fetch, 1),
    (forget, 0),
    (heartbeat_848, 1),
    (describe_848, 0),
];
pub const RESPONSES: &[Sample<Response>] = &[
    (joined, 0),
    (synced, 0),
    (beaten, 0),
    (left, 0),
    (described, 0),
    (listed, 5),
    (deleted, 0),
    (commit_done, 2),
    (commit_in_transaction_done, 0),
    (fetched, 1),
    (forgotten, 0),
    (heartbeat_848_answered, 0),
    (described_848, 0),
];

#[test]
fn a_refused_fetch_of_offsets_is_told_where_its_version_has_a_place_for_errors() {
    for version in 1..=9 {
        let Response::OffsetFetch(mut refused) = fetched(version) else { panic!("it is one") };
        let group = &mut refused.groups[0];
        (group.error, group.partitions[0].error) =
            (ErrorCode::NotCoordinator, ErrorCode::NotCoordinator);
        let Response::OffsetFetch(read) =
            over_the_wire(9, version, &Response::OffsetFetch(refused))
        else {
            panic!("it is one")
        };
        let group = &read.groups[0];
        let each: Vec<ErrorCode> = group.partitions.iter().map(|each| each.error).collect();
        if version < 2 {
            assert_eq!((group.error, &*each), (ErrorCode::None, &[ErrorCode::NotCoordinator][..]));
        } else {
            assert_eq!((group.error, &*each), (ErrorCode::NotCoordinator, &[][..]), "{version}");
        }
    }
}

#[test]
fn the_oldest_clients_are_told_of_a_coordinator_that_loads_as_of_one_that_is_away() {
    let (asked, loading) = (topic(0, 1), ErrorCode::CoordinatorLoadInProgress);
    let partitions = vec![(asked, 1, loading)];
    let response = Response::TxnOffsetCommit(TxnOffsetCommitResponse { partitions });
    for version in 0..=5 {
        let Response::TxnOffsetCommit(read) = over_the_wire(28, version, &response) else {
            panic!("it is one")
        };
        let known = if version < 2 { ErrorCode::CoordinatorNotAvailable } else { loading };
        assert_eq!(read.partitions[0].2, known, "{version}");
    }
}

#[test]
fn older_clients_are_told_of_a_group_that_is_gone_as_of_a_generation() {
    let (asked, gone) = (topic(0, 1), ErrorCode::GroupIdNotFound);
    let response =
        Response::OffsetCommit(OffsetCommitResponse { partitions: vec![(asked, 1, gone)] });
    for version in 2..=9 {
        let Response::OffsetCommit(read) = over_the_wire(8, version, &response) else {
            panic!("it is one")
        };
        let known = if version < 9 { ErrorCode::IllegalGeneration } else { gone };
        assert_eq!(read.partitions[0].2, known, "{version}");
    }
}

#[test]
fn an_unknown_group_is_dead_to_older_clients_and_explained_to_newer_ones() {
    for version in 0..=6 {
        let Response::DescribeGroups(mut answer) = described(version) else { panic!("it is one") };
        answer.groups[0].error = ErrorCode::GroupIdNotFound;
        let head = Head { key: 15, version, correlation: 9, asks: Asks::default() };
        let bytes = encode_response(head, &Response::DescribeGroups(answer)).expect("it is one");
        let text = b"Group group not found.";
        let explained = bytes.windows(text.len()).any(|part| part == text);
        let mut frame = bytes.slice(4..);
        let row = table::by_key(15).expect("it is served");
        let Ok(Response::DescribeGroups(read)) = (row.read_response)(&mut frame, version) else {
            panic!("it reads back")
        };
        let error = if version < 6 { ErrorCode::None } else { ErrorCode::GroupIdNotFound };
        let group = &read.groups[0];
        assert_eq!((group.error, &*group.state, explained), (error, "Dead", version >= 6));
    }
}

#[test]
fn the_oldest_heartbeat_leaves_the_id_to_the_broker() {
    let id = |version| {
        let Request::ConsumerGroupHeartbeat(mut beat) = heartbeat_848(version) else { panic!() };
        (beat.member, beat.member_epoch) = ("".into(), 0);
        let versions = Versions(vec![(68, version)]);
        let beat = Request::ConsumerGroupHeartbeat(beat);
        let (frame, _) = encode_request(&versions, 9, "client", &beat).expect("it can be written");
        let Body::Broker(read) = decode_request(frame.slice(4..)).expect("good").body else {
            panic!("it is for the core")
        };
        let Request::ConsumerGroupHeartbeat(read) = &*read else { panic!("{read:?}") };
        read.member.clone()
    };
    assert_eq!((id(0).len(), &*id(1)), (36, ""));
    assert_ne!(id(0), id(0));
}

#[test]
fn a_refused_heartbeat_says_why() {
    let Response::ConsumerGroupHeartbeat(mut answer) = heartbeat_848_answered(0) else { panic!() };
    (answer.error, answer.message) = (ErrorCode::UnsupportedAssignor, None);
    let told = over_the_wire(68, 0, &Response::ConsumerGroupHeartbeat(answer));
    let Response::ConsumerGroupHeartbeat(told) = told else { panic!() };
    assert_eq!(told.message.as_deref(), Some("The assignors are uniform and range."));
}
