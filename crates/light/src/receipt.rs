//! Proofs that a receipt left its shard (DESIGN section 7).
//!
//! A certified checkpoint commits to the ends of its shard's lanes, the end of a lane to all of its
//! batches, and a batch to its receipts. So a receipt is shown by its place in its batch, by what
//! the lane was before that batch, and by the links of the batches after it: nobody else's receipts
//! are needed, and whoever makes up any of it would have to find a collision.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::InclusionProof;
use qcn_types::{
    Bounded, Checkpoint, CommitteeKeys, LaneEnd, LaneHead, LaneLink, MAX_LANE_BATCHES, Receipt,
    encode,
};

/// Shows that a receipt is on a lane, against a checkpoint's `outbox_root`.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ReceiptProof {
    /// What was sent.
    pub receipt: Receipt,
    /// Its place in its batch.
    pub place: InclusionProof,
    /// The lane before the batch.
    pub before: LaneHead,
    /// The batch.
    pub batch: LaneLink,
    /// The batches after it, up to the certified end.
    pub after: Bounded<LaneLink, MAX_LANE_BATCHES>,
    /// The end of the lane.
    pub end: LaneEnd,
    /// Its place in the checkpoint's outbox.
    pub inclusion: InclusionProof,
}

/// Why a proof does not show that its receipt left the shard. Each is the fault of whoever made it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReceiptProofError {
    /// The lane is none of the shard that certifies the checkpoint.
    #[error("the shard that certifies it does not act for the source of the lane")]
    OtherSource,
    /// The lane leads to where it comes from.
    #[error("the lane leads to the shard that it comes from")]
    OwnShard,
    /// The end of the lane is not what the checkpoint commits to.
    #[error("the end of the lane is not in the certified outbox")]
    NotInOutbox,
    /// The batches are others, or in another order, than those that were sent.
    #[error("the batches do not lead to the certified end of the lane")]
    BrokenLane,
    /// The receipt is another one, or stands elsewhere.
    #[error("the receipt does not stand at this place of its batch")]
    NotInBatch,
}

impl ReceiptProof {
    /// Checks the proof against a checkpoint that this committee has certified.
    ///
    /// # Errors
    /// The first defect.
    pub fn verify(
        &self,
        checkpoint: &Checkpoint,
        keys: &CommitteeKeys,
    ) -> Result<(), ReceiptProofError> {
        let rule = |holds: bool, error| if holds { Ok(()) } else { Err(error) };
        rule(keys.acts_for(self.end.own), ReceiptProofError::OtherSource)?;
        rule(!keys.acts_for(self.end.peer), ReceiptProofError::OwnShard)?;
        rule(self.end_is_in_the_outbox(checkpoint), ReceiptProofError::NotInOutbox)?;
        rule(self.batches_lead_to_the_end(), ReceiptProofError::BrokenLane)?;
        rule(self.receipt_is_in_the_batch(), ReceiptProofError::NotInBatch)
    }

    /// How many receipts went before this one on the lane.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.before.receipts.saturating_add(self.place.index)
    }

    fn end_is_in_the_outbox(&self, checkpoint: &Checkpoint) -> bool {
        let end = encode(&self.end);
        self.inclusion.verify_bytes(&checkpoint.outbox_root, &end).is_ok()
    }

    fn batches_lead_to_the_end(&self) -> bool {
        let mut links = std::iter::once(&self.batch).chain(&self.after);
        links.try_fold(self.before, |head, link| head.after(link)) == Some(self.end.sent)
    }

    fn receipt_is_in_the_batch(&self) -> bool {
        // The root of a tree covers the number of its leaves.
        self.place.verify_bytes(&self.batch.root, &encode(&self.receipt)).is_ok()
    }
}

#[cfg(test)]
mod tests;
