//! Requests about several groups or transactional ids: taken apart by key, each part served by the
//! coordinator that it belongs to, and the answers put together.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::coordinator::Requester;
use crate::ids::{ConnId, CorrelationId};
use crate::machine::{Effect, Effects};
use crate::message::Response;

/// A connection space that no connection has: answers to it are parts of others.
const SPACE: u8 = 127;

/// Answers in the making.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathers {
    next: u64,
    pending: BTreeMap<u64, Gather>,
}

#[derive(Clone, Debug)]
struct Gather {
    /// None: nobody waits any more.
    client: Option<Requester>,
    parts: Vec<Option<Response>>,
}

impl Gathers {
    /// Begins with a request of so many parts. Gives who asks for each of them.
    pub(super) fn begin(
        &mut self,
        client: Requester,
        parts: usize,
    ) -> impl Iterator<Item = Requester> + use<> {
        let number = self.next;
        self.next += 1;
        self.pending
            .insert(number, Gather { client: Some(client), parts: alloc::vec![None; parts] });
        let parts = u32::try_from(parts).expect("a request is bounded");
        let conn = ConnId::outbound(SPACE, number);
        (0..parts).map(move |part| (conn, CorrelationId(part)))
    }

    pub(super) fn hang_up(&mut self, conn: ConnId) {
        for gather in self.pending.values_mut() {
            if gather.client.is_some_and(|(to, _)| to == conn) {
                gather.client = None;
            }
        }
    }

    /// Takes the parts out of a step's effects, and answers who has all of theirs.
    pub(super) fn settle(&mut self, out: &mut Effects) {
        if self.pending.is_empty() {
            return;
        }
        let is_part =
            |effect: &Effect| matches!(effect, Effect::Respond { to, .. } if to.space() == SPACE);
        for part in out.extract(is_part) {
            let Effect::Respond { to, correlation, response } = part else { continue };
            let number = to.0 & ConnId::inbound(u64::MAX).0;
            let gather = self.pending.get_mut(&number).expect("a part belongs to a whole");
            let index = usize::try_from(correlation.0).expect("32 bits fit");
            let old = gather.parts[index].replace(Response::clone(&response));
            assert!(old.is_none(), "each part is answered once");
        }
        let whole = |_: &u64, gather: &mut Gather| gather.parts.iter().all(Option::is_some);
        let done: Vec<(u64, Gather)> = self.pending.extract_if(.., whole).collect();
        for (_, gather) in done {
            let Some((to, correlation)) = gather.client else { continue };
            let response = join(gather.parts.into_iter().flatten());
            let response = alloc::sync::Arc::new(response);
            out.push(Effect::Respond { to, correlation, response });
        }
    }
}

/// One answer of all parts: their lists behind each other, with the first error of the whole.
fn join(mut parts: impl Iterator<Item = Response>) -> Response {
    let mut whole = parts.next().expect("there is a part");
    for part in parts {
        add(&mut whole, part);
    }
    whole
}

fn add(whole: &mut Response, part: Response) {
    match (whole, part) {
        (Response::OffsetFetch(whole), Response::OffsetFetch(part)) => {
            whole.groups.extend(part.groups);
        }
        (Response::DescribeGroups(whole), Response::DescribeGroups(part)) => {
            whole.groups.extend(part.groups);
        }
        (Response::ConsumerGroupDescribe(whole), Response::ConsumerGroupDescribe(part)) => {
            whole.groups.extend(part.groups);
        }
        (Response::DeleteGroups(whole), Response::DeleteGroups(part)) => {
            whole.groups.extend(part.groups);
        }
        (Response::ListGroups(whole), Response::ListGroups(part)) => {
            whole.groups.extend(part.groups);
            if whole.error.is_ok() {
                whole.error = part.error;
            }
        }
        (Response::AddPartitionsToTxn(whole), Response::AddPartitionsToTxn(part)) => {
            whole.transactions.extend(part.transactions);
            if whole.error.is_ok() {
                whole.error = part.error;
            }
        }
        (Response::DescribeTransactions(whole), Response::DescribeTransactions(part)) => {
            whole.transactions.extend(part.transactions);
        }
        (Response::ListTransactions(whole), Response::ListTransactions(part)) => {
            whole.transactions.extend(part.transactions);
            if whole.error.is_ok() {
                whole.error = part.error;
            }
        }
        (whole, part) => panic!("{:?} is no part of {:?}", part.api(), whole.api()),
    }
}
