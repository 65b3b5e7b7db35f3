//! `qcn genesis new`: registrations and balances become a genesis.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use clap::Args;
use qcn_crypto::{Digest, Role};
use qcn_node::document::Overwrite;
use qcn_node::genesis::{Genesis, GenesisContent, NamedAccount, ValidatorFile};
use qcn_node::keyfile;
use qcn_types::Address;

use super::layout::LayoutArgs;
use super::show::print_genesis;

const EXAMPLES: &str = "\
The order of --validator is the order of the committee. In a committee of four or more no
validator may weigh more than f, a third of the total; larger weights are lowered, and it is said.

The genesis is plain JSON with all parameters of the network. They may be edited until the network
starts; `qcn genesis check` says what is wrong, and every change gives another chain id.

Examples:
  qcn genesis new --name testnet --validator alice.validator.json --validator bob.validator.json \\
    --validator carol.validator.json --validator dave.validator.json \\
    --account treasury.key=1000000000,treasury --out genesis.json
  qcn genesis new --name sharded --validator *.validator.json --shards 2 --seats 7 \\
    --epoch-seconds 3600 --shards-max 8 --split-above 1000 --merge-below 200 --out genesis.json";

/// What to put together.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct NewArgs {
    /// The network's name, for people.
    #[arg(long)]
    name: String,
    /// A registration that `qcn genesis validator` wrote; once for each validator.
    #[arg(long = "validator", value_name = "FILE", required = true, num_args = 1..)]
    validators: Vec<PathBuf>,
    /// An account's balance, by address or account key file, and its name; once for each account.
    #[arg(long = "account", value_name = "ADDRESS|KEYFILE=BALANCE[,NAME]", num_args = 1..)]
    accounts: Vec<Grant>,
    #[command(flatten)]
    layout: LayoutArgs,
    /// When the network was made, in milliseconds since the Unix epoch, instead of now: the same
    /// arguments then give the same chain id.
    #[arg(long, value_name = "TIME")]
    created_unix_ms: Option<u64>,
    /// The genesis to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    overwrite: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// `ADDRESS=BALANCE`, `FILE=BALANCE`, or either with `,NAME`.
#[derive(Clone, Debug)]
struct Grant {
    holder: String,
    balance: u64,
    name: Option<String>,
}

impl FromStr for Grant {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        const FORM: &str = "write ADDRESS=BALANCE, such as 9f..(64 hex digits)..e1=1000000";
        let Some((holder, rest)) = text.rsplit_once('=') else {
            bail!("no balance is given; {FORM}");
        };
        let (balance, name) = match rest.split_once(',') {
            Some((balance, name)) => (balance, Some(name.to_owned())),
            None => (rest, None),
        };
        let balance: u64 = balance
            .parse()
            .with_context(|| format!("{balance:?} is no whole number of units; {FORM}"))?;
        Ok(Self { holder: holder.to_owned(), balance, name })
    }
}

impl Grant {
    fn account(&self) -> anyhow::Result<NamedAccount> {
        let address = match self.holder.parse::<Digest>() {
            Ok(address) => Address(address),
            Err(no_address) => {
                let path = Path::new(&self.holder);
                if !path.is_file() {
                    bail!(
                        "--account {}: neither an address ({no_address}) nor a file; give what \
                         `qcn account new` printed or wrote",
                        self.holder
                    );
                }
                let file = keyfile::read(path)?;
                file.check_role(Role::Account)
                    .with_context(|| format!("--account {}", self.holder))?;
                Address::of(file.public_key())
            }
        };
        Ok(NamedAccount { address, balance: self.balance, name: self.name.clone() })
    }
}

pub fn run(args: &NewArgs) -> anyhow::Result<ExitCode> {
    let mut validators = Vec::with_capacity(args.validators.len());
    for path in &args.validators {
        validators.push(ValidatorFile::read(path)?.validator);
    }
    let accounts = args.accounts.iter().map(Grant::account).collect::<anyhow::Result<Vec<_>>>()?;
    let created_unix_ms = match args.created_unix_ms {
        Some(time) => time,
        None => now_unix_ms()?,
    };
    let shards = args.layout.content(validators.len())?;
    let content = GenesisContent::new(&args.name, created_unix_ms, validators, accounts);
    let content = GenesisContent { shards, ..content };
    let genesis = Genesis::new(content)?;
    genesis.committee_keys()?;
    let overwrite = if args.overwrite { Overwrite::Replace } else { Overwrite::Refuse };
    genesis.write(&args.out, overwrite)?;
    print_genesis(&genesis, args.json)?;
    Ok(ExitCode::SUCCESS)
}

fn now_unix_ms() -> anyhow::Result<u64> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970; set it, or give --created-unix-ms")?;
    Ok(u64::try_from(since.as_millis())?)
}
