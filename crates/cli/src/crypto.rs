//! `qcn crypto`: check and make signatures, measure schemes, hash records.

mod batch;
mod bench;
mod keys;
mod layered_hash;
mod verify;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;

pub use batch::answer_line;
pub use keys::parse_key;
/// Work with post-quantum keys, signatures and hashes.
#[derive(Debug, Subcommand)]
pub enum CryptoCommand {
    /// Check signatures, one or a stream of them.
    Verify(verify::VerifyArgs),
    /// Make a key pair.
    Keygen(keys::KeygenArgs),
    /// Sign a message.
    Sign(keys::SignArgs),
    /// Measure sizes and times of each scheme on this machine.
    Bench(bench::BenchArgs),
    /// Hash one JSON document from standard input in two layers.
    LayeredHash(layered_hash::LayeredHashArgs),
}

/// Runs a command. An error is bad input or a failing file, for exit code 2.
pub fn run(command: CryptoCommand) -> anyhow::Result<ExitCode> {
    match command {
        CryptoCommand::Verify(args) => verify::run(args),
        CryptoCommand::Keygen(args) => keys::run_keygen(&args),
        CryptoCommand::Sign(args) => keys::run_sign(&args),
        CryptoCommand::Bench(args) => bench::run(&args),
        CryptoCommand::LayeredHash(args) => layered_hash::run(&args),
    }
}

/// Reads a command line value in hexadecimal.
fn parse_hex(text: &str) -> Result<Hex, qcn_crypto::HexError> {
    qcn_crypto::from_hex(text).map(Hex)
}

/// Bytes that a person or a file gives in hexadecimal.
#[derive(Debug, Clone, Default)]
struct Hex(Vec<u8>);

/// Reads a message that is given either in hexadecimal or as a file.
fn message(hex: Option<Hex>, file: Option<&std::path::Path>) -> anyhow::Result<Vec<u8>> {
    match (hex, file) {
        (Some(hex), _) => Ok(hex.0),
        (None, Some(path)) => std::fs::read(path)
            .with_context(|| format!("cannot read the message file {}", path.display())),
        (None, None) => anyhow::bail!("no message; give --message HEX or --message-file FILE"),
    }
}

/// Writes one line to standard output.
fn print_line(line: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{line}").context("cannot write to standard output")
}
