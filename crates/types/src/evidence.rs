//! Proofs of misbehaviour that anyone can check offline (DESIGN section 5.6).

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{Digest, Domain, Signature, hash};

use crate::{
    Attestation, Block, BlockHeader, Bounded, CompactBlock, DecodeError, MAX_ATTESTATIONS,
    MAX_FRAME_BYTES, Slot, ValidatorIndex, attestations_digest, decode, encode,
};

mod judgement;

pub use judgement::{EvidenceError, verify_evidence};

/// A signed block without its parents, payload and attestations.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct SignedHeader {
    /// The place and the digests of the rest.
    pub header: BlockHeader,
    /// H(attestations).
    pub attestations: Digest,
    /// The author's signature.
    pub signature: Signature,
}

impl SignedHeader {
    /// Cuts the header out of a block.
    #[must_use]
    pub fn of(block: &Block) -> Self {
        Self {
            header: block.body.header(),
            attestations: attestations_digest(&block.body.attestations),
            signature: block.signature.clone(),
        }
    }

    /// The digest that is signed.
    #[must_use]
    pub fn digest(&self) -> Digest {
        qcn_crypto::hash_pair(Domain::Block, &self.header.digest(), &self.attestations)
    }
}

/// A signed list of attestations.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct SignedAttestations {
    /// The block's place.
    pub header: BlockHeader,
    /// What it attests to.
    pub attestations: Bounded<Attestation, MAX_ATTESTATIONS>,
    /// The author's signature.
    pub signature: Signature,
}

impl SignedAttestations {
    /// Cuts the attestations out of a block.
    #[must_use]
    pub fn of(block: &Block) -> Self {
        Self {
            header: block.body.header(),
            attestations: block.body.attestations.clone(),
            signature: block.signature.clone(),
        }
    }

    /// The digest that is signed.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.header.block_digest(&self.attestations)
    }
}

/// A signed block in full, as its canonical bytes.
///
/// They are decoded only when the block is judged. A block may carry evidence that holds a
/// block: decoding all levels at once would let a peer choose the depth of the recursion.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct AccusedBlock {
    /// Whom the accusation is about; the block inside must name the same author.
    pub author: ValidatorIndex,
    /// The encoding of a [`CompactBlock`] whose parents are in full.
    pub bytes: Bounded<u8, MAX_FRAME_BYTES>,
}

impl AccusedBlock {
    /// Packs a block.
    #[must_use]
    pub fn of(block: &Block) -> Self {
        // A block arrives in a frame, so its encoding is never longer than one.
        let bytes = Bounded::truncated(encode(&CompactBlock::in_full(block)));
        Self { author: block.body.author, bytes }
    }

    /// The block, of which evidence inside stays encoded.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not the canonical encoding of a block.
    pub fn open(&self) -> Result<CompactBlock, DecodeError> {
        decode(&self.bytes)
    }
}

/// What a key did.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Offence {
    /// Two blocks in one slot.
    Equivocation(Slot),
    /// Two checkpoints attested for one height.
    ConflictingAttestations(crate::Height),
    /// A signed block that breaks a rule which needs nothing but the block to check.
    InvalidBlock(Slot),
}

/// A proof that a key misbehaved. [`verify_evidence`] checks it.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum Evidence {
    /// Two different signed headers of one slot, the lower digest first.
    Equivocation(Box<SignedHeader>, Box<SignedHeader>),
    /// Two signed lists that name different checkpoints for one height, lower digest first.
    ConflictingAttestations(Box<SignedAttestations>, Box<SignedAttestations>),
    /// A signed block that carries an invalid transaction signature or malformed parents, in full.
    InvalidBlock(Box<AccusedBlock>),
}

impl Evidence {
    /// Evidence of two blocks in one slot, in canonical order.
    #[must_use]
    pub fn equivocation(one: &Block, other: &Block) -> Self {
        let mut pair = [SignedHeader::of(one), SignedHeader::of(other)];
        pair.sort_by_key(SignedHeader::digest);
        let [low, high] = pair;
        Self::Equivocation(Box::new(low), Box::new(high))
    }

    /// Evidence of two checkpoints attested for one height, in canonical order.
    #[must_use]
    pub fn conflicting_attestations(one: &Block, other: &Block) -> Self {
        let mut pair = [SignedAttestations::of(one), SignedAttestations::of(other)];
        pair.sort_by_key(SignedAttestations::digest);
        let [low, high] = pair;
        Self::ConflictingAttestations(Box::new(low), Box::new(high))
    }

    /// Evidence of a signed block that breaks a rule.
    #[must_use]
    pub fn invalid_block(block: &Block) -> Self {
        Self::InvalidBlock(Box::new(AccusedBlock::of(block)))
    }

    /// Whom it accuses.
    #[must_use]
    pub fn accused(&self) -> ValidatorIndex {
        match self {
            Self::Equivocation(one, _) => one.header.author,
            Self::ConflictingAttestations(one, _) => one.header.author,
            Self::InvalidBlock(block) => block.author,
        }
    }

    /// The name of the evidence.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::Evidence, &encode(self))
    }
}

#[cfg(test)]
mod tests;
