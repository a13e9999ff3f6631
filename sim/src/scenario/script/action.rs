//! What a step does, one verb a line.

use std::sync::Arc;

use seedlog::message::Api;
use seedlog::time::Duration;

use super::super::read::suggestion;
use super::super::value::{Span, parse_duration};
use super::condition::{self, Number};
use super::lex::{Cursor, Token};
use super::names::{Group, Names, NodeExpr, Part, Role, Who, number, part};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Process(ProcessAct, Group),
    /// Cuts the power; what happens to writes that were not flushed.
    Power(Group, Unflushed),
    /// All links from each of the first to each of the second; both ways with the flag.
    Link(LinkAct, Group, Group, bool),
    /// All cuts, clogs and lags of everybody end.
    HealAll,
    /// From everybody else, both ways.
    Isolate(Group),
    Hold(Hold),
    /// Lets the oldest so many held messages go (0: all, and the hold ends).
    Release(String, u64),
    /// Throws held messages away and ends the hold.
    Drop(String),
    /// Sends records from a producer, to a partition or by key.
    Send(NodeExpr, Arc<str>, Option<i32>, u64),
    Flush(NodeExpr),
    /// A feed sends its next record.
    Feed(NodeExpr),
    /// A producer's next step of a transaction.
    Transact(TransactAct, NodeExpr),
    /// A producer commits a consumer's positions with its transaction.
    SendOffsets(NodeExpr, NodeExpr),
    /// A consumer's next step in its group.
    Member(MemberAct, NodeExpr),
    /// Whether producers send on their own.
    Workload(bool),
    Reassign(Part, Vec<NodeExpr>),
    CancelReassignment(Part),
    /// Preferred, or unclean.
    Elect(Part, bool),
    Create(Arc<str>, u32, Vec<NodeExpr>),
    Delete(Arc<str>),
    Grow(Arc<str>, u32),
    SetConfig(Arc<str>, Arc<str>, Option<Arc<str>>),
    /// Deletes the records below an offset.
    Trim(Part, Number),
    Clock(NodeExpr, ClockAct),
    Disk(Group, DiskAct),
    /// Ends the script.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessAct {
    Crash,
    Start,
    Restart,
    Pause,
    Resume,
    Wipe,
    Shutdown,
    /// Resets its connections.
    Reset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactAct {
    /// Gets its producer id.
    Init,
    Begin,
    Commit,
    Abort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberAct {
    Subscribe,
    Unsubscribe,
    /// Once.
    Poll,
    /// All that is done.
    Commit,
}

/// The fate of what a power loss finds unflushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unflushed {
    /// Drawn by seed: any prefix, the last batch perhaps torn.
    Some,
    Lost,
    Kept,
    /// The last batch is half there, everything before it whole.
    Torn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkAct {
    Cut,
    Clog,
    Lag(Span),
    Heal,
}

/// Keeps messages back: those of one api, kind and link, from the `nth` on, `count` of them (0:
/// all).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub name: String,
    pub api: Option<Api>,
    pub side: Side,
    pub from: Group,
    pub to: Group,
    pub nth: u64,
    pub count: u64,
    /// Whether what follows on the connection waits behind, its end too: so the message can come
    /// after its sender has given the connection up.
    pub in_order: bool,
}

/// Which messages of an api.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Request,
    Response,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockAct {
    Forward(Duration),
    Back(Duration),
    Freeze,
    Thaw,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskAct {
    /// The next write fails.
    Error,
    Full,
    /// Space again, normal speed.
    Ok,
    Stall(Duration),
    Slow(Span),
    /// Flips a bit in a partition's stored log (none: in any).
    Rot(Option<Part>),
}

const VERBS: [&str; 40] = [
    "crash",
    "start",
    "restart",
    "pause",
    "resume",
    "wipe",
    "shutdown",
    "reset",
    "power",
    "cut",
    "clog",
    "lag",
    "heal",
    "isolate",
    "hold",
    "release",
    "drop",
    "send",
    "flush",
    "feed",
    "workload",
    "reassign",
    "cancel",
    "elect",
    "create",
    "delete",
    "grow",
    "set",
    "trim",
    "clock",
    "disk",
    "end",
    "init",
    "begin",
    "commit",
    "abort",
    "send-offsets",
    "subscribe",
    "unsubscribe",
    "poll",
];

/// Reads one action.
///
/// # Errors
/// What was expected instead.
pub fn action(names: &Names, line: &str) -> Result<Action, String> {
    let mut cursor = Cursor::new(line)?;
    let verb = cursor.expect_word("a verb")?;
    let action = parse(names, &mut cursor, &verb)?;
    cursor.end()?;
    Ok(action)
}

fn parse(names: &Names, cursor: &mut Cursor, verb: &str) -> Result<Action, String> {
    let mut process = |act| Ok(Action::Process(act, names.group(cursor)?));
    match verb {
        "crash" => return process(ProcessAct::Crash),
        "start" => return process(ProcessAct::Start),
        "restart" => return process(ProcessAct::Restart),
        "pause" => return process(ProcessAct::Pause),
        "resume" => return process(ProcessAct::Resume),
        "wipe" => return process(ProcessAct::Wipe),
        "shutdown" => return process(ProcessAct::Shutdown),
        "reset" => return process(ProcessAct::Reset),
        _ => {}
    }
    Ok(match verb {
        "power" => power(names, cursor)?,
        "cut" => link(names, cursor, LinkAct::Cut)?,
        "clog" => link(names, cursor, LinkAct::Clog)?,
        "heal" if cursor.keyword("everything") => Action::HealAll,
        "heal" => link(names, cursor, LinkAct::Heal)?,
        "lag" => {
            let Action::Link(_, from, to, both) = link(names, cursor, LinkAct::Cut)? else {
                unreachable!("link() makes links")
            };
            cursor.keyword("by");
            Action::Link(LinkAct::Lag(span(cursor)?), from, to, both)
        }
        "isolate" => Action::Isolate(names.group(cursor)?),
        "hold" => Action::Hold(hold(names, cursor)?),
        "release" => {
            let name = cursor.expect_word("the name of a hold")?;
            let count = if cursor.at_end() { 0 } else { count(cursor)? };
            Action::Release(name, count)
        }
        "drop" => Action::Drop(cursor.expect_word("the name of a hold")?),
        "send" => send(names, cursor)?,
        "flush" => Action::Flush(names.node(cursor)?),
        "feed" => Action::Feed(names.node(cursor)?),
        "workload" => Action::Workload(on_or_off(cursor)?),
        "reassign" => {
            let part = part(cursor)?;
            cursor.keyword("to");
            Action::Reassign(part, names.list(cursor)?)
        }
        "cancel" => Action::CancelReassignment(part(cursor)?),
        "elect" => Action::Elect(part(cursor)?, cursor.keyword("unclean")),
        "clock" => Action::Clock(names.node(cursor)?, clock(cursor)?),
        "disk" => Action::Disk(names.group(cursor)?, disk(cursor)?),
        "end" => Action::End,
        "init" => Action::Transact(TransactAct::Init, names.node(cursor)?),
        "begin" => Action::Transact(TransactAct::Begin, names.node(cursor)?),
        "abort" => Action::Transact(TransactAct::Abort, names.node(cursor)?),
        "commit" => commit(names.node(cursor)?),
        "send-offsets" => Action::SendOffsets(names.node(cursor)?, names.node(cursor)?),
        "subscribe" => Action::Member(MemberAct::Subscribe, names.node(cursor)?),
        "unsubscribe" => Action::Member(MemberAct::Unsubscribe, names.node(cursor)?),
        "poll" => Action::Member(MemberAct::Poll, names.node(cursor)?),
        _ => return topic_verb(names, cursor, verb),
    })
}

/// A producer's transaction, or a consumer's positions.
fn commit(node: NodeExpr) -> Action {
    if matches!(node, NodeExpr::Who(Who { role: Role::Consumer, .. })) {
        Action::Member(MemberAct::Commit, node)
    } else {
        Action::Transact(TransactAct::Commit, node)
    }
}

fn topic_verb(names: &Names, cursor: &mut Cursor, verb: &str) -> Result<Action, String> {
    Ok(match verb {
        "create" => create(names, cursor)?,
        "delete" => Action::Delete(topic(cursor)?),
        "grow" => {
            let topic = topic(cursor)?;
            cursor.keyword("to");
            Action::Grow(topic, partitions(cursor)?)
        }
        "set" => {
            let topic = topic(cursor)?;
            let name = cursor.expect_word("a setting such as min.insync.replicas")?;
            let value = cursor.word().filter(|value| value != "default");
            Action::SetConfig(topic, name.into(), value.map(Into::into))
        }
        "trim" => {
            let part = part(cursor)?;
            cursor.keyword("to");
            Action::Trim(part, condition::number(names, cursor)?)
        }
        _ => return Err(format!("unknown verb {verb:?}; {}", suggestion(verb, &VERBS))),
    })
}

fn topic(cursor: &mut Cursor) -> Result<Arc<str>, String> {
    cursor.keyword("topic");
    Ok(cursor.expect_word("a topic")?.into())
}

fn count(cursor: &mut Cursor) -> Result<u64, String> {
    let number = number(cursor)?;
    let counts = u64::try_from(number).ok().filter(|number| *number <= 1_000_000);
    counts.ok_or_else(|| format!("expected a number from 0 to 1000000, found {number}"))
}

fn partitions(cursor: &mut Cursor) -> Result<u32, String> {
    let count = count(cursor)?;
    let counts = u32::try_from(count).ok().filter(|count| (1..=10_000).contains(count));
    counts.ok_or_else(|| format!("expected 1 to 10000 partitions, found {count}"))
}

fn on_or_off(cursor: &mut Cursor) -> Result<bool, String> {
    match () {
        () if cursor.keyword("on") => Ok(true),
        () if cursor.keyword("off") => Ok(false),
        () => Err(cursor.expected("on or off")),
    }
}

fn span(cursor: &mut Cursor) -> Result<Span, String> {
    let word = cursor.expect_word("a duration or a range")?;
    Span::parse(&word).ok_or_else(|| format!("expected a duration or a range, found {word:?}"))
}

fn duration(cursor: &mut Cursor) -> Result<Duration, String> {
    let word = cursor.expect_word("a duration")?;
    parse_duration(&word).ok_or_else(|| format!("expected a duration, found {word:?}"))
}

fn power(names: &Names, cursor: &mut Cursor) -> Result<Action, String> {
    let group = names.group(cursor)?;
    let fate = match () {
        () if cursor.keyword("lost") => Unflushed::Lost,
        () if cursor.keyword("kept") => Unflushed::Kept,
        () if cursor.keyword("torn") => Unflushed::Torn,
        () if cursor.at_end() || cursor.keyword("some") => Unflushed::Some,
        () => return Err(cursor.expected("lost, kept, torn or some")),
    };
    Ok(Action::Power(group, fate))
}

fn link(names: &Names, cursor: &mut Cursor, act: LinkAct) -> Result<Action, String> {
    let from = names.group(cursor)?;
    let both = match () {
        () if cursor.sign("<->") => true,
        () if cursor.sign("->") => false,
        () => return Err(cursor.expected("-> or <->")),
    };
    Ok(Action::Link(act, from, names.group(cursor)?, both))
}

fn hold(names: &Names, cursor: &mut Cursor) -> Result<Hold, String> {
    let name = cursor.expect_word("a name for the hold")?;
    let word = cursor.expect_word("an api such as Fetch, or any")?;
    let api = if word == "any" { None } else { Some(api(&word)?) };
    let side = match () {
        () if cursor.keyword("request") || cursor.keyword("requests") => Side::Request,
        () if cursor.keyword("response") || cursor.keyword("responses") => Side::Response,
        () => return Err(cursor.expected("request or response")),
    };
    let from = names.group(cursor)?;
    cursor.expect_sign("->")?;
    let to = names.group(cursor)?;
    let mut hold = Hold { name, api, side, from, to, nth: 1, count: 0, in_order: false };
    while !cursor.at_end() {
        match () {
            () if cursor.keyword("nth") => {
                hold.nth = count(cursor)?.max(1);
                if hold.count == 0 {
                    hold.count = 1;
                }
            }
            () if cursor.keyword("count") => hold.count = count(cursor)?,
            () if cursor.keyword("in-order") => hold.in_order = true,
            () if cursor.keyword("from") => hold.nth = count(cursor)?.max(1),
            () => return Err(cursor.expected("nth N, from N, count N or in-order")),
        }
    }
    Ok(hold)
}

/// The api of that name.
fn api(word: &str) -> Result<Api, String> {
    let known: Vec<&str> = Api::ALL.iter().map(|api| api.name()).collect();
    let found = Api::ALL.iter().copied().find(|api| api.name() == word);
    found.ok_or_else(|| format!("unknown api {word:?}; {}", suggestion(word, &known)))
}

fn send(names: &Names, cursor: &mut Cursor) -> Result<Action, String> {
    let producer = names.node(cursor)?;
    let target = cursor.expect_word("a topic or a partition")?;
    let records = if cursor.at_end() { 1 } else { count(cursor)? };
    let split = target.rsplit_once('-').and_then(|(topic, partition)| {
        Some((topic.to_string(), i32::from(partition.parse::<u16>().ok()?)))
    });
    Ok(match split {
        Some((topic, partition)) => Action::Send(producer, topic.into(), Some(partition), records),
        None => Action::Send(producer, target.into(), None, records),
    })
}

fn create(names: &Names, cursor: &mut Cursor) -> Result<Action, String> {
    let topic = topic(cursor)?;
    let mut count = 1;
    let mut replicas = Vec::new();
    while let Some(token) = cursor.peek() {
        match token {
            Token::Word(word) if word == "partitions" => {
                cursor.word();
                count = partitions(cursor)?;
            }
            Token::Word(word) if word == "on" => {
                cursor.word();
                replicas = names.list(cursor)?;
            }
            Token::Word(_) | Token::Sign(_) => {
                return Err(cursor.expected("partitions N or on [b1, b2]"));
            }
        }
    }
    Ok(Action::Create(topic, count, replicas))
}

fn clock(cursor: &mut Cursor) -> Result<ClockAct, String> {
    Ok(match () {
        () if cursor.keyword("freeze") => ClockAct::Freeze,
        () if cursor.keyword("thaw") => ClockAct::Thaw,
        () if cursor.keyword("forward") => ClockAct::Forward(duration(cursor)?),
        () if cursor.keyword("back") => ClockAct::Back(duration(cursor)?),
        () => return Err(cursor.expected("forward 5s, back 5s, freeze or thaw")),
    })
}

fn disk(cursor: &mut Cursor) -> Result<DiskAct, String> {
    Ok(match () {
        () if cursor.keyword("error") => DiskAct::Error,
        () if cursor.keyword("full") => DiskAct::Full,
        () if cursor.keyword("ok") => DiskAct::Ok,
        () if cursor.keyword("stall") => DiskAct::Stall(duration(cursor)?),
        () if cursor.keyword("slow") => DiskAct::Slow(span(cursor)?),
        () if cursor.keyword("rot") => {
            DiskAct::Rot(if cursor.at_end() { None } else { Some(part(cursor)?) })
        }
        () => return Err(cursor.expected("error, full, ok, stall 5s, slow 1ms..9ms or rot")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn b(number: u32) -> Group {
        Group::Nodes(vec![NodeExpr::Who(Who { role: Role::Broker, number })])
    }

    #[test]
    fn actions_read_as_they_are_written() {
        let table: [(&str, Action); 6] = [
            ("crash b1", Action::Process(ProcessAct::Crash, b(1))),
            ("power b2 torn", Action::Power(b(2), Unflushed::Torn)),
            ("cut b1 <-> brokers", Action::Link(LinkAct::Cut, b(1), Group::Brokers, true)),
            ("heal everything", Action::HealAll),
            (
                "hold late Fetch response b1 -> b2 nth 3",
                Action::Hold(Hold {
                    name: "late".into(),
                    api: Some(Api::Fetch),
                    side: Side::Response,
                    from: b(1),
                    to: b(2),
                    nth: 3,
                    count: 1,
                    in_order: false,
                }),
            ),
            ("grow orders to 4", Action::Grow("orders".into(), 4)),
        ];
        for (text, expected) in table {
            assert_eq!(action(&Names::FEW, text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_wrong_action_says_what_was_expected() {
        let table = [
            ("crush b1", "unknown verb \"crush\"; did you mean \"crash\"?"),
            ("cut b1 b2", "expected -> or <->, found \"b2\""),
            ("hold h Fitch request b1 -> b2", "unknown api \"Fitch\"; did you mean \"Fetch\"?"),
            ("crash b1 b2", "expected nothing more, found \"b2\""),
        ];
        for (text, expected) in table {
            assert_eq!(action(&Names::FEW, text), Err(expected.to_string()), "{text}");
        }
    }
}
