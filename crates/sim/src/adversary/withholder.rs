//! Sends its blocks to only a few, who have to pass them on.

use qcn_shard::Output;

use super::{Behaviour, Hands, own_broadcast};

/// How many peers get a block from its author.
const REACHED: usize = 2;

#[derive(Debug)]
pub(super) struct Withholder;

impl Behaviour for Withholder {
    fn output(&mut self, output: Output, hands: &mut Hands<'_>) {
        let Some(block) = own_broadcast(&output, hands.own) else {
            return hands.emit(output);
        };
        let mut peers = hands.peers();
        hands.random.shuffle(&mut peers);
        for peer in peers.into_iter().take(REACHED) {
            hands.send_block(peer, block);
        }
    }
}
