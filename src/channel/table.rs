//! The transition table of a connection, as the code has it.

use std::fmt::Write as _;
use std::format;
use std::string::String;

use super::*;
use crate::message::metadata::MetadataRequest;

type Pool = Channels<u8, &'static str>;
type Trigger = (&'static str, fn(&mut Pool, &mut Effects));

const NOW: Instant = Instant::from_nanos(1_000_000_000_000);
const PEER: u8 = 7;

fn rng() -> Rng {
    Rng::from_number(1)
}

fn endpoint() -> Endpoint {
    Endpoint { host: "b1".into(), port: 9092 }
}

/// The newest connection that the pool has dialled.
fn own(pool: &Pool) -> ConnId {
    ConnId::outbound(1, pool.next_conn.saturating_sub(1))
}

fn sends(pool: &mut Pool, out: &mut Effects) {
    if pool.is_open(&PEER) {
        let topics = None;
        let request = MetadataRequest { topics, allow_auto_topic_creation: false };
        let deadline = NOW + Duration::from_secs(1);
        pool.send(&PEER, Arc::new(Request::Metadata(request)), deadline, "tag", out);
    }
}

fn expires(pool: &mut Pool, seconds: u64, out: &mut Effects) {
    pool.expire(NOW + Duration::from_secs(seconds), &mut rng(), out);
}

const TRIGGERS: &[Trigger] = &[
    ("wants to send", |pool, out| {
        pool.ready(NOW, &PEER, &endpoint(), out);
    }),
    ("wants to send, a minute on", |pool, out| {
        pool.ready(NOW + Duration::from_secs(60), &PEER, &endpoint(), out);
    }),
    ("opened", |pool, _| {
        pool.opened(own(pool));
    }),
    ("opened, another connection", |pool, _| {
        pool.opened(ConnId::outbound(1, 99));
    }),
    ("sends", sends),
    ("answered", |pool, _| {
        let last = pool.next_correlation.wrapping_sub(1);
        pool.answered(own(pool), CorrelationId(last));
    }),
    ("answered, unknown request", |pool, _| {
        pool.answered(own(pool), CorrelationId(99));
    }),
    ("closed by the peer", |pool, _| drop(pool.closed(NOW, own(pool), &mut rng()))),
    ("closed, another connection", |pool, _| {
        pool.closed(NOW, ConnId::outbound(1, 99), &mut rng());
    }),
    ("request time-out", |pool, out| expires(pool, 1, out)),
    ("dial time-out", |pool, out| expires(pool, 10, out)),
    ("hangs up", |pool, out| drop(pool.close(&PEER, out))),
];

fn starts() -> [(&'static str, Pool); 6] {
    let backoff = Backoff { base: Duration::from_millis(50), max: Duration::from_secs(1) };
    let (unknown, mut out) = (Pool::new(1, backoff), Effects::new());
    let mut dialling = unknown.clone();
    dialling.ready(NOW, &PEER, &endpoint(), &mut out);
    let mut open = dialling.clone();
    open.opened(own(&open));
    let mut busy = open.clone();
    sends(&mut busy, &mut out);
    let mut down = open.clone();
    down.closed(NOW, own(&down), &mut rng());
    let mut again = down.clone();
    again.ready(NOW + Duration::from_secs(1), &PEER, &endpoint(), &mut out);
    [
        ("Unknown", unknown),
        ("Dialling", dialling),
        ("Open", open),
        ("Open, in flight", busy),
        ("Down, backing off", down),
        ("Dialling again", again),
    ]
}

fn told(pool: &Pool) -> String {
    let Some(channel) = pool.channels.get(&PEER) else { return "Unknown".into() };
    let state = match channel.state {
        State::Down { until } if until > NOW => "Down, backs off",
        State::Down { .. } => "Down",
        State::Dialling { .. } => "Dialling",
        State::Open { .. } => "Open",
    };
    format!("{state}, {} in flight, {} failures", channel.in_flight.len(), channel.failures)
}

#[test]
fn the_transition_table_is_known() {
    let mut table = String::new();
    for (name, start) in starts() {
        writeln!(table, "{name}: {}", told(&start)).expect("text grows");
        for (what, trigger) in TRIGGERS {
            let (mut pool, mut out) = (start.clone(), Effects::new());
            trigger(&mut pool, &mut out);
            let mut line = told(&pool);
            for effect in out.as_slice() {
                if let Effect::Connect { .. } = effect {
                    line.push_str(", connects");
                } else if let Effect::Close { .. } = effect {
                    line.push_str(", closes");
                }
            }
            if line != told(&start) {
                writeln!(table, "  {what:<28} -> {line}").expect("text grows");
            }
        }
    }
    insta::assert_snapshot!(table);
}
