//! Snapshots (KIP-630): the state machine's state at some offset, in place of the log below it.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::error::ErrorCode;
use crate::event::{Event, Mark};
use crate::ids::{ConnId, CorrelationId, LeaderEpoch, LogPoint, Offset};
use crate::machine::{Effect, Effects, FileKey};
use crate::message::Response;
use crate::message::raft::{FetchSnapshotRequest, FetchSnapshotResponse};
use crate::raft::role::Role;
use crate::raft::{Raft, RaftEvent};
use crate::record::crc32c;
use crate::time::Now;

/// Epoch, offset and checksum before the state.
const HEADER: usize = 16;

/// A snapshot as it stands in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// The end of what it holds, with the epoch of the last record in it.
    pub point: LogPoint,
    file: Bytes,
}

impl Snapshot {
    pub(super) fn new(point: LogPoint, state: &[u8]) -> Self {
        let mut file = Vec::with_capacity(HEADER + state.len());
        file.extend_from_slice(&point.epoch.0.to_be_bytes());
        file.extend_from_slice(&point.offset.0.to_be_bytes());
        file.extend_from_slice(&[0; 4]);
        file.extend_from_slice(state);
        let crc = checksum(&file);
        file[12..HEADER].copy_from_slice(&crc.to_be_bytes());
        Snapshot { point, file: file.into() }
    }

    /// None if the file is damaged.
    pub(super) fn decode(file: Bytes) -> Option<Self> {
        let header: [u8; HEADER] = file.get(..HEADER)?.try_into().ok()?;
        if header[12..] != checksum(&file).to_be_bytes() {
            return None;
        }
        let epoch = i32::from_be_bytes(header[..4].try_into().expect("four bytes"));
        let offset = i64::from_be_bytes(header[4..12].try_into().expect("eight bytes"));
        let point = LogPoint { epoch: LeaderEpoch(epoch), offset: Offset(offset) };
        Some(Snapshot { point, file })
    }

    /// The file as it is written.
    pub(super) fn file(&self) -> Bytes {
        self.file.clone()
    }

    pub(super) fn state(&self) -> Bytes {
        self.file.slice(HEADER..)
    }
}

/// The end of what the snapshot in a file holds; none if the file is damaged. A log that survived
/// may be empty up to there.
#[must_use]
pub fn snapshot_point(file: Bytes) -> Option<LogPoint> {
    Snapshot::decode(file).map(|snapshot| snapshot.point)
}

fn checksum(file: &[u8]) -> u32 {
    crc32c(&file[..12]) ^ crc32c(&file[HEADER..])
}

/// A snapshot on its way to the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Saving {
    snapshot: Snapshot,
    /// From the leader, not from the own state machine.
    loaded: bool,
}

impl Saving {
    pub(super) fn loaded(&self) -> bool {
        self.loaded
    }
}

/// A snapshot on its way from the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Download {
    pub point: LogPoint,
    pub bytes: Vec<u8>,
}

impl Download {
    pub(super) fn position(&self) -> u64 {
        u64::try_from(self.bytes.len()).expect("a length fits u64")
    }
}

impl Raft {
    /// Gives the state of everything below `upto`, where the log behind the last snapshot has grown
    /// by `metadata.log.max.record.bytes.between.snapshots`. Voters and observers do so alike, each
    /// for itself.
    pub fn snapshot_if_due(
        &mut self,
        now: Now,
        upto: Offset,
        state: impl FnOnce() -> Bytes,
        out: &mut Effects,
    ) {
        if self.unsaved >= self.server.quorum.snapshot_bytes && self.may_snapshot(upto) {
            self.snapshot(now, upto, state(), out);
        }
    }

    /// Whether the state at `upto` would be news, and no other snapshot is under way.
    fn may_snapshot(&self, upto: Offset) -> bool {
        let newest = self.snapshot_point().unwrap_or_default();
        self.saving_snapshot.is_none() && !self.downloads() && upto > newest.offset
    }

    /// Gives the state of everything below `upto`, so that the log below can be dropped once the
    /// state is durable. Ignored while another snapshot is being written or fetched.
    ///
    /// # Panics
    /// If `upto` was not `Committed` yet, or is not the end of a batch.
    pub fn snapshot(&mut self, now: Now, upto: Offset, state: Bytes, out: &mut Effects) {
        assert!(upto <= self.applied, "only committed state is kept");
        if !self.may_snapshot(upto) {
            return;
        }
        self.unsaved = 0;
        if let Some(entry) = self.log.entries(upto).next() {
            assert!(entry.base == upto, "a snapshot ends between batches");
        }
        let point = LogPoint { epoch: self.log.epoch_before(upto), offset: upto };
        self.save_snapshot(Snapshot::new(point, &state), false, out);
        self.pump(now, out);
    }

    fn save_snapshot(&mut self, snapshot: Snapshot, loaded: bool, out: &mut Effects) {
        out.push(Effect::Save { file: FileKey::Snapshot, value: snapshot.file() });
        self.saving_snapshot = Some(Saving { snapshot, loaded });
    }

    /// A snapshot from the leader is complete.
    pub(super) fn downloaded(&mut self, download: Download, out: &mut Effects) -> bool {
        let Download { point, bytes } = download;
        match Snapshot::decode(bytes.into()) {
            Some(snapshot) if snapshot.point == point => {
                self.save_snapshot(snapshot, true, out);
                true
            }
            Some(_) | None => false,
        }
    }

    /// The snapshot's file is written: it takes the place of the log below it.
    pub(super) fn snapshot_saved(&mut self, out: &mut Effects) {
        let Some(Saving { snapshot, loaded }) = self.saving_snapshot.take() else { return };
        let point = snapshot.point;
        if loaded {
            self.load(snapshot, out);
        } else {
            self.snapshot = Some(snapshot);
            // Those who read below two snapshots in a row are too slow to wait for.
            let waited = self.trim_to.replace(point).is_some();
            self.trim(waited, out);
        }
    }

    fn load(&mut self, snapshot: Snapshot, out: &mut Effects) {
        let point = snapshot.point;
        // A leader has everything that is committed, and never loads.
        if matches!(self.role, Role::Leader(_)) || point.offset <= self.high_watermark {
            return;
        }
        self.log.reset(point, out);
        self.trim_to = None;
        self.high_watermark = point.offset;
        self.applied = point.offset;
        self.unsaved = 0;
        self.events.push_back(RaftEvent::LoadSnapshot { point, state: snapshot.state() });
        self.snapshot = Some(snapshot);
        out.note(Event::Snapshot { point, loaded: true });
        out.note(Event::Sometimes(Mark::SnapshotLoaded));
    }

    /// Drops the log below the newest snapshot. A leader waits for those who are still reading
    /// there:
    /// a few batches are cheaper than a snapshot.
    pub(super) fn trim(&mut self, anyway: bool, out: &mut Effects) {
        let Some(to) = self.trim_to else { return };
        if let Role::Leader(leader) = &self.role
            && !anyway
            && !leader.all_past(to.offset)
        {
            return;
        }
        self.trim_to = None;
        self.log.trim(to, out);
        self.log.sync(out);
        out.note(Event::Snapshot { point: to, loaded: false });
    }

    /// Serves a piece of the newest snapshot.
    pub(super) fn on_fetch_snapshot(
        &mut self,
        now: Now,
        to: ConnId,
        correlation: CorrelationId,
        request: &FetchSnapshotRequest,
        out: &mut Effects,
    ) {
        let mut error = self.leader_only(request.epoch);
        if error.is_ok() {
            self.heard_from(now, request.replica);
        }
        let (mut size, mut bytes) = (0, Bytes::new());
        match &self.snapshot {
            Some(snapshot) if error.is_ok() && snapshot.point == request.snapshot => {
                let file = &snapshot.file;
                size = u64::try_from(file.len()).expect("a length fits u64");
                match usize::try_from(request.position) {
                    Ok(position) if position < file.len() => {
                        let most = usize::try_from(request.max_bytes).expect("a u32 fits usize");
                        let end = file.len().min(position.saturating_add(most.max(1)));
                        bytes = file.slice(position..end);
                    }
                    Ok(_) | Err(_) => error = ErrorCode::PositionOutOfRange,
                }
            }
            Some(_) | None if error.is_ok() => error = ErrorCode::SnapshotNotFound,
            Some(_) | None => {}
        }
        let response = Response::FetchSnapshot(FetchSnapshotResponse {
            error,
            epoch: self.epoch(),
            leader: self.leader(),
            snapshot: request.snapshot,
            size,
            position: request.position,
            bytes,
        });
        Self::respond(to, correlation, response, out);
    }
}
