//! `seedlog up`, `produce` and `consume` as processes, on loopback.

mod command;
mod groups;
mod hostile;
mod kafka;
mod peers;
mod stock_clients;
mod support;
mod transactions;
