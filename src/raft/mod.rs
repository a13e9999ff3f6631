//! KRaft: the metadata quorum.
