//! Applications that use the cluster while it breaks.
