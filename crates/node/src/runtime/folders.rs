//! Where a node keeps what: in its data folder.
//!
//! ```text
//! log/ archive/                       the only shard of a network without epochs
//! shard-0/log/ shard-0/archive/       each of several
//! shard-0/epoch-7/log/                where there are epochs: one log each
//! beacon/epoch-7/log/ beacon/archive/
//! epochs/                             what the beacon has announced
//! ```

use std::path::{Path, PathBuf};

use qcn_types::{BEACON, ShardId};

use super::envelope::Station;
use crate::genesis::Genesis;

/// Where the block log of a shard is in a data folder.
pub(super) fn log_folder(genesis: &Genesis, data: &Path, station: Station) -> PathBuf {
    epoch_folder(genesis, data, station).join("log")
}

/// Where the history of a shard is in a data folder.
pub(super) fn archive_folder(genesis: &Genesis, data: &Path, shard: ShardId) -> PathBuf {
    shard_folder(genesis, data, shard).join("archive")
}

/// Where everything of a shard in one epoch is.
pub(super) fn epoch_folder(genesis: &Genesis, data: &Path, station: Station) -> PathBuf {
    let folder = shard_folder(genesis, data, station.shard);
    if genesis.beacon().is_none() {
        return folder;
    }
    folder.join(format!("epoch-{}", station.epoch.0))
}

/// Where the announcements are.
pub(super) fn epochs_folder(data: &Path) -> PathBuf {
    data.join("epochs")
}

/// The only shard has the data folder for itself; of several each has a folder in it.
pub(super) fn shard_folder(genesis: &Genesis, data: &Path, shard: ShardId) -> PathBuf {
    if shard == BEACON {
        data.join("beacon")
    } else if genesis.shards().len() == 1 && genesis.beacon().is_none() {
        data.to_owned()
    } else {
        data.join(format!("shard-{shard}"))
    }
}
