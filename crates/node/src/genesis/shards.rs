//! Which shards a genesis has, who serves them, and which accounts are theirs.

use std::sync::Arc;

use qcn_crypto::Digest;
use qcn_ledger::GenesisAccount;
use qcn_light::{DrawError, draw_committees};
use qcn_types::{
    Amount, Cap, Committee, Epoch, Layout, LayoutError, MAX_SHARDS, Member, Prefix, ShardId,
    ValidatorIndex, Weight,
};

use super::{GenesisContent, GenesisValidator};
use crate::document::Problem;

/// A shard at genesis.
#[derive(Clone, Debug)]
pub struct GenesisShard {
    /// Its name.
    pub id: ShardId,
    /// What its addresses begin with.
    pub prefix: Prefix,
    /// Who serves it, with weights as formation gave them.
    pub committee: Arc<Committee>,
    /// Its members' places among the validators of the genesis, rising; a seat is a place in this
    /// list, and the member's index in the committee.
    pub seats: Vec<ValidatorIndex>,
    /// The weights that formation lowered, because no member of four or more may weigh more than f.
    pub caps: Vec<Cap>,
    /// The balances of its accounts.
    pub accounts: Arc<[GenesisAccount]>,
}

impl GenesisShard {
    /// The seat of a validator of the genesis, if it has one.
    #[must_use]
    pub fn seat_of(&self, validator: ValidatorIndex) -> Option<ValidatorIndex> {
        let seat = self.seats.binary_search(&validator).ok()?;
        u16::try_from(seat).ok().map(ValidatorIndex)
    }
}

/// The shards of content whose other rules were checked.
pub(super) fn form(
    content: &GenesisContent,
    seed: &Digest,
) -> Result<(Layout, Vec<GenesisShard>), Problem> {
    let layout = layout(content)?;
    let seated = seated(content, seed, &layout)?;
    let mut shards = Vec::with_capacity(seated.len());
    for (&(prefix, id), seats) in layout.shards().iter().zip(seated) {
        let entries = seats.iter().map(|at| &content.validators[*at]);
        let formed = Committee::form(id, Epoch(0), entries.map(member).collect());
        let (committee, caps) = formed.map_err(|error| {
            Problem::new("validators", error.to_string(), "change them accordingly")
        })?;
        let own = content.accounts.iter().filter(|one| layout.shard_of(&one.address) == id);
        let account = |one: &super::NamedAccount| GenesisAccount {
            address: one.address,
            balance: Amount(one.balance),
        };
        shards.push(GenesisShard {
            id,
            prefix,
            committee: Arc::new(committee),
            seats: seats.into_iter().map(|at| ValidatorIndex(at as u16)).collect(),
            caps,
            accounts: own.map(account).collect(),
        });
    }
    Ok((layout, shards))
}

fn layout(content: &GenesisContent) -> Result<Layout, Problem> {
    let Some(shards) = content.shards else {
        return Ok(Layout::whole(ShardId(0)));
    };
    Layout::even(usize::from(shards.count)).map_err(|error: LayoutError| {
        let remedy = format!("give 1 to {MAX_SHARDS}, or leave `shards` out for one of all");
        Problem::new("shards.count", error.to_string(), remedy)
    })
}

/// Who sits where: places in the list of validators, rising, for each shard.
fn seated(
    content: &GenesisContent,
    seed: &Digest,
    layout: &Layout,
) -> Result<Vec<Vec<usize>>, Problem> {
    let Some(shards) = content.shards else {
        return Ok(vec![(0..content.validators.len()).collect()]);
    };
    let ids: Vec<ShardId> = layout.shards().iter().map(|(_, id)| *id).collect();
    let weights: Vec<Weight> =
        content.validators.iter().map(|entry| Weight(entry.weight)).collect();
    let drawn = draw_committees(seed, Epoch(0), &weights, &ids, usize::from(shards.seats));
    let drawn = drawn.map_err(|error| {
        let (place, remedy) = match &error {
            DrawError::NoSeats
            | DrawError::TooManySeats(_)
            | DrawError::TooFewCandidates { .. } => {
                let most = content.validators.len();
                ("shards.seats", format!("give 1 to {most}, the number of validators"))
            }
            _ => ("shards", "change the section, or the validators' weights".to_owned()),
        };
        Problem::new(place, error.to_string(), remedy)
    })?;
    Ok(drawn.committees.into_iter().map(|committee| committee.seats).collect())
}

fn member(validator: &GenesisValidator) -> Member {
    Member {
        name: validator.name.clone(),
        key: validator.consensus_key.clone(),
        weight: Weight(validator.weight),
    }
}
