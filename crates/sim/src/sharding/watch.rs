//! What must hold between shards, after every event (DESIGN section 9).
//!
//! Only honest validators are judged, and only their own words count: what a shard has sent is
//! what an honest validator of it executed.

use std::collections::{BTreeMap, BTreeSet};

use qcn_ledger::{Received, Reception};
use qcn_types::{Address, Epoch, Height, LaneHead, LaneId, ReceiptKind, ShardId, TransactionId};

use super::Notice;
use super::captured::Claims;
use super::handover::Place;
use super::traffic::Traffic;
use crate::engine::Engine;
use crate::invariants::Violation;

const ONCE_AND_IN_ORDER: &str = "receipts_once_and_in_order";
const CONSERVATION: &str = "supply_across_shards";
const ARRIVAL: &str = "receipts_arrive";

/// A transfer that was submitted so long before the end has arrived, in microseconds.
const ARRIVES_WITHIN_US: u64 = 10_000_000;

/// The most violations kept.
const MAX_VIOLATIONS: usize = 20;

/// The invariants between shards.
#[derive(Debug, Default)]
pub(super) struct Watch {
    violations: Vec<Violation>,
    /// Every head that a lane ever had, at some honest validator of its source.
    heads: BTreeMap<LaneId, BTreeMap<u64, LaneHead>>,
    /// The highest height of each shard in each epoch whose receipts were judged one by one.
    judged: BTreeMap<(ShardId, Epoch), Height>,
    /// What was credited to a receiver, and given back to a sender.
    credited: BTreeSet<TransactionId>,
    returned: BTreeSet<TransactionId>,
    /// How much a shard has taken, receipt by receipt, from a captured one.
    taken: BTreeMap<LaneId, u128>,
    /// How far lanes are where something made up has arrived, as their destination names them.
    made_up: BTreeMap<LaneId, LaneHead>,
}

impl Watch {
    pub(super) fn violations(&self) -> &[Violation] {
        &self.violations
    }

    fn report(&mut self, now: u64, invariant: &'static str, detail: String) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation { invariant, time_us: now, validator: None, detail });
        }
    }

    /// The lanes on which something made up has arrived, and how far they are.
    pub(super) const fn made_up(&self) -> &BTreeMap<LaneId, LaneHead> {
        &self.made_up
    }

    pub(super) fn notice(
        &mut self,
        now: u64,
        place: &Place,
        notice: &Notice,
        engine: &Engine,
        claims: &Claims,
    ) {
        let shard = place.shard;
        match notice {
            Notice::Executed { process, honest: true, height, applied, received, .. } => {
                self.lanes(now, shard, *process, engine, claims);
                let judged = self.judged.entry((shard, place.epoch)).or_default();
                if *height > *judged {
                    *judged = *height;
                    self.credited.extend(applied.iter().copied());
                    for received in received {
                        let id = received.receipt.transaction;
                        let fresh = match (received.reception, received.receipt.kind) {
                            (Reception::Credited, ReceiptKind::Transfer) => {
                                self.credited.insert(id)
                            }
                            (Reception::Credited, ReceiptKind::Bounce) => self.returned.insert(id),
                            (_, _) => true,
                        };
                        if !fresh {
                            let detail = format!("{shard} credits {id} twice, at height {height}");
                            self.report(now, ONCE_AND_IN_ORDER, detail);
                        }
                    }
                    self.takes(now, (shard, *process), received, engine, claims);
                }
            }
            Notice::Synchronised { process, honest: true, .. } => {
                self.lanes(now, shard, *process, engine, claims);
            }
            _ => {}
        }
    }

    /// Receipts of a captured shard move no more than the lane says that they came on, which is
    /// what one of its certificates says. The layout of its network never changes.
    fn takes(
        &mut self,
        now: u64,
        (shard, process): (ShardId, u16),
        received: &[Received],
        engine: &Engine,
        claims: &Claims,
    ) {
        let Some(machine) = engine.processes[process as usize].shard.as_deref() else {
            return;
        };
        for received in received.iter().filter(|it| claims.is_captured(it.source)) {
            let lane = LaneId { own: shard, peer: received.source };
            let taken = self.taken.entry(lane).or_default();
            *taken += u128::from(received.receipt.amount.0);
            let (taken, certified) = (*taken, machine.ledger().received_on(lane).moved);
            if taken > certified {
                let from = received.source;
                let detail =
                    format!("{shard} takes {taken} from {from}, which certifies {certified}");
                self.report(now, CONSERVATION, detail);
            }
        }
    }

    /// Every lane that ends here is at a head that its source has had, or, if that is captured, has
    /// certified.
    fn lanes(&mut self, now: u64, shard: ShardId, process: u16, engine: &Engine, claims: &Claims) {
        let Some(machine) = engine.processes[process as usize].shard.as_deref() else {
            return;
        };
        let ledger = machine.ledger();
        let outbox = ledger.outbox();
        for end in outbox.ends() {
            let heads = self.heads.entry(end.lane()).or_default();
            let newest = heads.last_key_value().map_or(0, |(number, _)| *number);
            // A checkpoint may have made several batches.
            for number in newest + 1..end.sent.batches {
                if let Some(head) = ledger.lane_head(end.lane(), number) {
                    heads.insert(number, head);
                }
            }
            let known = *heads.entry(end.sent.batches).or_insert(end.sent);
            if known != end.sent {
                let detail = format!("shard {shard} has two lanes to {}", end.peer);
                self.report(now, ONCE_AND_IN_ORDER, detail);
            }
            let sent = self.heads.get(&end.lane().reversed());
            let known = sent.and_then(|heads| heads.get(&end.received.batches));
            if end.received == LaneHead::default() || known == Some(&end.received) {
                continue;
            }
            if claims.cover(end.lane().reversed(), &end.received) {
                self.made_up.insert(end.lane(), end.received);
            } else {
                let detail = format!(
                    "shard {shard} has applied {:?} from {}, which was never sent",
                    end.received, end.peer
                );
                self.report(now, ONCE_AND_IN_ORDER, detail);
            }
        }
        let supply = ledger.supply();
        let moved = |head: fn(&qcn_types::LaneEnd) -> u128| -> u128 {
            outbox.ends().iter().map(head).sum()
        };
        let (sent, received) = (moved(|end| end.sent.moved), moved(|end| end.received.moved));
        if (sent, received) != (supply.sent, supply.received) || supply.burned != 0 {
            let detail = format!(
                "shard {shard}: the lanes have moved {sent} and {received}, the supply says {supply:?}"
            );
            self.report(now, CONSERVATION, detail);
        }
    }

    /// What can be judged only at the end: everything is somewhere, and everything arrives.
    pub(super) fn at_end(
        &self,
        now: u64,
        engines: &[&Engine],
        traffic: &Traffic,
        is_whole: bool,
        is_captured: &dyn Fn(usize) -> bool,
        named: &dyn Fn(usize) -> String,
    ) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut report = |invariant, detail| {
            found.push(Violation { invariant, time_us: now, validator: None, detail });
        };
        let (mut here, mut genesis) = (0_i128, 0_i128);
        for engine in engines {
            let machines = engine.processes.iter().filter(|process| process.honest);
            let newest = machines
                .filter_map(|process| process.shard.as_deref())
                .max_by_key(|machine| machine.status().height);
            let Some(machine) = newest else {
                continue;
            };
            match machine.ledger().audit() {
                Ok(supply) => {
                    here += supply.balances as i128 + supply.fees as i128;
                    here += supply.sent as i128 - supply.received as i128;
                    genesis += i128::from(supply.genesis.0);
                    genesis += supply.taken as i128 - supply.given as i128;
                }
                Err(error) => report(CONSERVATION, error.to_string()),
            }
        }
        // While a shard is between two epochs its accounts are in no engine, or in two.
        if is_whole && here != genesis {
            report(CONSERVATION, format!("there is {here} in all shards, {genesis} at genesis"));
        }
        // Who is a client of an adversary may be kept waiting.
        let is_served = |address: &Address| {
            engines.iter().any(|engine| {
                let validator = engine.clients.served_by(address);
                validator.is_some_and(|it| engine.processes[it.position()].honest)
            })
        };
        // The receiver's validator may have been down when others executed the receipt. A captured
        // shard keeps what it likes.
        let late = traffic.crossings.iter().filter(|(id, it)| {
            !self.credited.contains(id)
                && !is_captured(it.from)
                && it.submitted + ARRIVES_WITHIN_US < now
                && is_served(&it.sender)
        });
        let mut lanes: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for (_, crossing) in late {
            *lanes.entry((crossing.from, crossing.to)).or_default() += 1;
        }
        for ((from, to), count) in lanes {
            let (from, to) = (named(from), named(to));
            report(ARRIVAL, format!("{count} transfers from {from} to {to} do not arrive"));
        }
        found
    }
}
