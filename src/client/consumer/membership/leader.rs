//! What the leader of a classic group does for the others.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::Context;
use super::embedded::{self, Subscription};
use crate::client::consumer::assignor::{Assignor, Counts, Member};
use crate::ids::TopicName;
use crate::message::group::JoinedMember;

/// The topics that the members want, sorted.
pub(super) fn topics(members: &[JoinedMember]) -> Vec<TopicName> {
    let all: BTreeSet<TopicName> =
        members.iter().flat_map(|member| subscription(member).topics).collect();
    all.into_iter().collect()
}

/// How many partitions these topics have, of those that there are.
pub(super) fn counts(members: &[JoinedMember], ctx: &Context<'_>) -> Counts {
    let known = topics(members).into_iter().filter_map(|topic| {
        let count = count(&topic, ctx)?;
        Some((topic, count))
    });
    known.collect()
}

fn count(topic: &TopicName, ctx: &Context<'_>) -> Option<i32> {
    let known = ctx.metadata.topic(topic)?;
    Some(i32::try_from(known.partitions.len()).expect("partitions are numbered"))
}

/// Whether one of these topics has other partitions by now than it assigned by, or has appeared.
pub(super) fn is_outdated(counts: &Counts, topics: &[TopicName], ctx: &Context<'_>) -> bool {
    topics.iter().any(|topic| count(topic, ctx).is_some_and(|now| counts.get(topic) != Some(&now)))
}

/// Assigns. Gives what each member is told, and what that rests on.
pub(super) fn assign(
    members: &[JoinedMember],
    ctx: &Context<'_>,
) -> (Vec<(Arc<str>, Bytes)>, Counts) {
    let (assignor, counts) = (ctx.assignor(), counts(members, ctx));
    let members: Vec<Member> = members.iter().map(|joined| member(joined, assignor)).collect();
    let assigned = assignor.assign(&members, &counts, ctx.setup.defects);
    let told = assigned.into_iter().map(|(id, partitions)| {
        let bytes = embedded::encode_assignment(&partitions);
        (id, bytes)
    });
    (told.collect(), counts)
}

fn member(joined: &JoinedMember, assignor: Assignor) -> Member {
    let Subscription { topics, owned, generation, user_data } = subscription(joined);
    let memory = user_data.filter(|_| assignor.remembers());
    let memory = memory.and_then(|data| embedded::decode_memory(&data).ok());
    let (owned, generation) = memory.unwrap_or((owned, generation));
    let (id, instance) = (joined.member.clone(), joined.instance.clone());
    Member { id, instance, topics, owned, generation }
}

/// A member whose subscription is garbage wants nothing.
fn subscription(member: &JoinedMember) -> Subscription {
    Subscription::decode(&member.subscription).unwrap_or_default()
}
