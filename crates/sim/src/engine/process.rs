//! One running validator: its machine, processor, disk and clock.

use std::collections::VecDeque;

use qcn_crypto::SeededRandomness;
use qcn_shard::{Opening, Output, Record, Shard};
use qcn_types::{Time, ValidatorIndex, VerifiedBlock};

use super::Setup;
use super::tasks::Task;
use crate::adversary::Behaviour;
use crate::clock::Clock;
use crate::cpu::Cpu;
use crate::disk::{Disk, DiskFault, LogRecord};
use crate::fault::CrashMoment;
use crate::random::Random;

/// Whether a process runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// It runs.
    Up,
    /// It is frozen; what is sent to it waits.
    Paused,
    /// It is down.
    Down,
}

/// A crash that waits for its moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trap {
    pub(crate) moment: CrashMoment,
    pub(crate) disk: DiskFault,
    pub(crate) restart_after_us: Option<u64>,
}

/// One running validator, or one of two twins.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) validator: ValidatorIndex,
    pub(crate) honest: bool,
    pub(crate) state: State,
    pub(crate) shard: Option<Box<Shard>>,
    /// How often it has died: events of earlier lives are void.
    pub(crate) incarnation: u32,
    pub(crate) started_before: bool,
    pub(crate) cpu: Cpu<Task>,
    /// A task that was done while the process was frozen.
    pub(crate) done_while_paused: bool,
    pub(crate) disk: Disk<Record>,
    /// What the epoch opens with, if it is not the first. It is kept apart from the log, and
    /// outlives it: whoever lost it could ask for it again as it did at first.
    pub(crate) opening: Option<Opening>,
    pub(crate) clock: Clock,
    /// Outputs that wait until the disk is durable.
    pub(crate) held: VecDeque<Output>,
    pub(crate) barrier: bool,
    /// When the shard wants to be woken, by its own clock.
    pub(crate) wake_wanted: Option<Time>,
    /// When a timer is set, in virtual time.
    pub(crate) wake_set: Option<u64>,
    pub(crate) trap: Option<Trap>,
    pub(crate) behaviour: Option<Box<dyn Behaviour>>,
    /// What signatures draw from.
    pub(crate) randomness: SeededRandomness,
    pub(crate) random: Random,
    /// The block signed last, which need not be checked again.
    pub(crate) last_signed: Option<VerifiedBlock>,
}

impl Process {
    pub(super) fn new(setup: &Setup, validator: usize, process: usize) -> Self {
        let label = format!("process {process}");
        let mut random = Random::new(setup.seed, &label);
        let skew = random.below(2 * setup.clock_skew_us + 1) as i64 - setup.clock_skew_us as i64;
        Self {
            validator: ValidatorIndex(validator as u16),
            honest: true,
            state: State::Down,
            shard: None,
            incarnation: 0,
            started_before: false,
            cpu: Cpu::new(setup.powers_permille[validator]),
            done_while_paused: false,
            disk: Disk::new(setup.disk),
            opening: None,
            clock: Clock::with_offset(skew),
            held: VecDeque::new(),
            barrier: false,
            wake_wanted: None,
            wake_set: None,
            trap: None,
            behaviour: None,
            randomness: SeededRandomness::from_u64(setup.seed, &label),
            random,
            last_signed: None,
        }
    }

    /// Everything in memory is gone.
    pub(super) fn forget(&mut self) {
        self.state = State::Down;
        self.shard = None;
        self.incarnation += 1;
        self.cpu.clear();
        self.done_while_paused = false;
        self.held.clear();
        self.barrier = false;
        self.wake_wanted = None;
        self.wake_set = None;
        self.trap = None;
    }

    pub(crate) fn is_up(&self) -> bool {
        self.state != State::Down
    }
}

impl LogRecord for Record {
    fn floor(&self) -> Option<u64> {
        match self {
            Self::Snapshot { floor, .. } => Some(floor.0),
            Self::Own(_) | Self::Accepted(_) => None,
        }
    }

    fn is_needed_above(&self, floor: u64) -> bool {
        match self {
            Self::Own(block) | Self::Accepted(block) => block.reference().round.0 > floor,
            Self::Snapshot { .. } => false,
        }
    }
}
