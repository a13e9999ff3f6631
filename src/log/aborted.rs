//! Aborted transactions of a log (`*.txnindex`).

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::ids::Offset;
use crate::log::producer::Aborted;

/// In the order of their markers. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct AbortedIndex {
    list: Arc<Vec<Aborted>>,
}

impl AbortedIndex {
    pub(super) fn push(&mut self, aborted: Aborted) {
        Arc::make_mut(&mut self.list).push(aborted);
    }

    pub(super) fn truncate(&mut self, end: Offset) {
        let keep = self.list.partition_point(|aborted| aborted.last < end);
        if keep < self.list.len() {
            Arc::make_mut(&mut self.list).truncate(keep);
        }
    }

    pub(super) fn trim(&mut self, start: Offset) {
        let gone = self.list.partition_point(|aborted| aborted.last < start);
        if gone > 0 {
            Arc::make_mut(&mut self.list).drain(..gone);
        }
    }

    pub(super) fn overlapping(
        &self,
        from: Offset,
        upper: Offset,
    ) -> impl Iterator<Item = Aborted> + '_ {
        let first = self.list.partition_point(|aborted| aborted.last < from);
        self.list[first..].iter().filter(move |aborted| aborted.first < upper).copied()
    }
}
