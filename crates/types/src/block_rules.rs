//! The rules of DESIGN section 5.1 that need nothing but the block and its committee.
//!
//! Each rule is one predicate, in the order in which they are applied. What they leave to
//! others: signatures and the committee of the block (`CommitteeKeys::verify_block`), the
//! bounds of the payload (the decoder), the time against the parents' (the DAG, which has
//! the parents), and whether the parents exist.

use crate::{BlockBody, BlockRef, Committee, Round, genesis_ref};

/// The rule that a signed block breaks. Each is the author's fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BlockFault {
    /// The author's index is none of the committee.
    #[error("the author is no member of the committee")]
    UnknownAuthor,
    /// Round 0 is the genesis round, which nobody signs.
    #[error("nobody signs blocks of the genesis round")]
    GenesisRound,
    /// The first parent is not the author's own.
    #[error("the first parent is not the author's own previous block")]
    OwnBlockNotFirst,
    /// The others are not strictly sorted by author, or name the author again.
    #[error("the parents after the first do not rise strictly by author")]
    ParentsOutOfOrder,
    /// A parent's author is none of the committee.
    #[error("a parent's author is no member of the committee")]
    UnknownParentAuthor,
    /// A parent is of the block's round or a later one.
    #[error("a parent is not of a lower round")]
    ParentNotBelow,
    /// The parents of the round before carry less than a quorum.
    #[error("the parents of the round before do not carry a quorum")]
    NoQuorumBelow,
    /// A parent of round 0 is not the implicit block of its author.
    #[error("a parent of the genesis round has the wrong digest")]
    WrongGenesis,
    /// Attestations do not rise strictly by height.
    #[error("the attestations do not rise strictly by height")]
    AttestationsOutOfOrder,
}

/// Checks all rules over a block of this committee's shard and epoch.
///
/// # Errors
/// The first rule that the block breaks, which is evidence against its author.
pub fn check_block(body: &BlockBody, committee: &Committee) -> Result<(), BlockFault> {
    let rule = |holds: bool, fault: BlockFault| if holds { Ok(()) } else { Err(fault) };
    rule(author_is_a_member(body, committee), BlockFault::UnknownAuthor)?;
    rule(round_is_above_genesis(body), BlockFault::GenesisRound)?;
    rule(own_block_is_first(body), BlockFault::OwnBlockNotFirst)?;
    rule(other_parents_rise_by_author(body), BlockFault::ParentsOutOfOrder)?;
    rule(parents_are_of_members(body, committee), BlockFault::UnknownParentAuthor)?;
    rule(parents_are_below(body), BlockFault::ParentNotBelow)?;
    rule(round_below_carries_a_quorum(body, committee), BlockFault::NoQuorumBelow)?;
    rule(genesis_parents_are_genuine(body, committee), BlockFault::WrongGenesis)?;
    rule(attestations_rise_by_height(body), BlockFault::AttestationsOutOfOrder)
}

/// Known committee: the author is in it.
fn author_is_a_member(body: &BlockBody, committee: &Committee) -> bool {
    committee.contains(body.author)
}

/// The genesis round is implicit and unsigned.
fn round_is_above_genesis(body: &BlockBody) -> bool {
    body.round > Round::GENESIS
}

/// The author's own previous block, or its implicit genesis block, is the first parent.
fn own_block_is_first(body: &BlockBody) -> bool {
    body.parents.first().is_some_and(|parent| parent.author == body.author)
}

/// The other parents are strictly sorted by author, so at most one per author.
fn other_parents_rise_by_author(body: &BlockBody) -> bool {
    let others = body.parents.get(1..).unwrap_or_default();
    others.is_sorted_by(|before, after| before.author < after.author)
        && others.iter().all(|parent| parent.author != body.author)
}

/// Every parent's author is a member.
fn parents_are_of_members(body: &BlockBody, committee: &Committee) -> bool {
    body.parents.iter().all(|parent| committee.contains(parent.author))
}

/// Every parent is of a lower round.
fn parents_are_below(body: &BlockBody) -> bool {
    body.parents.iter().all(|parent| parent.round < body.round)
}

/// The parents of the round before carry at least Q.
fn round_below_carries_a_quorum(body: &BlockBody, committee: &Committee) -> bool {
    let below = body.round.previous();
    let weight = body
        .parents
        .iter()
        .filter(|parent| parent.round == below)
        .fold(0_u64, |sum, parent| sum.saturating_add(committee.weight(parent.author)));
    weight >= committee.quorum_weight()
}

/// A parent of round 0 is the one implicit block of its author on this chain.
fn genesis_parents_are_genuine(body: &BlockBody, committee: &Committee) -> bool {
    let genuine = |parent: &BlockRef| {
        let (shard, epoch) = (committee.shard(), committee.epoch());
        *parent == genesis_ref(body.chain, shard, epoch, parent.author)
    };
    body.parents.iter().filter(|parent| parent.round == Round::GENESIS).all(genuine)
}

/// One attestation per height, in rising order.
fn attestations_rise_by_height(body: &BlockBody) -> bool {
    body.attestations.is_sorted_by(|before, after| before.height < after.height)
}
