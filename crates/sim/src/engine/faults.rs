//! Faults: when they begin, and how they end.

use qcn_shard::{Opening, Shard, ShardConfig, Start};

use super::process::{State, Trap};
use super::{Engine, Happening};
use crate::disk::{DiskFault, DiskModel};
use crate::fault::{CrashMoment, Fault};
use crate::network::Disturbance;
use crate::result::EventKind;
use crate::trace::Kind;

impl Engine {
    /// A scheduled fault begins.
    pub(super) fn strike(&mut self, number: u32) {
        let Some(fault) = self.faults.get(number as usize).cloned() else {
            return;
        };
        self.record(Kind::Fault, 0, 0, [u64::from(number), 0]);
        self.metrics.fault(self.now, &fault);
        let over = self.now + fault.duration_us().unwrap_or(0);
        self.invariants.fault_until(over);
        match fault {
            Fault::Partition { groups } => {
                let groups = self.processes_in(groups);
                self.network.disturb(Disturbance::Partition(groups));
            }
            Fault::OneWay { from, to } => {
                let (from, to) = (self.processes_of(&from), self.processes_of(&to));
                self.network.disturb(Disturbance::OneWay { from, to });
            }
            Fault::Isolate { validator } => {
                let others = (0..self.instances.len()).filter(|other| *other != validator);
                let groups = vec![vec![validator], others.collect()];
                let groups = self.processes_in(groups);
                self.network.disturb(Disturbance::Partition(groups));
            }
            Fault::Flapping { groups, period_us, duration_us } => {
                self.flap(&groups, period_us, duration_us);
            }
            Fault::Heal => self.heal(),
            Fault::Crash { validator, moment, disk, restart_after_us } => {
                self.crash_validator(validator, moment, disk, restart_after_us);
            }
            Fault::Restart { validator } => {
                for process in self.instances(validator).to_vec() {
                    self.start(process);
                }
            }
            Fault::Pause { validator, duration_us } => self.pause(validator, duration_us),
            Fault::Churn { validators, period_us, down_us, duration_us, disk } => {
                self.churn(&validators, period_us, down_us, duration_us, disk);
            }
            Fault::ClockJump { validator, by_us } => self.jump_clock(validator, by_us),
            Fault::LatencySpike { validators, permille, duration_us } => {
                let processes = self.processes_of_or_all(&validators);
                self.disturb_for(Disturbance::Latency { processes, permille }, duration_us);
            }
            Fault::BandwidthCut { validators, bits_per_second, duration_us } => {
                let processes = self.processes_of_or_all(&validators);
                self.disturb_for(
                    Disturbance::Bandwidth { processes, bits_per_second },
                    duration_us,
                );
            }
            Fault::LossBurst { per_million, duration_us } => {
                self.disturb_for(Disturbance::Loss { per_million }, duration_us);
            }
            Fault::SlowDisk { validator, sync_us, duration_us } => {
                self.slow_disk(validator, sync_us, duration_us);
            }
        }
    }

    /// Ends every cut.
    pub(crate) fn heal(&mut self) {
        self.network.heal();
        self.invariants.fault_until(self.now);
        self.release_held();
    }

    pub(super) fn settle(&mut self, disturbance: u64) {
        self.network.settle(disturbance);
        self.invariants.fault_until(self.now);
        self.release_held();
    }

    fn disturb_for(&mut self, disturbance: Disturbance, duration_us: u64) {
        let number = self.network.disturb(disturbance);
        let settle = Happening::Settle { disturbance: number as u32 };
        self.queue.push(self.now + duration_us, settle);
    }

    fn flap(&mut self, groups: &[Vec<usize>], period_us: u64, duration_us: u64) {
        let period_us = period_us.max(1_000);
        let number =
            self.network.disturb(Disturbance::Partition(self.processes_in(groups.to_vec())));
        let settle = Happening::Settle { disturbance: number as u32 };
        self.queue.push(self.now + period_us, settle);
        if duration_us > 2 * period_us {
            let rest = Fault::Flapping {
                groups: groups.to_vec(),
                period_us,
                duration_us: duration_us - 2 * period_us,
            };
            self.schedule_fault(self.now + 2 * period_us, rest);
        }
    }

    fn churn(
        &mut self,
        validators: &[usize],
        period_us: u64,
        down_us: u64,
        duration_us: u64,
        disk: DiskFault,
    ) {
        let period_us = period_us.max(1_000);
        let mut after = 0;
        for validator in validators.iter().cycle() {
            if after >= duration_us {
                return;
            }
            let crash = Fault::Crash {
                validator: *validator,
                moment: CrashMoment::Now,
                disk,
                restart_after_us: Some(down_us),
            };
            self.schedule_fault(self.now + after, crash);
            after += period_us;
        }
    }

    fn crash_validator(
        &mut self,
        validator: usize,
        moment: CrashMoment,
        disk: DiskFault,
        restart_after_us: Option<u64>,
    ) {
        for at in self.instances(validator).to_vec() {
            if moment == CrashMoment::Now {
                self.crash(at, disk, restart_after_us);
            } else if self.processes[at as usize].is_up() {
                self.processes[at as usize].trap = Some(Trap { moment, disk, restart_after_us });
            }
        }
    }

    /// A process dies at once.
    pub(super) fn crash(&mut self, at: u16, disk: DiskFault, restart_after_us: Option<u64>) {
        let process = &mut self.processes[at as usize];
        if !process.is_up() {
            return;
        }
        process.disk.crash(self.now, disk, &mut process.random);
        process.forget();
        let (validator, incarnation) = (process.validator, process.incarnation);
        self.network.reset_uplink(at as usize);
        self.record(Kind::Stop, at, validator.0, [disk as u64, u64::from(incarnation)]);
        self.invariants.stopped(at, validator);
        self.clients.stopped(validator);
        let text = format!("validator {validator} is down (disk: {disk:?})");
        self.metrics.note(self.now, EventKind::Crash, text);
        if let Some(after) = restart_after_us {
            let restart = Happening::Restart { process: at, incarnation };
            self.queue.push(self.now + after, restart);
            self.invariants.fault_until(self.now + after);
        }
    }

    /// A process that is down comes up from its disk.
    pub(super) fn start(&mut self, at: u16) {
        let process = &mut self.processes[at as usize];
        if process.is_up() || (self.setup.waits_for_opening && process.opening.is_none()) {
            return;
        }
        let recovered = process.disk.recover();
        let start = match (process.started_before, recovered.complete) {
            (false, _) => Start::Fresh,
            (true, true) => Start::Restarted(recovered.records),
            (true, false) => Start::Suspect(recovered.records),
        };
        let kind = match start {
            Start::Fresh => 0,
            Start::Restarted(_) => 1,
            Start::Suspect(_) => 2,
        };
        let config = ShardConfig {
            keys: self.setup.keys.clone(),
            own: process.validator,
            territory: self.setup.territory.clone(),
            seed: self.setup.epoch_seed,
            consensus: self.setup.consensus.clone(),
            accounts: self.setup.accounts.clone(),
            opening: process.opening.clone(),
            snapshot_interval: self.setup.snapshot_interval,
            nonce: process.random.next_u64(),
            replays_events: false,
        };
        let local = process.clock.local(self.now);
        let validator = process.validator;
        let again = process.started_before;
        process.started_before = true;
        match Shard::new(local, config, start) {
            Ok(shard) => {
                process.shard = Some(Box::new(shard));
                process.state = State::Up;
            }
            Err(error) => {
                return self.invariants.failed_to_start(self.now, validator, &error.to_string());
            }
        }
        self.record(Kind::Start, at, validator.0, [kind, 0]);
        if again {
            self.invariants.fault_until(self.now);
            let how = if kind == 2 { "with a suspect log" } else { "with its log" };
            let text = format!("validator {validator} is up {how}");
            self.metrics.note(self.now, EventKind::Restart, text);
        }
        self.drain(at);
    }

    /// Gives a process what the epoch opens with, and starts it.
    pub(crate) fn open(&mut self, at: u16, opening: &Opening) {
        let process = &mut self.processes[at as usize];
        if process.opening.is_none() {
            process.opening = Some(opening.clone());
            self.start(at);
            let validator = self.processes[at as usize].validator;
            // Clients have waited for this.
            self.clients.stopped(validator);
            self.clients_lose_patience_with(Some(validator));
        }
    }

    fn pause(&mut self, validator: usize, duration_us: u64) {
        for at in self.instances(validator).to_vec() {
            let process = &mut self.processes[at as usize];
            if process.state == State::Up {
                process.state = State::Paused;
                let incarnation = process.incarnation;
                let resume = Happening::Resume { process: at, incarnation };
                self.queue.push(self.now + duration_us, resume);
            }
        }
    }

    pub(super) fn resume(&mut self, at: u16, incarnation: u32) {
        let process = &mut self.processes[at as usize];
        if process.incarnation != incarnation || process.state != State::Paused {
            return;
        }
        process.state = State::Up;
        self.invariants.fault_until(self.now);
        if std::mem::take(&mut process.done_while_paused) {
            self.queue.push(self.now, Happening::Done { process: at, incarnation });
        }
    }

    fn jump_clock(&mut self, validator: usize, by_us: i64) {
        for at in self.instances(validator).to_vec() {
            let process = &mut self.processes[at as usize];
            process.clock.jump(by_us);
            if process.is_up() {
                self.set_timer(at);
            }
        }
    }

    fn slow_disk(&mut self, validator: usize, sync_us: u64, duration_us: u64) {
        for at in self.instances(validator).to_vec() {
            let slow = DiskModel { sync_us, ..self.setup.disk };
            self.processes[at as usize].disk.set_model(slow);
            self.queue.push(self.now + duration_us, Happening::DiskRecovers { process: at });
        }
    }

    /// Groups of validators as groups of processes. Twins are split: the first of each in the
    /// first group that names their validator, the second in the next group.
    fn processes_in(&self, groups: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
        let count = groups.len();
        let mut split: Vec<Vec<usize>> = vec![Vec::new(); count];
        for (group, members) in groups.iter().enumerate() {
            for validator in members {
                for (twin, process) in self.instances(*validator).iter().enumerate() {
                    split[(group + twin) % count].push(*process as usize);
                }
            }
        }
        split
    }

    fn processes_of(&self, validators: &[usize]) -> Vec<usize> {
        let processes = validators.iter().flat_map(|validator| self.instances(*validator));
        processes.map(|process| *process as usize).collect()
    }

    fn processes_of_or_all(&self, validators: &[usize]) -> Vec<usize> {
        if validators.is_empty() {
            (0..self.processes.len()).collect()
        } else {
            self.processes_of(validators)
        }
    }
}
