//! Bits that flip on their way, in record batches only: a frame is checked by TCP, and a codec
//! would refuse most of what got through.

use std::sync::Arc;

use bytes::Bytes;
use seedlog::message::{Records, Request, Response};

use super::connection::Message;
use super::disk::flip;
use super::seed::Draw;

/// Flips one bit of one batch in a message; false if it carries none.
pub(super) fn corrupt(message: &mut Message, rng: &mut impl Draw) -> bool {
    let mut changed = message.clone();
    let chunks = match &mut changed {
        Message::Request(_, request) => in_request(Arc::make_mut(request)),
        Message::Response(_, response) => in_response(Arc::make_mut(response)),
        Message::Fin => Vec::new(),
    };
    if chunks.is_empty() {
        return false;
    }
    let index = rng.place(chunks.len());
    let chunk = chunks.into_iter().nth(index).expect("an index below the length");
    let Some(flipped) = flip(chunk, rng) else { return false };
    *chunk = flipped;
    *message = changed;
    true
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
