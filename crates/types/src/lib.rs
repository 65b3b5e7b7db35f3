//! The words of the protocol, each as one type, with its canonical bytes.
//!
//! Everything that is signed, hashed, stored or sent is defined here and encoded
//! with Borsh in strict order; every sequence is bounded before it is allocated
//! ([`Bounded`]). Nothing in this crate keeps state or takes a decision: the rules
//! over these words live in `qcn-consensus`, `qcn-ledger` and `qcn-light`, but for those that a
//! block's verification needs (signatures, certificates, lanes, evidence).
//!
//! **Invariants**
//! - one encoding per value: what decodes, encodes back to the same bytes;
//! - a [`Verified`] value exists only where its signatures were checked;
//! - quorum arithmetic is done in one place, [`Committee`].

#![deny(clippy::float_arithmetic)]

mod author_set;
mod beacon;
mod block;
mod block_rules;
mod bounded;
mod certificate;
mod checkpoint;
mod codec;
mod committee;
mod compact;
mod epoch;
mod evidence;
mod ids;
mod key_cache;
mod layout;
mod receipt;
mod registration;
mod transaction;
mod verified;

pub use author_set::AuthorSet;
pub use beacon::{MAX_BLOCK_REPORTS, Report, ReportError, ReportedOffence};
pub use block::{
    Attestation, Block, BlockBody, BlockHeader, BlockRef, MAX_ATTESTATIONS, MAX_BLOCK_EVIDENCE,
    MAX_BLOCK_TRANSACTIONS, Payload, Slot, attestations_digest, genesis_digest, genesis_ref,
};
pub use block_rules::{BlockFault, check_block};
pub use bounded::Bounded;
pub use certificate::{CertificateError, certificate_weight, verify_certificate};
pub use checkpoint::{AttestationProof, Certificate, Checkpoint};
pub use codec::{DecodeError, MAX_FRAME_BYTES, decode, encode, encoded_bytes};
pub use committee::{Cap, Committee, CommitteeError, MAX_MEMBERS, Member, cap_weights};
pub use compact::{CompactBlock, CompactParents, MAX_PARENT_LAYERS, ParentLayer, RebuildError};
pub use epoch::{
    Announcement, AnnouncementError, BEACON, EpochPlan, MAX_HEIRS, MAX_RESHARDINGS, PlanError,
    PlannedCommittee, PlannedValidator, Resharding, actor,
};
pub use evidence::{
    AccusedBlock, Evidence, EvidenceError, Offence, SignedAttestations, SignedHeader,
    verify_evidence,
};
pub use ids::{Epoch, Height, Round, ShardId, Time, ValidatorIndex, Weight};
pub use layout::{Layout, LayoutError, MAX_PREFIX_BITS, MAX_SHARDS, Prefix};
pub use receipt::{
    Delivery, DeliveryError, LaneBatch, LaneEnd, LaneHead, LaneId, LaneLink, MAX_BATCH_RECEIPTS,
    MAX_BLOCK_DELIVERIES, MAX_DELIVERY_BATCHES, MAX_LANE_BATCHES, Receipt, ReceiptKind,
    outbox_root, outbox_tree, receipt_tree,
};
pub use registration::{
    Applicant, KeyRotation, MAX_NETWORK_ADDRESS_BYTES, MAX_VALIDATOR_NAME_BYTES, NewKeys,
    ProvenKey, Registration, RegistrationError, RotationBody,
};
pub use transaction::{Action, Address, Amount, Transaction, TransactionBody, TransactionId};
pub use verified::{CommitteeKeys, Culprit, Verified, VerifiedBlock, VerifyError};

#[cfg(test)]
mod testing;
