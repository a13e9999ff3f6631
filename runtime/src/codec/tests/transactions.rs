//! Transactions.

use seedlog::ids::{Offset, ProducerEpoch, ProducerId};
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
    let error = ErrorCode::None;
    Response::ListTransactions(ListTransactionsResponse { error, transactions })
}

pub const REQUESTS: &[Sample<Request>] =
    &[(enrol, 0), (enrol_group, 0), (end, 0), (mark, 1), (producers, 0), (describe, 0), (list, 0)];
pub const RESPONSES: &[Sample<Response>] = &[
    (enrolled, 0),
    (group_enrolled, 0),
    (ended, 5),
    (marked, 1),
    (produced, 0),
    (described, 0),
    (listed, 0),
];
