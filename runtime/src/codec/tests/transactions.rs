//! Transactions.

use seedlog::ids::{Offset, ProducerEpoch, ProducerId};
use seedlog::message::produce::InitProducerIdResponse;
use seedlog::message::transaction::*;
use seedlog::time::{Duration, Timestamp};

use super::*;

const ID: ProducerId = ProducerId(4);
const EPOCH: ProducerEpoch = ProducerEpoch(1);

fn enrol(_version: i16) -> Request {
    let transaction = AddedTransaction {
        transactional_id: "id".into(),
        producer_id: ID,
        producer_epoch: EPOCH,
        verify_only: false,
        by_client: true,
        partitions: vec![("orders".into(), 1), ("orders".into(), 2), ("spends".into(), 0)],
    };
    Request::AddPartitionsToTxn(AddPartitionsToTxnRequest { transactions: vec![transaction] })
}

fn enrolled(_version: i16) -> Response {
    let partitions = vec![("orders".into(), 1, ErrorCode::InvalidTxnState)];
    let transactions = vec![("".into(), partitions)];
    let error = ErrorCode::None;
    Response::AddPartitionsToTxn(AddPartitionsToTxnResponse { error, transactions })
}

fn enrol_group(_version: i16) -> Request {
    Request::AddOffsetsToTxn(AddOffsetsToTxnRequest {
        transactional_id: "id".into(),
        producer_id: ID,
        producer_epoch: EPOCH,
        group: "group".into(),
    })
}

fn group_enrolled(_version: i16) -> Response {
    Response::AddOffsetsToTxn(AddOffsetsToTxnResponse { error: ErrorCode::ProducerFenced })
}

fn end(version: i16) -> Request {
    Request::EndTxn(EndTxnRequest {
        transactional_id: "id".into(),
        producer_id: ID,
        producer_epoch: EPOCH,
        commit: true,
        version: if version < 5 { TransactionVersion::V1 } else { TransactionVersion::V2 },
    })
}

fn ended(_version: i16) -> Response {
    let error = ErrorCode::None;
    Response::EndTxn(EndTxnResponse { error, producer_id: ID, producer_epoch: EPOCH })
}

fn mark(_version: i16) -> Request {
    let marker = TxnMarker {
        producer_id: ID,
        producer_epoch: EPOCH,
        commit: false,
        coordinator_epoch: 6,
        partitions: vec![(topic(0, 1), 1)],
        version: TransactionVersion::V1,
    };
    Request::WriteTxnMarkers(WriteTxnMarkersRequest { markers: vec![marker] })
}

fn marked(_version: i16) -> Response {
    let partitions = vec![(topic(0, 1), 1, ErrorCode::None)];
    let markers = vec![WrittenMarker { producer_id: ID, partitions }];
    Response::WriteTxnMarkers(WriteTxnMarkersResponse { markers })
}

fn producers(_version: i16) -> Request {
    let partitions = vec![("orders".into(), 1)];
    Request::DescribeProducers(DescribeProducersRequest { partitions })
}

fn produced(_version: i16) -> Response {
    let producer = ActiveProducer {
        producer_id: ID,
        producer_epoch: EPOCH,
        last_sequence: 8,
        last_timestamp: Timestamp(9),
        coordinator_epoch: -1,
        transaction_start: Offset(5),
    };
    let partitions = vec![("orders".into(), 1, ErrorCode::None, vec![producer])];
    Response::DescribeProducers(DescribeProducersResponse { partitions })
}

fn describe(_version: i16) -> Request {
    let transactional_ids = vec!["id".into()];
    Request::DescribeTransactions(DescribeTransactionsRequest { transactional_ids })
}

fn described(_version: i16) -> Response {
    let transaction = DescribedTransaction {
        transactional_id: "id".into(),
        error: ErrorCode::None,
        state: "Ongoing".into(),
        timeout: Duration::from_secs(60),
        start: Timestamp(9),
        producer_id: ID,
        producer_epoch: EPOCH,
        partitions: vec![("orders".into(), 1)],
    };
    let transactions = vec![transaction];
    Response::DescribeTransactions(DescribeTransactionsResponse { transactions })
}

fn list(version: i16) -> Request {
    Request::ListTransactions(ListTransactionsRequest {
        states: vec!["Ongoing".into()],
        producer_ids: vec![ID],
        longer_than: (version >= 1).then(|| Duration::from_secs(5)),
    })
}

fn listed(_version: i16) -> Response {
    let transactions = vec![("id".into(), ID, "Ongoing".into())];
    let (error, unknown_states) = (ErrorCode::None, vec!["Asleep".into()]);
    Response::ListTransactions(ListTransactionsResponse { error, unknown_states, transactions })
}

pub const REQUESTS: &[Sample<Request>] =
    &[(enrol, 0), (enrol_group, 0), (end, 0), (mark, 1), (producers, 0), (describe, 0), (list, 0)];
pub const RESPONSES: &[Sample<Response>] = &[
    (enrolled, 0),
    (group_enrolled, 2),
    (ended, 5),
    (marked, 1),
    (produced, 0),
    (described, 0),
    (listed, 0),
];

#[test]
fn a_fenced_producer_of_an_older_version_is_told_that_its_epoch_is_old() {
    let error = ErrorCode::ProducerFenced;
    let partitions = vec![("orders".into(), 1, error)];
    let transactions = vec![("".into(), partitions)];
    let (producer_id, producer_epoch) = (ProducerId::NONE, ProducerEpoch::NONE);
    let enrolled = AddPartitionsToTxnResponse { error: ErrorCode::None, transactions };
    let began = InitProducerIdResponse { error, producer_id, producer_epoch };
    let ended = EndTxnResponse { error, producer_id, producer_epoch };
    for (key, to, knows_from, response) in [
        (22, 5, 4, Response::InitProducerId(began)),
        (24, 3, 2, Response::AddPartitionsToTxn(enrolled)),
        (25, 4, 2, group_enrolled(0)),
        (26, 5, 2, Response::EndTxn(ended)),
    ] {
        for version in 0..=to {
            let read = over_the_wire(key, version, &response);
            let told = if let Response::InitProducerId(read) = &read {
                read.error
            } else if let Response::AddPartitionsToTxn(read) = &read {
                read.transactions[0].1[0].2
            } else if let Response::AddOffsetsToTxn(read) = &read {
                read.error
            } else {
                let Response::EndTxn(read) = &read else { panic!("{read:?}") };
                read.error
            };
            let known = if version < knows_from { ErrorCode::InvalidProducerEpoch } else { error };
            assert_eq!(told, known, "version {version} of {key}");
        }
    }
}
