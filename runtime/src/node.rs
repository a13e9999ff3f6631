//! Drives one machine: a mailbox, a timer, and the effects of each step carried out in their order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use seedlog::ids::{CallId, ConnId, CorrelationId, Endpoint};
use seedlog::machine::{Effect, Effects, Input, Machine};
use seedlog::message::{Records, Request, Response};
use seedlog::op::Outcome;
use seedlog::time::{Instant, Now, Timestamp};
use tokio::sync::{mpsc, oneshot};

use crate::disk::Disk;
use crate::socket::{self, Outside};

/// What arrives in a node's mailbox.
pub enum Mail {
    Input(Input),
    /// A connection from outside, under a new inbound id.
    Accepted(ConnId, Peer),
    /// Asks for the line that `status` shows, and whether the node serves.
    Inspect(oneshot::Sender<(bool, String)>),
    /// Stops at once, as a crash would.
    Stop,
}

pub type Mailbox = mpsc::UnboundedSender<Mail>;

/// The other end of a connection.
pub enum Peer {
    /// A node of this process, and the connection as it knows it.
    Node(Mailbox, ConnId),
    /// A client on a socket: takes answers.
    Accepted(mpsc::UnboundedSender<(CorrelationId, Arc<Response>)>),
    /// A broker on a socket: takes requests.
    Dialled(mpsc::UnboundedSender<(CorrelationId, Arc<Request>)>),
}

/// How a node in this process is reached.
#[derive(Clone)]
pub struct Handle {
    pub mail: Mailbox,
    conns: Arc<AtomicU64>,
}

impl Handle {
    pub fn new(mail: Mailbox) -> Self {
        Handle { mail, conns: Arc::new(AtomicU64::new(0)) }
    }

    /// A new inbound connection of that node.
    pub fn accept(&self, peer: Peer) -> ConnId {
        let conn = ConnId::inbound(self.conns.fetch_add(1, Ordering::Relaxed));
        // A node that stopped meanwhile drops the peer, which closes it.
        let _ = self.mail.send(Mail::Accepted(conn, peer));
        conn
    }
}

/// Where a node's connections lead.
#[derive(Clone)]
pub enum Network {
    /// To the nodes of this process, by where they listen.
    Process(Arc<Mutex<BTreeMap<Endpoint, Handle>>>),
    /// To sockets, as this client.
    Sockets(Arc<Outside>),
}

/// Both clocks of this process.
#[derive(Clone, Copy)]
pub struct Clock(std::time::Instant);

impl Clock {
    pub fn start() -> Self {
        Clock(std::time::Instant::now())
    }

    fn now(self) -> Now {
        let nanos = u64::try_from(self.0.elapsed().as_nanos()).expect("585 years");
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let wall = Timestamp(i64::try_from(wall.as_millis()).expect("far from now"));
        Now { mono: Instant::from_nanos(nanos), wall }
    }

    fn at(self, instant: Instant) -> tokio::time::Instant {
        let elapsed = std::time::Duration::from_nanos(instant.as_nanos());
        let at = self.0.checked_add(elapsed).unwrap_or_else(|| self.0 + YEAR);
        at.into()
    }
}

const YEAR: std::time::Duration = std::time::Duration::from_secs(365 * 86_400);

/// What `status` shows of a machine, and whether it serves.
pub type Report<M> = fn(&M) -> (bool, String);

/// Everything around a machine.
pub struct Node<M> {
    pub mail: Mailbox,
    pub disk: Disk,
    pub network: Network,
    pub clock: Clock,
    pub report: Report<M>,
    /// Takes the outcomes of calls.
    pub returns: mpsc::UnboundedSender<(CallId, Outcome)>,
    peers: BTreeMap<ConnId, Peer>,
    local: VecDeque<Input>,
    halted: bool,
}

impl<M: Machine> Node<M> {
    pub fn new(
        mail: Mailbox,
        disk: Disk,
        network: Network,
        clock: Clock,
        report: Report<M>,
        returns: mpsc::UnboundedSender<(CallId, Outcome)>,
    ) -> Self {
        let (peers, local) = (BTreeMap::new(), VecDeque::new());
        Node { mail, disk, network, clock, report, returns, peers, local, halted: false }
    }

    /// Runs until the machine halts or the node is stopped; gives the disk back.
    pub async fn run(
        mut self,
        start: impl FnOnce(&Disk, Now, &mut Effects) -> M,
        mut inbox: mpsc::UnboundedReceiver<Mail>,
    ) -> Disk {
        let mut out = Effects::new();
        let mut machine = start(&self.disk, self.clock.now(), &mut out);
        self.carry_out(&mut out);
        self.local.push_back(Input::Wake);
        while !self.halted {
            if let Some(input) = self.local.pop_front() {
                if let Input::Closed { conn } = &input {
                    self.peers.remove(conn);
                }
                machine.step(self.clock.now(), input, &mut out);
                self.carry_out(&mut out);
                continue;
            }
            let deadline = machine.deadline();
            let wake = tokio::time::sleep_until(self.clock.at(deadline.unwrap_or(Instant::FAR)));
            tokio::select! {
                mail = inbox.recv() => match mail {
                    // What was sent on a connection before its end was known is not taken.
                    Some(Mail::Input(Input::Request { from, .. }))
                        if !self.peers.contains_key(&from) => {}
                    Some(Mail::Input(input)) => self.local.push_back(input),
                    Some(Mail::Accepted(_, peer)) if !machine.listens() => hang_up(peer),
                    Some(Mail::Accepted(conn, peer)) => {
                        self.peers.insert(conn, peer);
                    }
                    Some(Mail::Inspect(answer)) => {
                        let _ = answer.send((self.report)(&machine));
                    }
                    Some(Mail::Stop) | None => break,
                },
                () = wake => self.local.push_back(Input::Wake),
            }
        }
        for (_, peer) in std::mem::take(&mut self.peers) {
            hang_up(peer);
        }
        self.disk
    }

    fn carry_out(&mut self, out: &mut Effects) {
        for effect in out.drain() {
            match self.disk.carry_out(effect) {
                Ok(input) => self.local.extend(input),
                Err(effect) => self.carry_out_elsewhere(effect),
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the disk took all others")]
    fn carry_out_elsewhere(&mut self, effect: Effect) {
        match effect {
            Effect::Connect { conn, to } => self.connect(conn, to),
            Effect::Close { conn } => {
                if let Some(peer) = self.peers.remove(&conn) {
                    hang_up(peer);
                }
            }
            Effect::Send { conn, correlation, request } => {
                let sent = match self.peers.get(&conn) {
                    Some(Peer::Node(mail, from)) => {
                        let input = Input::Request { from: *from, correlation, request };
                        mail.send(Mail::Input(input)).is_ok()
                    }
                    Some(Peer::Dialled(requests)) => requests.send((correlation, request)).is_ok(),
                    Some(Peer::Accepted(_)) | None => false,
                };
                if !sent {
                    self.local.push_back(Input::Closed { conn });
                }
            }
            Effect::Respond { to, correlation, response } => {
                self.respond(to, correlation, response)
            }
            Effect::Return { call, outcome } => {
                let _ = self.returns.send((call, outcome));
            }
            Effect::Note(event) => tracing::debug!(?event),
            Effect::Halt => self.halted = true,
            other => panic!("the disk has carried out {other:?}"),
        }
    }

    fn connect(&mut self, conn: ConnId, to: Endpoint) {
        match &self.network {
            Network::Process(nodes) => {
                let target = nodes.lock().expect("no panic while held").get(&to).cloned();
                let Some(target) = target else {
                    self.local.push_back(Input::Closed { conn });
                    return;
                };
                let inbound = target.accept(Peer::Node(self.mail.clone(), conn));
                self.peers.insert(conn, Peer::Node(target.mail, inbound));
                self.local.push_back(Input::Opened { conn });
            }
            Network::Sockets(outside) => {
                let (requests, taken) = mpsc::unbounded_channel();
                self.peers.insert(conn, Peer::Dialled(requests));
                let outside = Arc::clone(outside);
                tokio::spawn(socket::dial(to, conn, outside, taken, self.mail.clone()));
            }
        }
    }

    fn respond(&mut self, to: ConnId, correlation: CorrelationId, response: Arc<Response>) {
        let response = self.resolve(response);
        match self.peers.get(&to) {
            Some(Peer::Node(mail, conn)) => {
                let input = Input::Response { conn: *conn, correlation, response };
                let _ = mail.send(Mail::Input(input));
            }
            Some(Peer::Accepted(answers)) => {
                let _ = answers.send((correlation, response));
            }
            Some(Peer::Dialled(_)) | None => {}
        }
    }

    /// Puts stored batches in the place of their names.
    fn resolve(&self, mut response: Arc<Response>) -> Arc<Response> {
        let stored = |records: &Records| matches!(records, Records::Stored(_));
        let Response::Fetch(fetch) = &*response else { return response };
        if !fetch.partitions.iter().any(|partition| stored(&partition.records)) {
            return response;
        }
        let Response::Fetch(fetch) = Arc::make_mut(&mut response) else { return response };
        for partition in &mut fetch.partitions {
            if let Records::Stored(range) = partition.records {
                partition.records = Records::Inline(self.disk.read(range));
            }
        }
        response
    }
}

/// Tells the other end; sockets learn it when their channel is dropped.
fn hang_up(peer: Peer) {
    if let Peer::Node(mail, conn) = peer {
        let _ = mail.send(Mail::Input(Input::Closed { conn }));
    }
}
