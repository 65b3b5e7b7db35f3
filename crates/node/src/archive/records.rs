//! What the archive holds.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::Scheme;
use qcn_ledger::{Outcome, Received, Reception};
use qcn_types::{
    Action, Address, Amount, Block, BlockRef, Checkpoint, Epoch, Evidence, Height, Receipt,
    ShardId, Transaction, TransactionId, VerifiedBlock,
};

/// What became of the commits of a round, or of some.
#[derive(Clone, Debug)]
pub struct Executed {
    /// The checkpoint.
    pub header: Checkpoint,
    /// The committed leaders, in order.
    pub leaders: Vec<BlockRef>,
    /// The committed blocks, in order.
    pub blocks: Vec<VerifiedBlock>,
    /// What became of each transaction of the blocks, in order.
    pub outcomes: Vec<(TransactionId, Outcome)>,
    /// What became of each receipt from another shard, in order.
    pub received: Vec<Received>,
    /// What of the evidence in the blocks proves a fault. A block may carry any.
    pub evidence: Vec<Evidence>,
}

/// A receipt from another shard that was applied here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ArrivalRecord {
    /// The checkpoint's height.
    pub height: Height,
    /// The shard that sent it.
    pub source: ShardId,
    /// What it says.
    pub receipt: Receipt,
    /// What became of it.
    pub arrival: Arrival,
}

/// What became of a receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum Arrival {
    /// The amount is on the account.
    Credited,
    /// The receiver cannot hold it, and the amount is on its way to this shard: back to the
    /// sender's.
    Bounced(ShardId),
    /// The receiver is not here any more, and the amount is on its way to this shard: after it.
    Forwarded(ShardId),
    /// Nobody's account can hold it: only money that a captured shard made up comes to that.
    Burned,
}

impl ArrivalRecord {
    pub(super) const fn of(received: &Received, height: Height) -> Self {
        let Received { source, receipt, reception } = *received;
        let arrival = match reception {
            Reception::Credited => Arrival::Credited,
            Reception::Bounced(to) => Arrival::Bounced(to),
            Reception::Forwarded(to) => Arrival::Forwarded(to),
            Reception::Burned => Arrival::Burned,
        };
        Self { height, source, receipt, arrival }
    }
}

/// A checkpoint with what it brought in.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct CheckpointRecord {
    /// The checkpoint.
    pub header: Checkpoint,
    /// The committed leaders, in order.
    pub leaders: Vec<BlockRef>,
    /// The committed blocks, in order.
    pub blocks: Vec<BlockRef>,
    /// How many transactions were executed.
    pub transactions: u32,
}

/// A block without its contents.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct BlockSummary {
    /// The epoch that its round is of.
    pub epoch: Epoch,
    /// Its name.
    pub reference: BlockRef,
    /// The author's clock, in milliseconds.
    pub time_ms: u64,
    /// Its parents.
    pub parents: Vec<BlockRef>,
    /// How many transactions it carries.
    pub transactions: u32,
    /// How many checkpoints it attests to.
    pub attestations: u32,
    /// How many pieces of evidence it carries.
    pub evidence: u32,
    /// Its length with parents in full, in bytes.
    pub bytes: u32,
}

impl BlockSummary {
    pub(super) fn of(reference: BlockRef, block: &Block, bytes: usize) -> Self {
        let body = &block.body;
        Self {
            epoch: body.epoch,
            reference,
            time_ms: body.time_ms,
            parents: body.parents.clone(),
            transactions: count(body.payload.transactions.len()),
            attestations: count(body.attestations.len()),
            evidence: count(body.payload.evidence.len()),
            bytes: count(bytes),
        }
    }
}

/// Where a committed block went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Placement {
    /// The height of the checkpoint that it was executed for.
    pub height: Height,
    /// Whether it was committed as the leader of its slot.
    pub leader: bool,
}

/// A block and what became of it so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArchivedBlock {
    /// The block without its contents.
    pub summary: BlockSummary,
    /// Where it went; nothing while it is not committed.
    pub placement: Option<Placement>,
}

/// An executed transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TransactionRecord {
    /// Its name.
    pub id: TransactionId,
    /// The checkpoint's height.
    pub height: Height,
    /// Its place among the checkpoint's transactions.
    pub position: u32,
    /// What became of it.
    pub outcome: Outcome,
    /// The block that carried it.
    pub block: BlockRef,
    /// Who sent it.
    pub sender: Address,
    /// The sender's count.
    pub nonce: u64,
    /// What was paid for it.
    pub fee: Amount,
    /// What it does.
    pub action: Action,
    /// Of the key that signed.
    pub scheme: Scheme,
    /// Its length with key and signature, in bytes.
    pub bytes: u32,
}

impl TransactionRecord {
    pub(super) fn of(
        transaction: &Transaction,
        (id, outcome): (TransactionId, Outcome),
        block: BlockRef,
        (height, position): (Height, u32),
    ) -> Self {
        let body = &transaction.body;
        Self {
            id,
            height,
            position,
            outcome,
            block,
            sender: body.sender,
            nonce: body.nonce,
            fee: body.fee,
            action: body.action.clone(),
            scheme: transaction.key.scheme(),
            bytes: count(length_of(transaction)),
        }
    }

    /// Who is paid by it, if it is a transfer that was done and not to the sender itself.
    #[must_use]
    pub fn receiver(&self) -> Option<Address> {
        receiver(self.sender, &self.action, self.outcome)
    }
}

/// Who is paid by what was done, if it is a transfer and not to the sender itself.
pub(super) fn receiver(sender: Address, action: &Action, outcome: Outcome) -> Option<Address> {
    match action {
        Action::Transfer { to, .. } if outcome == Outcome::Applied => {
            Some(*to).filter(|to| *to != sender)
        }
        _ => None,
    }
}

/// A proof of misbehaviour.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct EvidenceRecord {
    /// The epoch whose committee it accuses a member of.
    pub epoch: Epoch,
    /// The proof.
    pub evidence: Evidence,
    /// The checkpoint whose blocks brought it in; nothing while it is not committed.
    pub height: Option<Height>,
}

/// The canonical length, without encoding anything into memory.
fn length_of(transaction: &Transaction) -> usize {
    borsh::object_length(transaction).unwrap_or(0)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
