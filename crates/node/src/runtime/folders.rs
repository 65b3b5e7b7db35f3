//! Where a node keeps what: in its data folder.
//!
//! ```text
//! log/ archive/                       the only shard of a network without epochs
//! shard-0/log/ shard-0/archive/       each of several
//! shard-0/epoch-7/log/                where there are epochs: one log each
//! beacon/epoch-7/log/ beacon/archive/
//! shard-1/epoch-7/end/                the fetched end of an epoch without a seat in it
//! epochs/                             what the beacon has announced
//! ```

use std::path::{Path, PathBuf};

use qcn_types::{BEACON, Epoch, ShardId};

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

/// Where the end of an epoch is kept in which this validator had no seat.
pub(super) fn end_folder(genesis: &Genesis, data: &Path, station: Station) -> PathBuf {
    epoch_folder(genesis, data, station).join("end")
}

/// The folders of epochs before one, of all shards.
pub(super) fn folders_before(data: &Path, epoch: Epoch) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for shard in folders_in(data, |name| name == "beacon" || name.starts_with("shard-"))? {
        let is_old = |name: &str| {
            let number = name.strip_prefix("epoch-").and_then(|number| number.parse::<u64>().ok());
            number.is_some_and(|number| number < epoch.0)
        };
        found.extend(folders_in(&shard, is_old)?);
    }
    Ok(found)
}

fn folders_in(folder: &Path, is_it: impl Fn(&str) -> bool) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let has_name = entry.file_name().to_str().is_some_and(&is_it);
        if has_name && entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
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
