//! The bytes of metadata records and snapshots: zigzag varints and length-prefixed strings.
//!
//! Not Kafka's encoding: only seedlog's own controllers and brokers read it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::ids::{Endpoint, NodeId, Uuid};
use crate::message::admin::ConfigResource;
use crate::message::partition::LeaderRecovery;

/// Bytes that are no metadata: damage that a checksum missed, or another program's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a metadata record")]
pub struct Corrupt;

/// Appends values to a buffer.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub bytes: Vec<u8>,
}

impl Writer {
    pub fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub fn flag(&mut self, value: bool) {
        self.byte(u8::from(value));
    }

    pub fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            let low = u8::try_from(value & 0x7f).expect("seven bits fit");
            self.byte(low | 0x80);
            value >>= 7;
        }
        self.byte(u8::try_from(value).expect("seven bits fit"));
    }

    pub fn long(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    pub fn int(&mut self, value: i32) {
        self.long(i64::from(value));
    }

    pub fn length(&mut self, value: usize) {
        self.unsigned(u64::try_from(value).expect("a length fits u64"));
    }

    pub fn text(&mut self, value: &str) {
        self.length(value.len());
        self.bytes.extend_from_slice(value.as_bytes());
    }

    pub fn uuid(&mut self, value: Uuid) {
        self.bytes.extend_from_slice(&value.to_bytes());
    }

    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub fn nodes(&mut self, nodes: &[NodeId]) {
        self.length(nodes.len());
        for node in nodes {
            self.int(node.0);
        }
    }

    pub fn endpoint(&mut self, value: &Endpoint) {
        self.text(&value.host);
        self.unsigned(u64::from(value.port));
    }

    pub fn recovery(&mut self, value: LeaderRecovery) {
        self.flag(value == LeaderRecovery::Recovering);
    }

    pub fn resource(&mut self, value: &ConfigResource) {
        match value {
            ConfigResource::Topic(name) => {
                self.byte(0);
                self.text(name);
            }
            ConfigResource::Broker(node) => {
                self.byte(1);
                self.option(*node, |w, node| w.int(node.0));
            }
        }
    }
}

/// Takes values off a buffer.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    pub fn end(&self) -> Result<(), Corrupt> {
        if self.rest.is_empty() { Ok(()) } else { Err(Corrupt) }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Corrupt> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(Corrupt)?;
        self.rest = rest;
        Ok(head)
    }

    pub fn byte(&mut self) -> Result<u8, Corrupt> {
        Ok(self.take(1)?[0])
    }

    pub fn flag(&mut self) -> Result<bool, Corrupt> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Corrupt),
        }
    }

    pub fn unsigned(&mut self) -> Result<u64, Corrupt> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Corrupt)
    }

    pub fn long(&mut self) -> Result<i64, Corrupt> {
        let raw = self.unsigned()?;
        Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
    }

    pub fn int(&mut self) -> Result<i32, Corrupt> {
        i32::try_from(self.long()?).map_err(|_| Corrupt)
    }

    /// A count of things that take at least a byte each, so that garbage cannot ask for much
    /// memory.
    pub fn length(&mut self) -> Result<usize, Corrupt> {
        let length = usize::try_from(self.unsigned()?).map_err(|_| Corrupt)?;
        if length <= self.rest.len() { Ok(length) } else { Err(Corrupt) }
    }

    pub fn text(&mut self) -> Result<Arc<str>, Corrupt> {
        let length = self.length()?;
        core::str::from_utf8(self.take(length)?).map(Into::into).map_err(|_| Corrupt)
    }

    pub fn uuid(&mut self) -> Result<Uuid, Corrupt> {
        let bytes = self.take(16)?.try_into().expect("sixteen bytes were taken");
        Ok(Uuid::from_bytes(bytes))
    }

    pub fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Corrupt>,
    ) -> Result<Option<T>, Corrupt> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }

    pub fn node(&mut self) -> Result<NodeId, Corrupt> {
        self.int().map(NodeId)
    }

    pub fn nodes(&mut self) -> Result<Vec<NodeId>, Corrupt> {
        let length = self.length()?;
        (0..length).map(|_| self.node()).collect()
    }

    pub fn endpoint(&mut self) -> Result<Endpoint, Corrupt> {
        let host = self.text()?;
        let port = u16::try_from(self.unsigned()?).map_err(|_| Corrupt)?;
        Ok(Endpoint { host, port })
    }

    pub fn recovery(&mut self) -> Result<LeaderRecovery, Corrupt> {
        Ok(if self.flag()? { LeaderRecovery::Recovering } else { LeaderRecovery::Recovered })
    }

    pub fn resource(&mut self) -> Result<ConfigResource, Corrupt> {
        match self.byte()? {
            0 => self.text().map(ConfigResource::Topic),
            1 => self.option(Self::node).map(ConfigResource::Broker),
            _ => Err(Corrupt),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_their_bytes() {
        for value in [0, 1, -1, 63, 64, -64, -65, i64::MAX, i64::MIN] {
            let mut writer = Writer::default();
            writer.long(value);
            let mut reader = Reader::new(&writer.bytes);
            assert_eq!(reader.long(), Ok(value));
            assert_eq!(reader.end(), Ok(()));
        }
    }

    #[test]
    fn garbage_is_an_error() {
        assert_eq!(Reader::new(&[0xff; 11]).unsigned(), Err(Corrupt));
        assert_eq!(Reader::new(&[5, b'a']).text(), Err(Corrupt));
        assert_eq!(Reader::new(&[]).byte(), Err(Corrupt));
    }
}
