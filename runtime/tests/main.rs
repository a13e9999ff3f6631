//! `seedlog up`, `produce` and `consume` as processes, on loopback.

mod hostile;
mod stock_clients;
mod support;
