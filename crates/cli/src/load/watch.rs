//! Following finality: what a node tells of the sampled transactions as it happens.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use qcn_crypto::Digest;
use qcn_types::Address;

use super::histogram::Histogram;
use super::lane::lock;
use super::schedule::Slot;
use super::sender::microseconds;
use crate::client::Client;
use crate::client::events::NodeEvent;

/// How long to wait before a broken stream is opened again.
const REOPEN_AFTER: Duration = Duration::from_millis(500);
/// The most sampled transactions that are under way; more are not followed.
const UNDER_WAY_MAX: usize = 200_000;

/// What one node told of one shard so far.
#[derive(Debug, Default)]
pub struct Watch {
    /// From when transactions were due, by id.
    under_way: HashMap<Digest, (Instant, Slot)>,
    /// Executed and not final, by height.
    executed_at: BTreeMap<u64, Vec<(Instant, Slot)>>,
    /// From when transactions were due that another shard sends here, by id.
    arriving: HashMap<Digest, Instant>,
    /// Taken in from another shard and not final, by height.
    arrived_at: BTreeMap<u64, Vec<Instant>>,
    /// Transactions of the whole network that are executed and not final, by height.
    network_executed: BTreeMap<u64, u64>,
    certified: u64,
    /// From the moment a transaction was due until this node had executed it.
    pub to_executed: Histogram,
    /// From the moment a transaction was due until this node had its certificate.
    pub to_final: Histogram,
    /// Sampled transactions that another shard is to send here.
    pub across: u64,
    /// From the moment a transaction of another shard was due until this node had the certificate
    /// of what it did here.
    pub to_arrived: Histogram,
    /// Transactions of the whole network that became final since the start.
    pub network_final: u64,
    /// When the newest of the sampled ones did.
    pub last_final: Option<Instant>,
    /// Sampled transactions that were executed without their action being done.
    pub not_applied: u64,
    /// Why the first of them was not.
    pub first_not_applied: Option<String>,
    /// The highest turn that was told to be final, by account.
    pub final_turns: BTreeMap<usize, u64>,
    /// Events that this client was too slow for.
    pub missed: u64,
    /// How often the stream broke.
    pub reopened: u64,
}

impl Watch {
    /// A sampled transaction is about to be sent.
    pub fn expect(&mut self, id: Digest, due: Instant, slot: Slot) {
        if self.under_way.len() < UNDER_WAY_MAX {
            self.under_way.entry(id).or_insert((due, slot));
        }
    }

    /// A sampled transaction is about to be sent in another shard, and pays an account of this one.
    pub fn expect_arrival(&mut self, id: Digest, due: Instant) {
        if self.arriving.len() < UNDER_WAY_MAX && self.arriving.insert(id, due).is_none() {
            self.across += 1;
        }
    }

    /// Takes in an event that came `now`.
    pub fn take_in(&mut self, event: NodeEvent, now: Instant) {
        match event {
            NodeEvent::Executed(executed) => {
                if executed.height > self.certified {
                    self.network_executed.insert(executed.height, executed.transactions);
                } else {
                    self.network_final += executed.transactions;
                }
            }
            NodeEvent::Transaction(executed) => {
                let known = executed.id.parse().ok().and_then(|id| self.under_way.remove(&id));
                let Some((due, slot)) = known else {
                    return;
                };
                self.to_executed.record(since(due, now));
                if !executed.outcome.is_applied() && !executed.outcome.is_sent() {
                    self.not_applied += 1;
                    self.first_not_applied.get_or_insert_with(|| executed.outcome.to_string());
                }
                if executed.height > self.certified {
                    self.executed_at.entry(executed.height).or_default().push((due, slot));
                } else {
                    // The certificate came before the node had executed it.
                    self.finish(due, slot, now);
                }
            }
            NodeEvent::Arrival(arrival) => {
                let known = arrival.id.parse().ok().and_then(|id| self.arriving.remove(&id));
                let Some(due) = known.filter(|_| arrival.status == "arrived") else {
                    return;
                };
                if arrival.height > self.certified {
                    self.arrived_at.entry(arrival.height).or_default().push(due);
                } else {
                    self.to_arrived.record(since(due, now));
                }
            }
            NodeEvent::Certified(certified) => {
                self.certified = self.certified.max(certified.height);
                while let Some(entry) = self.arrived_at.first_entry() {
                    if *entry.key() > certified.height {
                        break;
                    }
                    for due in entry.remove() {
                        self.to_arrived.record(since(due, now));
                    }
                }
                while let Some(entry) = self.executed_at.first_entry() {
                    if *entry.key() > certified.height {
                        break;
                    }
                    for (due, slot) in entry.remove() {
                        self.finish(due, slot, now);
                    }
                }
                while let Some(entry) = self.network_executed.first_entry() {
                    if *entry.key() > certified.height {
                        break;
                    }
                    self.network_final += entry.remove();
                }
            }
            NodeEvent::Missed(count) => self.missed += count,
            NodeEvent::Other => {}
        }
    }

    fn finish(&mut self, due: Instant, slot: Slot, now: Instant) {
        self.to_final.record(since(due, now));
        self.last_final = Some(now);
        let highest = self.final_turns.entry(slot.account).or_insert(slot.turn);
        *highest = slot.turn.max(*highest);
    }
}

fn since(due: Instant, now: Instant) -> u64 {
    microseconds(now.saturating_duration_since(due))
}

/// Reads a node's events of one shard until it is done; opens a broken stream again. `opened` is told once the
/// first stream is open, or why it cannot be.
pub fn follow(
    client: &Client,
    shard: Option<u64>,
    addresses: &BTreeSet<Address>,
    watch: &Mutex<Watch>,
    done: &AtomicBool,
    opened: &std::sync::mpsc::Sender<anyhow::Result<()>>,
) {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    // Without a filter the node would tell of all transactions.
    let query = if addresses.is_empty() {
        "topics=checkpoints".to_owned()
    } else {
        format!("topics=transactions,checkpoints&address={}", addresses.join(","))
    };
    let mut is_first = true;
    while !done.load(Ordering::Relaxed) {
        match client.events(shard, &query) {
            Ok(events) => {
                if is_first {
                    // Nobody listens any more if the load was given up.
                    let _ = opened.send(Ok(()));
                }
                for event in events {
                    let parsed = event.and_then(|event| NodeEvent::parse(&event));
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    let Ok(event) = parsed else {
                        break;
                    };
                    lock(watch).take_in(event, Instant::now());
                }
            }
            Err(error) if is_first => {
                let _ = opened.send(Err(error.into()));
                return;
            }
            Err(_) => {}
        }
        is_first = false;
        lock(watch).reopened += 1;
        std::thread::park_timeout(REOPEN_AFTER);
    }
}

#[cfg(test)]
mod tests;
