//! `qcn key export` and `qcn key import`: the secret itself, on purpose.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use qcn_crypto::{Role, Scheme, SigningKey, from_hex, to_hex};
use qcn_node::keyfile;
use zeroize::Zeroizing;

use super::{DestinationArgs, PassphraseArgs, check_scheme, print, usual_scheme, warn};

/// 64 hex digits and blanks around them.
const MAX_SEED_FILE_BYTES: u64 = 256;

const EXPORT_EXAMPLES: &str = "\
The secret of every scheme is one seed of 32 bytes, printed as 64 hex digits. Who has it has the
key. Make sure that nobody watches and that no shell history or log keeps the output.

Examples:
  qcn key export alice.key --yes-show-secret
  qcn key export alice.key --yes-show-secret --passphrase-file pass.txt > /media/usb/seed.txt";

/// Which secret to print.
#[derive(Debug, Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub struct ExportArgs {
    /// A key file that `qcn key new` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Confirm that the secret is to be shown.
    #[arg(long)]
    yes_show_secret: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run_export(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    ensure!(
        args.yes_show_secret,
        "this prints the secret of {}; add --yes-show-secret if nobody is watching",
        args.file.display()
    );
    let role = keyfile::read(&args.file)?.role();
    let key = keyfile::load(&args.file, role, &args.passphrase.source())?;
    let seed = Zeroizing::new(to_hex(key.expose_seed()));
    warn("what follows is the secret; who has it has the key");
    let text = if args.json {
        let (scheme, public_key) = (key.scheme(), key.public_key());
        // Put together by hand, so that no unwiped copy of the secret is made.
        Zeroizing::new(format!(
            r#"{{"role":"{role}","scheme":"{scheme}","public_key":"{public_key}","secret_seed":"{}"}}"#,
            *seed
        ))
    } else {
        seed
    };
    print(&text)?;
    print("\n")?;
    Ok(ExitCode::SUCCESS)
}

const IMPORT_EXAMPLES: &str = "\
The seed is 64 hex digits, as `qcn key export` prints them. It is never an argument, because
other users of the machine can see those.

Examples:
  qcn key import --role account --seed-file seed.txt --out alice.key
  ssh vault cat seed.txt | qcn key import --role consensus --seed-file - --out consensus.key \\
    --passphrase-file pass.txt";

/// Which secret to import.
#[derive(Debug, Args)]
#[command(after_help = IMPORT_EXAMPLES)]
pub struct ImportArgs {
    /// What the key is for: consensus, transport, account or recovery.
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// The signature scheme that the key was made for; every role has a usual one.
    #[arg(long, value_name = "SCHEME")]
    scheme: Option<Scheme>,
    /// The file with the seed, or - for standard input.
    #[arg(long, value_name = "FILE")]
    seed_file: PathBuf,
    #[command(flatten)]
    destination: DestinationArgs,
}

pub(super) fn run_import(args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let scheme = args.scheme.unwrap_or_else(|| usual_scheme(args.role));
    check_scheme(args.role, scheme)?;
    let seed = read_seed(&args.seed_file)?;
    args.destination.write(args.role, || Ok(SigningKey::from_seed(scheme, &seed)?))
}

fn read_seed(path: &Path) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    const REMEDY: &str = "give 64 hex digits, as `qcn key export` prints them";
    let (name, bytes) = if path == Path::new("-") {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SEED_FILE_BYTES as usize + 1));
        std::io::stdin()
            .take(MAX_SEED_FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .context("cannot read standard input")?;
        ("standard input".to_owned(), bytes)
    } else {
        (path.display().to_string(), keyfile::read_secret(path, MAX_SEED_FILE_BYTES)?)
    };
    let text = std::str::from_utf8(&bytes).unwrap_or_default().trim();
    let Ok(seed) = from_hex(text).map(Zeroizing::new) else {
        bail!("{name}: this is no seed; {REMEDY}");
    };
    match <[u8; 32]>::try_from(seed.as_slice()) {
        Ok(seed) => Ok(Zeroizing::new(seed)),
        Err(_) => bail!("{name}: the seed has {} bytes instead of 32; {REMEDY}", seed.len()),
    }
}
