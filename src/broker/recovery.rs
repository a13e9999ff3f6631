//! The start of an incarnation: what the disk holds, and who this broker is.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::broker::controller_channel::ControllerChannel;
use crate::broker::coordination::Coordinators;
use crate::broker::fetcher::Fetchers;
use crate::broker::forward::Forwards;
use crate::broker::isr_changes::IsrChanges;
use crate::broker::lifecycle::Lifecycle;
use crate::broker::metadata_log::Metadata;
use crate::broker::partitions::Partitions;
use crate::broker::producer_ids::ProducerIds;
use crate::broker::purgatory::Purgatory;
use crate::broker::transaction::Transactions;
use crate::broker::{Broker, BrokerSetup, METADATA_LOG, Timer, checkpoint};
use crate::format;
use crate::ids::{BrokerEpoch, LogId, Offset, PartitionId, Uuid};
use crate::machine::{Effect, Effects, FileKey, LogName, Survived, SurvivedLog};
use crate::message::raft::ReplicaKey;
use crate::raft::Raft;
use crate::rng::Rng;
use crate::time::{Now, Timers};

/// Logs of partitions as the last incarnation left them, until the metadata tells what they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// The small files beside the logs, and the logs, once only.
    survived: Survived,
    high_watermarks: BTreeMap<PartitionId, Offset>,
}

impl Found {
    fn new(survived: Survived) -> Self {
        let file = survived.file(FileKey::HighWatermarks);
        let high_watermarks = file.map(|file| checkpoint::decode(file)).unwrap_or_default();
        Found { survived, high_watermarks }
    }

    pub(super) fn files(&self) -> &Survived {
        &self.survived
    }

    pub(super) fn high_watermark(&self, id: PartitionId) -> Option<Offset> {
        self.high_watermarks.get(&id).copied()
    }

    /// Takes the log of exactly that partition, or, by `same`, of one that passes for it.
    pub(super) fn take(&mut self, same: impl Fn(&LogName) -> bool) -> Option<SurvivedLog> {
        let index = self.survived.logs.iter().position(|log| same(&log.name))?;
        Some(self.survived.logs.remove(index))
    }

    /// The logs that nobody claimed. All the rest has served its purpose.
    pub(super) fn into_strays(self) -> Vec<SurvivedLog> {
        self.survived.logs
    }
}

impl Broker {
    /// Starts a new incarnation over whatever a crash or a shutdown left on its disk. `seed` has to
    /// be new for each incarnation. [`Op::Close`](crate::op::Op::Close) shuts it down in a
    /// controlled way.
    #[must_use]
    pub fn start(
        setup: &Arc<BrokerSetup>,
        seed: [u8; 32],
        now: Now,
        survived: Survived,
        out: &mut Effects,
    ) -> Self {
        let mut rng = Rng::new(seed);
        let server = &setup.server;
        let file = survived.file(FileKey::MetaProperties);
        let (directory, file) = format::identity(file, &server.cluster_id, server.node, &mut rng);
        if let Some(value) = file {
            out.push(Effect::Save { file: FileKey::MetaProperties, value });
        }
        let previous_epoch = last_clean_epoch(&survived, out);
        let incarnation = Uuid::random(&mut rng);
        let key = ReplicaKey { node: setup.server.node, directory };
        let mut seed = [0; 32];
        for chunk in seed.chunks_exact_mut(8) {
            chunk.copy_from_slice(&rng.next_u64().to_le_bytes());
        }
        let raft =
            Raft::start(&setup.server, key, Rng::new(seed), now, &survived, METADATA_LOG, out);
        let last_log = survived.logs.iter().map(|log| log.log).max().unwrap_or(METADATA_LOG);
        let mut found = survived;
        found.logs.retain(|log| matches!(&*log.name, LogName::Partition { .. }));
        let mut timers = Timers::default();
        let every = setup.broker.high_watermark_checkpoint_interval;
        timers.set(Timer::Checkpoint, now.mono + every);
        let every = setup.broker.log_retention_check_interval;
        timers.set(Timer::Retention, now.mono + every);
        let mut broker = Broker {
            setup: Arc::clone(setup),
            rng,
            raft,
            metadata: Metadata::new(),
            lifecycle: Lifecycle::new(incarnation, directory, previous_epoch, now.mono),
            controller: ControllerChannel::new(),
            forwards: Forwards::default(),
            isr_changes: IsrChanges::default(),
            producer_ids: ProducerIds::default(),
            partitions: Partitions::new(LogId(last_log.0 + 1)),
            fetchers: Fetchers::new(),
            purgatory: Purgatory::default(),
            coordinators: Coordinators::new(),
            transactions: Transactions::new(),
            timers,
            auto_creating: BTreeSet::new(),
            found: Found::new(found),
            written_high_watermarks: Bytes::new(),
            deletions: Vec::new(),
            lookups: Vec::new(),
            shutdown: None,
        };
        broker.settle(now, out);
        broker
    }
}

/// The epoch of the last incarnation if it was shut down cleanly (KIP-966). The mark holds for one
/// start only.
fn last_clean_epoch(survived: &Survived, out: &mut Effects) -> BrokerEpoch {
    let Some(file) = survived.file(FileKey::CleanShutdown) else { return BrokerEpoch::NONE };
    out.push(Effect::Delete { file: FileKey::CleanShutdown });
    let text = core::str::from_utf8(file).ok();
    text.and_then(|text| text.trim().parse().ok()).map_or(BrokerEpoch::NONE, BrokerEpoch)
}
