//! Messages under way. A broadcast is stored once, however many copies travel.

use qcn_consensus::Message as BlockMessage;
use qcn_ledger::StateRegion;
use qcn_shard::Message;

use crate::network::{encoded_bytes, wire_bytes};

/// A message and what the engine has to know about it.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) message: Message,
    copies: u32,
    /// Its canonical length.
    pub(super) bytes: u64,
    /// Its length on the wire.
    pub(super) wire_bytes: u64,
    /// When it was sent.
    pub(super) sent: u64,
    /// What identifies it in the trace: nothing that depends on a signature's bytes.
    pub(super) fingerprint: u64,
}

/// The messages under way, in reused places.
#[derive(Debug, Default)]
pub(super) struct Parcels {
    parcels: Vec<Option<Parcel>>,
    free: Vec<u32>,
}

impl Parcels {
    /// Stores a message of which `copies` travel.
    pub(super) fn store(&mut self, message: Message, sent: u64) -> u32 {
        let bytes = encoded_bytes(&message);
        let fingerprint = fingerprint(&message);
        let parcel =
            Parcel { message, copies: 0, bytes, wire_bytes: wire_bytes(bytes), sent, fingerprint };
        if let Some(at) = self.free.pop() {
            self.parcels[at as usize] = Some(parcel);
            return at;
        }
        self.parcels.push(Some(parcel));
        (self.parcels.len() - 1) as u32
    }

    /// The parcel at a place.
    pub(super) fn get(&self, at: u32) -> Option<&Parcel> {
        self.parcels.get(at as usize)?.as_ref()
    }

    /// One more copy travels.
    pub(super) fn add_copy(&mut self, at: u32) {
        if let Some(Some(parcel)) = self.parcels.get_mut(at as usize) {
            parcel.copies += 1;
        }
    }

    /// A copy has arrived or is lost: the message, if it is wanted.
    pub(super) fn take_copy(&mut self, at: u32) -> Option<Message> {
        let place = self.parcels.get_mut(at as usize)?;
        let parcel = place.as_mut()?;
        parcel.copies -= 1;
        if parcel.copies > 0 {
            return Some(parcel.message.clone());
        }
        self.free.push(at);
        place.take().map(|parcel| parcel.message)
    }

    /// Forgets a message of which no copy travels.
    pub(super) fn drop_unsent(&mut self, at: u32) {
        if self.get(at).is_some_and(|parcel| parcel.copies == 0) {
            self.parcels[at as usize] = None;
            self.free.push(at);
        }
    }

    /// How many messages are under way.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.parcels.len() - self.free.len()
    }
}

/// A number by kind and place.
fn fingerprint(message: &Message) -> u64 {
    let (kind, detail) = match message {
        Message::Consensus(BlockMessage::Block(block)) => {
            (1, block.round.0 << 16 | u64::from(block.author.0))
        }
        Message::Consensus(BlockMessage::Blocks(blocks)) => (2, blocks.len() as u64),
        Message::Consensus(BlockMessage::RequestSlots(slots)) => (3, slots.len() as u64),
        Message::Consensus(BlockMessage::RequestBlocks(blocks)) => (4, blocks.len() as u64),
        Message::Consensus(BlockMessage::RequestFull(slot)) => {
            (5, slot.round.0 << 16 | u64::from(slot.author.0))
        }
        Message::Consensus(BlockMessage::RequestRounds { first, count }) => {
            (6, first.0 << 16 | u64::from(*count))
        }
        Message::Consensus(BlockMessage::RecoveryQuery { nonce }) => (7, *nonce),
        Message::Consensus(BlockMessage::RecoveryAnswer { nonce, .. }) => (8, *nonce),
        Message::Consensus(BlockMessage::Latest(latest)) => {
            (14, latest.round.0 << 16 | u64::from(latest.author.0))
        }
        Message::Consensus(BlockMessage::Rounds { first, blocks }) => {
            (16, first.0 << 16 | blocks.len() as u64)
        }
        Message::Consensus(BlockMessage::RoundsGone { first }) => (15, first.0),
        Message::SyncRequest { above } => (9, above.0),
        Message::SyncOffer(package) => (10, package.certificate.checkpoint.height.0),
        Message::ChunkRequest { height, region } => (11, height.0 << 20 | place_of(region)),
        Message::Chunk { height, region, .. } => (12, height.0 << 20 | place_of(region)),
        Message::ChunkGone { height } => (13, height.0),
    };
    detail << 8 | kind
}

/// Where a region of the state begins, as far as 20 bits tell it.
fn place_of(region: &StateRegion) -> u64 {
    region.first_bits() >> 44
}

#[cfg(test)]
mod tests {
    use super::*;
    use qcn_types::Height;

    #[test]
    fn a_place_is_reused_once_every_copy_is_gone() {
        let mut parcels = Parcels::default();
        let first = parcels.store(Message::ChunkGone { height: Height(1) }, 0);
        parcels.add_copy(first);
        parcels.add_copy(first);
        let second = parcels.store(Message::ChunkGone { height: Height(2) }, 0);
        parcels.add_copy(second);
        assert_eq!(parcels.take_copy(first), Some(Message::ChunkGone { height: Height(1) }));
        assert_eq!(parcels.len(), 2);
        assert_eq!(parcels.take_copy(first), Some(Message::ChunkGone { height: Height(1) }));
        assert_eq!(parcels.len(), 1);
        assert_eq!(parcels.store(Message::ChunkGone { height: Height(3) }, 0), first);
        parcels.drop_unsent(first);
        assert_eq!(parcels.len(), 1);
    }
}
