//! The event loop: virtual time, one event after the other, in an order that only time and
//! the sequence of insertion decide.
//!
//! A message's way: `Output::Broadcast` -> uplink and link ([`crate::network`]) -> `Deliver` ->
//! the receiver's processor ([`crate::cpu`]) -> `Input::Message` -> `Output::VerifyBlock` ->
//! the processor again -> `Input::BlockVerified`. Signing and disks take time in the same way.

mod clients;
mod faults;
mod outputs;
mod parcel;
mod process;
mod tasks;

use std::collections::VecDeque;
use std::sync::Arc;

use qcn_consensus::Config;
use qcn_crypto::{Digest, SigningKey};
use qcn_ledger::{GenesisAccount, Territory};
use qcn_types::{AuthorSet, CommitteeKeys, ValidatorIndex};

pub(crate) use clients::Clients;
pub use clients::Load;
pub(crate) use process::{Process, State};

use crate::adversary::Adversary;
use crate::disk::DiskModel;
use crate::fault::Fault;
use crate::invariants::Invariants;
use crate::keys::KeyRing;
use crate::memo::Memo;
use crate::metrics::Metrics;
use crate::network::Network;
use crate::queue::EventQueue;
use crate::random::Random;
use crate::trace::{Kind, Trace};

use crate::sharding::Notice;
use parcel::Parcels;

/// What every validator of a run starts from.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) keys: CommitteeKeys,
    pub(crate) signing: Vec<SigningKey>,
    /// Which keys those are: what signing and checking costs.
    pub(crate) key_ring: KeyRing,
    pub(crate) epoch_seed: Digest,
    pub(crate) consensus: Config,
    pub(crate) territory: Territory,
    pub(crate) accounts: Arc<[GenesisAccount]>,
    /// The numbers of their keys.
    pub(crate) account_numbers: Arc<[usize]>,
    pub(crate) snapshot_interval: u64,
    pub(crate) powers_permille: Vec<u64>,
    pub(crate) disk: DiskModel,
    pub(crate) clock_skew_us: u64,
    pub(crate) start_spread_us: u64,
    /// When it begins to exist, in microseconds of virtual time.
    pub(crate) begins_at: u64,
    /// Whether every validator waits for what the epoch opens with.
    pub(crate) waits_for_opening: bool,
}

/// Something that will happen.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// A message arrives.
    Deliver { parcel: u32, from: u16, to: u16 },
    /// A processor has finished its task.
    Done { process: u16, incarnation: u32 },
    /// A timer fires.
    Wake { process: u16, incarnation: u32 },
    /// A disk has made something durable.
    Durable { process: u16, incarnation: u32 },
    /// A process comes up, if it is still down since that crash.
    Restart { process: u16, incarnation: u32 },
    /// A frozen process goes on.
    Resume { process: u16, incarnation: u32 },
    /// A scheduled fault begins.
    Fault { number: u32 },
    /// A disturbance of the network ends.
    Settle { disturbance: u32 },
    /// A slow disk recovers.
    DiskRecovers { process: u16 },
    /// A client submits the next transaction.
    Client,
    /// Clients look after transactions that take too long.
    Patience,
}

/// A run.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) setup: Setup,
    pub(crate) now: u64,
    queue: EventQueue<Happening>,
    pub(crate) processes: Vec<Process>,
    /// The processes of each validator: one, or two for twins.
    instances: Vec<Vec<u16>>,
    pub(crate) network: Network,
    parcels: Parcels,
    /// Messages that wait at a cut link.
    held: VecDeque<(u16, u16, u32)>,
    pub(crate) memo: Memo,
    pub(crate) trace: Trace,
    pub(crate) metrics: Metrics,
    pub(crate) invariants: Invariants,
    pub(crate) clients: Clients,
    /// What other shards should know, if there are any.
    pub(crate) notices: Option<Vec<Notice>>,
    faults: Vec<Fault>,
    fault_times: Vec<u64>,
    /// How many of the faults were scheduled before the run.
    announced_faults: usize,
    random: Random,
}

impl Engine {
    pub(crate) fn new(
        setup: Setup,
        network: Network,
        adversaries: &[(usize, Adversary)],
        load: Option<Load>,
        faults: Vec<(u64, Fault)>,
    ) -> Self {
        let members = setup.keys.committee().len();
        let mut instances: Vec<Vec<u16>> = (0..members as u16).map(|index| vec![index]).collect();
        let mut processes: Vec<Process> =
            (0..members).map(|index| Process::new(&setup, index, index)).collect();
        let mut faulty = AuthorSet::EMPTY;
        for (validator, adversary) in adversaries {
            faulty.insert(ValidatorIndex(*validator as u16));
            processes[*validator].behaviour = adversary.behaviour();
            if *adversary == Adversary::Twins {
                instances[*validator].push(processes.len() as u16);
                processes.push(Process::new(&setup, *validator, processes.len()));
            }
        }
        for process in &mut processes {
            process.honest = !faulty.contains(process.validator);
        }
        let mut engine = Self {
            now: setup.begins_at,
            queue: EventQueue::new(),
            instances,
            network,
            parcels: Parcels::default(),
            held: VecDeque::new(),
            memo: Memo::new(members),
            trace: Trace::new(setup.seed),
            metrics: Metrics::new(members),
            invariants: Invariants::new(&setup, faulty, processes.len()),
            clients: Clients::new(&setup, load),
            notices: None,
            faults: Vec::new(),
            fault_times: Vec::new(),
            announced_faults: faults.len(),
            random: Random::new(setup.seed, "engine"),
            processes,
            setup,
        };
        engine.schedule_start(faults);
        engine
    }

    fn schedule_start(&mut self, faults: Vec<(u64, Fault)>) {
        let begins_at = self.setup.begins_at;
        for process in 0..self.processes.len() {
            let at = begins_at + self.random.below(self.setup.start_spread_us + 1);
            self.queue.push(at, Happening::Restart { process: process as u16, incarnation: 0 });
        }
        for (at, fault) in faults {
            self.schedule_fault(at, fault);
        }
        if let Some(first) = self.clients.first_submission() {
            self.queue.push(first, Happening::Client);
        }
        self.queue.push(begins_at, Happening::Patience);
    }

    /// Makes a fault happen at `at`.
    pub(crate) fn schedule_fault(&mut self, at: u64, fault: Fault) {
        let number = self.faults.len() as u32;
        self.faults.push(fault);
        self.fault_times.push(at);
        self.queue.push(at, Happening::Fault { number });
    }

    /// The scheduled faults, one sentence each. What a fault itself schedules is left out.
    pub(crate) fn described_faults(&self) -> Vec<String> {
        let scheduled = self.faults.iter().zip(&self.fault_times).take(self.announced_faults);
        scheduled.map(|(fault, at)| format!("at {} ms: {}", at / 1_000, fault.describe())).collect()
    }

    /// The processes that act for a validator.
    pub(crate) fn instances(&self, validator: usize) -> &[u16] {
        self.instances.get(validator).map_or(&[], Vec::as_slice)
    }

    /// When the next thing happens.
    pub(crate) fn next_time(&mut self) -> Option<u64> {
        self.queue.next_time()
    }

    /// Lets the next thing happen.
    pub(crate) fn step(&mut self) {
        if let Some((time, happening)) = self.queue.pop() {
            self.now = time;
            self.happen(happening);
        }
    }

    /// Runs everything that happens up to and including `until`.
    pub(crate) fn run_to(&mut self, until: u64) {
        while self.queue.next_time().is_some_and(|next| next <= until) {
            self.step();
        }
        self.now = self.now.max(until);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Deliver { parcel, from, to } => self.deliver(parcel, from, to),
            Happening::Done { process, incarnation } => self.task_done(process, incarnation),
            Happening::Wake { process, incarnation } => self.timer_fires(process, incarnation),
            Happening::Durable { process, incarnation } => self.durable(process, incarnation),
            Happening::Restart { process, incarnation } => {
                if self.processes[process as usize].incarnation == incarnation {
                    self.start(process);
                }
            }
            Happening::Resume { process, incarnation } => self.resume(process, incarnation),
            Happening::Fault { number } => self.strike(number),
            Happening::Settle { disturbance } => self.settle(u64::from(disturbance)),
            Happening::DiskRecovers { process } => {
                let model = self.setup.disk;
                self.processes[process as usize].disk.set_model(model);
            }
            Happening::Client => self.client_submits(),
            Happening::Patience => self.clients_lose_patience(),
        }
    }

    fn record(&mut self, kind: Kind, process: u16, other: u16, detail: [u64; 2]) {
        self.trace.record(self.now, kind, process, other, detail);
    }
}
