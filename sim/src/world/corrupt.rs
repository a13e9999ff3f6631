//! Bits that flip on their way, in record batches only: a frame is checked by TCP, and a codec
//! would refuse most of what got through.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use seedlog::message::{Records, Request, Response};

use super::connection::Message;
use super::digest::Print;
use super::disk::{flip_at, place_to_flip};
use super::seed::Draw;

/// Which bit of which batch of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flip {
    pub(super) chunk: usize,
    pub(super) byte: usize,
    pub(super) bit: u64,
}

impl fmt::Display for Flip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.chunk, self.byte, self.bit)
    }
}

impl Flip {
    /// Reads what `Display` writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (chunk, rest) = text.split_once('/')?;
        let (byte, bit) = rest.split_once('/')?;
        Some(Flip {
            chunk: chunk.parse().ok()?,
            byte: byte.parse().ok()?,
            bit: bit.parse().ok().filter(|bit| *bit < 8)?,
        })
    }
}

/// Draws a bit of a batch of a message; none if it carries none that a checksum protects.
pub(super) fn choose(message: &Message, rng: &mut impl Draw) -> Option<Flip> {
    let mut copy = message.clone();
    let chunks = chunks_of(&mut copy);
    if chunks.is_empty() {
        return None;
    }
    let chunk = rng.place(chunks.len());
    let (byte, bit) = place_to_flip(chunks[chunk], rng)?;
    Some(Flip { chunk, byte, bit })
}

/// Flips that bit; false if the message (at a replay, another one) has no such bit.
pub(super) fn apply(message: &mut Message, flip: Flip) -> bool {
    let mut changed = message.clone();
    let chunk = chunks_of(&mut changed).into_iter().nth(flip.chunk);
    let Some(chunk) = chunk else { return false };
    let Some(flipped) = flip_at(chunk, flip.byte, flip.bit) else { return false };
    *chunk = flipped;
    match &mut changed {
        Message::Request(_, request, print) => *print = Print::of(request),
        Message::Response(_, response, print) => *print = Print::of(response),
        Message::Fin => {}
    }
    *message = changed;
    true
}

fn chunks_of(message: &mut Message) -> Vec<&mut Bytes> {
    match message {
        Message::Request(_, request, _) => in_request(Arc::make_mut(request)),
        Message::Response(_, response, _) => in_response(Arc::make_mut(response)),
        Message::Fin => Vec::new(),
    }
}

fn chunks(records: &mut Records) -> impl Iterator<Item = &mut Bytes> {
    match records {
        Records::Inline(chunks) => chunks.iter_mut(),
        Records::Stored(_) => panic!("stored ranges are resolved before they are sent"),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "no other request carries records")]
fn in_request(request: &mut Request) -> Vec<&mut Bytes> {
    match request {
        Request::Produce(request) => {
            request.partitions.iter_mut().flat_map(|one| chunks(&mut one.records)).collect()
        }
        _ => Vec::new(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "no other response carries records")]
fn in_response(response: &mut Response) -> Vec<&mut Bytes> {
    match response {
        Response::Fetch(response) => {
            response.partitions.iter_mut().flat_map(|one| chunks(&mut one.records)).collect()
        }
        Response::QuorumFetch(response) => response.batches.iter_mut().collect(),
        _ => Vec::new(),
    }
}
