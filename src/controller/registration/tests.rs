use super::*;
use crate::config::ControllerConfig;
use crate::controller::election::elect_leaderless;
use crate::controller::fixture::{self, nodes};
use crate::defect::Defects;
use crate::ids::{Endpoint, NodeId, Offset, Uuid};
use crate::metadata::Image;
use crate::time::Duration;

const NOW: Instant = Instant::from_nanos(1_000_000_000_000);

/// Broker 1 in its registered incarnation, as the fixture made it.
fn request() -> BrokerRegistrationRequest {
    BrokerRegistrationRequest {
        node: NodeId(1),
        cluster_id: "test".into(),
        incarnation: Uuid([1, 0, 0, 1]),
        directory: Uuid([1, 0, 0, 2]),
        endpoint: Endpoint { host: "b".into(), port: 9092 },
        rack: None,
        previous_epoch: BrokerEpoch::NONE,
    }
}

fn reborn() -> BrokerRegistrationRequest {
    BrokerRegistrationRequest { incarnation: Uuid([1, 0, 0, 77]), ..request() }
}

fn ask(
    image: &mut Image,
    sessions: &mut Sessions,
    defects: Defects,
    now: Instant,
    request: &BrokerRegistrationRequest,
) -> (ErrorCode, i64) {
    let config = ControllerConfig::default();
    let mut draft = Draft::over(image, Offset(100));
    let rules = Rules { config: &config, defects };
    let response = register(&mut draft, rules, sessions, now, request);
    (response.error, response.epoch.0)
}

fn live(image: &Image) -> Sessions {
    Sessions::begin(image, NOW, ControllerConfig::default().broker_session_timeout)
}

#[test]
fn a_new_broker_is_registered_fenced_under_the_offset_of_its_record() {
    let (mut image, mut sessions) = (Image::default(), Sessions::default());
    let answer = ask(&mut image, &mut sessions, Defects::NONE, NOW, &request());
    assert_eq!(answer, (ErrorCode::None, 100));
    assert!(image.brokers[&NodeId(1)].fenced);
    assert!(sessions.is_valid(NodeId(1), BrokerEpoch(100), NOW));
}

#[test]
fn a_repeated_registration_keeps_its_epoch() {
    let mut image = fixture::image(&[1]);
    let mut sessions = live(&image);
    let answer = ask(&mut image, &mut sessions, Defects::NONE, NOW, &request());
    assert_eq!(answer, (ErrorCode::None, 1));
    assert!(!image.brokers[&NodeId(1)].fenced);
}

#[test]
fn a_second_incarnation_waits_until_the_first_one_is_silent_or_leaves() {
    let mut image = fixture::image(&[1]);
    let mut sessions = live(&image);
    let duplicate = (ErrorCode::DuplicateBrokerRegistration, -1);
    assert_eq!(ask(&mut image, &mut sessions, Defects::NONE, NOW, &reborn()), duplicate);
    let later = NOW + Duration::from_secs(9);
    let answer = ask(&mut image.clone(), &mut sessions, Defects::NONE, later, &reborn());
    assert_eq!(answer, (ErrorCode::None, 100));
    let mut sessions = live(&image);
    fixture::set_broker(&mut image, 1, false, true);
    let answer = ask(&mut image, &mut sessions, Defects::NONE, NOW, &reborn());
    assert_eq!(answer, (ErrorCode::None, 100));
}

#[test]
#[cfg(feature = "defects")]
fn broker_double_registration_lets_a_second_incarnation_in_beside_the_first() {
    let mut image = fixture::image(&[1]);
    let mut sessions = live(&image);
    let defects = Defects::NONE.with(Defect::BrokerDoubleRegistration);
    assert_eq!(ask(&mut image, &mut sessions, defects, NOW, &reborn()), (ErrorCode::None, 100));
    let mut draft = Draft::over(&mut image, Offset(200));
    let config = ControllerConfig::default();
    let rules = Rules { config: &config, defects };
    assert_eq!(register(&mut draft, rules, &mut sessions, NOW, &reborn()).epoch, BrokerEpoch(200));
}

/// The ISR and ELR after broker 1, alone in the ISR beside an eligible broker 2, registers again.
fn after_restart(request: &BrokerRegistrationRequest, defects: Defects) -> (bool, bool) {
    let mut image = fixture::image(&[1, 2, 3]);
    let id = fixture::topic(&mut image, "t", &[&[1, 2, 3]]);
    fixture::set(&mut image, "t", "min.insync.replicas", "2");
    fixture::fence(&mut image, 1);
    fixture::edit(&mut image, id, |p| {
        (p.isr, p.elr, p.leader) = (nodes(&[2]).into(), nodes(&[1]).into(), NodeId(2));
    });
    let mut sessions = Sessions::default();
    let answer = ask(&mut image, &mut sessions, defects, NOW, request);
    assert_eq!(answer, (ErrorCode::None, 100));
    let partition = image.partition(id).expect("known");
    (partition.isr.contains(&NodeId(1)), partition.elr.contains(&NodeId(1)))
}

#[test]
fn only_a_clean_restart_on_the_same_disk_keeps_the_place_in_the_elr() {
    let clean = BrokerRegistrationRequest { previous_epoch: BrokerEpoch(1), ..reborn() };
    let older = BrokerRegistrationRequest { previous_epoch: BrokerEpoch(0), ..reborn() };
    let moved = BrokerRegistrationRequest { directory: Uuid([5; 4]), ..clean.clone() };
    let table = [(clean, true), (older, false), (moved, false), (reborn(), false)];
    for (request, kept) in table {
        assert_eq!(after_restart(&request, Defects::NONE), (false, kept), "{request:?}");
    }
}

#[test]
#[cfg(feature = "defects")]
fn unclean_restart_keeps_elr_trusts_a_log_that_lost_its_tail() {
    let defects = Defects::NONE.with(Defect::UncleanRestartKeepsElr);
    assert_eq!(after_restart(&reborn(), defects), (false, true));
}

#[test]
fn a_broker_on_another_disk_is_not_taken_for_the_last_leader() {
    for (directory, leads) in [(request().directory, true), (Uuid([5; 4]), false)] {
        let mut image = fixture::image(&[1, 2]);
        let id = fixture::topic(&mut image, "t", &[&[1, 2]]);
        let mut sessions = Sessions::default();
        fixture::fence(&mut image, 1);
        fixture::edit(&mut image, id, |p| {
            (p.isr, p.leader) = (nodes(&[]).into(), NodeId::NONE);
            p.last_known_elr = nodes(&[1]).into();
        });
        let request = BrokerRegistrationRequest { directory, ..reborn() };
        ask(&mut image, &mut sessions, Defects::NONE, NOW, &request);
        fixture::set_broker(&mut image, 1, false, false);
        let config = ControllerConfig::default();
        let mut draft = Draft::over(&mut image, Offset(200));
        elect_leaderless(&mut draft, fixture::rules(&config), NodeId(1));
        let partition = image.partition(id).expect("known");
        assert_eq!(partition.leader == NodeId(1), leads, "{directory}");
    }
}

#[test]
fn an_unregistered_broker_leaves_what_it_led() {
    let (config, mut image) = (ControllerConfig::default(), fixture::image(&[1, 2]));
    let id = fixture::topic(&mut image, "t", &[&[1, 2]]);
    let mut sessions = live(&image);
    let mut draft = Draft::over(&mut image, Offset(100));
    let mut unregister = |node| {
        let request = UnregisterBrokerRequest { node: NodeId(node) };
        unregister(&mut draft, fixture::rules(&config), &mut sessions, &request).error
    };
    assert_eq!(unregister(9), ErrorCode::BrokerIdNotRegistered);
    assert_eq!(unregister(1), ErrorCode::None);
    let partition = image.partition(id).expect("known");
    assert_eq!((partition.leader, &*partition.isr), (NodeId(2), &nodes(&[2])[..]));
}
