//! Keeps silent in the rounds in which it is a leader: nobody ever sees its block of them.

use qcn_shard::{Input, Output};
use qcn_types::{BlockRef, Round, genesis_ref};

use super::{Behaviour, Hands, own_broadcast};

/// Its newest block, and the newest that it sent.
#[derive(Debug, Default)]
pub(super) struct SilentLeader {
    signed: Option<BlockRef>,
    sent: Option<BlockRef>,
}

impl Behaviour for SilentLeader {
    fn output(&mut self, mut output: Output, hands: &mut Hands<'_>) {
        if let Output::SignBlock(body) = &mut output
            && let Some(own_previous) = body.parents.first_mut()
        {
            // A block that references one that was kept back would give it away.
            let genesis = genesis_ref(body.chain, body.shard, body.epoch, hands.own);
            *own_previous = self.sent.unwrap_or(genesis);
        }
        if let Some(block) = own_broadcast(&output, hands.own) {
            if is_leader(hands, block.round) {
                return;
            }
            self.sent = self.signed;
        }
        hands.emit(output);
    }

    fn input(&mut self, input: Input, _hands: &mut Hands<'_>) -> Vec<Input> {
        if let Input::BlockSigned(block) = &input {
            self.signed = Some(block.reference());
        }
        vec![input]
    }
}

fn is_leader(hands: &Hands<'_>, round: Round) -> bool {
    hands.shard.consensus().schedule().leaders(round).contains(&hands.own)
}
