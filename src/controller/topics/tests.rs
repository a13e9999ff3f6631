use super::*;
use crate::config::ControllerConfig;
use crate::controller::fixture::{self, nodes};
use crate::ids::Offset;
use crate::time::Duration;

fn topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.into(),
        num_partitions,
        replication_factor,
        assignments: Vec::new(),
        configs: Vec::new(),
    }
}

fn by_hand(name: &str, assignments: &[(i32, &[i32])]) -> CreatableTopic {
    let assignments = assignments.iter().map(|(index, replicas)| (*index, nodes(replicas)));
    CreatableTopic { assignments: assignments.collect(), ..topic(name, -1, -1) }
}

fn create(
    image: &mut Image,
    topics: Vec<CreatableTopic>,
    validate_only: bool,
) -> Vec<CreatedTopic> {
    let config = ControllerConfig { num_partitions: 4, ..ControllerConfig::default() };
    let mut draft = Draft::over(image, Offset(100));
    let request = CreateTopicsRequest { timeout: Duration::ZERO, validate_only, topics };
    let rng = &mut Rng::from_number(1);
    create_topics(&mut draft, fixture::rules(&config), rng, &request).topics
}

#[test]
fn a_topic_is_made_with_ids_replicas_leaders_and_configs() {
    let mut image = fixture::image(&[1, 2, 3]);
    let mut wanted = topic("orders", 6, 2);
    wanted.configs.push(("min.insync.replicas".into(), Some("2".into())));
    let created = create(&mut image, [wanted].into(), false);
    assert_eq!((created[0].error, created[0].num_partitions), (ErrorCode::None, 6));
    let made = &image.topics[&created[0].id];
    assert_eq!((made.partitions.len(), made.config.min_insync_replicas), (6, 2));
    for partition in &made.partitions {
        assert_eq!(
            (&partition.isr, partition.leader),
            (&partition.replicas, partition.replicas[0])
        );
    }
    image.check();
}

#[test]
fn bad_topics_are_refused_and_good_ones_beside_them_made() {
    let mut image = fixture::image(&[1, 2]);
    fixture::topic(&mut image, "a.b", &[&[1]]);
    let table = [
        (topic("good", -1, -1), ErrorCode::None),
        (topic("a.b", 1, 1), ErrorCode::TopicAlreadyExists),
        (topic("a_b", 1, 1), ErrorCode::InvalidTopicException),
        (topic("a b", 1, 1), ErrorCode::InvalidTopicException),
        (topic("..", 1, 1), ErrorCode::InvalidTopicException),
        (topic("none", 0, 1), ErrorCode::InvalidPartitions),
        (topic("wide", 1, 3), ErrorCode::InvalidReplicationFactor),
        (topic("negative", 1, -5), ErrorCode::InvalidReplicationFactor),
        (by_hand("hand", &[(1, &[2]), (0, &[1])]), ErrorCode::None),
        (by_hand("gap", &[(0, &[1]), (2, &[2])]), ErrorCode::InvalidReplicaAssignment),
        (by_hand("uneven", &[(0, &[1]), (1, &[2, 1])]), ErrorCode::InvalidReplicaAssignment),
        (by_hand("twice", &[(0, &[1, 1])]), ErrorCode::InvalidReplicaAssignment),
        (by_hand("stranger", &[(0, &[7])]), ErrorCode::InvalidReplicaAssignment),
    ];
    for (wanted, error) in table {
        let created = create(&mut image, [wanted.clone()].into(), false);
        assert_eq!(created[0].error, error, "{}", wanted.name);
        assert_eq!(image.names.contains_key(&wanted.name), error.is_ok() || &*wanted.name == "a.b");
    }
    assert_eq!(image.topics[&image.names["good"]].partitions.len(), 4);
    let twice = create(&mut image, [topic("x", 1, 1), topic("x", 1, 1)].into(), false);
    assert_eq!(twice[1].error, ErrorCode::InvalidRequest);
}

#[test]
fn validation_alone_changes_nothing() {
    let mut image = fixture::image(&[1]);
    let created = create(&mut image, [topic("orders", 1, 1)].into(), true);
    assert_eq!(created[0].error, ErrorCode::None);
    assert!(image.topics.is_empty());
}

#[test]
fn a_fenced_replica_starts_outside_the_isr() {
    let mut image = fixture::image(&[1, 2]);
    fixture::fence(&mut image, 1);
    let created = create(&mut image, [by_hand("t", &[(0, &[1, 2])])].into(), false);
    let partition = &image.topics[&created[0].id].partitions[0];
    assert_eq!((partition.leader, &*partition.isr), (NodeId(2), &nodes(&[2])[..]));
}

#[test]
fn topics_are_deleted_by_name_or_by_id_once() {
    let mut image = fixture::image(&[1]);
    let id = fixture::topic(&mut image, "a", &[&[1]]).topic;
    fixture::topic(&mut image, "b", &[&[1]]);
    let mut draft = Draft::over(&mut image, Offset(100));
    let by_name = TopicRef::Name("b".into());
    let request = DeleteTopicsRequest {
        timeout: Duration::ZERO,
        topics: [TopicRef::Id(id), TopicRef::Id(id), by_name.clone(), by_name].into(),
    };
    let deleted = delete_topics(&mut draft, &request).topics;
    let errors: Vec<ErrorCode> = deleted.iter().map(|topic| topic.error).collect();
    assert_eq!(
        errors,
        [
            ErrorCode::None,
            ErrorCode::UnknownTopicId,
            ErrorCode::None,
            ErrorCode::UnknownTopicOrPartition
        ]
    );
    assert!(image.topics.is_empty());
}

#[test]
fn a_topic_grows_and_never_shrinks() {
    let mut image = fixture::image(&[1, 2]);
    let id = fixture::topic(&mut image, "t", &[&[1, 2], &[2, 1]]).topic;
    let mut draft = Draft::over(&mut image, Offset(100));
    let mut grow = |count, assignments: Option<&[&[i32]]>| {
        let assignments =
            assignments.map(|all| all.iter().map(|replicas| nodes(replicas)).collect());
        let topics = [CreatePartitionsTopic { name: "t".into(), count, assignments }].into();
        let request =
            CreatePartitionsRequest { timeout: Duration::ZERO, validate_only: false, topics };
        create_partitions(&mut draft, &mut Rng::from_number(1), &request).topics[0].1
    };
    assert_eq!(grow(2, None), ErrorCode::InvalidPartitions);
    assert_eq!(grow(3, Some(&[&[1], &[2]])), ErrorCode::InvalidReplicaAssignment);
    assert_eq!(grow(3, Some(&[&[2, 1]])), ErrorCode::None);
    assert_eq!(grow(5, None), ErrorCode::None);
    let partitions = &image.topics[&id].partitions;
    assert_eq!((partitions.len(), &*partitions[2].replicas), (5, &nodes(&[2, 1])[..]));
    assert_eq!(partitions[4].replicas.len(), 2);
}
