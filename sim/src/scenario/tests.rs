//! What scenario text may and may not say.

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

#[test]
fn what_is_wrong_is_told_with_file_line_key_and_cure() {
    let table = [
        (
            "[cluster]\nbrokers = 2\n[[topics]]\nname = \"a\"\nreplication-factor = 3",
            "s.toml:3: topics[0].replication-factor: 3 replicas on 2 brokers; \
             lower it, or raise cluster.brokers",
        ),
        (
            "[cluster]\ncontrollers = 2",
            "s.toml:1: cluster.controllers: 2 controllers have no better majority; \
             take an odd number",
        ),
        (
            "[topic]\nmin.insync.replica = 2",
            "s.toml:2: topic.min.insync.replica: unknown setting \"min.insync.replica\"; \
             settings have Kafka's names",
        ),
        (
            "[producer]\nlinger.ms = \"5s\"",
            "s.toml:2: producer.linger.ms: linger.ms = \"5s\": expected milliseconds \
             (a whole number); settings have Kafka's names",
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
             see `sim help script`",
        ),
        (
            "seed = -1",
            "s.toml:1: seed: expected a whole number from 0 to 18446744073709551615, found -1",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(parse(text).unwrap_err(), expected, "{text}");
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
        let names = script::Names { brokers: 3, controllers: 3, producers: 1, consumers: 1 };
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
        ("fault.crsh", false),
        ("check.R99", false),
        ("acks", false),
    ] {
        let text = format!("# A claim.\nrequire = [\"{name} >= 1\"]\n");
        let read = Scenario::parse("a.toml", &text, &[]);
        assert_eq!(read.is_ok(), known, "{name}");
    }
}
