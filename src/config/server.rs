//! Settings of brokers and controllers.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use super::Setting;
use crate::defect::Defects;
use crate::time::Duration;

settings! {
    /// Settings of a broker.
    BrokerConfig {
        default_replication_factor: i16 = 1, "default.replication.factor", 1;
        num_partitions: i32 = 1, "num.partitions", 1;
        auto_create_topics: bool = false, "auto.create.topics.enable";
        broker_heartbeat_interval: Duration = Duration::from_millis(2_000),
            "broker.heartbeat.interval.ms", 1;
        controlled_shutdown: bool = true, "controlled.shutdown.enable";
        log_retention_check_interval: Duration = Duration::from_secs(300),
            "log.retention.check.interval.ms", 1;
        /// How often HW and log start checkpoints are written.
        high_watermark_checkpoint_interval: Duration = Duration::from_secs(5),
            "replica.high.watermark.checkpoint.interval.ms", 1;
        replica_lag_time_max: Duration = Duration::from_secs(30), "replica.lag.time.max.ms", 1;
        replica_fetch_wait_max: Duration = Duration::from_millis(500), "replica.fetch.wait.max.ms";
        replica_fetch_backoff: Duration = Duration::from_millis(1_000), "replica.fetch.backoff.ms";
        replica_fetch_max_bytes: u32 = 1 << 20, "replica.fetch.max.bytes";
        replica_fetch_response_max_bytes: u32 = 10 << 20, "replica.fetch.response.max.bytes";
        request_timeout: Duration = Duration::from_secs(30), "request.timeout.ms", 1;
        producer_id_expiration: Duration = Duration::from_secs(86_400),
            "producer.id.expiration.ms", 1;
        offsets_topic_partitions: i32 = 50, "offsets.topic.num.partitions", 1;
        offsets_topic_replication_factor: i16 = 3, "offsets.topic.replication.factor", 1;
        offsets_topic_segment_bytes: u32 = 100 << 20, "offsets.topic.segment.bytes", 1;
        transaction_log_partitions: i32 = 50, "transaction.state.log.num.partitions", 1;
        transaction_log_replication_factor: i16 = 3, "transaction.state.log.replication.factor", 1;
        transaction_log_segment_bytes: u32 = 100 << 20, "transaction.state.log.segment.bytes", 1;
        transaction_log_min_isr: u32 = 2, "transaction.state.log.min.isr", 1;
        transaction_max_timeout: Duration = Duration::from_secs(900),
            "transaction.max.timeout.ms", 1;
        transaction_timeout_sweep_interval: Duration = Duration::from_secs(10),
            "transaction.abort.timed.out.transaction.cleanup.interval.ms", 1;
        transactional_id_sweep_interval: Duration = Duration::from_secs(3_600),
            "transaction.remove.expired.transaction.cleanup.interval.ms", 1;
        transactional_id_expiration: Duration = Duration::from_secs(7 * 86_400),
            "transactional.id.expiration.ms", 1;
        /// Not Kafka's: where a producer id's epochs end, to reach that in a short run.
        producer_epoch_max: i16 = i16::MAX, "producer.epoch.max", 3;
        /// Not Kafka's: where sequence numbers wrap, to reach the wrap in a short run.
        sequence_max: i32 = i32::MAX, "producer.sequence.max", 1;
        group_initial_rebalance_delay: Duration = Duration::from_secs(3),
            "group.initial.rebalance.delay.ms";
        group_min_session_timeout: Duration = Duration::from_secs(6),
            "group.min.session.timeout.ms", 1;
        group_max_session_timeout: Duration = Duration::from_secs(1_800),
            "group.max.session.timeout.ms", 1;
        /// Members of a classic group.
        group_max_size: u32 = 2_147_483_647, "group.max.size", 1;
        /// Of members of the KIP-848 protocol, who do not say.
        group_consumer_session_timeout: Duration = Duration::from_secs(45),
            "group.consumer.session.timeout.ms", 1;
        group_consumer_heartbeat_interval: Duration = Duration::from_secs(5),
            "group.consumer.heartbeat.interval.ms", 1;
        group_consumer_max_size: u32 = 2_147_483_647, "group.consumer.max.size", 1;
        offset_metadata_max_bytes: u32 = 4_096, "offset.metadata.max.bytes";
        offsets_commit_timeout: Duration = Duration::from_secs(5), "offsets.commit.timeout.ms", 1;
        offsets_retention_minutes: u32 = 10_080, "offsets.retention.minutes", 1;
        offsets_retention_check_interval: Duration = Duration::from_secs(600),
            "offsets.retention.check.interval.ms", 1;
    }
}

impl BrokerConfig {
    /// Refuses more replicas than so many brokers can hold: who needs them would wait for ever.
    ///
    /// # Errors
    /// One line for the user.
    pub fn check_replicas(&self, brokers: u16) -> Result<(), String> {
        let (all, log) = (i64::from(brokers), i64::from(self.transaction_log_replication_factor));
        let limits = [
            ("default.replication.factor", self.default_replication_factor.into(), all),
            ("offsets.topic.replication.factor", self.offsets_topic_replication_factor.into(), all),
            ("transaction.state.log.replication.factor", log, all),
            ("transaction.state.log.min.isr", i64::from(self.transaction_log_min_isr), log),
        ];
        match limits.iter().find(|(_, value, limit)| value > limit) {
            Some((name, value, limit)) => {
                Err(format!("{name} = {value}: there are {limit} replicas at most"))
            }
            None => Ok(()),
        }
    }
}

settings! {
    /// Settings of a controller.
    ControllerConfig {
        broker_session_timeout: Duration = Duration::from_millis(9_000),
            "broker.session.timeout.ms", 1;
        /// Whether partitions keep eligible leader replicas (KIP-966).
        eligible_leader_replicas: bool = true, "eligible.leader.replicas.enable";
        leader_imbalance_check_interval: Duration = Duration::from_secs(300),
            "leader.imbalance.check.interval.ms", 1;
        auto_leader_rebalance: bool = true, "auto.leader.rebalance.enable";
        /// Not Kafka's, which leaves this to tools such as Cruise Control: whether, as often as
        /// leaders are, replicas are evened out too when brokers have joined or were unregistered.
        auto_replica_rebalance: bool = false, "auto.replica.rebalance.enable";
        default_replication_factor: i16 = 1, "default.replication.factor", 1;
        num_partitions: i32 = 1, "num.partitions", 1;
        /// Ids in a block that a broker takes (KIP-730).
        producer_id_block: i32 = 1_000, "producer.id.block.size", 1;
        no_op_interval: Duration = Duration::from_millis(500), "metadata.max.idle.interval.ms", 1;
        request_timeout: Duration = Duration::from_secs(30), "request.timeout.ms", 1;
    }
}

settings! {
    /// Settings of the metadata quorum, for voters and observers.
    QuorumConfig {
        election_timeout: Duration = Duration::from_millis(1_000),
            "controller.quorum.election.timeout.ms", 1;
        fetch_timeout: Duration = Duration::from_millis(2_000),
            "controller.quorum.fetch.timeout.ms", 1;
        election_backoff_max: Duration = Duration::from_millis(1_000),
            "controller.quorum.election.backoff.max.ms";
        append_linger: Duration = Duration::from_millis(25), "controller.quorum.append.linger.ms";
        request_timeout: Duration = Duration::from_millis(2_000),
            "controller.quorum.request.timeout.ms", 1;
        retry_backoff: Duration = Duration::from_millis(20), "controller.quorum.retry.backoff.ms";
        fetch_max_wait: Duration = Duration::from_millis(500),
            "controller.quorum.fetch.max.wait.ms";
        fetch_max_bytes: u32 = 1 << 20, "controller.quorum.fetch.snapshot.max.bytes";
        /// Bytes of committed metadata after which a node takes its next snapshot (KIP-630).
        /// Kafka's default is 20 MiB, which no short run reaches.
        snapshot_bytes: u64 = 8 << 10, "metadata.log.max.record.bytes.between.snapshots", 1;
    }
}

/// What every server of a cluster agrees on, and what one server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerConfig {
    pub node: crate::ids::NodeId,
    pub cluster_id: Arc<str>,
    pub endpoint: crate::ids::Endpoint,
    pub rack: Option<Arc<str>>,
    /// The controllers that vote, with where they listen.
    pub voters: Arc<[Voter]>,
    pub quorum: QuorumConfig,
    pub defects: Defects,
}

/// A voter of the metadata quorum, as configured.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Voter {
    pub key: crate::message::raft::ReplicaKey,
    pub endpoint: crate::ids::Endpoint,
}
