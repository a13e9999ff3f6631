//! What a voter must never forget: its epoch and its vote in it (`quorum-state`).

use alloc::vec::Vec;

use bytes::Bytes;

use crate::event::Event;
use crate::ids::{NodeId, QuorumEpoch, Uuid};
use crate::machine::{Effect, Effects, FileKey};
use crate::message::raft::ReplicaKey;
use crate::record::crc32c;

const VERSION: u8 = 1;
const SIZE: usize = 30;

/// An epoch, and what this node did in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Election {
    pub epoch: QuorumEpoch,
    pub voted: Option<ReplicaKey>,
    /// Whether this node won it.
    pub leads: bool,
}

impl Election {
    pub(super) fn encode(&self) -> Bytes {
        let Election { epoch, voted, leads } = *self;
        let mut file = Vec::with_capacity(SIZE);
        file.push(VERSION);
        file.push(u8::from(voted.is_some()) | (u8::from(leads) << 1));
        file.extend_from_slice(&epoch.0.to_be_bytes());
        let voted = voted.unwrap_or(ReplicaKey { node: NodeId::NONE, directory: Uuid::ZERO });
        file.extend_from_slice(&voted.node.0.to_be_bytes());
        file.extend_from_slice(&voted.directory.to_bytes());
        let crc = crc32c(&file);
        file.extend_from_slice(&crc.to_be_bytes());
        file.into()
    }

    /// None if the file is damaged.
    pub(super) fn decode(file: &[u8]) -> Option<Self> {
        let file: &[u8; SIZE] = file.try_into().ok()?;
        let (body, crc) = file.split_at(SIZE - 4);
        if body[0] != VERSION || crc != crc32c(body).to_be_bytes() {
            return None;
        }
        let word = |at: usize| i32::from_be_bytes(body[at..at + 4].try_into().expect("four bytes"));
        let directory = body[10..26].try_into().expect("sixteen bytes");
        let key = ReplicaKey { node: NodeId(word(6)), directory: Uuid::from_bytes(directory) };
        Some(Election {
            epoch: QuorumEpoch(word(2)),
            voted: (body[1] & 1 != 0).then_some(key),
            leads: body[1] & 2 != 0,
        })
    }
}

/// The election state with its way to the disk. One write is under way at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ballot {
    current: Election,
    saved: Election,
    saving: Option<Election>,
}

impl Ballot {
    /// The state that a restart found.
    pub(super) fn recovered(saved: Election) -> Self {
        Ballot { current: saved, saved, saving: None }
    }

    pub(super) fn current(&self) -> Election {
        self.current
    }

    /// What survives a power loss.
    pub(super) fn saved(&self) -> Election {
        self.saved
    }

    pub(super) fn set(&mut self, election: Election, out: &mut Effects) {
        assert!(election.epoch >= self.current.epoch, "an epoch never falls");
        let same = election.epoch == self.current.epoch;
        let kept = self.current.voted.is_none() || election.voted == self.current.voted;
        assert!(!same || kept, "a vote is given once");
        self.current = election;
        self.save(out);
    }

    fn save(&mut self, out: &mut Effects) {
        if self.saving.is_none() && self.saved != self.current {
            self.saving = Some(self.current);
            let value = self.current.encode();
            out.push(Effect::Save { file: FileKey::QuorumState, value });
        }
    }

    /// The write under way is done.
    pub(super) fn written(&mut self, out: &mut Effects) {
        let Some(written) = self.saving.take() else { return };
        let before = core::mem::replace(&mut self.saved, written);
        if let Some(voted) = written.voted
            && (before.epoch, before.voted) != (written.epoch, written.voted)
        {
            out.note(Event::Voted { epoch: written.epoch, for_node: voted.node });
        }
        self.save(out);
    }

    /// Whether the epoch and the vote, as they are now, survive a power loss.
    pub(super) fn settled(&self) -> bool {
        let (now, disk) = (self.current, self.saved);
        now.epoch == disk.epoch && now.voted == disk.voted
    }

    pub(super) fn check(&self) {
        assert!(self.saved.epoch <= self.current.epoch, "the disk is never ahead");
        assert!(self.saving.is_some() || self.saved == self.current, "every change is written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_reads_back_and_a_flipped_bit_is_seen() {
        let voted = Some(ReplicaKey { node: NodeId(2), directory: Uuid([1, 2, 3, u32::MAX]) });
        for election in [
            Election::default(),
            Election { epoch: QuorumEpoch(7), voted, leads: true },
            Election { epoch: QuorumEpoch(i32::MAX), voted, leads: false },
        ] {
            let file = election.encode();
            assert_eq!(Election::decode(&file), Some(election));
            for bit in 0..file.len() * 8 {
                let mut flipped = file.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Election::decode(&flipped), None, "bit {bit}");
            }
        }
        assert_eq!(Election::decode(b""), None);
    }

    #[test]
    fn a_change_during_a_write_is_written_after_it() {
        let (mut ballot, mut out) = (Ballot::default(), Effects::new());
        let [one, two] =
            [1, 2].map(|epoch| Election { epoch: QuorumEpoch(epoch), ..Election::default() });
        let save = |election: Election| Effect::Save {
            file: FileKey::QuorumState,
            value: election.encode(),
        };
        ballot.set(one, &mut out);
        ballot.set(two, &mut out);
        assert_eq!(out.as_slice(), [save(one)]);
        ballot.written(&mut out);
        assert!(!ballot.settled());
        assert_eq!(out.as_slice(), [save(one), save(two)]);
        ballot.written(&mut out);
        assert!(ballot.settled());
        ballot.check();
    }
}
