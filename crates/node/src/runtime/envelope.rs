//! What a frame between two nodes holds: a message of one shard in one epoch, one between relayers,
//! or what the next epochs are.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_shard::{Expected, Message};
use qcn_types::{Announcement, Bounded, Delivery, Epoch, LaneEnd, LaneId, ShardId, encode};

/// The most announcements in one frame.
pub(crate) const MAX_ANNOUNCEMENTS: usize = 16;

/// A shard in an epoch.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, BorshSerialize, BorshDeserialize,
)]
pub(crate) struct Station {
    pub(crate) shard: ShardId,
    pub(crate) epoch: Epoch,
}

/// What two nodes say to each other.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub(crate) enum Envelope {
    /// From one member of a shard to another.
    Shard(Station, Message),
    /// From a relayer to a member of the source, or back.
    Relay(RelayMessage),
    /// From who has no seat in a shard, and asks for the state at the end of the epoch.
    Guest(Station, Message),
    /// The answer.
    ToGuest(Station, Message),
    /// Asks for the announcements of the epochs above one.
    AskEpochs(Epoch),
    /// Announcements of epochs that follow each other.
    Epochs(Bounded<Announcement, MAX_ANNOUNCEMENTS>),
}

impl Envelope {
    /// The bytes of [`Self::Shard`], without a copy of the message.
    pub(crate) fn of_shard(station: Station, message: &Message) -> Vec<u8> {
        const SHARD: u8 = 0;
        encode(&(SHARD, station, message))
    }

    /// The bytes of [`Self::ToGuest`], without a copy of the message.
    pub(crate) fn to_guest(station: Station, message: &Message) -> Vec<u8> {
        const TO_GUEST: u8 = 3;
        encode(&(TO_GUEST, station, message))
    }
}

/// The stream of receipts from one shard to another, as a relayer carries it.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, BorshSerialize, BorshDeserialize,
)]
pub(crate) struct Lane {
    pub(crate) from: Station,
    pub(crate) to: Station,
    /// Its numbers as the source names them: those of the two shards, or of some that they have
    /// absorbed.
    pub(crate) id: LaneId,
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
pub(crate) mod testing {
    use super::*;

    /// A shard in the first epoch.
    pub(crate) const fn station(shard: u32) -> Station {
        Station { shard: ShardId(shard), epoch: Epoch(0) }
    }

    /// A lane in the first epoch.
    pub(crate) const fn lane(from: u32, to: u32) -> Lane {
        let (from, to) = (station(from), station(to));
        Lane { from, to, id: LaneId { own: from.shard, peer: to.shard } }
    }
}

#[cfg(test)]
mod tests {
    use qcn_types::{Height, decode};

    use super::*;

    #[test]
    fn a_message_without_a_copy_has_the_same_bytes() {
        let message = Message::SyncRequest { above: Height(7) };
        let station = Station { shard: ShardId(3), epoch: Epoch(5) };
        let bytes = Envelope::of_shard(station, &message);
        assert_eq!(bytes, encode(&Envelope::Shard(station, message.clone())));
        let bytes_to_guest = Envelope::to_guest(station, &message);
        assert_eq!(bytes_to_guest, encode(&Envelope::ToGuest(station, message.clone())));
        let Envelope::Shard(read_station, read) = decode(&bytes).unwrap() else {
            panic!("a relay's")
        };
        assert_eq!((read_station, read), (station, message));
    }
}
