//! Members that come, go, fall silent and change coordinators: what the log has is fair, and in the
//! end everybody is in.

use std::collections::BTreeSet;

use super::*;
use crate::event::Event;
use crate::rng::Rng;

#[derive(Clone, Default)]
struct Client {
    instance: Option<Arc<str>>,
    id: Arc<str>,
    generation: i32,
    /// The request that it has no answer to.
    waits: Option<u32>,
    /// None before it has an assignment.
    held: Option<Bytes>,
}

impl Client {
    /// A new process under the same name.
    fn restart(&mut self) {
        *self = Client { instance: self.instance.clone(), ..Client::default() };
    }

    fn join(&mut self, rig: &mut Rig) {
        let request = JoinGroupRequest {
            instance: self.instance.clone(),
            knows_member_id_required: true,
            ..joins(&self.id)
        };
        self.held = None;
        self.waits = Some(rig.send(Request::JoinGroup(request)));
    }

    fn drive(&mut self, rig: &mut Rig) {
        let Some(number) = self.waits else {
            return if self.held.is_some() { self.beat(rig) } else { self.join(rig) };
        };
        let Some(answer) = rig.answer(number) else { return };
        self.waits = None;
        if matches!(error(&answer), ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId) {
            self.restart();
        }
        if let Response::JoinGroup(answer) = answer {
            self.joined(rig, &answer);
        } else if let Response::SyncGroup(answer) = answer {
            self.held = answer.error.is_ok().then_some(answer.assignment);
        }
    }

    fn joined(&mut self, rig: &mut Rig, answer: &JoinGroupResponse) {
        if answer.error == ErrorCode::MemberIdRequired {
            self.id = answer.member.clone();
            return self.join(rig);
        }
        if !answer.error.is_ok() {
            return;
        }
        (self.id, self.generation) = (answer.member.clone(), answer.generation);
        let count = answer.members.len();
        let part = |index: usize| -> Vec<i32> {
            (0..4).filter(|at| usize::try_from(*at).is_ok_and(|at| at % count == index)).collect()
        };
        let parts: Vec<Vec<i32>> = (0..count).map(part).collect();
        let members = answer.members.iter().map(|member| &member.member);
        let parts: Vec<_> = members.zip(&parts).map(|(id, part)| (id, &part[..])).collect();
        let parts = if answer.skip_assignment { &[] } else { &parts[..] };
        self.waits = Some(rig.send(sync(&self.id, self.generation, parts)));
    }

    fn beat(&mut self, rig: &mut Rig) {
        let beat = error(&rig.ask(heartbeat(&self.id, self.generation)));
        if beat == ErrorCode::RebalanceInProgress {
            self.join(rig);
        } else if !beat.is_ok() {
            self.restart();
        }
    }
}

fn step(rig: &mut Rig, rng: &mut Rng, clients: &mut [Client]) {
    let at = rng.index(clients.len());
    match rng.below(14) {
        0 => clients[at].restart(),
        1 if clients[at].held.is_some() => {
            let instance = clients[at].instance.as_deref();
            rig.send(leave(&clients[at].id, instance));
            clients[at].restart();
        }
        2 => rig.fail_over(),
        3 => rig.pass(Duration::from_secs(2)),
        4 => rig.live(Duration::from_secs(1)),
        5 => rig.log.refuses = rng.chance(1, 3).then_some(ErrorCode::NotEnoughReplicas),
        _ => clients[at].drive(rig),
    }
    for event in core::mem::take(&mut rig.events) {
        let Event::Group(note) = event else { continue };
        let mut seen = BTreeSet::new();
        let mut all = note.members.iter().flat_map(|member| member.assigned.iter());
        assert!(all.all(|partition| seen.insert(partition)), "{note:?}");
    }
}

#[test]
fn in_the_end_everybody_is_in_and_has_a_fair_part() {
    for seed in 0..60 {
        let (mut rig, mut rng) = (Rig::new(), Rng::from_number(seed));
        let mut clients = alloc::vec![Client::default(); 4];
        clients[0].instance = Some("static".into());
        for _ in 0..200 {
            step(&mut rig, &mut rng, &mut clients);
        }
        rig.log.refuses = None;
        for _ in 0..200 {
            for client in &mut clients {
                client.drive(&mut rig);
            }
            rig.live(Duration::from_secs(1));
        }
        assert_eq!(&*state(&mut rig), "Stable", "seed {seed}");
        let mut held: Vec<_> = clients.iter().map(|client| client.held.clone()).collect();
        held.sort();
        let expected: Vec<_> = (0..4).map(|at| Some(assignment(&[at]))).collect();
        assert_eq!(held, expected, "seed {seed}");
    }
}
