//! What an error code means to a client: whether to try again, to ask for metadata, or to give up.

use crate::error::ErrorCode;
use crate::message::produce::Acks;

/// Whether the same request may succeed later: Kafka's `RetriableException`.
#[must_use]
pub(crate) const fn is_retriable(error: ErrorCode) -> bool {
    is_stale_metadata(error)
        || matches!(
            error,
            ErrorCode::CorruptMessage
                | ErrorCode::RequestTimedOut
                | ErrorCode::BrokerNotAvailable
                | ErrorCode::CoordinatorLoadInProgress
                | ErrorCode::CoordinatorNotAvailable
                | ErrorCode::NotCoordinator
                | ErrorCode::NotEnoughReplicas
                | ErrorCode::NotEnoughReplicasAfterAppend
                | ErrorCode::NotController
                | ErrorCode::ConcurrentTransactions
                | ErrorCode::FetchSessionIdNotFound
                | ErrorCode::InvalidFetchSessionEpoch
                | ErrorCode::UnknownLeaderEpoch
                | ErrorCode::StaleBrokerEpoch
                | ErrorCode::OffsetNotAvailable
                | ErrorCode::PreferredLeaderNotAvailable
                | ErrorCode::EligibleLeadersNotAvailable
                | ErrorCode::UnstableOffsetCommit
                | ErrorCode::ThrottlingQuotaExceeded
        )
}

/// Whether the client's view of who leads is out of date: Kafka's `InvalidMetadataException`.
#[must_use]
pub(crate) const fn is_stale_metadata(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::UnknownTopicOrPartition
            | ErrorCode::LeaderNotAvailable
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::ReplicaNotAvailable
            | ErrorCode::NetworkException
            | ErrorCode::KafkaStorageError
            | ErrorCode::FencedLeaderEpoch
            | ErrorCode::UnknownTopicId
            | ErrorCode::InconsistentTopicId
    )
}

/// Whether a broker that answers a produce request so has surely not appended the batch, nor will.
///
/// With acks=all a broker waits between the append and its answer, and may lose the leadership or
/// the topic meanwhile: then the same codes leave it open.
#[must_use]
pub(crate) const fn refuses(error: ErrorCode, acks: Acks) -> bool {
    let before_append = matches!(
        error,
        ErrorCode::CorruptMessage
            | ErrorCode::InvalidFetchSize
            | ErrorCode::LeaderNotAvailable
            | ErrorCode::MessageTooLarge
            | ErrorCode::InvalidTopicException
            | ErrorCode::RecordListTooLarge
            | ErrorCode::NotEnoughReplicas
            | ErrorCode::InvalidRequiredAcks
            | ErrorCode::InvalidTimestamp
            | ErrorCode::UnsupportedVersion
            | ErrorCode::InvalidRequest
            | ErrorCode::UnsupportedForMessageFormat
            | ErrorCode::PolicyViolation
            | ErrorCode::OutOfOrderSequenceNumber
            | ErrorCode::InvalidProducerEpoch
            | ErrorCode::InvalidTxnState
            | ErrorCode::InvalidProducerIdMapping
            | ErrorCode::ConcurrentTransactions
            | ErrorCode::UnknownProducerId
            | ErrorCode::UnsupportedCompressionType
            | ErrorCode::InvalidRecord
            | ErrorCode::ProducerFenced
            | ErrorCode::TransactionAbortable
    );
    let not_here = matches!(
        error,
        ErrorCode::UnknownTopicOrPartition
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::UnknownTopicId
            | ErrorCode::InconsistentTopicId
            | ErrorCode::FencedLeaderEpoch
    );
    before_append || (not_here && !matches!(acks, Acks::All))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losing_the_leadership_leaves_it_open_only_where_the_broker_waits() {
        assert!(refuses(ErrorCode::NotLeaderOrFollower, Acks::Leader));
        assert!(!refuses(ErrorCode::NotLeaderOrFollower, Acks::All));
        assert!(refuses(ErrorCode::NotEnoughReplicas, Acks::All));
        assert!(!refuses(ErrorCode::NotEnoughReplicasAfterAppend, Acks::All));
        assert!(!refuses(ErrorCode::RequestTimedOut, Acks::Leader));
        assert!(!refuses(ErrorCode::UnknownServerError, Acks::Leader));
    }

    #[test]
    fn stale_metadata_is_worth_another_try() {
        assert!(is_retriable(ErrorCode::NotLeaderOrFollower));
        assert!(is_retriable(ErrorCode::NotEnoughReplicas));
        assert!(!is_retriable(ErrorCode::MessageTooLarge));
        assert!(!is_stale_metadata(ErrorCode::NotEnoughReplicas));
    }
}
