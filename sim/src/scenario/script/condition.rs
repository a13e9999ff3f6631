//! What a step waits for, expects or asserts: facts and comparisons over the state of the cluster.

use std::fmt;
use std::sync::Arc;

use seedlog::event::TransactionState;
use seedlog::time::millis;

use super::super::read::suggestion;
use super::super::value::parse_duration;
use super::lex::Cursor;
use super::names::{Group, Names, NodeExpr, Part, part};
use crate::run::coordinators::{STATES, state_of};

/// Something that is true or not at a moment. What is not known at all is false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    Not(Box<Condition>),
    Any(Vec<Condition>),
    Compare(Number, Comparison, Number),
    /// A node is (or is not) the other, or none.
    Node(NodeExpr, bool, Option<NodeExpr>),
    Set(SetOf, SetTest, Vec<NodeExpr>),
    Fact(Fact),
    /// A transactional id (or that of a producer) is in a state, or is not.
    Transaction(Arc<str>, bool, TransactionState),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    Unequal,
    AtLeast,
    AtMost,
    Above,
    Below,
}

impl Comparison {
    #[must_use]
    pub fn holds(self, left: i64, right: i64) -> bool {
        match self {
            Comparison::Equal => left == right,
            Comparison::Unequal => left != right,
            Comparison::AtLeast => left >= right,
            Comparison::AtMost => left <= right,
            Comparison::Above => left > right,
            Comparison::Below => left < right,
        }
    }
}

/// A number to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Number {
    Literal(i64),
    Plus(Box<Number>, i64),
    Bound(String),
    /// Simulated milliseconds since the run began.
    Time,
    /// Since the step began to wait.
    Waited,
    LogEnd(Part, NodeExpr),
    LogStart(Part, NodeExpr),
    HighWatermark(Part, NodeExpr),
    /// By the most advanced controller, or by a node's own view.
    LeaderEpoch(Part, Option<NodeExpr>),
    PartitionEpoch(Part, Option<NodeExpr>),
    Tally(Tally, Option<NodeExpr>),
    Held(String),
    QuorumEpoch(NodeExpr),
    QuorumLogEnd(NodeExpr),
    QuorumHighWatermark(NodeExpr),
    /// The epoch of a registered broker, by the most advanced controller.
    BrokerEpoch(NodeExpr),
    /// How often a process was started.
    Starts(NodeExpr),
    Partitions(Arc<str>),
    LastStable(Part, NodeExpr),
    /// What a group has committed.
    Committed(Arc<str>, Part),
    /// Of a group, by its coordinator's log.
    Generation(Arc<str>),
    Members(Arc<str>),
    /// Partitions that a member believes to hold.
    Owned(NodeExpr),
    /// Of a transactional id, or that of a producer.
    ProducerEpoch(Arc<str>),
    /// By all groups.
    Rebalances,
}

/// What clients have done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    Sent,
    Acked,
    Failed,
    Unknown,
    Pending,
    Consumed,
    /// Transactions, by how they ended for their application.
    Begun,
    Committed,
    Aborted,
    /// Lives of producers that another one took the place of; commits and polls of members that
    /// were refused for that.
    Fenced,
}

/// A set of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetOf {
    Isr(Part, Option<NodeExpr>),
    Elr(Part),
    Replicas(Part),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTest {
    Is,
    IsNot,
    Has,
    Lacks,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    Up(Group),
    Down(Group),
    Fenced(Group),
    /// Registered, not fenced and not shutting down.
    Serving(Group),
    Registered(Group),
    /// By its own state.
    Leads(NodeExpr, Part),
    Follows(NodeExpr, Part),
    Exists(Arc<str>),
    Reassigning(Part),
    /// Producers that can begin a transaction.
    Idle(Group),
    /// Producers that have begun one and not ended it.
    Open(Group),
    /// Producers that only a new life helps.
    Over(Group),
}

const FUNCTIONS: [&str; 47] = [
    "time",
    "waited",
    "leo",
    "start",
    "hw",
    "epoch",
    "partition_epoch",
    "sent",
    "acked",
    "failed",
    "unknown",
    "pending",
    "consumed",
    "held",
    "quorum_epoch",
    "quorum_leo",
    "quorum_hw",
    "broker_epoch",
    "starts",
    "partitions",
    "isr",
    "elr",
    "replicas",
    "up",
    "down",
    "fenced",
    "serving",
    "registered",
    "leads",
    "follows",
    "exists",
    "reassigning",
    "transaction",
    "lso",
    "offset",
    "generation",
    "members",
    "owned",
    "producer_epoch",
    "rebalances",
    "begun",
    "committed",
    "aborted",
    "fencings",
    "idle",
    "open",
    "over",
];

/// Reads a condition: `A or B or not C`.
///
/// # Errors
/// What was expected instead.
pub fn condition(names: &Names, line: &str) -> Result<Condition, String> {
    let mut cursor = Cursor::new(line)?;
    let mut any = vec![single(names, &mut cursor)?];
    while cursor.keyword("or") {
        any.push(single(names, &mut cursor)?);
    }
    cursor.end()?;
    Ok(if any.len() == 1 { any.remove(0) } else { Condition::Any(any) })
}

fn single(names: &Names, cursor: &mut Cursor) -> Result<Condition, String> {
    if cursor.keyword("not") {
        return Ok(Condition::Not(Box::new(single(names, cursor)?)));
    }
    let word = cursor.expect_word("a condition")?;
    if let Some(fact) = fact(names, cursor, &word)? {
        return Ok(Condition::Fact(fact));
    }
    if word == "transaction" {
        return transaction(cursor);
    }
    if let Some(set) = set(names, cursor, &word)? {
        let test = match () {
            () if cursor.sign("==") => SetTest::Is,
            () if cursor.sign("!=") => SetTest::IsNot,
            () if cursor.keyword("has") => SetTest::Has,
            () if cursor.keyword("lacks") => SetTest::Lacks,
            () => return Err(cursor.expected("==, !=, has or lacks")),
        };
        return Ok(Condition::Set(set, test, names.nodes(cursor)?));
    }
    cursor.back();
    if names.is_node(&word) {
        let node = names.node(cursor)?;
        let equal = match () {
            () if cursor.sign("==") => true,
            () if cursor.sign("!=") => false,
            () => return Err(cursor.expected("== or !=")),
        };
        let other = if cursor.keyword("none") { None } else { Some(names.node(cursor)?) };
        return Ok(Condition::Node(node, equal, other));
    }
    let left = number(names, cursor)?;
    let signs = [
        ("==", Comparison::Equal),
        ("!=", Comparison::Unequal),
        (">=", Comparison::AtLeast),
        ("<=", Comparison::AtMost),
        (">", Comparison::Above),
        ("<", Comparison::Below),
    ];
    let Some((_, comparison)) = signs.into_iter().find(|(sign, _)| cursor.sign(sign)) else {
        return Err(cursor.expected("a comparison (== != >= <= > <)"));
    };
    Ok(Condition::Compare(left, comparison, number(names, cursor)?))
}

/// `(p1) == PrepareCommit`
fn transaction(cursor: &mut Cursor) -> Result<Condition, String> {
    cursor.expect_sign("(")?;
    let id = closed(cursor.expect_word("a producer or a transactional id")?, cursor)?;
    let equal = match () {
        () if cursor.sign("==") => true,
        () if cursor.sign("!=") => false,
        () => return Err(cursor.expected("== or !=")),
    };
    let word = cursor.expect_word("a state such as PrepareCommit")?;
    let Some(state) = state_of(&word) else {
        let cure = suggestion(&word, &STATES.map(|(name, _)| name));
        return Err(format!("unknown state {word:?}; {cure}"));
    };
    Ok(Condition::Transaction(id.into(), equal, state))
}

/// Reads a number: a literal, a duration (milliseconds), a quantity, `$name`, each `+ N`.
///
/// # Errors
/// What was expected instead.
pub fn number(names: &Names, cursor: &mut Cursor) -> Result<Number, String> {
    let word = cursor.expect_word("a number")?;
    let mut value = quantity(names, cursor, &word)?;
    while cursor.sign("+") {
        value = Number::Plus(Box::new(value), super::names::number(cursor)?);
    }
    Ok(value)
}

fn quantity(names: &Names, cursor: &mut Cursor, word: &str) -> Result<Number, String> {
    if let Ok(literal) = word.parse() {
        return Ok(Number::Literal(literal));
    }
    if let Some(duration) = parse_duration(word) {
        return Ok(Number::Literal(millis(duration)));
    }
    if let Some(name) = word.strip_prefix('$') {
        return Ok(Number::Bound(name.to_string()));
    }
    match word {
        "time" => return Ok(Number::Time),
        "waited" => return Ok(Number::Waited),
        "rebalances" => return Ok(Number::Rebalances),
        _ => {}
    }
    if let Some(tally) = tally(word) {
        let who = if cursor.sign("(") { Some(closed(names.node(cursor)?, cursor)?) } else { None };
        return Ok(Number::Tally(tally, who));
    }
    if !FUNCTIONS.contains(&word) {
        let cure = suggestion(word, &FUNCTIONS);
        return Err(format!("unknown quantity {word:?}; {cure}"));
    }
    cursor.expect_sign("(")?;
    let value = match word {
        "leo" => with_node(names, cursor, Number::LogEnd)?,
        "start" => with_node(names, cursor, Number::LogStart)?,
        "hw" => with_node(names, cursor, Number::HighWatermark)?,
        "epoch" => with_view(names, cursor, Number::LeaderEpoch)?,
        "partition_epoch" => with_view(names, cursor, Number::PartitionEpoch)?,
        "lso" => with_node(names, cursor, Number::LastStable)?,
        "offset" => {
            let group = cursor.expect_word("a group")?;
            cursor.expect_sign(",")?;
            Number::Committed(group.into(), part(cursor)?)
        }
        "generation" => Number::Generation(cursor.expect_word("a group")?.into()),
        "members" => Number::Members(cursor.expect_word("a group")?.into()),
        "owned" => Number::Owned(names.node(cursor)?),
        "producer_epoch" => Number::ProducerEpoch(cursor.expect_word("a producer")?.into()),
        "held" => Number::Held(cursor.expect_word("the name of a hold")?),
        "quorum_epoch" => Number::QuorumEpoch(names.node(cursor)?),
        "quorum_leo" => Number::QuorumLogEnd(names.node(cursor)?),
        "quorum_hw" => Number::QuorumHighWatermark(names.node(cursor)?),
        "broker_epoch" => Number::BrokerEpoch(names.node(cursor)?),
        "starts" => Number::Starts(names.node(cursor)?),
        "partitions" => Number::Partitions(cursor.expect_word("a topic")?.into()),
        _ => return Err(format!("{word} is no number")),
    };
    closed(value, cursor)
}

fn tally(word: &str) -> Option<Tally> {
    Some(match word {
        "sent" => Tally::Sent,
        "acked" => Tally::Acked,
        "failed" => Tally::Failed,
        "unknown" => Tally::Unknown,
        "pending" => Tally::Pending,
        "consumed" => Tally::Consumed,
        "begun" => Tally::Begun,
        "committed" => Tally::Committed,
        "aborted" => Tally::Aborted,
        "fencings" => Tally::Fenced,
        _ => return None,
    })
}

fn closed<T>(value: T, cursor: &mut Cursor) -> Result<T, String> {
    cursor.expect_sign(")")?;
    Ok(value)
}

fn with_node(
    names: &Names,
    cursor: &mut Cursor,
    make: fn(Part, NodeExpr) -> Number,
) -> Result<Number, String> {
    let part = part(cursor)?;
    cursor.expect_sign(",")?;
    Ok(make(part, names.node(cursor)?))
}

fn with_view(
    names: &Names,
    cursor: &mut Cursor,
    make: fn(Part, Option<NodeExpr>) -> Number,
) -> Result<Number, String> {
    let part = part(cursor)?;
    let view = if cursor.sign(",") { Some(names.node(cursor)?) } else { None };
    Ok(make(part, view))
}

fn set(names: &Names, cursor: &mut Cursor, word: &str) -> Result<Option<SetOf>, String> {
    if !matches!(word, "isr" | "elr" | "replicas") {
        return Ok(None);
    }
    cursor.expect_sign("(")?;
    let part = part(cursor)?;
    let set = match word {
        "elr" => SetOf::Elr(part),
        "replicas" => SetOf::Replicas(part),
        _ => {
            let view = if cursor.sign(",") { Some(names.node(cursor)?) } else { None };
            SetOf::Isr(part, view)
        }
    };
    closed(Some(set), cursor)
}

fn fact(names: &Names, cursor: &mut Cursor, word: &str) -> Result<Option<Fact>, String> {
    let group: Option<fn(Group) -> Fact> = match word {
        "up" => Some(Fact::Up),
        "down" => Some(Fact::Down),
        "fenced" => Some(Fact::Fenced),
        "serving" => Some(Fact::Serving),
        "registered" => Some(Fact::Registered),
        "idle" => Some(Fact::Idle),
        "open" => Some(Fact::Open),
        "over" => Some(Fact::Over),
        _ => None,
    };
    if let Some(make) = group {
        cursor.expect_sign("(")?;
        let group = names.group(cursor)?;
        return closed(Some(make(group)), cursor);
    }
    if !matches!(word, "leads" | "follows" | "exists" | "reassigning") {
        return Ok(None);
    }
    cursor.expect_sign("(")?;
    let fact = match word {
        "exists" => Fact::Exists(cursor.expect_word("a topic")?.into()),
        "reassigning" => Fact::Reassigning(part(cursor)?),
        _ => {
            let node = names.node(cursor)?;
            cursor.expect_sign(",")?;
            let part = part(cursor)?;
            if word == "leads" { Fact::Leads(node, part) } else { Fact::Follows(node, part) }
        }
    };
    closed(Some(fact), cursor)
}

/// A condition with the words it was written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written<T> {
    pub text: String,
    pub what: T,
}

impl<T> fmt::Display for Written<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::script::names::{Role, Who};

    fn b(number: u32) -> NodeExpr {
        NodeExpr::Who(Who { role: Role::Broker, number })
    }

    #[test]
    fn conditions_read_as_they_are_written() {
        let part = Part { topic: "orders".into(), partition: 0 };
        let table: [(&str, Condition); 8] = [
            (
                "leader(orders-0) == b1",
                Condition::Node(NodeExpr::Leader(part.clone(), None), true, Some(b(1))),
            ),
            (
                "isr(orders-0) lacks b3",
                Condition::Set(SetOf::Isr(part.clone(), None), SetTest::Lacks, vec![b(3)]),
            ),
            (
                "leo(orders-0, b2) >= hw(orders-0, b1) + 1",
                Condition::Compare(
                    Number::LogEnd(part.clone(), b(2)),
                    Comparison::AtLeast,
                    Number::Plus(Box::new(Number::HighWatermark(part.clone(), b(1))), 1),
                ),
            ),
            (
                "time >= 10s",
                Condition::Compare(Number::Time, Comparison::AtLeast, Number::Literal(10_000)),
            ),
            (
                "not up(b2) or controller == none",
                Condition::Any(vec![
                    Condition::Not(Box::new(Condition::Fact(Fact::Up(Group::Nodes(vec![b(2)]))))),
                    Condition::Node(NodeExpr::Controller, true, None),
                ]),
            ),
            (
                "transaction(p1) != PrepareCommit",
                Condition::Transaction("p1".into(), false, TransactionState::PrepareCommit),
            ),
            (
                "offset(g, orders-0) == owned(k1)",
                Condition::Compare(
                    Number::Committed("g".into(), part.clone()),
                    Comparison::Equal,
                    Number::Owned(NodeExpr::Who(Who { role: Role::Consumer, number: 1 })),
                ),
            ),
            (
                "acked > 3",
                Condition::Compare(
                    Number::Tally(Tally::Acked, None),
                    Comparison::Above,
                    Number::Literal(3),
                ),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(condition(&Names::FEW, text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_wrong_condition_says_what_was_expected() {
        let table = [
            ("leader(orders-0) b1", "expected == or !=, found \"b1\""),
            ("up(b7)", "there is no b7: the scenario has 3 brokers"),
            ("ackd >= 3", "unknown quantity \"ackd\"; did you mean \"acked\"?"),
            ("leo(orders, b1) > 0", "expected a partition such as orders-0, found \"orders\""),
            (
                "transaction(p1) == Prepared",
                "unknown state \"Prepared\"; one of: CompleteAbort, \
              CompleteCommit, Empty, Ongoing, PrepareAbort, PrepareCommit",
            ),
            ("", "expected a condition at the end"),
        ];
        for (text, expected) in table {
            assert_eq!(condition(&Names::FEW, text), Err(expected.to_string()), "{text}");
        }
    }
}
