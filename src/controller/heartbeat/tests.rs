use super::*;
use crate::config::ControllerConfig;
use crate::controller::fixture::{self, nodes};
use crate::time::Duration;

const NOW: Instant = Instant::from_nanos(1_000_000_000_000);

#[test]
fn the_next_state_follows_from_the_wish() {
    let calm = Wish { fence: false, shutdown: false, caught_up: true, leads: false, known: true };
    let leave = Wish { shutdown: true, ..calm };
    let table = [
        (BrokerState::Fenced, calm, BrokerState::Unfenced),
        (BrokerState::Fenced, Wish { caught_up: false, ..calm }, BrokerState::Fenced),
        (BrokerState::Fenced, Wish { fence: true, ..calm }, BrokerState::Fenced),
        (BrokerState::Fenced, leave, BrokerState::ShutdownNow),
        (BrokerState::Unfenced, calm, BrokerState::Unfenced),
        (BrokerState::Unfenced, Wish { caught_up: false, ..calm }, BrokerState::Unfenced),
        (BrokerState::Unfenced, Wish { fence: true, ..calm }, BrokerState::Fenced),
        (BrokerState::Unfenced, Wish { fence: true, ..leave }, BrokerState::ShutdownNow),
        (BrokerState::Unfenced, Wish { leads: true, ..leave }, BrokerState::ControlledShutdown),
        (BrokerState::Unfenced, leave, BrokerState::ShutdownNow),
        (BrokerState::ControlledShutdown, leave, BrokerState::ShutdownNow),
        (
            BrokerState::ControlledShutdown,
            Wish { leads: true, ..leave },
            BrokerState::ControlledShutdown,
        ),
        (
            BrokerState::ControlledShutdown,
            Wish { known: false, ..leave },
            BrokerState::ControlledShutdown,
        ),
        (BrokerState::ControlledShutdown, calm, BrokerState::ShutdownNow),
    ];
    for (state, wish, expected) in table {
        assert_eq!(next_state(state, wish), expected, "{state:?} {wish:?}");
    }
}

/// Brokers 1 to 3 and a partition on them that broker 1 leads.
fn cluster() -> (Image, Sessions, crate::ids::PartitionId) {
    let mut image = fixture::image(&[1, 2, 3]);
    let id = fixture::topic(&mut image, "t", &[&[1, 2, 3]]);
    let sessions = Sessions::begin(&image, NOW, ControllerConfig::default().broker_session_timeout);
    (image, sessions, id)
}

fn beat(
    image: &mut Image,
    sessions: &mut Sessions,
    node: i32,
    metadata_offset: i64,
    want_shutdown: bool,
) -> (BrokerHeartbeatResponse, usize) {
    let config = ControllerConfig::default();
    let mut draft = Draft::over(image, Offset(100));
    let request = BrokerHeartbeatRequest {
        node: NodeId(node),
        epoch: BrokerEpoch(node.into()),
        metadata_offset: Offset(metadata_offset),
        want_fence: false,
        want_shutdown,
    };
    let response = heartbeat(&mut draft, fixture::rules(&config), sessions, NOW, &request);
    (response, draft.finish().len())
}

#[test]
fn a_fenced_broker_serves_once_it_has_applied_its_registration() {
    let (mut image, mut sessions, _) = cluster();
    fixture::fence(&mut image, 3);
    let (early, records) = beat(&mut image, &mut sessions, 3, 2, false);
    assert_eq!((early.fenced, early.caught_up, records), (true, false, 0));
    let (now, records) = beat(&mut image, &mut sessions, 3, 3, false);
    assert_eq!((now.fenced, now.caught_up, records), (false, true, 1));
    assert!(image.is_active(NodeId(3)));
}

#[test]
fn an_old_incarnation_is_told_so() {
    let (mut image, mut sessions, _) = cluster();
    fixture::fence(&mut image, 3);
    let mut draft = Draft::over(&mut image, Offset(100));
    let config = ControllerConfig::default();
    let mut ask = |node, epoch| {
        let request = BrokerHeartbeatRequest {
            node: NodeId(node),
            epoch: BrokerEpoch(epoch),
            metadata_offset: Offset(99),
            want_fence: false,
            want_shutdown: false,
        };
        heartbeat(&mut draft, fixture::rules(&config), &mut sessions, NOW, &request).error
    };
    assert_eq!(ask(3, 2), ErrorCode::StaleBrokerEpoch);
    assert_eq!(ask(9, 2), ErrorCode::BrokerIdNotRegistered);
}

#[test]
fn a_controlled_shutdown_hands_over_and_waits_until_all_know() {
    let (mut image, mut sessions, id) = cluster();
    let (response, records) = beat(&mut image, &mut sessions, 1, 99, true);
    assert_eq!((response.should_shutdown, response.fenced, records), (false, false, 2));
    let partition = image.partition(id).expect("known");
    assert_eq!((partition.leader, &*partition.isr), (NodeId(2), &nodes(&[2, 3])[..]));
    // The change was record 101: brokers 2 and 3 have to apply it.
    beat(&mut image, &mut sessions, 2, 101, false);
    beat(&mut image, &mut sessions, 3, 100, false);
    assert!(!beat(&mut image, &mut sessions, 1, 101, true).0.should_shutdown);
    beat(&mut image, &mut sessions, 3, 101, false);
    let (response, records) = beat(&mut image, &mut sessions, 1, 101, true);
    assert_eq!((response.should_shutdown, response.fenced, records), (true, true, 1));
    assert!(image.brokers[&NodeId(1)].fenced);
}

#[test]
fn a_broker_that_was_told_to_go_stays_on_its_way_out_for_its_next_incarnation() {
    for node in [1, 3] {
        let (mut image, mut sessions, _) = cluster();
        for _ in 0..2 {
            (1..=3).for_each(|node| {
                beat(&mut image, &mut sessions, node, 200, false);
            });
            beat(&mut image, &mut sessions, node, 200, true);
        }
        let broker = &image.brokers[&NodeId(node)];
        assert_eq!((broker.fenced, broker.in_controlled_shutdown), (true, true), "{node}");
    }
}

#[test]
fn silence_is_noticed_and_the_silent_broker_fenced() {
    let (mut image, mut sessions, id) = cluster();
    let config = ControllerConfig::default();
    let timeout = config.broker_session_timeout;
    assert_eq!(sessions.deadline(), Some(NOW + timeout));
    let later = NOW + timeout;
    for node in [2, 3] {
        let epoch = BrokerEpoch(node.into());
        sessions.touch(NodeId(node), epoch, Offset(99), later + Duration::from_secs(1));
    }
    let silent = sessions.expire(later);
    assert_eq!(silent, nodes(&[1]));
    let mut draft = Draft::over(&mut image, Offset(100));
    fence(&mut draft, fixture::rules(&config), &silent);
    assert_eq!(draft.finish().len(), 2);
    let partition = image.partition(id).expect("known");
    assert_eq!((partition.leader, &*partition.isr), (NodeId(2), &nodes(&[2, 3])[..]));
}
