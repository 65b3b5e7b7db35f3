//! `qcn light`: checking what a network says, with nothing but its genesis.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, stdin};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use qcn_node::genesis::Genesis;
use qcn_node::proof_document::{
    Claims, MAX_DOCUMENT_BYTES, ProofDocument, ProofDocumentError, verify,
};
use qcn_types::CommitteeKeys;
use serde_json::{Value, json};

use crate::key::print;

/// Check proofs from a network without trusting anybody in it.
#[derive(Debug, Subcommand)]
pub enum LightCommand {
    /// Check a proof of an account, a transaction, a checkpoint or a validator's misbehaviour.
    Verify(VerifyArgs),
}

const EXAMPLES: &str = "\
Nothing is asked of the network: the check needs the proof and the genesis, and trusts no
signature but those of more than two thirds of the validators' weight. A proof says what was
certified at its height, which need not be the newest.

Exit codes: 0 the proof is valid, 1 it is not, 2 bad input: a file that is missing, or no proof.

Examples:
  curl -s http://127.0.0.1:8080/v1/accounts/ADDRESS/proof > proof.json
  qcn light verify proof.json --genesis genesis.json
  curl -s http://127.0.0.1:8080/v1/transactions/ID/proof | qcn light verify - --genesis genesis.json --json";

const NOT_A_PROOF_REMEDY: &str =
    "give a proof as `qcn query proof ... --out FILE` writes it, or as a node's /proof answers";

/// Which proof to check.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct VerifyArgs {
    /// A proof document; - reads standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The network's genesis. Compare its chain id with somebody you trust.
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs a light client's command.
pub fn run(command: LightCommand) -> anyhow::Result<ExitCode> {
    match command {
        LightCommand::Verify(args) => run_verify(&args),
    }
}

fn run_verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let keys = Genesis::read(&args.genesis)?.shard_keys()?;
    let text = read_document(&args.file)?;
    let document = ProofDocument::parse(&text)
        .with_context(|| format!("{}: {NOT_A_PROOF_REMEDY}", name_of(&args.file)))?;
    let verdict = verify_in_any(&document, &keys);
    if args.json {
        print(&format!("{}\n", report(&verdict)))?;
    } else {
        print(&describe(&verdict))?;
    }
    Ok(ExitCode::from(if verdict.is_ok() { 0 } else { 1 }))
}

/// Checks a proof against the committee of the shard that it is about: a certificate or a piece of
/// evidence is of one, and all others refuse it.
fn verify_in_any(
    document: &ProofDocument,
    committees: &[CommitteeKeys],
) -> Result<Claims, ProofDocumentError> {
    let mut verdicts = committees.iter().map(|keys| verify(document, keys));
    let first = verdicts.next().expect("a genesis has one shard at least");
    match first {
        Ok(claims) => Ok(claims),
        Err(refusal) => verdicts.find_map(Result::ok).ok_or(refusal),
    }
}

fn name_of(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

fn read_document(path: &Path) -> anyhow::Result<String> {
    if path == Path::new("-") {
        return read_bounded(stdin().lock()).context("cannot read standard input");
    }
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("cannot open {shown}"))?;
    read_bounded(file).with_context(|| format!("cannot read {shown}"))
}

fn read_bounded(source: impl Read) -> anyhow::Result<String> {
    let mut text = String::new();
    source.take(MAX_DOCUMENT_BYTES as u64 + 1).read_to_string(&mut text)?;
    ensure!(text.len() <= MAX_DOCUMENT_BYTES, "a proof has at most {MAX_DOCUMENT_BYTES} bytes");
    Ok(text)
}

fn report(verdict: &Result<Claims, ProofDocumentError>) -> Value {
    match verdict {
        Ok(claims) => json!({ "valid": true, "kind": kind(claims), "claims": claims }),
        Err(error) => json!({ "valid": false, "reason": error.to_string() }),
    }
}

fn describe(verdict: &Result<Claims, ProofDocumentError>) -> String {
    let claims = match verdict {
        Ok(claims) => claims,
        Err(error) => return format!("NOT VALID: {error}\n"),
    };
    let mut text = format!("valid proof of {}\n", kind(claims));
    let shown = serde_json::to_value(claims).unwrap_or_default();
    for (name, value) in shown.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        // Writing to memory does not fail.
        let _ = writeln!(text, "  {:<18}{value}", name.replace('_', " "));
    }
    text
}

const fn kind(claims: &Claims) -> &'static str {
    match claims {
        Claims::Account(_) => "account",
        Claims::Transaction(_) => "transaction",
        Claims::Evidence(_) => "evidence",
        Claims::Checkpoint(_) => "checkpoint",
    }
}
