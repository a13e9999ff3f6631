//! Topics come, grow and go.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::controller::configs::validate_topic_config;
use crate::controller::placement::Load;
use crate::controller::rules::{Draft, Rules};
use crate::error::ErrorCode;
use crate::ids::{
    LeaderEpoch, NodeId, PartitionEpoch, PartitionId, TopicId, TopicName, TopicRef, Uuid,
    topic_name_fault,
};
use crate::message::admin::{
    ConfigEntry, ConfigResource, ConfigSource, CreatableTopic, CreatePartitionsRequest,
    CreatePartitionsResponse, CreatePartitionsTopic, CreateTopicsRequest, CreateTopicsResponse,
    CreatedTopic, DeleteTopicsRequest, DeleteTopicsResponse, DeletedTopic,
};
use crate::message::partition::LeaderRecovery;
use crate::metadata::{Image, MetadataRecord, PartitionImage};
use crate::rng::Rng;

/// Partitions that one request may make: a limit against typing errors.
const MAX_PARTITIONS: usize = 10_000;

/// An error with what to tell the user.
type Refusal = (ErrorCode, String);

fn refusal(error: ErrorCode, message: &str) -> Refusal {
    (error, message.to_string())
}

/// Makes topics, each or not at all.
pub(super) fn create_topics(
    draft: &mut Draft<'_>,
    rules: Rules<'_>,
    rng: &mut Rng,
    request: &CreateTopicsRequest,
) -> CreateTopicsResponse {
    let twice =
        |name: &TopicName| request.topics.iter().filter(|topic| topic.name == *name).count() > 1;
    let topics = request.topics.iter().map(|topic| {
        let created = if twice(&topic.name) {
            Err(refusal(ErrorCode::InvalidRequest, "the request names the topic twice"))
        } else {
            create_topic(draft, rules, rng, topic, request.validate_only)
        };
        created.unwrap_or_else(|(error, message)| CreatedTopic {
            name: topic.name.clone(),
            id: Uuid::ZERO,
            error,
            message: Some(message),
            num_partitions: -1,
            replication_factor: -1,
            configs: [].into(),
        })
    });
    CreateTopicsResponse { topics: topics.collect() }
}

fn create_topic(
    draft: &mut Draft<'_>,
    rules: Rules<'_>,
    rng: &mut Rng,
    topic: &CreatableTopic,
    validate_only: bool,
) -> Result<CreatedTopic, Refusal> {
    check_name(draft.state(), &topic.name)?;
    for (name, value) in &topic.configs {
        let value = value.as_deref().unwrap_or_default();
        validate_topic_config(name, value)
            .map_err(|message| (ErrorCode::InvalidConfig, message))?;
    }
    let assignments = assign(draft.state(), rules, rng, topic)?;
    let states = new_partitions(draft.state(), &assignments)?;
    let id = if validate_only { Uuid::ZERO } else { fresh_id(draft.state(), rng) };
    if !validate_only {
        draft.push(MetadataRecord::Topic { name: topic.name.clone(), id });
        for (partition, state) in (0..).zip(states) {
            let id = PartitionId { topic: id, partition };
            draft.push(MetadataRecord::Partition { id, state });
        }
        for (name, value) in &topic.configs {
            let resource = ConfigResource::Topic(topic.name.clone());
            let (name, value) = (name.clone(), value.clone());
            draft.push(MetadataRecord::Config { resource, name, value });
        }
    }
    let configs = topic.configs.iter().filter_map(|(name, value)| {
        let (name, value) = (name.clone(), value.clone()?);
        Some(ConfigEntry { name, value, source: ConfigSource::Topic })
    });
    Ok(CreatedTopic {
        name: topic.name.clone(),
        id,
        error: ErrorCode::None,
        message: None,
        num_partitions: i32::try_from(assignments.len()).expect("the count is limited"),
        replication_factor: i16::try_from(assignments[0].len()).unwrap_or(i16::MAX),
        configs: configs.collect(),
    })
}

/// An id that no topic has.
fn fresh_id(image: &Image, rng: &mut Rng) -> TopicId {
    loop {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&rng.next_u64().to_be_bytes());
        bytes[8..].copy_from_slice(&rng.next_u64().to_be_bytes());
        let id = Uuid::from_bytes(bytes);
        if id != Uuid::ZERO && !image.topics.contains_key(&id) {
            return id;
        }
    }
}

fn check_name(image: &Image, name: &Arc<str>) -> Result<(), Refusal> {
    if let Some(fault) = topic_name_fault(name) {
        return Err(refusal(ErrorCode::InvalidTopicException, fault));
    }
    if image.names.contains_key(name) {
        let message = format!("topic {name:?} exists already");
        return Err((ErrorCode::TopicAlreadyExists, message));
    }
    // Kafka's metrics cannot tell '.' from '_'.
    let plain = |name: &str| name.replace('.', "_");
    if name.contains(['.', '_'])
        && let Some(other) = image.names.keys().find(|other| plain(other) == plain(name))
    {
        let message = format!("topic {name:?} collides with {other:?}");
        return Err((ErrorCode::InvalidTopicException, message));
    }
    Ok(())
}

/// The replicas of each partition of a new topic.
fn assign(
    image: &Image,
    rules: Rules<'_>,
    rng: &mut Rng,
    topic: &CreatableTopic,
) -> Result<Vec<Vec<NodeId>>, Refusal> {
    if !topic.assignments.is_empty() {
        return assigned_by_hand(image, topic);
    }
    let default = |asked, default| if asked == -1 { default } else { asked };
    let count = default(topic.num_partitions, rules.config.num_partitions);
    let count = usize::try_from(count).ok().filter(|count| (1..=MAX_PARTITIONS).contains(count));
    let count = count.ok_or_else(|| {
        refusal(ErrorCode::InvalidPartitions, "the number of partitions is wrong")
    })?;
    let factor = match topic.replication_factor {
        -1 => rules.config.default_replication_factor,
        factor => factor,
    };
    place(&mut Load::of(image), rng, count, usize::try_from(factor).unwrap_or(0))
}

fn place(
    load: &mut Load,
    rng: &mut Rng,
    count: usize,
    factor: usize,
) -> Result<Vec<Vec<NodeId>>, Refusal> {
    let brokers = load.brokers();
    let refuse = |error| (error, format!("{factor} replicas do not fit {brokers} brokers"));
    (0..count).map(|_| load.place(factor, rng).map_err(refuse)).collect()
}

fn assigned_by_hand(image: &Image, topic: &CreatableTopic) -> Result<Vec<Vec<NodeId>>, Refusal> {
    if topic.num_partitions != -1 || topic.replication_factor != -1 {
        let message = "assignments stand for the numbers of partitions and replicas";
        return Err(refusal(ErrorCode::InvalidRequest, message));
    }
    let mut assignments = topic.assignments.clone();
    assignments.sort_by_key(|(index, _)| *index);
    let gapless = (0..).zip(&assignments).all(|(expected, (index, _))| expected == *index);
    if !gapless || assignments.len() > MAX_PARTITIONS {
        let message = "assigned partitions count from zero without gaps";
        return Err(refusal(ErrorCode::InvalidReplicaAssignment, message));
    }
    let factor = assignments[0].1.len();
    for (_, replicas) in &assignments {
        check_replicas(image, replicas)?;
        if replicas.len() != factor {
            let message = "all partitions have as many replicas";
            return Err(refusal(ErrorCode::InvalidReplicaAssignment, message));
        }
    }
    Ok(assignments.into_iter().map(|(_, replicas)| replicas).collect())
}

/// Checks replicas that a user named.
pub(super) fn check_replicas(image: &Image, replicas: &[NodeId]) -> Result<(), Refusal> {
    let refuse = |message| Err(refusal(ErrorCode::InvalidReplicaAssignment, message));
    if replicas.is_empty() {
        return refuse("a partition has at least one replica");
    }
    if (1..replicas.len()).any(|at| replicas[..at].contains(&replicas[at])) {
        return refuse("a broker hosts at most one replica of a partition");
    }
    if !replicas.iter().all(|node| image.brokers.contains_key(node)) {
        return refuse("replicas go to registered brokers");
    }
    Ok(())
}

/// New partitions: whoever is active is in sync, the first of them leads.
fn new_partitions(
    image: &Image,
    assignments: &[Vec<NodeId>],
) -> Result<Vec<PartitionImage>, Refusal> {
    let state = |replicas: &Vec<NodeId>| {
        let active = replicas.iter().copied().filter(|node| image.is_active(*node));
        let isr: Vec<NodeId> = active.collect();
        let Some(leader) = isr.first().copied() else {
            let message = "all replicas are fenced or shutting down";
            return Err(refusal(ErrorCode::InvalidReplicaAssignment, message));
        };
        Ok(PartitionImage {
            replicas: replicas.as_slice().into(),
            isr: isr.into(),
            elr: Arc::default(),
            last_known_elr: Arc::default(),
            leader,
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            recovery: LeaderRecovery::Recovered,
            adding: Arc::default(),
            removing: Arc::default(),
        })
    };
    assignments.iter().map(state).collect()
}

/// Removes topics by name or by id.
pub(super) fn delete_topics(
    draft: &mut Draft<'_>,
    request: &DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let topics = request.topics.iter().map(|topic| {
        let found = match topic {
            TopicRef::Name(name) => draft.state().names.get(name).copied(),
            TopicRef::Id(id) => draft.state().topics.contains_key(id).then_some(*id),
        };
        let error = match (found, topic) {
            (Some(id), _) => {
                draft.push(MetadataRecord::RemoveTopic { id });
                ErrorCode::None
            }
            (None, TopicRef::Name(_)) => ErrorCode::UnknownTopicOrPartition,
            (None, TopicRef::Id(_)) => ErrorCode::UnknownTopicId,
        };
        DeletedTopic { topic: topic.clone(), error }
    });
    DeleteTopicsResponse { topics: topics.collect() }
}

/// Adds partitions to topics.
pub(super) fn create_partitions(
    draft: &mut Draft<'_>,
    rng: &mut Rng,
    request: &CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let topics =
        request.topics.iter().map(|topic| match grow(draft, rng, topic, request.validate_only) {
            Ok(()) => (topic.name.clone(), ErrorCode::None, None),
            Err((error, message)) => (topic.name.clone(), error, Some(message)),
        });
    CreatePartitionsResponse { topics: topics.collect() }
}

fn grow(
    draft: &mut Draft<'_>,
    rng: &mut Rng,
    topic: &CreatePartitionsTopic,
    validate_only: bool,
) -> Result<(), Refusal> {
    let image = draft.state();
    let Some(id) = image.names.get(&topic.name).copied() else {
        return Err(refusal(ErrorCode::UnknownTopicOrPartition, "no such topic"));
    };
    let old = &image.topics[&id].partitions;
    let more = usize::try_from(topic.count).ok().and_then(|count| count.checked_sub(old.len()));
    let Some(more) = more.filter(|more| (1..=MAX_PARTITIONS).contains(more)) else {
        let message = format!("the topic has {} partitions and only grows", old.len());
        return Err((ErrorCode::InvalidPartitions, message));
    };
    let factor = old.first().map_or(1, |first| first.replicas.len() - first.adding.len());
    let assignments = match &topic.assignments {
        None => place(&mut Load::of(image), rng, more, factor.max(1))?,
        Some(assignments) => {
            if assignments.len() != more {
                let message = format!("{more} new partitions need as many assignments");
                return Err((ErrorCode::InvalidReplicaAssignment, message));
            }
            for replicas in assignments {
                check_replicas(image, replicas)?;
            }
            assignments.clone()
        }
    };
    let states = new_partitions(image, &assignments)?;
    if !validate_only {
        let first = i32::try_from(old.len()).expect("partitions are i32");
        for (partition, state) in (first..).zip(states) {
            let id = PartitionId { topic: id, partition };
            draft.push(MetadataRecord::Partition { id, state });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
