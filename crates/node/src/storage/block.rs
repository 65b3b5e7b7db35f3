//! How a block lies in the log: everything but chain, shard and epoch, which the store knows.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::Signature;
use qcn_types::{
    Attestation, Block, BlockBody, BlockRef, Bounded, DecodeError, MAX_ATTESTATIONS, MAX_MEMBERS,
    Payload, Round, ValidatorIndex, decode,
};

use super::StoreIdentity;

#[derive(BorshDeserialize)]
struct StoredBlock {
    round: Round,
    author: ValidatorIndex,
    time_ms: u64,
    parents: Bounded<BlockRef, MAX_MEMBERS>,
    payload: Payload,
    attestations: Bounded<Attestation, MAX_ATTESTATIONS>,
    signature: Signature,
}

/// Appends the bytes of a block.
pub(super) fn write(block: &Block, buffer: &mut Vec<u8>) {
    let body = &block.body;
    let fields = (
        &body.round,
        &body.author,
        &body.time_ms,
        &body.parents,
        &body.payload,
        &body.attestations,
        &block.signature,
    );
    // Writing to a vector cannot fail, and no part of a block refuses to encode.
    fields.serialize(buffer).expect("encoding into memory");
}

/// The round of a block, from its bytes alone.
pub(super) fn round_of(bytes: &[u8]) -> Option<Round> {
    bytes.first_chunk::<8>().map(|round| Round(u64::from_le_bytes(*round)))
}

/// A block from its bytes; its signature is not checked.
pub(super) fn read(bytes: &[u8], identity: &StoreIdentity) -> Result<Block, DecodeError> {
    let stored: StoredBlock = decode(bytes)?;
    let body = BlockBody {
        chain: identity.chain,
        shard: identity.shard,
        epoch: identity.epoch,
        round: stored.round,
        author: stored.author,
        time_ms: stored.time_ms,
        parents: stored.parents.into_inner(),
        payload: stored.payload,
        attestations: stored.attestations,
    };
    Ok(Block { body, signature: stored.signature })
}
