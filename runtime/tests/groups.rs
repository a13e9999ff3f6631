//! Groups go on while brokers stop.

use std::process::Stdio;

use crate::peers::Asker;
use crate::support::{BRISK, cluster_set, obey};

/// Members of both protocols keep what they hold, and committed offsets and an open transaction
/// are kept, while each broker in turn is stopped, and so each coordinator.
fn survives(asker: Option<Asker>) {
    let Some(asker) = asker else { return };
    let (mut cluster, bootstrap) = cluster_set(BRISK, Stdio::inherit());
    obey(&mut cluster, &mut [asker.start(&bootstrap, "", &[])]);
}

#[test]
fn confluent_kafkas_groups_survive_the_stop_of_their_coordinators() {
    survives(Asker::confluent("survive.py"));
}

#[test]
fn the_java_clients_groups_survive_the_stop_of_their_coordinators() {
    survives(Asker::java("Survive"));
}
