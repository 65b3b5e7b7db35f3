//! Signs two different blocks per slot and sends them to different halves.

use std::collections::BTreeMap;
use std::sync::Arc;

use qcn_shard::Output;
use qcn_types::{CompactBlock, Payload, Round};

use super::{Behaviour, Hands, own_broadcast};

/// How many second blocks it remembers.
const SIBLINGS_KEPT: usize = 16;

/// Remembers the second block of each of its last slots.
#[derive(Debug, Default)]
pub(super) struct Equivocator {
    siblings: BTreeMap<Round, Arc<CompactBlock>>,
}

impl Behaviour for Equivocator {
    fn output(&mut self, output: Output, hands: &mut Hands<'_>) {
        if let Output::SignBlock(body) = &output {
            let mut other = body.as_ref().clone();
            other.time_ms += 1;
            other.payload = Payload::default();
            if let Some(block) = hands.sign(other) {
                self.siblings.insert(block.body.round, Arc::new(CompactBlock::pack(&block)));
            }
            while self.siblings.len() > SIBLINGS_KEPT {
                self.siblings.pop_first();
            }
        }
        if let Some(block) = own_broadcast(&output, hands.own)
            && let Some(sibling) = self.siblings.get(&block.round)
        {
            let [one, other] = hands.halves();
            // With a single peer the second block goes to nobody, and proves nothing to anybody.
            let are_both_out = !one.is_empty() && !other.is_empty();
            for peer in one {
                hands.send_block(peer, block);
            }
            for peer in other {
                hands.send_block(peer, sibling);
            }
            if are_both_out {
                hands.offend();
            }
            return;
        }
        hands.emit(output);
    }
}
