//! Many members that come, go, dawdle and lose answers: no partition has two owners.

use std::collections::BTreeSet;

use super::*;
use crate::event::{Event, GroupNote};
use crate::rng::Rng;

#[derive(Clone, Default)]
struct Client {
    epoch: i32,
    held: BTreeSet<i32>,
    /// What it was told to have.
    told: BTreeSet<i32>,
    /// It missed an answer: it tells everything, and is told everything.
    missed: bool,
}

struct Storm {
    rig: Rig,
    rng: Rng,
    clients: Vec<Client>,
}

/// The partitions that two members hold or may hold, as the coordinator sees it.
fn shared(note: &GroupNote) -> Vec<i32> {
    let mut seen = BTreeSet::new();
    let all = note.members.iter().flat_map(|member| {
        member.assigned.iter().chain(member.revoking.iter()).map(|(_, partition)| *partition)
    });
    all.filter(|partition| !seen.insert(*partition)).collect()
}

impl Storm {
    fn request(&self, at: usize) -> ConsumerGroupHeartbeatRequest {
        let client = &self.clients[at];
        let id = std::format!("m{at}");
        if client.epoch == 0 {
            return joins(&id);
        }
        let held: Vec<i32> = client.held.iter().copied().collect();
        let quiet = holds(&id, client.epoch, &held);
        if !client.missed {
            return quiet;
        }
        let (owned, member_epoch) = (quiet.owned, client.epoch);
        ConsumerGroupHeartbeatRequest { owned, member_epoch, ..joins(&id) }
    }

    fn step(&mut self) {
        let at = self.rng.index(self.clients.len());
        match self.rng.below(10) {
            0 if self.clients[at].epoch > 0 => {
                self.clients[at] = Client::default();
                beat(&mut self.rig, quiet(&std::format!("m{at}"), -1));
            }
            1 => self.clients[at].held = self.clients[at].told.clone(),
            2 if self.rng.chance(1, 4) => self.rig.fail_over(),
            _ => self.beat(at),
        }
        for event in core::mem::take(&mut self.rig.events) {
            if let Event::Group(note) = event {
                assert!(shared(&note).is_empty(), "{note:?}");
            }
        }
        let mut held = BTreeSet::new();
        let all = self.clients.iter().flat_map(|client| &client.held);
        assert!(all.copied().all(|partition| held.insert(partition)), "two believe to hold it");
    }

    fn beat(&mut self, at: usize) {
        let request = self.request(at);
        let answer = beat(&mut self.rig, request);
        let lost = self.rng.chance(1, 5);
        let client = &mut self.clients[at];
        if answer.error != ErrorCode::None {
            *client = Client::default();
            return;
        }
        client.missed = lost;
        if lost {
            return;
        }
        let (epoch, list) = told(&answer);
        client.epoch = epoch;
        if let Some(list) = list {
            client.told = list.into_iter().collect();
            // It takes what is new at once, and gives up when it comes to it.
            client.held = client.held.union(&client.told).copied().collect();
        }
    }

    fn calm(&mut self) {
        for _ in 0..40 {
            for at in 0..self.clients.len() {
                let request = self.request(at);
                let answer = beat(&mut self.rig, request);
                let client = &mut self.clients[at];
                if answer.error != ErrorCode::None {
                    *client = Client::default();
                    continue;
                }
                let (epoch, list) = told(&answer);
                client.epoch = epoch;
                client.missed = false;
                if let Some(list) = list {
                    client.told = list.into_iter().collect();
                }
                client.held = client.told.clone();
            }
        }
    }
}

#[test]
fn no_partition_has_two_owners_and_in_the_end_each_has_one() {
    for seed in 0..60 {
        let clients = alloc::vec![Client::default(); 4];
        let mut storm = Storm { rig: Rig::new(), rng: Rng::from_number(seed), clients };
        for _ in 0..150 {
            storm.step();
        }
        storm.calm();
        assert_eq!(&*described(&mut storm.rig).state, "Stable", "seed {seed}");
        let held: Vec<i32> = storm.clients.iter().flat_map(|client| client.held.clone()).collect();
        let all: BTreeSet<i32> = held.iter().copied().collect();
        assert_eq!((held.len(), all.len()), (4, 4), "seed {seed}");
    }
}

/// KAFKA-16147: the target flips back before `a` has given up, and then away once more.
#[test]
fn a_partition_to_be_given_up_is_not_free_because_its_owner_shall_have_it_again() {
    for (defect, expected) in [(None, &[][..]), (Some(Defect::DoubleAssign848), &[2, 3])] {
        let mut rig = defect.map_or_else(Rig::new, Rig::broken);
        beat(&mut rig, joins("a"));
        beat(&mut rig, joins("b"));
        beat(&mut rig, quiet("a", 1));
        // `b` goes: all is `a`'s again.
        beat(&mut rig, quiet("b", -1));
        beat(&mut rig, holds("a", 1, &[0, 1, 2, 3]));
        beat(&mut rig, joins("c"));
        assert_eq!(shared(&rig.group_note()), expected);
    }
}
