//! Real nodes, as processes with sockets and disks of their own, through what happens to real
//! nodes: they are killed, restarted, wiped, cut off and sent garbage, and one of them misbehaves
//! as the simulator's adversaries do.
//!
//! The tests see the network as its users do, over HTTP. What must hold is checked by a
//! [`witness::Witness`] that is no part of the nodes: whatever an honest node once reported as
//! final stays so, all of them agree on the digest of every height they share, no unit of the
//! currency appears or disappears, nobody honest is accused, and certified heights go up again.
//!
//! Every test has ports and a folder of its own, so they run side by side. A failing test prints
//! the end of each node's log.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod api;
mod beside;
mod byzantine;
mod crashes;
mod full_disk;
mod garbage;
mod links;
mod lost;
mod namespaces;
mod network;
mod patience;
mod proofs;
mod relay;
mod small_disk;
mod stopped;
mod traffic;
mod tunnel;
mod witness;
