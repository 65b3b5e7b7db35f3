//! One sender of a node: takes what is due, hands it in, and looks at what the node says.

use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::bail;

use super::lane::{Item, lock};
use super::run::Run;
use super::sender::{Prepared, microseconds, prepare};
use crate::client::responses::{BatchAnswer, Refusal, SubmittedBatch};
use crate::client::{Client, ClientError};

/// Reasons that pass by themselves: the transaction is tried again.
const PASSING: [&str; 8] = [
    "busy",
    "full",
    "mempool_full",
    "nonce_too_high",
    "shard_changes",
    "stopped",
    "too_many_requests",
    "unavailable",
];
/// What a node says to a transaction that it has executed already.
const DONE_ALREADY: &str = "nonce_too_low";

/// Sends until all is sent or time is up.
pub fn work(run: &Run, node: usize) {
    let lane = &run.lanes[node];
    while let Some(items) = lane.take(&|| run.limits()) {
        if let Err(error) = sign(run, items).and_then(|batch| hand_in(run, node, batch)) {
            run.fail(error);
            return;
        }
    }
}

/// Signs what is not signed yet, and leaves out what cannot be executed any more.
fn sign(run: &Run, items: Vec<Item>) -> anyhow::Result<Vec<Prepared>> {
    let mut batch = Vec::with_capacity(items.len());
    for item in items {
        let prepared = match item {
            Item::Signed(prepared) => prepared,
            Item::Unsigned(slot) => prepare(run.chain, &run.senders, slot)?,
        };
        if run.senders[prepared.slot.account].may_send(prepared.slot.turn) {
            batch.push(prepared);
        } else {
            run.counts.withheld.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(batch)
}

/// Hands in a batch. An error ends the load.
fn hand_in(run: &Run, node: usize, batch: Vec<Prepared>) -> anyhow::Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    expect(run, node, &batch);
    let answer = run.clients[node].submit_batch(&encoded(&batch));
    let now = Instant::now();
    match answer {
        Ok(answer) => sort_out(run, node, batch, answer, now),
        Err(error) if error.is_transient() => {
            let is_ambiguous = !matches!(error, ClientError::Unreachable { .. });
            run.counts.broken.fetch_add(1, Ordering::Relaxed);
            let mark = |mut one: Prepared| {
                one.is_ambiguous |= is_ambiguous;
                one
            };
            run.lanes[node].put_back(batch.into_iter().map(mark).collect());
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Sampled transactions are expected before they are sent: a node may be faster than its answer.
fn expect(run: &Run, node: usize, batch: &[Prepared]) {
    let start = run.limits().start;
    for prepared in batch.iter().filter(|one| run.sampled[one.slot.account]) {
        let mut watch = lock(run.watch_of(node, prepared.slot.account));
        let due = start + prepared.slot.due;
        watch.expect(prepared.id, due, prepared.slot);
        drop(watch);
        if let Some(watch) = run.arrivals_of(node, prepared.slot.account) {
            lock(watch).expect_arrival(prepared.id, due);
        }
    }
}

/// The canonical bytes of a bounded sequence: its length, then its elements.
fn encoded(batch: &[Prepared]) -> Vec<u8> {
    let length = u32::try_from(batch.len()).expect("a batch has at most 2,000 transactions");
    let of_all: usize = batch.iter().map(|prepared| prepared.bytes.len()).sum();
    let mut bytes = Vec::with_capacity(size_of_val(&length) + of_all);
    bytes.extend_from_slice(&length.to_le_bytes());
    for prepared in batch {
        bytes.extend_from_slice(&prepared.bytes);
    }
    bytes
}

/// Counts what was taken in and refused; what the node had no room for is put back.
fn sort_out(
    run: &Run,
    node: usize,
    batch: Vec<Prepared>,
    answer: SubmittedBatch,
    now: Instant,
) -> anyhow::Result<()> {
    if answer.results.len() != batch.len() {
        let url = run.clients[node].url();
        let (sent, got) = (batch.len(), answer.results.len());
        bail!("{url} gave {got} answers to {sent} transactions; is it a node of this version?");
    }
    let start = run.limits().start;
    let mut again = Vec::new();
    let mut to_taken = lock(&run.to_taken);
    for (prepared, answer) in batch.into_iter().zip(answer.results) {
        let sender = &run.senders[prepared.slot.account];
        match answer {
            BatchAnswer::Taken(taken) => {
                check_id(&run.clients[node], &prepared, &taken.id)?;
                sender.note_taken();
                run.counts.submitted.fetch_add(1, Ordering::Relaxed);
                let due = start + prepared.slot.due;
                to_taken.record(microseconds(now.saturating_duration_since(due)));
            }
            BatchAnswer::Refused { error } if is_passing(&error) => {
                run.counts.again.fetch_add(1, Ordering::Relaxed);
                again.push(prepared);
            }
            BatchAnswer::Refused { error }
                if prepared.is_ambiguous && error.code == DONE_ALREADY =>
            {
                sender.note_taken();
                run.counts.submitted.fetch_add(1, Ordering::Relaxed);
            }
            BatchAnswer::Refused { error } => {
                sender.block(prepared.slot.turn);
                run.counts.note_refusal(&error);
            }
        }
    }
    drop(to_taken);
    if again.is_empty() {
        run.lanes[node].note_success();
    } else {
        run.lanes[node].put_back(again);
    }
    Ok(())
}

fn is_passing(refusal: &Refusal) -> bool {
    PASSING.contains(&refusal.code.as_str())
}

fn check_id(client: &Client, prepared: &Prepared, taken: &str) -> anyhow::Result<()> {
    if taken != prepared.id.to_string() {
        let taken = crate::output::harmless(taken);
        let (url, id) = (client.url(), prepared.id);
        bail!("{url} took the transaction {id} as {taken}; is it a node of this version?");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::schedule::Slot;
    use qcn_crypto::{Digest, Scheme, SigningKey};
    use qcn_types::{
        Action, Address, Amount, Bounded, Transaction, TransactionBody, decode, encode,
    };

    /// A batch that is put together from encoded transactions is the encoding of the batch.
    #[test]
    fn a_batch_is_the_canonical_encoding_of_its_transactions() {
        let key = SigningKey::from_seed(Scheme::MlDsa44, &[3; 32]).unwrap();
        let transaction = |nonce| {
            let action = Action::Transfer { to: Address::default(), amount: Amount(1) };
            let sender = Address::of(key.public_key());
            let body = TransactionBody { sender, nonce, fee: Amount(1), action };
            let signature = key.sign_raw(&encode(&body), &[]).unwrap();
            Transaction { body, key: key.public_key().clone(), signature }
        };
        let transactions: Vec<Transaction> = (0..3).map(transaction).collect();
        let slot = Slot { account: 0, turn: 0, due: std::time::Duration::ZERO };
        let prepared =
            |one| Prepared { slot, id: Digest::ZERO, bytes: encode(one), is_ambiguous: false };
        let bytes = encoded(&transactions.iter().map(prepared).collect::<Vec<_>>());
        let decoded: Bounded<Transaction, 2_000> = decode(&bytes).unwrap();
        assert_eq!(decoded.into_inner(), transactions);
    }
}
