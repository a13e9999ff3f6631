//! `seedlog up`, `produce` and `consume` as processes, on loopback.

mod hostile;
mod peers;
mod stock_clients;
mod support;
