//! The checks of the kinds of documents, each against one committee.

use borsh::BorshDeserialize;
use qcn_crypto::from_hex;
use qcn_light::{
    AccountProof, ReceiptProof, TransactionProof, verify_account_proof, verify_certificate,
};
use qcn_types::{
    Address, Certificate, Checkpoint, CommitteeKeys, Epoch, Evidence, ShardId, TransactionId,
    decode,
};

use super::claims::{
    AccountClaims, CheckpointClaims, Claims, EvidenceClaims, ReceiptClaims, TransactionClaims,
    account_claims, certified_claims, checkpoint_claims, evidence_claims, receipt_claims, to_value,
    transaction_claims,
};
use super::{Ancestors, FORMAT, ProofDocument, ProofDocumentError, ProofKind};

/// Checks that a document is of this format and network.
pub fn check_head(document: &ProofDocument, chain: &str) -> Result<(), ProofDocumentError> {
    if document.format != FORMAT {
        return Err(ProofDocumentError::OtherFormat);
    }
    if document.chain_id != chain {
        return Err(ProofDocumentError::OtherChain { expected: chain.to_owned() });
    }
    Ok(())
}

/// Checks that no part of a document is left to epochs that nobody follows here.
pub fn check_no_epochs(document: &ProofDocument) -> Result<(), ProofDocumentError> {
    if document.announcements.is_empty() {
        Ok(())
    } else {
        Err(ProofDocumentError::Unexpected("announcements"))
    }
}

/// The shard and epoch of the committee that must have signed; nothing for evidence that does not
/// say so.
pub fn signed_in(document: &ProofDocument) -> Result<Option<(ShardId, Epoch)>, ProofDocumentError> {
    if document.kind != ProofKind::Evidence {
        let certificate: Certificate = part("certificate", &document.certificate)?;
        let checkpoint = &certificate.checkpoint;
        return Ok(Some((checkpoint.shard, checkpoint.epoch)));
    }
    let header = match part("proof", &document.proof)? {
        Evidence::Equivocation(low, _) => low.header,
        Evidence::ConflictingAttestations(low, _) => low.header,
        Evidence::InvalidBlock(_) => return Ok(None),
    };
    Ok(Some((header.shard, header.epoch)))
}

/// Checks everything but the head and the announcements.
pub fn check_body(
    document: &ProofDocument,
    keys: &CommitteeKeys,
) -> Result<Claims, ProofDocumentError> {
    let shown = match document.kind {
        ProofKind::Account => Claims::Account(verify_account(document, keys)?),
        ProofKind::Transaction => Claims::Transaction(verify_transaction(document, keys)?),
        ProofKind::Receipt => Claims::Receipt(verify_receipt(document, keys)?),
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

fn verify_receipt(
    document: &ProofDocument,
    keys: &CommitteeKeys,
) -> Result<ReceiptClaims, ProofDocumentError> {
    absent("ancestors", &document.ancestors)?;
    absent("address", &document.address)?;
    let certificate = certificate_of(document, keys)?;
    let id = TransactionId(digest("transaction_id", &document.transaction_id)?);
    let proof: ReceiptProof = part("proof", &document.proof)?;
    if proof.receipt.transaction != id {
        return Err(ProofDocumentError::OtherTransaction);
    }
    proof.verify(&certificate.checkpoint, keys)?;
    let certified = certified_claims(keys, &certificate, &certificate.checkpoint);
    Ok(receipt_claims(certified, certificate.checkpoint.shard.0, &proof))
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
