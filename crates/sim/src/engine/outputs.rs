//! Carrying out what a shard asks for, in order.

use qcn_consensus::Message as BlockMessage;
use qcn_ledger::Outcome;
use qcn_shard::{Event, Input, Message, Output, Record};
use qcn_types::ValidatorIndex;

use super::{Engine, Happening};
use crate::adversary::Hands;
use crate::costs::{self, Work};
use crate::fault::{CrashMoment, OutputKind};
use crate::network::Fate;
use crate::sharding::Notice;
use crate::trace::{Kind, short};

/// The most messages that wait at cut links; the oldest are lost first.
const MAX_HELD_MESSAGES: usize = 1 << 20;

impl Engine {
    /// Gives an input to a shard and carries out its outputs.
    pub(super) fn hand_in(&mut self, at: u16, input: Input) {
        let Some(mut behaviour) = self.processes[at as usize].behaviour.take() else {
            return self.handle(at, input);
        };
        let mut inputs = Vec::new();
        let emitted = self.with_hands(at, |hands| inputs = behaviour.input(input, hands));
        self.processes[at as usize].behaviour = Some(behaviour);
        for output in emitted {
            self.queue_output(at, output);
        }
        for input in inputs {
            self.handle(at, input);
        }
    }

    fn handle(&mut self, at: u16, input: Input) {
        let process = &mut self.processes[at as usize];
        let local = process.clock.local(self.now);
        if let Some(shard) = &mut process.shard {
            shard.handle(local, input);
            self.drain(at);
        }
    }

    /// Takes the outputs of a shard until there are none, or the process has died.
    pub(super) fn drain(&mut self, at: u16) {
        loop {
            let process = &mut self.processes[at as usize];
            let Some(output) = process.shard.as_mut().and_then(|shard| shard.poll_output()) else {
                return;
            };
            match process.behaviour.take() {
                None => self.queue_output(at, output),
                Some(mut behaviour) => {
                    let emitted = self.with_hands(at, |hands| behaviour.output(output, hands));
                    self.processes[at as usize].behaviour = Some(behaviour);
                    for output in emitted {
                        self.queue_output(at, output);
                    }
                }
            }
        }
    }

    fn with_hands(&mut self, at: u16, meddle: impl FnOnce(&mut Hands<'_>)) -> Vec<Output> {
        let process = &mut self.processes[at as usize];
        let Some(shard) = process.shard.as_deref() else {
            return Vec::new();
        };
        let mut hands = Hands {
            own: process.validator,
            now: process.clock.local(self.now),
            keys: &self.setup.keys,
            key: &self.setup.signing[process.validator.position()],
            shard,
            random: &mut process.random,
            randomness: &mut process.randomness,
            emitted: Vec::new(),
            offended: false,
        };
        meddle(&mut hands);
        let (emitted, offended) = (hands.emitted, hands.offended);
        if offended {
            self.invariants.note_offence(process.validator, self.now);
        }
        emitted
    }

    /// Carries out an output, or lets it wait behind a barrier.
    fn queue_output(&mut self, at: u16, output: Output) {
        let process = &mut self.processes[at as usize];
        if process.barrier {
            process.held.push_back(output);
        } else {
            self.carry_out(at, output);
        }
    }

    /// The disk has made something durable: what waited for it goes on, up to the next barrier.
    pub(super) fn durable(&mut self, at: u16, incarnation: u32) {
        let process = &mut self.processes[at as usize];
        if process.incarnation != incarnation {
            return;
        }
        process.disk.advance(self.now);
        process.barrier = false;
        loop {
            let process = &mut self.processes[at as usize];
            if process.barrier || process.incarnation != incarnation {
                return;
            }
            let Some(output) = process.held.pop_front() else {
                return;
            };
            self.carry_out(at, output);
        }
    }

    fn carry_out(&mut self, at: u16, output: Output) {
        let kind = kind_of(&output);
        if self.processes[at as usize].trap.is_some() && self.springs_before(at, kind) {
            return;
        }
        match output {
            Output::VerifyBlock { from, compact, parents } => {
                self.submit_verify(at, from, compact, parents);
            }
            Output::SignBlock(body) => self.submit_sign(at, body),
            Output::VerifySync { from, package } => self.submit_verify_sync(at, from, package),
            Output::Persist { record, barrier } => self.persist(at, record, barrier),
            Output::Send { to, message } => self.send(at, to, message),
            Output::Broadcast(message) => self.broadcast(at, message),
            Output::Wake(wanted) => {
                self.processes[at as usize].wake_wanted = Some(wanted);
                self.set_timer(at);
            }
            Output::Event(event) => self.event(at, event),
        }
        if let Some(trap) = self.processes[at as usize].trap
            && trap.moment == CrashMoment::After(kind)
        {
            self.crash(at, trap.disk, trap.restart_after_us);
        }
    }

    /// Whether a crash was waiting for just this.
    fn springs_before(&mut self, at: u16, kind: OutputKind) -> bool {
        let Some(trap) = &mut self.processes[at as usize].trap else {
            return false;
        };
        let springs = match &mut trap.moment {
            CrashMoment::Before(awaited) => *awaited == kind,
            CrashMoment::BeforeOutput(left) => {
                *left = left.saturating_sub(1);
                *left == 0
            }
            CrashMoment::Now | CrashMoment::After(_) => false,
        };
        let trap = *trap;
        if springs {
            self.crash(at, trap.disk, trap.restart_after_us);
        }
        springs
    }

    fn persist(&mut self, at: u16, record: Record, barrier: bool) {
        if let Record::Own(block) | Record::Accepted(block) = &record {
            let process = &self.processes[at as usize];
            self.invariants.block_kept(process.honest, block);
        }
        let process = &mut self.processes[at as usize];
        process.disk.append(self.now, record);
        if barrier {
            let end = process.disk.sync(self.now);
            process.barrier = true;
            let incarnation = process.incarnation;
            self.queue.push(end, Happening::Durable { process: at, incarnation });
        }
    }

    fn broadcast(&mut self, at: u16, message: Message) {
        if let Message::Consensus(BlockMessage::Block(compact)) = &message {
            let process = &self.processes[at as usize];
            if let Some(block) = &process.last_signed
                && block.signature == compact.signature
            {
                self.memo.remember(compact.clone(), block);
            }
        }
        self.note_leaving(at, &message);
        let parcel = self.parcels.store(message, self.now);
        let own = self.processes[at as usize].validator;
        let count = self.processes.len() as u16;
        // Beginning after itself, so that no validator is always served first.
        for step in 1..count {
            let to = (at + step) % count;
            if self.processes[to as usize].validator != own {
                self.dispatch(at, to, parcel);
            }
        }
        self.parcels.drop_unsent(parcel);
    }

    fn send(&mut self, at: u16, to: ValidatorIndex, message: Message) {
        if to == self.processes[at as usize].validator {
            return;
        }
        if to.position() >= self.instances.len() {
            let notice = Notice::ToGuest { process: at, guest: to, message };
            return self.notices.get_or_insert_default().push(notice);
        }
        self.note_leaving(at, &message);
        let parcel = self.parcels.store(message, self.now);
        for place in 0..self.instances(to.position()).len() {
            let to = self.instances[to.position()][place];
            self.dispatch(at, to, parcel);
        }
        self.parcels.drop_unsent(parcel);
    }

    fn note_leaving(&mut self, at: u16, message: &Message) {
        let process = &self.processes[at as usize];
        if process.honest {
            self.invariants.leaving(self.now, process.validator, message);
        }
    }

    /// Puts one copy on its way.
    fn dispatch(&mut self, from: u16, to: u16, parcel: u32) {
        let Some(bytes) = self.parcels.get(parcel).map(|parcel| parcel.wire_bytes) else {
            return;
        };
        let process = &mut self.processes[from as usize];
        let cost = process.cpu.charge(Work::Messages, costs::SEND_NS);
        process.cpu.occupy(self.now, cost);
        self.metrics.sent(process.validator, bytes);
        let deliver = Happening::Deliver { parcel, from, to };
        match self.network.send(self.now, from as usize, to as usize, bytes) {
            Fate::Arrives(at) => {
                self.parcels.add_copy(parcel);
                self.queue.push(at, deliver);
            }
            Fate::ArrivesTwice(first, second) => {
                self.parcels.add_copy(parcel);
                self.parcels.add_copy(parcel);
                self.queue.push(first, deliver);
                self.queue.push(second, deliver);
            }
            Fate::Cut => {
                if self.network.holds_over_cuts() {
                    self.parcels.add_copy(parcel);
                    self.hold(parcel, from, to);
                }
            }
        }
    }

    /// A copy would arrive, but its link was cut meanwhile.
    pub(super) fn stopped_at_cut(&mut self, parcel: u32, from: u16, to: u16) {
        if self.network.holds_over_cuts() {
            self.hold(parcel, from, to);
        } else {
            self.parcels.take_copy(parcel);
        }
    }

    fn hold(&mut self, parcel: u32, from: u16, to: u16) {
        if self.held.len() >= MAX_HELD_MESSAGES
            && let Some((_, _, oldest)) = self.held.pop_front()
        {
            self.parcels.take_copy(oldest);
        }
        self.held.push_back((from, to, parcel));
    }

    /// Sends on what waited at links that are not cut any more.
    pub(super) fn release_held(&mut self) {
        for (from, to, parcel) in std::mem::take(&mut self.held) {
            let latency = u64::from(self.network.latency_us(from as usize, to as usize));
            self.queue.push(self.now + latency, Happening::Deliver { parcel, from, to });
        }
    }

    fn event(&mut self, at: u16, event: Event) {
        self.trace_event(at, &event);
        let process = &mut self.processes[at as usize];
        match &event {
            Event::Executed { state_updates, hashes, .. } => {
                let updates = u64::from(*state_updates) * costs::STATE_UPDATE_NS;
                let hashing = u64::from(*hashes) * costs::HASH_64_BYTES_NS;
                let cost = process.cpu.charge(Work::Execute, updates + hashing);
                process.cpu.occupy(self.now, cost);
            }
            Event::Proposed(block) if process.honest => {
                self.memo.advance(block.reference().round.0);
            }
            Event::Resumed { .. } => process.disk.resolve(),
            _ => {}
        }
        let process = &self.processes[at as usize];
        let Some(shard) = process.shard.as_deref() else {
            return;
        };
        self.metrics.event(self.now, process.validator, process.honest, &event);
        self.invariants.event(self.now, at, process.validator, process.honest, &event, shard);
        self.clients.event(process.validator, &event);
        if self.notices.is_some() {
            self.notice(at, event);
        }
    }

    /// Notes what other shards should know.
    fn notice(&mut self, at: u16, event: Event) {
        let process = &self.processes[at as usize];
        let (honest, validator) = (process.honest, process.validator);
        let notice = match event {
            Event::Executed { height, outcomes, received, .. } => {
                let applied = outcomes.into_iter().filter(|it| it.1 == Outcome::Applied);
                let applied = applied.map(|(id, _)| id).collect();
                Notice::Executed { process: at, honest, validator, height, applied, received }
            }
            Event::Opened { height, received, .. } => {
                let applied = Vec::new();
                Notice::Executed { process: at, honest, validator, height, applied, received }
            }
            Event::Certified { height, .. } => Notice::Certified { validator, height },
            Event::Synchronised { .. } => Notice::Synchronised { process: at, honest },
            Event::Proposed(block) if honest => Notice::Proposed { block: block.reference() },
            Event::Outgoing => Notice::Outgoing { process: at },
            Event::Closed { .. } => Notice::Closed { process: at },
            Event::Proven(evidence) if honest => {
                Notice::Proven { process: at, evidence: Box::new(evidence) }
            }
            _ => return,
        };
        self.notices.get_or_insert_default().push(notice);
    }

    fn trace_event(&mut self, at: u16, event: &Event) {
        let slot = |round: u64, author: u16| [round, u64::from(author)];
        let (kind, other, detail) = match event {
            Event::Proposed(block) => {
                (Kind::Proposed, block.reference().author.0, short(&block.reference().digest))
            }
            Event::Accepted(block) => (Kind::Accepted, block.author.0, short(&block.digest)),
            Event::Executed { checkpoint, .. } => (Kind::Executed, 0, short(checkpoint)),
            Event::Certified { checkpoint, .. } => (Kind::Certified, 0, short(checkpoint)),
            Event::Skipped(skipped) => (Kind::Skipped, 0, slot(skipped.round.0, skipped.author.0)),
            Event::Proven(evidence) => (Kind::Proven, evidence.accused().0, [0; 2]),
            Event::Isolated { validator, .. } => (Kind::Isolated, validator.0, [0; 2]),
            Event::LyingSyncer(validator) => (Kind::Suspicion, validator.0, [1, 0]),
            Event::Rejected { from, rejection } => (Kind::Rejected, from.0, [*rejection as u64, 0]),
            Event::Suspicion { against, .. } => (Kind::Suspicion, against.0, [0; 2]),
            Event::Refused { id, .. } => (Kind::Refused, 0, short(&id.0)),
            Event::Synchronised { checkpoint, .. } => (Kind::Synchronised, 0, short(checkpoint)),
            Event::Resumed { round } => (Kind::Resumed, 0, [round.0, 0]),
            Event::Diverged { own, .. } => (Kind::Diverged, 0, short(own)),
            Event::Outgoing => (Kind::Outgoing, 0, [0; 2]),
            Event::Opened { checkpoint, .. } => (Kind::Opened, 0, short(checkpoint)),
            Event::Closed { plan } => (Kind::Closed, 0, short(&plan.digest())),
        };
        self.record(kind, at, other, detail);
    }
}

fn kind_of(output: &Output) -> OutputKind {
    match output {
        Output::VerifyBlock { .. } => OutputKind::Verify,
        Output::SignBlock(_) => OutputKind::Sign,
        Output::Persist { barrier: false, .. } => OutputKind::Persist,
        Output::Persist { barrier: true, .. } => OutputKind::PersistBarrier,
        Output::Send { .. } => OutputKind::Send,
        Output::Broadcast(_) => OutputKind::Broadcast,
        Output::Event(Event::Executed { .. }) => OutputKind::Execute,
        Output::VerifySync { .. } | Output::Wake(_) | Output::Event(_) => OutputKind::Other,
    }
}
