//! What documents show: each claim follows from the proof and the committee, and from nothing else.

use qcn_ledger::Outcome;
use qcn_light::{Account, EvidenceError, ReceiptProof, TransactionProof, verify_evidence};
use qcn_types::{
    Address, Certificate, Checkpoint, CommitteeKeys, Evidence, Offence, ReceiptKind,
    certificate_weight,
};
use serde::Serialize;
use utoipa::ToSchema;

/// What a document shows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Claims {
    /// Of an account.
    Account(AccountClaims),
    /// Of a transaction.
    Transaction(TransactionClaims),
    /// Of a receipt.
    Receipt(ReceiptClaims),
    /// Of a validator.
    Evidence(EvidenceClaims),
    /// Of a checkpoint.
    Checkpoint(CheckpointClaims),
}

/// The checkpoint under which something is shown, and who certifies it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct CertifiedClaims {
    /// The checkpoint's height.
    pub height: u64,
    /// The checkpoint's digest.
    pub checkpoint: String,
    /// The checkpoint's time.
    pub time_unix_ms: u64,
    /// The height of the certified checkpoint: this one or a descendant.
    pub certified_height: u64,
    /// What the signers weigh.
    pub weight: u64,
    /// What a quorum weighs.
    pub quorum_weight: u64,
}

/// What is shown of an account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct AccountClaims {
    /// Under which checkpoint.
    #[serde(flatten)]
    pub certified: CertifiedClaims,
    /// Whose.
    pub address: String,
    /// Whether it was ever paid.
    pub exists: bool,
    /// What it can spend.
    pub balance: String,
    /// How many transactions it has sent.
    pub nonce: u64,
    /// The digest of the key that may sign.
    pub key: String,
}

/// What is shown of a transaction.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct TransactionClaims {
    /// Under which checkpoint.
    #[serde(flatten)]
    pub certified: CertifiedClaims,
    /// Which.
    pub transaction_id: String,
    /// Its place among the checkpoint's transactions.
    pub position: u64,
    /// `applied`, `failed` or `skipped`.
    pub result: &'static str,
    /// Why it was not applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What is shown of a receipt: that it left its shard.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct ReceiptClaims {
    /// Under which checkpoint of the source.
    #[serde(flatten)]
    pub certified: CertifiedClaims,
    /// The transaction that it comes from.
    pub transaction_id: String,
    /// `transfer`, or `bounce` if it is on its way back.
    pub receipt: &'static str,
    /// The shard that certifies it: the source, or whoever has absorbed that.
    pub shard: u32,
    /// The shard that sent it.
    pub source_shard: u32,
    /// The shard to which it was sent.
    pub destination_shard: u32,
    /// How many receipts went before it on this lane.
    pub lane_number: u64,
    /// Who paid.
    pub sender: String,
    /// Who is paid.
    pub receiver: String,
    /// How much.
    pub amount: String,
}

/// What is shown of a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct CheckpointClaims {
    /// Which, and by whom it is certified.
    #[serde(flatten)]
    pub certified: CertifiedClaims,
    /// Root of the account state.
    pub state_root: String,
    /// Root over transactions and outcomes.
    pub transactions_root: String,
    /// Digest of the checkpoint before.
    pub parent: String,
}

/// What is shown of a validator.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct EvidenceClaims {
    /// Whom it accuses.
    pub accused: u16,
    /// The accused's name.
    pub name: String,
    /// Of what.
    pub offence: String,
}

pub fn certified_claims(
    keys: &CommitteeKeys,
    certificate: &Certificate,
    checkpoint: &Checkpoint,
) -> CertifiedClaims {
    let committee = keys.committee();
    CertifiedClaims {
        height: checkpoint.height.0,
        checkpoint: checkpoint.digest().to_string(),
        time_unix_ms: checkpoint.time_ms,
        certified_height: certificate.checkpoint.height.0,
        weight: certificate_weight(certificate, committee),
        quorum_weight: committee.quorum_weight(),
    }
}

pub fn account_claims(
    certified: CertifiedClaims,
    address: Address,
    account: Option<Account>,
) -> AccountClaims {
    let exists = account.is_some();
    let account = account.unwrap_or_else(|| Account::new(address, qcn_types::Amount(0)));
    AccountClaims {
        certified,
        address: address.to_string(),
        exists,
        balance: account.balance.to_string(),
        nonce: account.nonce,
        key: account.key.to_string(),
    }
}

pub fn transaction_claims(
    certified: CertifiedClaims,
    proof: &TransactionProof,
) -> TransactionClaims {
    let (result, reason) = match proof.outcome {
        Outcome::Applied => ("applied", None),
        Outcome::Sent(_) => ("sent", None),
        Outcome::Failed(failure) => ("failed", Some(failure.to_string())),
        Outcome::Skipped(refusal) => ("skipped", Some(refusal.to_string())),
    };
    TransactionClaims {
        certified,
        transaction_id: proof.transaction.to_string(),
        position: proof.inclusion.index,
        result,
        reason,
    }
}

pub fn checkpoint_claims(certified: CertifiedClaims, checkpoint: &Checkpoint) -> CheckpointClaims {
    CheckpointClaims {
        certified,
        state_root: checkpoint.state_root.to_string(),
        transactions_root: checkpoint.transactions_root.to_string(),
        parent: checkpoint.parent.to_string(),
    }
}

pub fn receipt_claims(
    certified: CertifiedClaims,
    shard: u32,
    proof: &ReceiptProof,
) -> ReceiptClaims {
    let ReceiptProof { receipt, end, .. } = proof;
    ReceiptClaims {
        certified,
        transaction_id: receipt.transaction.to_string(),
        receipt: match receipt.kind {
            ReceiptKind::Transfer => "transfer",
            ReceiptKind::Bounce => "bounce",
        },
        shard,
        source_shard: end.own.0,
        destination_shard: end.peer.0,
        lane_number: proof.number(),
        sender: receipt.sender.to_string(),
        receiver: receipt.receiver.to_string(),
        amount: receipt.amount.to_string(),
    }
}

pub fn evidence_claims(
    keys: &CommitteeKeys,
    evidence: &Evidence,
) -> Result<EvidenceClaims, EvidenceError> {
    let offence = verify_evidence(evidence, keys)?;
    let accused = evidence.accused();
    let name = keys.committee().member(accused).map(|member| member.name.clone());
    let name = name.unwrap_or_default();
    Ok(EvidenceClaims { accused: accused.0, name, offence: offence_text(offence) })
}

/// An offence in words.
#[must_use]
pub fn offence_text(offence: Offence) -> String {
    match offence {
        Offence::Equivocation(slot) => format!("two blocks in round {}", slot.round),
        Offence::ConflictingAttestations(height) => {
            format!("two checkpoints attested for height {height}")
        }
        Offence::InvalidBlock(slot) => format!("an invalid block in round {}", slot.round),
    }
}

pub fn to_value(claims: &Claims) -> serde_json::Value {
    // Texts and numbers under texts: there is nothing that JSON cannot say.
    serde_json::to_value(claims).unwrap_or_default()
}
