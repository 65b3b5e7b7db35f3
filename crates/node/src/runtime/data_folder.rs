//! Whose a data folder is: one process at a time, of one network.
//!
//! It is found out before anything in the folder is looked at, so that a second start of a node, or one
//! with another network's folder, changes nothing.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use qcn_crypto::ChainId;

use crate::document::{DocumentError, Overwrite, Readers, read_text, write_file};

const LOCK_FILE: &str = "in-use";
const CHAIN_FILE: &str = "chain-id";
const MAX_BYTES: u64 = 256;

/// Why a data folder is not taken.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// Another process has it.
    #[error("{folder}: another process uses this data folder: stop it, or name another folder")]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// It is another network's.
    #[error("{folder} belongs to the network {found}, not to {expected}: name the right folder")]
    OtherNetwork {
        /// The folder.
        folder: PathBuf,
        /// Whose it is.
        found: String,
        /// The network of the genesis.
        expected: String,
    },
    /// It cannot be made or used.
    #[error(
        "{path} cannot be used as the data folder: {reason}; see that it can be written, or name another"
    )]
    Unusable {
        /// What was to be made or opened.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// The file that names the network.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// A data folder that this process has.
#[derive(Debug)]
pub(crate) struct DataFolder {
    /// Where the network is written down.
    chain_file: PathBuf,
    chain: String,
    /// Locked as long as it is open.
    _lock: File,
}

impl DataFolder {
    /// Takes a data folder, and makes it if there is none.
    pub(super) fn take(folder: &Path, chain: ChainId) -> Result<Self, DataFolderError> {
        fs::create_dir_all(folder).map_err(unusable(folder))?;
        let lock = Self::hold(folder)?;
        let taken =
            Self { chain_file: folder.join(CHAIN_FILE), chain: chain.to_string(), _lock: lock };
        if !taken.chain_file.exists() {
            return Ok(taken);
        }
        let found = read_text(&taken.chain_file, MAX_BYTES)?;
        if found == taken.chain {
            return Ok(taken);
        }
        let (folder, expected) = (folder.to_path_buf(), taken.chain);
        Err(DataFolderError::OtherNetwork { folder, found, expected })
    }

    /// Keeps every node out of a data folder as long as the file is open.
    pub(crate) fn hold(folder: &Path) -> Result<File, DataFolderError> {
        let path = folder.join(LOCK_FILE);
        let options = OpenOptions::new().create(true).truncate(false).write(true).clone();
        let lock = options.open(&path).map_err(unusable(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => {
                Err(DataFolderError::InUse { folder: folder.to_path_buf() })
            }
            Err(TryLockError::Error(error)) => Err(unusable(&path)(error)),
        }
    }

    /// Writes down whose the folder is, once everything in it has turned out to be.
    pub(super) fn claim(&self) -> Result<(), DataFolderError> {
        if !self.chain_file.exists() {
            let chain = self.chain.as_bytes();
            write_file(&self.chain_file, chain, Readers::Everyone, Overwrite::Replace)?;
        }
        Ok(())
    }
}

fn unusable(path: &Path) -> impl FnOnce(io::Error) -> DataFolderError + use<> {
    let path = path.to_path_buf();
    move |reason| DataFolderError::Unusable { path, reason }
}

#[cfg(test)]
mod tests {
    use qcn_crypto::Digest;

    use super::*;
    use crate::testing::TestFolder;

    #[test]
    fn a_folder_is_of_one_process_and_one_network() {
        let folder = TestFolder::new();
        let data = folder.path().join("data");
        let [own, other] = [7, 8].map(|byte| ChainId(Digest([byte; 32])));
        let taken = DataFolder::take(&data, own).unwrap();
        let again = DataFolder::take(&data, own).unwrap_err();
        assert!(matches!(again, DataFolderError::InUse { .. }), "{again}");
        taken.claim().unwrap();
        drop(taken);
        let foreign = DataFolder::take(&data, other).unwrap_err();
        assert!(matches!(foreign, DataFolderError::OtherNetwork { .. }), "{foreign}");
        drop(DataFolder::take(&data, own).unwrap());
    }

    #[test]
    fn a_file_is_no_folder() {
        let folder = TestFolder::new();
        fs::create_dir_all(folder.path()).unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "text").unwrap();
        let refused = DataFolder::take(&file, ChainId::default()).unwrap_err().to_string();
        assert!(refused.contains("cannot be used as the data folder"), "{refused}");
    }
}
