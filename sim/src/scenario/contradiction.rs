//! Settings that are sound one by one, and not together: what a broker or Kafka's own clients would
//! refuse is said before a run, not found in it as an application that never gets on.

use seedlog::config::{
    AcksSetting, BrokerConfig, ConsumerConfig, GroupProtocol, OffsetReset, ProducerConfig,
};
use seedlog::time::Duration;

use super::model::Scenario;
use super::read::Table;
use super::text::{Error, Place, Text};

/// A setting's name, what is wrong with its value, and the cure.
type Wrong = (&'static str, String, String);

/// Whose settings they are.
#[derive(Clone, Copy)]
enum Owner {
    /// `[producer]`, `[consumer]` or `[broker]`.
    Section(&'static str),
    /// The `[[app]]` of that index, which begins with what the section says.
    App(usize, &'static str),
}

/// # Errors
/// The first two settings that contradict each other.
pub(super) fn contradictions(text: &Text, scenario: &Scenario) -> Result<(), Error> {
    let Scenario { producer, consumer, broker, .. } = scenario;
    let section = |name, wrong: Option<Wrong>| wrong.map(|wrong| (Owner::Section(name), wrong));
    let transactional = scenario.transactions.as_ref().map(|_| producer);
    let member = scenario.group.as_ref().map(|_| consumer);
    let of_sections = section("consumer", reset(consumer, false))
        .or_else(|| section("producer", sends(producer, broker)))
        .or_else(|| section("producer", transactional.and_then(|own| commits(own, broker))))
        .or_else(|| section("consumer", member.and_then(|own| belongs(own, broker))))
        .or_else(|| section("broker", group(broker)));
    let of_apps = || {
        scenario.apps.iter().enumerate().find_map(|(index, app)| {
            let exact = app.is_exactly_once().then_some(&app.producer);
            let consumes = reset(&app.consumer, true).or_else(|| belongs(&app.consumer, broker));
            let produces = || {
                sends(&app.producer, broker)
                    .or_else(|| exact.and_then(|producer| commits(producer, broker)))
            };
            let consumes = consumes.map(|wrong| (Owner::App(index, "consumer"), wrong));
            consumes.or_else(|| produces().map(|wrong| (Owner::App(index, "producer"), wrong)))
        })
    };
    match of_sections.or_else(of_apps) {
        Some((owner, (name, what, cure))) => {
            let (place, key) = place_of(text, owner, name);
            Err(text.error(place, &key, what, &cure))
        }
        None => Ok(()),
    }
}

/// Where a setting is said, and its whole name there.
fn place_of(text: &Text, owner: Owner, name: &str) -> (Place, String) {
    let (section, index) = match owner {
        Owner::Section(section) => (section, None),
        Owner::App(index, section) => (section, Some(index)),
    };
    if let Some(index) = index {
        let tables = Table::root(text).tables("app").unwrap_or_default();
        let own = tables.into_iter().nth(index).and_then(|table| setting(table, name));
        if let Some(place) = own {
            return (place, format!("app[{index}].{name}"));
        }
    }
    let at = place_of_setting(text, section, name).unwrap_or(text.root.place);
    (at, format!("{section}.{name}"))
}

fn setting(table: Table<'_>, name: &str) -> Option<Place> {
    table.settings().into_iter().find(|(_, key, _)| key == name).map(|(place, ..)| place)
}

/// Where the text itself gives a setting of a section.
pub(super) fn place_of_setting(text: &Text, section: &'static str, name: &str) -> Option<Place> {
    setting(Table::root(text).table(section).ok()??, name)
}

/// Where somebody begins to read that has no place. What an application owes is judged from the
/// beginning of its inputs.
fn reset(consumer: &ConsumerConfig, is_app: bool) -> Option<Wrong> {
    let wrong = |what: &str, cure: &str| Some(("auto.offset.reset", what.into(), cure.into()));
    match consumer.auto_offset_reset {
        OffsetReset::Earliest => None,
        OffsetReset::None if !is_app => {
            wrong("none", "nobody would ever begin to read: take earliest or latest")
        }
        OffsetReset::None => wrong("none", "it would never begin to read: take earliest"),
        OffsetReset::Latest if !is_app => None,
        OffsetReset::Latest => {
            let what = "latest: an application that leaves out records owes nothing of them";
            wrong(what, "take earliest, for an [[app]] in its own table")
        }
    }
}

/// What idempotent sends need.
fn sends(producer: &ProducerConfig, broker: &BrokerConfig) -> Option<Wrong> {
    if producer.enable_idempotence && producer.max_in_flight > 5 {
        let what = format!("{} in flight with idempotence", producer.max_in_flight);
        let cure = "brokers remember five batches of a producer: lower it".into();
        return Some(("max.in.flight.requests.per.connection", what, cure));
    }
    if producer.sequence_max != broker.sequence_max {
        let what = format!("{}, but {} at brokers", producer.sequence_max, broker.sequence_max);
        let cure = "set broker.producer.sequence.max to the same".into();
        return Some(("producer.sequence.max", what, cure));
    }
    // A batch that is on its way before another one that is remembered must not bear its numbers.
    let numbered = producer.max_in_flight.saturating_add(5);
    if producer.enable_idempotence && producer.sequence_max.unsigned_abs() < numbered - 1 {
        let what = format!("numbers from 0 to {}", producer.sequence_max);
        let cure = format!(
            "brokers remember five batches, {} are on their way: take no less than {}",
            producer.max_in_flight,
            numbered - 1
        );
        return Some(("producer.sequence.max", what, cure));
    }
    let least = producer.linger.saturating_add(producer.request_timeout);
    if producer.delivery_timeout < least {
        let cure = "take no less than linger.ms + request.timeout.ms".into();
        return Some(("delivery.timeout.ms", ms(producer.delivery_timeout), cure));
    }
    None
}

/// What transactions need: Kafka's producer refuses the first two, its brokers the third.
fn commits(producer: &ProducerConfig, broker: &BrokerConfig) -> Option<Wrong> {
    if !producer.enable_idempotence {
        let cure = "transactions need idempotent sends: take it out".into();
        return Some(("enable.idempotence", "false, with transactions".into(), cure));
    }
    if producer.acks != AcksSetting::All {
        let cure = "transactions need all replicas in sync: set acks = \"all\"".into();
        return Some(("acks", "not all, with transactions".into(), cure));
    }
    if producer.transaction_timeout > broker.transaction_max_timeout {
        let what = format!(
            "{}, but brokers take {} at most",
            ms(producer.transaction_timeout),
            ms(broker.transaction_max_timeout)
        );
        let cure = "lower it, or raise broker.transaction.max.timeout.ms".into();
        return Some(("transaction.timeout.ms", what, cure));
    }
    None
}

/// What a member of a classic group needs: its client refuses the first, the coordinator the rest.
fn belongs(consumer: &ConsumerConfig, broker: &BrokerConfig) -> Option<Wrong> {
    if consumer.group_protocol != GroupProtocol::Classic {
        return None;
    }
    let session = consumer.session_timeout;
    if consumer.heartbeat_interval >= session {
        let interval = ms(consumer.heartbeat_interval);
        let what = format!("{}, with {interval} between heartbeats", ms(session));
        let cure = "raise it, or lower heartbeat.interval.ms: to a third of it as a rule".into();
        return Some(("session.timeout.ms", what, cure));
    }
    let (least, most) = (broker.group_min_session_timeout, broker.group_max_session_timeout);
    if session < least || session > most {
        let what = format!("{}, but brokers take {} to {}", ms(session), ms(least), ms(most));
        let cure = "change it, or broker.group.min.session.timeout.ms (or max)".into();
        return Some(("session.timeout.ms", what, cure));
    }
    None
}

/// What members of the KIP-848 protocol are told by their brokers.
fn group(broker: &BrokerConfig) -> Option<Wrong> {
    let (interval, session) =
        (broker.group_consumer_heartbeat_interval, broker.group_consumer_session_timeout);
    let what = || format!("{} between heartbeats, and a session of {}", ms(interval), ms(session));
    let cure = "take less than group.consumer.session.timeout.ms";
    (interval >= session).then(|| ("group.consumer.heartbeat.interval.ms", what(), cure.into()))
}

fn ms(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str, set: &[&str]) -> String {
        let set: Vec<String> = set.iter().map(ToString::to_string).collect();
        let text = format!(
            "# A.\n[[topics]]\nname = \"in\"\n[[topics]]\nname = \"out\"\n[workload]\n\
             producers = 0\n[[feed]]\nkind = \"messages\"\ntopic = \"in\"\n[[app]]\n\
             kind = \"copy\"\ninput = \"in\"\noutput = \"out\"\ndelivery = \"exactly-once\"\n{text}"
        );
        Scenario::parse("s.toml", &text, &set).map_or_else(|error| error.to_string(), |_| "".into())
    }

    #[test]
    fn what_clients_and_brokers_would_refuse_is_said_with_its_place_and_cure() {
        let sound: [&[&str]; 4] = [
            &[],
            &["app.0.session.timeout.ms=6000"],
            &["app.0.session.timeout.ms=100", "app.0.group.protocol=consumer"],
            &["app.0.delivery=at-least-once", "app.0.acks=1"],
        ];
        for set in sound {
            assert_eq!(error("", set), "", "{set:?}");
        }
        let table: [(&[&str], &str); 9] = [
            (
                &["app.0.session.timeout.ms=100"],
                "app[0].session.timeout.ms: 100 ms, with 3000 ms between heartbeats",
            ),
            (
                &["app.0.session.timeout.ms=5000"],
                "app[0].session.timeout.ms: 5000 ms, but brokers take 6000 ms to 1800000 ms",
            ),
            (&["app.0.enable.idempotence=false"], "app[0].enable.idempotence: false"),
            (&["producer.acks=1"], "producer.acks: not all"),
            (
                &["app.0.transaction.timeout.ms=1000000"],
                "app[0].transaction.timeout.ms: 1000000 ms, but brokers take 900000 ms at most",
            ),
            (&["app.0.auto.offset.reset=none"], "app[0].auto.offset.reset: none"),
            (&["app.0.auto.offset.reset=latest"], "app[0].auto.offset.reset: latest"),
            (&["consumer.auto.offset.reset=latest"], "consumer.auto.offset.reset: latest"),
            (
                &["broker.group.consumer.session.timeout.ms=5000"],
                "broker.group.consumer.heartbeat.interval.ms: 5000 ms between",
            ),
        ];
        for (set, told) in table {
            let error = error("", set);
            assert!(error.contains(told), "{set:?}: {error}");
        }
        let placed = error("acks = \"1\"\n", &[]);
        assert!(placed.starts_with("s.toml:16: app[0].acks: not all"), "{placed}");
    }
}
