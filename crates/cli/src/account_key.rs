//! Where the commands that sign get account keys from.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use qcn_crypto::{Digest, Role, SigningKey};
use qcn_node::keyfile;
use qcn_types::Address;

use crate::key::PassphraseArgs;

/// The most key files that a folder may have.
const FOLDER_KEYS_MAX: usize = 100_000;

/// The account key of a file; only a sealed file asks for the passphrase.
pub fn load_account_key(path: &Path, passphrase: &PassphraseArgs) -> anyhow::Result<SigningKey> {
    Ok(keyfile::load(path, Role::Account, &passphrase.source())?)
}

/// The key files of a folder: all that end in `.key`, in order of their names.
pub fn key_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let shown = folder.display();
    let read = || format!("cannot read the folder {shown}");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(read)? {
        let path = entry.with_context(read)?.path();
        if path.extension().is_some_and(|ending| ending == "key") && path.is_file() {
            files.push(path);
        }
        ensure!(files.len() <= FOLDER_KEYS_MAX, "{shown} has more than {FOLDER_KEYS_MAX} keys");
    }
    ensure!(
        !files.is_empty(),
        "{shown} has no file that ends in .key; give the folder of the account keys"
    );
    files.sort();
    Ok(files)
}

/// Reads an address on the command line.
pub fn parse_address(text: &str) -> Result<Address, String> {
    let digest: Result<Digest, _> = text.parse();
    digest.map(Address).map_err(|error| format!("{error}; an address has 64 hex digits"))
}

/// Reads a digest on the command line.
pub fn parse_digest(text: &str) -> Result<Digest, String> {
    text.parse().map_err(|error| format!("{error}; a digest has 64 hex digits"))
}
