//! The processes of a seedlog cluster as nodes of a world.
