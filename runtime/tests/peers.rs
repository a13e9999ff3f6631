//! The same questions, put by stock clients to `seedlog up` and to Apache Kafka, get the same
//! answers.
//!
//! `peers/confluent.txt` and `peers/java.txt` hold what Apache Kafka answered. Where Maven can
//! fetch it, or `SEEDLOG_TEST_KAFKA=host:port,..` names one that runs, it is asked again.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;
use std::{fs, thread};

use crate::kafka::Kafka;
use crate::support::{BRISK, Talker, cluster_set, installs, lacks, python, run, skipped, succeeds};

const CONFLUENT: &str = include_str!("peers/confluent.txt");
const JAVA: &str = include_str!("peers/java.txt");

/// What seedlog answers otherwise, and does so by design.
const CONFLUENT_DIFFERENCES: &[(&str, &str)] = &[
    // Settings that the core does not have.
    ("default compression.type", "missing"),
    ("default max.compaction.lag.ms", "missing"),
    ("default min.cleanable.dirty.ratio", "missing"),
    ("default min.compaction.lag.ms", "missing"),
    // A list has one order, however it was put together.
    (
        "what was set",
        "{'delete.retention.ms': ('60000', 1), 'cleanup.policy': ('compact,delete', 1)}",
    ),
];
const JAVA_DIFFERENCES: &[(&str, &str)] = &[
    // A group is of one protocol or of the other: none migrates while it lives.
    ("join consumers by the classic protocol", "23"),
];

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers")
}

pub fn room() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers")
}

/// Where the jars are, once Maven has fetched them; each test that has none says so.
pub fn jars() -> Option<&'static str> {
    static JARS: OnceLock<Result<String, String>> = OnceLock::new();
    let fetch = || {
        if !succeeds("javac", &["-version"]) {
            return Err("there is no JDK here".to_owned());
        }
        let (jars, pom) = (room().join("jars"), here().join("pom.xml"));
        let (to, pom) =
            (format!("-DoutputDirectory={}", jars.display()), pom.display().to_string());
        let done = jars.join("done");
        if !done.exists() {
            if !installs("mvn", &["-q", "-B", "-f", &pom, "dependency:copy-dependencies", &to]) {
                return Err(lacks("jar of Apache Kafka", "Maven"));
            }
            fs::write(done, "").expect("the room is ours");
        }
        Ok(format!("{}/*", jars.display()))
    };
    JARS.get_or_init(fetch).as_ref().map_err(|why| skipped(why)).ok().map(String::as_str)
}

/// Where the scripts for Java are, compiled, beside the jars.
fn classes(jars: &str) -> String {
    let classes = room().join("classes").display().to_string();
    let sources = ["Answers", "Groups", "Transactions", "Frames", "Survive", "Pipeline"];
    let sources =
        sources.map(|name| here().join(name).with_extension("java").display().to_string());
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let classpath = format!("{classes}:{jars}");
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        run("javac", &[&["-d", &classes, "-cp", jars][..], &sources].concat(), "");
    });
    classpath
}

/// A client and the script that it runs.
pub struct Asker {
    program: String,
    args: Vec<String>,
}

impl Asker {
    /// A script of confluent-kafka's.
    pub fn confluent(script: &str) -> Option<Asker> {
        let script = here().join(script).display().to_string();
        // -B: leaves nothing beside the scripts.
        Some(Asker { program: python()?, args: vec!["-B".to_owned(), script] })
    }

    /// A class of the Java client's.
    pub fn java(class: &str) -> Option<Asker> {
        let quiet = "-Dorg.apache.logging.log4j.level=OFF";
        let args = ["-Xmx256m", "-XX:TieredStopAtLevel=1", quiet, "-cp", &classes(jars()?), class];
        Some(Asker { program: "java".to_owned(), args: args.map(str::to_owned).to_vec() })
    }

    /// The lines that it prints: question and answer.
    fn ask(&self, bootstrap: &str) -> Vec<(String, String)> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        let prefix = format!("answers-{}-", now.as_micros());
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        lines(&run(&self.program, &[&args[..], &[bootstrap, &prefix]].concat(), ""))
    }

    /// Starts it, to be talked to; the prefix tells apart what several make in a cluster.
    pub fn start(&self, bootstrap: &str, prefix: &str, more: &[&str]) -> Talker {
        let mut command = Command::new(&self.program);
        Talker::start(command.args(&self.args).args([bootstrap, prefix]).args(more))
    }
}

fn lines(text: &str) -> Vec<(String, String)> {
    let line = |line: &str| {
        let (what, answer) = line.split_once(": ").expect("a question and an answer");
        (what.to_owned(), answer.to_owned())
    };
    text.lines().map(line).collect()
}

fn same(theirs: &[(String, String)], ours: &[(String, String)]) {
    let differ: Vec<_> = theirs.iter().zip(ours).filter(|(theirs, ours)| theirs != ours).collect();
    assert!(differ.is_empty(), "{differ:#?}");
    assert_eq!(theirs.len(), ours.len());
}

fn seedlog_answers_like_kafka(asker: &Asker, kafkas: &str, differences: &[(&str, &str)]) {
    let mut expected = lines(kafkas);
    for (what, ours) in differences {
        let line = expected.iter_mut().find(|line| line.0 == *what).expect("it is asked");
        assert_ne!(line.1, *ours, "{what}: no difference any more");
        line.1 = (*ours).to_owned();
    }
    let (_cluster, bootstrap) = cluster_set(BRISK, Stdio::inherit());
    same(&expected, &asker.ask(&bootstrap));
}

#[test]
fn confluent_kafka_gets_kafkas_answers() {
    let Some(asker) = Asker::confluent("answers.py") else { return };
    seedlog_answers_like_kafka(&asker, CONFLUENT, CONFLUENT_DIFFERENCES);
}

#[test]
fn the_java_client_gets_kafkas_answers() {
    let Some(asker) = Asker::java("Answers") else { return };
    seedlog_answers_like_kafka(&asker, JAVA, JAVA_DIFFERENCES);
}

#[test]
fn apache_kafka_still_gives_the_answers_that_were_recorded() {
    let Some(kafka) = Kafka::find() else { return };
    thread::scope(|scope| {
        for (asker, answers) in
            [(Asker::confluent("answers.py"), CONFLUENT), (Asker::java("Answers"), JAVA)]
        {
            let bootstrap = &kafka.bootstrap;
            scope.spawn(move || asker.map(|asker| same(&lines(answers), &asker.ask(bootstrap))));
        }
    });
}
