//! What chance decided, in words: `p1>b2 Produce request: 17 lost; 33 delay:3000000`.

use seedlog::message::Api;

use crate::cluster::Cluster;
use crate::scenario::script::Names;
use crate::world::{Chance, Chances, MessageKind, Occasion, ProcessId, Subject, Trouble};

/// How many decisions share a line.
const TO_A_LINE: usize = 12;

/// All decisions, some to a line, by subject.
#[must_use]
pub fn lines(chances: &Chances, cluster: &Cluster) -> Vec<String> {
    let all: Vec<(&Occasion, &Chance)> = chances.iter().collect();
    let mut lines = Vec::new();
    for about in all.chunk_by(|(one, _), (other, _)| one.subject == other.subject) {
        let subject = subject(about[0].0.subject, cluster);
        for some in about.chunks(TO_A_LINE) {
            let some: Vec<String> =
                some.iter().map(|(occasion, chance)| one(occasion, chance)).collect();
            lines.push(format!("{subject}: {}", some.join("; ")));
        }
    }
    lines
}

fn one(occasion: &Occasion, chance: &Chance) -> String {
    match chance {
        Chance::Trouble(trouble) => format!("{} {trouble}", occasion.number),
        Chance::Numbers(numbers) => {
            let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
            format!("{} {}", occasion.number, numbers.join(" "))
        }
    }
}

fn subject(subject: Subject, cluster: &Cluster) -> String {
    let who = |process: ProcessId| cluster.who(process);
    match subject {
        Subject::Network => "network".into(),
        Subject::Core => "core".into(),
        Subject::Clock(process) => format!("{} clock", who(process)),
        Subject::Send(process) => format!("{} send", who(process)),
        Subject::Disk(process) => format!("{} disk", who(process)),
        Subject::Message(from, to, api, kind) => {
            format!("{}>{} {} {}", who(from), who(to), api.name(), name(kind))
        }
        Subject::Close(from, to) => format!("{}>{} close", who(from), who(to)),
    }
}

fn name(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Request => "request",
        MessageKind::Response => "response",
    }
}

/// Reads a line; none if it says nothing of the kind.
#[must_use]
pub fn parse(line: &str, names: &Names, cluster: &Cluster) -> Option<Chances> {
    let (about, list) = line.split_once(": ")?;
    let subject = parse_subject(about, names, cluster)?;
    let read = |text: &str| {
        let (number, words) = text.trim().split_once(' ')?;
        let chance = match subject {
            Subject::Message(..) => Chance::Trouble(Trouble::parse(words)?),
            Subject::Network
            | Subject::Core
            | Subject::Clock(_)
            | Subject::Send(_)
            | Subject::Disk(_)
            | Subject::Close(..) => {
                let numbers = words.split(' ').map(|word| word.parse().ok());
                Chance::Numbers(numbers.collect::<Option<Vec<u64>>>()?)
            }
        };
        Some((Occasion { subject, number: number.parse().ok()? }, chance))
    };
    list.split(';').map(read).collect()
}

fn parse_subject(text: &str, names: &Names, cluster: &Cluster) -> Option<Subject> {
    let who = |word: &str| names.who(word)?.ok().map(|who| cluster.process(who));
    let words: Vec<&str> = text.split(' ').collect();
    let link = |word: &str| word.split_once('>').and_then(|(a, b)| Some((who(a)?, who(b)?)));
    match words[..] {
        ["network"] => Some(Subject::Network),
        ["core"] => Some(Subject::Core),
        [process, "clock"] => who(process).map(Subject::Clock),
        [process, "send"] => who(process).map(Subject::Send),
        [process, "disk"] => who(process).map(Subject::Disk),
        [ends, "close"] => link(ends).map(|(from, to)| Subject::Close(from, to)),
        [ends, api, kind] => {
            let (from, to) = link(ends)?;
            let api = Api::ALL.iter().copied().find(|known| known.name() == api)?;
            let kinds = [MessageKind::Request, MessageKind::Response];
            let kind = kinds.into_iter().find(|known| name(*known) == kind)?;
            Some(Subject::Message(from, to, api, kind))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> (Names, Cluster) {
        let cluster = Cluster {
            brokers: 3,
            controllers: 3,
            producers: 2,
            consumers: 1,
            stores: 1,
            feeds: 1,
            apps: 2,
        };
        (cluster.names(), cluster)
    }

    #[test]
    fn lines_read_as_they_are_written() {
        let (names, cluster) = cluster();
        let written = [
            "network: 1 500 12 3",
            "core: 1 0 2 1",
            "c1 clock: 1 5000 1",
            "p2 send: 1 3 60; 2 0 12",
            "b3 disk: 2 1 17",
            "p1>b2 Produce request: 17 lost; 33 delay:3000000 copy:5",
            "b2>p1 Fetch response: 4 corrupt:0/20/1",
            "b1>b2 close: 1 2500000",
        ];
        let mut all = Chances::new();
        for line in written {
            all.extend(parse(line, &names, &cluster).unwrap_or_else(|| panic!("{line}")));
        }
        let mut lines = lines(&all, &cluster);
        lines.sort_unstable();
        let mut written = written.map(str::to_string);
        written.sort_unstable();
        assert_eq!(lines, written);
    }

    #[test]
    fn what_says_nothing_is_refused() {
        let (names, cluster) = cluster();
        for wrong in [
            "",
            "b9 disk: 1 2",
            "b1 disk: 1",
            "b1 disk: one 2",
            "b1>b9 Fetch request: 1 lost",
            "b1>b2 Fetched request: 1 lost",
            "b1>b2 Fetch request: 1 gone",
            "b1 desk: 1 2",
        ] {
            assert_eq!(parse(wrong, &names, &cluster), None, "{wrong}");
        }
    }
}
