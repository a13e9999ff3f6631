//! The subcommands of `sim`.
