//! Validators that do not follow the protocol, named by what they do.
//!
//! An adversary runs the honest machine and meddles with its outputs and inputs, or signs what
//! it likes with its key. Each behaviour is one file. Behaviours know no driver: the simulator
//! runs them, and so does the faulty validator of the tests across a real network.
//!
//! **Invariant**: an adversary has its own key and nobody else's. It sends only what it signed
//! itself, received from others, or made up without a signature.

mod conflicting_attester;
mod equivocator;
mod flooder;
mod invalid_payload_author;
mod lying_syncer;
mod selective_sender;
mod silent_leader;
mod time_shifter;
mod withholder;

use std::fmt;
use std::sync::Arc;

use qcn_consensus::Message as BlockMessage;
use qcn_crypto::{SeededRandomness, SigningKey};
use qcn_shard::{Input, Message, Output, Shard};
use qcn_types::{Block, BlockBody, BlockHeader, CommitteeKeys, CompactBlock, Time, ValidatorIndex};

use crate::random::Random;

/// How a validator departs from the protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Adversary {
    /// Signs two different blocks per slot and sends them to different halves.
    Equivocator,
    /// Sends its blocks to only a few.
    Withholder,
    /// Sends its blocks to another half in every round.
    SelectiveSender,
    /// Proposes nothing in the rounds in which it is a leader.
    SilentLeader,
    /// Signs blocks that carry an invalid transaction signature.
    InvalidPayloadAuthor,
    /// Answers requests with wrong blocks, chunks and certificates, or not at all.
    LyingSyncer,
    /// Sends duplicates, garbage, far-future blocks and huge requests.
    Flooder,
    /// Dates its blocks ahead and behind.
    TimeShifter,
    /// Runs twice with one key.
    Twins,
    /// Attests two different checkpoints for one height.
    ConflictingAttester,
}

impl Adversary {
    /// All adversaries, in order.
    pub const ALL: [Self; 10] = [
        Self::Equivocator,
        Self::Withholder,
        Self::SelectiveSender,
        Self::SilentLeader,
        Self::InvalidPayloadAuthor,
        Self::LyingSyncer,
        Self::Flooder,
        Self::TimeShifter,
        Self::Twins,
        Self::ConflictingAttester,
    ];

    /// The name that scenario files use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equivocator => "equivocator",
            Self::Withholder => "withholder",
            Self::SelectiveSender => "selective-sender",
            Self::SilentLeader => "silent-leader",
            Self::InvalidPayloadAuthor => "invalid-payload-author",
            Self::LyingSyncer => "lying-syncer",
            Self::Flooder => "flooder",
            Self::TimeShifter => "time-shifter",
            Self::Twins => "twins",
            Self::ConflictingAttester => "conflicting-attester",
        }
    }

    /// The adversary of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|adversary| adversary.name() == name)
    }

    /// Whether what it does proves its fault to honest validators.
    #[must_use]
    pub const fn leaves_proof(self) -> bool {
        matches!(self, Self::Equivocator | Self::InvalidPayloadAuthor | Self::ConflictingAttester)
    }

    /// What meddles with its machine; nothing for twins, who are two honest machines.
    #[must_use]
    pub fn behaviour(self) -> Option<Box<dyn Behaviour>> {
        match self {
            Self::Equivocator => Some(Box::<equivocator::Equivocator>::default()),
            Self::Withholder => Some(Box::new(withholder::Withholder)),
            Self::SelectiveSender => Some(Box::new(selective_sender::SelectiveSender)),
            Self::SilentLeader => Some(Box::<silent_leader::SilentLeader>::default()),
            Self::InvalidPayloadAuthor => {
                Some(Box::<invalid_payload_author::InvalidPayloadAuthor>::default())
            }
            Self::LyingSyncer => Some(Box::new(lying_syncer::LyingSyncer::default())),
            Self::Flooder => Some(Box::<flooder::Flooder>::default()),
            Self::TimeShifter => Some(Box::new(time_shifter::TimeShifter)),
            Self::Twins => None,
            Self::ConflictingAttester => {
                Some(Box::<conflicting_attester::ConflictingAttester>::default())
            }
        }
    }
}

impl fmt::Display for Adversary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Stands between an honest machine and the world.
pub trait Behaviour: fmt::Debug + Send {
    /// Sees an output of the machine, and emits what is done instead.
    fn output(&mut self, output: Output, hands: &mut Hands<'_>);

    /// Sees an input before the machine does; what it returns is handed in.
    fn input(&mut self, input: Input, _hands: &mut Hands<'_>) -> Vec<Input> {
        vec![input]
    }
}

/// What an adversary knows and can do. Its driver gives it a pair for each output and input.
#[derive(Debug)]
pub struct Hands<'a> {
    /// Which validator it is.
    pub own: ValidatorIndex,
    /// What its clock says.
    pub now: Time,
    /// The committee.
    pub keys: &'a CommitteeKeys,
    /// Its own key.
    pub key: &'a SigningKey,
    /// The honest machine that it runs.
    pub shard: &'a Shard,
    /// Decides what it does where it has a choice.
    pub random: &'a mut Random,
    /// What its signatures draw from.
    pub randomness: &'a mut SeededRandomness,
    /// What its driver carries out, in order; empty at first.
    pub emitted: Vec<Output>,
    /// Whether honest validators now get proof of its fault; false at first.
    pub offended: bool,
}

impl Hands<'_> {
    /// Has an output carried out.
    pub(crate) fn emit(&mut self, output: Output) {
        self.emitted.push(output);
    }

    /// Sends a message to one peer.
    pub(crate) fn send(&mut self, to: ValidatorIndex, message: Message) {
        self.emit(Output::Send { to, message });
    }

    /// Sends a block to one peer.
    pub(crate) fn send_block(&mut self, to: ValidatorIndex, block: &Arc<CompactBlock>) {
        self.send(to, block_message(block));
    }

    /// Notes that honest validators now get proof of this validator's fault.
    pub(crate) const fn offend(&mut self) {
        self.offended = true;
    }

    /// All others.
    pub(crate) fn peers(&self) -> Vec<ValidatorIndex> {
        let own = self.own;
        self.keys.committee().indices().filter(|peer| *peer != own).collect()
    }

    /// All others in two random halves.
    pub(crate) fn halves(&mut self) -> [Vec<ValidatorIndex>; 2] {
        let mut peers = self.peers();
        self.random.shuffle(&mut peers);
        let second = peers.split_off(peers.len() / 2);
        [peers, second]
    }

    /// Signs whatever it likes.
    pub(crate) fn sign(&mut self, body: BlockBody) -> Option<Block> {
        let context = BlockHeader::signing_context(self.keys.chain());
        let digest = body.digest();
        let signature = self.key.sign_seeded(&context, digest.as_bytes(), self.randomness).ok()?;
        Some(Block { body, signature })
    }
}

/// The own block that an output broadcasts, if it does.
pub(crate) fn own_broadcast(output: &Output, own: ValidatorIndex) -> Option<&Arc<CompactBlock>> {
    match output {
        Output::Broadcast(Message::Consensus(BlockMessage::Block(block)))
            if block.author == own =>
        {
            Some(block)
        }
        _ => None,
    }
}

pub(crate) fn block_message(block: &Arc<CompactBlock>) -> Message {
    Message::Consensus(BlockMessage::Block(Arc::clone(block)))
}

#[cfg(test)]
mod tests;
