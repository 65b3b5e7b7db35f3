//! Everybody who is or may become a validator, with all keys that it holds.

use std::collections::BTreeMap;

use qcn_crypto::{ChainId, HashChain, SeededRandomness, SigningKey};
use qcn_types::{EpochPlan, PlannedValidator};

use super::{Change, MembershipEvent};
use crate::keys::KeyRing;

/// How many epochs a validator can reveal something in.
const REVEALS: u32 = 128;

/// Everybody, by the number in the description.
#[derive(Debug)]
pub(in crate::sharding) struct People {
    keys: KeyRing,
    founders: usize,
    /// Which number in the register each newcomer has, once a plan names its key.
    newcomers: BTreeMap<usize, Option<usize>>,
    /// How many new keys each will have.
    rotations: BTreeMap<usize, usize>,
}

impl People {
    pub(super) fn new(keys: KeyRing, founders: usize, events: &[MembershipEvent]) -> Self {
        let joins = events.iter().filter(|event| event.change == Change::Join);
        let mut rotations = BTreeMap::new();
        for event in events.iter().filter(|event| event.change == Change::Rotate) {
            *rotations.entry(event.who).or_default() += 1;
        }
        let newcomers = joins.map(|event| (event.who, None)).collect();
        Self { keys, founders, newcomers, rotations }
    }

    /// The consensus keys that somebody holds, the first one first. It has the next one at hand
    /// before the register does.
    pub(in crate::sharding) fn keys(&self, who: usize) -> impl Iterator<Item = SigningKey> {
        let rotations = self.rotations.get(&who).copied().unwrap_or(0);
        (0..=rotations).map(move |turn| self.consensus_key(who, turn))
    }

    /// The consensus key that somebody has after so many rotations.
    pub(super) fn consensus_key(&self, who: usize, rotations: usize) -> SigningKey {
        match rotations {
            0 => self.keys.validator(who),
            _ => self.keys.rotated(who, rotations),
        }
    }

    /// The key with which somebody replaces its other keys.
    pub(super) fn recovery_key(&self, who: usize) -> SigningKey {
        self.keys.recovery(who)
    }

    /// Newcomers look whether a plan names one of their keys.
    pub(in crate::sharding) fn read(&mut self, plan: &EpochPlan) {
        let waiting = self.newcomers.iter().filter(|(_, number)| number.is_none());
        let found: Vec<(usize, usize)> = waiting
            .filter_map(|(who, _)| {
                let keys: Vec<SigningKey> = self.keys(*who).collect();
                let is_own =
                    |it: &&PlannedValidator| keys.iter().any(|key| *key.public_key() == it.key);
                let planned = plan.validators.iter().find(is_own)?;
                Some((*who, planned.number as usize))
            })
            .collect();
        for (who, number) in found {
            self.newcomers.insert(who, Some(number));
        }
    }

    /// The number in the register of somebody, if it has one.
    pub(in crate::sharding) fn number(&self, who: usize) -> Option<usize> {
        if who < self.founders { Some(who) } else { self.newcomers.get(&who).copied().flatten() }
    }

    /// Who has a number in the register.
    pub(in crate::sharding) fn who(&self, number: usize) -> usize {
        let mut newcomers = self.newcomers.iter();
        let found = newcomers.find(|(_, known)| **known == Some(number));
        found.map_or(number, |(who, _)| *who)
    }

    /// The key with which a validator signs in the epoch of a plan: the one that the plan names, as
    /// nodes do it. Nothing if it does not hold that one.
    pub(in crate::sharding) fn signing_key(
        &self,
        planned: &PlannedValidator,
    ) -> Option<SigningKey> {
        let mut keys = self.keys(self.who(planned.number as usize));
        keys.find(|key| *key.public_key() == planned.key)
    }
}

/// The hash chain that goes with a consensus key.
pub(in crate::sharding) fn chain_of(chain: ChainId, who: usize, rotations: usize) -> HashChain {
    let name = match rotations {
        0 => format!("hash chain {who}"),
        _ => format!("hash chain {who} after {rotations} rotations"),
    };
    let mut seed = [0; 32];
    SeededRandomness::labelled(&chain.0.0, &name).fill(&mut seed);
    HashChain::new(&seed, REVEALS).expect("a length that may be")
}
