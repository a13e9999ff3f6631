//! Settings of clients, and of applications on them.

use alloc::format;
use alloc::string::{String, ToString};

use super::Setting;
use crate::message::transaction::TransactionVersion;
use crate::time::Duration;

setting_enum!(
    /// `acks`
    AcksSetting { None = "0", Leader = "1", All = "all", }
);
setting_enum!(
    /// `partitioner`: how a producer picks a partition for a record that names none.
    Partitioner { Murmur2 = "murmur2", Sticky = "sticky", RoundRobin = "roundrobin", }
);
setting_enum!(
    /// `auto.offset.reset`
    OffsetReset { Earliest = "earliest", Latest = "latest", None = "none", }
);
setting_enum!(
    /// `group.protocol`: who assigns partitions, a member (classic) or the coordinator (KIP-848).
    GroupProtocol { Classic = "classic", Consumer = "consumer", }
);
setting_enum!(
    /// `partition.assignment.strategy`: how the leader of a classic group assigns.
    AssignmentStrategy {
        Range = "range",
        RoundRobin = "roundrobin",
        Sticky = "sticky",
        CooperativeSticky = "cooperative-sticky",
    }
);
setting_enum!(
    /// `group.remote.assignor`: how the coordinator of a KIP-848 group assigns.
    RemoteAssignor { Uniform = "uniform", Range = "range", }
);
setting_enum!(
    /// `isolation.level`
    IsolationLevel { ReadUncommitted = "read_uncommitted", ReadCommitted = "read_committed", }
);

setting_enum!(
    /// `delivery`: what an application promises of each record that it takes.
    Delivery {
        AtMostOnce = "at-most-once",
        AtLeastOnce = "at-least-once",
        ExactlyOnce = "exactly-once",
    }
);

impl Setting for TransactionVersion {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text.trim() {
            "1" => Ok(TransactionVersion::V1),
            "2" => Ok(TransactionVersion::V2),
            _ => Err("one of: 1 2"),
        }
    }
    fn print(&self) -> String {
        match self {
            TransactionVersion::V1 => "1",
            TransactionVersion::V2 => "2",
        }
        .to_string()
    }
}

settings! {
    /// Settings of a producer.
    ProducerConfig {
        acks: AcksSetting = AcksSetting::All, "acks";
        batch_size: u32 = 16_384, "batch.size";
        buffer_memory: u64 = 32 << 20, "buffer.memory";
        delivery_timeout: Duration = Duration::from_secs(120), "delivery.timeout.ms", 1;
        enable_idempotence: bool = true, "enable.idempotence";
        linger: Duration = Duration::from_millis(5), "linger.ms";
        max_block: Duration = Duration::from_secs(60), "max.block.ms";
        max_in_flight: u32 = 5, "max.in.flight.requests.per.connection", 1;
        max_request_size: u32 = 1 << 20, "max.request.size";
        metadata_max_age: Duration = Duration::from_secs(300), "metadata.max.age.ms";
        partitioner: Partitioner = Partitioner::Murmur2, "partitioner";
        request_timeout: Duration = Duration::from_secs(30), "request.timeout.ms", 1;
        retries: u32 = u32::MAX, "retries";
        retry_backoff: Duration = Duration::from_millis(100), "retry.backoff.ms";
        retry_backoff_max: Duration = Duration::from_millis(1_000), "retry.backoff.max.ms";
        reconnect_backoff: Duration = Duration::from_millis(50), "reconnect.backoff.ms";
        reconnect_backoff_max: Duration = Duration::from_millis(1_000), "reconnect.backoff.max.ms";
        /// Not Kafka's: where sequence numbers wrap. The brokers' must be the same.
        sequence_max: i32 = i32::MAX, "producer.sequence.max", 1;
        transaction_timeout: Duration = Duration::from_secs(60), "transaction.timeout.ms", 1;
        /// Not Kafka's, whose clients ask the brokers what the cluster has agreed on.
        transaction_protocol: TransactionVersion = TransactionVersion::V2, "transaction.protocol";
    }
}

settings! {
    /// Settings of a consumer.
    ConsumerConfig {
        auto_commit_interval: Duration = Duration::from_secs(5), "auto.commit.interval.ms", 1;
        auto_offset_reset: OffsetReset = OffsetReset::Latest, "auto.offset.reset";
        /// How long a call for a group's offsets may take.
        api_timeout: Duration = Duration::from_secs(60), "default.api.timeout.ms", 1;
        check_crcs: bool = true, "check.crcs";
        enable_auto_commit: bool = true, "enable.auto.commit";
        fetch_max_bytes: u32 = 50 << 20, "fetch.max.bytes";
        fetch_max_wait: Duration = Duration::from_millis(500), "fetch.max.wait.ms";
        fetch_min_bytes: u32 = 1, "fetch.min.bytes";
        group_protocol: GroupProtocol = GroupProtocol::Classic, "group.protocol";
        group_remote_assignor: RemoteAssignor = RemoteAssignor::Uniform, "group.remote.assignor";
        /// Of the classic protocol.
        heartbeat_interval: Duration = Duration::from_secs(3), "heartbeat.interval.ms", 1;
        isolation_level: IsolationLevel = IsolationLevel::ReadUncommitted, "isolation.level";
        max_partition_fetch_bytes: u32 = 1 << 20, "max.partition.fetch.bytes";
        /// A member that does not poll that long leaves its group.
        max_poll_interval: Duration = Duration::from_secs(300), "max.poll.interval.ms", 1;
        metadata_max_age: Duration = Duration::from_secs(300), "metadata.max.age.ms";
        /// Kafka's default is range first, then cooperative-sticky.
        partition_assignment_strategy: AssignmentStrategy = AssignmentStrategy::Range,
            "partition.assignment.strategy";
        request_timeout: Duration = Duration::from_secs(30), "request.timeout.ms", 1;
        retry_backoff: Duration = Duration::from_millis(100), "retry.backoff.ms";
        retry_backoff_max: Duration = Duration::from_millis(1_000), "retry.backoff.max.ms";
        reconnect_backoff: Duration = Duration::from_millis(50), "reconnect.backoff.ms";
        reconnect_backoff_max: Duration = Duration::from_millis(1_000), "reconnect.backoff.max.ms";
        /// Of the classic protocol.
        session_timeout: Duration = Duration::from_secs(45), "session.timeout.ms", 1;
    }
}

settings! {
    /// Settings of an application. The names are Kafka's where Kafka, or Kafka Streams, has one.
    AppConfig {
        delivery: Delivery = Delivery::AtLeastOnce, "delivery";
        /// How long what is done waits for company before it is committed.
        commit_interval: Duration = Duration::from_millis(100), "commit.interval.ms";
        max_poll_records: usize = 500, "max.poll.records", 1;
        /// Records that are held at a time; no more are polled meanwhile.
        buffered_records: usize = 1_000, "buffered.records", 1;
        /// Records that are being processed at a time; a transaction takes one after another.
        workers: usize = 16, "workers", 1;
        /// Whether records of one key wait for each other. With exactly-once all of a partition do,
        /// as the position that the transaction commits speaks for all before it.
        ordered: bool = true, "ordered";
        retry_backoff: Duration = Duration::from_millis(100), "retry.backoff.ms", 1;
        /// How long an answer of the external store may take.
        store_timeout: Duration = Duration::from_secs(1), "store.timeout.ms", 1;
    }
}

settings! {
    /// Settings of an admin client.
    AdminConfig {
        request_timeout: Duration = Duration::from_secs(30), "request.timeout.ms", 1;
        api_timeout: Duration = Duration::from_secs(60), "default.api.timeout.ms", 1;
        retry_backoff: Duration = Duration::from_millis(100), "retry.backoff.ms";
        retry_backoff_max: Duration = Duration::from_millis(1_000), "retry.backoff.max.ms";
        reconnect_backoff: Duration = Duration::from_millis(50), "reconnect.backoff.ms";
        reconnect_backoff_max: Duration = Duration::from_millis(1_000), "reconnect.backoff.max.ms";
    }
}
