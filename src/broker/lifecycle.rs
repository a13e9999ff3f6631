//! A broker's life in the eyes of the controller: registration, heartbeats, controlled shutdown
//! (KIP-631).

use alloc::sync::Arc;

use crate::broker::BrokerSetup;
use crate::error::ErrorCode;
use crate::ids::{BrokerEpoch, Offset, Uuid};
use crate::message::cluster::{
    BrokerHeartbeatRequest, BrokerHeartbeatResponse, BrokerRegistrationRequest,
    BrokerRegistrationResponse,
};
use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// The first wait after a failure; doubles up to the heartbeat interval.
const RETRY: crate::channel::Backoff =
    crate::channel::Backoff { base: Duration::from_millis(50), max: Duration::from_secs(2) };

/// What the controller has to hear next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Report {
    Register(BrokerRegistrationRequest),
    Heartbeat(BrokerHeartbeatRequest),
}

/// Where this incarnation stands with the controller.
#[derive(Clone, Debug)]
pub(super) struct Lifecycle {
    incarnation: Uuid,
    directory: Uuid,
    previous_epoch: BrokerEpoch,
    epoch: BrokerEpoch,
    /// The controller has let this incarnation serve, perhaps not for ever.
    was_unfenced: bool,
    /// A registration or a heartbeat is under way.
    in_flight: bool,
    next_at: Instant,
    failures: u32,
    want_shutdown: bool,
    may_shut_down: bool,
}

impl Lifecycle {
    /// `previous_epoch` is that of the last incarnation if it was shut down cleanly (KIP-966).
    pub(super) fn new(
        incarnation: Uuid,
        directory: Uuid,
        previous_epoch: BrokerEpoch,
        now: Instant,
    ) -> Self {
        Lifecycle {
            incarnation,
            directory,
            previous_epoch,
            epoch: BrokerEpoch::NONE,
            was_unfenced: false,
            in_flight: false,
            next_at: now,
            failures: 0,
            want_shutdown: false,
            may_shut_down: false,
        }
    }

    pub(super) fn epoch(&self) -> BrokerEpoch {
        self.epoch
    }

    pub(super) fn is_registered(&self) -> bool {
        self.epoch != BrokerEpoch::NONE
    }

    /// Whether the controller has ever let this incarnation serve.
    pub(super) fn was_unfenced(&self) -> bool {
        self.was_unfenced
    }

    /// Asks for a controlled shutdown with the next heartbeat, which is due at once.
    pub(super) fn shut_down(&mut self, now: Instant) {
        self.want_shutdown = true;
        self.hurry(now);
    }

    /// Whether the controller has let this broker go.
    pub(super) fn may_shut_down(&self) -> bool {
        self.may_shut_down
    }

    /// The next report is due at once: there is news for the controller.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.next_at = self.next_at.min(now);
    }

    /// When a report is due; none while one is under way.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (!self.in_flight).then_some(self.next_at)
    }

    /// The report to send now, if one is due. `caught_up` says whether the broker has applied its
    /// own registration and can serve.
    pub(super) fn report(
        &mut self,
        now: Instant,
        setup: &Arc<BrokerSetup>,
        applied: Offset,
        caught_up: bool,
    ) -> Report {
        assert!(!self.in_flight && self.next_at <= now, "a report is sent when it is due");
        self.in_flight = true;
        let server = &setup.server;
        if self.is_registered() {
            return Report::Heartbeat(BrokerHeartbeatRequest {
                node: server.node,
                epoch: self.epoch,
                metadata_offset: applied,
                want_fence: !caught_up,
                want_shutdown: self.want_shutdown,
            });
        }
        Report::Register(BrokerRegistrationRequest {
            node: server.node,
            cluster_id: Arc::clone(&server.cluster_id),
            incarnation: self.incarnation,
            directory: self.directory,
            endpoint: server.endpoint.clone(),
            rack: server.rack.clone(),
            previous_epoch: self.previous_epoch,
        })
    }

    /// The controller answered a registration; true if it gave this incarnation its epoch.
    pub(super) fn registered(
        &mut self,
        now: Instant,
        answer: &BrokerRegistrationResponse,
        rng: &mut Rng,
    ) -> bool {
        if !answer.error.is_ok() || answer.epoch < BrokerEpoch(0) {
            self.failed(now, rng);
            return false;
        }
        self.in_flight = false;
        self.failures = 0;
        self.epoch = answer.epoch;
        self.next_at = now;
        true
    }

    /// The controller answered a heartbeat.
    pub(super) fn heartbeat_answered(
        &mut self,
        now: Instant,
        answer: &BrokerHeartbeatResponse,
        interval: Duration,
        rng: &mut Rng,
    ) {
        if answer.error != ErrorCode::None {
            self.failed(now, rng);
            return;
        }
        self.in_flight = false;
        self.failures = 0;
        self.next_at = now + interval;
        self.was_unfenced |= !answer.fenced;
        if answer.should_shutdown && self.want_shutdown {
            self.may_shut_down = true;
        }
    }

    /// No answer, or a refusal: the report is repeated after a backoff.
    pub(super) fn failed(&mut self, now: Instant, rng: &mut Rng) {
        self.in_flight = false;
        self.next_at = now + RETRY.after(self.failures, rng);
        self.failures = self.failures.saturating_add(1);
    }

    pub(super) fn check(&self) {
        assert!(!self.was_unfenced || self.is_registered(), "only who is registered may serve");
        assert!(!self.may_shut_down || self.want_shutdown, "only who asks is let go");
    }
}

#[cfg(test)]
mod table;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::broker::tests::rig::setup;

    fn lifecycle() -> Lifecycle {
        Lifecycle::new(Uuid([1; 4]), Uuid([2; 4]), BrokerEpoch(5), Instant::ZERO)
    }

    #[test]
    fn a_broker_registers_before_it_sends_heartbeats() {
        let (mut life, mut rng, now) = (lifecycle(), Rng::from_number(1), Instant::ZERO);
        let report = life.report(now, &setup(1), Offset(3), false);
        let Report::Register(request) = report else { panic!("registration comes first") };
        assert_eq!(request.previous_epoch, BrokerEpoch(5));
        assert_eq!(life.deadline(), None, "one report at a time");
        let answer = BrokerRegistrationResponse { error: ErrorCode::None, epoch: BrokerEpoch(9) };
        assert!(life.registered(now, &answer, &mut rng));
        let Report::Heartbeat(request) = life.report(now, &setup(1), Offset(3), false) else {
            panic!("then heartbeats")
        };
        assert_eq!(request.epoch, BrokerEpoch(9));
        assert!(request.want_fence, "not before the broker has caught up");
    }

    #[test]
    fn a_refused_registration_is_repeated_after_a_backoff() {
        let (mut life, mut rng, now) = (lifecycle(), Rng::from_number(1), Instant::ZERO);
        let _ = life.report(now, &setup(1), Offset(3), false);
        let answer = BrokerRegistrationResponse {
            error: ErrorCode::DuplicateBrokerRegistration,
            epoch: BrokerEpoch::NONE,
        };
        assert!(!life.registered(now, &answer, &mut rng));
        assert!(life.deadline().expect("due again") >= now + Duration::from_millis(40));
        assert!(!life.is_registered());
    }

    #[test]
    fn a_broker_has_been_let_serve_once_a_heartbeat_says_so_whatever_comes_later() {
        let (mut life, mut rng, now) = (lifecycle(), Rng::from_number(1), Instant::ZERO);
        let _ = life.report(now, &setup(1), Offset(3), false);
        let answer = BrokerRegistrationResponse { error: ErrorCode::None, epoch: BrokerEpoch(9) };
        life.registered(now, &answer, &mut rng);
        let mut was_unfenced = Vec::new();
        for fenced in [true, false, true] {
            let at = life.deadline().expect("a heartbeat is due");
            let _ = life.report(at, &setup(1), Offset(9), true);
            let answer = BrokerHeartbeatResponse {
                error: ErrorCode::None,
                caught_up: true,
                fenced,
                should_shutdown: false,
            };
            life.heartbeat_answered(at, &answer, Duration::from_secs(2), &mut rng);
            was_unfenced.push(life.was_unfenced());
        }
        assert_eq!(was_unfenced, [false, true, true]);
    }

    #[test]
    fn only_a_broker_that_asked_is_let_go() {
        let (mut life, mut rng, now) = (lifecycle(), Rng::from_number(1), Instant::ZERO);
        let _ = life.report(now, &setup(1), Offset(3), false);
        let answer = BrokerRegistrationResponse { error: ErrorCode::None, epoch: BrokerEpoch(9) };
        life.registered(now, &answer, &mut rng);
        let _ = life.report(now, &setup(1), Offset(9), true);
        let answer = BrokerHeartbeatResponse {
            error: ErrorCode::None,
            caught_up: true,
            fenced: false,
            should_shutdown: true,
        };
        let interval = Duration::from_secs(2);
        life.heartbeat_answered(now, &answer, interval, &mut rng);
        assert!(!life.may_shut_down());
        life.shut_down(now);
        assert_eq!(life.deadline(), Some(now), "shutdown does not wait for the interval");
        let _ = life.report(now, &setup(1), Offset(9), true);
        life.heartbeat_answered(now, &answer, interval, &mut rng);
        assert!(life.may_shut_down());
    }
}
