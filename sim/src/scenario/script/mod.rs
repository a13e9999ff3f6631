//! Scripts: what a directed scenario does, step by step. The language is told in [`super`].

pub mod action;
pub mod condition;
pub mod lex;
pub mod names;
mod print;

use std::collections::BTreeSet;

use seedlog::time::Duration;

use super::read::{Table, suggestion};
use super::text::{Error, Place};
pub use action::{
    Action, ClockAct, DiskAct, Hold, LinkAct, MemberAct, ProcessAct, Side, TransactAct, Unflushed,
};
pub use condition::{Comparison, Condition, Fact, Number, SetOf, SetTest, Tally, Written};
pub use names::{Group, Names, NodeExpr, Part, Role, Who};

/// Waits, then looks, then acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The line of the file where it begins (0: from the command line).
    pub line: u32,
    pub name: String,
    /// Waits so long after the step before.
    pub after: Duration,
    /// Then waits until all of these hold at once.
    pub when: Vec<Written<Condition>>,
    /// But so long at most.
    pub within: Duration,
    pub otherwise: Otherwise,
    /// Names for nodes and numbers, fixed at this moment.
    pub bind: Vec<(String, Binding)>,
    /// Not true: the schedule did not come about, and the run is undecided.
    pub expect: Vec<Written<Condition>>,
    /// Not true: a violation.
    pub assert: Vec<Written<Condition>>,
    pub act: Vec<Written<Action>>,
}

/// What a `bind` fixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    Node(NodeExpr),
    Number(Number),
}

/// What happens when a step waits in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// The run is undecided.
    Undecided,
    /// The script goes on behind this step.
    Skip,
    /// The script goes on with this step's actions.
    GoOn,
    /// The script ends here.
    End,
}

/// Reads `[[step]]`.
///
/// # Errors
/// The first thing that is wrong, with its place and its cure.
pub fn steps(root: &mut Table<'_>, names: &Names) -> Result<Vec<Step>, Error> {
    let mut known = Known::default();
    let mut steps = Vec::new();
    for table in root.tables("step")? {
        steps.push(step(table, names, &mut known)?);
    }
    Ok(steps)
}

/// The names that a script has given so far.
#[derive(Default)]
struct Known {
    bound: BTreeSet<String>,
    holds: BTreeSet<String>,
}

impl Known {
    /// Takes in what a line names, and refuses what no line before it has named.
    fn line(&mut self, text: &str) -> Result<(), String> {
        let tokens = lex::tokens(text)?;
        let word = |at: usize| match tokens.get(at) {
            Some(lex::Token::Word(word)) => Some(word.as_str()),
            Some(lex::Token::Sign(_)) | None => None,
        };
        if let (Some("hold"), Some(name)) = (word(0), word(1)) {
            self.holds.insert(name.to_string());
        }
        let let_go = matches!(word(0), Some("release" | "drop")).then(|| word(1)).flatten();
        let held = (0..tokens.len()).filter(|at| word(*at) == Some("held"));
        for name in held.filter_map(|at| word(at + 2)).chain(let_go) {
            if !self.holds.contains(name) {
                let known: Vec<&str> = self.holds.iter().map(String::as_str).collect();
                let cure = suggestion(name, &known);
                return Err(format!("no step before holds {name:?}; {cure}"));
            }
        }
        for name in (0..tokens.len()).filter_map(|at| word(at)?.strip_prefix('$')) {
            if !self.bound.contains(name) {
                let known: Vec<&str> = self.bound.iter().map(String::as_str).collect();
                let cure = suggestion(name, &known);
                return Err(format!("no step before binds {name:?}; {cure}"));
            }
        }
        if word(0).is_some() && tokens.get(1) == Some(&lex::Token::Sign("=")) {
            self.bound.extend(word(0).map(str::to_string));
        }
        Ok(())
    }
}

fn step(mut table: Table<'_>, names: &Names, known: &mut Known) -> Result<Step, Error> {
    let line = match table.place() {
        Place::Line(line) => line,
        Place::Set(_) => 0,
    };
    let at = table.place_of("or");
    let otherwise = match table.string("or")?.as_deref() {
        None | Some("undecided") => Otherwise::Undecided,
        Some("skip") => Otherwise::Skip,
        Some("go on") => Otherwise::GoOn,
        Some("end") => Otherwise::End,
        Some(other) => {
            let what = format!("unknown way out {other:?}");
            return Err(table.error("or", at, what, "one of: undecided, skip, go on, end"));
        }
    };
    let step = Step {
        line,
        name: table.string("name")?.unwrap_or_default(),
        after: table.duration("after")?.unwrap_or(Duration::ZERO),
        when: conditions(&mut table, "when", names, known)?,
        within: table.duration("within")?.unwrap_or(Duration::from_secs(60)),
        otherwise,
        bind: bindings(&mut table, names, known)?,
        expect: conditions(&mut table, "expect", names, known)?,
        assert: conditions(&mut table, "assert", names, known)?,
        act: lines(&mut table, "do", known, |text| action::action(names, text))?,
    };
    table.end()?;
    Ok(step)
}

fn conditions(
    table: &mut Table<'_>,
    key: &'static str,
    names: &Names,
    known: &mut Known,
) -> Result<Vec<Written<Condition>>, Error> {
    lines(table, key, known, |text| condition::condition(names, text))
}

/// Strings of the script's language under one key.
fn lines<T>(
    table: &mut Table<'_>,
    key: &'static str,
    known: &mut Known,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<Written<T>>, Error> {
    let mut list = Vec::new();
    for (place, text) in table.strings(key)? {
        match read(&text).and_then(|what| known.line(&text).map(|()| what)) {
            Ok(what) => list.push(Written { text, what }),
            Err(what) => {
                let what = format!("{what} in {text:?}");
                return Err(table.error(key, place, what, "see `sim script`"));
            }
        }
    }
    Ok(list)
}

fn bindings(
    table: &mut Table<'_>,
    names: &Names,
    known: &mut Known,
) -> Result<Vec<(String, Binding)>, Error> {
    let bound = lines(table, "bind", known, |text| binding(text, names))?;
    Ok(bound.into_iter().map(|written| written.what).collect())
}

/// `old = leader(orders-0)`, `before = leo(orders-0, b1)`.
fn binding(text: &str, names: &Names) -> Result<(String, Binding), String> {
    let mut cursor = lex::Cursor::new(text)?;
    let name = cursor.expect_word("a name")?;
    cursor.expect_sign("=")?;
    let Some(lex::Token::Word(first)) = cursor.peek() else {
        return Err(cursor.expected("a process or a number"));
    };
    let is_node = names.is_node(first);
    let bound = if is_node {
        Binding::Node(names.node(&mut cursor)?)
    } else {
        Binding::Number(condition::number(names, &mut cursor)?)
    };
    cursor.end()?;
    Ok((name, bound))
}
