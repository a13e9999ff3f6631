//! What applications do next, and what checkers are told of what they did.

use seedlog::ids::Offset;
use seedlog::op::{Outcome, Rebalance};

use super::{Run, Token};
use crate::check::Decision;
use crate::scenario::script::{Action, MemberAct, NodeExpr, Part, Role, TransactAct, Who};
use crate::workload::{Due, Sent, Told, Workload};
use crate::world::{Fault, ProcessId};

impl Run {
    /// What clients want, and what checkers are to know, after answers came in.
    pub(super) fn serve_clients(&mut self) {
        for (process, at) in std::mem::take(&mut self.workload.timers) {
            self.world.control(at, Token::Client(process).encode());
        }
        self.tell_checkers();
        for process in std::mem::take(&mut self.workload.closing) {
            self.world.quit(process, &mut self.watch);
        }
        for process in std::mem::take(&mut self.workload.closed) {
            self.world.count(Fault::Shutdown);
            self.world.quit(process, &mut self.watch);
        }
    }

    pub(super) fn tell_checkers(&mut self) {
        let mut told = std::mem::take(&mut self.workload.told);
        for told in told.drain(..) {
            self.tell(&told);
        }
        self.workload.told = told;
    }

    fn tell(&mut self, told: &Told) {
        let Some(checkers) = &mut self.watch.checkers else { return };
        match told {
            Told::Sent(Sent { record, topic, outcome }) => match outcome {
                Outcome::Sent { partition, offset, .. } if *offset != Offset::NONE => {
                    checkers.acknowledged(topic, *partition, *record, *offset);
                }
                Outcome::Failed(_) => checkers.send_failed(*record),
                Outcome::Sent { .. }
                | Outcome::Unknown(_)
                | Outcome::Done
                | Outcome::Polled(_)
                | Outcome::Rebalanced(_)
                | Outcome::Committed(_)
                | Outcome::Answered(_) => {}
            },
            Told::Polled { consumer, records } => checkers.polled(*consumer, records),
            Told::Joined(transaction, record) => checkers.transaction_sent(*transaction, *record),
            Told::Offsets(transaction, group, positions) => {
                checkers.transaction_offsets(*transaction, group, positions);
            }
            Told::Ending(transaction, decision) => {
                checkers.transaction_ending(*transaction, *decision);
            }
            Told::Ended(transaction, decision, outcome) => {
                checkers.transaction_ended(*transaction, *decision, outcome);
            }
            Told::Rebalanced { consumer, group, change } => {
                checkers.rebalanced(*consumer, group, change);
                let (Rebalance::Revoked(partitions)
                | Rebalance::Lost(partitions)
                | Rebalance::Assigned(partitions, _)) = &**change;
                for (topic, partition) in partitions {
                    checkers.consumer_moved(*consumer, topic, *partition);
                }
            }
            Told::Worked { group, records } => checkers.worked(group, records),
            Told::Left { consumer } => {
                checkers.member_gone(*consumer);
                checkers.consumer_gone(*consumer);
            }
            Told::Committed { consumer, group, positions, outcome } => {
                checkers.committed(*consumer, group, positions, outcome);
            }
        }
    }

    pub(super) fn set_sending(&mut self, on: bool) {
        let begins = on && !self.workload.sending;
        self.workload.sending = on;
        if begins && !self.decisions.is_replaying() {
            for producer in 0..self.workload.producers.len() {
                self.next_send(producer);
            }
            self.begin_feeding();
        }
    }

    fn next_send(&mut self, producer: usize) {
        let pause = self.workload.producers[producer].pause();
        self.world.control(self.world.now() + pause, Token::Send(producer).encode());
    }

    pub(super) fn send_due(&mut self, producer: usize) {
        let limit = self.scenario.workload.records;
        let client = &mut self.workload.producers[producer];
        let sending = self.workload.sending && (limit == 0 || client.totals.sent < limit);
        if !sending && !client.is_busy() {
            return;
        }
        let free = client.pending() < self.scenario.workload.pending;
        if free && self.world.is_up(client.process) {
            match client.due(sending) {
                Due::Nothing => {}
                Due::Send => self.send_one(producer),
                Due::Begin => self.transact(producer, TransactAct::Begin),
                Due::End(Decision::Commit) => self.transact(producer, TransactAct::Commit),
                Due::End(Decision::Abort) => self.transact(producer, TransactAct::Abort),
            }
        }
        self.next_send(producer);
    }

    fn send_one(&mut self, producer: usize) {
        let client = &mut self.workload.producers[producer];
        let topic = client.topic();
        let record = client.send(&mut self.world, &topic, None, &mut self.workload.told);
        self.decisions.note_send(self.world.now(), producer, &topic, record);
        self.tell_checkers();
    }

    fn transact(&mut self, producer: usize, act: TransactAct) {
        let number = u32::try_from(producer + 1).expect("few producers");
        let node = NodeExpr::Who(Who { role: Role::Producer, number });
        self.decided(&Action::Transact(act, node));
    }

    pub(super) fn transact_act(&mut self, act: TransactAct, producer: &NodeExpr) -> bool {
        let Some(index) = self.producer(producer) else { return false };
        let Workload { producers, told, .. } = &mut self.workload;
        let (client, world) = (&mut producers[index], &mut self.world);
        let done = match act {
            TransactAct::Init => client.init(world),
            TransactAct::Begin => client.begin(world),
            TransactAct::Commit => client.end(world, Decision::Commit, told),
            TransactAct::Abort => client.end(world, Decision::Abort, told),
        };
        self.tell_checkers();
        done
    }

    pub(super) fn send_offsets(&mut self, producer: &NodeExpr, consumer: &NodeExpr) -> bool {
        let (Some(index), Some(member)) = (self.producer(producer), self.member(consumer)) else {
            return false;
        };
        let Workload { producers, members, told, .. } = &mut self.workload;
        let (positions, group) =
            (members[member].take_positions(), members[member].metadata().clone());
        let sent = producers[index].send_offsets(&mut self.world, positions, group, told);
        self.tell_checkers();
        sent
    }

    /// The index of a member among the workload's.
    fn member(&self, node: &NodeExpr) -> Option<usize> {
        let process = self.node(node)?;
        self.workload.members.iter().position(|member| member.process == process)
    }

    pub(super) fn member_act(&mut self, act: MemberAct, consumer: &NodeExpr) -> bool {
        let Some(index) = self.member(consumer) else { return false };
        let Workload { members, told, .. } = &mut self.workload;
        let (member, world) = (&mut members[index], &mut self.world);
        match act {
            MemberAct::Subscribe => member.subscribe(world),
            MemberAct::Unsubscribe => {
                member.unsubscribe(world);
            }
            MemberAct::Poll => member.poll(world),
            MemberAct::Commit => return member.commit(world).is_some(),
        }
        told.append(&mut member.told);
        self.tell_checkers();
        true
    }

    /// One record to each partition, by somebody who can send now. False if there is nobody.
    pub(super) fn send_probes(&mut self) -> bool {
        let parts = self.partitions();
        let up = |process: ProcessId| self.world.is_up(process);
        let mut producers = self.workload.producers.iter();
        let Some(producer) = producers.position(|p| up(p.process) && p.is_free()) else {
            return false;
        };
        let client = &mut self.workload.producers[producer];
        let in_transaction = client.begin(&mut self.world);
        let written = |part: &Part| self.scenario.workload.topics.contains(&part.topic);
        for part in parts.into_iter().filter(written) {
            let (topic, partition) = (&part.topic, Some(part.partition));
            client.send(&mut self.world, topic, partition, &mut self.workload.told);
        }
        if in_transaction {
            client.end(&mut self.world, Decision::Commit, &mut self.workload.told);
            // If it fails, somebody has to abort it before the next round.
            if !self.decisions.is_replaying() {
                self.next_send(producer);
            }
        }
        self.tell_checkers();
        true
    }
}
