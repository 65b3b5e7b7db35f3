//! Transports on loopback: what they do for each other, and what they refuse from others.

mod clients;
mod hostile;
mod members;
mod mesh;
mod refused;
mod stranger;
mod support;
