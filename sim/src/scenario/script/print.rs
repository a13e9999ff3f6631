//! Actions as the lines that read back as themselves: what a recorded run is made of.

use std::fmt;

use seedlog::message::coordinator::CoordinatorKind;

use super::action::{
    Action, ClockAct, DiskAct, Hold, LinkAct, MemberAct, ProcessAct, Side, TransactAct, Unflushed,
};
use super::condition::Number;
use super::names::{Group, NodeExpr};
use crate::scenario::value::print_duration;

impl fmt::Display for NodeExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeExpr::Who(who) => who.fmt(f),
            NodeExpr::Leader(part, None) => write!(f, "leader({part})"),
            NodeExpr::Leader(part, Some(view)) => write!(f, "leader({part}, {view})"),
            NodeExpr::Preferred(part) => write!(f, "preferred({part})"),
            NodeExpr::Follower(part, number) => write!(f, "follower({part}, {number})"),
            NodeExpr::Controller => f.write_str("controller"),
            NodeExpr::Coordinator(CoordinatorKind::Group, key) => {
                write!(f, "group_coordinator({key})")
            }
            NodeExpr::Coordinator(CoordinatorKind::Transaction, key) => {
                write!(f, "transaction_coordinator({key})")
            }
            NodeExpr::Bound(name) => write!(f, "${name}"),
        }
    }
}

/// `[b1, b2]`
struct List<'a>(&'a [NodeExpr]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, node) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{node}")?;
        }
        f.write_str("]")
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Group::Nodes(nodes) if nodes.len() == 1 => nodes[0].fmt(f),
            Group::Nodes(nodes) => List(nodes).fmt(f),
            Group::Brokers => f.write_str("brokers"),
            Group::Controllers => f.write_str("controllers"),
            Group::Servers => f.write_str("servers"),
            Group::Clients => f.write_str("clients"),
            Group::Everybody => f.write_str("all"),
            Group::Except(group, nodes) => write!(f, "{group} except {}", List(nodes)),
        }
    }
}

impl ProcessAct {
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            ProcessAct::Crash => "crash",
            ProcessAct::Start => "start",
            ProcessAct::Restart => "restart",
            ProcessAct::Pause => "pause",
            ProcessAct::Resume => "resume",
            ProcessAct::Wipe => "wipe",
            ProcessAct::Shutdown => "shutdown",
            ProcessAct::Reset => "reset",
        }
    }
}

impl TransactAct {
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            TransactAct::Init => "init",
            TransactAct::Begin => "begin",
            TransactAct::Commit => "commit",
            TransactAct::Abort => "abort",
        }
    }
}

impl MemberAct {
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            MemberAct::Subscribe => "subscribe",
            MemberAct::Unsubscribe => "unsubscribe",
            MemberAct::Poll => "poll",
            MemberAct::Commit => "commit",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Process(act, group) => write!(f, "{} {group}", act.verb()),
            Action::Power(group, fate) => {
                let fate = match fate {
                    Unflushed::Some => "some",
                    Unflushed::Lost => "lost",
                    Unflushed::Kept => "kept",
                    Unflushed::Torn => "torn",
                };
                write!(f, "power {group} {fate}")
            }
            Action::Link(act, from, to, both) => link(f, act, from, to, *both),
            Action::HealAll => f.write_str("heal everything"),
            Action::Isolate(group) => write!(f, "isolate {group}"),
            Action::Hold(hold) => hold.fmt(f),
            Action::Release(name, 0) => write!(f, "release {name}"),
            Action::Release(name, count) => write!(f, "release {name} {count}"),
            Action::Drop(name) => write!(f, "drop {name}"),
            Action::Send(node, topic, Some(partition), records) => {
                write!(f, "send {node} {topic}-{partition} {records}")
            }
            Action::Send(node, topic, None, records) => write!(f, "send {node} {topic} {records}"),
            Action::Flush(node) => write!(f, "flush {node}"),
            Action::Feed(node) => write!(f, "feed {node}"),
            Action::Transact(act, node) => write!(f, "{} {node}", act.verb()),
            Action::SendOffsets(producer, consumer) => {
                write!(f, "send-offsets {producer} {consumer}")
            }
            Action::Member(act, node) => write!(f, "{} {node}", act.verb()),
            Action::Workload(on) => write!(f, "workload {}", if *on { "on" } else { "off" }),
            Action::Clock(node, act) => clock(f, node, *act),
            Action::Disk(group, act) => disk(f, group, act),
            Action::End => f.write_str("end"),
            Action::Reassign(..)
            | Action::CancelReassignment(_)
            | Action::Elect(..)
            | Action::Create(..)
            | Action::Delete(_)
            | Action::Grow(..)
            | Action::SetConfig(..)
            | Action::Trim(..) => admin(f, self),
        }
    }
}

fn admin(f: &mut fmt::Formatter<'_>, action: &Action) -> fmt::Result {
    match action {
        Action::Reassign(part, nodes) => write!(f, "reassign {part} to {}", List(nodes)),
        Action::CancelReassignment(part) => write!(f, "cancel {part}"),
        Action::Elect(part, false) => write!(f, "elect {part}"),
        Action::Elect(part, true) => write!(f, "elect {part} unclean"),
        Action::Create(topic, partitions, nodes) if nodes.is_empty() => {
            write!(f, "create {topic} partitions {partitions}")
        }
        Action::Create(topic, partitions, nodes) => {
            write!(f, "create {topic} partitions {partitions} on {}", List(nodes))
        }
        Action::Delete(topic) => write!(f, "delete {topic}"),
        Action::Grow(topic, partitions) => write!(f, "grow {topic} to {partitions}"),
        Action::SetConfig(topic, name, value) => {
            write!(f, "set {topic} {name} {}", value.as_deref().unwrap_or("default"))
        }
        Action::Trim(part, Number::Literal(to)) => write!(f, "trim {part} to {to}"),
        Action::Trim(part, to) => write!(f, "trim {part} to {to:?}"),
        Action::Process(..)
        | Action::Power(..)
        | Action::Link(..)
        | Action::HealAll
        | Action::Isolate(_)
        | Action::Hold(_)
        | Action::Release(..)
        | Action::Drop(_)
        | Action::Send(..)
        | Action::Flush(_)
        | Action::Feed(_)
        | Action::Transact(..)
        | Action::SendOffsets(..)
        | Action::Member(..)
        | Action::Workload(_)
        | Action::Clock(..)
        | Action::Disk(..)
        | Action::End => unreachable!("told by its own line"),
    }
}

fn link(
    f: &mut fmt::Formatter<'_>,
    act: &LinkAct,
    from: &Group,
    to: &Group,
    both: bool,
) -> fmt::Result {
    let arrow = if both { "<->" } else { "->" };
    match act {
        LinkAct::Cut => write!(f, "cut {from} {arrow} {to}"),
        LinkAct::Clog => write!(f, "clog {from} {arrow} {to}"),
        LinkAct::Heal => write!(f, "heal {from} {arrow} {to}"),
        LinkAct::Lag(span) => write!(f, "lag {from} {arrow} {to} by {span}"),
    }
}

fn clock(f: &mut fmt::Formatter<'_>, node: &NodeExpr, act: ClockAct) -> fmt::Result {
    match act {
        ClockAct::Forward(by) => write!(f, "clock {node} forward {}", print_duration(by)),
        ClockAct::Back(by) => write!(f, "clock {node} back {}", print_duration(by)),
        ClockAct::Freeze => write!(f, "clock {node} freeze"),
        ClockAct::Thaw => write!(f, "clock {node} thaw"),
    }
}

fn disk(f: &mut fmt::Formatter<'_>, group: &Group, act: &DiskAct) -> fmt::Result {
    match act {
        DiskAct::Error => write!(f, "disk {group} error"),
        DiskAct::Full => write!(f, "disk {group} full"),
        DiskAct::Ok => write!(f, "disk {group} ok"),
        DiskAct::Stall(time) => write!(f, "disk {group} stall {}", print_duration(*time)),
        DiskAct::Slow(span) => write!(f, "disk {group} slow {span}"),
        DiskAct::Rot(None) => write!(f, "disk {group} rot"),
        DiskAct::Rot(Some(part)) => write!(f, "disk {group} rot {part}"),
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hold { name, api, side, from, to, nth, count, in_order } = self;
        let api = api.map_or("any", |api| api.name());
        let side = match side {
            Side::Request => "request",
            Side::Response => "response",
        };
        write!(f, "hold {name} {api} {side} {from} -> {to} from {nth}")?;
        if *count > 0 {
            write!(f, " count {count}")?;
        }
        f.write_str(if *in_order { " in-order" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::script::{Names, action::action};

    #[test]
    fn what_is_printed_reads_back() {
        let names = Names::FEW;
        let lines = [
            "crash b1",
            "restart [b1, c2]",
            "crash transaction_coordinator(p1)",
            "pause servers except [b1]",
            "power b2 torn",
            "cut b1 -> b2",
            "lag all <-> b3 by 10ms..20ms",
            "heal everything",
            "hold h Fetch response b1 -> b2 from 3 count 1",
            "hold h any request all -> b2 from 1",
            "hold h EndTxn request p1 -> b2 from 1 count 1 in-order",
            "release h",
            "release h 2",
            "send p1 orders-0 3",
            "send p1 orders 1",
            "workload off",
            "init p1",
            "begin p1",
            "commit p1",
            "commit k1",
            "send-offsets p1 k1",
            "subscribe k1",
            "poll k1",
            "reassign orders-0 to [b1, b3]",
            "elect orders-0 unclean",
            "create t partitions 2 on [b1, b2]",
            "set orders retention.ms default",
            "trim orders-0 to 5",
            "clock b1 back 5s",
            "disk b1 slow 1ms..9ms",
            "disk brokers rot orders-0",
        ];
        for line in lines {
            let read = action(&names, line).expect(line);
            assert_eq!(read.to_string(), line);
        }
    }
}
