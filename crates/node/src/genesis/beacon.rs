//! What a genesis says about the beacon.

use std::sync::Arc;

use qcn_crypto::{ChainId, Role};
use qcn_ledger::{
    BeaconGenesis, BeaconGenesisError, BeaconParameters, Founder, Identity, KeySchemes, Ledger,
};
use qcn_types::{Bounded, Committee, EpochPlan, Layout, Member, Weight};

use super::{EpochsContent, GenesisBeacon, GenesisContent, GenesisValidator, epoch_seed};
use crate::document::Problem;

/// The beacon of content whose other rules were checked; nothing if there are no epochs.
pub(super) fn begin(
    content: &GenesisContent,
    chain: ChainId,
    layout: &Layout,
) -> Result<Option<GenesisBeacon>, Problem> {
    let Some((shards, epochs)) = content.shards.and_then(|it| Some((it, it.epochs?))) else {
        return Ok(None);
    };
    let founders = content.validators.iter().enumerate().map(|(at, it)| founder(at, it));
    let genesis = BeaconGenesis {
        parameters: parameters(content, shards.seats, &epochs),
        seed: epoch_seed(chain),
        layout: layout.clone(),
        validators: founders.collect::<Result<_, Problem>>()?,
    };
    let (ledger, plan) = Ledger::beacon_genesis(chain, &genesis).map_err(|error| {
        let place = match error {
            BeaconGenesisError::Key { .. }
            | BeaconGenesisError::Scheme { .. }
            | BeaconGenesisError::Committee(_) => "validators",
            BeaconGenesisError::TooFewValidators { .. } => "shards.seats",
            _ => "shards.epochs",
        };
        Problem::new(place, error.to_string(), "change it accordingly")
    })?;
    Ok(Some(GenesisBeacon { ledger, plan: Arc::new(plan) }))
}

/// A committee of a plan with the names by which people know its members: those of the genesis, in
/// the order of the register.
pub(crate) fn named(
    names: &[String],
    plan: &EpochPlan,
    committee: &Committee,
) -> Option<Committee> {
    let of_key = |member: &Member| {
        let planned = plan.validators.iter().find(|it| it.key == member.key);
        let name = planned.and_then(|planned| names.get(planned.number as usize));
        Member { name: name.unwrap_or(&member.name).clone(), ..member.clone() }
    };
    let members = committee.members().iter().map(of_key).collect();
    Committee::new(committee.shard(), committee.epoch(), members).ok()
}

fn parameters(content: &GenesisContent, seats: u16, epochs: &EpochsContent) -> BeaconParameters {
    let schemes = |role| Bounded::truncated(content.schemes.of(role).iter().copied().collect());
    BeaconParameters {
        seats,
        epoch_ms: epochs.epoch_ms,
        shards_max: epochs.shards_max,
        split_above: epochs.split_above,
        merge_below: epochs.merge_below,
        schemes: KeySchemes {
            consensus: schemes(Role::Consensus),
            account: schemes(Role::Account),
            recovery: schemes(Role::Operator),
            transport: schemes(Role::Transport),
        },
    }
}

fn founder(index: usize, validator: &GenesisValidator) -> Result<Founder, Problem> {
    let anchor = validator.anchor.ok_or_else(|| {
        Problem::new(
            format!("validators[{index}].anchor"),
            "there are epochs, and the validator has no hash chain to reveal values of",
            "let its operator run `qcn genesis validator` again",
        )
    })?;
    let identity = Identity {
        name: Bounded::truncated(validator.name.as_bytes().to_vec()),
        consensus: validator.consensus_key.clone(),
        transport: validator.transport_key.clone(),
        recovery: validator.recovery_key.clone(),
        anchor,
        address: validator.address.as_ref().map(|it| Bounded::truncated(it.as_bytes().to_vec())),
    };
    Ok(Founder { identity, weight: Weight(validator.weight) })
}
