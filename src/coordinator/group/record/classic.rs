//! GroupMetadataValue, version 3: a classic group, with all its members and what they were given.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::coordinator::schema::{Corrupt, Reader, Writer};
use crate::time::{Duration, Timestamp, millis};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::coordinator::group) struct ClassicValue {
    /// Empty for a group that never had a member.
    pub protocol_type: Arc<str>,
    pub generation: i32,
    pub protocol: Option<Arc<str>>,
    pub leader: Option<Arc<str>>,
    /// Since when the group is in its state.
    pub since: Timestamp,
    pub members: Vec<ClassicMemberValue>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::coordinator::group) struct ClassicMemberValue {
    pub member: Arc<str>,
    pub instance: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub rebalance_timeout: Duration,
    pub session_timeout: Duration,
    pub subscription: Bytes,
    pub assignment: Bytes,
}

impl ClassicValue {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.i16(3);
        out.string(&self.protocol_type);
        out.i32(self.generation);
        out.nullable(self.protocol.as_deref());
        out.nullable(self.leader.as_deref());
        out.i64(self.since.0);
        out.length(self.members.len());
        for member in &self.members {
            out.string(&member.member);
            out.nullable(member.instance.as_deref());
            out.string(&member.client_id);
            out.string(&member.client_host);
            write_timeout(&mut out, member.rebalance_timeout);
            write_timeout(&mut out, member.session_timeout);
            out.blob(&member.subscription);
            out.blob(&member.assignment);
        }
        out.finish()
    }

    /// Versions 0 to 3.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut value = Reader::new(bytes);
        let version = value.i16()?;
        if !(0..=3).contains(&version) {
            return Err(Corrupt);
        }
        let (protocol_type, generation) = (value.string()?, value.i32()?);
        let (protocol, leader) = (value.nullable()?, value.nullable()?);
        let since = if version >= 2 { Timestamp(value.i64()?) } else { Timestamp::NONE };
        let count = value.length()?;
        let members = (0..count).map(|_| ClassicMemberValue::decode(version, &mut value));
        let members = members.collect::<Result<_, _>>()?;
        Ok(ClassicValue { protocol_type, generation, protocol, leader, since, members })
    }
}

impl ClassicMemberValue {
    fn decode(version: i16, value: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let member = value.string()?;
        let instance = if version >= 3 { value.nullable()? } else { None };
        let (client_id, client_host) = (value.string()?, value.string()?);
        let rebalance_timeout = if version >= 1 { Some(read_timeout(value)?) } else { None };
        let session_timeout = read_timeout(value)?;
        Ok(ClassicMemberValue {
            member,
            instance,
            client_id,
            client_host,
            // The oldest clients had one timeout for both.
            rebalance_timeout: rebalance_timeout.unwrap_or(session_timeout),
            session_timeout,
            subscription: value.blob()?,
            assignment: value.blob()?,
        })
    }
}

fn write_timeout(out: &mut Writer, timeout: Duration) {
    out.i32(i32::try_from(millis(timeout)).unwrap_or(i32::MAX));
}

fn read_timeout(value: &mut Reader<'_>) -> Result<Duration, Corrupt> {
    u64::try_from(value.i32()?).map(Duration::from_millis).map_err(|_| Corrupt)
}
