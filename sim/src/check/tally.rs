//! What was checked how often, and what was found.

use seedlog::time::Instant;

macro_rules! checks {
    ($($variant:ident = $code:literal $name:literal $claim:literal,)*) => {
        /// An invariant, by its code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Check {
            $(#[doc = concat!($name, ": ", $claim)] $variant,)*
        }

        impl Check {
            pub const ALL: &'static [Check] = &[$(Check::$variant,)*];

            /// The code that scenarios and reports use.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Check::$variant => $code,)* }
            }

            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Check::$variant => $name,)* }
            }

            /// What must be true, in one sentence.
            #[must_use]
            pub const fn claim(self) -> &'static str {
                match self { $(Check::$variant => $claim,)* }
            }

            const fn index(self) -> usize {
                let mut index = 0;
                $(
                    if matches!(self, Check::$variant) {
                        return index;
                    }
                    index += 1;
                )*
                index
            }
        }
    };
}

checks! {
    LogMatching = "R1" "LogMatching"
        "below both high watermarks, two replicas hold the same batches",
    EpochOffsetUnique = "R2" "EpochOffsetUnique"
        "an (epoch, offset) is created at most once, with one content",
    LeaderCompleteness = "R3" "LeaderCompleteness"
        "a leader in the current epoch holds everything that was ever committed",
    CandidateCompleteness = "R4" "LeaderCandidateCompleteness"
        "every running member of ISR and ELR holds everything that was ever committed",
    QuorumSuperset = "R5" "ReplicationQuorumSuperset"
        "the ISR that a leader waits for contains all whom the controller may elect",
    ConsistentRead = "R6" "ConsistentRead"
        "what was committed at an offset never changes, and no leader's high watermark falls",
    MetadataSane = "R7" "MetadataSane"
        "a partition's registration makes sense: ISR within replicas, leader in ISR, ELR apart from ISR",
    Bounds = "R8" "Bounds" "log start <= high watermark <= log end",
    OneLeaderPerEpoch = "R9" "OneLeaderPerEpoch"
        "at most one broker leads a partition in a leader epoch",
    EpochsMonotone = "R10" "EpochsMonotone"
        "no epoch ever falls in durable state, and an incarnation of a broker has one",
    AckedDurable = "R11" "AckedDurable"
        "a record acknowledged with acks=all is committed, and some replica still holds it",
    ElectionSafety = "K1" "ElectionSafety" "at most one controller leads a quorum epoch",
    QuorumLeaderCompleteness = "K2" "QuorumLeaderCompleteness"
        "a new quorum leader holds every committed metadata record",
    QuorumLogMatching = "K3" "QuorumLogMatching"
        "equal (epoch, offset) in two metadata logs means equal content, and so do committed offsets",
    MonotonicHighWatermark = "K4" "MonotonicHighWatermark"
        "the high watermark that quorum leaders report never falls",
    MajorityReachedHighWatermark = "K5" "MajorityReachedHighWatermark"
        "a majority of voters has flushed everything below the leader's high watermark",
    VoteOnce = "K6" "VoteOnce" "a voter gives its durable vote once per epoch",
    StateMachineAgreement = "K7" "StateMachineAgreement"
        "all who applied the metadata log up to an offset have the same state",
    SnapshotDiscipline = "K8" "SnapshotAtLogStart"
        "a snapshot covers only committed records, and a leader never loads one",
    NoUncommittedReply = "K9" "NoUncommittedReply"
        "the controller answers only with what is committed",
    SequenceContiguity = "P1" "SequenceContiguity"
        "a producer session's committed batches have contiguous sequences from 0",
    NoDuplicate = "P2" "NoDuplicate" "an idempotent session commits no record twice",
    ProducerOrder = "P3" "ProducerOrder"
        "the log holds one session's records in the order in which they were sent",
    AckTruth = "P4" "AckTruth" "an acknowledged offset holds exactly the acknowledged record",
    ProducerEpochMonotone = "P5" "ProducerEpochMonotone"
        "a producer's epochs never fall along a partition",
    RetryRecognised = "P6" "RetryRecognised"
        "a batch that is among its producer's last five in a leader's log is not refused as out of order",
    InconsistentOffsets = "J1" "inconsistent-offsets" "all who read an offset read the same record",
    Duplicate = "J2" "duplicate" "a record is at one offset only",
    AbortedRead = "J3" "G1a" "a record whose send failed for sure is never read",
    LostWrite = "J4" "lost-write" "no acknowledged record is missing between records that are read",
    PollSkip = "J5" "poll-skip" "a consumer's polls leave out no record",
    NonmonotonicPoll = "J6" "nonmonotonic-poll" "a consumer's polls never go back",
    NonmonotonicSend = "J7" "nonmonotonic-send"
        "a producer's acknowledged sends have growing offsets",
    Unseen = "J8" "unseen" "at the end every acknowledged record was read",
    IntermediateRead = "J9" "G1b"
        "no reader sees a part of what a transaction wrote to a partition",
    PrecommittedRead = "J10" "precommitted-read"
        "a transaction reads nothing that it wrote itself",
    CircularRead = "J11" "G1c"
        "no transactions read from each other in a circle",
    StaleRead = "J12" "stale-balance"
        "no request to a ledger acts on a balance that another has changed meanwhile",
    LegalTransition = "T1" "LegalTxnTransition"
        "a transactional id goes from one state to the next only as the protocol allows",
    MarkerAttribution = "T2" "MarkerAttribution"
        "a marker ends exactly the open records of one transaction, the way its coordinator decided",
    AtomicVisibility = "T3" "AtomicVisibility"
        "all records of a transaction become visible, or none",
    NoAbortedRead = "T4" "NoAbortedRead"
        "who reads committed data gets no record whose transaction is aborted or undecided",
    NoHangingTransaction = "T5" "NoHangingTxn"
        "at the end no transaction is open, and nothing is held back from readers",
    LastStableBound = "T6" "LSOBound"
        "a broker's last stable offset is not above the first undecided record",
    SingleDecision = "T7" "SingleDecision"
        "a transaction is decided once, and nobody is told before that is in the committed log",
    Fencing = "T8" "Fencing"
        "once a producer has its epoch, nothing of an earlier epoch of its id is added",
    OutcomeTruth = "T9" "OutcomeTruth"
        "what a client was told of its transaction is what readers see",
    OffsetOutputAtomic = "T10" "OffsetOutputAtomic"
        "a group's offsets of a transaction are applied if and only if its records are visible",
    SingleOwner = "G1" "SingleOwner" "a partition belongs to one member of a group at most",
    NoTwoBelievers = "G2" "NoTwoBelievers"
        "no two members of a group that are not fenced believe that they own a partition",
    OffsetMonotone = "G3" "OffsetMonotone"
        "a group's committed offset never falls unless somebody resets it",
    CommitFencing = "G4" "CommitFencing"
        "an offset is accepted only from a member of the group as it is then",
    AckedCommitDurable = "G6" "AckedCommitDurable"
        "an offset that was acknowledged is in the committed log, and stays",
    ResetPolicy = "G7" "ResetPolicy"
        "a consumer without a place begins where its reset policy says, and leaves out nothing else",
    AtLeastOnce = "A1" "AtLeastOnce" "every input record below its group's offset was processed",
    ExactlyOnce = "A2" "ExactlyOnce"
        "an input record is delivered as what is to be made of it, and no more often than promised",
    PerKeyOrder = "A3" "PerKeyOrder" "what is made of one key's records keeps their order",
    Conservation = "L1" "Conservation" "money is neither made nor lost",
    NoOverdraft = "L2" "NoOverdraft" "no account falls below its limit",
    NoDoubleSpend = "L3" "NoDoubleSpend"
        "no request moves its money twice, and no funding pays for more than its amount",
    DeterministicFold = "L4" "DeterministicFold"
        "an account's state is what its committed postings add up to",
    UserInvariant = "U1" "user" "what a user's own invariant says",
}

/// How often an invariant's antecedent held, and how often it was broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub checked: u64,
    pub violations: u64,
}

/// One broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub check: Check,
    /// Simulated time.
    pub at: Instant,
    /// The number of the event after which it was seen.
    pub event: u64,
    /// The facts that contradict each other.
    pub detail: String,
}

/// Details kept per run; a broken core breaks its promises thousands of times.
const KEPT: usize = 32;

/// Counts of every check and the first violations.
#[derive(Clone, Debug)]
pub struct Tally {
    counts: [Count; Check::ALL.len()],
    violations: Vec<Violation>,
    now: Instant,
    event: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Tally {
            counts: [Count::default(); Check::ALL.len()],
            violations: Vec::new(),
            now: Instant::ZERO,
            event: 0,
        }
    }
}

impl Tally {
    /// Sets the time and the number of the event that is being looked at.
    pub fn at(&mut self, now: Instant, event: u64) {
        self.now = now;
        self.event = event;
    }

    /// The number of the event that is being looked at.
    #[must_use]
    pub fn event(&self) -> u64 {
        self.event
    }

    /// The simulated time of the event that is being looked at.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// So many looks at an invariant, and it held.
    pub fn held(&mut self, check: Check, times: u64) {
        self.counts[check.index()].checked += times;
    }

    /// One look at an invariant: its antecedent held; `holds` says whether it did.
    pub fn expect(&mut self, check: Check, holds: bool, detail: impl FnOnce() -> String) {
        let count = &mut self.counts[check.index()];
        count.checked += 1;
        if !holds {
            count.violations += 1;
            if self.violations.len() < KEPT {
                let violation =
                    Violation { check, at: self.now, event: self.event, detail: detail() };
                self.violations.push(violation);
            }
        }
    }

    #[must_use]
    pub fn count(&self, check: Check) -> Count {
        self.counts[check.index()]
    }

    /// The first violations, in the order in which they were seen.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }
}
