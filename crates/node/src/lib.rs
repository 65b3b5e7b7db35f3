//! The real driver: the machine of a shard on real sockets, disks, clocks and keys (DESIGN
//! section 8).
//!
//! - [`genesis`], [`config`], [`keyfile`]: what a node is started from;
//! - [`membership`], [`votes`]: what operators decide while it runs;
//! - [`transport`]: one QUIC endpoint with post-quantum handshakes, and the mesh over it;
//! - [`storage`]: the block log, which is the source of truth, and the snapshots beside it;
//! - [`archive`]: the history of checkpoints, blocks and transactions that clients ask for;
//! - [`proof_document`]: proofs in files, checked offline;
//! - [`runtime`]: the loop that carries out what the machine asks for;
//! - [`view`]: what a running node shows to [`api`] and [`explorer`].
//!
//! **Invariants**
//! - what must be durable before a message leaves is durable (`Output::Persist` barriers);
//! - nothing a peer or client sends is fatal; every queue between two parts has a named bound;
//! - protocol decisions are taken below this crate: it executes, measures and shows.

mod addresses;
pub mod api;
pub mod archive;
pub mod config;
pub mod defects;
pub mod devnet;
pub mod document;
pub mod explorer;
pub mod genesis;
pub mod keyfile;
pub mod membership;
mod page_cache;
pub mod proof_document;
mod reveals;
pub mod runtime;
pub mod storage;
pub mod transport;
pub mod view;
pub mod votes;
mod words;

#[cfg(test)]
mod testing;
