//! Settings under Kafka's names, with Kafka's defaults unless a line says otherwise.
//!
//! Units are part of a name only here, at the edge (`.ms`, `.bytes`); inside they are types.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::defect::Defects;
use crate::message::transaction::TransactionVersion;
use crate::time::{Duration, millis};

/// A setting's type: how it reads from and prints to text.
pub trait Setting: Sized {
    /// # Errors
    /// What was expected, for the user.
    fn parse(text: &str) -> Result<Self, &'static str>;
    fn print(&self) -> String;
}

macro_rules! number_setting {
    ($($type:ty),*) => {$(
        impl Setting for $type {
            fn parse(text: &str) -> Result<Self, &'static str> {
                text.trim().parse().map_err(|_| concat!("a number (", stringify!($type), ")"))
            }
            fn print(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
number_setting!(i16, i32, u32, i64, u64, usize);

impl Setting for bool {
    fn parse(text: &str) -> Result<Self, &'static str> {
        text.trim().parse().map_err(|_| "true or false")
    }
    fn print(&self) -> String {
        self.to_string()
    }
}

/// Milliseconds, as every `.ms` setting of Kafka counts.
impl Setting for Duration {
    fn parse(text: &str) -> Result<Self, &'static str> {
        text.trim().parse().map(Duration::from_millis).map_err(|_| "milliseconds (a whole number)")
    }
    fn print(&self) -> String {
        millis(*self).to_string()
    }
}

/// A limit that -1 lifts.
impl<T: Setting> Setting for Option<T> {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text.trim() == "-1" { Ok(None) } else { T::parse(text).map(Some) }
    }
    fn print(&self) -> String {
        self.as_ref().map_or_else(|| "-1".to_string(), T::print)
    }
}

macro_rules! setting_enum {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($variant,)* }

        impl Setting for $name {
            fn parse(text: &str) -> Result<Self, &'static str> {
                match text.trim() {
                    $($text => Ok($name::$variant),)*
                    _ => Err(concat!("one of:" $(, " ", $text)*)),
                }
            }
            fn print(&self) -> String {
                match self { $($name::$variant => $text,)* }.to_string()
            }
        }
    };
}

setting_enum!(
    /// `cleanup.policy`
    CleanupPolicy { Delete = "delete", Compact = "compact", CompactDelete = "compact,delete", }
);
setting_enum!(
    /// `message.timestamp.type`
    TimestampType { CreateTime = "CreateTime", LogAppendTime = "LogAppendTime", }
);
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

/// Refuses a number below what a setting takes; what is no number is refused when it is parsed.
fn at_least(low: i64, name: &str, value: &str) -> Result<(), String> {
    match value.trim().parse::<i128>() {
        Ok(number) if number < i128::from(low) => {
            Err(format!("{name} = {value:?}: expected at least {low}"))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// A setting's name and value.
pub type Pair = (String, String);

fn pair(
    text: &str,
    names: &[&str],
    set: impl FnOnce(&str, &str) -> Result<(), String>,
) -> Result<Pair, String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let (name, value) = (name.trim(), value.trim());
    set(name, value).map_err(|what| match topic_setting(name) {
        Some(_) | None if names.contains(&name) => what,
        Some(own) => format!("topics have that one: give them {own:?} as they are made"),
        None => format!("unknown setting; {}", suggestion(name, names)),
    })?;
    Ok((name.to_string(), value.to_string()))
}

/// Makes a struct of settings that can be listed, set and printed by name. A number behind the name
/// is the least that the setting takes: Kafka's, or 1 where less would keep a process busy for
/// ever.
macro_rules! settings {
    ($(#[$meta:meta])* $name:ident {
        $(
            $(#[$doc:meta])*
            $field:ident: $type:ty = $default:expr, $key:literal $(, $low:literal)?;
        )*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name { $($(#[$doc])* pub $field: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                $name { $($field: $default,)* }
            }
        }

        impl $name {
            /// The names that [`Self::set`] takes.
            pub const NAMES: &'static [&'static str] = &[$($key,)*];

            /// Sets one value by its name.
            ///
            /// # Errors
            /// One line for the user: what the value has to be.
            pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
                match name {
                    $($key => {
                        $(at_least($low, name, value)?;)?
                        match Setting::parse(value) {
                            Ok(parsed) => self.$field = parsed,
                            Err(expected) => {
                                return Err(format!("{name} = {value:?}: expected {expected}"));
                            }
                        }
                    })*
                    _ => return Err(format!("unknown setting {name:?}")),
                }
                Ok(())
            }

            /// Reads `name=value` of one of these settings.
            ///
            /// # Errors
            /// One line for the user: what is wrong with it, and how to mend that.
            pub fn pair(text: &str) -> Result<Pair, String> {
                pair(text, Self::NAMES, |name, value| Self::default().set(name, value))
            }

            /// Sets what [`Self::pair`] has read.
            ///
            /// # Errors
            /// One line for the user, where it was not that function.
            pub fn set_pairs(&mut self, pairs: &[Pair]) -> Result<(), String> {
                pairs.iter().try_for_each(|(name, value)| self.set(name, value))
            }

            /// One value by its name, as text.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<String> {
                match name {
                    $($key => Some(self.$field.print()),)*
                    _ => None,
                }
            }
        }
    };
}

settings! {
    /// Settings of a topic.
    TopicConfig {
        cleanup_policy: CleanupPolicy = CleanupPolicy::Delete, "cleanup.policy";
        delete_retention: Duration = Duration::from_secs(86_400), "delete.retention.ms";
        flush_messages: i64 = i64::MAX, "flush.messages", 1;
        max_message_bytes: u32 = 1_048_588, "max.message.bytes";
        message_timestamp_type: TimestampType = TimestampType::CreateTime, "message.timestamp.type";
        min_insync_replicas: u32 = 1, "min.insync.replicas", 1;
        retention: Option<Duration> = Some(Duration::from_secs(7 * 86_400)), "retention.ms";
        retention_bytes: Option<u64> = None, "retention.bytes";
        segment_bytes: u32 = 1 << 30, "segment.bytes", 14;
        segment_age: Duration = Duration::from_secs(7 * 86_400), "segment.ms", 1;
        /// Not Kafka's: rolls a segment after so many records, to make small logs interesting.
        segment_records: u32 = u32::MAX, "segment.records", 1;
        unclean_leader_election: bool = false, "unclean.leader.election.enable";
    }
}

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

/// The topic's setting whose default a setting of Kafka's brokers is. It has none here: topics are
/// given what differs.
#[must_use]
pub fn topic_setting(broker_setting: &str) -> Option<&'static str> {
    Some(match broker_setting {
        "log.cleanup.policy" => "cleanup.policy",
        "log.cleaner.delete.retention.ms" => "delete.retention.ms",
        "log.flush.interval.messages" => "flush.messages",
        "message.max.bytes" => "max.message.bytes",
        "log.message.timestamp.type" => "message.timestamp.type",
        "log.retention.ms" | "log.retention.minutes" | "log.retention.hours" => "retention.ms",
        "log.retention.bytes" => "retention.bytes",
        "log.segment.bytes" => "segment.bytes",
        "log.roll.ms" | "log.roll.hours" => "segment.ms",
        own => TopicConfig::NAMES.iter().find(|name| **name == own)?,
    })
}

/// How to mend an unknown name: the nearest known one, those that contain it, or all of them.
#[must_use]
pub fn suggestion(unknown: &str, known: &[&str]) -> String {
    let nearest = known.iter().min_by_key(|name| (distance(unknown, name), **name));
    if let Some(name) = nearest
        && distance(unknown, name) <= 2.max(unknown.len() / 3)
    {
        return format!("did you mean {name:?}?");
    }
    let contains = |name: &&str| unknown.len() > 2 && name.contains(unknown);
    let mut alike: Vec<&str> = known.iter().copied().filter(contains).collect();
    if alike.is_empty() {
        alike = known.to_vec();
        alike.sort_unstable();
    }
    if alike.is_empty() { "take it out".into() } else { format!("one of: {}", alike.join(", ")) }
}

/// Edits between two names (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let cost = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = cost.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_survives_its_own_text() {
        let mut config = TopicConfig::default();
        for name in TopicConfig::NAMES {
            let text = config.get(name).expect("a listed name is known");
            config.set(name, &text).expect("what is printed can be parsed");
        }
        assert_eq!(config, TopicConfig::default());
    }

    #[test]
    fn a_wrong_value_says_what_was_expected() {
        let mut config = TopicConfig::default();
        assert_eq!(
            config.set("min.insync.replicas", "two"),
            Err("min.insync.replicas = \"two\": expected a number (u32)".into())
        );
        assert_eq!(
            config.set("segment.bytes", "0"),
            Err("segment.bytes = \"0\": expected at least 14".into())
        );
        assert_eq!(config.set("retention", "1"), Err("unknown setting \"retention\"".into()));
        assert_eq!(config.set("retention.ms", "-1"), Ok(()));
        assert_eq!(config.retention, None);
    }

    #[test]
    fn what_brokers_cannot_hold_is_refused() {
        let checked = |name: &str, value: &str, brokers| {
            let mut config = BrokerConfig::default();
            config.set(name, value).expect("a legal value");
            config.check_replicas(brokers)
        };
        let most =
            |what: &str, most: u16| Err(format!("{what}: there are {most} replicas at most"));
        assert_eq!(checked("default.replication.factor", "3", 3), Ok(()));
        let table = [
            ("default.replication.factor", "9", 3),
            ("offsets.topic.replication.factor", "5", 3),
            ("transaction.state.log.replication.factor", "4", 3),
            ("transaction.state.log.min.isr", "5", 3),
        ];
        for (name, value, brokers) in table {
            let what = format!("{name} = {value}");
            assert_eq!(checked(name, value, brokers), most(&what, brokers));
        }
        let fewer = checked("transaction.state.log.replication.factor", "1", 3);
        assert_eq!(fewer, most("transaction.state.log.min.isr = 2", 1));
    }

    #[test]
    fn a_pair_that_is_no_setting_says_how_to_mend_it() {
        let pair = |text: &str| BrokerConfig::pair(text).map(|(name, _)| name);
        let wrong = |text: &str| pair(text).expect_err("it is none");
        assert_eq!(pair("num.partitions = 3"), Ok("num.partitions".into()));
        assert_eq!(wrong("num.partitions"), "expected NAME=VALUE");
        assert_eq!(wrong("num.partitions=0"), "num.partitions = \"0\": expected at least 1");
        assert_eq!(wrong("num.partition=3"), "unknown setting; did you mean \"num.partitions\"?");
        for (name, own) in
            [("log.retention.ms", "retention.ms"), ("min.insync.replicas", "min.insync.replicas")]
        {
            let cure = format!("topics have that one: give them {own:?} as they are made");
            assert_eq!(wrong(&format!("{name}=2")), cure);
        }
    }
}
