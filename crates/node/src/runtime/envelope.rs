//! What a frame between two nodes holds: a message of one shard, or one between relayers.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_shard::{Expected, Message};
use qcn_types::{Delivery, LaneEnd, ShardId, encode};

/// What two nodes say to each other.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub(crate) enum Envelope {
    /// From one member of a shard to another.
    Shard(ShardId, Message),
    /// From a relayer to a member of the source, or back.
    Relay(RelayMessage),
}

impl Envelope {
    /// The bytes of [`Self::Shard`], without a copy of the message.
    pub(crate) fn of_shard(shard: ShardId, message: &Message) -> Vec<u8> {
        const SHARD: u8 = 0;
        encode(&(SHARD, shard, message))
    }
}

/// The stream of receipts from one shard to another.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, BorshSerialize, BorshDeserialize,
)]
pub(crate) struct Lane {
    pub(crate) from: ShardId,
    pub(crate) to: ShardId,
}

/// What relayers say to each other. Each answer repeats the number of what it answers.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub(crate) enum RelayMessage {
    /// A member of the destination asks one of the source.
    Ask {
        lane: Lane,
        number: u64,
        expected: Expected,
        /// Whether it would carry something, or only look how far the lane is.
        carries: bool,
    },
    /// What the source has.
    Answer { lane: Lane, number: u64, found: Found },
}

/// What a source has for a destination.
#[derive(Debug, Default, BorshSerialize, BorshDeserialize)]
pub(crate) struct Found {
    /// The end of the lane in its newest certified outbox.
    pub(crate) end: Option<LaneEnd>,
    /// What goes on from where the destination expects it to be.
    pub(crate) delivery: Option<Box<Delivery>>,
}

#[cfg(test)]
mod tests {
    use qcn_types::{Height, decode};

    use super::*;

    #[test]
    fn a_message_without_a_copy_has_the_same_bytes() {
        let message = Message::SyncRequest { above: Height(7) };
        let bytes = Envelope::of_shard(ShardId(3), &message);
        assert_eq!(bytes, encode(&Envelope::Shard(ShardId(3), message.clone())));
        let Envelope::Shard(shard, read) = decode(&bytes).unwrap() else { panic!("a relay's") };
        assert_eq!((shard, read), (ShardId(3), message));
    }
}
