//! Answers requests with wrong blocks, chunks and certificates, or not at all.

use std::sync::Arc;

use qcn_consensus::Message as BlockMessage;
use qcn_crypto::Digest;
use qcn_ledger::StateChunk;
use qcn_shard::{Message, Output, SyncPackage};
use qcn_types::{BlockRef, Bounded, CompactBlock, Round};

use super::{Behaviour, Hands};

#[derive(Debug, Default)]
pub(super) struct LyingSyncer {
    /// A true chunk that it has sent.
    sent: Option<Arc<StateChunk>>,
}

impl Behaviour for LyingSyncer {
    fn output(&mut self, output: Output, hands: &mut Hands<'_>) {
        let Output::Send { to, message } = output else {
            return hands.emit(output);
        };
        match hands.random.below(4) {
            0 => {}
            1 => {
                if let Message::Chunk { chunk, .. } = &message {
                    self.sent = Some(Arc::clone(chunk));
                }
                hands.send(to, message);
            }
            _ => {
                let lie = self.falsify(message, hands);
                hands.send(to, lie);
            }
        }
    }
}

impl LyingSyncer {
    /// Something wrong instead.
    fn falsify(&self, message: Message, hands: &mut Hands<'_>) -> Message {
        match (message, &self.sent) {
            // True, and perhaps of another place.
            (Message::Chunk { height, region, .. }, Some(sent)) if hands.random.chance(250_000) => {
                Message::Chunk { height, region, chunk: Arc::clone(sent) }
            }
            (message, _) => falsify(message, hands),
        }
    }
}

/// The same message with something wrong in it.
fn falsify(message: Message, hands: &mut Hands<'_>) -> Message {
    match message {
        Message::Consensus(BlockMessage::Blocks(blocks)) => {
            let falsified = blocks.iter().map(|block| falsify_block(block, hands)).collect();
            Message::Consensus(BlockMessage::Blocks(Bounded::truncated(falsified)))
        }
        Message::Consensus(BlockMessage::Rounds { first, blocks }) => match hands.random.below(4) {
            0 => Message::Consensus(BlockMessage::RoundsGone { first }),
            // Little, so that it is asked again and again.
            1 => {
                let one = blocks.iter().take(1).map(|block| falsify_block(block, hands)).collect();
                Message::Consensus(BlockMessage::Rounds { first, blocks: Bounded::truncated(one) })
            }
            _ => {
                let all = blocks.iter().map(|block| falsify_block(block, hands)).collect();
                Message::Consensus(BlockMessage::Rounds { first, blocks: Bounded::truncated(all) })
            }
        },
        Message::Consensus(BlockMessage::Block(block)) => {
            Message::Consensus(BlockMessage::Block(falsify_block(&block, hands)))
        }
        Message::Consensus(BlockMessage::RecoveryAnswer { nonce, latest }) => {
            let round = if hands.random.chance(500_000) {
                Round(1)
            } else {
                latest.round.plus(1 + hands.random.below(1_000))
            };
            let latest = BlockRef { round, digest: Digest([7; 32]), ..latest };
            Message::Consensus(BlockMessage::RecoveryAnswer { nonce, latest })
        }
        Message::SyncOffer(package) => {
            let mut wrong = SyncPackage::clone(&package);
            wrong.certificate.checkpoint.state_root = Digest([8; 32]);
            Message::SyncOffer(Arc::new(wrong))
        }
        Message::Chunk { height, .. } if hands.random.chance(250_000) => {
            Message::ChunkGone { height }
        }
        Message::Chunk { height, region, chunk } => {
            let mut wrong = chunk.as_ref().clone();
            let mut entries = wrong.entries.into_inner();
            entries.pop();
            wrong.entries = Bounded::truncated(entries);
            Message::Chunk { height, region, chunk: Arc::new(wrong) }
        }
        other => other,
    }
}

fn falsify_block(block: &Arc<CompactBlock>, hands: &mut Hands<'_>) -> Arc<CompactBlock> {
    let mut wrong = CompactBlock::clone(block);
    match hands.random.below(3) {
        0 => wrong.time_ms += 1,
        1 => wrong.round = wrong.round.next(),
        _ => wrong.attestations = Bounded::default(),
    }
    Arc::new(wrong)
}
