//! Batches of the metadata log: a record of such a batch holds one metadata record as its value.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::ids::Offset;
use crate::metadata::{Corrupt, MetadataRecord};
use crate::record::records;

impl MetadataRecord {
    /// The metadata records of a committed data batch, each with its offset.
    ///
    /// # Errors
    /// If the batch or a record in it cannot be read.
    pub fn read_batch(batch: &Bytes) -> Result<Vec<(Offset, MetadataRecord)>, Corrupt> {
        let records = records(batch).map_err(|_| Corrupt)?;
        records
            .into_iter()
            .map(|record| {
                let value = record.value.ok_or(Corrupt)?;
                Ok((record.offset, MetadataRecord::decode(&value)?))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LeaderEpoch;
    use crate::record::Builder;
    use crate::time::Timestamp;

    #[test]
    fn the_records_of_a_batch_come_with_their_offsets() {
        let mut builder = Builder::new().at(Offset(7), LeaderEpoch(2));
        for _ in 0..2 {
            builder.append(Timestamp(1), None, Some(&MetadataRecord::NoOp.encode()));
        }
        assert_eq!(
            MetadataRecord::read_batch(&builder.build()),
            Ok(alloc::vec![(Offset(7), MetadataRecord::NoOp), (Offset(8), MetadataRecord::NoOp)])
        );
        assert_eq!(MetadataRecord::read_batch(&Bytes::from_static(b"no batch")), Err(Corrupt));
    }
}
