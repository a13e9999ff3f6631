//! Whom a script speaks of: processes by name or by role, partitions, groups of processes.

use std::fmt;
use std::sync::Arc;

use seedlog::message::coordinator::CoordinatorKind;

use super::lex::Cursor;

/// How many processes of each kind there are.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    pub brokers: u32,
    pub controllers: u32,
    pub producers: u32,
    pub consumers: u32,
    pub stores: u32,
    pub feeds: u32,
    pub apps: u32,
}

#[cfg(test)]
impl Names {
    /// A small cluster with one of everything, for tests of the language.
    pub const FEW: Names = Names {
        brokers: 3,
        controllers: 3,
        producers: 1,
        consumers: 1,
        stores: 1,
        feeds: 1,
        apps: 2,
    };
}

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Broker,
    Controller,
    Producer,
    Consumer,
    Admin,
    /// What applications keep their state in, beside the brokers.
    Store,
    /// Sends an application its input.
    Feed,
    App,
}

/// One process: b1, c2, p1, k1, a1, s1, f1, x1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Who {
    pub role: Role,
    /// From 1.
    pub number: u32,
}

impl Role {
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Role::Broker => 'b',
            Role::Controller => 'c',
            Role::Producer => 'p',
            Role::Consumer => 'k',
            Role::Admin => 'a',
            Role::Store => 's',
            Role::Feed => 'f',
            Role::App => 'x',
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.role.letter(), self.number)
    }
}

/// A partition as scripts name it: `orders-0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// One process, by name or by what it is at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeExpr {
    Who(Who),
    /// As the most advanced controller sees it, or as the given node does.
    Leader(Part, Option<Box<NodeExpr>>),
    /// The first replica.
    Preferred(Part),
    /// The so-manyth replica (from 1) that does not lead.
    Follower(Part, u32),
    /// The active controller.
    Controller,
    /// The broker that coordinates a group, or the transactions of a producer (or an id).
    Coordinator(CoordinatorKind, Arc<str>),
    /// What a `bind` gave this name.
    Bound(String),
}

/// Several processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    Nodes(Vec<NodeExpr>),
    Brokers,
    Controllers,
    Servers,
    Clients,
    Everybody,
    /// All members of the first but those of the second.
    Except(Box<Group>, Vec<NodeExpr>),
}

impl Names {
    /// Reads `b1` and the like.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn who(&self, word: &str) -> Option<Result<Who, String>> {
        let mut chars = word.chars();
        let (role, count, kind) = match chars.next()? {
            'b' => (Role::Broker, self.brokers, "brokers"),
            'c' => (Role::Controller, self.controllers, "controllers"),
            'p' => (Role::Producer, self.producers, "producers"),
            'k' => (Role::Consumer, self.consumers, "consumers"),
            'a' => (Role::Admin, 1, "admin clients"),
            's' => (Role::Store, self.stores, "stores"),
            'f' => (Role::Feed, self.feeds, "feeds"),
            'x' => (Role::App, self.apps, "applications"),
            _ => return None,
        };
        let number: u32 = chars.as_str().parse().ok()?;
        if (1..=count).contains(&number) {
            return Some(Ok(Who { role, number }));
        }
        Some(Err(format!("there is no {word}: the scenario has {count} {kind}")))
    }

    /// Whether a process begins with that word.
    #[must_use]
    pub fn is_node(&self, word: &str) -> bool {
        let roles = [
            "leader",
            "preferred",
            "follower",
            "controller",
            "group_coordinator",
            "transaction_coordinator",
        ];
        roles.contains(&word) || self.who(word).is_some()
    }

    /// Reads one process.
    ///
    /// # Errors
    /// If none is next.
    pub fn node(&self, cursor: &mut Cursor) -> Result<NodeExpr, String> {
        let what = "a process (b1, c1, p1, k1, leader(topic-0), controller, $name)";
        let word = cursor.expect_word(what)?;
        if let Some(name) = word.strip_prefix('$') {
            return Ok(NodeExpr::Bound(name.to_string()));
        }
        match word.as_str() {
            "controller" => return Ok(NodeExpr::Controller),
            "leader" => {
                cursor.expect_sign("(")?;
                let part = part(cursor)?;
                let by = if cursor.sign(",") { Some(Box::new(self.node(cursor)?)) } else { None };
                cursor.expect_sign(")")?;
                return Ok(NodeExpr::Leader(part, by));
            }
            "group_coordinator" => return coordinator(CoordinatorKind::Group, cursor),
            "transaction_coordinator" => return coordinator(CoordinatorKind::Transaction, cursor),
            "preferred" => {
                cursor.expect_sign("(")?;
                let part = part(cursor)?;
                cursor.expect_sign(")")?;
                return Ok(NodeExpr::Preferred(part));
            }
            "follower" => {
                cursor.expect_sign("(")?;
                let part = part(cursor)?;
                let number = if cursor.sign(",") { number(cursor)? } else { 1 };
                cursor.expect_sign(")")?;
                return Ok(NodeExpr::Follower(part, u32::try_from(number).unwrap_or(1)));
            }
            _ => {}
        }
        match self.who(&word) {
            Some(who) => who.map(NodeExpr::Who),
            None => Err(format!("expected {what}, found {word:?}")),
        }
    }

    /// Reads `[b1, b2]`.
    ///
    /// # Errors
    /// If no list is next.
    pub fn list(&self, cursor: &mut Cursor) -> Result<Vec<NodeExpr>, String> {
        cursor.expect_sign("[")?;
        let mut nodes = Vec::new();
        while !cursor.sign("]") {
            if !nodes.is_empty() {
                cursor.expect_sign(",")?;
            }
            nodes.push(self.node(cursor)?);
        }
        Ok(nodes)
    }

    /// Reads one process, a list, or a group's name, with `except` behind it.
    ///
    /// # Errors
    /// If none is next.
    pub fn group(&self, cursor: &mut Cursor) -> Result<Group, String> {
        let named = [
            ("brokers", Group::Brokers),
            ("controllers", Group::Controllers),
            ("servers", Group::Servers),
            ("clients", Group::Clients),
            ("all", Group::Everybody),
            ("any", Group::Everybody),
        ];
        let found = named.into_iter().find(|(word, _)| cursor.keyword(word));
        let group = match found {
            Some((_, group)) => group,
            None => Group::Nodes(self.nodes(cursor)?),
        };
        if cursor.keyword("except") {
            return Ok(Group::Except(Box::new(group), self.nodes(cursor)?));
        }
        Ok(group)
    }

    /// Reads one process or a list.
    ///
    /// # Errors
    /// If neither is next.
    pub fn nodes(&self, cursor: &mut Cursor) -> Result<Vec<NodeExpr>, String> {
        if cursor.sign("[") {
            cursor.back();
            return self.list(cursor);
        }
        Ok(vec![self.node(cursor)?])
    }
}

/// Reads `(p1)`.
fn coordinator(kind: CoordinatorKind, cursor: &mut Cursor) -> Result<NodeExpr, String> {
    cursor.expect_sign("(")?;
    let key = cursor.expect_word("a group, a producer or a transactional id")?;
    cursor.expect_sign(")")?;
    Ok(NodeExpr::Coordinator(kind, key.into()))
}

/// Reads `orders-0`.
///
/// # Errors
/// If no partition is next.
pub fn part(cursor: &mut Cursor) -> Result<Part, String> {
    let what = "a partition such as orders-0";
    let word = cursor.expect_word(what)?;
    let parsed = word.rsplit_once('-').and_then(|(topic, partition)| {
        let partition: u16 = partition.parse().ok()?;
        Some(Part { topic: topic.into(), partition: i32::from(partition) })
    });
    parsed.ok_or_else(|| format!("expected {what}, found {word:?}"))
}

/// Reads a whole number.
///
/// # Errors
/// If none is next.
pub fn number(cursor: &mut Cursor) -> Result<i64, String> {
    let word = cursor.expect_word("a whole number")?;
    word.parse().map_err(|_| format!("expected a whole number, found {word:?}"))
}
