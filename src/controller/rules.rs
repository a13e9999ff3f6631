//! What decisions are taken by beside the metadata itself.

use crate::config::ControllerConfig;
use crate::coordinator::State;
use crate::defect::Defects;
use crate::ids::Offset;
use crate::metadata::{Image, MetadataRecord};

/// Settings and switches, as every decision gets them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub config: &'a ControllerConfig,
    pub defects: Defects,
}

/// A decision on the cluster's metadata.
pub(super) type Draft<'a> = crate::coordinator::Draft<'a, Image>;

impl State for Image {
    type Record = MetadataRecord;

    fn apply_record(&mut self, record: &MetadataRecord, offset: Offset) {
        self.apply(record, offset);
    }
}
