//! Every check is broken once by a history made for it, and the histories that must not be flagged
//! are not.

mod applications;
mod cluster;
mod groups;
mod long;
mod losses;
mod producers;
mod quorum;
mod replication;
mod script;
mod transactions;

use std::sync::Arc;

use bytes::Bytes;
use seedlog::error::ErrorCode;
use seedlog::event::{Event, IsrView, RaftRole};
use seedlog::ids::{
    BrokerEpoch, ConnId, CorrelationId, Endpoint, LeaderEpoch, LogId, LogPoint, PartitionEpoch,
    ProducerEpoch, ProducerId, QuorumEpoch, TopicRef, Uuid,
};
use seedlog::log;
use seedlog::machine::{Effect, FileKey, LogName, Survived};
use seedlog::message::partition::LeaderRecovery;
use seedlog::message::produce::{
    Acks, ProducePartition, ProduceRequest, ProduceResponse, ProducedPartition,
};
use seedlog::message::transaction::TransactionVersion;
use seedlog::message::{Records, Request, Response};
use seedlog::metadata::record::PartitionChange;
use seedlog::metadata::{MetadataRecord, PartitionImage};
use seedlog::op::ConsumedRecord;
use seedlog::record::{self, BatchHeader, Builder};
use seedlog::time::Timestamp;

use self::script::*;
use super::ghost::GhostBatch;
use super::*;
