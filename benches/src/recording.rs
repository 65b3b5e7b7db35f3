//! A committee's rounds, recorded once with real signatures and replayed into one machine.

use std::sync::Arc;
use std::time::Duration;

use qcn_consensus::{Config, Input, Machine, Message, Output};
use qcn_crypto::Digest;
use qcn_types::{
    BlockRef, Bounded, CompactBlock, Payload, Round, Time, ValidatorIndex, VerifiedBlock,
};

use crate::{Validators, attestation, cpu_time, genesis_parents};

/// A round every 100 ms.
pub const ROUND_INTERVAL_MS: u64 = 100;
/// The validator whose machine is measured.
const OWN: ValidatorIndex = ValidatorIndex(0);

/// Rounds in which every validator references every block of the round before.
#[derive(Debug)]
pub struct Recording {
    validators: Validators,
    /// By round, from round 1; the own block first.
    rounds: Vec<Vec<Recorded>>,
}

#[derive(Debug)]
struct Recorded {
    verified: VerifiedBlock,
    compact: Arc<CompactBlock>,
}

impl Recording {
    /// Records rounds 1 to `rounds`: the measured machine proposes, the others are made up.
    ///
    /// # Panics
    /// If the machine does not propose in every round.
    #[must_use]
    pub fn new(validators: Validators, rounds: u64) -> Self {
        let mut recording = Self { validators, rounds: Vec::new() };
        let mut machine = recording.machine();
        let mut parents = genesis_parents(recording.validators.committee());
        for round in (1..=rounds).map(Round) {
            let mut blocks = Vec::new();
            machine.handle(tick_of(round), Input::Tick);
            recording.drive(&mut machine, tick_of(round), &mut |_, body| {
                let sealed = recording.validators.seal(body);
                blocks.push(recorded(&sealed));
                sealed
            });
            assert_eq!(blocks.len(), 1, "the machine proposes in {round}");
            let validators = &recording.validators;
            for author in validators.committee().indices().filter(|author| *author != OWN) {
                let time_ms = tick_of(round).as_ms();
                let body = validators.body(author, round, time_ms, &parents, Payload::default());
                blocks.push(recorded(&validators.seal(body)));
            }
            parents =
                blocks.iter().map(|block| block.verified.reference()).collect::<Vec<BlockRef>>();
            recording.rounds.push(blocks);
            recording.deliver(&mut machine, round, &mut |_, _| unreachable!("it waits for a tick"));
        }
        recording
    }

    /// Replays all rounds into a fresh machine. Gives the processor time spent after the first
    /// `warm_up` rounds, and how many commits the machine made.
    ///
    /// Signing and verifying are not in it: their results come from the recording.
    #[must_use]
    pub fn replay(&self, warm_up: u64) -> (Duration, u64) {
        let mut machine = self.machine();
        let mut warm = Duration::ZERO;
        for round in (1..=self.rounds.len() as u64).map(Round) {
            let own = |round: Round| self.rounds[round.0 as usize - 1][0].verified.clone();
            let mut sign = |round: Round, _body| own(round);
            machine.handle(tick_of(round), Input::Tick);
            self.drive(&mut machine, tick_of(round), &mut sign);
            self.deliver(&mut machine, round, &mut sign);
            if round.0 == warm_up {
                warm = cpu_time();
            }
        }
        (cpu_time().saturating_sub(warm), machine.commit_index())
    }

    fn machine(&self) -> Machine {
        let interval_us = ROUND_INTERVAL_MS * 1_000;
        let config = Config {
            min_round_interval_us: interval_us,
            idle_round_interval_us: interval_us,
            ..Config::default()
        };
        let keys = self.validators.keys().clone();
        Machine::new(Time::ZERO, config, keys, OWN, Digest([9; 32]))
    }

    /// The other validators' blocks of a round arrive, half an interval after its tick.
    fn deliver(
        &self,
        machine: &mut Machine,
        round: Round,
        sign: &mut dyn FnMut(Round, qcn_types::BlockBody) -> VerifiedBlock,
    ) {
        let now = tick_of(round).plus_ms(ROUND_INTERVAL_MS / 2);
        for block in &self.rounds[round.0 as usize - 1][1..] {
            let message = Message::Block(Arc::clone(&block.compact));
            machine.handle(now, Input::Message { from: block.compact.author, message });
            self.drive(machine, now, sign);
        }
    }

    /// Carries out what the machine asks for, except that nothing is sent or stored.
    fn drive(
        &self,
        machine: &mut Machine,
        now: Time,
        sign: &mut dyn FnMut(Round, qcn_types::BlockBody) -> VerifiedBlock,
    ) {
        while let Some(output) = machine.poll_output() {
            match output {
                Output::RequestPayload { round } => {
                    let attestations = Bounded::truncated(vec![attestation(round)]);
                    let payload = Payload::default();
                    machine.handle(now, Input::Payload { round, payload, attestations });
                }
                Output::Sign(body) => {
                    let signed = sign(body.round, *body);
                    machine.handle(now, Input::Signed(signed));
                }
                Output::Verify { from, compact, .. } => {
                    let round = &self.rounds[compact.round.0 as usize - 1];
                    let verified = round[compact.author.position()].verified.clone();
                    machine.handle(now, Input::Verified { from, compact, outcome: Ok(verified) });
                }
                _ => {}
            }
        }
    }
}

fn tick_of(round: Round) -> Time {
    Time::from_ms(round.0 * ROUND_INTERVAL_MS)
}

fn recorded(verified: &VerifiedBlock) -> Recorded {
    Recorded { verified: verified.clone(), compact: Arc::new(CompactBlock::pack(verified)) }
}
