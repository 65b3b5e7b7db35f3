//! `qcn crypto keygen` and `qcn crypto sign`.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use qcn_crypto::{Scheme, SigningKey, from_hex, to_hex};
use serde::{Deserialize, Serialize};

use super::batch::Request;
use super::{Hex, message, parse_hex, print_line};

/// Longest key file that is read; one of ours has at most 5,500 bytes.
const MAX_KEY_FILE_BYTES: u64 = 64 << 10;

const KEYGEN_EXAMPLES: &str = "\
A key file is a JSON object with scheme, public_key and secret_seed. The seed is the
secret: who has it can sign. It is not encrypted.

Examples:
  qcn crypto keygen --scheme ml-dsa-44 --out alice.key
  qcn crypto keygen --scheme falcon-512 --insecure --seed 0000..(64 digits)..0000";

/// Which key to make.
#[derive(Debug, Args)]
#[command(after_help = KEYGEN_EXAMPLES)]
pub struct KeygenArgs {
    /// The signature scheme, such as falcon-512, ml-dsa-44 or slh-dsa-sha2-128s.
    #[arg(long, value_name = "SCHEME")]
    scheme: Scheme,
    /// Make the key of this 32-byte seed instead of a random one; for tests only.
    #[arg(long, value_name = "HEX", requires = "insecure", value_parser = parse_hex)]
    seed: Option<Hex>,
    /// Confirm that a key of a known seed protects nothing.
    #[arg(long, requires = "seed")]
    insecure: bool,
    /// Write the key to a new file that only its owner can read, and print the public part.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

const SIGN_EXAMPLES: &str = "\
The message is signed as the scheme's standard has it, without qcn's own domains, and
printed with its signature as a line for `qcn crypto verify --batch`.

Examples:
  qcn crypto sign --key alice.key --message 68656c6c6f
  qcn crypto sign --key alice.key --message-file letter.txt --context 6170702f31";

/// What to sign, and with which key.
#[derive(Debug, Args)]
#[command(after_help = SIGN_EXAMPLES)]
pub struct SignArgs {
    /// A key file that `qcn crypto keygen` wrote.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The message in hexadecimal.
    #[arg(
        long,
        value_name = "HEX",
        value_parser = parse_hex,
        conflicts_with = "message_file",
        required_unless_present = "message_file"
    )]
    message: Option<Hex>,
    /// A file that holds the message.
    #[arg(long, value_name = "FILE")]
    message_file: Option<PathBuf>,
    /// The standard's context string in hexadecimal, up to 255 bytes.
    #[arg(long, value_name = "HEX", value_parser = parse_hex)]
    context: Option<Hex>,
}

/// A key as it stands in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    scheme: String,
    public_key: String,
    secret_seed: String,
}

/// What may be shown of a key.
#[derive(Serialize)]
struct PublicPart<'a> {
    scheme: &'a str,
    public_key: &'a str,
}

/// Makes a key and prints it, or writes it to a file.
pub fn run_keygen(args: &KeygenArgs) -> anyhow::Result<ExitCode> {
    let key = match &args.seed {
        None => SigningKey::generate(args.scheme)?,
        Some(Hex(seed)) => {
            let Ok(seed) = seed.as_slice().try_into() else {
                bail!("--seed has {} bytes; give 32 bytes, 64 hex digits", seed.len());
            };
            SigningKey::from_seed(args.scheme, seed)?
        }
    };
    let file = KeyFile {
        scheme: key.scheme().to_string(),
        public_key: key.public_key().to_string(),
        secret_seed: to_hex(key.expose_seed()),
    };
    let text = serde_json::to_string(&file)?;
    match &args.out {
        None => print_line(&text)?,
        Some(path) => {
            write_private(path, &text)?;
            let public = PublicPart { scheme: &file.scheme, public_key: &file.public_key };
            print_line(&serde_json::to_string(&public)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a new file that only its owner may read. A key is never overwritten.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).with_context(|| {
        format!("cannot create {}; name a file that does not exist yet", path.display())
    })?;
    writeln!(file, "{text}")
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Signs a message and prints a line for the batch check.
pub fn run_sign(args: &SignArgs) -> anyhow::Result<ExitCode> {
    let key = read_key(&args.key)?;
    let message = message(args.message.clone(), args.message_file.as_deref())?;
    let context = args.context.clone().unwrap_or_default().0;
    let signature = key.sign_raw(&message, &context).context("cannot sign")?;
    let request = Request {
        scheme: key.scheme(),
        public_key: key.public_key().as_bytes().to_vec(),
        message,
        context,
        signature: signature.as_bytes().to_vec(),
    };
    print_line(&request.to_json())?;
    Ok(ExitCode::SUCCESS)
}

fn read_key(path: &Path) -> anyhow::Result<SigningKey> {
    let place = path.display();
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_KEY_FILE_BYTES + 1).read_to_string(&mut text))
        .with_context(|| format!("cannot read the key file {place}"))?;
    ensure!(
        text.len() as u64 <= MAX_KEY_FILE_BYTES,
        "{place} is longer than {MAX_KEY_FILE_BYTES} bytes; give a file that `qcn crypto keygen` wrote"
    );
    parse_key(&text).with_context(|| {
        format!("{place} is no key file; give one that `qcn crypto keygen --out FILE` wrote")
    })
}

/// Reads what stands in a key file.
///
/// # Errors
/// What is wrong, and with which member.
pub fn parse_key(text: &str) -> anyhow::Result<SigningKey> {
    // A structure would be read from an array as well.
    ensure!(text.trim_start().starts_with('{'), "it is no JSON object");
    let file: KeyFile = serde_json::from_str(text)?;
    let scheme: Scheme = file.scheme.parse().context("member scheme")?;
    let seed = from_hex(&file.secret_seed).context("member secret_seed")?;
    let Ok(seed) = seed.as_slice().try_into() else {
        bail!("member secret_seed has {} bytes instead of 32", seed.len());
    };
    let key = SigningKey::from_seed(scheme, seed)?;
    ensure!(
        from_hex(&file.public_key).context("member public_key")? == key.public_key().as_bytes(),
        "members public_key and secret_seed do not belong together"
    );
    Ok(key)
}

#[cfg(test)]
mod tests;
