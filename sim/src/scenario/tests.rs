//! What scenario text may and may not say.

use std::path::Path;

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Scenario, String> {
    Scenario::parse("s.toml", text, &[]).map_err(|error| error.to_string())
}

#[test]
fn an_empty_scenario_is_a_small_cluster() {
    let scenario = parse("").unwrap();
    assert_eq!((scenario.cluster.brokers, scenario.cluster.controllers), (3, 3));
    assert_eq!(scenario.topics[0].replication_factor, 3);
}

/// Texts, and what is told of each.
const REFUSED: &[(&str, &str)] = &[
    (
        "[cluster]\nbrokers = 2\n[[topics]]\nname = \"a\"\nreplication-factor = 3",
        "s.toml:5: topics[0].replication-factor: 3 replicas on 2 brokers; \
         lower it, or raise cluster.brokers",
    ),
    (
        "[cluster]\ncontrollers = 2",
        "s.toml:2: cluster.controllers: 2 controllers have no better majority; \
         take an odd number",
    ),
    (
        "[topic]\nmin.insync.replica = 2",
        "s.toml:2: topic.min.insync.replica: unknown setting \"min.insync.replica\"; \
         did you mean \"min.insync.replicas\"?",
    ),
    (
        "[producer]\nlinger.ms = \"5s\"",
        "s.toml:2: producer.linger.ms: linger.ms = \"5s\": expected milliseconds \
         (a whole number)",
    ),
    (
        "\n[[fault]]\nkind = \"crush\"",
        "s.toml:3: fault[0].kind: unknown fault \"crush\"; did you mean \"crash\"?",
    ),
    ("[phase]", "s.toml:1: phase: unknown key; did you mean \"phases\"?"),
    (
        "defects = \"truncate-to-hv\"",
        "s.toml:1: defects: unknown defect \"truncate-to-hv\"; \
         did you mean \"truncate-to-hw\"?",
    ),
    (
        "[[step]]\ndo = [\n  \"crash b9\",\n]",
        "s.toml:3: step[0].do: there is no b9: the scenario has 3 brokers in \"crash b9\"; \
         see `sim script`",
    ),
    (
        "[[fault]]\nkind = \"crash\"\nevery = \"0s..0s\"",
        "s.toml:3: fault[0].every: 0s..0s between one and the next: time would stand still; \
         let at least 1ms pass",
    ),
    (
        "[workload]\nevery = \"0\"",
        "s.toml:2: workload.every: 0s..0s between one and the next: time would stand still; \
         let at least 1us pass",
    ),
    (
        "[workload]\nevery = \"5s..1s\"",
        "s.toml:2: workload.every: expected a duration or rising range \"1ms..50ms\", of ten \
         years at most, found \"5s..1s\"",
    ),
    (
        "[clock]\nskew = \"5000000h\"",
        "s.toml:2: clock.skew: expected a duration or rising range \"1ms..50ms\", of ten \
         years at most, found \"5000000h\"",
    ),
    (
        "[workload]\npadding = \"9..1\"",
        "s.toml:2: workload.padding: expected a number or a rising range \"10..200\", \
         found \"9..1\"",
    ),
    (
        "[topic]\nsegment.bytes = 0",
        "s.toml:2: topic.segment.bytes: segment.bytes = \"0\": expected at least 14",
    ),
    (
        "[broker]\nlog.retention.check.interval.ms = 0",
        "s.toml:2: broker.log.retention.check.interval.ms: log.retention.check.interval.ms = \
         \"0\": expected at least 1",
    ),
    (
        "[[topics]]\nname = \"a\"\npartitions = 0",
        "s.toml:3: topics[0].partitions: expected a whole number from 1 to 10000, found 0",
    ),
    (
        "[[topics]]\nname = \"a\"\n[[topics]]\nname = \"a\"",
        "s.toml:4: topics[1].name: a second topic \"a\"; each has a name of its own",
    ),
    (
        "require = [\"acked >= 1\"]\n[workload]\nproducers = 0",
        "s.toml:1: require: \"acked >= 1\" of no producers; \
         raise workload.producers, or take it out",
    ),
    (
        "[network]\nloss = \"5/1000..1/1000\"",
        "s.toml:2: network.loss: expected a probability such as \"2/1000\", \
         found \"5/1000..1/1000\"; or a range of two: \"0/1000..5/1000\"",
    ),
    (
        "[producer]\nmax.in.flight.requests.per.connection = 6",
        "s.toml:2: producer.max.in.flight.requests.per.connection: 6 in flight with \
         idempotence; brokers remember five batches of a producer: lower it",
    ),
    (
        "[producer]\nproducer.sequence.max = 9",
        "s.toml:2: producer.producer.sequence.max: 9, but 2147483647 at brokers; \
         set broker.producer.sequence.max to the same",
    ),
    (
        "[broker]\nproducer.sequence.max = 8\n[producer]\nproducer.sequence.max = 8",
        "s.toml:4: producer.producer.sequence.max: numbers from 0 to 8; \
         brokers remember five batches, 5 are on their way: take no less than 9",
    ),
    (
        "[consumer]\nauto.offset.reset = \"none\"",
        "s.toml:2: consumer.auto.offset.reset: none; nobody would ever begin to read: \
         take earliest or latest",
    ),
    (
        "[producer]\ndelivery.timeout.ms = 9",
        "s.toml:2: producer.delivery.timeout.ms: 9 ms; \
         take no less than linger.ms + request.timeout.ms",
    ),
    (
        "[[step]]\ndo = \"send p1 orders 99999999\"",
        "s.toml:2: step[0].do: expected a number from 0 to 1000000, found 99999999 in \
         \"send p1 orders 99999999\"; see `sim script`",
    ),
    (
        "[[step]]\ndo = \"grow orders to 99999\"",
        "s.toml:2: step[0].do: expected 1 to 10000 partitions, found 99999 in \
         \"grow orders to 99999\"; see `sim script`",
    ),
    (
        "\"one\\nkey\" = 1",
        "s.toml:1: one key: unknown key; one of: admin, app, atlas, broker, clock, cluster, \
         consumer, controller, defects, disk, draw, fault, feed, group, network, phases, \
         producer, quorum, require, seed, step, swarm, topic, topics, transaction, \
         transactions, violates, workload",
    ),
    (
        "[[step]]\ndo = \"release late\"",
        "s.toml:2: step[0].do: no step before holds \"late\"; take it out in \"release late\"; \
         see `sim script`",
    ),
    (
        "[[step]]\nbind = \"old = leader(orders-0)\"\n[[step]]\nwhen = \"up($odl)\"",
        "s.toml:4: step[1].when: no step before binds \"odl\"; did you mean \"old\"? in \
         \"up($odl)\"; see `sim script`",
    ),
    (
        "[[fault]]\nkind = \"crash\"\nwhen = \"PrepareCommit\"",
        "s.toml:3: fault[0].when: a transaction's state, aimed at \"server\"; \
         set target = \"transaction-coordinator\"",
    ),
    (
        "[[fault]]\nkind = \"crash\"\ntarget = \"store\"",
        "s.toml:3: fault[0].target: \"crash\" of the store, which keeps everything in memory; \
         pause, isolate or clog it",
    ),
    (
        "[group]\ndelivery = \"at-most-once\"\ncommit = \"async\"",
        "s.toml:3: group.commit: \"async\", which knows of no commit before its work; \
         at most once needs \"sync\"",
    ),
    (
        "seed = -1",
        "s.toml:1: seed: expected a whole number from 0 to 18446744073709551615, found -1",
    ),
];

#[test]
fn what_is_wrong_is_told_with_file_line_key_and_cure() {
    for (text, expected) in REFUSED {
        assert_eq!(parse(text).unwrap_err(), *expected, "{text}");
    }
}

#[test]
fn a_set_overrides_and_is_blamed_for_its_own_mistakes() {
    let scenario = |set: &str| {
        let text = "defects = \"truncate-to-hw\"\n[topic]\nmin.insync.replicas = 2\n";
        Scenario::parse("s.toml", text, &[set.to_string()]).map_err(|error| error.to_string())
    };
    assert!(scenario("defects=none").unwrap().defects.is_empty());
    let config = scenario("topic.min.insync.replicas=1").unwrap().topics[0].config.clone();
    assert_eq!(config, vec![("min.insync.replicas".into(), "1".into())]);
    assert_eq!(
        scenario("cluster.broker=5").unwrap_err(),
        "--set: cluster.broker: unknown key; did you mean \"brokers\"?"
    );
    assert_eq!(
        scenario("nonsense").unwrap_err(),
        "--set: nonsense: no value; write --set key=value"
    );
}

/// Lines that are nearly right, to get deep into the readers.
fn line() -> impl Strategy<Value = String> {
    let keys = prop::sample::select(vec![
        "[cluster]",
        "brokers",
        "[[topics]]",
        "name",
        "assignments",
        "[workload]",
        "every",
        "keys",
        "[[fault]]",
        "kind",
        "for",
        "[[step]]",
        "do",
        "when",
        "bind",
        "[topic]",
        "retention.ms",
        "[network]",
        "loss",
        "defects",
        "require",
        "[phases]",
        "safety",
        "or",
        "padding",
    ]);
    let values = prop::sample::select(vec![
        "3",
        "-1",
        "99999999999999999999",
        "\"10s\"",
        "\"1ms..5ms\"",
        "\"2/1000\"",
        "[[1, 2, 3]]",
        "\"crash b1\"",
        "\"leader(orders-0) == b1\"",
        "[\"a\", 1]",
        "\"x = leo(a-0, b1) + 1\"",
        "true",
        "{ a = 1 }",
        "\"\"",
        "1.5",
        "\"crash\"",
        "\"acked >= 3\"",
        "\"none\"",
        "0x1f",
    ]);
    prop_oneof![
        (keys.clone(), values).prop_map(|(key, value)| format!("{key} = {value}")),
        keys.prop_map(str::to_string),
        "[ -~]{0,30}",
    ]
}

/// The texts of all scenarios, to be damaged.
fn texts() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let folders = [root.clone(), root.join("zoo")];
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).expect("is there"));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("reads").path()).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    paths.iter().map(|path| std::fs::read_to_string(path).expect("is text")).collect()
}

/// What a slip of the hand puts in place of a word.
const SLIPS: [&str; 24] = [
    "",
    "0",
    "-1",
    "1",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999",
    "\"0s..0s\"",
    "\"9s..1s\"",
    "\"87600h\"",
    "\"9999999h\"",
    "\"3/2\"",
    "\"1/4294967295\"",
    "\"9..1\"",
    "[]",
    "[[1, 2, 9]]",
    "{}",
    "true",
    "1.5",
    "\"none\"",
    "\"\\u0000\\n\"",
    "[[topics]]",
    "name",
];

/// One slip after the other: at each, a word of a line is replaced, or the line doubled, moved or
/// dropped.
fn damaged(text: &str, slips: &[(usize, usize, usize)]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    for (line, word, slip) in slips.iter().copied() {
        if lines.is_empty() {
            break;
        }
        let (at, other) = (line % lines.len(), word % lines.len());
        match slip % (SLIPS.len() + 3) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            2 => lines.swap(at, other),
            slip => {
                let mut words: Vec<&str> = lines[at].split(' ').collect();
                let place = word % words.len();
                words[place] = SLIPS[slip - 3];
                lines[at] = words.join(" ");
            }
        }
    }
    lines.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn damaged_scenarios_read_or_are_refused_in_one_line(
        which in any::<prop::sample::Index>(),
        slips in prop::collection::vec((0_usize..200, 0_usize..50, 0_usize..100), 1..4),
    ) {
        let texts = texts();
        if let Err(error) = parse(&damaged(&texts[which.index(texts.len())], &slips)) {
            prop_assert!(error.starts_with("s.toml:"), "{error}");
            prop_assert!(!error.contains(char::is_control), "{error:?}");
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _ = parse(&text);
    }

    #[test]
    fn nearly_right_text_does_not_make_it_panic(lines in prop::collection::vec(line(), 0..12)) {
        let _ = parse(&lines.join("\n"));
    }

    #[test]
    fn no_script_line_makes_it_panic(text in "[a-z0-9 ()\\[\\],.<>=+$-]{0,40}") {
        let (brokers, controllers, producers, consumers) = (3, 3, 1, 1);
        let (stores, feeds, apps) = (1, 1, 2);
        let names =
            script::Names { brokers, controllers, producers, consumers, stores, feeds, apps };
        let _ = script::action::action(&names, &text);
        let _ = script::condition::condition(&names, &text);
    }

    #[test]
    fn no_override_makes_it_panic(text in "\\PC*") {
        let _ = Scenario::parse("s.toml", "[[step]]\ndo = \"end\"", &[text]);
    }
}

#[test]
fn a_requirement_names_what_a_run_counts() {
    for (name, known) in [
        ("acked", true),
        ("consumed.percent", true),
        ("fault.crash", true),
        ("check.R4", true),
        ("fault.reassign", true),
        ("sometimes.elr-elected", true),
        ("fault.crsh", false),
        ("sometimes.never-heard-of", false),
        ("check.R99", false),
        ("acks", false),
    ] {
        let text = format!("# A claim.\nrequire = [\"{name} >= 1\"]\n");
        let read = Scenario::parse("a.toml", &text, &[]);
        assert_eq!(read.is_ok(), known, "{name}");
    }
}
