//! `qcn light`: checking what a network says, with nothing but its genesis.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, stdin};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, ensure};
use clap::{Args, Subcommand};
use qcn_node::genesis::Genesis;
use qcn_node::proof_document::{
    Claims, Followed, MAX_DOCUMENT_BYTES, ProofDocument, ProofDocumentError, Trusted, Verdict,
};
use serde_json::{Value, json};

use crate::key::print;
use crate::output::unreadable;

/// Check proofs from a network without trusting anybody in it.
#[derive(Debug, Subcommand)]
pub enum LightCommand {
    /// Check a proof of an account, a transaction, a receipt that left its shard, a checkpoint or a
    /// validator's misbehaviour.
    Verify(VerifyArgs),
}

const EXAMPLES: &str = "\
Nothing is asked of the network: the check needs the proof and the genesis, and trusts no
signature but those of more than two thirds of the validators' weight. A proof says what was
certified at its height, which need not be the newest.

Where committees change from epoch to epoch, a proof brings the beacon's announcements that lead
from the genesis to the committee that has signed it; each of them is checked too.

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
    let trusted = Trusted::of(&Genesis::read(&args.genesis)?)?;
    let text = read_document(&args.file)?;
    let document = ProofDocument::parse(&text)
        .map_err(|error| anyhow!("{}: {error}; {NOT_A_PROOF_REMEDY}", name_of(&args.file)))?;
    let verdict = trusted.verify(&document);
    if args.json {
        print(&format!("{}\n", report(&verdict)))?;
    } else {
        print(&describe(&verdict))?;
    }
    Ok(ExitCode::from(if verdict.is_ok() { 0 } else { 1 }))
}

fn name_of(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

fn read_document(path: &Path) -> anyhow::Result<String> {
    let text = match path == Path::new("-") {
        true => read_bounded(stdin().lock()).context("cannot read standard input"),
        false => File::open(path).and_then(read_bounded).map_err(|error| unreadable(path, &error)),
    }?;
    let name = name_of(path);
    ensure!(
        text.len() <= MAX_DOCUMENT_BYTES,
        "{name}: a proof has at most {MAX_DOCUMENT_BYTES} bytes; {NOT_A_PROOF_REMEDY}"
    );
    Ok(text)
}

fn read_bounded(source: impl Read) -> io::Result<String> {
    let mut text = String::new();
    source.take(MAX_DOCUMENT_BYTES as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

fn report(verdict: &Result<Verdict, ProofDocumentError>) -> Value {
    let Verdict { claims, epochs } = match verdict {
        Ok(verdict) => verdict,
        Err(error) => return json!({ "valid": false, "reason": error.to_string() }),
    };
    let mut report = json!({ "valid": true, "kind": kind(claims), "claims": claims });
    if let Some(Followed { epoch, announcements }) = epochs {
        report["epoch"] = json!(epoch.0);
        report["announcements"] = json!(announcements);
    }
    report
}

fn describe(verdict: &Result<Verdict, ProofDocumentError>) -> String {
    let Verdict { claims, epochs } = match verdict {
        Ok(verdict) => verdict,
        Err(error) => return format!("NOT VALID: {error}\n"),
    };
    let mut text = format!("valid proof of {}\n", kind(claims));
    // Writing to memory does not fail.
    let mut write = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<18}{value}");
    };
    let shown = serde_json::to_value(claims).unwrap_or_default();
    for (name, value) in shown.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        write(&name.replace('_', " "), &value);
    }
    if let Some(Followed { epoch, announcements }) = epochs {
        write("epoch", &epoch.to_string());
        write("announcements", &format!("{announcements} followed from the genesis"));
    }
    text
}

const fn kind(claims: &Claims) -> &'static str {
    match claims {
        Claims::Account(_) => "account",
        Claims::Transaction(_) => "transaction",
        Claims::Receipt(_) => "receipt",
        Claims::Evidence(_) => "evidence",
        Claims::Checkpoint(_) => "checkpoint",
    }
}
