//! `qcn crypto layered-hash`.

use std::io::{Read as _, stdin};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use qcn_crypto::layered::canonical_json;
use qcn_crypto::layered_hash;

use super::print_line;

/// Longest document that is read.
const MAX_DOCUMENT_BYTES: u64 = 64 << 20;

const EXAMPLES: &str = "\
The hash is sha256(hex(sha256(canonical)) + \"quantum_salt\"), where canonical is what
Python gives for the document without its top-level member \"hash\":
  json.dumps(document, sort_keys=True, default=str)
Documents that Python's json.loads refuses are refused. Input has up to 64 MiB of UTF-8.

Examples:
  echo '{\"index\": 1, \"data\": \"hello\"}' | qcn crypto layered-hash
  qcn crypto layered-hash < block.json
  qcn crypto layered-hash --canonical < block.json";

/// What to print of the document.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct LayeredHashArgs {
    /// Print the canonical text that is hashed instead of the hash.
    #[arg(long)]
    canonical: bool,
}

/// Hashes the document on standard input.
pub fn run(args: &LayeredHashArgs) -> anyhow::Result<ExitCode> {
    let text = read_document(stdin().lock())?;
    let printed = if args.canonical { canonical_json(&text) } else { layered_hash(&text) };
    print_line(&printed.context("standard input is no JSON that Python reads")?)?;
    Ok(ExitCode::SUCCESS)
}

fn read_document(input: impl std::io::Read) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    input
        .take(MAX_DOCUMENT_BYTES + 1)
        .read_to_end(&mut bytes)
        .context("cannot read standard input")?;
    if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
        bail!("the document is longer than {MAX_DOCUMENT_BYTES} bytes");
    }
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        anyhow::anyhow!("standard input is not UTF-8 at byte {offset}; convert it to UTF-8")
    })
}
