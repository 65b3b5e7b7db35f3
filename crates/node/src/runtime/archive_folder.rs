//! Opening the history in a data folder, whatever is there.
//!
//! It is a convenience: what belongs to another network, or cannot be opened, is set aside, and the
//! validator begins a new one. Nothing is deleted.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use qcn_crypto::ChainId;

use super::NodeError;
use crate::archive::{Archive, Retention};

/// In the folder: the network that the history is of.
const CHAIN_FILE: &str = "network";

/// Opens the history of a network.
///
/// # Errors
/// [`NodeError::Archive`] if all that it lacks is room, or a new one cannot be made either;
/// [`NodeError::System`] if the old one cannot be set aside.
pub(super) fn open(
    folder: &Path,
    chain: ChainId,
    retention: Retention,
) -> Result<Archive, NodeError> {
    let mark = folder.join(CHAIN_FILE);
    let chain = chain.to_string();
    let mut is_marked = false;
    if folder.exists() {
        match fs::read_to_string(&mark) {
            Ok(found) if found.trim() == chain => is_marked = true,
            Ok(found) => set_aside(folder, &format!("it is that of network {}", found.trim()))?,
            Err(error) => set_aside(folder, &format!("{}: {error}", mark.display()))?,
        }
    }
    let archive = match Archive::open(folder, retention) {
        Ok(archive) => archive,
        // There is nothing wrong with it, and a new one would not fit either.
        Err(error) if error.is_for_want_of_room() => return Err(error.into()),
        Err(error) => {
            set_aside(folder, &error.to_string())?;
            is_marked = false;
            Archive::open(folder, retention)?
        }
    };
    if !is_marked {
        write_mark(&mark, &(chain + "\n"))?;
    }
    Ok(archive)
}

/// Writes the mark as a whole or not at all, once for a history: were it written anew at every
/// start, a process that is killed in between would leave an empty one, and the history of nobody.
fn write_mark(mark: &Path, text: &str) -> std::io::Result<()> {
    let unfinished = mark.with_extension("unfinished");
    let mut file = File::create(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(unfinished, mark)
}

fn set_aside(folder: &Path, why: &str) -> std::io::Result<()> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let aside = folder.with_file_name(format!("archive.set-aside-{}", since.as_millis()));
    tracing::error!(
        "the history in {} cannot be used ({why}): it is now {}, and a new one begins. Delete it \
         once you do not need it",
        folder.display(),
        aside.display()
    );
    fs::rename(folder, aside)
}

#[cfg(test)]
mod tests;
