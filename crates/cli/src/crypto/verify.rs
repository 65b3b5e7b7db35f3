//! `qcn crypto verify`.

use std::io::{BufReader, BufWriter, ErrorKind, stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use qcn_crypto::Scheme;

use super::{Hex, batch, message, parse_hex, print_line};

const EXAMPLES: &str = "\
Signatures are checked as the standards have it, without qcn's own domains.

Each line of a batch is an object:
  {\"scheme\":\"ml-dsa-44\",\"public_key\":HEX,\"message\":HEX,\"signature\":HEX}
and may have a \"context\":HEX of up to 255 bytes. Each line is answered, in order, by
  {\"valid\":true,\"reason\":null}      or
  {\"valid\":false,\"reason\":\"...\"}    also for a malformed key or signature, or
  {\"error\":\"...\",\"line\":3}          if the line itself is malformed, or blank.
Lines may have up to 16 MiB. The exit code of a batch is 0 once all lines are answered.

Exit codes for one signature: 0 valid, 1 not valid, 2 bad input.

Examples:
  qcn crypto verify --batch < signatures.jsonl
  qcn crypto sign --key alice.key --message 68656c6c6f | qcn crypto verify --batch
  qcn crypto verify --scheme falcon-512 --public-key 09ab.. --message 68656c6c6f --signature 39cd..";

/// Which signatures to check.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct VerifyArgs {
    /// Check a stream of signatures: one JSON object a line on standard input.
    #[arg(long, conflicts_with_all = ["scheme", "public_key", "message", "message_file", "signature", "context"])]
    batch: bool,
    /// The signature scheme, such as ml-dsa-44.
    #[arg(long, value_name = "SCHEME", required_unless_present = "batch")]
    scheme: Option<Scheme>,
    /// The public key in hexadecimal, as the standard encodes it (not DER).
    #[arg(long, value_name = "HEX", value_parser = parse_hex, required_unless_present = "batch")]
    public_key: Option<Hex>,
    /// The message in hexadecimal.
    #[arg(long, value_name = "HEX", value_parser = parse_hex, conflicts_with = "message_file")]
    message: Option<Hex>,
    /// A file that holds the message.
    #[arg(long, value_name = "FILE")]
    message_file: Option<PathBuf>,
    /// The signature in hexadecimal.
    #[arg(long, value_name = "HEX", value_parser = parse_hex, required_unless_present = "batch")]
    signature: Option<Hex>,
    /// The standard's context string in hexadecimal, up to 255 bytes.
    #[arg(long, value_name = "HEX", value_parser = parse_hex)]
    context: Option<Hex>,
}

/// Checks one signature or a stream of them.
pub fn run(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    if args.batch {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        return match batch::answer_all(BufReader::new(stdin()), BufWriter::new(stdout()), workers) {
            // Whoever reads the answers has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
            answered => answered.map(|()| ExitCode::SUCCESS).context("the stream broke off"),
        };
    }
    let request = batch::Request {
        scheme: args.scheme.context("no --scheme")?,
        public_key: args.public_key.context("no --public-key")?.0,
        message: message(args.message, args.message_file.as_deref())?,
        context: args.context.unwrap_or_default().0,
        signature: args.signature.context("no --signature")?.0,
    };
    let verdict = request.verify();
    print_line(&verdict.to_json())?;
    Ok(ExitCode::from(if verdict.is_valid() { 0 } else { 1 }))
}
