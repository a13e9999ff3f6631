//! What a user writes wrong is told with its cure.

use alloc::format;

use super::*;

#[test]
fn every_setting_survives_its_own_text() {
    let mut config = TopicConfig::default();
    for name in TopicConfig::NAMES {
        let text = config.get(name).expect("a listed name is known");
        config.set(name, &text).expect("what is printed can be parsed");
    }
    assert_eq!(config, TopicConfig::default());
}

#[test]
fn a_wrong_value_says_what_was_expected() {
    let mut config = TopicConfig::default();
    assert_eq!(
        config.set("min.insync.replicas", "two"),
        Err("min.insync.replicas = \"two\": expected a number (u32)".into())
    );
    assert_eq!(
        config.set("segment.bytes", "0"),
        Err("segment.bytes = \"0\": expected at least 14".into())
    );
    assert_eq!(config.set("retention", "1"), Err("unknown setting \"retention\"".into()));
    assert_eq!(config.set("retention.ms", "-1"), Ok(()));
    assert_eq!(config.retention, None);
}

#[test]
fn what_brokers_cannot_hold_is_refused() {
    let checked = |name: &str, value: &str, brokers| {
        let mut config = BrokerConfig::default();
        config.set(name, value).expect("a legal value");
        config.check_replicas(brokers)
    };
    let most = |what: &str, most: u16| Err(format!("{what}: there are {most} replicas at most"));
    assert_eq!(checked("default.replication.factor", "3", 3), Ok(()));
    let table = [
        ("default.replication.factor", "9", 3),
        ("offsets.topic.replication.factor", "5", 3),
        ("transaction.state.log.replication.factor", "4", 3),
        ("transaction.state.log.min.isr", "5", 3),
    ];
    for (name, value, brokers) in table {
        let what = format!("{name} = {value}");
        assert_eq!(checked(name, value, brokers), most(&what, brokers));
    }
    let fewer = checked("transaction.state.log.replication.factor", "1", 3);
    assert_eq!(fewer, most("transaction.state.log.min.isr = 2", 1));
}

#[test]
fn a_pair_that_is_no_setting_says_how_to_mend_it() {
    let pair = |text: &str| BrokerConfig::pair(text).map(|(name, _)| name);
    let wrong = |text: &str| pair(text).expect_err("it is none");
    assert_eq!(pair("num.partitions = 3"), Ok("num.partitions".into()));
    assert_eq!(wrong("num.partitions"), "expected NAME=VALUE");
    assert_eq!(wrong("num.partitions=0"), "num.partitions = \"0\": expected at least 1");
    assert_eq!(wrong("num.partition=3"), "unknown setting; did you mean \"num.partitions\"?");
    for (name, own) in
        [("log.retention.ms", "retention.ms"), ("min.insync.replicas", "min.insync.replicas")]
    {
        let cure = format!("topics have that one: give them {own:?} as they are made");
        assert_eq!(wrong(&format!("{name}=2")), cure);
    }
}
