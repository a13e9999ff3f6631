//! What a broker asks of the controller.

use super::rig::*;
use super::*;

/// A broker whose connection for work to controller 100 is open.
fn broker_with_controller(image: Image) -> (Broker, ConnId) {
    let mut out = Effects::new();
    let mut broker = broker(image);
    broker.controller.follow(Some(NodeId(100)), &mut out);
    let create = Request::UnregisterBroker(UnregisterBrokerRequest { node: NodeId(9) });
    let effects = step(&mut broker, now(), request(90, create));
    let dialled = |effect: &Effect| {
        let Effect::Connect { conn, to } = effect else { return None };
        (*to == endpoint("c100")).then_some(*conn)
    };
    // The heartbeats' lane dials first.
    let conn = effects.iter().filter_map(dialled).next_back().expect("the controller is dialled");
    (broker, conn)
}

fn sent(effects: &[Effect]) -> Vec<(CorrelationId, &Request)> {
    let send = |effect: &'_ Effect| matches!(effect, Effect::Send { .. });
    let sent = effects.iter().filter(|effect| send(effect)).map(|effect| {
        let Effect::Send { correlation, request, .. } = effect else { panic!("a send") };
        (*correlation, &**request)
    });
    sent.collect()
}

fn answer(conn: ConnId, number: CorrelationId, response: Response) -> Input {
    Input::Response { conn, correlation: number, response: Arc::new(response) }
}

#[test]
fn what_the_controller_decides_is_forwarded_until_a_controller_answers() {
    let (mut broker, conn) = broker_with_controller(image());
    let effects = step(&mut broker, now(), Input::Opened { conn });
    let [(number, Request::UnregisterBroker(_))] = sent(&effects)[..] else {
        panic!("{effects:?}")
    };
    let refused = |error| Response::UnregisterBroker(UnregisterBrokerResponse { error });
    let effects = step(&mut broker, now(), answer(conn, number, refused(ErrorCode::NotController)));
    assert_eq!(effects, [], "somebody else is the controller now");
    let again = later(Duration::from_millis(50));
    let effects = step(&mut broker, again, Input::Wake);
    let [(number, Request::UnregisterBroker(_))] = sent(&effects)[..] else {
        panic!("{effects:?}")
    };
    let given = refused(ErrorCode::BrokerIdNotRegistered);
    let effects = step(&mut broker, again, answer(conn, number, given.clone()));
    assert_eq!(response(&effects[0]), (CorrelationId(90), &given));
}

#[test]
fn what_no_controller_answers_times_out() {
    let (mut broker, _) = broker_with_controller(image());
    let late = later(broker.setup.broker.request_timeout);
    let effects = step(&mut broker, late, Input::Wake);
    let answers: Vec<_> =
        effects.iter().filter(|effect| matches!(effect, Effect::Respond { .. })).collect();
    let error = ErrorCode::RequestTimedOut;
    let timed_out = Response::UnregisterBroker(UnregisterBrokerResponse { error });
    assert_eq!(response(answers[0]), (CorrelationId(90), &timed_out));
}

#[test]
fn a_follower_that_fell_behind_is_proposed_out_of_the_isr_and_the_answer_counts() {
    let (mut broker, conn) = broker_with_controller(image_with(1, 0, BOTH));
    step(&mut broker, now(), Input::Opened { conn });
    Arc::make_mut(&mut broker.setup).broker.replica_lag_time_max = Duration::from_secs(10);
    step(&mut broker, now(), request(1, produce(Acks::All, "t")));
    let mut time = Instant::ZERO;
    let (number, proposal) = loop {
        time = broker.deadline().expect("the leader watches its followers").max(time);
        assert!(time < Instant::ZERO + Duration::from_secs(60));
        let effects = step(&mut broker, Now { mono: time, wall: Timestamp(0) }, Input::Wake);
        let proposed = sent(&effects).into_iter().find_map(|(number, request)| {
            let Request::AlterPartition(alter) = request else { return None };
            Some((number, alter.partitions[0].clone()))
        });
        if let Some(proposed) = proposed {
            break proposed;
        }
    };
    assert_eq!(proposal.new_isr, [(NodeId(1), BrokerEpoch(1))]);
    let altered = AlteredPartition {
        partition: P0,
        error: ErrorCode::None,
        leader: NodeId(1),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(1),
        isr: vec![NodeId(1)],
        recovery: LeaderRecovery::Recovered,
    };
    let accepted = AlterPartitionResponse { error: ErrorCode::None, partitions: vec![altered] };
    let now = Now { mono: time, wall: Timestamp(0) };
    step(&mut broker, now, answer(conn, number, Response::AlterPartition(accepted)));
    assert_eq!(broker.replica(P0).expect("hosted").high_watermark(), Offset(1));
}

#[test]
fn a_producer_gets_its_id_from_a_block() {
    let (mut broker, conn) = broker_with_controller(image());
    step(&mut broker, now(), Input::Opened { conn });
    let init = Request::InitProducerId(InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout: Duration::from_secs(60),
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch::NONE,
    });
    let effects = step(&mut broker, now(), request(1, init.clone()));
    let [(number, Request::AllocateProducerIds(_))] = sent(&effects)[..] else {
        panic!("{effects:?}")
    };
    let block = AllocateProducerIdsResponse {
        error: ErrorCode::None,
        first: ProducerId(7000),
        count: 1000,
    };
    let block = answer(conn, number, Response::AllocateProducerIds(block));
    let effects = step(&mut broker, now(), block);
    let got = |id| {
        let (error, producer_epoch) = (ErrorCode::None, ProducerEpoch(0));
        let producer_id = ProducerId(id);
        Response::InitProducerId(InitProducerIdResponse { error, producer_id, producer_epoch })
    };
    assert_eq!(response(&effects[0]), (CorrelationId(1), &got(7000)));
    let effects = step(&mut broker, now(), request(2, init));
    assert_eq!(response(&effects[0]), (CorrelationId(2), &got(7001)));
}
