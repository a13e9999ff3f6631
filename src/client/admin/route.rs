//! Requests that only a partition's leader can answer: taken apart by leader, and the answers put
//! together.

use alloc::vec::Vec;

use crate::error::ErrorCode;
use crate::ids::{TopicName, TopicRef};
use crate::message::offsets::{
    DeleteRecordsResponse, ListOffsetsResponse, OffsetForLeaderEpochResponse,
};
use crate::message::{Request, Response};

/// The partitions that a request is about, if their leaders must answer it.
pub(super) fn led_partitions(request: &Request) -> Option<Vec<(TopicName, i32)>> {
    let named = |topic: &TopicRef, partition: i32| match topic {
        TopicRef::Name(name) => Some((name.clone(), partition)),
        TopicRef::Id(_) => None,
    };
    if let Request::ListOffsets(request) = request {
        request.partitions.iter().map(|asked| named(&asked.topic, asked.partition)).collect()
    } else if let Request::DeleteRecords(request) = request {
        request.partitions.iter().map(|asked| named(&asked.topic, asked.partition)).collect()
    } else if let Request::OffsetForLeaderEpoch(request) = request {
        request.partitions.iter().map(|asked| named(&asked.topic, asked.partition)).collect()
    } else {
        None
    }
}

/// The same request about some of its partitions.
pub(super) fn part(request: &Request, indexes: &[usize]) -> Request {
    fn pick<T: Clone>(all: &[T], indexes: &[usize]) -> Vec<T> {
        indexes.iter().map(|index| all[*index].clone()).collect()
    }
    let mut request = request.clone();
    if let Request::ListOffsets(request) = &mut request {
        request.partitions = pick(&request.partitions, indexes);
    } else if let Request::DeleteRecords(request) = &mut request {
        request.partitions = pick(&request.partitions, indexes);
    } else if let Request::OffsetForLeaderEpoch(request) = &mut request {
        request.partitions = pick(&request.partitions, indexes);
    }
    request
}

/// An answer partition by partition: the error and the answer about that partition alone.
pub(super) fn split(response: &Response) -> Vec<(ErrorCode, Response)> {
    if let Response::ListOffsets(response) = response {
        let one =
            |answer| Response::ListOffsets(ListOffsetsResponse { partitions: [answer].into() });
        response.partitions.iter().map(|answer| (answer.error, one(answer.clone()))).collect()
    } else if let Response::DeleteRecords(response) = response {
        let one =
            |answer| Response::DeleteRecords(DeleteRecordsResponse { partitions: [answer].into() });
        response.partitions.iter().map(|answer| (answer.error, one(answer.clone()))).collect()
    } else if let Response::OffsetForLeaderEpoch(response) = response {
        let one = |answer| {
            let partitions = [answer].into();
            Response::OffsetForLeaderEpoch(OffsetForLeaderEpochResponse { partitions })
        };
        response.partitions.iter().map(|answer| (answer.error, one(answer.clone()))).collect()
    } else {
        Vec::new()
    }
}

/// Puts the answers about single partitions together again.
pub(super) fn join(parts: Vec<Response>) -> Option<Response> {
    let mut parts = parts.into_iter();
    let mut whole = parts.next()?;
    for part in parts {
        if let (Response::ListOffsets(whole), Response::ListOffsets(part)) = (&mut whole, &part) {
            whole.partitions.extend(part.partitions.iter().cloned());
        } else if let (Response::DeleteRecords(whole), Response::DeleteRecords(part)) =
            (&mut whole, &part)
        {
            whole.partitions.extend(part.partitions.iter().cloned());
        } else if let (
            Response::OffsetForLeaderEpoch(whole),
            Response::OffsetForLeaderEpoch(part),
        ) = (&mut whole, &part)
        {
            whole.partitions.extend(part.partitions.iter().cloned());
        }
    }
    Some(whole)
}

/// The errors of an answer that some broker gave for the controller.
pub(super) fn errors(response: &Response) -> Vec<ErrorCode> {
    if let Response::CreateTopics(response) = response {
        response.topics.iter().map(|topic| topic.error).collect()
    } else if let Response::DeleteTopics(response) = response {
        response.topics.iter().map(|topic| topic.error).collect()
    } else if let Response::CreatePartitions(response) = response {
        response.topics.iter().map(|(_, error, _)| *error).collect()
    } else if let Response::IncrementalAlterConfigs(response) = response {
        response.resources.iter().map(|(_, error, _)| *error).collect()
    } else if let Response::DescribeConfigs(response) = response {
        response.resources.iter().map(|resource| resource.error).collect()
    } else if let Response::AlterPartitionReassignments(response) = response {
        let of = response.partitions.iter().map(|(_, _, error)| *error);
        of.chain([response.error]).collect()
    } else if let Response::ListPartitionReassignments(response) = response {
        [response.error].into()
    } else if let Response::ElectLeaders(response) = response {
        [response.error].into()
    } else if let Response::DescribeCluster(response) = response {
        [response.error].into()
    } else if let Response::UnregisterBroker(response) = response {
        [response.error].into()
    } else {
        Vec::new()
    }
}
