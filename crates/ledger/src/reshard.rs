//! How a shard begins an epoch: with the final states of the epoch before (DESIGN section 7).
//!
//! Most shards go on with their own state. The lower half of one that splits keeps its lanes and
//! its history, the upper half begins with its accounts alone. Of two that merge the state has
//! everything; only the lanes between the two end, and what is in flight on them arrives.
//!
//! **Invariants**
//! - balances, fees, what is burned and what is in flight add up to the same before and after,
//!   over all shards;
//! - a split and the merge of its halves lead back to the same state root, if nothing has happened
//!   in between;
//! - what opens follows from the final states and the plan alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use qcn_light::Account;
use qcn_light::state::RecordKind;
use qcn_types::{EpochPlan, LaneHead, LaneId, Prefix, ShardId, decode, encode};

use crate::bank::Supply;
use crate::chunks::StateRegion;
use crate::execution::{Overlay, Received};
use crate::lanes::{Lane, Lanes, Territory};
use crate::ledger::Ledger;
use crate::tree::{StateTree, Update};

/// Why a shard cannot begin an epoch like this. Nothing has happened to any state then.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OpenError {
    /// The layout of the epoch does not have the shard.
    #[error("the layout of the epoch has no shard {0}")]
    NoShard(ShardId),
    /// These are not the states that the plan says.
    #[error("the shard opens with the final states of {expected:?}, not of {given:?}")]
    WrongOrigins {
        /// Whose, in order.
        expected: Vec<ShardId>,
        /// Whose states were given.
        given: Vec<ShardId>,
    },
    /// A state is not the one that the plan follows: its final checkpoint names another, or none.
    #[error("the final checkpoint of shard {0} does not name this plan")]
    OtherPlan(ShardId),
    /// The states are of different networks.
    #[error("the states of shards {0} and {1} are not of one network")]
    OtherNetwork(ShardId, ShardId),
    /// The states do not have the addresses that the shard is to have.
    #[error("the states have the addresses {given:?}, the shard is to have {expected}")]
    WrongAddresses {
        /// What the shard is to have.
        expected: Prefix,
        /// What they have.
        given: Vec<Prefix>,
    },
    /// What the two shards have counted cannot be added up: one of them was captured.
    #[error("what the two shards have counted does not fit together into 128 bits")]
    TooMuch,
}

impl Ledger {
    /// The state with which a shard begins the epoch of a plan, out of the final states of
    /// [`EpochPlan::origins`], in that order. A clone of a state is free: whoever wants to go on
    /// with one keeps it.
    ///
    /// # Errors
    /// [`OpenError`] if plan, shard and states do not fit together.
    pub fn open(plan: &EpochPlan, shard: ShardId, origins: Vec<Self>) -> Result<Self, OpenError> {
        Self::open_with_received(plan, shard, origins).map(|(ledger, _)| ledger)
    }

    /// Like [`Ledger::open`], with what became of the receipts that were in flight between two
    /// shards that merge.
    ///
    /// # Errors
    /// [`OpenError`] if plan, shard and states do not fit together.
    pub fn open_with_received(
        plan: &EpochPlan,
        shard: ShardId,
        origins: Vec<Self>,
    ) -> Result<(Self, Vec<Received>), OpenError> {
        let territory = Territory::of(plan, shard).ok_or(OpenError::NoShard(shard))?;
        let given: Vec<ShardId> = origins.iter().map(|origin| origin.territory.shard()).collect();
        let expected = plan.origins(shard);
        if given != expected {
            return Err(OpenError::WrongOrigins { expected, given });
        }
        let given: Vec<Prefix> = origins.iter().map(|origin| origin.territory.prefix()).collect();
        let expected = territory.prefix();
        let wrong = OpenError::WrongAddresses { expected, given: given.clone() };
        let mut origins = origins.into_iter();
        let (Some(origin), other) = (origins.next(), origins.next()) else {
            return Err(wrong);
        };
        if let Some(closed) = other {
            let fits = expected.halves().is_some_and(|halves| given == halves);
            return if fits { merged(origin, closed, territory) } else { Err(wrong) };
        }
        let (old, had) = (origin.territory.shard(), origin.territory.prefix());
        let halves = had.halves().filter(|_| plan.successors(old).len() > 1);
        let opened = match halves {
            None if had == expected => Self { territory, ..origin },
            Some([lower, upper]) if old == shard && lower == expected => {
                lower_half(origin, territory, upper)
            }
            Some([_, upper]) if old != shard && upper == expected => upper_half(&origin, territory),
            _ => return Err(wrong),
        };
        Ok((opened, Vec::new()))
    }
}

/// The accounts of a region hold so much together, and these records lie there by accident: under
/// keys that are no addresses.
fn inventory(region: &StateTree) -> (u128, Vec<Update>) {
    let (mut balances, mut others) = (0_u128, Vec::new());
    for (key, value) in region.iter() {
        if key.kind == RecordKind::Account {
            let account: Account =
                decode(value).expect("the ledger wrote the record, or checked it");
            balances += u128::from(account.balance.0);
        } else {
            others.push((*key, Some(value.into())));
        }
    }
    (balances, others)
}

/// What goes on with everything but the accounts of the upper half.
fn lower_half(origin: Ledger, territory: Territory, upper: Prefix) -> Ledger {
    let region = StateRegion::of(upper);
    let (balances, others) = inventory(&origin.tree.within(&region));
    let mut tree = origin.tree.without(&region);
    tree.apply(others);
    let [supply, _] = origin.supply.divided(balances);
    tree.apply(vec![record_of(&supply)]);
    Ledger { territory, tree, supply, ..origin }
}

/// A new shard with accounts and nothing else.
fn upper_half(origin: &Ledger, territory: Territory) -> Ledger {
    let mut tree = origin.tree.within(&StateRegion::of(territory.prefix()));
    let (balances, others) = inventory(&tree);
    tree.apply(others.into_iter().map(|(key, _)| (key, None)).collect());
    let [_, supply] = origin.supply.divided(balances);
    tree.apply(vec![record_of(&supply)]);
    Ledger { chain: origin.chain, territory, tree, supply, lanes: Arc::default(), beacon: None }
}

/// Two shards in one.
fn merged(
    into: Ledger,
    closed: Ledger,
    territory: Territory,
) -> Result<(Ledger, Vec<Received>), OpenError> {
    if into.chain != closed.chain {
        let (into, closed) = (into.territory.shard(), closed.territory.shard());
        return Err(OpenError::OtherNetwork(into, closed));
    }
    let supply = into.supply.joined(&closed.supply).ok_or(OpenError::TooMuch)?;
    let mut lanes = Lanes::clone(&into.lanes);
    lanes.extend(closed.lanes.iter());
    let mut tree = into.tree.union(closed.tree);
    tree.apply(vec![record_of(&supply)]);
    let mut overlay = Overlay::new(into.chain, &territory, &tree, supply, &lanes);
    for (lane, applied) in inner_lanes(&lanes, &territory) {
        overlay.settle(&lane, &applied);
    }
    let done = overlay.finish(&lanes);
    tree.apply(done.updates);
    let (supply, lanes) = (done.supply, Arc::new(done.lanes));
    assert!(supply.is_conserved(), "a merge must not change the supply: {supply:?}");
    let (chain, beacon) = (into.chain, None);
    Ok((Ledger { chain, territory, tree, supply, lanes, beacon }, done.received))
}

/// The lanes whose both ends are in the territory, in order, and how far the other end of each has
/// applied it. A lane that only one of the ends knows of yet is new for the other.
fn inner_lanes(lanes: &Lanes, territory: &Territory) -> Vec<(Lane, LaneHead)> {
    let inner = lanes.keys().filter(|lane| territory.acts_for(lane.peer));
    let both: BTreeSet<LaneId> = inner.flat_map(|lane| [*lane, lane.reversed()]).collect();
    let end = |id: LaneId| lanes.get(&id).copied().unwrap_or_else(|| Lane::new(id));
    both.into_iter().map(|id| (end(id), end(id.reversed()).end.received)).collect()
}

fn record_of(supply: &Supply) -> Update {
    (Supply::state_key(), Some(encode(supply).into()))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
