//! Validators that fetch the final state of a shard in which they have no seat.

use std::collections::BTreeMap;

use qcn_light::verify_certificate;
use qcn_shard::{Closed, Input, Joiner, Message, Output};
use qcn_types::{Time, ValidatorIndex};

use super::Between;
use crate::queue::EventQueue;
use crate::simulator::QuantumNetworkSimulator;

/// One guest.
#[derive(Debug)]
struct Guest {
    /// The number of its key.
    validator: usize,
    /// The engine that it asks.
    engine: usize,
    joiner: Joiner,
}

/// A message on its way between a guest and a member.
#[derive(Debug)]
struct Letter {
    guest: u32,
    /// The process that it goes to, or comes from.
    process: u16,
    to_guest: bool,
    message: Message,
}

/// All guests, by number; the number says which index members see.
#[derive(Debug, Default)]
pub(super) struct Guests {
    guests: BTreeMap<u32, Guest>,
    letters: BTreeMap<u32, Letter>,
    next_guest: u32,
    next_letter: u32,
    latency_us: u64,
}

/// What a guest has found out.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) validator: usize,
    pub(super) engine: usize,
    pub(super) closed: Closed,
}

/// Guests have the highest indices.
const fn index_of(guest: u32) -> ValidatorIndex {
    ValidatorIndex(u16::MAX - guest as u16)
}

impl Guests {
    /// No guests, whose messages will take so long.
    pub(super) fn new(latency_us: u64) -> Self {
        Self { latency_us, ..Self::default() }
    }

    /// A validator begins to ask the members of an engine for a final state.
    pub(super) fn invite(
        &mut self,
        now: u64,
        validator: usize,
        engine: usize,
        plan: qcn_crypto::Digest,
        networks: &mut [QuantumNetworkSimulator],
        queue: &mut EventQueue<Between>,
    ) {
        let is_there = |guest: &Guest| guest.validator == validator && guest.engine == engine;
        if self.guests.values().any(is_there) {
            return;
        }
        let number = self.next_guest;
        self.next_guest += 1;
        let setup = &networks[engine].engine.setup;
        let members = setup.keys.committee().len();
        let joiner = Joiner::new(
            Time(now),
            setup.keys.chain(),
            setup.territory.clone(),
            members,
            index_of(number),
            plan,
        );
        self.guests.insert(number, Guest { validator, engine, joiner });
        self.drain(now, number, networks, queue);
    }

    /// A member answers.
    pub(super) fn answer(
        &mut self,
        now: u64,
        process: u16,
        guest: ValidatorIndex,
        message: Message,
        queue: &mut EventQueue<Between>,
    ) {
        let guest = u32::from(u16::MAX - guest.0);
        self.post(now, Letter { guest, process, to_guest: true, message }, queue);
    }

    fn post(&mut self, now: u64, letter: Letter, queue: &mut EventQueue<Between>) {
        let number = self.next_letter;
        self.next_letter += 1;
        self.letters.insert(number, letter);
        queue.push(now + self.latency_us, Between::Letter { number });
    }

    /// A message arrives. Says for which engine it was, if it was not for the guest.
    pub(super) fn arrives(
        &mut self,
        now: u64,
        number: u32,
        networks: &mut [QuantumNetworkSimulator],
        queue: &mut EventQueue<Between>,
    ) -> (Option<usize>, Option<Found>) {
        let Some(letter) = self.letters.remove(&number) else {
            return (None, None);
        };
        let Some(guest) = self.guests.get_mut(&letter.guest) else {
            return (None, None);
        };
        let engine = &mut networks[guest.engine].engine;
        if !letter.to_guest {
            engine.now = now;
            engine.receive_from_guest(letter.process, index_of(letter.guest), letter.message);
            return (Some(guest.engine), None);
        }
        let from = engine.processes[letter.process as usize].validator;
        guest.joiner.handle(Time(now), Input::Message { from, message: letter.message });
        (None, self.drain(now, letter.guest, networks, queue))
    }

    /// A guest's timer fires.
    pub(super) fn tick(
        &mut self,
        now: u64,
        number: u32,
        networks: &mut [QuantumNetworkSimulator],
        queue: &mut EventQueue<Between>,
    ) -> Option<Found> {
        self.guests.get_mut(&number)?.joiner.handle(Time(now), Input::Tick);
        self.drain(now, number, networks, queue)
    }

    fn drain(
        &mut self,
        now: u64,
        number: u32,
        networks: &mut [QuantumNetworkSimulator],
        queue: &mut EventQueue<Between>,
    ) -> Option<Found> {
        loop {
            let guest = self.guests.get_mut(&number)?;
            let Some(output) = guest.joiner.poll_output() else {
                break;
            };
            let engine = &networks[guest.engine].engine;
            match output {
                Output::Send { to, message } => {
                    for process in engine.instances(to.position()).to_vec() {
                        let message = message.clone();
                        let letter = Letter { guest: number, process, to_guest: false, message };
                        self.post(now, letter, queue);
                    }
                }
                Output::VerifySync { from, package } => {
                    let keys = &engine.setup.keys;
                    let valid = verify_certificate(&package.certificate, keys).is_ok();
                    let input = Input::SyncVerified { from, package, valid };
                    guest.joiner.handle(Time(now), input);
                }
                Output::Wake(at) => queue.push(at.0.max(now), Between::Tick { guest: number }),
                _ => {}
            }
        }
        let closed = self.guests.get(&number)?.joiner.closed()?.clone();
        let guest = self.guests.remove(&number)?;
        Some(Found { validator: guest.validator, engine: guest.engine, closed })
    }
}
