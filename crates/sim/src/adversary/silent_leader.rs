//! Proposes nothing in the rounds in which it is a leader, and behaves otherwise.

use qcn_shard::{Input, Output};
use qcn_types::{Round, VerifiedBlock};

use super::{Behaviour, Hands, unexpected};

/// Its newest block, and the round in which it keeps silent.
#[derive(Debug, Default)]
pub(super) struct SilentLeader {
    newest: Option<VerifiedBlock>,
    silent: Option<Round>,
}

impl Behaviour for SilentLeader {
    fn output(&mut self, output: Output, hands: &mut Hands<'_>) {
        if let Output::SignBlock(body) = &output
            && self.newest.is_some()
            && hands.shard.consensus().schedule().leaders(body.round).contains(&hands.own)
        {
            self.silent = Some(body.round);
            return;
        }
        hands.emit(output);
    }

    fn input(&mut self, input: Input, hands: &mut Hands<'_>) -> Vec<Input> {
        if let Input::BlockSigned(block) = &input {
            self.newest = Some(block.clone());
        }
        // The machine waits for its signature. Once the others have gone on, an answer that it
        // does not expect makes it give the round up.
        if self.silent.is_some_and(|round| hands.shard.status().round > round)
            && let Some(newest) = &self.newest
        {
            self.silent = None;
            return vec![unexpected(newest), input];
        }
        vec![input]
    }
}
