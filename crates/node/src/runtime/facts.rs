//! What clients are told of an epoch: its shards and who serves them.

use std::sync::Arc;

use qcn_types::{Committee, EpochPlan, ShardId, ValidatorIndex};

use super::seats::Seats;
use crate::api::{EpochFacts, ShardFacts};
use crate::genesis::{Genesis, GenesisShard};

/// A shard of the genesis.
pub(super) fn of_shard(genesis: &Genesis, shard: &GenesisShard) -> ShardFacts {
    ShardFacts {
        id: shard.id,
        prefix: shard.prefix,
        committee: Arc::clone(&shard.committee),
        seats: shard.seats.clone(),
        addresses: shard.seats.iter().map(|index| address(genesis, *index)).collect(),
    }
}

/// An epoch of a plan.
pub(super) fn of_epoch(
    plan: &EpochPlan,
    began_unix_ms: u64,
    address: impl Fn(ValidatorIndex) -> Option<String>,
    committee: impl Fn(ShardId) -> Option<Arc<Committee>>,
) -> EpochFacts {
    let shard = |(prefix, id): &(qcn_types::Prefix, ShardId)| {
        let seats = Seats::planned(plan, *id)?.members().to_vec();
        let addresses = seats.iter().map(|index| address(*index)).collect();
        Some(ShardFacts { id: *id, prefix: *prefix, committee: committee(*id)?, seats, addresses })
    };
    EpochFacts {
        epoch: plan.epoch,
        layout: Arc::new(plan.layout.clone()),
        shards: plan.layout.shards().iter().filter_map(shard).collect(),
        reshardings: plan.reshardings.to_vec(),
        began_unix_ms,
    }
}

fn address(genesis: &Genesis, validator: ValidatorIndex) -> Option<String> {
    genesis.validators().get(validator.position())?.address.clone()
}
