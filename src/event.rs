//! What checkers may observe beside the effects themselves. A note never changes what a machine
//! does.
//!
//! Appends, truncations and messages need no note: the driver sees them as effects.

use alloc::sync::Arc;

use bytes::Bytes;

use crate::config::OffsetReset;
use crate::ids::{
    BrokerEpoch, LeaderEpoch, LogPoint, NodeId, Offset, PartitionEpoch, PartitionId, ProducerEpoch,
    ProducerId, QuorumEpoch, TopicId, TopicName,
};
use crate::op::{Outcome, Rebalance, SendRecord};
use crate::time::Duration;

/// An observation. Kept small: it shares a cache line with the other effects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// This broker starts to lead a partition; `start` is its leader-epoch start offset (LESO).
    LeaderStarted { partition: PartitionId, leader_epoch: LeaderEpoch, start: Offset },
    /// This broker starts to follow, in a new leader epoch.
    FollowerStarted { partition: PartitionId, leader_epoch: LeaderEpoch, leader: NodeId },
    /// This broker no longer hosts the partition, or it has no leader.
    ReplicaStopped { partition: PartitionId },
    /// A replica's high watermark moved.
    HighWatermark {
        partition: PartitionId,
        leader_epoch: LeaderEpoch,
        offset: Offset,
        /// Whether this replica leads.
        leads: bool,
    },
    /// The leader's view of the ISR changed; see [`IsrView`].
    Isr { partition: PartitionId, view: Arc<IsrView> },
    /// A broker learned its epoch from the controller.
    Registered { epoch: BrokerEpoch },
    /// A broker was fenced or unfenced, by its own image.
    Fenced { fenced: bool },
    /// A broker has applied the metadata log up to and including `offset`.
    MetadataApplied { offset: Offset, state: u64 },
    /// Raft: this node's durable epoch and vote, once durable.
    Voted { epoch: QuorumEpoch, for_node: NodeId },
    /// Raft: a role began.
    RoleChanged { epoch: QuorumEpoch, role: RaftRole, leader: NodeId },
    /// Raft: the high watermark that this node knows.
    QuorumHighWatermark { epoch: QuorumEpoch, offset: Offset, leads: bool },
    /// Raft: a snapshot was taken or loaded; the log starts at its end.
    Snapshot { point: LogPoint, loaded: bool },
    /// A controller has applied committed records up to and including `offset`; `state` is a hash
    /// of its image.
    StateApplied { offset: Offset, state: u64 },
    /// The controller answers a request that rests on the records below `offset`; those below
    /// `committed` are committed.
    ControllerReplied { offset: Offset, committed: Offset },
    /// Transaction coordinator: a transition of one transactional id.
    Transaction(Arc<TransactionNote>),
    /// Group coordinator: what a group has become.
    Group(Arc<GroupNote>),
    /// Group coordinator: an offset was committed.
    OffsetCommitted(Arc<OffsetNote>),
    /// An application, or the store beside it: what it has done.
    Application(Arc<ApplicationNote>),
    /// A consumer that has no place in a partition asks for one, or gets it.
    Reset(Arc<ResetNote>),
    /// A rare branch was reached: proves that runs get there.
    Sometimes(Mark),
}

macro_rules! marks {
    ($($(#[$doc:meta])* $mark:ident = $name:literal,)*) => {
        /// A rare branch that is worth proof that some run reaches it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mark {
            $($(#[$doc])* $mark,)*
        }

        impl Mark {
            pub const ALL: &'static [Mark] = &[$(Mark::$mark,)*];

            /// The name that reports and scenarios use.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Mark::$mark => $name,)* }
            }

            /// Its place in [`Mark::ALL`].
            #[must_use]
            pub const fn index(self) -> usize {
                let mut index = 0;
                $(
                    if matches!(self, Mark::$mark) {
                        return index;
                    }
                    index += 1;
                )*
                index
            }
        }
    };
}

marks! {
    /// Recovery cut off what follows the last whole batch.
    TornTailCut = "torn-tail-cut",
    /// A follower cut records that its leader does not have (KIP-101, KIP-279).
    DivergenceTruncated = "divergence-truncated",
    /// A follower began again where its leader's log begins: what came between is deleted.
    FollowerReset = "follower-reset",
    /// A leader refused a follower's fetch for its leader epoch (KIP-320).
    FetchFenced = "fetch-fenced",
    /// A follower fetched a batch that is damaged, and did not append it.
    CorruptFetched = "corrupt-fetched",
    /// A leader refused a damaged batch.
    CorruptRefused = "corrupt-refused",
    /// A leader acknowledged a batch again that its log had already (KIP-98).
    DuplicateAnswered = "duplicate-answered",
    /// A batch with acks=all was appended, and then the ISR was too small for it.
    NotEnoughReplicasAfterAppend = "not-enough-replicas-after-append",
    /// A produce request waited for its replicas until its time was up.
    ProduceTimedOut = "produce-timed-out",
    /// The controller refused a member that a leader wanted in its ISR, and the leader took the
    /// proposal back (KIP-497).
    IsrExpandRolledBack = "isr-expand-rolled-back",
    /// The controller refused a fenced broker, or another incarnation, for an ISR (KIP-841,
    /// KIP-903).
    IneligibleReplica = "ineligible-replica",
    /// The controller refused a change of an ISR that has changed since (KIP-497).
    StaleIsrRefused = "stale-isr-refused",
    /// A member of the ELR was elected: the ISR was empty (KIP-966).
    ElrElected = "elr-elected",
    /// The last known leader was elected: ISR and ELR were empty (KIP-966).
    LastLeaderElected = "last-leader-elected",
    /// A replica from outside of ISR and ELR was elected, as the topic allows.
    UncleanElected = "unclean-elected",
    /// A partition lost its leader, and nobody could take its place.
    Leaderless = "leaderless",
    /// A controller lost its leadership before what it had decided was committed, and refused the
    /// requests that it had decided.
    DecisionDropped = "decision-dropped",
    /// A broker's registration was refused while another incarnation was alive (KIP-631).
    RegistrationRefused = "registration-refused",
    /// A quorum leader resigned because it heard of no majority (check-quorum).
    CheckQuorumResigned = "check-quorum-resigned",
    /// A voter refused a pre-vote (KIP-996).
    PreVoteRefused = "pre-vote-refused",
    /// A node of the quorum cut metadata records that its leader does not have.
    MetadataTruncated = "metadata-truncated",
    /// A node of the quorum loaded a snapshot from its leader (KIP-630).
    SnapshotLoaded = "snapshot-loaded",
    /// A producer sends a batch again that was refused as out of order.
    OutOfOrderRetried = "out-of-order-retried",
    /// A producer started its numbers over, under a higher epoch (KIP-360).
    ProducerEpochBumped = "producer-epoch-bumped",
    /// The epochs of a producer id ran out, and its transactional id went on with another one.
    ProducerIdRotated = "producer-id-rotated",
    /// A producer gave a batch up whose delivery timeout was over (KIP-91).
    BatchExpired = "batch-expired",
    /// A consumer learned that the log it had read was cut below its position (KIP-320).
    ConsumerTruncated = "consumer-truncated",
    /// A consumer's position was not in the log any more.
    ConsumerReset = "consumer-reset",
}

/// A leader's ISR: what the controller has confirmed, and with pending changes the largest it may
/// be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IsrView {
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    pub committed: Arc<[NodeId]>,
    pub maximal: Arc<[NodeId]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RaftRole {
    Resigned,
    Unattached,
    Prospective,
    Candidate,
    Leader,
    Follower,
}

/// The states of a transaction (KIP-98, KIP-890).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionState {
    Empty,
    Ongoing,
    PrepareCommit,
    PrepareAbort,
    CompleteCommit,
    CompleteAbort,
    Dead,
    /// In memory only: a new producer is about to abort what its predecessor left open.
    PrepareEpochFence,
}

impl TransactionState {
    /// All, by the numbers that they have in the log.
    pub const ALL: [TransactionState; 8] = [
        TransactionState::Empty,
        TransactionState::Ongoing,
        TransactionState::PrepareCommit,
        TransactionState::PrepareAbort,
        TransactionState::CompleteCommit,
        TransactionState::CompleteAbort,
        TransactionState::Dead,
        TransactionState::PrepareEpochFence,
    ];

    /// Whether the transaction is committed or aborted, while markers are told so.
    #[must_use]
    pub const fn decision(self) -> Option<bool> {
        match self {
            TransactionState::PrepareCommit => Some(true),
            TransactionState::PrepareAbort => Some(false),
            TransactionState::Empty
            | TransactionState::Ongoing
            | TransactionState::CompleteCommit
            | TransactionState::CompleteAbort
            | TransactionState::Dead
            | TransactionState::PrepareEpochFence => None,
        }
    }

    /// Kafka's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            TransactionState::Empty => "Empty",
            TransactionState::Ongoing => "Ongoing",
            TransactionState::PrepareCommit => "PrepareCommit",
            TransactionState::PrepareAbort => "PrepareAbort",
            TransactionState::CompleteCommit => "CompleteCommit",
            TransactionState::CompleteAbort => "CompleteAbort",
            TransactionState::Dead => "Dead",
            TransactionState::PrepareEpochFence => "PrepareEpochFence",
        }
    }
}

/// One transition, noted twice: when its record is appended to the coordinator's log, and when that
/// is committed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TransactionNote {
    pub transactional_id: Arc<str>,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub from: TransactionState,
    pub to: TransactionState,
    /// The partition of `__transaction_state`, and where the record is.
    pub shard: i32,
    pub offset: Offset,
    /// The leader epoch in which the coordinator serves.
    pub coordinator_epoch: LeaderEpoch,
    pub committed: bool,
    /// Who is in the transaction.
    pub partitions: Arc<[(TopicName, i32)]>,
}

/// A group as the coordinator's committed log has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupNote {
    pub group: Arc<str>,
    /// The generation of a classic group, the group epoch of a KIP-848 one.
    pub generation: i32,
    pub shard: i32,
    pub coordinator_epoch: LeaderEpoch,
    pub members: Arc<[GroupMemberNote]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupMemberNote {
    pub member: Arc<str>,
    /// The generation, or the member epoch.
    pub epoch: i32,
    pub assigned: Arc<[(TopicName, i32)]>,
    /// What it was told to give up and may still hold.
    pub revoking: Arc<[(TopicName, i32)]>,
}

/// A committed offset, noted when its record (or its transaction's marker) is committed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OffsetNote {
    pub group: Arc<str>,
    pub topic: TopicName,
    /// The topic's incarnation; [`TopicId::ZERO`] if the record does not say.
    pub topic_id: TopicId,
    pub partition: i32,
    /// [`Offset::NONE`]: removed.
    pub offset: Offset,
    pub member: Arc<str>,
    pub generation: i32,
    /// The transaction that it was part of.
    pub producer: Option<(ProducerId, ProducerEpoch)>,
    pub shard: i32,
    /// Where in the coordinator's log.
    pub at: Offset,
    /// The leader epoch in which the coordinator serves.
    pub coordinator_epoch: LeaderEpoch,
}

/// Where a consumer is to begin that has no place in a partition: nothing was committed, or what
/// was is not in the log any more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResetNote {
    pub topic: TopicName,
    pub partition: i32,
    pub to: OffsetReset,
    /// [`Offset::NONE`]: it asks.
    pub offset: Offset,
}

/// What an application has done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ApplicationNote {
    /// The effects of a record are made: what it emits is accepted, the store has answered. With
    /// exactly-once, the transaction that holds them is about to be committed.
    Processed { group: Arc<str>, topic: TopicName, partition: i32, offset: Offset },
    /// The store has changed these balances in one unit.
    Applied(AppliedNote),
    /// A message goes round once more, for the `attempt`th time.
    Retried { group: Arc<str>, id: Arc<str>, attempt: u32 },
    /// A message is given up, and lies in the dead-letter topic.
    DeadLettered { group: Arc<str>, id: Arc<str> },
    /// A message or request that was taken care of before.
    Duplicate { group: Arc<str>, id: Arc<str> },
    /// A record's value is none of the application's format.
    Malformed(MalformedNote),
    /// A record was emitted to a topic that is not there.
    Astray(AstrayNote),
    /// The state of a partition was read again from its changelog.
    Restored(RestoredNote),
    /// What a rebalance did to the process.
    Rebalanced { group: Arc<str>, change: Arc<Rebalance> },
    /// What was emitted for a record was not accepted.
    Unsent(UnsentNote),
    /// A processor has looked at a record. Noted by whoever watches it: the simulator.
    Worked(WorkedNote),
    /// What the process has counted since it noted this last.
    Counters { group: Arc<str>, counters: Counters },
}

impl ApplicationNote {
    /// Whether it is said for the reader of a report alone, as what it says shows elsewhere.
    #[must_use]
    pub fn is_aside(&self) -> bool {
        matches!(
            self,
            ApplicationNote::Rebalanced { .. }
                | ApplicationNote::Unsent(_)
                | ApplicationNote::Worked(_)
        )
    }
}

/// The state of one partition, as a changelog was read for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RestoredNote {
    /// The application process.
    pub by: Arc<str>,
    pub changelog: TopicName,
    pub partition: i32,
    /// Everything below was read.
    pub upto: Offset,
    /// Of the state that came of it: [`digest`](crate::client::app::processor::digest).
    pub digest: u64,
}

/// One look of a processor at a record, and what it asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkedNote {
    pub group: Arc<str>,
    pub topic: TopicName,
    pub partition: i32,
    pub offset: Offset,
    pub key: Option<Bytes>,
    /// From 1.
    pub attempt: u32,
    pub emitted: Arc<[SendRecord]>,
    /// The record is not done, and comes again after that time.
    pub again_after: Option<Duration>,
}

/// A send of an application that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnsentNote {
    /// The record that it was made of.
    pub topic: TopicName,
    pub partition: i32,
    pub offset: Offset,
    /// The topic that it was for.
    pub to: TopicName,
    pub outcome: Outcome,
}

/// A record whose value cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MalformedNote {
    pub group: Arc<str>,
    pub topic: TopicName,
    pub partition: i32,
    pub offset: Offset,
    /// The format that was expected.
    pub format: Arc<str>,
    pub reason: Arc<str>,
}

/// What was emitted for a record goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AstrayNote {
    pub group: Arc<str>,
    pub topic: TopicName,
    pub partition: i32,
    pub offset: Offset,
    /// Where it was to go.
    pub to: TopicName,
}

/// One atomic change of an external store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AppliedNote {
    /// The request that it was for.
    pub id: Arc<str>,
    /// The application process that asked for it.
    pub by: Arc<str>,
    /// A number was written over, whatever it was, instead of changed.
    pub overwrites: bool,
    pub changes: Arc<[AppliedChange]>,
}

/// What became of one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AppliedChange {
    pub key: Arc<str>,
    pub delta: i64,
    /// The number after it.
    pub balance: i64,
}

/// What an application counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counters {
    /// Records sent and accepted.
    pub published: u64,
    /// Records polled.
    pub received: u64,
    /// Records whose effects are made; with exactly-once, in a transaction that is to be committed.
    pub processed: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Messages sent round once more.
    pub retried: u64,
    pub dead_lettered: u64,
    pub duplicates: u64,
    /// How often no more was polled, since all room for records was taken.
    pub paused: u64,
    /// The most records that were in work at once.
    pub busiest: u64,
}

impl Counters {
    /// Adds what was counted meanwhile.
    pub fn add(&mut self, more: &Counters) {
        let Counters {
            published,
            received,
            processed,
            failed,
            retried,
            dead_lettered,
            duplicates,
            paused,
            busiest,
        } = more;
        self.published += published;
        self.received += received;
        self.processed += processed;
        self.failed += failed;
        self.retried += retried;
        self.dead_lettered += dead_lettered;
        self.duplicates += duplicates;
        self.paused += paused;
        self.busiest = self.busiest.max(*busiest);
    }
}
