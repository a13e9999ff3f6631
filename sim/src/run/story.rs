//! What the applications of a run did before a promise of theirs was broken, in a few lines.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use seedlog::event::{ApplicationNote, Event, OffsetNote, TransactionNote, UnsentNote, WorkedNote};
use seedlog::ids::{Offset, TopicName};
use seedlog::machine::{Effect, Input};
use seedlog::op::{Outcome, Rebalance, SendRecord};
use seedlog::time::millis;

use super::Finding;
use super::refused::refused;
use crate::cluster::Process;
use crate::scenario::script::{Role, Who};
use crate::world::{Lifecycle, ProcessId, World};

/// Lines told at most of each kind, the newest.
const RECORDS: usize = 16;
const LIVES: usize = 12;
const MOVES: usize = 8;
const COMMITS: usize = 8;
const REFUSALS: usize = 6;

/// What clients were refused for no longer than that is told of one that makes no progress.
const RECENT_MS: i64 = 30_000;

/// Keeps a line of whatever applications, and those around them, did.
#[derive(Clone, Debug)]
pub struct Story {
    /// The groups of applications.
    groups: Vec<Arc<str>>,
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    event: u64,
    text: String,
    about: About,
}

#[derive(Clone, Debug)]
enum About {
    /// Somebody worked on a record, or for a request: the words that name it, and the keys of what
    /// came in and went out.
    Record { words: Vec<String>, keys: Vec<Bytes> },
    /// A process began, or ended.
    Life,
    /// Partitions have other owners.
    Move,
    /// Something was made final, or taken back: also, up to which offset of a partition.
    Commit { past: Option<(String, i64)> },
    /// A client's request was answered by an error, at that simulated time.
    Refusal { ms: i64, what: String },
}

/// Simulated milliseconds.
fn ms(world: &World<Process>) -> i64 {
    millis(world.now().since(seedlog::time::Instant::ZERO))
}

impl Story {
    #[must_use]
    pub fn new(groups: Vec<Arc<str>>) -> Self {
        Story { groups, lines: Vec::new() }
    }

    fn tell(&mut self, world: &World<Process>, process: ProcessId, what: &str, about: About) {
        let now = ms(world);
        let (s, ms) = (now / 1_000, now % 1_000);
        let text =
            format!("{:>8} {s:>4}.{ms:03} {:<4} {what}", world.events(), world.name(process));
        self.lines.push(Line { event: world.events(), text, about });
    }

    pub fn lifecycle(&mut self, world: &World<Process>, process: ProcessId, change: Lifecycle) {
        let what = match change {
            Lifecycle::Started => "starts",
            Lifecycle::Crashed => "crashes",
            Lifecycle::PowerLost => "loses its power",
            Lifecycle::Halted => "stops itself",
            Lifecycle::Paused => "stands still",
            Lifecycle::Resumed => "goes on",
            Lifecycle::Wiped => "has an empty disk",
        };
        self.tell(world, process, what, About::Life);
    }

    pub fn delivered(
        &mut self,
        world: &World<Process>,
        process: ProcessId,
        who: Who,
        input: &Input,
    ) {
        let Input::Response { response, .. } = input else { return };
        if who.role != Role::App && who.role != Role::Feed {
            return;
        }
        let Some(error) = refused(response) else { return };
        let told = format!("is answered {error} to its {}", response.api().name());
        let what = format!("{} {told}", world.name(process));
        self.tell(world, process, &told, About::Refusal { ms: ms(world), what });
    }

    pub fn effects(
        &mut self,
        world: &World<Process>,
        process: ProcessId,
        who: Who,
        effects: &[Effect],
    ) {
        let is_app = who.role == Role::App || who.role == Role::Store;
        for effect in effects {
            let Effect::Note(event) = effect else { continue };
            if let Event::Application(note) = event {
                self.noted(world, process, note);
            } else if let Event::OffsetCommitted(note) = event {
                self.committed(world, process, note);
            } else if let Event::Transaction(note) = event {
                self.decided(world, process, note);
            } else if let Event::Reset(note) = event
                && is_app
                && note.offset != Offset::NONE
            {
                let (topic, partition) = (&note.topic, note.partition);
                let what =
                    format!("has no place in {topic}-{partition}: begins at {}", note.offset);
                self.tell(world, process, &what, About::Move);
            }
        }
    }

    fn decided(&mut self, world: &World<Process>, process: ProcessId, note: &TransactionNote) {
        if let Some(commit) = note.to.decision().filter(|_| note.committed) {
            let what = if commit { "committed" } else { "aborted" };
            let id = &note.transactional_id;
            let what = format!("decides that the transaction of {id} is {what}");
            self.tell(world, process, &what, About::Commit { past: None });
        }
    }

    fn committed(&mut self, world: &World<Process>, process: ProcessId, note: &OffsetNote) {
        if !self.groups.contains(&note.group) {
            return;
        }
        let OffsetNote { group, topic, partition, offset, .. } = note;
        let what = format!("has group {group} at {topic}-{partition} offset {offset}");
        let past = Some((format!("{topic}-{partition} offset "), offset.0));
        self.tell(world, process, &what, About::Commit { past });
    }

    fn noted(&mut self, world: &World<Process>, process: ProcessId, note: &ApplicationNote) {
        let named = |id: &Arc<str>| About::Record { words: vec![id.to_string()], keys: Vec::new() };
        let (what, about) = match note {
            ApplicationNote::Worked(note) => (worked(note), about(note)),
            ApplicationNote::Unsent(note) => {
                let what = format!("{} {} {}", world.name(process), note.to, why(&note.outcome));
                (unsent(note), About::Refusal { ms: ms(world), what })
            }
            ApplicationNote::Rebalanced { change, .. } => (moved(change), About::Move),
            ApplicationNote::Applied(note) => {
                let (by, id) = (&note.by, &note.id);
                (format!("does request {id} for {by}: {:?}", note.changes), named(id))
            }
            ApplicationNote::Retried { id, attempt, .. } => {
                (format!("will try {id} again, for the {attempt}. time"), named(id))
            }
            ApplicationNote::DeadLettered { id, .. } => (format!("gives {id} up"), named(id)),
            ApplicationNote::Duplicate { id, .. } => {
                (format!("knows {id} already: does nothing"), named(id))
            }
            ApplicationNote::Restored(note) => {
                let (changelog, partition, upto) = (&note.changelog, note.partition, note.upto);
                let what = format!("has read its state from {changelog}-{partition} up to {upto}");
                (what, About::Move)
            }
            ApplicationNote::Processed { .. }
            | ApplicationNote::Malformed(_)
            | ApplicationNote::Astray(_)
            | ApplicationNote::Counters { .. } => return,
        };
        self.tell(world, process, &what, about);
    }

    /// What concerns a finding. `key`: of the record that was looked at.
    #[must_use]
    pub fn told(&self, finding: &Finding, key: Option<&Bytes>) -> Vec<String> {
        let (named, others) = self.records(&finding.detail, key);
        let is_stuck = finding.code == "L0";
        let mut told: Vec<&Line> = Vec::new();
        if is_stuck {
            // The record where it stands again and again, and those that it would do along with it.
            told.extend(newest(&named, RECORDS / 4));
            told.extend(self.beyond(&finding.detail, RECORDS - told.len()));
        } else {
            told.extend(newest(&named, RECORDS / 2));
            told.extend(newest(&others, RECORDS - told.len()));
        }
        let events = || told.iter().map(|line| line.event);
        let last = events().max().unwrap_or(u64::MAX);
        let within = (events().min().unwrap_or(0), last);
        told.extend(self.around(within, LIVES, |about| matches!(about, About::Life)));
        told.extend(self.around(within, MOVES, |about| matches!(about, About::Move)));
        told.extend(self.around(within, COMMITS, |about| matches!(about, About::Commit { .. })));
        if is_stuck {
            told.extend(self.refusals(finding.at_ms));
        }
        // The lines lie in the order in which they were told.
        told.sort_by_key(|line| std::ptr::from_ref::<Line>(line));
        told.dedup_by(|a, b| std::ptr::eq(*a, *b));
        told.into_iter().map(|line| line.text.clone()).collect()
    }

    /// The lines of what a finding names, and those of other records with the same keys.
    fn records(&self, detail: &str, key: Option<&Bytes>) -> (Vec<&Line>, Vec<&Line>) {
        let mut sought: BTreeSet<&Bytes> = key.into_iter().collect();
        let (mut named, mut others) = (Vec::new(), Vec::new());
        let mut passed = BTreeSet::new();
        for line in &self.lines {
            match &line.about {
                About::Record { words, keys } => {
                    let is_named = words.iter().any(|word| mentions(detail, word));
                    let quoted = |key: &&Bytes| key.len() > 1 && detail.contains(&quote(key));
                    sought.extend(keys.iter().filter(|key| is_named || quoted(key)));
                    if is_named {
                        named.push(line);
                    } else {
                        others.push((line, keys));
                    }
                }
                // The commit that went past what is named.
                About::Commit { past: Some((place, offset)) } => {
                    let at = number_after(detail, place);
                    if at.is_some_and(|at| at < *offset) && passed.insert(place) {
                        named.push(line);
                    }
                }
                About::Commit { past: None }
                | About::Life
                | About::Move
                | About::Refusal { .. } => {}
            }
        }
        let concerns = |keys: &[Bytes]| keys.iter().any(|key| sought.contains(key));
        others.retain(|(_, keys)| concerns(keys));
        (named, others.into_iter().map(|(line, _)| line).collect())
    }

    /// The last work on each of the records that follow the place which a text names, the nearest.
    fn beyond(&self, detail: &str, most: usize) -> Vec<&Line> {
        let mut last: BTreeMap<i64, &Line> = BTreeMap::new();
        for line in &self.lines {
            let About::Record { words, .. } = &line.about else { continue };
            for (place, offset) in words.iter().filter_map(|word| word.rsplit_once(' ')) {
                let at = number_after(detail, &format!("{place} "));
                if let Some(offset) = at.and_then(|at| offset.parse().ok().filter(|o| *o > at)) {
                    last.insert(offset, line);
                }
            }
        }
        last.into_values().take(most).collect()
    }

    /// What clients were refused last, each kind of refusal once, before a finding of that time. Of
    /// those of one event the first is the cause.
    fn refusals(&self, found_ms: i64) -> Vec<&Line> {
        let mut last: BTreeMap<&str, &Line> = BTreeMap::new();
        for line in &self.lines {
            let About::Refusal { ms, what } = &line.about else { continue };
            let is_other = last.get(&**what).is_none_or(|before| before.event != line.event);
            if *ms >= found_ms - RECENT_MS && is_other {
                last.insert(what, line);
            }
        }
        let mut newest: Vec<&Line> = last.into_values().collect();
        newest.sort_by_key(|line| Reverse(line.event));
        newest.truncate(REFUSALS);
        newest
    }

    /// Lines of a kind: what led to the events of that range, what came between, and then what
    /// followed.
    fn around(
        &self,
        (first, last): (u64, u64),
        most: usize,
        is: impl Fn(&About) -> bool,
    ) -> Vec<&Line> {
        const LED: usize = 3;
        let lines: Vec<&Line> = self.lines.iter().filter(|line| is(&line.about)).collect();
        let from = lines.partition_point(|line| line.event < first).saturating_sub(LED);
        let to = lines.partition_point(|line| line.event <= last);
        let between = newest(&lines[from..to], most);
        let after = lines[to..].iter().take(most - between.len());
        between.iter().chain(after).copied().collect()
    }
}

/// So many at most, of the end.
fn newest<'l, 's>(lines: &'s [&'l Line], most: usize) -> &'s [&'l Line] {
    &lines[lines.len().saturating_sub(most)..]
}

/// The number that follows a word in a text.
fn number_after(text: &str, word: &str) -> Option<i64> {
    let (_, rest) = text.split_once(word)?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

/// Whether a text names something: the word by itself, and not as part of a longer one.
fn mentions(text: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(word).any(|(at, _)| {
        !part(text[..at].chars().next_back()) && !part(text[at + word.len()..].chars().next())
    })
}

/// Bytes as people read them.
fn quote(bytes: &Bytes) -> String {
    const LONGEST: usize = 60;
    let text = format!("{bytes:?}");
    let text = text.strip_prefix('b').unwrap_or(&text);
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    // What bytes print is ASCII.
    format!("{}..\" ({} bytes)", &text[..LONGEST], bytes.len())
}

fn told_of(bytes: Option<&Bytes>) -> String {
    bytes.map_or("none".into(), quote)
}

fn worked(note: &WorkedNote) -> String {
    let WorkedNote { topic, partition, offset, key, attempt, emitted, again_after, .. } = note;
    let mut text =
        format!("works on {topic}-{partition} offset {offset} ({})", told_of(key.as_ref()));
    if *attempt > 1 {
        let _ = write!(text, " for the {attempt}. time");
    }
    let sent = |record: &SendRecord| {
        let (key, value) = (record.key.as_ref(), record.value.as_ref());
        format!("{} {} = {}", record.topic, told_of(key), told_of(value))
    };
    match (again_after, &emitted[..]) {
        (Some(delay), _) => {
            let _ = write!(text, ": again in {delay:?}");
        }
        (None, []) => text.push_str(": emits nothing"),
        (None, emitted) => {
            let all: Vec<String> = emitted.iter().map(sent).collect();
            let _ = write!(text, ": emits {}", all.join(", "));
        }
    }
    text
}

fn unsent(note: &UnsentNote) -> String {
    let UnsentNote { topic, partition, offset, to, outcome } = note;
    let why = why(outcome);
    format!("cannot send to {to} what it emits for {topic}-{partition} offset {offset}: {why}")
}

fn why(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Failed(error) | Outcome::Unknown(error) => error.to_string(),
        Outcome::Done
        | Outcome::Sent { .. }
        | Outcome::Polled(_)
        | Outcome::Rebalanced(_)
        | Outcome::Committed(_)
        | Outcome::Answered(_) => format!("{outcome:?}"),
    }
}

fn about(note: &WorkedNote) -> About {
    let WorkedNote { topic, partition, offset, key, emitted, .. } = note;
    let keys = key.iter().chain(emitted.iter().filter_map(|record| record.key.as_ref()));
    let words = vec![format!("{topic}-{partition} offset {offset}")];
    About::Record { words, keys: keys.cloned().collect() }
}

fn moved(change: &Rebalance) -> String {
    let listed = |partitions: &[(TopicName, i32)]| {
        let names = partitions.iter().map(|(topic, partition)| format!("{topic}-{partition}"));
        let names: Vec<String> = names.collect();
        if names.is_empty() { "nothing".into() } else { names.join(", ") }
    };
    match change {
        Rebalance::Revoked(partitions) => format!("is to give up {}", listed(partitions)),
        Rebalance::Lost(partitions) => format!("has lost {}", listed(partitions)),
        Rebalance::Assigned(partitions, metadata) => {
            format!("gets {} (generation {})", listed(partitions), metadata.generation)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(event: u64, about: About) -> Line {
        Line { event, text: event.to_string(), about }
    }

    fn work(offset: u64, key: &'static str) -> About {
        About::Record { words: vec![format!("in-0 offset {offset}")], keys: vec![key.into()] }
    }

    fn finding(detail: &str) -> Finding {
        Finding {
            code: "U1".into(),
            name: String::new(),
            claim: String::new(),
            at_ms: 0,
            event: 90,
            detail: detail.into(),
        }
    }

    #[test]
    fn a_story_is_of_what_a_finding_names_and_of_whoever_was_about() {
        let past = |offset| About::Commit { past: Some(("in-0 offset ".into(), offset)) };
        let lines = vec![
            line(1, About::Life),
            line(2, About::Move),
            line(10, work(1, "other")),
            line(20, work(2, "seat 2")),
            line(21, past(2)),
            line(22, past(3)),
            line(23, past(4)),
            line(30, About::Life),
            line(40, work(12, "other")),
            line(50, work(13, "seat 2")),
        ];
        let story = Story { groups: Vec::new(), lines };
        let told = |detail: &str, key: Option<&Bytes>| story.told(&finding(detail), key).join(" ");
        let all = "1 2 20 21 22 23 30 50";
        assert_eq!(told("in-0 offset 2 was dropped", None), all);
        assert_eq!(told("b\"seat 2\" was sold", None), all);
        assert_eq!(told("twice", Some(&"seat 2".into())), all);
        assert_eq!(
            told("in-0 offset 3 was dropped", None),
            "1 2 21 22 23 30",
            "it was never given"
        );
    }

    #[test]
    fn what_makes_no_progress_is_told_with_what_it_was_refused_last() {
        let refusal = |ms, what: &str| About::Refusal { ms, what: what.into() };
        let lines = vec![
            line(10, refusal(69_999, "long ago")),
            line(20, work(3, "k")),
            line(21, work(2, "k")),
            line(22, work(4, "other")),
            line(23, work(4, "other")),
            line(30, refusal(80_000, "too large")),
            line(40, refusal(90_000, "moved")),
            line(50, refusal(99_000, "too large")),
        ];
        let story = Story { groups: Vec::new(), lines };
        let told = |code: &str| {
            let detail = "group g of the app has come to in-0 offset 3 and no further";
            story.told(&Finding { code: code.into(), at_ms: 100_000, ..finding(detail) }, None)
        };
        assert_eq!(told("L0").join(" "), "20 23 40 50");
        assert_eq!(told("U1").join(" "), "20 21");
    }

    #[test]
    fn a_story_is_short() {
        let lines = (0..1_000).flat_map(|event| {
            [work(event, "k"), About::Life, About::Move, About::Commit { past: None }]
                .map(|about| line(event, about))
        });
        let story = Story { groups: Vec::new(), lines: lines.collect() };
        let told = story.told(&finding("in-0 offset 7"), Some(&"k".into()));
        assert_eq!(told.len(), RECORDS + LIVES + MOVES + COMMITS);
        assert!(told.contains(&"7".into()), "{told:?}");
    }
}
