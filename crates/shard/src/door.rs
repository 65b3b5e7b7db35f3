//! The two doors of a shard.

use std::sync::Arc;

use qcn_consensus::{Rejection, Suspicion};
use qcn_crypto::Digest;
use qcn_ledger::{Ledger, Outcome, Received};
use qcn_types::{
    Announcement, BlockBody, BlockRef, Checkpoint, CompactBlock, Delivery, EpochPlan, Evidence,
    Height, Offence, Report, Round, Slot, Time, Transaction, TransactionId, ValidatorIndex,
    Verified, VerifiedBlock, VerifyError,
};

use crate::{Message, Refused, SyncPackage};

/// How a validator comes up.
#[derive(Debug)]
pub enum Start {
    /// For the first time: nothing was ever signed with its key.
    Fresh,
    /// With its log complete: everything that was made durable is here, in order.
    Restarted(Vec<Record>),
    /// With a log that may have lost something: a wiped disk, a torn or corrupted tail, or a
    /// disk that lies about what is durable. It asks the committee before it signs anything.
    Suspect(Vec<Record>),
}

/// What goes to the log. The driver appends and gives back in order.
#[derive(Clone, Debug)]
pub enum Record {
    /// An own block, durable before it is sent.
    Own(VerifiedBlock),
    /// An accepted block of another validator.
    Accepted(VerifiedBlock),
    /// A certified checkpoint with its state. Block records of rounds at or below `floor`
    /// that come before it are no longer needed.
    Snapshot {
        /// The package to resume from.
        package: Arc<SyncPackage>,
        /// The state at the checkpoint; cheap to clone.
        ledger: Box<Ledger>,
        /// The garbage-collection floor after the checkpoint.
        floor: Round,
    },
}

/// What happens to a shard.
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
    /// The answer to [`Output::VerifyBlock`].
    BlockVerified {
        /// As asked.
        from: ValidatorIndex,
        /// As asked.
        compact: Arc<CompactBlock>,
        /// The verified block, or what is wrong with it.
        outcome: Result<VerifiedBlock, VerifyError>,
    },
    /// The answer to [`Output::SignBlock`].
    BlockSigned(VerifiedBlock),
    /// The answer to [`Output::VerifySync`].
    SyncVerified {
        /// As asked.
        from: ValidatorIndex,
        /// As asked.
        package: Arc<SyncPackage>,
        /// Whether the certificate is valid.
        valid: bool,
    },
    /// A client hands in a transaction whose signature the driver has checked.
    Submit(Verified<Transaction>),
    /// A relayer hands over receipts of another shard, whose certificate the driver has checked
    /// (`CommitteeKeys::verify_delivery`).
    Deliver(Box<Verified<Delivery>>),
    /// The beacon has announced the end of the epoch; the driver has checked its certificate
    /// (`CommitteeKeys::verify_announcement`).
    Announce(Box<Verified<Announcement>>),
    /// Something to tell the beacon, of which this is a member; the driver has checked what can be
    /// checked of it (`CommitteeKeys::verify_report`).
    Report(Box<Verified<Report>>),
    /// The committees of the next epoch have opened: the closed shard takes no part in rounds any
    /// more and only serves its final state. Before it is closed this does nothing.
    Retire,
}

/// What the driver is asked to do, in order.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "an output is moved once or twice and then gone")]
pub enum Output {
    /// Check the signatures of this block assembled with these parents
    /// (`CompactBlock::with_parents`, then `CommitteeKeys::verify_block`).
    VerifyBlock {
        /// Who sent it.
        from: ValidatorIndex,
        /// The block as it came.
        compact: Arc<CompactBlock>,
        /// Its parents in full.
        parents: Vec<BlockRef>,
    },
    /// Sign this block and answer with [`Input::BlockSigned`].
    SignBlock(Box<BlockBody>),
    /// Check the certificate of a sync package and answer with [`Input::SyncVerified`].
    VerifySync {
        /// Who sent it.
        from: ValidatorIndex,
        /// The package.
        package: Arc<SyncPackage>,
    },
    /// Append to the log. If `barrier`, what follows may be done only once it is durable.
    Persist {
        /// What to append.
        record: Record,
        /// Whether to wait until it is durable.
        barrier: bool,
    },
    /// Send to one peer.
    Send {
        /// To whom.
        to: ValidatorIndex,
        /// What.
        message: Message,
    },
    /// Send to all peers.
    Broadcast(Message),
    /// Call again with [`Input::Tick`] at this time. Replaces earlier ones.
    Wake(Time),
    /// Something happened that drivers show, count or check.
    Event(Event),
}

/// What happened, for metrics, reports, invariants and clients.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "an event is looked at once and then gone")]
pub enum Event {
    /// The own block of a round left the machine.
    Proposed(VerifiedBlock),
    /// A block entered the DAG.
    Accepted(BlockRef),
    /// The commits of a round, or of some, were executed.
    Executed {
        /// The checkpoint's height.
        height: Height,
        /// The checkpoint's digest.
        checkpoint: Digest,
        /// The checkpoint's state root.
        state_root: Digest,
        /// The whole checkpoint, for drivers that keep a history.
        header: Checkpoint,
        /// The committed leaders in order; the last is the checkpoint's.
        leaders: Vec<BlockRef>,
        /// The blocks in order.
        blocks: Vec<BlockRef>,
        /// What became of each transaction, in order.
        outcomes: Vec<(TransactionId, Outcome)>,
        /// What became of each receipt from another shard, in order.
        received: Vec<Received>,
        /// How many state entries were written.
        state_updates: u32,
        /// How many hashes execution took.
        hashes: u32,
    },
    /// The attestations of a quorum for an executed checkpoint were seen.
    Certified {
        /// The checkpoint's height.
        height: Height,
        /// The checkpoint's digest.
        checkpoint: Digest,
    },
    /// There is something new for other shards to fetch (`Shard::delivery`).
    Outgoing,
    /// The epoch has opened here, for the first time.
    Opened {
        /// The height of the checkpoint that it opens with.
        height: Height,
        /// Its digest.
        checkpoint: Digest,
        /// What became of receipts that were in flight between two shards that are one now.
        received: Vec<Received>,
    },
    /// The epoch is over here: its final checkpoint is certified (`Shard::closed`).
    Closed {
        /// The plan of the next epoch.
        plan: Arc<EpochPlan>,
    },
    /// A leader slot was decided to stay empty.
    Skipped(Slot),
    /// A peer's fault was proven.
    Proven(Evidence),
    /// A validator was isolated by committed evidence.
    Isolated {
        /// Who.
        validator: ValidatorIndex,
        /// For what.
        offence: Offence,
    },
    /// A peer sent state or an offer that does not fit a certificate.
    LyingSyncer(ValidatorIndex),
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
    /// A submitted transaction was not taken into the mempool.
    Refused {
        /// Which.
        id: TransactionId,
        /// Why.
        refusal: Refused,
    },
    /// The state was synchronised to a certified checkpoint.
    Synchronised {
        /// The checkpoint's height.
        height: Height,
        /// The checkpoint's digest.
        checkpoint: Digest,
        /// The checkpoint's state root.
        state_root: Digest,
    },
    /// A validator that came up may sign again from this round on.
    Resumed {
        /// The lowest round that it may sign.
        round: Round,
    },
    /// A certified checkpoint differs from the own result: the shard has stopped.
    Diverged {
        /// The height.
        height: Height,
        /// What was executed here.
        own: Digest,
        /// What a quorum attests.
        certified: Digest,
    },
}
