//! Signed peer records: where each validator says that it can be reached (DESIGN section 5.5).
//!
//! **Invariants**
//! - a record counts only with its validator's signature for this chain;
//! - at most one record is kept per validator of the set, the one with the highest sequence;
//! - one validator's records are not checked more often than [`MIN_INTERVAL`] allows.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{
    ChainId, Domain, Role, Signature, SigningContext, SigningError, SigningKey, VerifyingKey,
};
use qcn_types::{Bounded, ValidatorIndex, encode};

/// The longest `host:port`: a DNS name, a colon and five digits.
pub(super) const MAX_ADDRESS_BYTES: usize = 253 + 1 + 5;

/// Newer records of one validator are taken at most this often, whoever hands them on.
pub(super) const MIN_INTERVAL: Duration = Duration::from_millis(50);

/// Where a validator can be reached, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct PeerRecord {
    /// Whose record it is.
    pub(super) validator: ValidatorIndex,
    /// The higher one replaces the lower one. Starts with the time, in milliseconds since 1970.
    pub(super) sequence: u64,
    /// `host:port`.
    address: Bounded<u8, MAX_ADDRESS_BYTES>,
    /// Over all of it, in [`Domain::PeerRecord`], which binds the chain.
    signature: Signature,
}

impl PeerRecord {
    pub(super) fn sign(
        chain: ChainId,
        key: &SigningKey,
        validator: ValidatorIndex,
        sequence: u64,
        address: &str,
    ) -> Result<Self, SigningError> {
        let address = Bounded::truncated(address.as_bytes().to_vec());
        let message = signed_part(validator, sequence, &address);
        let signature = key.sign(&context(chain), &message)?;
        Ok(Self { validator, sequence, address, signature })
    }

    /// `host:port`, if it has that form.
    pub(super) fn address(&self) -> Option<&str> {
        std::str::from_utf8(&self.address).ok().filter(|text| is_address(text))
    }
}

fn context(chain: ChainId) -> SigningContext {
    SigningContext::new(Domain::PeerRecord, chain, Role::Transport)
}

fn signed_part(
    validator: ValidatorIndex,
    sequence: u64,
    address: &Bounded<u8, MAX_ADDRESS_BYTES>,
) -> Vec<u8> {
    encode(&(validator, sequence, address))
}

/// Whether `text` is a host and a port that can be dialled.
pub(super) fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let host_bytes =
        host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]%".contains(&byte));
    !host.is_empty()
        && text.len() <= MAX_ADDRESS_BYTES
        && host_bytes
        && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// What became of a record that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// It is newer than what was known, and kept.
    Kept,
    /// A newer one or itself is known.
    Old,
    /// A newer one of the same validator was kept a moment ago: offer it again later.
    TooSoon,
    /// No validator of the set has this index.
    Unknown,
    /// The validator did not sign this, or it is no address.
    Forged,
}

/// The newest record of each validator.
pub(super) struct RecordStore {
    chain: ChainId,
    keys: RecordKeys,
    records: BTreeMap<ValidatorIndex, Kept>,
}

/// With which keys each validator may sign its records.
pub(super) type RecordKeys = BTreeMap<ValidatorIndex, Vec<VerifyingKey>>;

struct Kept {
    record: PeerRecord,
    at: Instant,
}

impl RecordStore {
    pub(super) fn new(chain: ChainId, keys: RecordKeys) -> Self {
        Self { chain, keys, records: BTreeMap::new() }
    }

    /// From now on these keys count. Records that none of them has signed are forgotten.
    pub(super) fn replace_keys(&mut self, keys: RecordKeys) {
        self.keys = keys;
        let genuine = std::mem::take(&mut self.records).into_iter();
        self.records = genuine.filter(|(_, kept)| self.is_genuine(&kept.record)).collect();
    }

    /// Takes in a record if it is newer and genuine.
    pub(super) fn offer(&mut self, now: Instant, record: PeerRecord) -> Offered {
        if !self.keys.contains_key(&record.validator) {
            return Offered::Unknown;
        }
        if let Some(known) = self.records.get(&record.validator) {
            if record.sequence <= known.record.sequence {
                return Offered::Old;
            }
            if now.saturating_duration_since(known.at) < MIN_INTERVAL {
                return Offered::TooSoon;
            }
        }
        if !self.is_genuine(&record) {
            return Offered::Forged;
        }
        self.insert(now, record);
        Offered::Kept
    }

    /// Keeps a record that needs no check: the own one.
    pub(super) fn insert(&mut self, now: Instant, record: PeerRecord) {
        self.records.insert(record.validator, Kept { record, at: now });
    }

    /// Whether its validator signed it, and it is an address.
    pub(super) fn is_genuine(&self, record: &PeerRecord) -> bool {
        let message = signed_part(record.validator, record.sequence, &record.address);
        record.address().is_some()
            && self.keys.get(&record.validator).is_some_and(|keys| {
                let context = context(self.chain);
                keys.iter().any(|key| key.verify(&context, &message, &record.signature).is_ok())
            })
    }

    /// The record of a validator.
    pub(super) fn get(&self, validator: ValidatorIndex) -> Option<&PeerRecord> {
        self.records.get(&validator).map(|kept| &kept.record)
    }

    /// The sequences of all records.
    pub(super) fn sequences(&self) -> BTreeMap<ValidatorIndex, u64> {
        self.records.iter().map(|(validator, kept)| (*validator, kept.record.sequence)).collect()
    }

    /// Up to `limit` records that are newer than what `theirs` names.
    pub(super) fn newer_than(
        &self,
        theirs: &BTreeMap<ValidatorIndex, u64>,
        limit: usize,
    ) -> Vec<PeerRecord> {
        let newer = self.records.values().filter(|kept| {
            theirs.get(&kept.record.validator).is_none_or(|known| *known < kept.record.sequence)
        });
        newer.take(limit).map(|kept| kept.record.clone()).collect()
    }
}

#[cfg(test)]
mod tests;
