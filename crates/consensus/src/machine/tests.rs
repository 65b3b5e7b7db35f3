//! One machine, and hands that play the rest of its committee, its signer and its verifier.

use qcn_types::{Block, MAX_ATTESTATIONS};

use super::*;
use crate::testing::{author, body, digest, genesis, named, sign, signing_committee, verified};

mod intake;
mod proposing;
mod siblings;

/// The machine of validator 0, which the others' blocks come to.
struct Hands {
    keys: CommitteeKeys,
    machine: Machine,
    now: Time,
    /// Whether what it wants to sign is signed at once.
    signs: bool,
    outputs: Vec<Output>,
}

impl Hands {
    /// A machine of a committee of equal members that only listens: it is recovering.
    fn listening(members: usize) -> Self {
        let mut hands = Self::signing(members);
        hands.machine.recover(1);
        hands
    }

    /// A machine that proposes.
    fn signing(members: usize) -> Self {
        let keys = signing_committee(&vec![1; members]);
        let config = Config { leaders_per_round: 2, ..Config::default() };
        let machine =
            Machine::new(Time::ZERO, config, keys.clone(), author(0), digest("epoch seed"));
        Self { keys, machine, now: Time::from_ms(1_000), signs: true, outputs: Vec::new() }
    }

    /// Hands an input in, and does what a driver does with the outputs, until there are none.
    fn handle(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.machine.handle(self.now, input);
            while let Some(output) = self.machine.poll_output() {
                match output {
                    Output::Verify { from, compact, parents } => {
                        let block = CompactBlock::clone(&compact);
                        let committee = self.keys.committee();
                        let block = block.with_parents(self.keys.chain(), committee, parents);
                        let outcome = self.keys.verify_block(block);
                        inputs.push_back(Input::Verified { from, compact, outcome });
                    }
                    Output::RequestPayload { round } => {
                        let attestations = Bounded::<_, MAX_ATTESTATIONS>::default();
                        let payload = Payload::default();
                        inputs.push_back(Input::Payload { round, payload, attestations });
                    }
                    Output::Sign(body) => {
                        if self.signs {
                            let block = verified(&self.keys, (*body).clone());
                            inputs.push_back(Input::Signed(block));
                        }
                        self.outputs.push(Output::Sign(body));
                    }
                    output => self.outputs.push(output),
                }
            }
        }
    }

    fn message(&mut self, from: u16, message: Message) {
        self.handle(Input::Message { from: author(from), message });
    }

    /// A block arrives with its parents by slot.
    fn receive(&mut self, from: u16, block: &Block) {
        self.message(from, Message::Block(Arc::new(CompactBlock::pack(block))));
    }

    /// A block arrives with its parents in full.
    fn receive_full(&mut self, from: u16, block: &Block) {
        self.message(from, Message::Block(Arc::new(CompactBlock::in_full(block))));
    }

    fn tick(&mut self, ms_later: u64) {
        self.now = self.now.plus_ms(ms_later);
        self.handle(Input::Tick);
    }

    /// Blocks of these authors for rounds from `first` on arrive, each with all of the round
    /// before as parents; gives the names of the last round.
    fn grow(
        &mut self,
        authors: &[u16],
        first: u64,
        last: u64,
        below: &[BlockRef],
    ) -> Vec<BlockRef> {
        let mut below = below.to_vec();
        for round in first..=last {
            let blocks: Vec<Block> =
                authors.iter().map(|index| block(*index, round, &below)).collect();
            blocks.iter().for_each(|block| self.receive(block.body.author.0, block));
            below = blocks.iter().map(reference).collect();
        }
        below
    }

    fn has(&self, block: &Block) -> bool {
        self.machine.dag().find(&reference(block)).is_some()
    }

    /// Takes the outputs so far.
    fn drain(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    fn rejections(&mut self) -> Vec<(u16, Rejection)> {
        let outputs = self.drain().into_iter();
        outputs
            .filter_map(|output| match output {
                Output::Rejected { from, rejection } => Some((from.0, rejection)),
                _ => None,
            })
            .collect()
    }

    fn evidence(&mut self) -> Vec<Evidence> {
        let outputs = self.drain().into_iter();
        outputs
            .filter_map(|output| match output {
                Output::Evidence(evidence) => Some(evidence),
                _ => None,
            })
            .collect()
    }

    fn sent(&mut self) -> Vec<(u16, Message)> {
        let outputs = self.drain().into_iter();
        outputs
            .filter_map(|output| match output {
                Output::Send { to, message } => Some((to.0, message)),
                _ => None,
            })
            .collect()
    }

    /// The rounds of blocks that it wanted to sign.
    fn signed_rounds(&mut self) -> Vec<u64> {
        let outputs = self.drain().into_iter();
        outputs
            .filter_map(|output| match output {
                Output::Sign(body) => Some(body.round.0),
                _ => None,
            })
            .collect()
    }
}

/// A signed block: the own previous block first among its parents, as it must be.
fn block(index: u16, round: u64, parents: &[BlockRef]) -> Block {
    block_at(index, round, parents, 0)
}

/// Blocks of one slot differ by their times here.
fn block_at(index: u16, round: u64, parents: &[BlockRef], time_ms: u64) -> Block {
    sign(BlockBody { time_ms, ..body(index, round, ordered(index, parents)) })
}

fn ordered(index: u16, parents: &[BlockRef]) -> Vec<BlockRef> {
    let mut parents = parents.to_vec();
    if !parents.iter().any(|parent| parent.author == author(index)) {
        parents.push(genesis(index));
    }
    parents.sort_unstable_by_key(|parent| (parent.author != author(index), parent.author));
    parents
}

fn reference(block: &Block) -> BlockRef {
    let body = &block.body;
    BlockRef { round: body.round, author: body.author, digest: body.digest() }
}

fn references(blocks: &[Block]) -> Vec<BlockRef> {
    blocks.iter().map(reference).collect()
}

/// The implicit blocks of round 0.
fn origin(members: u16) -> Vec<BlockRef> {
    (0..members).map(genesis).collect()
}

/// Blocks of these authors in round 1.
fn first_blocks(members: u16, authors: &[u16]) -> Vec<Block> {
    authors.iter().map(|index| block(*index, 1, &origin(members))).collect()
}
