//! Which shards and epochs a new genesis asks for.

use anyhow::{bail, ensure};
use clap::Args;
use qcn_node::genesis::{EpochsContent, ShardsContent};
use qcn_types::MAX_SHARDS;

/// Above what a shard is split, unless told: in transactions per second.
const USUAL_SPLIT_ABOVE: u64 = 1_000;

/// Into how many shards the accounts are divided, and how committees change.
#[derive(Debug, Args)]
pub struct LayoutArgs {
    /// Divide the accounts among so many shards, each with a chain and a committee of its own.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: Option<u16>,
    /// How many validators serve each shard, drawn by weight; all of them if not given. `qcn shard
    /// plan` says how many a layout needs.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    seats: Option<u16>,
    /// Draw new committees every so many seconds, or later: a beacon of all validators counts them.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..))]
    epoch_seconds: Option<u32>,
    /// To how many shards splits may lead; as many as there are if not given.
    #[arg(long, value_name = "N", requires = "epoch_seconds",
          value_parser = clap::value_parser!(u16).range(1..=256))]
    shards_max: Option<u16>,
    /// Split a shard that executes more transactions per second in two epochs in a row; 1000 if not
    /// given.
    #[arg(long, value_name = "TPS", requires = "shards_max")]
    split_above: Option<u64>,
    /// Merge two siblings that execute less together in two epochs in a row: at most a third of
    /// --split-above. Nothing is merged by load if not given.
    #[arg(long, value_name = "TPS", requires = "epoch_seconds")]
    merge_below: Option<u64>,
}

impl LayoutArgs {
    /// The section of the genesis; none if one shard of all validators is to go on for ever.
    pub fn content(&self, validators: usize) -> anyhow::Result<Option<ShardsContent>> {
        if self.shards.is_none() && self.seats.is_none() && self.epoch_seconds.is_none() {
            return Ok(None);
        }
        let count = self.shards.unwrap_or(1);
        let seats = match self.seats {
            Some(seats) if usize::from(seats) > validators => bail!(
                "--seats {seats}: there are {validators} validators; give at most so many, or \
                 register more"
            ),
            Some(seats) => seats,
            // More than fit are refused with the number of validators that a genesis takes.
            None => u16::try_from(validators).unwrap_or(u16::MAX),
        };
        let epochs = self.epoch_seconds.map(|seconds| self.epochs(count, seconds)).transpose()?;
        Ok(Some(ShardsContent { count, seats, epochs }))
    }

    fn epochs(&self, count: u16, epoch_seconds: u32) -> anyhow::Result<EpochsContent> {
        let shards_max = self.shards_max.unwrap_or(count);
        ensure!(
            shards_max >= count,
            "--shards-max {shards_max} is below the {count} shards to begin with; give {count} to \
             {MAX_SHARDS}"
        );
        let split_above = self.split_above.unwrap_or(USUAL_SPLIT_ABOVE);
        let merge_below = self.merge_below.unwrap_or(0);
        let most = split_above / 3;
        ensure!(
            merge_below <= most,
            "--merge-below {merge_below} is more than a third of the {split_above} above which a \
             shard is split, so that shards would be merged and split in turn; give {most} or \
             less, or a higher --split-above"
        );
        let epoch_ms = u64::from(epoch_seconds) * 1_000;
        Ok(EpochsContent { epoch_ms, shards_max, split_above, merge_below })
    }
}
