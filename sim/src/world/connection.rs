//! Connections: two ends, and a first-in-first-out direction from each to the other.

use std::sync::Arc;

use seedlog::ids::{ConnId, CorrelationId};
use seedlog::message::{Request, Response};
use seedlog::time::Instant;

use super::ProcessId;
use super::digest::Print;
use super::hold::{HoldId, Payload};

/// Which end of a connection: the one that asked for it, or the one that accepted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

impl Side {
    pub(super) const fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }

    const fn index(self) -> usize {
        match self {
            Side::Client => 0,
            Side::Server => 1,
        }
    }
}

/// Names a connection; a connection that took the place of an older one differs by generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConnectionRef {
    index: u32,
    generation: u32,
}

/// What travels in one direction, with the print of its content.
#[derive(Clone, Debug)]
pub(super) enum Message {
    Request(CorrelationId, Arc<Request>, Print),
    Response(CorrelationId, Arc<Response>, Print),
    /// The sending end is closed.
    Fin,
}

impl ConnectionRef {
    /// The id under which the accepting process knows the connection.
    fn inbound(self) -> ConnId {
        ConnId::inbound((u64::from(self.generation) << 24) | u64::from(self.index))
    }

    /// The connection that an accepting process knows under that id.
    fn of_inbound(conn: ConnId) -> Option<Self> {
        let index = u32::try_from(conn.0 & 0x00ff_ffff).ok()?;
        Some(ConnectionRef { index, generation: u32::try_from(conn.0 >> 24).ok()? })
    }
}

impl Message {
    pub(super) fn payload(&self) -> Option<Payload<'_>> {
        match self {
            Message::Request(_, request, _) => Some(Payload::Request(request)),
            Message::Response(_, response, _) => Some(Payload::Response(response)),
            Message::Fin => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndState {
    /// The client waits for `Opened`; the server has not accepted.
    Opening,
    Open,
    Closed,
}

#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) process: ProcessId,
    pub(super) conn: ConnId,
    pub(super) state: EndState,
}

/// One direction, named by its sender.
#[derive(Clone, Debug)]
pub(super) struct Direction {
    pub(super) link: u32,
    /// Nothing later in order arrives before this.
    pub(super) last: Instant,
    /// Messages sent, and the number after the highest one that has arrived.
    pub(super) sent: u32,
    pub(super) arrived: u32,
    /// What arrives before this instant waits for it: set when the sender closed, by a fault.
    pub(super) not_before: Instant,
    /// The hold that keeps something of this direction, and whether what follows waits behind it.
    pub(super) hold: Option<HoldId>,
    pub(super) in_order: bool,
    /// Something was lost, in a blocked link or by a break: TCP would never deliver what follows.
    pub(super) gap: bool,
    /// `Fin` was sent.
    pub(super) finished: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Connection {
    generation: u32,
    ends: [End; 2],
    directions: [Direction; 2],
}

impl Connection {
    pub(super) fn end(&self, side: Side) -> &End {
        &self.ends[side.index()]
    }

    pub(super) fn end_mut(&mut self, side: Side) -> &mut End {
        &mut self.ends[side.index()]
    }

    /// The direction in which `sender` sends.
    pub(super) fn direction(&self, sender: Side) -> &Direction {
        &self.directions[sender.index()]
    }

    pub(super) fn direction_mut(&mut self, sender: Side) -> &mut Direction {
        &mut self.directions[sender.index()]
    }

    pub(super) fn is_over(&self) -> bool {
        self.ends.iter().all(|end| end.state == EndState::Closed)
    }

    /// When the last that was sent has arrived, or will; zero before anything was.
    pub(super) fn last_use(&self) -> Instant {
        let [there, back] = &self.directions;
        there.last.max(back.last)
    }

    pub(super) fn joins(&self, one: ProcessId, other: ProcessId) -> bool {
        let [client, server] = [self.ends[0].process, self.ends[1].process];
        (client, server) == (one, other) || (client, server) == (other, one)
    }
}

/// All connections of a world. Places are used again.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Slot {
    generation: u32,
    connection: Option<Connection>,
}

fn wide(index: u32) -> usize {
    usize::try_from(index).expect("an index fits")
}

impl Connections {
    /// Makes a connection that is being opened. `links`: from client to server, and back.
    pub(super) fn open(
        &mut self,
        client: (ProcessId, ConnId),
        server: ProcessId,
        links: [u32; 2],
    ) -> ConnectionRef {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, connection: None });
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 connections")
        });
        assert!(index < 1 << 24, "inbound ids have 24 bits for the place");
        let slot = &mut self.slots[wide(index)];
        let name = ConnectionRef { index, generation: slot.generation };
        let ends = [client, (server, name.inbound())].map(|(process, conn)| End {
            process,
            conn,
            state: EndState::Opening,
        });
        let directions = links.map(|link| Direction {
            link,
            last: Instant::ZERO,
            sent: 0,
            arrived: 0,
            not_before: Instant::ZERO,
            hold: None,
            in_order: false,
            gap: false,
            finished: false,
        });
        slot.connection = Some(Connection { generation: slot.generation, ends, directions });
        name
    }

    /// The connection that `process` accepted under that id, if its end is still open.
    pub(super) fn accepted(&self, process: ProcessId, conn: ConnId) -> Option<ConnectionRef> {
        let name = ConnectionRef::of_inbound(conn)?;
        let end = self.slots.get(wide(name.index))?.connection.as_ref()?.end(Side::Server);
        let is_open = end.process == process && end.conn == conn && end.state == EndState::Open;
        is_open.then_some(name)
    }

    /// All open ends of a process.
    pub(super) fn of(&self, process: ProcessId) -> Vec<(ConnectionRef, Side)> {
        let sides = [Side::Client, Side::Server];
        let ends = self.iter().flat_map(|(name, connection)| {
            sides.map(|side| (name, side, connection.end(side).clone()))
        });
        ends.filter(|(_, side, end)| {
            end.process == process
                && match (side, end.state) {
                    (_, EndState::Open) | (Side::Client, EndState::Opening) => true,
                    (_, EndState::Closed) | (Side::Server, EndState::Opening) => false,
                }
        })
        .map(|(name, side, _)| (name, side))
        .collect()
    }

    pub(super) fn get(&self, name: ConnectionRef) -> Option<&Connection> {
        let connection = self.slots[wide(name.index)].connection.as_ref()?;
        (connection.generation == name.generation).then_some(connection)
    }

    pub(super) fn get_mut(&mut self, name: ConnectionRef) -> Option<&mut Connection> {
        let connection = self.slots[wide(name.index)].connection.as_mut()?;
        (connection.generation == name.generation).then_some(connection)
    }

    /// Forgets a connection: whatever is still under way on it finds nobody.
    pub(super) fn free(&mut self, name: ConnectionRef) {
        let slot = &mut self.slots[wide(name.index)];
        if slot.connection.as_ref().is_some_and(|found| found.generation == name.generation) {
            slot.connection = None;
            slot.generation = slot.generation.wrapping_add(1);
            self.free.push(name.index);
        }
    }

    /// Forgets it if both ends are closed.
    pub(super) fn free_if_over(&mut self, name: ConnectionRef) {
        if self.get(name).is_some_and(Connection::is_over) {
            self.free(name);
        }
    }

    /// All connections, in the order of their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnectionRef, &Connection)> {
        self.slots.iter().zip(0_u32..).filter_map(|(slot, index)| {
            let connection = slot.connection.as_ref()?;
            Some((ConnectionRef { index, generation: connection.generation }, connection))
        })
    }
}
