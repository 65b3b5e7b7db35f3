//! The judgement of evidence (DESIGN section 5.6).
//!
//! The one rule that must never break: a key that signed one block per slot, one checkpoint
//! per height and only valid blocks is not guilty of anything, whatever is made up about it.
//! So every statement that counts against a key must carry that key's signature over it, in
//! full, on this chain and for this committee.

use qcn_crypto::{Digest, Signature};

use crate::{
    AccusedBlock, BEACON, Block, BlockHeader, CommitteeKeys, CompactParents, DecodeError, Delivery,
    Evidence, Height, Offence, SignedAttestations, SignedHeader, Slot, ValidatorIndex, check_block,
};

/// Why evidence proves nothing. Each is the fault of the accuser.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The block is of another chain, shard or epoch.
    #[error("the evidence is about another chain, shard or epoch")]
    Foreign,
    /// The accused is no member, so there is no key to check against.
    #[error("the accused is no member of the committee")]
    UnknownAuthor,
    /// The two statements are not of one slot, or not of one author.
    #[error("the two statements are not of one slot or author")]
    Unrelated,
    /// The two statements are one, or in the wrong order: one offence, one encoding.
    #[error("the two statements are not in strictly rising order of digests")]
    NotOrdered,
    /// The two lists name the same checkpoint wherever they name the same height.
    #[error("the two lists of attestations agree")]
    NoConflict,
    /// A signature is not that of the accused.
    #[error("the accused did not sign this")]
    WrongSignature,
    /// The block in the evidence does not decode.
    #[error("the accused block does not decode: {0}")]
    Malformed(#[from] DecodeError),
    /// The block in the evidence names its parents by slot.
    #[error("the accused block must name its parents in full")]
    ParentsNotInFull,
    /// The block breaks no rule.
    #[error("the accused block is valid")]
    ValidBlock,
}

/// Judges evidence against a member of this committee.
///
/// # Errors
/// [`EvidenceError`] if it does not prove what it claims.
pub fn verify_evidence(
    evidence: &Evidence,
    keys: &CommitteeKeys,
) -> Result<Offence, EvidenceError> {
    match evidence {
        Evidence::Equivocation(low, high) => equivocation(low, high, keys),
        Evidence::ConflictingAttestations(low, high) => conflicting_attestations(low, high, keys),
        Evidence::InvalidBlock(block) => invalid_block(block, keys),
    }
}

/// Two different blocks in one slot, both signed by its author.
fn equivocation(
    low: &SignedHeader,
    high: &SignedHeader,
    keys: &CommitteeKeys,
) -> Result<Offence, EvidenceError> {
    ours(&low.header, keys)?;
    ours(&high.header, keys)?;
    let slot = slot_of(&low.header);
    if slot != slot_of(&high.header) {
        return Err(EvidenceError::Unrelated);
    }
    let digests = (low.digest(), high.digest());
    if digests.0 >= digests.1 {
        return Err(EvidenceError::NotOrdered);
    }
    signed(slot.author, &digests.0, &low.signature, keys)?;
    signed(slot.author, &digests.1, &high.signature, keys)?;
    Ok(Offence::Equivocation(slot))
}

/// Two different checkpoints for one height, both signed by one author in different blocks.
/// In one block they would break the order of its attestations, which is an invalid block.
fn conflicting_attestations(
    low: &SignedAttestations,
    high: &SignedAttestations,
    keys: &CommitteeKeys,
) -> Result<Offence, EvidenceError> {
    ours(&low.header, keys)?;
    ours(&high.header, keys)?;
    let author = low.header.author;
    if author != high.header.author {
        return Err(EvidenceError::Unrelated);
    }
    let digests = (low.digest(), high.digest());
    if digests.0 >= digests.1 {
        return Err(EvidenceError::NotOrdered);
    }
    let height = lowest_conflict(low, high).ok_or(EvidenceError::NoConflict)?;
    signed(author, &digests.0, &low.signature, keys)?;
    signed(author, &digests.1, &high.signature, keys)?;
    Ok(Offence::ConflictingAttestations(height))
}

/// The lowest height for which the lists name different checkpoints.
fn lowest_conflict(one: &SignedAttestations, other: &SignedAttestations) -> Option<Height> {
    let conflicts = one.attestations.iter().filter(|ours| {
        other
            .attestations
            .iter()
            .any(|theirs| theirs.height == ours.height && theirs.checkpoint != ours.checkpoint)
    });
    conflicts.map(|attestation| attestation.height).min()
}

/// A signed block that breaks a rule which needs nothing but the block.
fn invalid_block(accused: &AccusedBlock, keys: &CommitteeKeys) -> Result<Offence, EvidenceError> {
    let compact = accused.open()?;
    let CompactParents::Full(parents) = &compact.parents else {
        return Err(EvidenceError::ParentsNotInFull);
    };
    if accused.author != compact.author {
        return Err(EvidenceError::Unrelated);
    }
    let parents = parents.to_vec();
    let Block { body, signature } = compact.with_parents(keys.chain(), keys.committee(), parents);
    signed(body.author, &body.digest(), &signature, keys)?;
    let payload = &body.payload;
    let accepted = || payload.transactions.iter().all(|transaction| keys.accepts(transaction));
    // A certificate is judged by another committee's keys, and so is an offence. Not everybody knows
    // them at the same time: what is wrong with either is reason enough to refuse the block, and
    // proves nothing here.
    let destination = keys.committee().shard();
    let refuted =
        |delivery: &Delivery| delivery.check_lane(|number| keys.acts_for(number)).is_err();
    let delivered = || !payload.deliveries.iter().any(refuted);
    let epoch = keys.committee().epoch();
    let announced = || payload.announcement.iter().all(|it| it.check_plan(epoch).is_ok());
    let reported = || {
        let mut reports = payload.reports.iter();
        reports.all(|report| destination == BEACON && report.check(keys.chain()).is_ok())
    };
    let carried = || delivered() && announced() && reported();
    if check_block(&body, keys.committee()).is_ok() && accepted() && carried() {
        return Err(EvidenceError::ValidBlock);
    }
    Ok(Offence::InvalidBlock(body.slot()))
}

fn ours(header: &BlockHeader, keys: &CommitteeKeys) -> Result<(), EvidenceError> {
    let committee = keys.committee();
    let ours = header.chain == keys.chain()
        && header.shard == committee.shard()
        && header.epoch == committee.epoch();
    if ours { Ok(()) } else { Err(EvidenceError::Foreign) }
}

fn signed(
    author: ValidatorIndex,
    digest: &Digest,
    signature: &Signature,
    keys: &CommitteeKeys,
) -> Result<(), EvidenceError> {
    let key = keys.key(author).ok_or(EvidenceError::UnknownAuthor)?;
    let context = BlockHeader::signing_context(keys.chain());
    key.verify(&context, digest.as_bytes(), signature).map_err(|_| EvidenceError::WrongSignature)
}

const fn slot_of(header: &BlockHeader) -> Slot {
    Slot { round: header.round, author: header.author }
}
