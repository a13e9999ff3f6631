//! Identity of a process on its disk: Kafka's `meta.properties`.

use alloc::format;
use alloc::sync::Arc;

use bytes::Bytes;

use crate::ids::{NodeId, Uuid};
use crate::rng::Rng;

/// What formatting a disk writes there. A wiped disk has none, and its next owner gets a new
/// directory id: it is no longer the voter that it was (KIP-853).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MetaProperties {
    pub cluster_id: Arc<str>,
    pub node: NodeId,
    pub directory: Uuid,
}

impl MetaProperties {
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let MetaProperties { cluster_id, node, directory } = self;
        format!("version=1\ncluster.id={cluster_id}\nnode.id={node}\ndirectory.id={directory}\n")
            .into()
    }

    /// Reads the file; none if it is damaged.
    #[must_use]
    pub fn decode(file: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(file).ok()?;
        let field =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let directory = u128::from_str_radix(field("directory.id")?, 16).ok()?;
        Some(MetaProperties {
            cluster_id: field("cluster.id")?.into(),
            node: NodeId(field("node.id")?.parse().ok()?),
            directory: Uuid::from_bytes(directory.to_be_bytes()),
        })
    }
}

/// Who a disk is: what its `file` says, or a new identity with the file that has to be written. A
/// file that is damaged or another node's counts as none.
#[must_use]
pub fn identity(
    file: Option<&Bytes>,
    cluster_id: &Arc<str>,
    node: NodeId,
    rng: &mut Rng,
) -> (Uuid, Option<Bytes>) {
    let known = file.and_then(|file| MetaProperties::decode(file));
    if let Some(properties) = known.filter(|properties| properties.node == node) {
        return (properties.directory, None);
    }
    let directory = Uuid::random(rng);
    let properties = MetaProperties { cluster_id: Arc::clone(cluster_id), node, directory };
    (directory, Some(properties.encode()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_reads_back() {
        let properties = MetaProperties {
            cluster_id: "test".into(),
            node: NodeId(3),
            directory: Uuid([1, 2, 3, u32::MAX]),
        };
        assert_eq!(MetaProperties::decode(&properties.encode()), Some(properties));
        assert_eq!(MetaProperties::decode(b"version=1"), None);
    }

    #[test]
    fn a_disk_keeps_its_identity_and_a_blank_or_foreign_one_gets_another() {
        let (cluster, mut rng) = (Arc::from("test"), Rng::from_number(1));
        let (first, file) = identity(None, &cluster, NodeId(3), &mut rng);
        assert!(file.is_some());
        assert_eq!(identity(file.as_ref(), &cluster, NodeId(3), &mut rng), (first, None));
        let (other, rewritten) = identity(file.as_ref(), &cluster, NodeId(4), &mut rng);
        assert!(other != first && rewritten.is_some());
    }
}
