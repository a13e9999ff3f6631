//! How the internal topics are made.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::config::{BrokerConfig, Setting as _};
use crate::ids::TopicName;
use crate::message::admin::CreatableTopic;
use crate::message::coordinator::CoordinatorKind;

/// How the topic is made when it is first needed.
pub(super) fn creatable(kind: CoordinatorKind, config: &BrokerConfig) -> CreatableTopic {
    let setting = |name: &str, value: Arc<str>| (Arc::from(name), Some(value));
    let mut configs: Vec<(Arc<str>, Option<Arc<str>>)> =
        alloc::vec![setting("cleanup.policy", Arc::from("compact"))];
    let (partitions, replicas, segment_bytes) = match kind {
        CoordinatorKind::Group => (
            config.offsets_topic_partitions,
            config.offsets_topic_replication_factor,
            config.offsets_topic_segment_bytes,
        ),
        CoordinatorKind::Transaction => {
            let min_isr = config.transaction_log_min_isr.print();
            configs.push(setting("min.insync.replicas", Arc::from(min_isr)));
            (
                config.transaction_log_partitions,
                config.transaction_log_replication_factor,
                config.transaction_log_segment_bytes,
            )
        }
    };
    configs.push(setting("segment.bytes", Arc::from(segment_bytes.print())));
    CreatableTopic {
        name: TopicName::from(kind.topic()),
        num_partitions: partitions,
        replication_factor: replicas,
        assignments: Vec::new(),
        configs,
    }
}
