//! A group's offsets: OffsetCommit (8), OffsetFetch (9), OffsetDelete (47), TxnOffsetCommit (28).

use kafka_protocol::messages as wire;
use seedlog::error::ErrorCode;
use seedlog::ids::{TopicName, TopicRef};
use seedlog::message::commit::{
    CommittedPartition, Committer, FetchedGroup, FetchedOffset, OffsetCommitRequest,
    OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchGroup,
    OffsetFetchRequest, OffsetFetchResponse, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use seedlog::message::transaction::TransactionVersion;

use super::convert::{Wire, fields, numbers, older, rows, topics};
use super::shape::{I8, I16, I32, I32S, I64, Shape, TEXT, list, since, until};

pub const OFFSET_COMMIT: Shape = &[
    TEXT,
    I32,
    TEXT,
    since(7, TEXT),
    until(4, I64),
    list(&[TEXT, list(&[I32, I64, since(6, I32), TEXT])]),
];
impl Wire<wire::OffsetCommitRequest> for OffsetCommitRequest {
    fn out(&self, version: i16) -> wire::OffsetCommitRequest {
        let by = &self.committer;
        let out = wire::OffsetCommitRequest::default()
            .with_group_id(by.group.out(version))
            .with_generation_id_or_member_epoch(by.generation)
            .with_member_id(by.member.out(version))
            .with_topics(self.partitions.out(version));
        if version >= 7 { out.with_group_instance_id(by.instance.out(version)) } else { out }
    }
    fn back(wire: wire::OffsetCommitRequest, version: i16) -> Self {
        let committer = Committer {
            group: Wire::back(wire.group_id, version),
            member: Wire::back(wire.member_id, version),
            instance: Wire::back(wire.group_instance_id, version),
            generation: wire.generation_id_or_member_epoch,
        };
        OffsetCommitRequest { committer, partitions: Wire::back(wire.topics, version) }
    }
}
topics!(CommittedPartition =
wire::offset_commit_request::OffsetCommitRequestTopic { name, partitions }
/ wire::offset_commit_request::OffsetCommitRequestPartition {
    partition = partition_index, offset = committed_offset,
    leader_epoch = committed_leader_epoch [6], metadata = committed_metadata,
});
fields!(OffsetCommitResponse = wire::OffsetCommitResponse {
    partitions = topics,
} then |out, version| {
    // KIP-848: older clients know a group that is gone by its generation.
    for partition in out.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        let (error, old) = (&mut partition.error_code, ErrorCode::IllegalGeneration);
        older(error, version >= 9, ErrorCode::GroupIdNotFound, old);
    }
});

pub const TXN_OFFSET_COMMIT: Shape = &[
    TEXT,
    TEXT,
    I64,
    I16,
    since(3, I32),
    since(3, TEXT),
    since(3, TEXT),
    list(&[TEXT, list(&[I32, I64, since(2, I32), TEXT])]),
];
impl Wire<wire::TxnOffsetCommitRequest> for TxnOffsetCommitRequest {
    fn out(&self, version: i16) -> wire::TxnOffsetCommitRequest {
        let by = &self.committer;
        let out = wire::TxnOffsetCommitRequest::default()
            .with_transactional_id(self.transactional_id.out(version))
            .with_group_id(by.group.out(version))
            .with_producer_id(self.producer_id.out(version))
            .with_producer_epoch(self.producer_epoch.out(version))
            .with_topics(self.partitions.out(version));
        if version < 3 {
            return out;
        }
        out.with_generation_id(by.generation)
            .with_member_id(by.member.out(version))
            .with_group_instance_id(by.instance.out(version))
    }
    fn back(wire: wire::TxnOffsetCommitRequest, version: i16) -> Self {
        TxnOffsetCommitRequest {
            transactional_id: Wire::back(wire.transactional_id, version),
            producer_id: Wire::back(wire.producer_id, version),
            producer_epoch: Wire::back(wire.producer_epoch, version),
            committer: Committer {
                group: Wire::back(wire.group_id, version),
                member: Wire::back(wire.member_id, version),
                instance: Wire::back(wire.group_instance_id, version),
                generation: wire.generation_id,
            },
            partitions: Wire::back(wire.topics, version),
            // KIP-890
            version: if version >= 5 { TransactionVersion::V2 } else { TransactionVersion::V1 },
        }
    }
}
topics!(CommittedPartition =
wire::txn_offset_commit_request::TxnOffsetCommitRequestTopic { name, partitions }
/ wire::txn_offset_commit_request::TxnOffsetCommitRequestPartition {
    partition = partition_index, offset = committed_offset,
    leader_epoch = committed_leader_epoch [2], metadata = committed_metadata,
});
fields!(TxnOffsetCommitResponse = wire::TxnOffsetCommitResponse {
    partitions = topics,
} then |out, version| {
    // KAFKA-7296: to the oldest clients whatever they do not know is the end.
    let codes = (ErrorCode::CoordinatorLoadInProgress, ErrorCode::CoordinatorNotAvailable);
    for partition in out.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        older(&mut partition.error_code, version >= 2, codes.0, codes.1);
    }
});

/// Since version 8 for many groups (KIP-709).
pub const OFFSET_FETCH: Shape = &[
    until(7, TEXT),
    until(7, list(&[TEXT, I32S])),
    since(8, list(&[TEXT, since(9, TEXT), since(9, I32), list(&[TEXT, I32S])])),
    since(7, I8),
];
impl Wire<wire::OffsetFetchRequest> for OffsetFetchRequest {
    fn out(&self, version: i16) -> wire::OffsetFetchRequest {
        let mut out = wire::OffsetFetchRequest::default();
        if version >= 7 {
            out.require_stable = self.require_stable;
        }
        if version >= 8 {
            out.groups = self.groups.out(version);
        } else if let [alone] = &self.groups[..] {
            out.group_id = alone.group.out(version);
            out.topics = alone.partitions.out(version);
        }
        out
    }
    fn back(wire: wire::OffsetFetchRequest, version: i16) -> Self {
        let require_stable = wire.require_stable;
        let groups = if version >= 8 {
            Wire::back(wire.groups, version)
        } else {
            let group = Wire::back(wire.group_id, version);
            let partitions = Wire::back(wire.topics, version);
            vec![OffsetFetchGroup { group, member: None, partitions }]
        };
        OffsetFetchRequest { groups, require_stable }
    }
}
impl Wire<wire::offset_fetch_request::OffsetFetchRequestGroup> for OffsetFetchGroup {
    fn out(&self, version: i16) -> wire::offset_fetch_request::OffsetFetchRequestGroup {
        let mut out = wire::offset_fetch_request::OffsetFetchRequestGroup::default()
            .with_group_id(self.group.out(version))
            .with_topics(self.partitions.out(version));
        if let Some((member, epoch)) = self.member.as_ref().filter(|_| version >= 9) {
            (out.member_id, out.member_epoch) = (Some(member.out(version)), *epoch);
        }
        out
    }
    fn back(wire: wire::offset_fetch_request::OffsetFetchRequestGroup, version: i16) -> Self {
        let epoch = wire.member_epoch;
        OffsetFetchGroup {
            group: Wire::back(wire.group_id, version),
            member: wire.member_id.map(|member| (Wire::back(member, version), epoch)),
            partitions: Wire::back(wire.topics, version),
        }
    }
}
impl Wire<wire::OffsetFetchResponse> for OffsetFetchResponse {
    fn out(&self, version: i16) -> wire::OffsetFetchResponse {
        let mut out = wire::OffsetFetchResponse::default();
        if version >= 8 {
            out.groups = self.groups.out(version);
        } else if let [alone] = &self.groups[..] {
            // The oldest version knows errors of partitions only.
            if version < 2 || alone.error.is_ok() {
                out.topics = alone.partitions.out(version);
            }
            if version >= 2 {
                out.error_code = alone.error.out(version);
            }
        }
        out
    }
    fn back(wire: wire::OffsetFetchResponse, version: i16) -> Self {
        if version >= 8 {
            return OffsetFetchResponse { groups: Wire::back(wire.groups, version) };
        }
        // The group is not told: it is the one that was asked for.
        let (error, partitions) =
            (Wire::back(wire.error_code, version), Wire::back(wire.topics, version));
        OffsetFetchResponse { groups: vec![FetchedGroup { group: "".into(), error, partitions }] }
    }
}
fields!(FetchedGroup = wire::offset_fetch_response::OffsetFetchResponseGroup {
    group = group_id, error = error_code, partitions = topics,
} then |out, _version| { if out.error_code != 0 { out.topics.clear(); } });
topics!(FetchedOffset =
wire::offset_fetch_response::OffsetFetchResponseTopic { name, partitions }
/ wire::offset_fetch_response::OffsetFetchResponsePartition {
    partition = partition_index, error = error_code, offset = committed_offset,
    leader_epoch = committed_leader_epoch [5], metadata = metadata,
});
topics!(FetchedOffset =
wire::offset_fetch_response::OffsetFetchResponseTopics { name, partitions, topic_id }
/ wire::offset_fetch_response::OffsetFetchResponsePartitions {
    partition = partition_index, error = error_code, offset = committed_offset,
    leader_epoch = committed_leader_epoch, metadata = metadata,
});
numbers! {
    (TopicRef, i32) = wire::offset_fetch_request::OffsetFetchRequestTopic {
        name, partition_indexes
    };
    (TopicRef, i32) = wire::offset_fetch_request::OffsetFetchRequestTopics {
        name, partition_indexes
    };
}

pub const OFFSET_DELETE: Shape = &[TEXT, list(&[TEXT, list(&[I32])])];
fields!(OffsetDeleteRequest = wire::OffsetDeleteRequest { group = group_id, partitions = topics });
fields!(OffsetDeleteResponse = wire::OffsetDeleteResponse {
    error = error_code, partitions = topics,
});
rows! {
    (TopicRef, i32, ErrorCode) =
        wire::offset_commit_response::OffsetCommitResponseTopic { name, partitions, topic_id }
        / wire::offset_commit_response::OffsetCommitResponsePartition {
            1 = partition_index, 2 = error_code,
        };
    (TopicRef, i32, ErrorCode) =
        wire::txn_offset_commit_response::TxnOffsetCommitResponseTopic { name, partitions }
        / wire::txn_offset_commit_response::TxnOffsetCommitResponsePartition {
            1 = partition_index, 2 = error_code,
        };
    (TopicName, i32) =
        wire::offset_delete_request::OffsetDeleteRequestTopic { name, partitions }
        / wire::offset_delete_request::OffsetDeleteRequestPartition { 1 = partition_index };
    (TopicName, i32, ErrorCode) =
        wire::offset_delete_response::OffsetDeleteResponseTopic { name, partitions }
        / wire::offset_delete_response::OffsetDeleteResponsePartition {
            1 = partition_index, 2 = error_code,
        };
}
