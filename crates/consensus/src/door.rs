//! The two doors of the machine.

use std::sync::Arc;

use qcn_types::{
    Attestation, BlockBody, BlockRef, Bounded, CompactBlock, Evidence, MAX_ATTESTATIONS, Payload,
    Round, Slot, Time, ValidatorIndex, VerifiedBlock, VerifyError,
};

use crate::Message;
use crate::commit::Commit;

/// What happens to the machine.
#[derive(Debug)]
pub enum Input {
    /// Time has passed. Needed at the latest when [`Output::Wake`] said.
    Tick,
    /// A peer sent a message. The transport has authenticated the peer.
    Message {
        /// Who sent it.
        from: ValidatorIndex,
        /// What it says.
        message: Message,
    },
    /// The answer to [`Output::Verify`].
    Verified {
        /// Who sent the block.
        from: ValidatorIndex,
        /// The block as it came.
        compact: Arc<CompactBlock>,
        /// The verified block, or what is wrong with it.
        outcome: Result<VerifiedBlock, VerifyError>,
    },
    /// The answer to [`Output::RequestPayload`].
    Payload {
        /// For which round.
        round: Round,
        /// Transactions and evidence.
        payload: Payload,
        /// Checkpoints executed since the last block.
        attestations: Bounded<Attestation, MAX_ATTESTATIONS>,
    },
    /// The answer to [`Output::Sign`]: the own block, signed and verified.
    Signed(VerifiedBlock),
    /// Whether the shard has anything that wants to be committed or attested.
    Busy(bool),
    /// A block read back from the own log at start, in the order in which it was accepted.
    Replay(VerifiedBlock),
}

/// What the driver is asked to do, in order.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "an output is moved twice and then gone")]
pub enum Output {
    /// The machine is about to propose: answer with [`Input::Payload`] at once.
    RequestPayload {
        /// For which round.
        round: Round,
    },
    /// Sign this block and answer with [`Input::Signed`].
    Sign(Box<BlockBody>),
    /// Check the signatures of this block, assembled with these parents, and answer with
    /// [`Input::Verified`].
    Verify {
        /// Who sent it.
        from: ValidatorIndex,
        /// The block as it came.
        compact: Arc<CompactBlock>,
        /// Its parents in full.
        parents: Vec<BlockRef>,
    },
    /// Append the own block to the log. A barrier: what follows may be done only once it is
    /// durable.
    PersistOwn(VerifiedBlock),
    /// Append an accepted block to the log. No barrier.
    PersistAccepted(VerifiedBlock),
    /// Send to one peer.
    Send {
        /// To whom.
        to: ValidatorIndex,
        /// What.
        message: Message,
    },
    /// Send to all peers.
    Broadcast(Message),
    /// A block entered the DAG.
    Accepted(VerifiedBlock),
    /// A leader is committed, with all that it brings in. Commits come in order.
    Commit(Commit),
    /// A leader slot was decided to stay empty.
    Skipped(Slot),
    /// A peer's fault was proven.
    Evidence(Evidence),
    /// A peer's message was refused.
    Rejected {
        /// Whose.
        from: ValidatorIndex,
        /// Why.
        rejection: Rejection,
    },
    /// Something that moves odds and routing but proves nothing.
    Suspicion {
        /// Against whom.
        against: ValidatorIndex,
        /// What.
        suspicion: Suspicion,
    },
    /// The committee is further ahead than blocks can be fetched: synchronise the state.
    Behind {
        /// A round that an honest validator has reached.
        round: Round,
    },
    /// Call again with [`Input::Tick`] at this time. Replaces earlier ones.
    Wake(Time),
}

/// Why a peer's message was refused. Each is the peer's fault and costs only the peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error)]
pub enum Rejection {
    /// The author or the sender is no member of the committee.
    #[error("not a member of the committee")]
    NotAMember,
    /// The block's round is at or below the garbage-collection floor.
    #[error("older than the garbage-collection floor")]
    TooOld,
    /// The block's round is above the horizon.
    #[error("too far in the future")]
    TooFarAhead,
    /// The peer has too many blocks waiting or in verification.
    #[error("over the peer's budget")]
    OverBudget,
    /// The parents are not packed canonically.
    #[error("parents are not canonical")]
    MalformedParents,
    /// The block's signature is not its author's.
    #[error("the signature is not the author's")]
    BadSignature,
    /// The author signed a block that breaks a rule.
    #[error("the author signed an invalid block")]
    InvalidBlock,
    /// The block's time is below its parents' weighted median.
    #[error("time is below the parents' median")]
    TimeTooLow,
    /// The block's time is ahead of the local clock by more than the bound.
    #[error("time is too far ahead")]
    TimeTooHigh,
    /// A second block in a slot that no other author's block references.
    #[error("an unreferenced second block in a slot")]
    UnreferencedSibling,
    /// A request for more than may be asked.
    #[error("the request is too large")]
    RequestTooLarge,
}

/// What makes a validator suspect, without proof.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Suspicion {
    /// Its block of a leader slot did not come in time.
    LateLeader(Round),
    /// It did not answer a request.
    Unresponsive,
}
