//! Checkpoints and the certificates that make them final for the outside world.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{Digest, Domain, Signature, hash};

use crate::{
    Attestation, BlockRef, Bounded, Epoch, Height, MAX_ATTESTATIONS, MAX_MEMBERS, ShardId,
    ValidatorIndex, encode,
};

/// The result of executing one commit (DESIGN section 6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize, Default)]
pub struct Checkpoint {
    /// The shard.
    pub shard: ShardId,
    /// The epoch whose committee attests it.
    pub epoch: Epoch,
    /// One above its parent's; the genesis checkpoint has height 0.
    pub height: Height,
    /// The committed leader.
    pub leader: BlockRef,
    /// The leader's time, never below the parent's.
    pub time_ms: u64,
    /// How many transactions and receipts the shard has executed, all together: its load is the
    /// difference.
    pub executed: u64,
    /// Merkle root over the executed transactions and their outcomes, in order.
    pub transactions_root: Digest,
    /// Root of the account state.
    pub state_root: Digest,
    /// Root of all lanes to other shards.
    pub outbox_root: Digest,
    /// Digest of the checkpoint before.
    pub parent: Digest,
    /// The chain of commits up to this one, from which a validator resumes consensus.
    pub commit: Digest,
    /// Zero, but in the last checkpoint of an epoch: the plan of the next one.
    pub next_epoch: Digest,
}

impl Checkpoint {
    /// The digest that validators attest to.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::Checkpoint, &encode(self))
    }
}

/// One validator's attestation, cut out of the block that carried it.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct AttestationProof {
    /// Who attests.
    pub author: ValidatorIndex,
    /// H(dag part) of the block.
    pub header: Digest,
    /// All attestations of the block, of which one is meant.
    pub attestations: Bounded<Attestation, MAX_ATTESTATIONS>,
    /// The block's signature.
    pub signature: Signature,
}

/// Attestations of more than two thirds of the weight for one checkpoint.
///
/// It is a claim until `qcn_light::verify_certificate` has checked it against a committee.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Certificate {
    /// What is certified.
    pub checkpoint: Checkpoint,
    /// By whom, in rising order of authors.
    pub attestations: Bounded<AttestationProof, MAX_MEMBERS>,
}
