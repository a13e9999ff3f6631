//! Sockets: a client that was accepted, and a broker that was dialled.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock};

use bytes::{Buf, Bytes, BytesMut};
use seedlog::ids::{ConnId, CorrelationId, Endpoint};
use seedlog::machine::Input;
use seedlog::message::Request;
use seedlog::record::Compression;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::mpsc;

use crate::codec::{self, Body, Head};
use crate::compression;
use crate::node::{Handle, Mail, Mailbox, Peer};

/// Kafka's `socket.request.max.bytes`.
const MAX_FRAME: usize = 100 << 20;
const READ_AHEAD: usize = 256 << 10;
/// Requests of one connection that are read before the oldest is answered.
const MAX_PENDING: usize = 64;

/// Reads length-prefixed frames; may be dropped between any two bytes.
struct Frames {
    stream: OwnedReadHalf,
    buffer: BytesMut,
}

impl Frames {
    fn new(stream: OwnedReadHalf) -> Self {
        Frames { stream, buffer: BytesMut::new() }
    }

    /// The next frame without its length; none at the end or if it is garbage.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(length) = self.buffer.first_chunk() {
                let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
                if length > MAX_FRAME {
                    return None;
                }
                if self.buffer.len() >= 4 + length {
                    self.buffer.advance(4);
                    return Some(self.buffer.split_to(length).freeze());
                }
                // A promise of bytes is not yet bytes.
                self.buffer.reserve((4 + length - self.buffer.len()).min(READ_AHEAD));
            }
            if self.stream.read_buf(&mut self.buffer).await.ok()? == 0 {
                return None;
            }
        }
    }
}

/// Serves one client until either end hangs up. Answers go out in the order of the requests.
pub async fn serve(stream: TcpStream, node: Handle) {
    let _ = stream.set_nodelay(true);
    // As Java writes an address without a name.
    let host: Arc<str> =
        stream.peer_addr().map(|peer| format!("/{}", peer.ip()).into()).unwrap_or_default();
    let (read, mut write) = stream.into_split();
    let mut frames = Frames::new(read);
    let (sender, mut answers) = mpsc::unbounded_channel();
    let conn = node.accept(Peer::Accepted(sender));
    let mut pending: VecDeque<(CorrelationId, Head, Option<Bytes>)> = VecDeque::new();
    let mut next = 0;
    'serving: loop {
        tokio::select! {
            frame = frames.next(), if pending.len() < MAX_PENDING => {
                let Some(frame) = frame else { break };
                let incoming = match codec::decode_request(frame, &host) {
                    Ok(incoming) => incoming,
                    Err(error) => {
                        eprintln!("seedlog: a client: {error}: connection closed");
                        break;
                    }
                };
                let correlation = CorrelationId(next);
                next = next.wrapping_add(1);
                match incoming.body {
                    Body::Answered(bytes) => {
                        pending.push_back((correlation, incoming.head, Some(bytes)));
                    }
                    Body::Broker(request) => {
                        if codec::is_answered(&request) {
                            pending.push_back((correlation, incoming.head, None));
                        }
                        let input = Input::Request { from: conn, correlation, request };
                        if node.mail.send(Mail::Input(input)).is_err() {
                            break;
                        }
                    }
                }
            }
            answer = answers.recv() => {
                let Some((correlation, response)) = answer else { break };
                let Some(slot) = pending.iter_mut().find(|slot| slot.0 == correlation) else {
                    continue;
                };
                match codec::encode_response(slot.1, &response) {
                    Ok(bytes) => slot.2 = Some(bytes),
                    Err(error) => {
                        eprintln!("seedlog: an answer: {error}: connection closed");
                        break;
                    }
                }
            }
        }
        while let Some((_, _, Some(bytes))) = pending.front() {
            if write.write_all(bytes).await.is_err() {
                break 'serving;
            }
            pending.pop_front();
        }
    }
    let _ = node.mail.send(Mail::Input(Input::Closed { conn }));
}

/// A client machine's side of its connections.
#[derive(Debug)]
pub struct Outside {
    pub client_id: &'static str,
    /// Of the batches that it sends.
    pub compression: Compression,
    /// Why a batch that it has fetched cannot be opened: the first such reason.
    pub unreadable: OnceLock<String>,
    /// What was last wrong with each broker: that is said once.
    pub complaints: Mutex<BTreeMap<Endpoint, String>>,
}

/// Dials a broker for a client machine and carries its requests until either end hangs up.
pub async fn dial(
    to: Endpoint,
    conn: ConnId,
    outside: Arc<Outside>,
    requests: mpsc::UnboundedReceiver<(CorrelationId, Arc<Request>)>,
    mail: Mailbox,
) {
    if let Err(error) = carry(&to, conn, &outside, requests, &mail).await {
        let error = error.to_string();
        let mut complaints = outside.complaints.lock().expect("no panic while held");
        if complaints.get(&to) != Some(&error) {
            eprintln!("seedlog: {to}: {error}");
            complaints.insert(to, error);
        }
    }
    let _ = mail.send(Mail::Input(Input::Closed { conn }));
}

async fn carry(
    to: &Endpoint,
    conn: ConnId,
    outside: &Outside,
    mut requests: mpsc::UnboundedReceiver<(CorrelationId, Arc<Request>)>,
    mail: &Mailbox,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect((&*to.host, to.port)).await?;
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let mut frames = Frames::new(read);
    write.write_all(&codec::ask_versions()?).await?;
    let Some(frame) = frames.next().await else { return Ok(()) };
    let versions = codec::learn_versions(frame)?;
    let _ = mail.send(Mail::Input(Input::Opened { conn }));
    let mut in_flight: BTreeMap<i32, (CorrelationId, Arc<Request>, i16)> = BTreeMap::new();
    let mut next: i32 = 0;
    loop {
        tokio::select! {
            request = requests.recv() => {
                let Some((correlation, request)) = request else { return Ok(()) };
                let request = compression::compress_produced(request, outside.compression);
                let client_id = outside.client_id;
                let (bytes, version) = codec::encode_request(&versions, next, client_id, &request)?;
                if codec::is_answered(&request) {
                    in_flight.insert(next, (correlation, request, version));
                }
                next = next.wrapping_add(1) & i32::MAX;
                write.write_all(&bytes).await?;
            }
            frame = frames.next() => {
                let Some(frame) = frame else { return Ok(()) };
                let asked = in_flight.remove(&codec::correlation_of(&frame)?);
                let Some((correlation, request, version)) = asked else { continue };
                let mut response = codec::decode_response(&request, version, frame)?;
                if let Some(why) = compression::open_fetched(&mut response) {
                    let _ = outside.unreadable.set(why);
                }
                let response = Arc::new(response);
                let _ = mail.send(Mail::Input(Input::Response { conn, correlation, response }));
            }
        }
    }
}
