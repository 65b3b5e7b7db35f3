//! Who sits where in the epochs that count, and which shards run here: as frames and relayers find
//! it while epochs come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use qcn_shard::Message;
use qcn_types::{Epoch, EpochPlan, ShardId, ValidatorIndex};

use super::envelope::{Lane, Station};
use super::inbox::Post;
use super::seats::Seats;
use crate::transport::WaitingPlace;
use crate::view::View;

/// What a guest is told.
pub(super) struct GuestMail {
    /// By which seat.
    pub(super) from: ValidatorIndex,
    pub(super) message: Message,
    /// The place of its frame, kept until it is looked at.
    pub(super) place: WaitingPlace,
}

/// Shared by all who look something up. Clones are the same stage.
#[derive(Clone, Default)]
pub(super) struct Stage(Arc<RwLock<Inner>>);

#[derive(Default)]
struct Inner {
    seats: BTreeMap<Station, Seats>,
    /// The plans of the epochs that count; none where there is but one epoch.
    plans: BTreeMap<Epoch, Arc<EpochPlan>>,
    hosted: BTreeMap<Station, Hosted>,
    guests: BTreeMap<Station, Sender<GuestMail>>,
    /// Of whom announcements are awaited.
    asked: BTreeSet<ValidatorIndex>,
}

/// A shard that runs here.
#[derive(Clone)]
pub(super) struct Hosted {
    pub(super) seats: Seats,
    pub(super) post: Post,
    pub(super) view: View,
}

impl Stage {
    /// Says who sits in a shard.
    pub(super) fn seat(&self, seats: Seats) {
        self.write().seats.insert(seats.station(), seats);
    }

    /// Says who sits in all shards of an epoch.
    pub(super) fn plan(&self, plan: &Arc<EpochPlan>) {
        let mut inner = self.write();
        for seats in plan.shards().filter_map(|shard| Seats::planned(plan, shard)) {
            inner.seats.insert(seats.station(), seats);
        }
        inner.plans.insert(plan.epoch, Arc::clone(plan));
    }

    /// Forgets the epochs before one.
    pub(super) fn forget_before(&self, epoch: Epoch) {
        let mut inner = self.write();
        inner.seats.retain(|station, _| station.epoch >= epoch);
        inner.plans.retain(|number, _| *number >= epoch);
        // Whoever could still answer them has forgotten these epochs, too.
        inner.guests.retain(|station, _| station.epoch >= epoch);
    }

    /// A shard runs here from now on.
    pub(super) fn host(&self, hosted: Hosted) {
        self.write().hosted.insert(hosted.seats.station(), hosted);
    }

    /// A shard runs here no more.
    pub(super) fn drop_hosted(&self, station: Station) {
        self.write().hosted.remove(&station);
    }

    /// Who sits in a shard in an epoch that counts.
    pub(super) fn seats(&self, station: Station) -> Option<Seats> {
        self.read().seats.get(&station).cloned()
    }

    /// A shard that runs here.
    pub(super) fn hosted(&self, station: Station) -> Option<Hosted> {
        self.read().hosted.get(&station).cloned()
    }

    /// What all shards that run here show.
    pub(super) fn views(&self) -> Vec<View> {
        self.read().hosted.values().map(|hosted| hosted.view.clone()).collect()
    }

    /// The newest epoch that is known.
    pub(super) fn newest(&self) -> Epoch {
        let inner = self.read();
        inner.seats.keys().map(|station| station.epoch).max().unwrap_or(Epoch(0))
    }

    /// Whether a lane may lead from the one shard to the other: in one epoch or into the next, and
    /// under numbers for which the two act.
    pub(super) fn is_lane(&self, lane: &Lane) -> bool {
        let inner = self.read();
        let actor = |epoch, number: ShardId| {
            inner.plans.get(&epoch).map_or(number, |plan| plan.actor(number))
        };
        let follows = lane.to.epoch.0.checked_sub(lane.from.epoch.0);
        lane.from.shard != lane.to.shard
            && follows.is_some_and(|epochs| epochs <= 1)
            && inner.seats.contains_key(&lane.to)
            && actor(lane.from.epoch, lane.id.own) == lane.from.shard
            && actor(lane.to.epoch, lane.id.peer) == lane.to.shard
    }

    // ----- guests -----

    /// A guest of a shard waits for what its members tell it.
    pub(super) fn invite(&self, station: Station, guest: Sender<GuestMail>) {
        self.write().guests.insert(station, guest);
    }

    /// All guests may go.
    pub(super) fn part_all(&self) {
        self.write().guests.clear();
    }

    /// The guest has gone.
    pub(super) fn part(&self, station: Station) {
        self.write().guests.remove(&station);
    }

    /// Tells the guest of a shard, if there is one.
    pub(super) fn tell_guest(&self, station: Station, mail: GuestMail) {
        if let Some(guest) = self.read().guests.get(&station) {
            // Gone in this moment.
            let _ = guest.send(mail);
        }
    }

    // ----- announcements -----

    /// A validator is asked for announcements.
    pub(super) fn asks(&self, validator: ValidatorIndex) {
        self.write().asked.insert(validator);
    }

    /// It has answered. Says whether it was asked.
    pub(super) fn was_asked(&self, validator: ValidatorIndex) -> bool {
        self.write().asked.remove(&validator)
    }

    // A panic elsewhere cannot leave half a change: each is one insertion or removal.
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
