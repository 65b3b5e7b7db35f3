//! Proofs that a client keeps in a file and anyone checks offline, with nothing but the genesis.
//!
//! A document names what it claims. The check recomputes every claim from the proof and refuses
//! a document that says anything else, or anything that the check does not cover: what a reader
//! sees in a document that passed is proven.
//!
//! A certificate proves its checkpoint. An older checkpoint is proven by its descendants, each of
//! which names the digest of its parent, up to the certified one ([`MAX_ANCESTORS`]).

mod board;
mod check;
mod claims;
mod trust;

use qcn_crypto::{HexError, to_hex};
use qcn_light::{
    Account, AccountProof, CertificateError, EpochError, EvidenceError, MAX_ANNOUNCEMENTS,
    ReceiptProof, ReceiptProofError,
};
use qcn_types::{
    Address, Bounded, Certificate, Checkpoint, CommitteeKeys, Epoch, Evidence, encode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::archive::{MAX_ANCESTORS, ProvenTransaction};
use claims::{
    account_claims, certified_claims, checkpoint_claims, evidence_claims, receipt_claims, to_value,
    transaction_claims,
};

pub use board::AnnouncementBoard;
pub use claims::{
    AccountClaims, CertifiedClaims, CheckpointClaims, Claims, EvidenceClaims, ReceiptClaims,
    TransactionClaims, offence_text,
};
pub use trust::{Followed, Trusted, Verdict};

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
    /// That a receipt left its shard.
    Receipt,
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
    /// The account proof, transaction proof, receipt proof or evidence in canonical bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// The beacon's announcements of all epochs from the second one (epoch 1) to that of the proof,
    /// in order, each in canonical bytes, in hexadecimal. Nothing in the first epoch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub announcements: Vec<String>,
    /// What it shows, for people and programs. Kept as it came, so that the check sees all of it.
    #[schema(value_type = Claims)]
    pub claims: serde_json::Value,
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
    /// The proof does not show that the receipt is on the lane.
    #[error("the receipt proof is not valid: {0}")]
    Receipt(#[from] ReceiptProofError),
    /// The evidence accuses nobody.
    #[error("the evidence is not valid: {0}")]
    Evidence(#[from] EvidenceError),
    /// More announcements than anybody follows.
    #[error("{0} announcements are more than the {MAX_ANNOUNCEMENTS} that are followed")]
    TooManyAnnouncements(usize),
    /// An announcement is not hexadecimal.
    #[error("announcements[{place}] is not hexadecimal: {reason}")]
    AnnouncementNotHex {
        /// Which.
        place: usize,
        /// Where.
        reason: HexError,
    },
    /// An announcement is not the canonical encoding of one.
    #[error("announcements[{0}] does not decode")]
    AnnouncementMalformed(usize),
    /// The announcements do not lead to the committee that has signed.
    #[error(
        "the proof is of epoch {epoch}, and its announcements lead to epoch {newest} only: fetch \
         it again, from a node that has those of all epochs from 1 to {epoch}"
    )]
    NotAnnounced {
        /// Of the proof.
        epoch: Epoch,
        /// The last one that was announced.
        newest: Epoch,
    },
    /// The announcements are not those of the network, or the committee is none of it.
    #[error("the epochs cannot be followed: {0}")]
    Epochs(EpochError),
    /// The document says something else than it shows.
    #[error("the claims are not what the proof shows, which is {shown}")]
    OtherClaims {
        /// What it shows.
        shown: String,
    },
}

impl From<EpochError> for ProofDocumentError {
    fn from(error: EpochError) -> Self {
        match error {
            EpochError::NotAnnounced { epoch, newest } => Self::NotAnnounced { epoch, newest },
            other => Self::Epochs(other),
        }
    }
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

    /// Shows that a receipt left its shard.
    #[must_use]
    pub fn receipt(keys: &CommitteeKeys, certificate: &Certificate, proof: &ReceiptProof) -> Self {
        let certified = certified_claims(keys, certificate, &certificate.checkpoint);
        let shard = certificate.checkpoint.shard.0;
        let claims = Claims::Receipt(receipt_claims(certified, shard, proof));
        Self {
            certificate: Some(to_hex(&encode(certificate))),
            transaction_id: Some(proof.receipt.transaction.to_string()),
            proof: Some(to_hex(&encode(proof))),
            ..Self::bare(keys, ProofKind::Receipt, &claims)
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

    /// The same with the announcements that lead from the genesis to its committee, as
    /// [`AnnouncementBoard::up_to`] has them.
    #[must_use]
    pub fn with_announcements(self, announcements: Vec<String>) -> Self {
        Self { announcements, ..self }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// [`ProofDocumentError::NotADocument`].
    pub fn parse(json: &str) -> Result<Self, ProofDocumentError> {
        serde_json::from_str(json).map_err(|error| {
            ProofDocumentError::NotADocument(match error.is_eof() {
                true => format!("it is empty or cut off ({error})"),
                false => error.to_string(),
            })
        })
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
            announcements: Vec::new(),
            claims: to_value(claims),
        }
    }
}

/// Checks a document against a committee, and says what it shows. One with announcements is refused:
/// they say nothing about this committee. [`Trusted`] follows them.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn verify(
    document: &ProofDocument,
    keys: &CommitteeKeys,
) -> Result<Claims, ProofDocumentError> {
    check::check_head(document, &keys.chain().to_string())?;
    check::check_no_epochs(document)?;
    check::check_body(document, keys)
}

fn ancestors_field(ancestors: Vec<Checkpoint>) -> Option<String> {
    let ancestors: Ancestors = Bounded::truncated(ancestors);
    (!ancestors.is_empty()).then(|| to_hex(&encode(&ancestors)))
}

#[cfg(test)]
mod tests;
