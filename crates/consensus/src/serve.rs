//! Answers to peers that ask for blocks, within a budget for each (DESIGN section 5.6).

use std::sync::Arc;

use qcn_crypto::Signature;
use qcn_types::{
    Action, AuthorSet, Block, BlockRef, Bounded, CompactBlock, Payload, Round, Slot, Time,
    Transaction, ValidatorIndex, VerifiedBlock,
};

use crate::dag::Dag;
use crate::limits::{
    MAX_ANSWER_BYTES, MAX_BLOCKS_PER_ANSWER, MAX_SERVED_BLOCKS_PER_SECOND,
    MAX_SERVED_BYTES_PER_SECOND,
};
use crate::{Message, Rejection};

/// Rounds that may be asked for at once.
const MAX_ROUNDS: u16 = 32;

/// Serves blocks.
#[derive(Clone, Debug)]
pub struct Server {
    windows: Vec<Window>,
}

/// What one peer was given within one second.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    second: u64,
    blocks: u32,
    bytes: usize,
}

impl Server {
    /// A server for a committee.
    #[must_use]
    pub fn new(members: usize) -> Self {
        Self { windows: vec![Window::default(); members] }
    }

    /// The answers to a request. Of blocks that are too long for what is left of the second, or of
    /// whole rounds that are too long for one answer, it has the first ones only: the peer asks
    /// again for what it lacks. See [`wire_form`] for `offenders`.
    ///
    /// # Errors
    /// [`Rejection`] if the peer asks for more than it may.
    pub fn serve<'a>(
        &mut self,
        now: Time,
        from: ValidatorIndex,
        request: &Message,
        dag: &'a Dag<VerifiedBlock>,
        offenders: &AuthorSet,
    ) -> Result<Vec<Message>, Rejection> {
        // Packing copies payloads, so it waits until the peer's budget has paid for it.
        let window = self.window(now, from)?;
        window.charge(1)?;
        let packed = |block: &'a VerifiedBlock| (block, Form::of(block, offenders));
        if let Message::RequestRounds { first, count } = request {
            return match rounds(dag, *first, *count)? {
                None => Ok(vec![Message::RoundsGone { first: *first }]),
                Some(blocks) => {
                    let blocks = window.sell(within_an_answer(blocks.map(packed)))?;
                    let blocks = blocks.into_iter().map(|(block, form)| form.take(block));
                    let blocks = Bounded::truncated(blocks.collect());
                    Ok(vec![Message::Rounds { first: *first, blocks }])
                }
            };
        }
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
            _ => Vec::new(),
        };
        let blocks = window.sell(blocks)?;
        Ok(split(blocks.into_iter().map(|(block, form)| form.take(block))))
    }

    fn window(&mut self, now: Time, from: ValidatorIndex) -> Result<&mut Window, Rejection> {
        let second = now.as_ms() / 1_000;
        let window = self.windows.get_mut(from.position()).ok_or(Rejection::NotAMember)?;
        if window.second != second {
            *window = Window { second, ..Window::default() };
        }
        Ok(window)
    }
}

impl Window {
    /// Takes the price of blocks from the budget; gives back those that it suffices for.
    fn sell<'a>(
        &mut self,
        mut blocks: Vec<(&'a VerifiedBlock, Form)>,
    ) -> Result<Vec<(&'a VerifiedBlock, Form)>, Rejection> {
        // The first one is in the price of the request.
        self.charge(blocks.len().saturating_sub(1) as u32)?;
        let paid = self.pay(blocks.iter().map(|(block, form)| form.approximate_bytes(block)))?;
        blocks.truncate(paid);
        Ok(blocks)
    }

    fn charge(&mut self, blocks: u32) -> Result<(), Rejection> {
        let blocks = self.blocks.saturating_add(blocks);
        if blocks > MAX_SERVED_BLOCKS_PER_SECOND {
            return Err(Rejection::OverBudget);
        }
        self.blocks = blocks;
        Ok(())
    }

    /// Pays for the first blocks of these sizes, up to the one that uses the second up; says how
    /// many that are. With nothing left it is a rejection.
    fn pay(&mut self, sizes: impl Iterator<Item = usize>) -> Result<usize, Rejection> {
        let mut paid = 0;
        for bytes in sizes {
            if self.bytes >= MAX_SERVED_BYTES_PER_SECOND {
                return if paid == 0 { Err(Rejection::OverBudget) } else { Ok(paid) };
            }
            self.bytes = self.bytes.saturating_add(bytes);
            paid += 1;
        }
        Ok(paid)
    }
}

fn in_slot(dag: &Dag<VerifiedBlock>, slot: Slot) -> impl Iterator<Item = &VerifiedBlock> {
    let settled = slot.round == Round::GENESIS;
    dag.in_slot(slot)
        .filter(move |_| !settled)
        .filter_map(|vertex| dag.node(vertex))
        .map(|node| &node.content)
}

/// The blocks of rounds, or nothing if the first of them are not kept any more.
fn rounds(
    dag: &Dag<VerifiedBlock>,
    first: Round,
    count: u16,
) -> Result<Option<impl Iterator<Item = &VerifiedBlock>>, Rejection> {
    if count > MAX_ROUNDS {
        return Err(Rejection::RequestTooLarge);
    }
    if first.next() < dag.lowest_kept() {
        return Ok(None);
    }
    let layers = (0..u64::from(count))
        .filter_map(move |offset| Some((first.plus(offset), dag.layer(first.plus(offset))?)));
    let slots = layers.flat_map(|(round, layer)| {
        layer.present().iter().map(move |author| Slot { round, author })
    });
    Ok(Some(slots.flat_map(|slot| in_slot(dag, slot))))
}

/// The first blocks, up to the length of one answer. The rest is asked for once these are there: a
/// slow link would carry it twice.
fn within_an_answer<'a>(
    blocks: impl Iterator<Item = (&'a VerifiedBlock, Form)>,
) -> Vec<(&'a VerifiedBlock, Form)> {
    let mut bytes = 0;
    let within = |(block, form): &(&VerifiedBlock, Form)| {
        let begins_within = bytes < MAX_ANSWER_BYTES;
        bytes += form.approximate_bytes(block);
        begins_within
    };
    blocks.take(MAX_BLOCKS_PER_ANSWER).take_while(within).collect()
}

/// A block as it travels. Parents of authors that are proven to have offended are named in full:
/// they may fill a slot twice, and who has the other block could not tell which one is meant, and
/// would lose a round trip for every round.
#[must_use]
pub fn wire_form(block: &Block, offenders: &AuthorSet) -> Arc<CompactBlock> {
    Form::of(block, offenders).take(block)
}

/// How a block is sent.
#[derive(Clone, Copy)]
enum Form {
    /// With its parents by slot.
    Packed,
    /// With its parents in full.
    InFull,
}

impl Form {
    fn of(block: &Block, offenders: &AuthorSet) -> Self {
        if offenders.is_empty() {
            return Self::Packed;
        }
        let ambiguous = |parent: &BlockRef| offenders.contains(parent.author);
        if block.body.parents.iter().any(ambiguous) { Self::InFull } else { Self::Packed }
    }

    fn take(self, block: &Block) -> Arc<CompactBlock> {
        Arc::new(match self {
            Self::Packed => CompactBlock::pack(block),
            Self::InFull => CompactBlock::in_full(block),
        })
    }

    /// What a block takes in this form: an upper estimate, without packing it.
    fn approximate_bytes(self, block: &Block) -> usize {
        const PARENT_BYTES: usize = 42;
        let body = &block.body;
        let parents = match self {
            // A set of authors for each of a few layers is in the estimate.
            Self::Packed => 0,
            Self::InFull => body.parents.len() * PARENT_BYTES,
        };
        parents + approximate_bytes(&block.signature, body.attestations.len(), &body.payload)
    }
}

const fn in_full(block: &VerifiedBlock) -> (&VerifiedBlock, Form) {
    (block, Form::InFull)
}

/// Splits blocks into messages of bounded count and size.
fn split(blocks: impl Iterator<Item = Arc<CompactBlock>>) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut part = Vec::new();
    let mut bytes = 0;
    for block in blocks {
        bytes += approximate_bytes(&block.signature, block.attestations.len(), &block.payload);
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

/// A cheap upper estimate of a block's size on the wire, besides parents in full.
fn approximate_bytes(signature: &Signature, attestations: usize, payload: &Payload) -> usize {
    const ATTESTATION_BYTES: usize = 40;
    const EVIDENCE_BYTES: usize = 4_096;
    let transactions: usize = payload.transactions.iter().map(transaction_bytes).sum();
    1_024
        + signature.len()
        + attestations * ATTESTATION_BYTES
        + transactions
        + payload.evidence.len() * EVIDENCE_BYTES
}

/// Signatures based on hashes are many times as long as the usual ones.
fn transaction_bytes(transaction: &Transaction) -> usize {
    const USUAL_BYTES: usize = 2_048;
    const REST_BYTES: usize = 256;
    let Transaction { body, key, signature } = transaction;
    let rotation = match &body.action {
        Action::Transfer { .. } => 0,
        Action::RotateKey { key, possession } => key.as_bytes().len() + possession.len(),
    };
    USUAL_BYTES.max(REST_BYTES + key.as_bytes().len() + signature.len() + rotation)
}

#[cfg(test)]
mod tests;
