//! Sends each of its blocks to another half of its peers.

use qcn_shard::Output;

use super::{Behaviour, Hands, own_broadcast};

#[derive(Debug)]
pub(super) struct SelectiveSender;

impl Behaviour for SelectiveSender {
    fn output(&mut self, output: Output, hands: &mut Hands<'_>) {
        let Some(block) = own_broadcast(&output, hands.own) else {
            return hands.emit(output);
        };
        let [chosen, _] = hands.halves();
        for peer in chosen {
            hands.send_block(peer, block);
        }
    }
}
