//! Proof of possession: whoever registers a key shows that it can sign with it.
//!
//! Without it one could register somebody else's key, or one that nobody or
//! everybody holds. The proof is a signature in its own domain over the public
//! key, bound to the chain and the role.

use crate::{
    ChainId, Domain, KeyError, PublicKey, Role, SeededRandomness, Signature, SigningContext,
    SigningError, SigningKey, VerifyingKey,
};

/// Proves that the holder of `key` registers it on `chain` for `role`.
pub fn prove_possession(
    key: &SigningKey,
    chain: ChainId,
    role: Role,
) -> Result<Signature, SigningError> {
    key.sign(&context(chain, role), key.public_key().digest().as_bytes())
}

/// The same with a seeded stream, as [`SigningKey::sign_seeded`]. **For simulations only.**
pub fn prove_possession_seeded(
    key: &SigningKey,
    chain: ChainId,
    role: Role,
    randomness: &mut SeededRandomness,
) -> Result<Signature, SigningError> {
    let context = context(chain, role);
    key.sign_seeded(&context, key.public_key().digest().as_bytes(), randomness)
}

/// Accepts a key for registration, decoded and ready to use.
///
/// A degenerate key is refused before its proof is looked at: for some of them
/// (ML-DSA with a zero vector) anyone can make a valid proof.
pub fn verify_possession(
    public_key: &PublicKey,
    chain: ChainId,
    role: Role,
    proof: &Signature,
) -> Result<VerifyingKey, KeyError> {
    let key = VerifyingKey::decode(public_key)?;
    key.verify(&context(chain, role), public_key.digest().as_bytes(), proof)
        .map_err(KeyError::Possession)?;
    Ok(key)
}

fn context(chain: ChainId, role: Role) -> SigningContext {
    SigningContext::new(Domain::PossessionProof, chain, role)
}

#[cfg(test)]
mod tests;
