//! A node as `qcn node` runs it, with real keys, sockets and disks, whose machine one of the
//! simulator's adversaries meddles with. It is built for the tests across a network alone.
//!
//! Usage: `qcn-byzantine ADVERSARY --config FILE`. How often it departed from the protocol goes to its
//! log, at every power of two, so that a test can tell that it did at all.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use qcn_cli::node::run_until_stopped;
use qcn_crypto::{Digest, SeededRandomness, SigningKey};
use qcn_node::devnet::read_node;
use qcn_node::runtime::{Meddler, Node, Scene};
use qcn_shard::{Input, Message, Output};
use qcn_sim::Adversary;
use qcn_sim::adversary::{Behaviour, Hands};
use qcn_sim::random::Random;
use qcn_types::{CommitteeKeys, ValidatorIndex};

/// Decides what an adversary does where it has a choice. What comes of it differs from run to run
/// all the same, as it does with real sockets and clocks.
const SEED: u64 = 1;
const LABEL: &str = "byzantine node";

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [name, "--config", config_file] = arguments.as_slice() else {
        bail!("usage: qcn-byzantine ADVERSARY --config FILE");
    };
    let adversary = Adversary::named(name).with_context(|| format!("no adversary is a {name}"))?;
    let (genesis, config, keys) = read_node(Path::new(config_file))?;
    let Some(behaviour) = adversary.behaviour() else {
        // Each of two twins follows the protocol: what is wrong is that there are two.
        let start = Node::start(&genesis, &config, keys);
        return run_until_stopped(&genesis, &config, Duration::ZERO, start);
    };
    let (committee_keys, key) = (genesis.committee_keys()?, keys.consensus.clone());
    let adversarial = Adversarial::new(adversary, behaviour, committee_keys, key)?;
    let start = Node::start_meddled(&genesis, &config, keys, Box::new(adversarial));
    run_until_stopped(&genesis, &config, Duration::ZERO, start)
}

/// An adversary of the simulator at the doors of a node's machine.
struct Adversarial {
    adversary: Adversary,
    behaviour: Box<dyn Behaviour>,
    own: ValidatorIndex,
    keys: CommitteeKeys,
    key: SigningKey,
    random: Random,
    randomness: SeededRandomness,
    departures: u64,
}

impl Adversarial {
    fn new(
        adversary: Adversary,
        behaviour: Box<dyn Behaviour>,
        keys: CommitteeKeys,
        key: SigningKey,
    ) -> anyhow::Result<Self> {
        let mut members = keys.committee().members().iter();
        let own = members.position(|member| member.key == *key.public_key());
        let own = own.context("the consensus key is not in the genesis")?;
        Ok(Self {
            adversary,
            behaviour,
            own: ValidatorIndex(own.try_into()?),
            keys,
            key,
            random: Random::new(SEED, LABEL),
            randomness: SeededRandomness::from_u64(SEED, LABEL),
            departures: 0,
        })
    }

    /// Lets the adversary at something; gives what is carried out.
    fn meddle(
        &mut self,
        scene: Scene<'_>,
        at: impl FnOnce(&mut dyn Behaviour, &mut Hands<'_>),
    ) -> Vec<Output> {
        let mut hands = Hands {
            own: self.own,
            now: scene.now,
            keys: &self.keys,
            key: &self.key,
            shard: scene.shard,
            random: &mut self.random,
            randomness: &mut self.randomness,
            emitted: Vec::new(),
            offended: false,
        };
        at(self.behaviour.as_mut(), &mut hands);
        hands.emitted
    }

    fn count_departure(&mut self) {
        self.departures += 1;
        if self.departures.is_power_of_two() {
            eprintln!("{} departures from the protocol by a {}", self.departures, self.adversary);
        }
    }
}

impl Meddler for Adversarial {
    fn input(&mut self, scene: Scene<'_>, input: Input) -> (Vec<Output>, Vec<Input>) {
        let mut inputs = Vec::new();
        let outputs = self.meddle(scene, |behaviour, hands| inputs = behaviour.input(input, hands));
        (outputs, inputs)
    }

    fn output(&mut self, scene: Scene<'_>, output: Output) -> Vec<Output> {
        let honest = Visible::of(&output);
        let outputs = self.meddle(scene, |behaviour, hands| behaviour.output(output, hands));
        if !outputs.iter().map(Visible::of).eq([honest]) {
            self.count_departure();
        }
        outputs
    }
}

/// What the other validators may see of an output.
#[derive(PartialEq)]
enum Visible {
    Signed(Digest),
    Sent(Option<ValidatorIndex>, Message),
    Nothing,
}

impl Visible {
    fn of(output: &Output) -> Self {
        match output {
            Output::SignBlock(body) => Self::Signed(body.digest()),
            Output::Send { to, message } => Self::Sent(Some(*to), message.clone()),
            Output::Broadcast(message) => Self::Sent(None, message.clone()),
            _ => Self::Nothing,
        }
    }
}
