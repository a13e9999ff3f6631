//! Connections and what travels on them: dialling, sending, arriving, closing.

use seedlog::ids::{ConnId, Endpoint};
use seedlog::machine::{Input, Machine};
use seedlog::time::{Duration, Instant, nanos};

use super::connection::{ConnectionRef, EndState, Message, Side};
use super::corrupt;
use super::event::Event;
use super::fault::Fault;
use super::hold::{ActiveHold, Hold, HoldId};
use super::link::{Fate, NetworkFaults, Queued};
use super::trouble::Trouble;
use super::{Node, ProcessId, World};

/// When an attempt to connect that found nobody is repeated, and when it is given up: TCP's first
/// retransmissions, and Kafka's `socket.connection.setup.timeout.ms`.
const REDIALS: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
const GIVE_UP: Duration = Duration::from_secs(3);

/// What processes do.
impl<N: Node> World<N> {
    pub(super) fn connect(&mut self, process: ProcessId, conn: ConnId, to: &Endpoint) {
        let Some(server) = self.find(&to.host) else {
            let incarnation = self.incarnation(process);
            let input = Box::new(Input::Closed { conn });
            let at = self.time + Duration::from_millis(1);
            self.push(at, Event::Input { process, incarnation, input });
            return;
        };
        let there = self.links.index(process, server);
        let back = self.links.index(server, process);
        let name = self.connections.open((process, conn), server, [there, back]);
        self.processes[process.index()].add_outbound(conn, name);
        let at = self.time + self.links.latency(there);
        self.push(at, Event::Dial { connection: name, attempt: 0 });
    }

    /// Sends on a connection. One that is closed already swallows it: the process may not know yet.
    #[inline(always)]
    pub(super) fn send(
        &mut self,
        process: ProcessId,
        conn: ConnId,
        message: impl FnOnce() -> Message,
    ) {
        let Some((connection, sender)) = self.find_end(process, conn) else { return };
        if self.holds.is_empty()
            && let Some((at, number)) = self.schedule(connection, sender)
        {
            self.queue.push_with(at.as_nanos(), || Event::Message {
                connection,
                sender,
                is_copy: false,
                number,
                message: message(),
            });
        } else {
            self.transmit(connection, sender, message());
        }
    }

    /// The end of a connection that a process names, if it has one that is not closed.
    #[inline(always)]
    fn find_end(&self, process: ProcessId, conn: ConnId) -> Option<(ConnectionRef, Side)> {
        if conn.space() == 0 {
            self.connections.accepted(process, conn).map(|name| (name, Side::Server))
        } else {
            let name = self.processes[process.index()].outbound(conn);
            name.map(|name| (name, Side::Client))
        }
    }

    pub(super) fn close(&mut self, process: ProcessId, conn: ConnId) {
        let Some((name, side)) = self.find_end(process, conn) else { return };
        if side == Side::Client {
            self.processes[process.index()].remove_outbound(conn);
        }
        let connection = self.connections.get_mut(name).expect("an end names a connection");
        connection.end_mut(side).state = EndState::Closed;
        if connection.end(side.other()).state == EndState::Opening {
            self.connections.free(name);
            return;
        }
        self.finish(name, side);
        self.connections.free_if_over(name);
    }

    /// Tells the other end that `side` is closed, once.
    pub(super) fn finish(&mut self, name: ConnectionRef, side: Side) {
        let Some(connection) = self.connections.get_mut(name) else { return };
        let direction = connection.direction_mut(side);
        if std::mem::replace(&mut direction.finished, true) {
            return;
        }
        let link = direction.link;
        if self.links.may_linger(link) {
            let ends = (connection.end(side).process, connection.end(side.other()).process);
            let drawn = self.links.lingers(link);
            if let Some(lingers) = self.ledger.lingers(ends, drawn) {
                connection.direction_mut(side).not_before = self.time + lingers;
            }
        }
        self.transmit(name, side, Message::Fin);
    }
}

/// On the way.
impl<N: Node> World<N> {
    /// If nothing can happen to a message on its way (and that is nearly always so): when it will
    /// arrive, and its number.
    #[inline(always)]
    fn schedule(&mut self, name: ConnectionRef, sender: Side) -> Option<(Instant, u32)> {
        let direction = self.connections.get_mut(name)?.direction_mut(sender);
        if direction.gap {
            return None;
        }
        let latency = self.links.quiet_latency(direction.link)?;
        let number = direction.sent;
        direction.sent = number.wrapping_add(1);
        let at = Instant::from_nanos(self.time.as_nanos() + latency);
        direction.last = direction.last.max(at);
        Some((direction.last, number))
    }

    /// Holds a message back if somebody wants that, or sends it on its way.
    fn transmit(&mut self, name: ConnectionRef, sender: Side, message: Message) {
        if self.holds.is_empty() {
            self.route(name, sender, message);
            return;
        }
        let connection = self.connections.get_mut(name).expect("sent on a connection");
        let from = connection.end(sender).process;
        let to = connection.end(sender.other()).process;
        let direction = connection.direction_mut(sender);
        let takes = message.payload().and_then(|payload| {
            self.holds.iter_mut().find_map(|hold| {
                hold.takes(from, to, payload).then_some((hold.id, hold.hold.in_order))
            })
        });
        let keeper = if let Some((id, in_order)) = takes {
            self.faults.count(Fault::Hold);
            direction.hold = Some(id);
            direction.in_order = in_order;
            Some(id)
        } else if direction.in_order || matches!(message, Message::Fin) {
            direction.hold
        } else {
            None
        };
        match self.holds.iter_mut().find(|hold| Some(hold.id) == keeper) {
            Some(hold) => hold.queue.push(Queued { connection: name, sender, message }),
            None => self.route(name, sender, message),
        }
    }

    /// Takes a message over its link, unless that is blocked or clogged.
    fn route(&mut self, name: ConnectionRef, sender: Side, mut message: Message) {
        if !matches!(message, Message::Fin)
            && let Some((at, number)) = self.schedule(name, sender)
        {
            let connection = name;
            self.push(at, Event::Message { connection, sender, is_copy: false, number, message });
            return;
        }
        let Some(connection) = self.connections.get_mut(name) else { return };
        let direction = connection.direction_mut(sender);
        let link = self.links.at(direction.link);
        if link.is_blocked {
            direction.gap = true;
            self.faults.count(Fault::Block);
            return;
        }
        if direction.gap {
            return;
        }
        if link.is_clogged {
            self.links.enqueue(direction.link, Queued { connection: name, sender, message });
            return;
        }
        let number = direction.sent;
        let mut trouble = Trouble::default();
        let latency = if matches!(message, Message::Fin) {
            nanos(self.links.latency(direction.link))
        } else {
            let link = direction.link;
            let fate = self.links.fate(link);
            direction.sent = number.wrapping_add(1);
            let latency = fate.latency;
            trouble = self.settle(name, sender, fate, &message);
            if !self.trouble(name, sender, &trouble, &mut message) {
                return;
            }
            if self.links.lags(link, latency) {
                self.faults.count(Fault::Lag);
            }
            latency
        };
        let mut at = Instant::from_nanos(self.time.as_nanos() + latency + trouble.late);
        if !trouble.is_loose {
            let connection = self.connections.get_mut(name).expect("it was not reset");
            let direction = connection.direction_mut(sender);
            direction.last = direction.last.max(at);
            at = direction.last;
        }
        let connection = name;
        if let Some(after) = trouble.copy_after {
            let message = message.clone();
            let event = Event::Message { connection, sender, is_copy: true, number, message };
            self.push(Instant::from_nanos(at.as_nanos() + after), event);
        }
        self.push(at, Event::Message { connection, sender, is_copy: false, number, message });
    }

    /// What happens to a message: what was drawn, or at a replay what was recorded.
    fn settle(
        &mut self,
        name: ConnectionRef,
        sender: Side,
        fate: Fate,
        message: &Message,
    ) -> Trouble {
        let mut trouble = fate.trouble;
        let connection = self.connections.get(name).expect("it was just seen");
        let link = connection.direction(sender).link;
        if fate.is_corrupt && !trouble.is_lost && !trouble.resets {
            trouble.flip = self.links.with(link, |_, rng| corrupt::choose(message, rng));
        }
        if !self.ledger.is_on() {
            return trouble;
        }
        let ends = (connection.end(sender).process, connection.end(sender.other()).process);
        let payload = message.payload().expect("the end of a connection has no trouble");
        self.ledger.trouble(ends, payload, trouble)
    }

    /// Does that to it; false if it goes no further.
    fn trouble(
        &mut self,
        name: ConnectionRef,
        sender: Side,
        trouble: &Trouble,
        message: &mut Message,
    ) -> bool {
        if trouble.is_lost {
            self.faults.count(Fault::Loss);
            return false;
        }
        if trouble.resets {
            self.faults.count(Fault::Reset);
            self.reset_connection(name);
            return false;
        }
        if let Some(after) = trouble.breaks {
            self.faults.count(Fault::Break);
            let connection = self.connections.get_mut(name).expect("it was not reset");
            connection.direction_mut(sender).gap = true;
            let at = Instant::from_nanos(self.time.as_nanos() + after);
            self.push(at, Event::Broken { connection: name });
            return false;
        }
        if trouble.flip.is_some_and(|flip| corrupt::apply(message, flip)) {
            self.faults.count(Fault::Corrupt);
        }
        if trouble.is_delayed {
            self.faults.count(Fault::Delay);
        }
        true
    }

    /// A message reaches the other end: who that is, and how it names the connection.
    #[inline]
    pub(super) fn arrive(
        &mut self,
        name: ConnectionRef,
        sender: Side,
        is_copy: bool,
        number: u32,
        message: &Message,
    ) -> Option<(ProcessId, ConnId)> {
        let connection = self.connections.get_mut(name)?;
        let late = connection.direction(sender).not_before;
        if late > self.time {
            let message = message.clone();
            let event = Event::Message { connection: name, sender, is_copy, number, message };
            self.push(late, event);
            return None;
        }
        let is_old = connection.end(sender).state == EndState::Closed;
        let receiver = connection.end(sender.other());
        let (process, conn) = (receiver.process, receiver.conn);
        if receiver.state != EndState::Open {
            self.bounce(name, sender.other());
            return None;
        }
        if matches!(message, Message::Fin) {
            connection.end_mut(sender.other()).state = EndState::Closed;
            if sender == Side::Server {
                self.processes[process.index()].remove_outbound(conn);
            }
            self.connections.free_if_over(name);
            return Some((process, conn));
        }
        let direction = connection.direction_mut(sender);
        if is_copy {
            self.faults.count(Fault::Duplicate);
        } else if number < direction.arrived {
            self.faults.count(Fault::Reorder);
        } else {
            direction.arrived = number + 1;
        }
        if is_old {
            self.faults.count(Fault::OldConnection);
        }
        Some((process, conn))
    }

    /// A message met a closed end. If it closed without a word (a power loss), and the machine is
    /// back, TCP now tells the sender.
    fn bounce(&mut self, name: ConnectionRef, closed: Side) {
        let connection = self.connections.get(name).expect("a message met its end");
        let host = connection.end(closed).process;
        if connection.end(closed).state == EndState::Closed && !self.processes[host.index()].is_dark
        {
            self.finish(name, closed);
        }
    }
}

/// Dialling.
impl<N: Node> World<N> {
    /// An attempt to connect reaches the server, or nobody.
    pub(super) fn dial(&mut self, name: ConnectionRef, attempt: u32) {
        let Some(connection) = self.connections.get(name) else { return };
        let there = connection.direction(Side::Client).link;
        let back = connection.direction(Side::Server).link;
        let server = connection.end(Side::Server).process;
        let is_blocked = self.links.at(there).is_blocked || self.links.at(back).is_blocked;
        let is_clogged = self.links.at(there).is_clogged || self.links.at(back).is_clogged;
        if is_blocked {
            self.faults.count(Fault::Block);
        }
        let slot = &mut self.processes[server.index()];
        if is_blocked || is_clogged || slot.is_dark {
            self.redial(name, attempt);
            return;
        }
        let is_up = slot.node.as_ref().is_some_and(Machine::listens);
        let latency = self.links.latency(back);
        let at = self.time + latency;
        if !is_up {
            self.push(at, Event::Refused { connection: name });
            return;
        }
        let connection = self.connections.get_mut(name).expect("just seen");
        connection.end_mut(Side::Server).state = EndState::Open;
        connection.direction_mut(Side::Server).last = at;
        self.push(at, Event::Opened { connection: name });
    }

    fn redial(&mut self, name: ConnectionRef, attempt: u32) {
        let index = usize::try_from(attempt).expect("few attempts");
        match REDIALS.get(index) {
            Some(wait) => {
                let at = self.time + *wait;
                self.push(at, Event::Dial { connection: name, attempt: attempt + 1 });
            }
            None => self.push(self.time + GIVE_UP, Event::Refused { connection: name }),
        }
    }

    pub(super) fn opened(&mut self, name: ConnectionRef) -> Option<(ProcessId, Input)> {
        let end = self.connections.get_mut(name)?.end_mut(Side::Client);
        if end.state != EndState::Opening {
            return None;
        }
        end.state = EndState::Open;
        Some((end.process, Input::Opened { conn: end.conn }))
    }

    pub(super) fn refused(&mut self, name: ConnectionRef) -> Option<(ProcessId, Input)> {
        let end = self.connections.get(name)?.end(Side::Client);
        let (process, conn) = (end.process, end.conn);
        self.connections.free(name);
        self.processes[process.index()].remove_outbound(conn);
        Some((process, Input::Closed { conn }))
    }
}

/// Network faults.
impl<N: Node> World<N> {
    /// Faults of every link that has none of its own.
    pub fn set_network(&mut self, faults: NetworkFaults) {
        self.links.set_common(faults);
    }

    /// Faults of one directed link; `None`: those of the world again.
    pub fn set_link(&mut self, from: ProcessId, to: ProcessId, faults: Option<NetworkFaults>) {
        self.links.set_own(from, to, faults);
    }

    /// Messages from `from` to `to` vanish until the link is unblocked (those under way arrive).
    /// Neither end is told; unblocking resets the connections that lost something, since TCP never
    /// delivers what follows a loss.
    pub fn block(&mut self, from: ProcessId, to: ProcessId) {
        let link = self.links.index(from, to);
        self.links.at_mut(link).is_blocked = true;
    }

    pub fn unblock(&mut self, from: ProcessId, to: ProcessId) {
        let link = self.links.index(from, to);
        self.unblock_link(link);
    }

    fn unblock_link(&mut self, link: u32) {
        if !std::mem::replace(&mut self.links.at_mut(link).is_blocked, false) {
            return;
        }
        let is_broken = |side: Side, connection: &super::connection::Connection| {
            connection.direction(side).link == link && connection.direction(side).gap
        };
        let broken: Vec<ConnectionRef> = self
            .connections
            .iter()
            .filter(|(_, one)| is_broken(Side::Client, one) || is_broken(Side::Server, one))
            .map(|(name, _)| name)
            .collect();
        broken.into_iter().for_each(|name| self.reset_connection(name));
    }

    #[must_use]
    pub fn is_blocked(&self, from: ProcessId, to: ProcessId) -> bool {
        self.links.get(from, to).is_some_and(|link| link.is_blocked)
    }

    /// Messages from `from` to `to` wait until the link is unclogged.
    pub fn clog(&mut self, from: ProcessId, to: ProcessId) {
        let link = self.links.index(from, to);
        self.links.at_mut(link).is_clogged = true;
    }

    pub fn unclog(&mut self, from: ProcessId, to: ProcessId) {
        let link = self.links.index(from, to);
        self.unclog_link(link);
    }

    fn unclog_link(&mut self, link: u32) {
        self.links.at_mut(link).is_clogged = false;
        for queued in self.links.dequeue(link) {
            self.faults.count(Fault::Clog);
            self.route(queued.connection, queued.sender, queued.message);
        }
    }

    /// Unblocks and unclogs every link.
    pub fn heal(&mut self) {
        for link in 0..self.links.len() {
            self.unblock_link(link);
            self.unclog_link(link);
        }
    }

    /// Resets all connections between two processes, whoever opened them; answers how many.
    pub fn reset(&mut self, one: ProcessId, other: ProcessId) -> usize {
        let joining: Vec<ConnectionRef> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.joins(one, other))
            .map(|(name, _)| name)
            .collect();
        for name in &joining {
            self.faults.count(Fault::Reset);
            self.reset_connection(*name);
        }
        joining.len()
    }

    /// Both ends that are still there see it closed; what is under way is gone.
    pub(super) fn reset_connection(&mut self, name: ConnectionRef) {
        let Some(connection) = self.connections.get(name) else { return };
        let ends = [Side::Client, Side::Server].map(|side| (side, connection.end(side).clone()));
        self.connections.free(name);
        for (side, end) in ends {
            let slot = &mut self.processes[end.process.index()];
            let is_there = match (side, end.state) {
                (_, EndState::Open) | (Side::Client, EndState::Opening) => true,
                (_, EndState::Closed) | (Side::Server, EndState::Opening) => false,
            };
            if is_there {
                slot.remove_outbound(end.conn);
                let incarnation = slot.incarnation;
                let input = Box::new(Input::Closed { conn: end.conn });
                let event = Event::Input { process: end.process, incarnation, input };
                self.push(self.time, event);
            }
        }
    }

    /// Keeps matching messages back from now on, as they are sent.
    pub fn hold(&mut self, hold: Hold) -> HoldId {
        let id = HoldId(self.next_hold);
        self.next_hold += 1;
        self.holds.push(ActiveHold::new(id, hold));
        id
    }

    /// How many messages a hold has kept back; 0 once all of them are released.
    #[must_use]
    pub fn held(&self, hold: HoldId) -> u64 {
        self.holds.iter().find(|active| active.id == hold).map_or(0, ActiveHold::kept)
    }

    /// Ends a hold and sends what it kept on its way, in order.
    pub fn release(&mut self, hold: HoldId) {
        for Queued { connection, sender, message } in self.unhold(hold) {
            self.route(connection, sender, message);
        }
    }

    /// Sends the oldest messages that a hold kept on their way, so many at most; the hold goes on.
    pub fn release_some(&mut self, hold: HoldId, count: u64) {
        let Some(active) = self.holds.iter_mut().find(|active| active.id == hold) else { return };
        for Queued { connection, sender, message } in active.let_go(count) {
            self.route(connection, sender, message);
        }
    }

    /// Ends a hold and forgets what it kept; only ends of connections are told.
    pub fn discard(&mut self, hold: HoldId) {
        for Queued { connection, sender, message } in self.unhold(hold) {
            if matches!(message, Message::Fin) {
                self.route(connection, sender, message);
            }
        }
    }

    fn unhold(&mut self, hold: HoldId) -> Vec<Queued> {
        let Some(index) = self.holds.iter().position(|active| active.id == hold) else {
            return Vec::new();
        };
        let queue = self.holds.remove(index).queue;
        for Queued { connection, sender, .. } in &queue {
            if let Some(connection) = self.connections.get_mut(*connection) {
                let direction = connection.direction_mut(*sender);
                if direction.hold == Some(hold) {
                    direction.hold = None;
                    direction.in_order = false;
                }
            }
        }
        queue
    }
}
