//! The core's values and the wire's, both ways.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages as wire;
use kafka_protocol::protocol::StrBytes;
use seedlog::error::ErrorCode;
use seedlog::ids::{
    LeaderEpoch, LogPoint, NodeId, Offset, ProducerEpoch, ProducerId, TopicRef, Uuid,
};
use seedlog::message::Records;
use seedlog::message::admin::ConfigSource;
use seedlog::message::coordinator::CoordinatorKind;
use seedlog::message::fetch::Isolation;
use seedlog::message::offsets::OffsetSpec;
use seedlog::message::produce::Acks;
use seedlog::time::{Duration, Timestamp};

/// What those who speak an older version, and do not know `new`, are told instead.
pub fn older(error: &mut i16, knows: bool, new: ErrorCode, old: ErrorCode) {
    if !knows && *error == new.code() {
        *error = old.code();
    }
}

/// KIP-588: who speaks an older version knows a fenced producer by its epoch only.
pub fn fence(error: &mut i16, knows: bool) {
    older(error, knows, ErrorCode::ProducerFenced, ErrorCode::InvalidProducerEpoch);
}

macro_rules! wire {
    ($($core:ty = $wire:ty: |$own:ident| $out:expr, |$theirs:ident| $back:expr;)*) => {$(
        impl Wire<$wire> for $core {
            fn out(&self, _version: i16) -> $wire {
                let $own = self;
                $out
            }
            fn back($theirs: $wire, _version: i16) -> Self {
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
    Arc<str> = wire::GroupId: |own| string(own).into(), |id| id.0.as_str().into();
    Bytes = Bytes: |own| own.clone(), |bytes| bytes;
    Arc<str> = wire::TransactionalId: |own| string(own).into(), |id| id.0.as_str().into();
    Offset = i64: |own| own.0, |number| Offset(number);
    Timestamp = i64: |own| own.0, |number| Timestamp(number);
    LeaderEpoch = i32: |own| own.0, |number| LeaderEpoch(number);
    ProducerEpoch = i16: |own| own.0, |number| ProducerEpoch(number);
    ProducerId = wire::ProducerId: |own| own.0.into(), |id| ProducerId(id.0);
    NodeId = wire::BrokerId: |own| own.0.into(), |id| NodeId(id.0);
    // Replicas that ask name themselves; a client is nobody.
    Option<NodeId> = wire::BrokerId: |own| own.unwrap_or(NodeId::NONE).0.into(),
        |id| (id.0 >= 0).then_some(NodeId(id.0));
    Arc<[NodeId]> = Vec<wire::BrokerId>: |own| own.iter().map(|node| node.0.into()).collect(),
        |nodes| nodes.into_iter().map(|id| NodeId(id.0)).collect();
    ErrorCode = i16: |own| own.code(), |code| ErrorCode::from_code(code);
    Duration = i32: |own| i32::try_from(own.as_millis()).unwrap_or(i32::MAX),
        |millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    Option<CoordinatorKind> = i8:
        |own| own.map_or(-1, |kind| i8::from(kind == CoordinatorKind::Transaction)),
    |kind| match kind {
        0 => Some(CoordinatorKind::Group),
        1 => Some(CoordinatorKind::Transaction),
        _ => None,
    };
    Isolation = i8: |own| i8::from(*own == Isolation::ReadCommitted),
        |level| if level == 1 { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
    Uuid = uuid::Uuid: |own| uuid::Uuid::from_bytes(own.to_bytes()),
        |id| Uuid::from_bytes(id.into_bytes());
    Records = Option<Bytes>: |own| Some(joined(own.chunks())),
        |bytes| Records::Inline(bytes.into_iter().collect());
    // Only replicas are told where their logs part.
    Option<LogPoint> = wire::fetch_response::EpochEndOffset: |_own| Default::default(), |_end| None;
    ConfigSource = i8: |own| match own {
        ConfigSource::Topic => 1,
        ConfigSource::Broker => 2,
        ConfigSource::Static => 4,
        ConfigSource::Default => 5,
    }, |number| match number {
        1 => ConfigSource::Topic,
        2 => ConfigSource::Broker,
        4 => ConfigSource::Static,
        _ => ConfigSource::Default,
    };
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

/// Null on the wire is none.
impl<T: Wire<W>, W> Wire<Option<W>> for Option<T> {
    fn out(&self, version: i16) -> Option<W> {
        self.as_ref().map(|own| own.out(version))
    }
    fn back(wire: Option<W>, version: i16) -> Self {
        wire.map(|wire| T::back(wire, version))
    }
}

/// Items correspond one to one.
impl<T: Wire<W>, W> Wire<Vec<W>> for Vec<T> {
    fn out(&self, version: i16) -> Vec<W> {
        self.iter().map(|own| own.out(version)).collect()
    }
    fn back(wire: Vec<W>, version: i16) -> Self {
        wire.into_iter().map(|wire| T::back(wire, version)).collect()
    }
}

/// Two types of the same form, one for each API that names a leader (KIP-951).
macro_rules! leader {
    ($($wire:ty),*) => {$(
        impl Wire<$wire> for Option<(NodeId, LeaderEpoch)> {
            fn out(&self, _version: i16) -> $wire {
                let mut out = <$wire>::default();
                if let Some((node, epoch)) = self {
                    (out.leader_id, out.leader_epoch) = (node.0.into(), epoch.0);
                }
                out
            }
            fn back(wire: $wire, _version: i16) -> Self {
                let known = (NodeId(wire.leader_id.0), LeaderEpoch(wire.leader_epoch));
                (known.0.0 >= 0).then_some(known)
            }
        }
    )*};
}
leader!(wire::produce_response::LeaderIdAndEpoch, wire::fetch_response::LeaderIdAndEpoch);

/// Sets a field, in the versions that can say it.
macro_rules! say {
    ($slot:expr, $value:expr, $version:expr) => {
        $slot = $crate::codec::convert::Wire::out($value, $version)
    };
    ($slot:expr, $value:expr, $version:expr, $since:expr) => {
        if $version >= $since {
            $slot = $crate::codec::convert::Wire::out($value, $version)
        }
    };
}
pub(super) use say;

/// A struct whose fields correspond one to one, `own = theirs`; with `[since]` those that only
/// newer versions can say. Then fields of the wire and of the core that the other side lacks, which
/// may go by the version. Then what else an older version needs, and [`Asks`].
macro_rules! fields {
    ($core:ident = $wire:path { $($own:ident = $theirs:ident $([$since:expr])?),* $(,)? }
        $(wire |$w:ident| { $($only:ident: $value:expr),* $(,)? })?
        $(core |$c:ident| { $($extra:ident: $none:expr),* $(,)? })?
        $(then |$out:ident, $t:ident| $last:block)?
        $(asks |$a:ident| $asks:block)?
        $(tells |$o:ident, $asked:ident| $tell:block)?
    ) => {
        impl $crate::codec::convert::Wire<$wire> for $core {
            fn out(&self, version: i16) -> $wire {
                let mut out = <$wire>::default();
                $($crate::codec::convert::say!(
                    out.$theirs, &self.$own, version $(, $since)?
                );)*
                $(
                    let $w = version;
                    $(out.$only = $value;)*
                )?
                $(
                    let ($out, $t) = (&mut out, version);
                    $last
                )?
                out
            }
            fn back(wire: $wire, version: i16) -> Self {
                $(let $c = version;)?
                $core {
                    $($own: $crate::codec::convert::Wire::back(wire.$theirs, version),)*
                    $($($extra: $none,)*)?
                }
            }
            $(fn asks($a: &$wire) -> $crate::codec::convert::Asks $asks)?
            $(fn tell($o: &mut $wire, $asked: $crate::codec::convert::Asks) $tell)?
        }
    };
}
pub(super) use fields;

/// A tuple, whose parts correspond to fields one to one.
macro_rules! tuple {
    ($($core:ty = $wire:path { $($own:tt = $theirs:ident),* $(,)? };)*) => {$(
        impl $crate::codec::convert::Wire<$wire> for $core {
            fn out(&self, version: i16) -> $wire {
                let mut out = <$wire>::default();
                $(out.$theirs = $crate::codec::convert::Wire::out(&self.$own, version);)*
                out
            }
            fn back(wire: $wire, version: i16) -> Self {
                ($($crate::codec::convert::Wire::back(wire.$theirs, version),)*)
            }
        }
    )*};
}
pub(super) use tuple;

/// Partitions: the core lists them flat, the wire groups them by topic. The core's are structs with
/// a field `topic`.
macro_rules! topics {
    ($core:ident = $topic:path { $name:ident, $parts:ident $(, $id:ident)? } / $part:path {
        $($own:ident = $wire:ident $([$since:expr])?),* $(,)?
    }) => {
        impl $crate::codec::convert::Wire<Vec<$topic>> for Vec<$core> {
            fn out(&self, version: i16) -> Vec<$topic> {
                $crate::codec::convert::by_topic(self, |item| &item.topic, |topic, items| {
                    let mut group = <$topic>::default();
                    group.$name = $crate::codec::convert::Topic::name(topic);
                    $(group.$id = $crate::codec::convert::Topic::id(topic);)?
                    group.$parts.extend(items.into_iter().map(|item| {
                        let mut part = <$part>::default();
                        $($crate::codec::convert::say!(
                            part.$wire, &item.$own, version $(, $since)?
                        );)*
                        part
                    }));
                    group
                })
            }
            fn back(topics: Vec<$topic>, version: i16) -> Self {
                let mut items = Vec::new();
                for topic in topics {
                    let name = $crate::codec::convert::Topic::of(
                        &topic.$name, &[$(topic.$id)?],
                    );
                    items.extend(topic.$parts.into_iter().map(|part| $core {
                        topic: Clone::clone(&name),
                        $($own: $crate::codec::convert::Wire::back(part.$wire, version),)*
                    }));
                }
                items
            }
        }
    };
}
pub(super) use topics;

/// [`topics`] where the core's are tuples that begin with a topic.
macro_rules! rows {
    ($($core:ty = $topic:path { $name:ident, $parts:ident $(, $id:ident)? } / $part:path {
        $($own:tt = $wire:ident),* $(,)?
    };)*) => {$(
        impl $crate::codec::convert::Wire<Vec<$topic>> for Vec<$core> {
            fn out(&self, version: i16) -> Vec<$topic> {
                $crate::codec::convert::by_topic(self, |item| &item.0, |topic, items| {
                    let mut group = <$topic>::default();
                    group.$name = $crate::codec::convert::Topic::name(topic);
                    $(group.$id = $crate::codec::convert::Topic::id(topic);)?
                    group.$parts.extend(items.into_iter().map(|item| {
                        let mut part = <$part>::default();
                        $(part.$wire = $crate::codec::convert::Wire::out(&item.$own, version);)*
                        part
                    }));
                    group
                })
            }
            fn back(topics: Vec<$topic>, version: i16) -> Self {
                let mut items: Self = Vec::new();
                for topic in topics {
                    let name = $crate::codec::convert::Topic::of(
                        &topic.$name, &[$(topic.$id)?],
                    );
                    items.extend(topic.$parts.into_iter().map(|part| (
                        Clone::clone(&name),
                        $($crate::codec::convert::Wire::back(part.$wire, version),)*
                    )));
                }
                items
            }
        }
    )*};
}
pub(super) use rows;

/// Pairs of topic and partition; the wire lists a topic's partitions as plain numbers.
macro_rules! numbers {
    ($($core:ty = $topic:path { $name:ident, $parts:ident $(, $id:ident)? };)*) => {$(
        impl $crate::codec::convert::Wire<Vec<$topic>> for Vec<$core> {
            fn out(&self, _version: i16) -> Vec<$topic> {
                $crate::codec::convert::by_topic(self, |item| &item.0, |topic, items| {
                    let mut group = <$topic>::default();
                    group.$name = $crate::codec::convert::Topic::name(topic);
                    $(group.$id = $crate::codec::convert::Topic::id(topic);)?
                    group.$parts.extend(items.into_iter().map(|item| item.1));
                    group
                })
            }
            fn back(topics: Vec<$topic>, _version: i16) -> Self {
                let mut items: Self = Vec::new();
                for topic in topics {
                    let name = $crate::codec::convert::Topic::of(
                        &topic.$name, &[$(topic.$id)?],
                    );
                    let numbers = topic.$parts.into_iter();
                    items.extend(numbers.map(|number| (Clone::clone(&name), number)));
                }
                items
            }
        }
    )*};
}
pub(super) use numbers;

/// Items grouped by topic, in the order in which the topics come.
pub fn by_topic<'a, I, T: Ord + 'a, G>(
    items: &'a [I],
    topic: impl Fn(&'a I) -> &'a T,
    group: impl Fn(&'a T, Vec<&'a I>) -> G,
) -> Vec<G> {
    let mut places: BTreeMap<&T, usize> = BTreeMap::new();
    let mut groups: Vec<(&T, Vec<&I>)> = Vec::new();
    for item in items {
        let topic = topic(item);
        let place = *places.entry(topic).or_insert_with(|| {
            groups.push((topic, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(item);
    }
    groups.into_iter().map(|(topic, items)| group(topic, items)).collect()
}

/// How the core names a topic, and the wire: older versions by name, the newest by id.
pub trait Topic: Sized {
    fn name(&self) -> wire::TopicName;
    fn id(&self) -> uuid::Uuid;
    /// An id goes before a name.
    fn of(name: &wire::TopicName, id: &[uuid::Uuid]) -> Self;
}

impl Topic for TopicRef {
    fn name(&self) -> wire::TopicName {
        match self {
            TopicRef::Name(name) => name.name(),
            TopicRef::Id(_) => StrBytes::new().into(),
        }
    }
    fn id(&self) -> uuid::Uuid {
        match self {
            TopicRef::Name(_) => uuid::Uuid::nil(),
            TopicRef::Id(id) => uuid::Uuid::from_bytes(id.to_bytes()),
        }
    }
    fn of(name: &wire::TopicName, id: &[uuid::Uuid]) -> Self {
        match id {
            [id] if !id.is_nil() => TopicRef::Id(Uuid::from_bytes(id.into_bytes())),
            _ => TopicRef::Name(Topic::of(name, &[])),
        }
    }
}

impl Topic for Arc<str> {
    fn name(&self) -> wire::TopicName {
        string(self).into()
    }
    fn id(&self) -> uuid::Uuid {
        uuid::Uuid::nil()
    }
    fn of(name: &wire::TopicName, _id: &[uuid::Uuid]) -> Self {
        name.0.as_str().into()
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

/// A value of the core and its form in some version on the wire.
pub trait Wire<W> {
    fn out(&self, version: i16) -> W;
    fn back(wire: W, version: i16) -> Self;
    fn asks(_wire: &W) -> Asks {
        Asks::default()
    }
    /// Answers what a request has asked besides.
    fn tell(_wire: &mut W, _asks: Asks) {}
}

/// Whether a client wants to know what it may do (KIP-430): with the cluster, and with each thing
/// that it asks about. Without an authorizer that is everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    pub cluster: bool,
    pub each: bool,
}

/// Bits of Kafka's `AclOperation`, for each kind of thing: what can be allowed there.
pub const ON_CLUSTER: i32 = 0b1_1111_1010_0000;
pub const ON_TOPIC: i32 = 0b0_1101_1111_1000;
pub const ON_GROUP: i32 = 0b0_1101_0100_1000;
