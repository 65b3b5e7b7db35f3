//! Deterministic execution: accounts, transfers, fees and the authenticated state.
//!
//! [`Ledger::execute`] applies the transactions of a commit in order; the same transactions
//! on the same state give the same outcomes, root and counts on every machine. Whatever
//! execution depends on is part of the state under [`Ledger::state_root`], so a ledger that
//! was restored from verified chunks ([`Restore`]) goes on exactly like the original.
//!
//! The ledger of the beacon ([`Ledger::beacon_genesis`]) has no accounts: its state is the register
//! of validators and the plan of the epoch, and [`Ledger::execute_commit`] decides what the next
//! epoch is.
//!
//! **Invariants**
//! - no unit of the currency appears or disappears ([`Supply`]), asserted after every execution;
//! - a receipt is applied once, in the order of its lane;
//! - a nonce is used once, in order; a refused transaction changes nothing;
//! - the state root follows from the records alone, not from how they came about;
//! - every plan of an epoch can be served: its committees form, its layout is a partition, and no
//!   number of a validator or a shard is used twice;
//! - a clone costs nothing and never sees what happens to the original.

#![deny(clippy::float_arithmetic)]

mod bank;
mod beacon;
mod chunks;
mod execution;
mod lanes;
mod ledger;
mod reshard;
mod restore;
mod tree;

pub use bank::{MIN_FEE, Supply};
pub use beacon::{
    Beacon, BeaconGenesis, BeaconGenesisError, BeaconParameters, Candidate, Founder, Identity,
    Ignored, KeySchemes, MAX_CANDIDATES_EACH, MAX_REGISTERED, MAX_VOTES_EACH, ParameterError,
    RegisteredValidator, ShardStanding, Subject,
};
pub use chunks::{MAX_CHUNK_ENTRIES, StateChunk, StateRegion};
pub use execution::{Execution, Received, Reception};
pub use lanes::{Cargo, MAX_LANE_RECEIPTS, Outbox, Territory};
pub use ledger::{AuditError, GenesisAccount, GenesisError, Ledger};
pub use qcn_light::{
    Account, AccountProof, Failure, Outcome, ReceiptProof, Refusal, TransactionProof,
};
pub use reshard::OpenError;
pub use restore::{ChunkError, Known, Restore, RestoreError};
pub use tree::{StateTree, Update};

#[cfg(test)]
mod testing;
