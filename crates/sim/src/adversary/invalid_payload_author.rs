//! Signs blocks that carry a transaction whose signature is invalid; among shards, receipts that
//! another one never certified, as soon as it has some to alter.

use std::collections::BTreeMap;
use std::sync::Arc;

use qcn_crypto::Signature;
use qcn_shard::Output;
use qcn_types::{
    Action, Address, Amount, BlockBody, Bounded, CompactBlock, Payload, Round, Transaction,
    TransactionBody,
};

use super::{Behaviour, Hands, own_broadcast};
use crate::keys::account_key;

/// How many of its invalid blocks it remembers.
const BLOCKS_KEPT: usize = 16;

/// Remembers what it sends in place of its valid blocks.
#[derive(Debug, Default)]
pub(super) struct InvalidPayloadAuthor {
    invalid: BTreeMap<Round, Arc<CompactBlock>>,
}

impl Behaviour for InvalidPayloadAuthor {
    fn output(&mut self, output: Output, hands: &mut Hands<'_>) {
        if let Output::SignBlock(body) = &output {
            let is_alone = hands.shard.ledger().territory().layout().shards().len() == 1;
            let forged = forged_receipts(&body.payload).or_else(|| {
                is_alone.then(|| Payload {
                    transactions: Bounded::truncated(vec![forged_transaction()]),
                    ..Payload::default()
                })
            });
            let other = forged.map(|payload| BlockBody { payload, ..body.as_ref().clone() });
            if let Some(block) = other.and_then(|other| hands.sign(other)) {
                self.invalid.insert(block.body.round, Arc::new(CompactBlock::pack(&block)));
            }
            while self.invalid.len() > BLOCKS_KEPT {
                self.invalid.pop_first();
            }
        }
        if let Some(block) = own_broadcast(&output, hands.own)
            && let Some(invalid) = self.invalid.get(&block.round)
        {
            for peer in hands.peers() {
                hands.send_block(peer, invalid);
            }
            return hands.offend();
        }
        hands.emit(output);
    }
}

/// The payload with one more unit of money in its first receipt.
fn forged_receipts(payload: &Payload) -> Option<Payload> {
    let mut deliveries = payload.deliveries.to_vec();
    let mut batches = deliveries.first()?.batches.to_vec();
    let mut receipts = batches.first()?.to_vec();
    receipts.first_mut()?.amount.0 += 1;
    batches[0] = Bounded::truncated(receipts);
    deliveries[0].batches = Bounded::truncated(batches);
    Some(Payload { deliveries: Bounded::truncated(deliveries), ..Payload::default() })
}

/// Takes everything from an account whose key the author does not have.
fn forged_transaction() -> Transaction {
    let key = account_key(0);
    let action = Action::Transfer { to: Address::default(), amount: Amount(u64::MAX / 2) };
    let body =
        TransactionBody { sender: Address::of(key.public_key()), nonce: 0, fee: Amount(1), action };
    let length = key.scheme().signature_bytes();
    let signature = Signature::new(vec![0x39; length]).expect("as long as a signature may be");
    Transaction { body, key: key.public_key().clone(), signature }
}
