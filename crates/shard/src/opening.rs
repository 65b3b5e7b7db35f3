//! The beginning of an epoch (DESIGN section 7).

use qcn_crypto::{Digest, Domain, hash};
use qcn_ledger::{GenesisError, Ledger, OpenError, Received};
use qcn_types::{BEACON, BlockRef, Checkpoint, EpochPlan, Height, ShardId, encode, outbox_root};

use crate::{Closed, ShardConfig};

/// No epoch opens above this height.
const MAX_HEIGHT: u64 = u64::MAX / 2;

/// What a shard opens an epoch with.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The checkpoint before the first of the epoch. Nobody attests it: it follows from the
    /// certified ends of its origins, and the first checkpoint of the epoch names it.
    pub checkpoint: Checkpoint,
    /// The state after it.
    pub ledger: Ledger,
    /// What became of receipts that were in flight between two shards that are one now.
    pub received: Vec<Received>,
}

impl Opening {
    /// The first epoch of a shard that was there at genesis.
    pub(crate) fn genesis(config: &ShardConfig) -> Result<Self, GenesisError> {
        let (chain, territory) = (config.keys.chain(), config.territory.clone());
        let ledger = Ledger::genesis_of(chain, territory, &config.accounts)?;
        let committee = config.keys.committee();
        let checkpoint = Checkpoint {
            shard: committee.shard(),
            epoch: committee.epoch(),
            state_root: ledger.state_root(),
            ..Checkpoint::default()
        };
        Ok(Self { checkpoint, ledger, received: Vec::new() })
    }

    /// What a shard opens with after the ends of its origins, in the order of
    /// [`EpochPlan::origins`]. Whoever computes it gets the same.
    ///
    /// # Errors
    /// [`OpenError`], if these are not the ends that lead to this shard.
    pub fn after(plan: &EpochPlan, shard: ShardId, ends: &[Closed]) -> Result<Self, OpenError> {
        let finals: Vec<Checkpoint> = ends.iter().map(|end| end.certificate.checkpoint).collect();
        let digest = plan.digest();
        if let Some(other) = finals.iter().find(|end| end.next_epoch != digest) {
            return Err(OpenError::OtherPlan(other.shard));
        }
        let ledgers: Vec<Ledger> = ends.iter().map(|end| end.ledger.clone()).collect();
        // The execution that decides on a plan leaves the beacon's state as the next epoch has it.
        let (ledger, received) = match (shard, ledgers.first()) {
            (BEACON, Some(ledger)) => (ledger.clone(), Vec::new()),
            _ => Ledger::open_with_received(plan, shard, ledgers)?,
        };
        let digests: Vec<Digest> = finals.iter().map(Checkpoint::digest).collect();
        let highest = finals.iter().map(|end| end.height).max().unwrap_or(Height(0));
        // A captured shard may name any height, and nobody may attest two checkpoints for the last.
        let height = Some(highest.next()).filter(|height| height.0 <= MAX_HEIGHT);
        let height = height.ok_or(OpenError::TooMuch)?;
        // What a new shard was split off from did the work until then.
        let executed = finals.iter().filter(|end| plan.actor(end.shard) == shard);
        let checkpoint = Checkpoint {
            shard,
            epoch: plan.epoch,
            height,
            leader: BlockRef::default(),
            time_ms: finals.iter().map(|end| end.time_ms).max().unwrap_or(0),
            executed: executed.map(|end| end.executed).fold(0, u64::saturating_add),
            transactions_root: Digest::ZERO,
            state_root: ledger.state_root(),
            outbox_root: outbox_root(ledger.outbox().ends()),
            parent: hash(Domain::EpochPlan, &encode(&digests)),
            commit: Digest::ZERO,
            next_epoch: Digest::ZERO,
        };
        Ok(Self { checkpoint, ledger, received })
    }
}
