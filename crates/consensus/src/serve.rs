//! Answers to peers that ask for blocks, within a budget for each (DESIGN section 5.6).

use std::sync::Arc;

use qcn_types::{Block, Bounded, CompactBlock, Round, Slot, Time, ValidatorIndex, VerifiedBlock};

use crate::dag::Dag;
use crate::limits::{MAX_ANSWER_BYTES, MAX_BLOCKS_PER_ANSWER};
use crate::{Message, Rejection};

/// Blocks that one peer may be given per second; a request for none costs one.
const BLOCKS_PER_SECOND: u32 = 8_192;
/// Rounds that may be asked for at once.
const MAX_ROUNDS: u16 = 32;

/// Serves blocks.
#[derive(Clone, Debug)]
pub struct Server {
    window: Vec<(u64, u32)>,
}

impl Server {
    /// A server for a committee.
    #[must_use]
    pub fn new(members: usize) -> Self {
        Self { window: vec![(0, 0); members] }
    }

    /// The answers to a request.
    ///
    /// # Errors
    /// [`Rejection`] if the peer asks for more than it may.
    pub fn serve(
        &mut self,
        now: Time,
        from: ValidatorIndex,
        request: &Message,
        dag: &Dag<VerifiedBlock>,
    ) -> Result<Vec<Message>, Rejection> {
        // Packing copies payloads, so it waits until the peer's budget has paid for it.
        let blocks: Vec<(&VerifiedBlock, Form)> = match request {
            Message::RequestSlots(slots) => {
                slots.iter().flat_map(|slot| in_slot(dag, *slot)).map(packed).collect()
            }
            Message::RequestBlocks(references) => references
                .iter()
                .filter_map(|reference| dag.node(dag.find(reference)?))
                .map(|node| in_full(&node.content))
                .collect(),
            Message::RequestFull(slot) => in_slot(dag, *slot).map(in_full).collect(),
            Message::RequestRounds { count, .. } if *count > MAX_ROUNDS => {
                return Err(Rejection::RequestTooLarge);
            }
            Message::RequestRounds { first, count } => (0..u64::from(*count))
                .filter_map(|offset| Some((first.plus(offset), dag.layer(first.plus(offset))?)))
                .flat_map(|(round, layer)| {
                    let slots = layer.present().iter();
                    slots.map(move |author| Slot { round, author })
                })
                .flat_map(|slot| in_slot(dag, slot))
                .map(packed)
                .collect(),
            _ => Vec::new(),
        };
        self.charge(now, from, blocks.len().max(1) as u32)?;
        Ok(split(blocks.into_iter().map(wire_form)))
    }

    fn charge(&mut self, now: Time, from: ValidatorIndex, blocks: u32) -> Result<(), Rejection> {
        let second = now.as_ms() / 1_000;
        let Some(window) = self.window.get_mut(from.position()) else {
            return Err(Rejection::NotAMember);
        };
        if window.0 != second {
            *window = (second, 0);
        }
        if window.1.saturating_add(blocks) > BLOCKS_PER_SECOND {
            return Err(Rejection::OverBudget);
        }
        window.1 += blocks;
        Ok(())
    }
}

fn in_slot(dag: &Dag<VerifiedBlock>, slot: Slot) -> impl Iterator<Item = &VerifiedBlock> {
    let settled = slot.round == Round::GENESIS;
    dag.in_slot(slot)
        .filter(move |_| !settled)
        .filter_map(|vertex| dag.node(vertex))
        .map(|node| &node.content)
}

/// How a block is sent.
#[derive(Clone, Copy)]
enum Form {
    /// With its parents by slot.
    Packed,
    /// With its parents in full.
    InFull,
}

const fn packed(block: &VerifiedBlock) -> (&VerifiedBlock, Form) {
    (block, Form::Packed)
}

const fn in_full(block: &VerifiedBlock) -> (&VerifiedBlock, Form) {
    (block, Form::InFull)
}

fn wire_form((block, form): (&VerifiedBlock, Form)) -> Arc<CompactBlock> {
    let block: &Block = block;
    Arc::new(match form {
        Form::Packed => CompactBlock::pack(block),
        Form::InFull => CompactBlock::in_full(block),
    })
}

/// Splits blocks into messages of bounded count and size.
fn split(blocks: impl Iterator<Item = Arc<CompactBlock>>) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut part = Vec::new();
    let mut bytes = 0;
    for block in blocks {
        bytes += approximate_bytes(&block);
        part.push(block);
        if bytes >= MAX_ANSWER_BYTES || part.len() == MAX_BLOCKS_PER_ANSWER {
            messages.push(Message::Blocks(Bounded::truncated(std::mem::take(&mut part))));
            bytes = 0;
        }
    }
    if !part.is_empty() {
        messages.push(Message::Blocks(Bounded::truncated(part)));
    }
    messages
}

/// A cheap upper estimate of a block's size on the wire.
fn approximate_bytes(block: &CompactBlock) -> usize {
    const TRANSACTION_BYTES: usize = 2_048;
    const EVIDENCE_BYTES: usize = 4_096;
    1_024
        + block.signature.len()
        + block.attestations.len() * 40
        + block.payload.transactions.len() * TRANSACTION_BYTES
        + block.payload.evidence.len() * EVIDENCE_BYTES
}
