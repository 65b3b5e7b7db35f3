//! The public face of a run: build a network, let it run, disturb it, look at it, judge it.

mod builder;
mod summary;
#[cfg(test)]
mod tests;

use qcn_crypto::Digest;
use qcn_shard::Shard;
use qcn_types::{
    Address, AuthorSet, Committee, CommitteeKeys, Height, Time, Transaction, TransactionId,
    ValidatorIndex,
};

pub(crate) use builder::ShardPlace;
pub use builder::{BuildError, SimulatorBuilder};

use crate::adversary::Adversary;
use crate::disk::DiskFault;
use crate::engine::{Engine, State};
use crate::fault::{CrashMoment, Fault};
use crate::invariants::Violation;
use crate::metrics::Propagation;
use crate::node::QuantumNode;

/// How often a condition is looked at while a run waits for it, in microseconds.
const CONDITION_INTERVAL_US: u64 = 1_000;

/// So many seconds, in microseconds.
#[must_use]
pub const fn seconds(seconds: u64) -> u64 {
    seconds * 1_000_000
}

/// So many milliseconds, in microseconds.
#[must_use]
pub const fn milliseconds(milliseconds: u64) -> u64 {
    milliseconds * 1_000
}

/// A simulated network of validators that run the real protocol in virtual time.
///
/// A run is a function of the seed and of what is called in which order: the same seed gives
/// the same [`Self::trace_hash`] on every machine.
///
/// ```
/// use qcn_sim::{QuantumNetworkSimulator, seconds};
///
/// let mut network = QuantumNetworkSimulator::new(7).validators(4).load(10, 8).build().unwrap();
/// network.run_for(seconds(3));
/// assert!(network.certified_height(0).0 > 0);
/// assert!(network.check_consensus().is_empty());
/// ```
#[derive(Debug)]
pub struct QuantumNetworkSimulator {
    pub(crate) engine: Engine,
    names: Vec<String>,
    weights: Vec<u64>,
    powers_permille: Vec<u64>,
    load_per_second: f64,
    adversaries: Vec<(usize, Adversary)>,
}

impl QuantumNetworkSimulator {
    /// Begins to describe a network; every random draw of its run comes from `seed`.
    #[expect(clippy::new_ret_no_self, reason = "the specification's name, and a builder is needed")]
    #[must_use]
    pub fn new(seed: u64) -> SimulatorBuilder {
        SimulatorBuilder::new(seed)
    }

    // ----- time -----

    /// The virtual time since the start.
    #[must_use]
    pub const fn now(&self) -> Time {
        Time(self.engine.now)
    }

    /// Runs until this time.
    pub fn run_to(&mut self, until: Time) {
        self.engine.run_to(until.0);
    }

    /// Runs for so many microseconds.
    pub fn run_for(&mut self, duration_us: u64) {
        self.engine.run_to(self.engine.now + duration_us);
    }

    /// Runs until the condition holds, for at most `limit_us`; says whether it holds.
    pub fn run_until(&mut self, mut condition: impl FnMut(&Self) -> bool, limit_us: u64) -> bool {
        let end = self.engine.now + limit_us;
        while !condition(self) {
            if self.engine.now >= end {
                return false;
            }
            self.engine.run_to((self.engine.now + CONDITION_INTERVAL_US).min(end));
        }
        true
    }

    // ----- faults -----

    /// Makes something go wrong now.
    pub fn fault(&mut self, fault: Fault) {
        self.engine.schedule_fault(self.engine.now, fault);
        self.engine.run_to(self.engine.now);
    }

    /// Makes something go wrong at a later time.
    pub fn fault_at(&mut self, at: Time, fault: Fault) {
        self.engine.schedule_fault(at.0, fault);
    }

    /// Cuts the network into groups that cannot reach each other. Who is in none is alone.
    pub fn partition(&mut self, groups: &[&[usize]]) {
        let groups = groups.iter().map(|group| group.to_vec()).collect();
        self.fault(Fault::Partition { groups });
    }

    /// Ends every partition and cut.
    pub fn heal(&mut self) {
        self.fault(Fault::Heal);
    }

    /// Stops a validator at once and for good, unless [`Self::restart`] brings it back.
    pub fn crash(&mut self, validator: usize, disk: DiskFault) {
        let moment = CrashMoment::Now;
        self.fault(Fault::Crash { validator, moment, disk, restart_after_us: None });
    }

    /// Brings a validator back from its disk.
    pub fn restart(&mut self, validator: usize) {
        self.fault(Fault::Restart { validator });
    }

    /// Freezes a validator for a while.
    pub fn pause(&mut self, validator: usize, duration_us: u64) {
        self.fault(Fault::Pause { validator, duration_us });
    }

    // ----- transactions -----

    /// Submits so many transfers between accounts drawn at random; says which.
    pub fn generate_transactions(&mut self, count: usize) -> Vec<TransactionId> {
        (0..count).filter_map(|_| self.engine.submit_generated()).collect()
    }

    /// Submits a transfer between two accounts, named by their number, through the first one's
    /// validator.
    pub fn transfer(&mut self, from: usize, to: usize, amount: u64) -> Option<TransactionId> {
        let to = self.engine.clients.address(to)?;
        self.engine.submit_transfer(from, to, amount)
    }

    /// Hands a transaction in at a validator.
    pub fn submit(&mut self, validator: usize, transaction: &Transaction) -> TransactionId {
        self.engine.submit(ValidatorIndex(validator as u16), transaction)
    }

    /// The address of an account by its number.
    #[must_use]
    pub fn address(&self, account: usize) -> Option<Address> {
        self.engine.clients.address(account)
    }

    /// The balance of an account at a validator; `None` if it is down or knows no such account.
    #[must_use]
    pub fn balance(&self, validator: usize, account: usize) -> Option<u64> {
        let address = self.address(account)?;
        Some(self.shard(validator)?.ledger().account(&address)?.balance.0)
    }

    /// Whether the validator at which a transaction was submitted has executed it.
    #[must_use]
    pub fn is_finalized(&self, id: TransactionId) -> bool {
        self.engine.metrics.life(&id).is_some_and(|life| life.executed.is_some())
    }

    /// Whether that validator has seen a certificate for it.
    #[must_use]
    pub fn is_certified(&self, id: TransactionId) -> bool {
        self.engine.metrics.life(&id).is_some_and(|life| life.certified.is_some())
    }

    // ----- looking -----

    /// How many validators there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Never: a committee has at least one member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// The committee.
    #[must_use]
    pub fn committee(&self) -> &Committee {
        self.engine.setup.keys.committee()
    }

    /// The committee's keys, as a light client has them.
    #[must_use]
    pub const fn keys(&self) -> &CommitteeKeys {
        &self.engine.setup.keys
    }

    /// The machine of a validator, if it runs.
    #[must_use]
    pub fn shard(&self, validator: usize) -> Option<&Shard> {
        let process = self.engine.instances(validator).first()?;
        self.engine.processes[*process as usize].shard.as_deref()
    }

    /// The height of a validator's newest checkpoint; zero if it is down.
    #[must_use]
    pub fn height(&self, validator: usize) -> Height {
        self.shard(validator).map(|shard| shard.status().height).unwrap_or_default()
    }

    /// The highest height for which a validator has seen a certificate; zero if it is down.
    #[must_use]
    pub fn certified_height(&self, validator: usize) -> Height {
        self.shard(validator).map(|shard| shard.status().certified).unwrap_or_default()
    }

    /// Whether a validator follows the protocol.
    #[must_use]
    pub fn is_honest(&self, validator: usize) -> bool {
        self.engine.processes.get(validator).is_some_and(|process| process.honest)
    }

    /// Whether a validator runs.
    #[must_use]
    pub fn is_running(&self, validator: usize) -> bool {
        self.engine.processes.get(validator).is_some_and(|process| process.state == State::Up)
    }

    /// Whom committed evidence has isolated, as some honest validator knows.
    #[must_use]
    pub fn isolated(&self) -> Vec<usize> {
        self.engine.metrics.isolated.keys().map(|validator| validator.position()).collect()
    }

    /// All validators as they are now.
    #[must_use]
    pub fn nodes(&self) -> Vec<QuantumNode> {
        (0..self.len()).map(|validator| self.node(validator)).collect()
    }

    fn node(&self, validator: usize) -> QuantumNode {
        let network = &self.engine.network;
        let latency = |to: usize| {
            let latency = if to == validator { 0 } else { network.latency_us(validator, to) };
            f64::from(latency) / 1_000.0
        };
        let shard = self.shard(validator);
        let status = shard.map(Shard::status).unwrap_or_default();
        QuantumNode {
            node_id: validator,
            processing_power: self.powers_permille[validator] as f64 / 1_000.0,
            weight: self.weights[validator],
            blocks: shard.map(summary::blocks_of).unwrap_or_default(),
            pending_transactions: status.mempool,
            peers: (0..self.len())
                .filter(|peer| *peer != validator && !network.is_cut(validator, *peer))
                .collect(),
            network_latency_ms: (0..self.len()).map(latency).collect(),
            running: self.is_running(validator),
            round: status.round,
            height: status.height,
            certified_height: status.certified,
        }
    }

    /// Keeps the path of every copy of a block from now on, for [`Self::propagation`].
    pub fn record_propagation(&mut self) {
        self.engine.metrics.propagation.get_or_insert_default();
    }

    /// The paths of blocks from their authors, as far as they were recorded.
    #[must_use]
    pub fn propagation(&self) -> &[Propagation] {
        self.engine.metrics.propagation.as_deref().unwrap_or_default()
    }

    /// How many messages were delivered.
    #[must_use]
    pub const fn deliveries(&self) -> u64 {
        self.engine.metrics.deliveries
    }

    /// The hash over everything that has happened.
    #[must_use]
    pub fn trace_hash(&self) -> Digest {
        self.engine.trace.hash()
    }

    // ----- judging -----

    /// All broken invariants. What can be judged only at the end is judged now, as if the run
    /// ended here: whether everybody moved on after the last fault, if that was long enough ago.
    pub fn check_consensus(&mut self) -> Vec<Violation> {
        let live: Vec<(ValidatorIndex, AuthorSet)> = (0..self.len())
            .filter(|validator| self.is_honest(*validator) && self.is_running(*validator))
            .filter_map(|validator| {
                let isolated = *self.shard(validator)?.consensus().schedule().isolated();
                Some((ValidatorIndex(validator as u16), isolated))
            })
            .collect();
        let whole = !self.engine.network.is_split();
        let before = self.violations().len();
        self.engine.invariants.at_end(self.engine.now, &live, whole);
        let all = self.violations().to_vec();
        // The run may go on, and the end be judged anew.
        self.engine.invariants.findings.violations.truncate(before);
        all
    }

    /// The invariants broken so far, without judging the end.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.engine.invariants.findings.violations
    }
}
