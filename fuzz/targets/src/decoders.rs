//! Every decoder: any bytes are refused or have exactly one meaning, and what is decoded can be
//! checked without a panic.

use std::fmt::Debug;

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{Digest, InclusionProof, PublicKey, Role, Signature, VerifyingKey};
use qcn_ledger::{Restore, StateChunk, Territory};
use qcn_light::{
    AccountProof, certificate_weight, verify_account_proof, verify_certificate, verify_evidence,
};
use qcn_shard::SyncPackage;
use qcn_types::{
    Address, Certificate, Committee, CommitteeKeys, CompactBlock, Evidence, ShardId, Transaction,
    Verified, decode, encode,
};

use crate::samples::{CHAIN, keys, known_root};

/// Decodes, and checks that nothing else has the same meaning.
fn one_encoding<T>(bytes: &[u8]) -> Option<T>
where
    T: BorshSerialize + BorshDeserialize + PartialEq + Debug,
{
    let value = decode::<T>(bytes).ok()?;
    assert_eq!(encode(&value), bytes, "two encodings of {value:?}");
    Some(value)
}

pub(crate) fn account_proof(bytes: &[u8]) {
    if let Some(proof) = one_encoding::<AccountProof>(bytes) {
        // A proof that verifies is one that an honest ledger gave.
        let address = proof.0.found.as_ref().map_or(Address::default(), |it| Address(it.key.id));
        let _ = verify_account_proof(&known_root(), address, &proof);
        assert!(verify_account_proof(&Digest([1; 32]), address, &proof).is_err());
    }
}

pub(crate) fn certificate(bytes: &[u8]) {
    if let Some(certificate) = one_encoding::<Certificate>(bytes) {
        let _ = verify_certificate(&certificate, keys());
        let weight = certificate_weight(&certificate, keys().committee());
        assert!(weight <= keys().committee().total_weight(), "a member counts twice");
    }
}

pub(crate) fn committee(bytes: &[u8]) {
    if let Some(committee) = one_encoding::<Committee>(bytes) {
        let (quorum, fault) = (committee.quorum_weight(), committee.fault_weight());
        assert!(2 * quorum - committee.total_weight() > fault, "quorums share an honest one");
        assert!(committee.indices().all(|index| committee.weight(index) > 0));
        let _ = CommitteeKeys::decode(CHAIN, committee.into());
    }
}

pub(crate) fn compact_block(bytes: &[u8]) {
    if let Some(block) = one_encoding::<CompactBlock>(bytes) {
        judge_block(&block);
    }
}

fn judge_block(block: &CompactBlock) {
    let committee = keys().committee();
    let resolve = |slot: qcn_types::Slot| {
        let (round, author) = (slot.round, slot.author);
        Some(qcn_types::BlockRef { round, author, digest: Digest::ZERO })
    };
    let Ok(parents) = block.rebuild_parents(CHAIN, committee, resolve) else {
        return;
    };
    let block = block.clone().with_parents(CHAIN, committee, parents);
    let _ = qcn_light::check_block(&block.body, committee);
    let _ = keys().verify_block(block);
}

pub(crate) fn consensus_message(bytes: &[u8]) {
    one_encoding::<qcn_consensus::Message>(bytes);
}

pub(crate) fn evidence(bytes: &[u8]) {
    if let Some(evidence) = one_encoding::<Evidence>(bytes) {
        let _ = evidence.accused();
        if let Evidence::InvalidBlock(block) = &evidence
            && let Ok(block) = block.open()
        {
            judge_block(&block);
        }
        let _ = verify_evidence(&evidence, keys());
    }
}

pub(crate) fn inclusion_proof(bytes: &[u8]) {
    if let Some(proof) = one_encoding::<InclusionProof>(bytes) {
        assert!(proof.verify(&Digest([1; 32]), &Digest::ZERO).is_err());
    }
}

pub(crate) fn public_key(bytes: &[u8]) {
    if let Some(key) = one_encoding::<PublicKey>(bytes) {
        let _ = VerifyingKey::decode(&key);
    }
}

pub(crate) fn shard_message(bytes: &[u8]) {
    one_encoding::<qcn_shard::Message>(bytes);
}

pub(crate) fn signature(bytes: &[u8]) {
    if let Some(signature) = one_encoding::<Signature>(bytes) {
        let member = keys().committee().members().first();
        let key = &member.expect("a committee is never empty").key;
        let role = Role::Consensus;
        assert!(qcn_crypto::verify_possession(key, CHAIN, role, &signature).is_err());
    }
}

pub(crate) fn state_chunk(bytes: &[u8]) {
    if let Some(chunk) = one_encoding::<StateChunk>(bytes) {
        let mut restore = Restore::new(CHAIN, Territory::whole(ShardId(0)), known_root());
        if restore.accept(&chunk).is_ok() && restore.is_complete() {
            let ledger = restore.finish().expect("a complete state is one that was executed");
            assert_eq!(ledger.state_root(), known_root());
        }
    }
}

pub(crate) fn sync_package(bytes: &[u8]) {
    if let Some(package) = one_encoding::<SyncPackage>(bytes) {
        for record in &package.commits {
            let _ = record.digest();
        }
        let _ = package.schedule.fits(keys().committee().len());
    }
}

pub(crate) fn transaction(bytes: &[u8]) {
    if let Some(transaction) = one_encoding::<Transaction>(bytes) {
        let _ = transaction.body.id();
        let _ = Verified::check(transaction, CHAIN);
    }
}
