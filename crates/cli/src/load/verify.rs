//! After the load: is all that was taken in final at every node, and does everything add up?

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::lane::lock;
use super::run::{Phase, Progress, Run};
use super::sender::{FEE, Sender};
use crate::client::Client;
use crate::client::responses::{AccountAnswer, Supply};

/// How long to wait before an account is read again.
const READ_AGAIN: Duration = Duration::from_millis(50);
/// How often progress is shown.
const SHOW_EVERY: Duration = Duration::from_millis(100);
/// The most violations of a kind that are listed one by one.
const LISTED_MAX: usize = 5;

/// What the nodes said in the end.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Transactions that are final at every node, by nonces.
    pub finalized: u64,
    /// Transactions that were taken in and are not final at every node.
    pub not_final: u64,
    /// What may never happen.
    pub violations: Vec<String>,
    /// Nodes that could not be asked, and why.
    pub unanswered: Vec<String>,
}

/// Where one node sees the accounts.
struct Seen {
    nonces: Vec<u64>,
    balances: Vec<u64>,
    supply: Supply,
}

/// Waits until every node has all accounts where they are to be, or time is up, and compares.
pub fn all_final(run: &Run, deadline: Instant, progress: &dyn Progress) -> Verdict {
    let read = AtomicU64::new(0);
    let of = (run.clients.len() * run.senders.len()) as u64;
    let seen: Vec<Result<Seen, String>> = std::thread::scope(|scope| {
        let read = &read;
        let readers: Vec<_> = run
            .clients
            .iter()
            .map(|client| scope.spawn(move || read_node(run, client, deadline, read)))
            .collect();
        while readers.iter().any(|reader| !reader.is_finished()) {
            progress.show(&run.counted(Phase::Draining, read.load(Ordering::Relaxed), of));
            std::thread::park_timeout(SHOW_EVERY);
        }
        let joined = readers.into_iter().map(|reader| reader.join());
        joined.map(|seen| seen.unwrap_or_else(|_| Err("its reader failed".into()))).collect()
    });
    compare(run, &seen)
}

fn read_node(
    run: &Run,
    client: &Client,
    deadline: Instant,
    read: &AtomicU64,
) -> Result<Seen, String> {
    for sender in &run.senders {
        read_account(client, sender, deadline)?;
        read.fetch_add(1, Ordering::Relaxed);
    }
    // An account may be paid after its own last transaction is final: what each has is read once
    // all of them are done.
    settle(client, deadline)?;
    let accounts = run.senders.len();
    let (mut nonces, mut balances) = (Vec::with_capacity(accounts), Vec::with_capacity(accounts));
    for sender in &run.senders {
        let account = read_account(client, sender, deadline)?;
        nonces.push(account.nonce);
        balances.push(account.balance.0);
    }
    let supply = client.get("/v1/supply").map_err(|error| error.to_string())?;
    Ok(Seen { nonces, balances, supply })
}

/// Waits until nothing is on its way between the node's shards, or time is up.
fn settle(client: &Client, deadline: Instant) -> Result<(), String> {
    loop {
        let supply: Supply = client.get("/v1/supply").map_err(|error| error.to_string())?;
        let is_settled = supply.all.is_none_or(|all| all.in_flight.0 == 0);
        if is_settled || Instant::now() >= deadline {
            return Ok(());
        }
        std::thread::park_timeout(READ_AGAIN);
    }
}

/// An account once its last transaction is final, or as it is when time is up.
fn read_account(
    client: &Client,
    sender: &Sender,
    deadline: Instant,
) -> Result<AccountAnswer, String> {
    let path = format!("/v1/accounts/{}", sender.address);
    loop {
        let answer = client.get::<AccountAnswer>(&path);
        let is_late = Instant::now() >= deadline;
        match answer {
            Ok(account) if is_late || account.nonce >= sender.expected_nonce() => {
                return Ok(account);
            }
            Err(error) if is_late || !error.is_transient() => return Err(error.to_string()),
            Ok(_) | Err(_) => std::thread::park_timeout(READ_AGAIN),
        }
    }
}

fn compare(run: &Run, seen: &[Result<Seen, String>]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut lowest: Option<Vec<u64>> = None;
    for (client, seen) in run.clients.iter().zip(seen) {
        match seen {
            Err(error) => verdict.unanswered.push(error.clone()),
            Ok(seen) => {
                lost(run, client, seen, &mut verdict.violations);
                sums(run, client, seen, &mut verdict.violations);
                let nonces = seen.nonces.iter();
                lowest = Some(match lowest {
                    None => seen.nonces.clone(),
                    Some(lowest) => {
                        nonces.zip(lowest).map(|(own, lowest)| lowest.min(*own)).collect()
                    }
                });
            }
        }
    }
    let lowest = lowest.unwrap_or_else(|| run.senders.iter().map(|one| one.first_nonce).collect());
    for (sender, nonce) in run.senders.iter().zip(lowest) {
        let finalized = nonce.saturating_sub(sender.first_nonce);
        verdict.finalized += finalized;
        verdict.not_final += sender.taken().saturating_sub(finalized);
        if finalized > sender.taken() && verdict.violations.len() < LISTED_MAX {
            verdict.violations.push(format!(
                "the account {} used {finalized} nonces, and {} of its transactions were taken \
                 in; does another program use its key?",
                sender.address,
                sender.taken()
            ));
        }
    }
    verdict
}

/// What was told to be final and is not there.
fn lost(run: &Run, client: &Client, seen: &Seen, violations: &mut Vec<String>) {
    let mut listed = 0;
    for watch in run.watches.iter() {
        for (&account, &turn) in &lock(watch).final_turns {
            let sender = &run.senders[account];
            let needed = sender.first_nonce + turn + 1;
            if seen.nonces[account] < needed && listed < LISTED_MAX {
                listed += 1;
                violations.push(format!(
                    "LOST: {} has the account {} at nonce {}, and its nonce {} was final before",
                    client.url(),
                    sender.address,
                    seen.nonces[account],
                    needed - 1
                ));
            }
        }
    }
}

/// Transfers stay among the accounts, so their balances change by the fees only. That can be
/// compared once nothing of the load is on its way.
fn sums(run: &Run, client: &Client, seen: &Seen, violations: &mut Vec<String>) {
    let url = client.url();
    if !seen.supply.is_conserved() {
        violations.push(format!(
            "{url}: the supply does not add up: {} on accounts, {} fees, {} in flight, {} at genesis",
            seen.supply.balances, seen.supply.fees, seen.supply.in_flight, seen.supply.genesis
        ));
    }
    let in_flight = seen.supply.all.as_ref().map_or(0, |all| all.in_flight.0);
    let is_settled = run
        .senders
        .iter()
        .zip(&seen.nonces)
        .all(|(one, &nonce)| nonce == one.first_nonce + one.taken());
    if !is_settled || in_flight != 0 {
        return;
    }
    let before: u128 = run.senders.iter().map(|sender| u128::from(sender.balance)).sum();
    let after: u128 = seen.balances.iter().copied().map(u128::from).sum();
    let sent: u128 = run.senders.iter().map(|sender| u128::from(sender.taken())).sum();
    let fees = sent * u128::from(FEE);
    if after + fees != before {
        violations.push(format!(
            "{url}: the balances do not add up: the accounts had {before}, paid {fees} in fees, \
             and have {after}; does another program use them?"
        ));
    }
}
