//! Validators as the beacon's state has them, and their proofs.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{Digest, Domain, hash};
use qcn_types::{
    Bounded, Epoch, MAX_NETWORK_ADDRESS_BYTES, MAX_VALIDATOR_NAME_BYTES, Weight, decode, encode,
};

use crate::state::{ProofError, RecordKind, StateKey, StateProof};

/// Whether a validator has a seat in the next epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Standing {
    /// It has.
    Active = 0,
    /// It wants to leave.
    Leaving = 1,
    /// It was proven to misbehave, in this epoch of the beacon. It has none until the members give
    /// it a weight again, which they cannot do in the same epoch.
    Isolated(Epoch) = 2,
}

/// What the beacon's state says about a validator. Keys are named by their digests: a record fits
/// into a proof.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ValidatorRecord {
    /// Its number in the register.
    pub number: u32,
    /// A name for people.
    pub name: Bounded<u8, MAX_VALIDATOR_NAME_BYTES>,
    /// `PublicKey::digest` of the key that signs its blocks.
    pub consensus: Digest,
    /// Of the key that authenticates its links.
    pub transport: Digest,
    /// Of the key that rotates the other two.
    pub recovery: Option<Digest>,
    /// As of the next epoch, if nothing changes it.
    pub weight: Weight,
    /// Whether it has a seat in the next epoch.
    pub standing: Standing,
    /// The last value of its hash chain that is known.
    pub anchor: Digest,
    /// Where others reach it.
    pub address: Option<Bounded<u8, MAX_NETWORK_ADDRESS_BYTES>>,
}

impl ValidatorRecord {
    /// Where the beacon's state keeps a validator.
    #[must_use]
    pub fn state_key(number: u32) -> StateKey {
        let id = hash(Domain::StateLeaf, &encode(&("validator", number)));
        StateKey { id, kind: RecordKind::Validator }
    }
}

/// Shows what a state of the beacon says about a number: a validator, or that there is none.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ValidatorProof(pub StateProof);

/// Reads a validator out of a state of the beacon of which only the root is known.
///
/// # Errors
/// [`ProofError`] if the proof does not lead to the root, or is about another number.
pub fn verify_validator_proof(
    state_root: &Digest,
    number: u32,
    proof: &ValidatorProof,
) -> Result<Option<ValidatorRecord>, ProofError> {
    let key = ValidatorRecord::state_key(number);
    let Some(value) = proof.0.verify(state_root, &key)? else {
        return Ok(None);
    };
    decode(value).map(Some).map_err(|_| ProofError::NotAValidator)
}
