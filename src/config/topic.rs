//! Settings of topics.

use alloc::format;
use alloc::string::{String, ToString};

use super::Setting;
use crate::time::Duration;

setting_enum!(
    /// `cleanup.policy`
    CleanupPolicy { Delete = "delete", Compact = "compact", CompactDelete = "compact,delete", }
);
setting_enum!(
    /// `message.timestamp.type`
    TimestampType { CreateTime = "CreateTime", LogAppendTime = "LogAppendTime", }
);
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
