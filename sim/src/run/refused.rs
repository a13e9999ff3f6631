//! What the answers that clients of applications get say is wrong.

use seedlog::error::ErrorCode;
use seedlog::message::Response;
use seedlog::message::refusal::error_of;

/// The first error of an answer to a member of a group, or to a producer.
#[must_use]
pub fn refused(response: &Response) -> Option<ErrorCode> {
    worked(response)
        .or_else(|| joined(response))
        .or_else(|| committed(response))
        .or_else(|| transacted(response))
        .or_else(|| first([error_of(response)]))
}

fn first(errors: impl IntoIterator<Item = ErrorCode>) -> Option<ErrorCode> {
    errors.into_iter().find(|error| !error.is_ok())
}

fn worked(response: &Response) -> Option<ErrorCode> {
    if let Response::Produce(answer) = response {
        first(answer.partitions.iter().map(|partition| partition.error))
    } else if let Response::Fetch(answer) = response {
        first([answer.error].into_iter().chain(answer.partitions.iter().map(|each| each.error)))
    } else {
        None
    }
}

fn joined(response: &Response) -> Option<ErrorCode> {
    if let Response::FindCoordinator(answer) = response {
        first(answer.coordinators.iter().map(|found| found.error))
    } else if let Response::JoinGroup(answer) = response {
        first([answer.error])
    } else if let Response::SyncGroup(answer) = response {
        first([answer.error])
    } else if let Response::Heartbeat(answer) = response {
        first([answer.error])
    } else if let Response::ConsumerGroupHeartbeat(answer) = response {
        first([answer.error])
    } else {
        None
    }
}

fn committed(response: &Response) -> Option<ErrorCode> {
    if let Response::OffsetCommit(answer) = response {
        first(answer.partitions.iter().map(|(_, _, error)| *error))
    } else if let Response::OffsetFetch(answer) = response {
        let of = answer.groups.iter().flat_map(|group| {
            let partitions = group.partitions.iter().map(|partition| partition.error);
            [group.error].into_iter().chain(partitions)
        });
        first(of)
    } else if let Response::TxnOffsetCommit(answer) = response {
        first(answer.partitions.iter().map(|(_, _, error)| *error))
    } else {
        None
    }
}

fn transacted(response: &Response) -> Option<ErrorCode> {
    if let Response::AddPartitionsToTxn(answer) = response {
        let of = answer.transactions.iter().flat_map(|(_, partitions)| partitions);
        first([answer.error].into_iter().chain(of.map(|(_, _, error)| *error)))
    } else if let Response::AddOffsetsToTxn(answer) = response {
        first([answer.error])
    } else if let Response::EndTxn(answer) = response {
        first([answer.error])
    } else {
        None
    }
}
