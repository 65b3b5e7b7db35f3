//! Who sits where in one shard in one epoch, and the way to them.
//!
//! Validators know each other by their places in the genesis, which the transport uses. A shard
//! knows its members by their seats, which are their indices in its committee. Here one becomes
//! the other, and nowhere else. A validator without a seat that asks for the final state of an
//! epoch is a **guest**: it has an index beyond those of all members.

use std::sync::Arc;

use bytes::Bytes;
use qcn_shard::Message;
use qcn_types::{BEACON, Epoch, EpochPlan, ShardId, ValidatorIndex};

use super::envelope::{Envelope, Station};
use crate::genesis::GenesisShard;
use crate::transport::{Class, Transport};

/// The seats of one shard in one epoch.
#[derive(Clone, Debug)]
pub(crate) struct Seats {
    station: Station,
    /// The place in the genesis of whoever has the seat, rising.
    members: Arc<[ValidatorIndex]>,
}

impl Seats {
    pub(crate) fn of(shard: &GenesisShard) -> Self {
        let station = Station { shard: shard.id, epoch: Epoch(0) };
        Self { station, members: shard.seats.clone().into() }
    }

    /// Those of a shard in the epoch of a plan; nothing if it has none. A validator's number is
    /// its place.
    pub(crate) fn planned(plan: &EpochPlan, shard: ShardId) -> Option<Self> {
        let place = |number: u32| u16::try_from(number).ok().map(ValidatorIndex);
        let places: Vec<_> = plan.validators.iter().filter_map(|it| place(it.number)).collect();
        let members = if shard == BEACON {
            places
        } else {
            let committee = plan.committees.iter().find(|it| it.shard == shard)?;
            let seats = committee.seats.iter();
            seats.filter_map(|seat| places.get(usize::from(*seat)).copied()).collect()
        };
        Some(Self { station: Station { shard, epoch: plan.epoch }, members: members.into() })
    }

    /// A shard in which every one of so many validators has the seat of its own index.
    #[cfg(test)]
    pub(crate) fn all(shard: ShardId, validators: u16) -> Self {
        let station = Station { shard, epoch: Epoch(0) };
        Self { station, members: (0..validators).map(ValidatorIndex).collect() }
    }

    pub(crate) const fn shard(&self) -> ShardId {
        self.station.shard
    }

    pub(crate) const fn station(&self) -> Station {
        self.station
    }

    /// The validators with a seat, in the order of seats.
    pub(crate) fn members(&self) -> &[ValidatorIndex] {
        &self.members
    }

    /// Who has a seat.
    pub(crate) fn validator(&self, seat: ValidatorIndex) -> Option<ValidatorIndex> {
        self.members.get(seat.position()).copied()
    }

    /// The seat of a validator, if it has one.
    pub(crate) fn seat(&self, validator: ValidatorIndex) -> Option<ValidatorIndex> {
        let seat = self.members.binary_search(&validator).ok()?;
        u16::try_from(seat).ok().map(ValidatorIndex)
    }

    /// The index of a validator that has no seat.
    pub(crate) const fn guest(validator: ValidatorIndex) -> ValidatorIndex {
        ValidatorIndex(u16::MAX - validator.0)
    }
}

/// The way from one instance to the other members of its shard.
#[derive(Clone)]
pub(crate) struct Mesh {
    transport: Transport,
    seats: Seats,
}

impl Mesh {
    pub(crate) const fn new(transport: Transport, seats: Seats) -> Self {
        Self { transport, seats }
    }

    /// Sends to one member. Never waits.
    pub(crate) fn send(&self, seat: ValidatorIndex, message: &Message) {
        let station = self.seats.station;
        let (validator, frame) = match self.seats.validator(seat) {
            Some(validator) => (validator, Envelope::of_shard(station, message)),
            None => (Seats::guest(seat), Envelope::to_guest(station, message)),
        };
        self.transport.send(validator, class_of(message), Bytes::from(frame));
    }

    /// Sends to all other members. Never waits.
    pub(crate) fn broadcast(&self, message: &Message) {
        let (class, frame) =
            (class_of(message), Bytes::from(Envelope::of_shard(self.seats.station, message)));
        // The transport has no connection of a validator to itself, and drops what is for it.
        for validator in self.seats.members() {
            self.transport.send(*validator, class, frame.clone());
        }
    }

    /// The machine refused a message of this member.
    pub(crate) fn note_refused(&self, seat: ValidatorIndex) {
        if let Some(validator) = self.seats.validator(seat) {
            self.transport.note_refused(validator);
        }
    }

    /// A message was dropped that could not be worked off.
    pub(crate) fn note_dropped(&self) {
        self.transport.note_dropped();
    }

    #[cfg(test)]
    pub(crate) const fn transport(&self) -> &Transport {
        &self.transport
    }
}

/// Bulk answers travel apart, so that they do not hold up blocks.
pub(crate) const fn class_of(message: &Message) -> Class {
    match message {
        Message::Consensus(_) => Class::Blocks,
        Message::SyncRequest { .. }
        | Message::SyncOffer(_)
        | Message::ChunkRequest { .. }
        | Message::Chunk { .. }
        | Message::ChunkGone { .. } => Class::Sync,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Given a shard whose members are validators 1, 4 and 5 of the genesis;
    /// then each of them has the seat that its committee counts it by, and nobody else has one.
    #[test]
    fn seats_and_places_in_the_genesis_lead_to_each_other() {
        let members = [1, 4, 5].map(ValidatorIndex);
        let station = Station { shard: ShardId(2), epoch: Epoch(0) };
        let seats = Seats { station, members: members.into() };
        for (seat, validator) in [(0, 1), (1, 4), (2, 5)] {
            let (seat, validator) = (ValidatorIndex(seat), ValidatorIndex(validator));
            assert_eq!(seats.seat(validator), Some(seat));
            assert_eq!(seats.validator(seat), Some(validator));
        }
        for stranger in [0, 2, 3, 6, u16::MAX] {
            assert_eq!(seats.seat(ValidatorIndex(stranger)), None);
        }
        assert_eq!(seats.validator(ValidatorIndex(3)), None);
    }
}
