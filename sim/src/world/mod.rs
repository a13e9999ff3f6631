//! The world: processes, links, disks and clocks under one event heap.
