//! A partition's log as an index of batches.
