//! What may be shown of a key file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use qcn_crypto::{KeyFile, Role};
use qcn_node::keyfile;
use qcn_types::Address;
use serde::Serialize;

use super::print;

const SHOW_EXAMPLES: &str = "\
What a sealed file says is certain only once it was opened: `qcn key export` and every command
that signs check it.

Examples:
  qcn key show alice.key
  qcn key show consensus.key --json";

/// Which key file to show.
#[derive(Debug, Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub struct ShowArgs {
    /// A key file that `qcn key new` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run_show(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    KeyReport::new(&args.file, &keyfile::read(&args.file)?).print(args.json)
}

/// The public part of a key file.
#[derive(Debug, Serialize)]
pub struct KeyReport {
    file: PathBuf,
    role: String,
    scheme: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    key_digest: String,
    public_key: String,
    encrypted: bool,
}

impl KeyReport {
    /// What may be shown of `key`, which lies at `path`.
    pub fn new(path: &Path, key: &KeyFile) -> Self {
        let public_key = key.public_key();
        let is_account = key.role() == Role::Account;
        Self {
            file: path.to_owned(),
            role: key.role().to_string(),
            scheme: public_key.scheme().to_string(),
            address: is_account.then(|| Address::of(public_key).to_string()),
            key_digest: public_key.digest().to_string(),
            public_key: public_key.to_string(),
            encrypted: key.is_sealed(),
        }
    }

    /// Prints it for a person, or as JSON.
    pub fn print(&self, json: bool) -> anyhow::Result<ExitCode> {
        if json {
            print(&format!("{}\n", serde_json::to_string(self)?))?;
        } else {
            print(&self.text()?)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Without the whole public key, which fills a screen and which people compare by its digest.
    fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        writeln!(text, "file       {}", self.file.display())?;
        writeln!(text, "role       {}", self.role)?;
        writeln!(text, "scheme     {}", self.scheme)?;
        if let Some(address) = &self.address {
            writeln!(text, "address    {address}")?;
        }
        writeln!(text, "key digest {}", self.key_digest)?;
        let encrypted = if self.encrypted { "yes" } else { "no: whoever reads the file has it" };
        writeln!(text, "encrypted  {encrypted}")?;
        Ok(text)
    }
}
