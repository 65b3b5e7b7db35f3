//! Sends duplicates, garbage, far-future blocks and huge requests beside what it should.

use std::sync::Arc;

use qcn_consensus::Message as BlockMessage;
use qcn_consensus::limits::MAX_REQUESTED_SLOTS;
use qcn_crypto::Signature;
use qcn_ledger::StateRegion;
use qcn_shard::{Message, Output};
use qcn_types::{Bounded, CompactBlock, Height, Round, Slot, ValidatorIndex};

use super::{Behaviour, Hands, own_broadcast};

/// How often each block of its own is sent besides the first time.
const DUPLICATES: usize = 3;
/// How many garbage blocks go with each of its own.
const GARBAGE: usize = 4;
/// How far above the present its far-future blocks are.
const FAR_ROUNDS: u64 = 1_000_000;

/// Counts its far-future blocks, so that it never signs one slot twice.
#[derive(Debug, Default)]
pub(super) struct Flooder {
    far_blocks: u64,
}

impl Behaviour for Flooder {
    fn output(&mut self, output: Output, hands: &mut Hands<'_>) {
        if let Output::SignBlock(body) = &output {
            self.far_blocks += 1;
            let mut far = body.as_ref().clone();
            far.round = far.round.plus(FAR_ROUNDS);
            if let Some(block) = hands.sign(far) {
                let compact = Arc::new(CompactBlock::pack(&block));
                hands.emit(broadcast(&compact));
                hands.emit(broadcast(&Arc::new(CompactBlock::in_full(&block))));
            }
        }
        if let Some(block) = own_broadcast(&output, hands.own) {
            for _ in 0..DUPLICATES {
                hands.emit(broadcast(block));
            }
            for _ in 0..GARBAGE {
                let garbage = garbage(block, hands);
                hands.emit(broadcast(&garbage));
            }
            huge_requests(block.round, hands);
        }
        hands.emit(output);
    }
}

fn broadcast(block: &Arc<CompactBlock>) -> Output {
    Output::Broadcast(Message::Consensus(BlockMessage::Block(Arc::clone(block))))
}

/// A block in somebody's name, of a round nearby, with a signature that nobody made.
fn garbage(block: &CompactBlock, hands: &mut Hands<'_>) -> Arc<CompactBlock> {
    let members = hands.keys.committee().len() as u64;
    let mut garbage = block.clone();
    garbage.author = ValidatorIndex(hands.random.below(members) as u16);
    garbage.round = Round(block.round.0 + hands.random.below(20)).previous();
    let mut bytes = vec![0; block.signature.len()];
    bytes.iter_mut().for_each(|byte| *byte = hands.random.next_u64() as u8);
    if let Ok(signature) = Signature::new(bytes) {
        garbage.signature = signature;
    }
    Arc::new(garbage)
}

fn huge_requests(round: Round, hands: &mut Hands<'_>) {
    let members = hands.keys.committee().len() as u64;
    let slots = (0..MAX_REQUESTED_SLOTS as u64).map(|number| Slot {
        round: Round(round.0.saturating_sub(number / members)),
        author: ValidatorIndex((number % members) as u16),
    });
    let slots = Bounded::truncated(slots.collect());
    let requests = [
        Message::Consensus(BlockMessage::RequestSlots(slots)),
        Message::Consensus(BlockMessage::RequestRounds { first: Round(1), count: u16::MAX }),
        Message::SyncRequest { above: Height(0) },
        Message::ChunkRequest {
            height: Height(hands.random.below(1_000)),
            region: StateRegion::WHOLE,
        },
    ];
    for request in requests {
        let peers = hands.peers();
        if let Some(peer) = hands.random.pick(&peers).copied() {
            hands.send(peer, request);
        }
    }
}
