//! `qcn transfer` and `qcn rotate-key`: sign here, submit to a node, follow until it is final.

mod file;
mod follow;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use qcn_crypto::{ChainId, Digest, Role, SigningKey, prove_possession};
use qcn_types::{Action, Address, Amount, Transaction, TransactionBody, encode};
use serde_json::json;

use crate::account_key::{load_account_key, parse_address, parse_digest};
use crate::client::responses::{AccountAnswer, Status};
use crate::client::{Client, ClientError, NodeArgs};
use crate::key::PassphraseArgs;
use crate::output::{print, print_line};
use follow::{Follower, Progress};

/// Exit code of a transaction that was refused, failed, or is not final in time.
const EXIT_NOT_APPLIED: u8 = 1;
/// How long a node that has just started may take to know a certified state.
const STARTED_WITHIN: Duration = Duration::from_secs(10);
/// The longest time that is waited, in seconds.
const TIMEOUT_SECONDS_MAX: u64 = 86_400;

pub const TRANSFER_EXAMPLES: &str = "\
The transaction is signed on this machine; the node never sees the key. The chain and the next
nonce come from the node, unless --chain-id and --nonce give them: then --out needs no node.

Exit code: 0 if the transfer is final (with --no-wait: taken in), 1 if it was refused, failed,
or is not final in time, 2 for bad input or a node that cannot be reached.

Examples:
  qcn transfer --key alice.key --to ADDRESS --amount 100
  qcn transfer --key alice.key --to ADDRESS --amount 5 --json | jq .final_ms
  qcn transfer --key alice.key --to ADDRESS --amount 5 --chain-id ID --nonce 3 --out signed.json
  qcn transfer --submit signed.json";

pub const ROTATE_EXAMPLES: &str = "\
From then on the new key signs for the account, and the old one no more. The account keeps its
address: give it as --from with the new key.

Exit code: as for `qcn transfer`.

Examples:
  qcn rotate-key --key alice.key --new-key alice-2.key
  qcn transfer --key alice-2.key --from ADDRESS --to OTHER --amount 1";

/// What to transfer.
#[derive(Debug, Args)]
pub struct TransferArgs {
    /// The sender's account key.
    #[arg(long, value_name = "FILE", required_unless_present = "submit")]
    key: Option<PathBuf>,
    /// Who receives.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address,
          required_unless_present = "submit")]
    to: Option<Address>,
    /// How much, in the smallest unit.
    #[arg(long, value_name = "N", required_unless_present = "submit",
          value_parser = parse_amount)]
    amount: Option<u64>,
    /// Submit a transaction that --out wrote, instead of signing one.
    #[arg(long, value_name = "FILE",
          conflicts_with_all = ["key", "to", "amount", "from", "fee", "nonce", "out"])]
    submit: Option<PathBuf>,
    #[command(flatten)]
    sending: SendArgs,
}

/// Which key follows which.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The account's present key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The key that is to sign from now on.
    #[arg(long, value_name = "FILE")]
    new_key: PathBuf,
    #[command(flatten)]
    sending: SendArgs,
}

/// What all transactions have in common.
#[derive(Debug, Args)]
struct SendArgs {
    /// The account, where its address is not that of the key because the key was rotated.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    from: Option<Address>,
    /// The fee.
    #[arg(long, value_name = "N", default_value_t = qcn_ledger::MIN_FEE.0, value_parser = parse_units)]
    fee: u64,
    /// The number of the transaction; the account's next one if not given.
    #[arg(long, value_name = "N")]
    nonce: Option<u64>,
    /// The network; the node's if not given. A node of another network is refused.
    #[arg(long, value_name = "ID", value_parser = parse_digest)]
    chain_id: Option<Digest>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(flatten)]
    node: NodeArgs,
    /// Do not wait until it is final.
    #[arg(long)]
    no_wait: bool,
    /// How long to wait, in seconds.
    #[arg(long, value_name = "S", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(1..=TIMEOUT_SECONDS_MAX))]
    timeout: u64,
    /// Write the signed transaction to a new file instead of submitting it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs `qcn transfer`.
pub fn run(args: &TransferArgs) -> anyhow::Result<ExitCode> {
    if let Some(path) = &args.submit {
        let signed = file::read(path)?;
        let client = args.sending.node.client()?;
        let chain = chain_of(&client, args.sending.chain_id)?;
        ensure!(
            chain == signed.chain,
            "{} is signed for the network {}, and {} belongs to {chain}; name a node of its \
             network with --node",
            path.display(),
            signed.chain,
            client.url(),
        );
        return submit(&args.sending, &client, &signed);
    }
    let (Some(key), Some(to), Some(amount)) = (&args.key, args.to, args.amount) else {
        bail!("give --key, --to and --amount, or --submit FILE");
    };
    let key = load_account_key(key, &args.sending.passphrase)?;
    send(&args.sending, &key, |_| Ok(Action::Transfer { to, amount: Amount(amount) }))
}

/// Runs `qcn rotate-key`.
pub fn run_rotate(args: &RotateArgs) -> anyhow::Result<ExitCode> {
    let [key, new_key] =
        [&args.key, &args.new_key].map(|path| load_account_key(path, &args.sending.passphrase));
    let (key, new_key) = (key?, new_key?);
    ensure!(
        key.public_key() != new_key.public_key(),
        "--new-key {} is the same key as --key; make another one",
        args.new_key.display()
    );
    send(&args.sending, &key, |chain| {
        let possession = prove_possession(&new_key, chain, Role::Account)?;
        Ok(Action::RotateKey { key: new_key.public_key().clone(), possession })
    })
}

fn parse_units(text: &str) -> Result<u64, String> {
    let wrong = || format!("give a whole number of units from 0 to {}, such as 100", u64::MAX);
    text.parse().map_err(|_| wrong())
}

fn parse_amount(text: &str) -> Result<u64, String> {
    match parse_units(text)? {
        0 => Err("give 1 unit at least".to_owned()),
        amount => Ok(amount),
    }
}

/// A transaction and the network that it is signed for.
#[derive(Debug, PartialEq, Eq)]
struct Signed {
    chain: ChainId,
    transaction: Transaction,
}

/// Signs an action, and submits it or writes it down.
fn send(
    args: &SendArgs,
    key: &SigningKey,
    action: impl FnOnce(ChainId) -> anyhow::Result<Action>,
) -> anyhow::Result<ExitCode> {
    let sender = args.from.unwrap_or_else(|| Address::of(key.public_key()));
    let client = args.node.client()?;
    let (chain, nonce) = match (args.chain_id, args.nonce, &args.out) {
        (Some(chain), Some(nonce), Some(_)) => (ChainId(chain), nonce),
        _ => ask(args, &client, sender, key)?,
    };
    let body = TransactionBody { sender, nonce, fee: Amount(args.fee), action: action(chain)? };
    let signature = key.sign(&TransactionBody::signing_context(chain), &encode(&body))?;
    let transaction = Transaction { body, key: key.public_key().clone(), signature };
    let signed = Signed { chain, transaction };
    match &args.out {
        None => submit(args, &client, &signed),
        Some(path) => {
            file::write(path, &signed)?;
            print(&written(args, path, &signed))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn written(args: &SendArgs, path: &std::path::Path, signed: &Signed) -> String {
    let body = &signed.transaction.body;
    if args.json {
        let file = path.display().to_string();
        let id = body.id().to_string();
        return format!("{}\n", json!({ "id": id, "nonce": body.nonce, "file": file }));
    }
    format!(
        "signed     {} (nonce {}, fee {})\nwritten    {}; submit it with `qcn transfer --submit \
         {}`\n",
        body.id(),
        body.nonce,
        body.fee,
        path.display(),
        path.display()
    )
}

/// The chain and the next nonce, after a look at whether the transaction can succeed at all.
fn ask(
    args: &SendArgs,
    client: &Client,
    sender: Address,
    key: &SigningKey,
) -> anyhow::Result<(ChainId, u64)> {
    let chain = chain_of(client, args.chain_id)?;
    let deadline = Instant::now() + STARTED_WITHIN;
    let account: AccountAnswer =
        client.get_certified(&format!("/v1/accounts/{sender}"), deadline)?;
    ensure!(
        account.exists,
        "the account {sender} does not exist at height {}; pay something to it first, or give \
         --from if its key was rotated",
        account.height
    );
    let own = Address::of(key.public_key()).0.to_string();
    if let Some(present) = account.key.filter(|present| *present != own) {
        bail!(
            "this key may not sign for the account {sender}: the key {own} is given, and \
             {present} may sign; give that key, or --from if it is for another account"
        );
    }
    Ok((chain, args.nonce.unwrap_or(account.next_nonce)))
}

fn chain_of(client: &Client, expected: Option<Digest>) -> anyhow::Result<ChainId> {
    let status: Status = client.get("/v1/status")?;
    let chain: Digest = status.chain_id.parse().with_context(|| {
        format!("{}/v1/status gives a chain_id that is no digest; is it a qcn node?", client.url())
    })?;
    ensure!(
        expected.is_none_or(|expected| expected == chain),
        "{} belongs to the network {chain}, not to that of --chain-id; name another node with \
         --node",
        client.url()
    );
    Ok(ChainId(chain))
}

/// Submits a transaction, and follows it if that is wanted.
fn submit(args: &SendArgs, client: &Client, signed: &Signed) -> anyhow::Result<ExitCode> {
    let body = &signed.transaction.body;
    let id = body.id();
    let begun = Instant::now();
    let mut progress = Progress::new(signed, !args.json);
    match client.submit(&encode(&signed.transaction)) {
        Ok(taken) => ensure!(
            taken.id == id.to_string(),
            "{} took the transaction {id} as {}; is it a node of this version?",
            client.url(),
            crate::output::harmless(&taken.id)
        ),
        Err(error) if error.leaves_open() => {
            return Err(error).with_context(|| {
                format!(
                    "the transaction {id} may have been taken in; see `qcn query transaction \
                     {id}` before you send another"
                )
            });
        }
        Err(ClientError::Refused { refusal, .. }) => progress.refused(&refusal.to_string()),
        Err(error) => return Err(error.into()),
    }
    if !progress.is_refused() {
        progress.taken(begun.elapsed())?;
        if !args.no_wait {
            let deadline = begun + Duration::from_secs(args.timeout);
            Follower { client, begun, deadline }.run(&mut progress)?;
        }
    }
    if args.json {
        print_line(&progress.json().to_string())?;
    }
    let in_order = progress.conclude(args.no_wait, args.timeout);
    Ok(if in_order { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NOT_APPLIED) })
}
