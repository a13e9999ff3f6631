//! The zoo's switches: historically real protocol bugs, each off unless a run asks for it.
//!
//! A switch stands exactly at the rule that it breaks, one `if` each. Without the cargo feature
//! `defects` every test of a switch is a constant `false`, and the correct protocol is all there
//! is.

use core::fmt;

macro_rules! defects {
    ($($(#[$doc:meta])* $variant:ident = $id:literal,)*) => {
        /// A protocol bug that can be switched on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Defect {
            $($(#[$doc])* $variant,)*
        }

        impl Defect {
            /// Every switch, in the order of the zoo.
            pub const ALL: &'static [Defect] = &[$(Defect::$variant,)*];

            /// The name that scenarios use.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self {
                    $(Defect::$variant => $id,)*
                }
            }

            const fn bit(self) -> u128 {
                let mut index = 0;
                $(
                    if matches!(self, Defect::$variant) {
                        return 1 << index;
                    }
                    index += 1;
                )*
                1 << index
            }
        }
    };
}

defects! {
    /// Follower on new leader epoch truncates to its local HW; right: truncate to leader's
    /// (epoch,endOffset) answer. (KIP-101; spec KafkaTruncateToHighWatermark)
    TruncateToHw = "truncate-to-hw",
    /// Leader returns end offset of the *requested* epoch only (or next epoch's start), follower
    /// truncates once; right: leader returns (largest epoch ≤ requested, its end offset);
    /// follower iterates with its own largest epoch ≤ that. (KIP-279, KAFKA-6361)
    TruncateSingleEpochLookup = "truncate-single-epoch-lookup",
    /// Become-follower skips truncation if leader id unchanged; right: skip only if newEpoch ≤
    /// oldEpoch+1 (modern: always re-validate on epoch change). (KAFKA-7164)
    SkipTruncateOnMissedEpoch = "skip-truncate-on-missed-epoch",
    /// Add follower once it fetches in epoch; right: require LEO ≥ leader HW. ("CHECK" guard in
    /// KIP-966 spec)
    IsrJoinBelowHw = "isr-join-below-hw",
    /// Require only LEO ≥ HW; right: also LEO ≥ leader-epoch start offset (LESO), because a new
    /// leader's HW may be stale. (KAFKA-7128; KIP-966 spec)
    IsrJoinNoLeso = "isr-join-no-leso",
    /// AlterPartition carries ids only; right: carry fetch-time broker epoch; controller rejects
    /// ≠ registered epoch (INELIGIBLE_REPLICA). (KIP-903, KAFKA-14617)
    IsrRejoinStaleBrokerEpoch = "isr-rejoin-stale-broker-epoch",
    /// Leader/controller accept fenced or shutting-down replica in ISR; right: reject. (KIP-841,
    /// KAFKA-13916/14140)
    IsrRejoinFenced = "isr-rejoin-fenced",
    /// HW over *proposed* shrunken ISR; right: over maximal ISR = committed ∪ pending. (KIP-497,
    /// AsyncIsr spec, KAFKA-13091 area)
    HwOptimisticShrink = "hw-optimistic-shrink",
    /// HW over committed ISR while expansion pending; right: maximal ISR. (KIP-497)
    HwCommittedIsrOnExpand = "hw-committed-isr-on-expand",
    /// Controller accepts AlterPartition with old partition epoch; right: require equal
    /// (INVALID_UPDATE_VERSION), higher ⇒ NOT_CONTROLLER. (KIP-497, KAFKA-12367)
    AlterPartitionNoCas = "alter-partition-no-cas",
    /// Count a follower's LEO for HW whatever epoch it fetched in; right: only fetches carrying
    /// the leader's epoch. (KIP-320 rule 3)
    HwNoFollowerEpoch = "hw-no-follower-epoch",
    /// OffsetForLeaderEpoch answered by any broker that thinks it leads; right: check
    /// currentLeaderEpoch (FENCED/UNKNOWN_LEADER_EPOCH). (KIP-320 rule 2)
    UnfencedTruncationLookup = "unfenced-truncation-lookup",
    /// Leader records follower LEO=fetchOffset although it answers divergingEpoch; right: skip
    /// update. (KAFKA-13141)
    DivergingFetchCounts = "diverging-fetch-counts",
    /// Advance HW with |ISR| < minISR; right: freeze HW. (KAFKA-15583, KIP-966)
    HwBelowMinIsr = "hw-below-min-isr",
    /// Keep last ISR member as sole candidate even after lossy restart; right: let ISR go empty,
    /// use ELR. (KIP-966 "last replica standing")
    ReelectLastIsr = "reelect-last-isr",
    /// Lossy broker re-registers and stays in ISR/ELR; right: previousBrokerEpoch ≠ stored ⇒
    /// remove. (KIP-966, KAFKA-15586)
    UncleanRestartKeepsElr = "unclean-restart-keeps-elr",
    /// Pick any live replica when ISR empty; right: stay offline (or recovery). (Jepsen Kafka
    /// 2013: 987 acked, 520 lost; KIP-106)
    UncleanElectionOn = "unclean-election-on",
    /// Acks=all with ISR={leader} acks; right: minISR check at append *and* at completion
    /// (NOT_ENOUGH_REPLICAS(_AFTER_APPEND)). (same, `checkEnoughReplicasReachOffset`)
    MinIsrOne = "min-isr-one",
    /// New leader treats its whole log as final; right: serve/decide only after an entry of its
    /// own epoch is committed. (Redpanda #5090/#5025)
    LeaderServesBeforeBarrier = "leader-serves-before-barrier",
    /// Replica of a deleted+recreated topic treated as same; right: compare topic id, delete
    /// stray before serving. (KIP-516, KAFKA-14616)
    NoTopicIdCheck = "no-topic-id-check",
    /// HW = majority offset ≥ epochStart; right: must be **>** epochStartOffset (own LeaderChange
    /// replicated). (KAFKA-12619 off-by-one)
    KraftCommitPriorEpoch = "kraft-commit-prior-epoch",
    /// Restarted leader stays leader in same epoch; right: start Resigned in that epoch.
    /// (KAFKA-10527)
    KraftLeaderResumesEpoch = "kraft-leader-resumes-epoch",
    /// Leader sends / follower acks unflushed data; right: flush before it counts. (KAFKA-10533)
    KraftNoFlush = "kraft-no-flush",
    /// Reply before persisting (epoch, votedFor); right: durable first. (review of quorum-state
    /// file (confluentinc/kafka#302); ClickHouse #111454 same class)
    KraftVoteNotDurable = "kraft-vote-not-durable",
    /// Voter with wiped disk rejoins under same id; right: (id, directoryId) is identity; wiped
    /// voter is not a voter. (KIP-853, KAFKA-17426)
    KraftAmnesiacVoter = "kraft-amnesiac-voter",
    /// Grant if candidate offset ≥ mine; right: compare (lastEpoch, then offset). (Raft §5.4.1;
    /// `handleVoteRequest`)
    KraftVoteIgnoresRecency = "kraft-vote-ignores-recency",
    /// Partitioned leader never resigns; right: resign if no majority fetch in 1.5×fetchTimeout.
    /// (KAFKA-15489)
    KraftNoCheckQuorum = "kraft-no-check-quorum",
    /// Answer client/broker from speculative state; right: reply when record committed. (KIP-631;
    /// KAFKA-14457 (metrics variant))
    ControllerReplyBeforeCommit = "controller-reply-before-commit",
    /// Accept new incarnation while old session valid; right: DUPLICATE_BROKER_REGISTRATION; same
    /// incarnation keeps epoch. (KIP-631, KAFKA-16952)
    BrokerDoubleRegistration = "broker-double-registration",
    /// Next-PID block not in snapshot; right: persist ProducerIds in snapshot. (KIP-730,
    /// KAFKA-13357)
    PidBlockReissued = "pid-block-reissued",
    /// Retry of appended batch gets OUT_OF_ORDER; right: return cached offset as success.
    /// (Redpanda #3039)
    DedupeReturnsOos = "dedupe-returns-oos",
    /// Keep last batch only; right: last 5 per (pid, partition). (KAFKA-5494, Redpanda #3038)
    DedupeWindowOne = "dedupe-window-one",
    /// Append any seq > last; right: seq == last+1 or (0 after MAX). (KIP-98 [S code])
    SeqGapAccepted = "seq-gap-accepted",
    /// Follower does not rebuild producer state; right: rebuild on replication and recovery.
    /// (KAFKA-5249, 9892)
    ProducerStateNotReplicated = "producer-state-not-replicated",
    /// Truncate log but not producer state / unstable offset; right: rewind both first.
    /// (KAFKA-12153)
    ProducerStateNotTruncated = "producer-state-not-truncated",
    /// MAX+1; right: wrap to 0. (KAFKA-7692/7693)
    SeqWrap = "seq-wrap",
    /// Retries + max.in.flight>1 without idempotence; right: 1 in flight or idempotence.
    /// (KAFKA-3197)
    ReorderInflight = "reorder-inflight",
    /// Client reuses its sequence numbers in the next transaction, and the broker dedupes to the
    /// old aborted record; right: epoch bump or reset per transaction. (Redpanda #5026)
    SeqReuseAfterAbort = "seq-reuse-after-abort",
    /// EndTxn keyed by (producer id, epoch) only, and the epoch constant across transactions;
    /// right: bump the epoch with each transaction (KIP-890 part 2). (KAFKA-17754)
    DelayedEndtxn = "delayed-endtxn",
    /// Transactional batch appended with no open transaction at the coordinator; right: verify
    /// first (v1) or add implicitly (v2). (KIP-890 part 1, KAFKA-14561/14402)
    ProduceAfterMarker = "produce-after-marker",
    /// Timeout abort keeps the epoch; right: bump the epoch and abort with it. (KAFKA-6119)
    TimeoutNoBump = "timeout-no-bump",
    /// InitProducerId aborts an open transaction with the old epoch; right: bump first.
    /// (KAFKA-5231)
    InitpidNoBump = "initpid-no-bump",
    /// Partition ignores the coordinator epoch of a marker; right: reject a lower one
    /// (TRANSACTION_COORDINATOR_FENCED). (KIP-98)
    ZombieTcMarker = "zombie-tc-marker",
    /// Coordinator sends markers and answers before Prepare is committed in its log; right: after.
    /// (KIP-98)
    TcDecideBeforeDurable = "tc-decide-before-durable",
    /// A loading coordinator does not resume transactions in Prepare; right: send their markers
    /// again. (KoP #1412)
    TcLoadDropsPrepare = "tc-load-drops-prepare",
    /// Partition accepts a marker with its present epoch; right: v2 needs a higher one. (KIP-1228,
    /// KAFKA-19446)
    Tv2MarkerSameEpochOk = "tv2-marker-same-epoch-ok",
    /// Coordinator accepts partitions while the last transaction is in Prepare; right:
    /// CONCURRENT_TRANSACTIONS. (KIP-98)
    NewTxnBeforeComplete = "new-txn-before-complete",
    /// Client sends EndTxn with unacknowledged sends; right: wait for all of them. (client
    /// contract)
    CommitBeforeFlush = "commit-before-flush",
    /// Readers of committed data may read the record at the LSO; right: only below. (Redpanda
    /// #3036)
    LsoOffByOne = "lso-off-by-one",
    /// LSO = high watermark; right: min(first undecided, high watermark). (KIP-98)
    LsoIgnoresOpen = "lso-ignores-open",
    /// A fetch that waited omits the list of aborted transactions; right: include it. (KAFKA-5376)
    AbortedListDropped = "aborted-list-dropped",
    /// Consumer drops batches of an aborted producer whatever their offset; right: from the
    /// transaction's first offset to its abort marker. (librdkafka #3020/#2377)
    ClientAbortFilterLoose = "client-abort-filter-loose",
    /// OffsetCommit accepted from any member; right: member and generation must match. (KAFKA-2555)
    CommitNoGenerationCheck = "commit-no-generation-check",
    /// TxnOffsetCommit without member and generation; right: checked as a plain commit. (KIP-447,
    /// KAFKA-9365)
    TxnCommitNoFencing = "txn-commit-no-fencing",
    /// OffsetFetch ignores offsets of an open transaction; right: UNSTABLE_OFFSET_COMMIT if asked
    /// for stable ones. (KIP-447)
    OffsetFetchUnstable = "offset-fetch-unstable",
    /// A commit marker overwrites a newer plain commit; right: the higher offset of the record in
    /// the log wins. (KAFKA-14505, Redpanda CORE-17000)
    TxnOffsetLastWins = "txn-offset-last-wins",
    /// A demoted coordinator completes deferred commits when the new leader's records move the high
    /// watermark; right: only while it leads. (KAFKA-20634)
    GroupHwAfterDemotion = "group-hw-after-demotion",
    /// A new coordinator serves before its replay reaches the end; right:
    /// COORDINATOR_LOAD_IN_PROGRESS. (KAFKA-16030)
    LoadPartial = "load-partial",
    /// A partition that waits for its revocation and is targeted anew loses its epoch; right: kept
    /// until released. (KAFKA-16147)
    DoubleAssign848 = "double-assign-848",
    /// Cooperative: a partition is given to its new owner in the round in which the old one still
    /// holds it; right: two rounds, the claim of the highest generation wins. (KIP-429,
    /// KAFKA-14639/13419/12984)
    AssignBeforeRevoke = "assign-before-revoke",
    /// Offsets are committed before the effect; right: effect, then commit, or one transaction.
    /// (Kafka's documentation: at most once)
    CommitThenProcess = "commit-then-process",
    /// Auto-commit takes the positions of the present poll; right: of the one before. (Jepsen,
    /// 2024-11-13)
    AutocommitLatestPoll = "autocommit-latest-poll",
    /// No id for the effect; right: dedupe by record id in the same atomic unit. (Kafka's
    /// documentation)
    ProcessThenCommitNoDedupe = "process-then-commit-no-dedupe",
    /// A paused owner writes after takeover; right: the store checks a fencing token, the
    /// newest that it gave out. (KIP-447's motive)
    ZombieConsumerEffect = "zombie-consumer-effect",
    /// A new transactional id at each start; right: a stable one, or KIP-447's group metadata.
    /// (iceberg #18038/#18039)
    RandomTransactionalId = "random-transactional-id",
    /// After an abort the position is kept; right: seek to what is committed. (KAFKA-17582,
    /// franz-go #1222)
    NoRewindOnAbort = "no-rewind-on-abort",
    /// Balances fold uncommitted records; right: read_committed. (KIP-98)
    ReadUncommittedLedger = "read-uncommitted-ledger",
    /// Balance read, debit appended later, nothing in between serialised; right: one writer for
    /// each account, checked where it is applied. (write skew)
    LedgerCheckThenAct = "ledger-check-then-act",
    /// Debit and credit in two sends; right: one transaction or one record. (Redpanda's chaos
    /// tests)
    LedgerSplitLegs = "ledger-split-legs",
    /// Dedupe entries live shorter than retries; right: longer than the delivery timeout.
    /// (KIP-854/360)
    DedupeKeyExpiry = "dedupe-key-expiry",
    /// A client's retry makes a new request id; right: the same one. (Jepsen: indeterminate)
    RetryFreshId = "retry-fresh-id",
    /// Replay accepts partial last batch; right: stop at first bad CRC/length.
    /// (`analyzeAndValidateRecords`, recovery)
    TornTailNoCrc = "torn-tail-no-crc",
    /// Keep appending after failed write; right: fence log. (KAFKA-10778)
    AppendAfterIoError = "append-after-io-error",
    /// HW / epoch-cache / producer snapshot file written lazily or non-atomically; right: fsync +
    /// rename, tolerate loss. (KAFKA-16541, 9892, 1647)
    CheckpointNotFsynced = "checkpoint-not-fsynced",
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// The switches that are on in one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Defects(u128);

impl Defects {
    /// The correct protocol.
    pub const NONE: Defects = Defects(0);

    /// Whether `defect` is on. Constantly false without the feature `defects`.
    #[must_use]
    #[inline]
    pub const fn has(self, defect: Defect) -> bool {
        cfg!(feature = "defects") && self.0 & defect.bit() != 0
    }

    #[must_use]
    pub const fn with(self, defect: Defect) -> Self {
        Defects(self.0 | defect.bit())
    }

    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The switches that are on, in the order of the zoo.
    pub fn iter(self) -> impl Iterator<Item = Defect> {
        Defect::ALL.iter().copied().filter(move |defect| self.0 & defect.bit() != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_switch_has_a_bit_of_its_own() {
        let all = Defect::ALL.iter().fold(Defects::NONE, |defects, defect| defects.with(*defect));
        assert_eq!(all.iter().count(), Defect::ALL.len());
        assert_eq!(Defects::NONE.iter().count(), 0);
    }
}
