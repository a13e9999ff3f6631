//! The core's values and the wire's, both ways.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages as wire;
use kafka_protocol::protocol::StrBytes;
use seedlog::error::ErrorCode;
use seedlog::ids::{
    LeaderEpoch, LogPoint, NodeId, Offset, ProducerEpoch, ProducerId, TopicRef, Uuid,
};
use seedlog::message::Records;
use seedlog::message::fetch::Isolation;
use seedlog::message::offsets::OffsetSpec;
use seedlog::message::produce::Acks;
use seedlog::time::{Duration, Timestamp};

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
    bool = bool: |own| *own, |truth| truth;
    i16 = i16: |own| *own, |number| number;
    i32 = i32: |own| *own, |number| number;
    u32 = i32: |own| i32::try_from(*own).unwrap_or(i32::MAX), |n| u32::try_from(n).unwrap_or(0);
    u16 = i32: |own| i32::from(*own), |number| u16::try_from(number).unwrap_or(0);
    Arc<str> = StrBytes: |own| string(own), |text| text.as_str().into();
    Arc<str> = Option<StrBytes>: |own| Some(string(own)),
        |text| text.map_or("".into(), |text| text.as_str().into());
    String = StrBytes: |own| string(own), |text| text.as_str().to_owned();
    Arc<str> = wire::TopicName: |own| string(own).into(), |name| name.0.as_str().into();
    Arc<str> = wire::TransactionalId: |own| string(own).into(), |id| id.0.as_str().into();
    Offset = i64: |own| own.0, |number| Offset(number);
    Timestamp = i64: |own| own.0, |number| Timestamp(number);
    LeaderEpoch = i32: |own| own.0, |number| LeaderEpoch(number);
    ProducerEpoch = i16: |own| own.0, |number| ProducerEpoch(number);
    ProducerId = wire::ProducerId: |own| own.0.into(), |id| ProducerId(id.0);
    NodeId = wire::BrokerId: |own| own.0.into(), |id| NodeId(id.0);
    // Replicas that ask name themselves; a client is nobody.
    Option<NodeId> = wire::BrokerId: |own| own.unwrap_or(NodeId::NONE).out(),
        |id| (id.0 >= 0).then_some(NodeId(id.0));
    Arc<[NodeId]> = Vec<wire::BrokerId>: |own| own.iter().map(Wire::out).collect(),
        |nodes| nodes.into_iter().map(Wire::back).collect();
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
    Acks = i16: |own| match own {
        Acks::None => 0,
        Acks::Leader => 1,
        Acks::All => -1,
    }, |number| match number {
        0 => Acks::None,
        1 => Acks::Leader,
        _ => Acks::All,
    };
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
}

/// Null on the wire is none, or an empty list.
macro_rules! optional {
    ($($core:ty = $wire:ty),*) => {$(
        impl Wire<Option<$wire>> for Option<$core> {
            fn out(&self) -> Option<$wire> {
                self.as_ref().map(Wire::out)
            }
            fn back(wire: Option<$wire>) -> Self {
                wire.map(Wire::back)
            }
        }
    )*};
}
optional!(
    Arc<str> = StrBytes, String = StrBytes, Arc<str> = wire::TopicName,
    Arc<str> = wire::TransactionalId
);

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

/// A struct whose fields correspond one to one; then fields of the wire and of the core that the
/// other
/// side lacks.
macro_rules! fields {
    ($core:ident = $wire:path { $($own:ident = $theirs:ident),* $(,)? }
        $(wire { $($only:ident: $value:expr),* })? $(core { $($extra:ident: $none:expr),* })?
    ) => {
        impl $crate::codec::convert::Wire<$wire> for $core {
            fn out(&self) -> $wire {
                let mut out = <$wire>::default();
                $(out.$theirs = $crate::codec::convert::Wire::out(&self.$own);)*
                $($(out.$only = $value;)*)?
                out
            }
            fn back(wire: $wire) -> Self {
                $core {
                    $($own: $crate::codec::convert::Wire::back(wire.$theirs),)*
                    $($($extra: $none,)*)?
                }
            }
        }
    };
}
pub(super) use fields;

/// A list whose items correspond one to one.
macro_rules! list {
    ($($core:ty = $wire:ty),* $(,)?) => {$(
        impl $crate::codec::convert::Wire<Vec<$wire>> for Vec<$core> {
            fn out(&self) -> Vec<$wire> {
                self.iter().map($crate::codec::convert::Wire::out).collect()
            }
            fn back(wire: Vec<$wire>) -> Self {
                wire.into_iter().map($crate::codec::convert::Wire::back).collect()
            }
        }
    )*};
}
pub(super) use list;

/// Partitions: the core lists them flat, the wire groups them by topic.
macro_rules! topics {
    ($core:ident = $topic:path { $name:ident, $parts:ident $(, $id:ident)? } / $part:path {
        $($own:ident = $wire:ident),* $(,)?
    }) => {
        impl $crate::codec::convert::Wire<Vec<$topic>> for Vec<$core> {
            fn out(&self) -> Vec<$topic> {
                let mut groups: Vec<(&TopicRef, $topic)> = Vec::new();
                for item in self {
                    let known = groups.iter().position(|(topic, _)| *topic == &item.topic);
                    let index = known.unwrap_or_else(|| {
                        let mut group = <$topic>::default();
                        group.$name = $crate::codec::convert::name_of(&item.topic);
                        $(group.$id = $crate::codec::convert::id_of(&item.topic);)?
                        groups.push((&item.topic, group));
                        groups.len() - 1
                    });
                    let mut part = <$part>::default();
                    $(part.$wire = $crate::codec::convert::Wire::out(&item.$own);)*
                    groups[index].1.$parts.push(part);
                }
                groups.into_iter().map(|(_, group)| group).collect()
            }
            fn back(topics: Vec<$topic>) -> Self {
                let mut items = Vec::new();
                for topic in topics {
                    let name = $crate::codec::convert::topic_of(&topic.$name, &[$(topic.$id)?]);
                    items.extend(topic.$parts.into_iter().map(|part| $core {
                        topic: name.clone(),
                        $($own: $crate::codec::convert::Wire::back(part.$wire),)*
                    }));
                }
                items
            }
        }
    };
}
pub(super) use topics;

/// Older versions name a topic, the newest give its id.
pub fn topic_of(name: &wire::TopicName, id: &[uuid::Uuid]) -> TopicRef {
    match id {
        [id] if !id.is_nil() => TopicRef::Id(Wire::back(*id)),
        _ => TopicRef::Name(name.0.as_str().into()),
    }
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

/// A value of the core and its form on the wire.
pub trait Wire<W> {
    fn out(&self) -> W;
    fn back(wire: W) -> Self;
}
