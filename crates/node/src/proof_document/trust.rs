//! What somebody judges by who has nothing but a genesis.

use std::collections::BTreeSet;
use std::sync::Arc;

use qcn_crypto::{ChainId, Role, Scheme, from_hex};
use qcn_light::{EpochChain, MAX_ANNOUNCEMENTS};
use qcn_types::{CommitteeKeys, Epoch, EpochPlan, ShardId, decode};

use super::check::{check_body, check_head, check_no_epochs, signed_in};
use super::{Claims, ProofDocument, ProofDocumentError};
use crate::genesis::{Genesis, GenesisFileError, named};

/// The committees of a genesis, and the plan from which those of later epochs follow.
#[derive(Clone, Debug)]
pub struct Trusted {
    chain: ChainId,
    /// Of the first epoch, one at least.
    committees: Vec<CommitteeKeys>,
    /// That of the first epoch; nothing if committees never change.
    plan: Option<Arc<EpochPlan>>,
    account_schemes: BTreeSet<Scheme>,
    names: Arc<[String]>,
}

/// What a document shows that passed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// What it shows.
    pub claims: Claims,
    /// Where in time; nothing in a network whose committees never change.
    pub epochs: Option<Followed>,
}

/// How a committee was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Followed {
    /// The epoch of the committee that has signed.
    pub epoch: Epoch,
    /// How many announcements were followed from the genesis on.
    pub announcements: usize,
}

impl Trusted {
    /// What a genesis says, after checking every proof of possession in it.
    ///
    /// # Errors
    /// [`GenesisFileError`], naming the validator whose key or proof is refused.
    pub fn of(genesis: &Genesis) -> Result<Self, GenesisFileError> {
        Ok(Self {
            chain: genesis.chain(),
            committees: genesis.shard_keys()?,
            plan: genesis.beacon().map(|beacon| Arc::clone(&beacon.plan)),
            account_schemes: genesis.content().schemes.of(Role::Account).clone(),
            names: genesis.names(),
        })
    }

    /// Checks a document against the committee that must have signed it, and says what it shows.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn verify(&self, document: &ProofDocument) -> Result<Verdict, ProofDocumentError> {
        check_head(document, &self.chain.to_string())?;
        let Some(plan) = &self.plan else {
            check_no_epochs(document)?;
            let (claims, _) = self.judge(document, None)?;
            return Ok(Verdict { claims, epochs: None });
        };
        let mut epochs = EpochChain::new(self.chain, Arc::clone(plan))?;
        follow(&mut epochs, &document.announcements)?;
        let (claims, epoch) = self.judge(document, Some(&epochs))?;
        let followed = Followed { epoch, announcements: epochs.followed() };
        Ok(Verdict { claims, epochs: Some(followed) })
    }

    fn judge(
        &self,
        document: &ProofDocument,
        epochs: Option<&EpochChain>,
    ) -> Result<(Claims, Epoch), ProofDocumentError> {
        if let Some((shard, epoch)) = signed_in(document)? {
            let keys = self.keys(shard, epoch, epochs)?;
            return Ok((check_body(document, &keys)?, epoch));
        }
        // An accused block does not say where it was made: its signature does, by whose key fits.
        let places: Vec<(ShardId, Epoch)> = match epochs {
            Some(epochs) => epochs.committees().collect(),
            None => self.committees.iter().map(place).collect(),
        };
        let mut refusal = None;
        for (shard, epoch) in places {
            match check_body(document, &self.keys(shard, epoch, epochs)?) {
                Ok(claims) => return Ok((claims, epoch)),
                Err(error) => drop(refusal.get_or_insert(error)),
            }
        }
        Err(refusal.expect("a genesis has one shard at least"))
    }

    /// The committee of a shard in an epoch. Without epochs whoever is not in the genesis is left to
    /// be refused by the first shard.
    fn keys(
        &self,
        shard: ShardId,
        epoch: Epoch,
        epochs: Option<&EpochChain>,
    ) -> Result<CommitteeKeys, ProofDocumentError> {
        let of_genesis = self.committees.iter().find(|keys| place(keys) == (shard, epoch));
        match (of_genesis, epochs) {
            (Some(keys), _) => Ok(keys.clone()),
            (None, None) => Ok(self.committees[0].clone()),
            (None, Some(epochs)) => {
                let keys = epochs.keys(shard, epoch)?;
                let plan = epochs.plan(epoch).ok();
                let named = plan.and_then(|plan| named(&self.names, plan, keys.committee()));
                let keys = named.map_or(keys.clone(), |named| keys.with_names_of(named));
                Ok(keys.with_account_schemes(self.account_schemes.iter().copied()))
            }
        }
    }
}

fn place(keys: &CommitteeKeys) -> (ShardId, Epoch) {
    (keys.committee().shard(), keys.committee().epoch())
}

fn follow(epochs: &mut EpochChain, announcements: &[String]) -> Result<(), ProofDocumentError> {
    if announcements.len() > MAX_ANNOUNCEMENTS {
        return Err(ProofDocumentError::TooManyAnnouncements(announcements.len()));
    }
    for (place, text) in announcements.iter().enumerate() {
        let bytes = from_hex(text)
            .map_err(|reason| ProofDocumentError::AnnouncementNotHex { place, reason })?;
        let announcement =
            decode(&bytes).map_err(|_| ProofDocumentError::AnnouncementMalformed(place))?;
        epochs.follow(&announcement)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
