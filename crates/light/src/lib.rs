//! Stateless verification: what anyone can check with a committee's keys and nothing else.
//!
//! A light client, an auditor and a validator that judges a block from a peer all use the
//! functions here. None of them keeps state, asks anybody, or trusts who sent the input.
//!
//! - [`check_block`]: the rules of a block that need only the block (DESIGN section 5.1);
//! - [`verify_certificate`]: that more than two thirds of the weight attest to a checkpoint;
//! - [`verify_evidence`] and [`guilty_of_fork`]: who misbehaved (DESIGN section 5.6);
//! - [`verify_account_proof`] and [`TransactionProof`]: what a certified checkpoint's roots
//!   commit to (DESIGN section 6). The hashing rules of the state tree live here, in
//!   [`state`], and the ledger builds its tree with them;
//! - [`ReceiptProof`]: what left a shard for another one (DESIGN section 7);
//! - [`draw_committees`]: who serves which shard in an epoch, and [`EpochChain`]: how the
//!   committees of later epochs follow from those of the genesis (DESIGN section 7).
//!
//! **Invariants**
//! - no input makes anything here panic, and every loop is bounded by its input's bound;
//! - a key that signed only what the protocol lets an honest validator sign is never guilty.

#![deny(clippy::float_arithmetic)]

mod account;
mod block_rules;
mod certificate;
mod draw;
mod epochs;
mod evidence;
mod fork;
mod outcome;
mod receipt;
pub mod state;
mod validator;

pub use account::{Account, AccountProof, verify_account_proof};
pub use block_rules::{BlockFault, check_block};
pub use certificate::{CertificateError, certificate_weight, verify_certificate};
pub use draw::{Draw, DrawError, DrawnCommittee, Link, draw_committees};
pub use epochs::{EpochChain, EpochError, MAX_ANNOUNCEMENTS};
pub use evidence::{EvidenceError, verify_evidence};
pub use fork::{ForkError, guilty_of_fork, preferred};
pub use outcome::{Failure, Outcome, Refusal, TransactionProof, transaction_leaf};
pub use receipt::{ReceiptProof, ReceiptProofError};
pub use state::{ProofError, StateProof};
pub use validator::{Standing, ValidatorProof, ValidatorRecord, verify_validator_proof};

#[cfg(test)]
mod testing;
