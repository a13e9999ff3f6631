//! The core's types and the wire's, both ways.

use bytes::Bytes;
use kafka_protocol::messages as wire;
use kafka_protocol::protocol::StrBytes;
use seedlog::error::ErrorCode;
use seedlog::ids::{
    LeaderEpoch, LogPoint, NodeId, Offset, ProducerEpoch, ProducerId, TopicRef, Uuid,
};
use seedlog::message::Records;
use seedlog::message::fetch::{AbortedTransaction, Isolation};
use seedlog::message::offsets::OffsetSpec;
use seedlog::time::{Duration, Timestamp};

/// A value of the core and its form on the wire.
pub trait Wire<W> {
    fn out(&self) -> W;
    fn back(wire: W) -> Self;
}

macro_rules! wire {
    ($($core:ty = $wire:ty: |$own:ident| $out:expr, |$theirs:ident| $back:expr;)*) => {$(
        impl Wire<$wire> for $core {
            fn out(&self) -> $wire {
                let $own = self;
                $out
            }
            fn back($theirs: $wire) -> Self {
                $back
            }
        }
    )*};
}

wire! {
    i16 = i16: |own| *own, |number| number;
    i32 = i32: |own| *own, |number| number;
    u32 = i32: |own| i32::try_from(*own).unwrap_or(i32::MAX), |n| u32::try_from(n).unwrap_or(0);
    Offset = i64: |own| own.0, |number| Offset(number);
    Timestamp = i64: |own| own.0, |number| Timestamp(number);
    LeaderEpoch = i32: |own| own.0, |number| LeaderEpoch(number);
    ProducerEpoch = i16: |own| own.0, |number| ProducerEpoch(number);
    ProducerId = wire::ProducerId: |own| own.0.into(), |id| ProducerId(id.0);
    NodeId = wire::BrokerId: |own| own.0.into(), |id| NodeId(id.0);
    ErrorCode = i16: |own| own.code(), |code| ErrorCode::from_code(code);
    Duration = i32: |own| i32::try_from(own.as_millis()).unwrap_or(i32::MAX),
        |millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    Isolation = i8: |own| i8::from(*own == Isolation::ReadCommitted),
        |level| if level == 1 { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
    Uuid = uuid::Uuid: |own| uuid::Uuid::from_bytes(own.to_bytes()),
        |id| Uuid::from_bytes(id.into_bytes());
    Records = Option<Bytes>: |own| Some(joined(own.chunks())),
        |bytes| Records::Inline(bytes.into_iter().collect());
    // Only replicas are told where their logs part.
    Option<LogPoint> = wire::fetch_response::EpochEndOffset: |_own| Default::default(), |_end| None;
    OffsetSpec = i64: |own| match own {
        OffsetSpec::Latest => -1,
        OffsetSpec::Earliest => -2,
        OffsetSpec::MaxTimestamp => -3,
        OffsetSpec::At(time) => time.0,
    }, |number| match number {
        -1 => OffsetSpec::Latest,
        -2 => OffsetSpec::Earliest,
        -3 => OffsetSpec::MaxTimestamp,
        time => OffsetSpec::At(Timestamp(time)),
    };
    AbortedTransaction = wire::fetch_response::AbortedTransaction: |own| {
        let out = wire::fetch_response::AbortedTransaction::default();
        out.with_producer_id(own.producer_id.out()).with_first_offset(own.first_offset.out())
    }, |aborted| AbortedTransaction {
        producer_id: Wire::back(aborted.producer_id),
        first_offset: Wire::back(aborted.first_offset),
    };
    Vec<AbortedTransaction> = Option<Vec<wire::fetch_response::AbortedTransaction>>:
        |own| Some(own.iter().map(Wire::out).collect()),
        |all| all.into_iter().flatten().map(Wire::back).collect();
}

/// Two types of the same form, one for each API that names a leader (KIP-951).
macro_rules! leader {
    ($($wire:ty),*) => {$(
        impl Wire<$wire> for Option<(NodeId, LeaderEpoch)> {
            fn out(&self) -> $wire {
                let mut out = <$wire>::default();
                if let Some((node, epoch)) = self {
                    (out.leader_id, out.leader_epoch) = (node.out(), epoch.out());
                }
                out
            }
            fn back(wire: $wire) -> Self {
                let known = (NodeId(wire.leader_id.0), LeaderEpoch(wire.leader_epoch));
                (known.0.0 >= 0).then_some(known)
            }
        }
    )*};
}
leader!(wire::produce_response::LeaderIdAndEpoch, wire::fetch_response::LeaderIdAndEpoch);

/// One run of bytes; a copy only if there are several chunks.
fn joined(chunks: &[Bytes]) -> Bytes {
    match chunks {
        [] => Bytes::new(),
        [one] => one.clone(),
        many => many.concat().into(),
    }
}

pub fn string(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// How a request of the newer versions (`by_id`) or the older ones names its topic.
pub fn topic_in(name: &wire::TopicName, id: uuid::Uuid, by_id: bool) -> TopicRef {
    if by_id { TopicRef::Id(Wire::back(id)) } else { TopicRef::Name(name.0.as_str().into()) }
}

pub fn name_of(topic: &TopicRef) -> wire::TopicName {
    match topic {
        TopicRef::Name(name) => string(name).into(),
        TopicRef::Id(_) => StrBytes::new().into(),
    }
}

pub fn id_of(topic: &TopicRef) -> uuid::Uuid {
    match topic {
        TopicRef::Name(_) => uuid::Uuid::nil(),
        TopicRef::Id(id) => id.out(),
    }
}

/// Puts items of one topic together, topics and items in the order in which they come.
pub fn by_topic<T>(items: &[T], topic: impl Fn(&T) -> &TopicRef) -> Vec<(&TopicRef, Vec<&T>)> {
    let mut groups: Vec<(&TopicRef, Vec<&T>)> = Vec::new();
    for item in items {
        let of = topic(item);
        match groups.iter_mut().find(|(known, _)| *known == of) {
            Some((_, group)) => group.push(item),
            None => groups.push((of, vec![item])),
        }
    }
    groups
}

/// The core lists partitions, the wire groups them by topic: two functions, one for each way.
macro_rules! topics {
    ($out:ident, $back:ident: $core:ident =
        $topic:path { $name:ident, $parts:ident $(, $id:ident)? } / $part:path {
            $($own:ident = $wire:ident),* $(,)?
        }
    ) => {
        pub fn $out(items: &[$core]) -> Vec<$topic> {
            let groups = $crate::codec::convert::by_topic(items, |item| &item.topic);
            let topic = |(topic, items): (&_, Vec<&$core>)| {
                let mut out = <$topic>::default();
                out.$name = $crate::codec::convert::name_of(topic);
                $(out.$id = $crate::codec::convert::id_of(topic);)?
                out.$parts.extend(items.into_iter().map(|item| {
                    let mut part = <$part>::default();
                    $(part.$wire = $crate::codec::convert::Wire::out(&item.$own);)*
                    part
                }));
                out
            };
            groups.into_iter().map(topic).collect()
        }

        pub fn $back(topics: Vec<$topic>, by_id: bool) -> Vec<$core> {
            let mut items = Vec::new();
            for topic in topics {
                let id = $crate::codec::convert::first_or_nil(&[$(topic.$id)?]);
                let name = $crate::codec::convert::topic_in(&topic.$name, id, by_id);
                items.extend(topic.$parts.into_iter().map(|part| $core {
                    topic: name.clone(),
                    $($own: $crate::codec::convert::Wire::back(part.$wire),)*
                }));
            }
            items
        }
    };
}
pub(super) use topics;

pub fn first_or_nil(ids: &[uuid::Uuid]) -> uuid::Uuid {
    ids.first().copied().unwrap_or(uuid::Uuid::nil())
}

/// Puts answers into the order of what was asked: a broker groups them by topic as it likes.
pub fn in_order<Q, A: Clone>(asked: &[Q], answers: &[A], same: impl Fn(&Q, &A) -> bool) -> Vec<A> {
    asked.iter().filter_map(|q| answers.iter().find(|answer| same(q, answer)).cloned()).collect()
}
