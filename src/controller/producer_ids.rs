//! Producer ids, in blocks (KIP-730).

use crate::controller::heartbeat::check_epoch;
use crate::controller::rules::{Draft, Rules};
use crate::error::ErrorCode;
use crate::ids::ProducerId;
use crate::message::cluster::{AllocateProducerIdsRequest, AllocateProducerIdsResponse};
use crate::metadata::MetadataRecord;

/// Hands out the next block: the log remembers where the one after it starts.
pub(super) fn allocate(
    draft: &mut Draft<'_>,
    rules: Rules<'_>,
    request: &AllocateProducerIdsRequest,
) -> AllocateProducerIdsResponse {
    if let Err(error) = check_epoch(draft.state(), request.node, request.epoch) {
        return AllocateProducerIdsResponse { error, first: ProducerId::NONE, count: 0 };
    }
    let first = draft.state().next_producer_id;
    let count = rules.config.producer_id_block;
    let next = ProducerId(first.0 + i64::from(count));
    draft.push(MetadataRecord::ProducerIds { node: request.node, epoch: request.epoch, next });
    AllocateProducerIdsResponse { error: ErrorCode::None, first, count }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fixture;
    use crate::ids::{BrokerEpoch, NodeId, Offset};

    #[test]
    fn no_two_blocks_overlap_and_a_stale_broker_gets_none() {
        let (config, mut image) = (fixture::config(), fixture::image(&[1]));
        let epoch = image.brokers[&NodeId(1)].epoch;
        let mut draft = Draft::over(&mut image, Offset(100));
        let mut allocate = |epoch| {
            let request = AllocateProducerIdsRequest { node: NodeId(1), epoch };
            let response = allocate(&mut draft, fixture::rules(&config), &request);
            (response.error, response.first.0, response.count)
        };
        assert_eq!(allocate(epoch), (ErrorCode::None, 0, 1000));
        assert_eq!(allocate(epoch), (ErrorCode::None, 1000, 1000));
        assert_eq!(allocate(BrokerEpoch(77)), (ErrorCode::StaleBrokerEpoch, -1, 0));
        assert_eq!(image.next_producer_id, ProducerId(2000));
    }
}
