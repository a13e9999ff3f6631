//! The process that votes in the metadata quorum and, when it leads, decides cluster metadata.
