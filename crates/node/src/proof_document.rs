//! Proofs that a client keeps in a file and anyone checks offline, with nothing but the genesis.
//!
//! A document names what it claims. The check recomputes every claim from the proof and refuses
//! a document that says anything else, or anything that the check does not cover: what a reader
//! sees in a document that passed is proven.
//!
//! A certificate proves its checkpoint. An older checkpoint is proven by its descendants, each of
//! which names the digest of its parent, up to the certified one ([`MAX_ANCESTORS`]).

use borsh::BorshDeserialize;
use qcn_crypto::{HexError, from_hex, to_hex};
use qcn_ledger::Outcome;
use qcn_light::{
    Account, AccountProof, CertificateError, EvidenceError, TransactionProof, certificate_weight,
    verify_account_proof, verify_certificate, verify_evidence,
};
use qcn_types::{
    Address, Bounded, Certificate, Checkpoint, CommitteeKeys, Evidence, Offence, TransactionId,
    decode, encode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::archive::{MAX_ANCESTORS, ProvenTransaction};

/// The format that is written and read.
pub const FORMAT: &str = "qcn-proof/1";

/// The longest document, in bytes: evidence may hold a whole block, in hexadecimal.
pub const MAX_DOCUMENT_BYTES: usize = 24 * 1024 * 1024;

/// What a document is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProofKind {
    /// What an address has, or that it has no account.
    Account,
    /// What became of a transaction.
    Transaction,
    /// That a checkpoint is final.
    Checkpoint,
    /// That a validator misbehaved.
    Evidence,
}

/// A proof in a file.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProofDocument {
    /// `qcn-proof/1`.
    pub format: String,
    /// What it is about.
    pub kind: ProofKind,
    /// The network: the digest of its genesis.
    pub chain_id: String,
    /// The certificate in canonical bytes, in hexadecimal; all but evidence have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The checkpoints from the parent of the certified one down to the one that the proof is
    /// about, as the canonical bytes of their list. Nothing if it is the certified one itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ancestors: Option<String>,
    /// Whose account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Which transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<String>,
    /// The account proof, transaction proof or evidence in canonical bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// What it shows, for people and programs. Kept as it came, so that the check sees all of it.
    #[schema(value_type = Claims)]
    pub claims: serde_json::Value,
}

/// What a document shows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Claims {
    /// Of an account.
    Account(AccountClaims),
    /// Of a transaction.
    Transaction(TransactionClaims),
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

/// Why a document shows nothing. Each is the fault of whoever made it, or of a wrong genesis.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProofDocumentError {
    /// It is not the JSON of a proof.
    #[error("this is not a proof document: {0}")]
    NotADocument(String),
    /// Another format.
    #[error("the format is not {FORMAT}")]
    OtherFormat,
    /// Another network.
    #[error("the proof is of another network than the genesis ({expected})")]
    OtherChain {
        /// The chain id of the genesis.
        expected: String,
    },
    /// A part that this kind of proof needs.
    #[error("the field {0} is missing")]
    Missing(&'static str),
    /// A part that this kind of proof does not use, so that nothing checks it.
    #[error("the field {0} does not belong to this kind of proof")]
    Unexpected(&'static str),
    /// A part is not hexadecimal.
    #[error("the field {field} is not hexadecimal: {reason}")]
    NotHex {
        /// Which.
        field: &'static str,
        /// Where.
        reason: HexError,
    },
    /// A part is not the canonical encoding of what it should be.
    #[error("the field {0} does not decode")]
    Malformed(&'static str),
    /// The certificate proves nothing.
    #[error("the certificate is not valid: {0}")]
    Certificate(#[from] CertificateError),
    /// An ancestor is not the parent of the checkpoint after it.
    #[error("the checkpoints do not lead from the certified one down to height {0}")]
    BrokenChain(u64),
    /// The proof does not lead to the state root.
    #[error("the account proof is not valid: {0}")]
    Account(#[from] qcn_light::ProofError),
    /// The proof does not lead to the transactions root.
    #[error("the transaction proof is not valid: {0}")]
    Transaction(#[from] qcn_crypto::ProofError),
    /// The proof is about another transaction.
    #[error("the proof is about another transaction")]
    OtherTransaction,
    /// The evidence accuses nobody.
    #[error("the evidence is not valid: {0}")]
    Evidence(#[from] EvidenceError),
    /// The document says something else than it shows.
    #[error("the claims are not what the proof shows, which is {shown}")]
    OtherClaims {
        /// What it shows.
        shown: String,
    },
}

type Ancestors = Bounded<Checkpoint, MAX_ANCESTORS>;

impl ProofDocument {
    /// Shows what an account has under a certified checkpoint.
    #[must_use]
    pub fn account(
        keys: &CommitteeKeys,
        certificate: &Certificate,
        address: Address,
        proof: &AccountProof,
        account: Option<Account>,
    ) -> Self {
        let certified = certified_claims(keys, certificate, &certificate.checkpoint);
        let claims = Claims::Account(account_claims(certified, address, account));
        Self {
            certificate: Some(to_hex(&encode(certificate))),
            address: Some(address.to_string()),
            proof: Some(to_hex(&encode(proof))),
            ..Self::bare(keys, ProofKind::Account, &claims)
        }
    }

    /// Shows what became of a transaction.
    #[must_use]
    pub fn transaction(keys: &CommitteeKeys, proven: ProvenTransaction) -> Self {
        let ProvenTransaction { proof, certificate, ancestors } = proven;
        let checkpoint = ancestors.last().unwrap_or(&certificate.checkpoint);
        let certified = certified_claims(keys, &certificate, checkpoint);
        let claims = Claims::Transaction(transaction_claims(certified, &proof));
        Self {
            certificate: Some(to_hex(&encode(&certificate))),
            transaction_id: Some(proof.transaction.to_string()),
            proof: Some(to_hex(&encode(&proof))),
            ancestors: ancestors_field(ancestors),
            ..Self::bare(keys, ProofKind::Transaction, &claims)
        }
    }

    /// Shows that a checkpoint is final.
    #[must_use]
    pub fn checkpoint(
        keys: &CommitteeKeys,
        certificate: &Certificate,
        ancestors: Vec<Checkpoint>,
    ) -> Self {
        let checkpoint = *ancestors.last().unwrap_or(&certificate.checkpoint);
        let certified = certified_claims(keys, certificate, &checkpoint);
        let claims = Claims::Checkpoint(checkpoint_claims(certified, &checkpoint));
        Self {
            certificate: Some(to_hex(&encode(certificate))),
            ancestors: ancestors_field(ancestors),
            ..Self::bare(keys, ProofKind::Checkpoint, &claims)
        }
    }

    /// Shows that a validator misbehaved.
    ///
    /// # Errors
    /// [`EvidenceError`] if the evidence does not show it.
    pub fn evidence(keys: &CommitteeKeys, evidence: &Evidence) -> Result<Self, EvidenceError> {
        let claims = Claims::Evidence(evidence_claims(keys, evidence)?);
        let proof = Some(to_hex(&encode(evidence)));
        Ok(Self { proof, ..Self::bare(keys, ProofKind::Evidence, &claims) })
    }

    /// Reads a document.
    ///
    /// # Errors
    /// [`ProofDocumentError::NotADocument`].
    pub fn parse(json: &str) -> Result<Self, ProofDocumentError> {
        serde_json::from_str(json)
            .map_err(|error| ProofDocumentError::NotADocument(error.to_string()))
    }

    fn bare(keys: &CommitteeKeys, kind: ProofKind, claims: &Claims) -> Self {
        Self {
            format: FORMAT.to_owned(),
            kind,
            chain_id: keys.chain().to_string(),
            certificate: None,
            ancestors: None,
            address: None,
            transaction_id: None,
            proof: None,
            claims: to_value(claims),
        }
    }
}

/// Checks a document against a committee, and says what it shows.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn verify(
    document: &ProofDocument,
    keys: &CommitteeKeys,
) -> Result<Claims, ProofDocumentError> {
    if document.format != FORMAT {
        return Err(ProofDocumentError::OtherFormat);
    }
    if document.chain_id != keys.chain().to_string() {
        return Err(ProofDocumentError::OtherChain { expected: keys.chain().to_string() });
    }
    let shown = match document.kind {
        ProofKind::Account => Claims::Account(verify_account(document, keys)?),
        ProofKind::Transaction => Claims::Transaction(verify_transaction(document, keys)?),
        ProofKind::Checkpoint => Claims::Checkpoint(verify_checkpoint(document, keys)?),
        ProofKind::Evidence => Claims::Evidence(verify_accusation(document, keys)?),
    };
    let value = to_value(&shown);
    if value != document.claims {
        return Err(ProofDocumentError::OtherClaims { shown: value.to_string() });
    }
    Ok(shown)
}

fn verify_account(
    document: &ProofDocument,
    keys: &CommitteeKeys,
) -> Result<AccountClaims, ProofDocumentError> {
    absent("ancestors", &document.ancestors)?;
    absent("transaction_id", &document.transaction_id)?;
    let certificate = certificate_of(document, keys)?;
    let address: Address = Address(digest("address", &document.address)?);
    let proof: AccountProof = part("proof", &document.proof)?;
    let state_root = &certificate.checkpoint.state_root;
    let account = verify_account_proof(state_root, address, &proof)?;
    let certified = certified_claims(keys, &certificate, &certificate.checkpoint);
    Ok(account_claims(certified, address, account))
}

fn verify_transaction(
    document: &ProofDocument,
    keys: &CommitteeKeys,
) -> Result<TransactionClaims, ProofDocumentError> {
    absent("address", &document.address)?;
    let (certificate, checkpoint) = proven_checkpoint(document, keys)?;
    let id = TransactionId(digest("transaction_id", &document.transaction_id)?);
    let proof: TransactionProof = part("proof", &document.proof)?;
    if proof.transaction != id {
        return Err(ProofDocumentError::OtherTransaction);
    }
    proof.verify(&checkpoint.transactions_root)?;
    Ok(transaction_claims(certified_claims(keys, &certificate, &checkpoint), &proof))
}

fn verify_checkpoint(
    document: &ProofDocument,
    keys: &CommitteeKeys,
) -> Result<CheckpointClaims, ProofDocumentError> {
    absent("address", &document.address)?;
    absent("transaction_id", &document.transaction_id)?;
    absent("proof", &document.proof)?;
    let (certificate, checkpoint) = proven_checkpoint(document, keys)?;
    Ok(checkpoint_claims(certified_claims(keys, &certificate, &checkpoint), &checkpoint))
}

fn verify_accusation(
    document: &ProofDocument,
    keys: &CommitteeKeys,
) -> Result<EvidenceClaims, ProofDocumentError> {
    absent("certificate", &document.certificate)?;
    absent("ancestors", &document.ancestors)?;
    absent("address", &document.address)?;
    absent("transaction_id", &document.transaction_id)?;
    let evidence: Evidence = part("proof", &document.proof)?;
    Ok(evidence_claims(keys, &evidence)?)
}

fn certificate_of(
    document: &ProofDocument,
    keys: &CommitteeKeys,
) -> Result<Certificate, ProofDocumentError> {
    let certificate: Certificate = part("certificate", &document.certificate)?;
    verify_certificate(&certificate, keys)?;
    Ok(certificate)
}

/// The certificate, and the checkpoint at the end of the chain of ancestors.
fn proven_checkpoint(
    document: &ProofDocument,
    keys: &CommitteeKeys,
) -> Result<(Certificate, Checkpoint), ProofDocumentError> {
    let certificate = certificate_of(document, keys)?;
    let mut checkpoint = certificate.checkpoint;
    if document.ancestors.is_some() {
        let ancestors: Ancestors = part("ancestors", &document.ancestors)?;
        for ancestor in &ancestors {
            if ancestor.digest() != checkpoint.parent {
                return Err(ProofDocumentError::BrokenChain(ancestor.height.0));
            }
            checkpoint = *ancestor;
        }
    }
    Ok((certificate, checkpoint))
}

fn absent(field: &'static str, value: &Option<String>) -> Result<(), ProofDocumentError> {
    if value.is_none() { Ok(()) } else { Err(ProofDocumentError::Unexpected(field)) }
}

fn part<T: BorshDeserialize>(
    field: &'static str,
    value: &Option<String>,
) -> Result<T, ProofDocumentError> {
    let text = value.as_ref().ok_or(ProofDocumentError::Missing(field))?;
    let bytes = from_hex(text).map_err(|reason| ProofDocumentError::NotHex { field, reason })?;
    decode(&bytes).map_err(|_| ProofDocumentError::Malformed(field))
}

fn digest(
    field: &'static str,
    value: &Option<String>,
) -> Result<qcn_crypto::Digest, ProofDocumentError> {
    let text = value.as_ref().ok_or(ProofDocumentError::Missing(field))?;
    text.parse().map_err(|reason| ProofDocumentError::NotHex { field, reason })
}

fn ancestors_field(ancestors: Vec<Checkpoint>) -> Option<String> {
    let ancestors: Ancestors = Bounded::truncated(ancestors);
    (!ancestors.is_empty()).then(|| to_hex(&encode(&ancestors)))
}

fn certified_claims(
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

fn account_claims(
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

fn transaction_claims(certified: CertifiedClaims, proof: &TransactionProof) -> TransactionClaims {
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

fn checkpoint_claims(certified: CertifiedClaims, checkpoint: &Checkpoint) -> CheckpointClaims {
    CheckpointClaims {
        certified,
        state_root: checkpoint.state_root.to_string(),
        transactions_root: checkpoint.transactions_root.to_string(),
        parent: checkpoint.parent.to_string(),
    }
}

fn evidence_claims(
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

fn to_value(claims: &Claims) -> serde_json::Value {
    // Texts and numbers under texts: there is nothing that JSON cannot say.
    serde_json::to_value(claims).unwrap_or_default()
}

#[cfg(test)]
mod tests;
