//! Fetch (1), versions 4 to 16: from 13 on topics go by id. Sessions (KIP-227) are declined.

use kafka_protocol::messages as wire;
use seedlog::message::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchedPartition};

use super::convert::{Wire, in_order, topics};

topics!(asked_out, asked_in: FetchPartition =
wire::fetch_request::FetchTopic { topic, partitions, topic_id }
/ wire::fetch_request::FetchPartition {
    partition = partition, current_leader_epoch = current_leader_epoch,
    fetch_offset = fetch_offset, last_fetched_epoch = last_fetched_epoch,
    log_start_offset = log_start_offset, max_bytes = partition_max_bytes,
});

topics!(answers_out, answers_in: FetchedPartition =
wire::fetch_response::FetchableTopicResponse { topic, partitions, topic_id }
/ wire::fetch_response::PartitionData {
    partition = partition_index, error = error_code, high_watermark = high_watermark,
    last_stable_offset = last_stable_offset, log_start_offset = log_start_offset,
    diverging = diverging_epoch, current_leader = current_leader,
    aborted = aborted_transactions, records = records,
});

pub fn request_in(request: wire::FetchRequest, version: i16) -> FetchRequest {
    FetchRequest {
        replica: None,
        max_wait: Wire::back(request.max_wait_ms),
        min_bytes: Wire::back(request.min_bytes),
        max_bytes: Wire::back(request.max_bytes),
        isolation: Wire::back(request.isolation_level),
        partitions: asked_in(request.topics, version >= 13),
    }
}

pub fn response_out(mut response: FetchResponse, version: i16) -> wire::FetchResponse {
    if version < 12 {
        response.partitions.iter_mut().for_each(|partition| partition.current_leader = None);
    }
    wire::FetchResponse::default()
        .with_error_code(response.error.out())
        .with_responses(answers_out(&response.partitions))
}

pub fn request_out(request: &FetchRequest) -> wire::FetchRequest {
    wire::FetchRequest::default()
        .with_max_wait_ms(request.max_wait.out())
        .with_min_bytes(request.min_bytes.out())
        .with_max_bytes(request.max_bytes.out())
        .with_isolation_level(request.isolation.out())
        .with_session_epoch(-1)
        .with_topics(asked_out(&request.partitions))
}

pub fn response_in(
    response: wire::FetchResponse,
    request: &FetchRequest,
    version: i16,
) -> FetchResponse {
    let answers = answers_in(response.responses, version >= 13);
    let partitions = in_order(&request.partitions, &answers, |asked, answer| {
        (&asked.topic, asked.partition) == (&answer.topic, answer.partition)
    });
    FetchResponse { error: Wire::back(response.error_code), partitions }
}
