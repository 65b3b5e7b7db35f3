//! The keys of a validator on the command line, each with its passphrase.

use std::path::{Path, PathBuf};

use clap::Args;
use qcn_crypto::{Role, SigningKey};
use qcn_node::genesis::ValidatorKeys;
use qcn_node::keyfile::{self, PassphraseSource};

use crate::key::PassphraseArgs;

/// The keys that a validator is registered with.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// The key file of the key that signs its blocks.
    #[arg(long, value_name = "FILE")]
    consensus_key: PathBuf,
    /// The key file of the key that authenticates its links.
    #[arg(long, value_name = "FILE")]
    transport_key: PathBuf,
    /// The key file of the key that can replace the other two.
    #[arg(long, value_name = "FILE")]
    recovery_key: Option<PathBuf>,
    /// The passphrase of the consensus key, if it is not the common one.
    #[arg(long, value_name = "FILE")]
    consensus_passphrase_file: Option<PathBuf>,
    /// The passphrase of the transport key, if it is not the common one.
    #[arg(long, value_name = "FILE")]
    transport_passphrase_file: Option<PathBuf>,
    /// The passphrase of the recovery key, if it is not the common one.
    #[arg(long, value_name = "FILE", requires = "recovery_key")]
    recovery_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl KeyArgs {
    /// Opens the key files.
    pub fn load(&self) -> anyhow::Result<ValidatorKeys> {
        let load = |path: &Path, role, own: &Option<PathBuf>| {
            PassphraseFile { own: own.as_deref(), common: &self.passphrase }.load(path, role)
        };
        let recovery = self.recovery_key.as_deref();
        let of_recovery = |path| load(path, Role::Operator, &self.recovery_passphrase_file);
        Ok(ValidatorKeys {
            consensus: load(&self.consensus_key, Role::Consensus, &self.consensus_passphrase_file)?,
            transport: load(&self.transport_key, Role::Transport, &self.transport_passphrase_file)?,
            recovery: recovery.map(of_recovery).transpose()?,
        })
    }
}

/// Where the passphrase of one key comes from: its own file, or as that of the others.
#[derive(Clone, Copy, Debug)]
pub struct PassphraseFile<'a> {
    /// The file of this key alone.
    pub own: Option<&'a Path>,
    /// What holds for keys without one.
    pub common: &'a PassphraseArgs,
}

impl PassphraseFile<'_> {
    /// Opens a key file.
    pub fn load(&self, path: &Path, role: Role) -> anyhow::Result<SigningKey> {
        let source = match self.own {
            Some(own) => PassphraseSource::choose(Some(own)),
            None => self.common.source(),
        };
        Ok(keyfile::load(path, role, &source)?)
    }
}
