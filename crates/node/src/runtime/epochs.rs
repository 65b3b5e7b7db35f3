//! From one epoch to the next in a node (DESIGN section 7): who knows which plan, who holds which
//! final state, and what opens.
//!
//! One task follows the epochs. It hears of the beacon's announcement from its own beacon, or asks
//! other validators for it, tells it to its shards, and holds the ends of their epochs. A shard
//! opens once the ends of all its origins are here; those of shards in which this validator had no
//! seat are fetched from whoever had. An instance of the epoch before goes on for a moment with its
//! rounds, for those who are not there yet, and for the whole epoch with its final state.
//!
//! In a network without epochs the task has nothing to follow, and only holds the instances.
//!
//! **Invariants**
//! - what the next epoch begins with is on the disk before anything of it is signed: the
//!   announcement, and the log that was opened for it;
//! - a log is taken for new only where this folder cannot have signed in that epoch
//!   ([`Beginning`]);
//! - nothing that another validator sends ends the task.

mod beginning;
mod duties;
mod guests;
mod opening;
mod plans;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use qcn_crypto::SigningKey;
use qcn_shard::pace;
use qcn_shard::{Closed, Shard};
use qcn_types::{
    Announcement, BEACON, CommitteeKeys, Epoch, Evidence, Report, ShardId, ValidatorIndex, encode,
};
use tokio::sync::{mpsc, oneshot};

pub(super) use self::beginning::Beginning;
use self::duties::{Duties, Known};
pub(super) use self::plans::Plans;
use super::admission::number_of;
use super::core;
use super::envelope::{Envelope, Station};
use super::folders::epochs_folder;
use super::inbox::{Happening, Post};
use super::instance::{Instance, Keeping};
use super::machine::Meddler;
use super::relay::Answers;
use super::roster::{Registered, Roster};
use super::stage::Stage;
use crate::api::{Hosting, Metrics};
use crate::config::NodeConfig;
use crate::defects::Defects;
use crate::genesis::Genesis;
use crate::transport::{Class, Transport};

/// How often a validator looks whether there is something to report or to open.
const DUTY_INTERVAL: Duration = Duration::from_millis(300);

/// After so many looks another validator is asked whether there is a newer epoch.
const ASKS_EVERY: u64 = 16;

/// After so many looks without a link the other transport key is tried, if there are two: peers dial
/// again every three seconds.
const UNLINKED_TICKS: u32 = 32;

/// How long a closed shard goes on with rounds for those who are not there yet.
const LINGERS: Duration = Duration::from_secs(3);

/// What the task hears.
#[derive(Debug)]
pub(super) enum Told {
    /// The epoch of a shard is over: an instance says so, or a guest has fetched it.
    Closed { station: Station, closed: Box<Closed> },
    /// A member of a shard has misbehaved.
    Proven { station: Station, evidence: Box<Evidence> },
    /// Another validator is in an epoch that is not known here.
    Ahead { who: ValidatorIndex, epoch: Epoch },
    /// It asks for announcements.
    Asked { by: ValidatorIndex, above: Epoch },
    /// It was asked for announcements, and answers.
    Announced { by: ValidatorIndex, announcements: Vec<Announcement> },
}

/// Tells what concerns one shard in one epoch.
#[derive(Clone, Debug)]
pub(super) struct Teller {
    pub(super) station: Station,
    pub(super) told: mpsc::UnboundedSender<Told>,
}

/// What the task is made of.
pub(super) struct Parts {
    pub(super) genesis: Genesis,
    pub(super) config: NodeConfig,
    pub(super) own: ValidatorIndex,
    /// Of these an epoch's plan names the one that signs in it.
    pub(super) consensus: Vec<SigningKey>,
    /// The next transport key, which is shown to others once the register names it, and the one that
    /// is shown; the other way round once it is.
    pub(super) spare_transport: Option<(SigningKey, SigningKey)>,
    pub(super) transport: Transport,
    pub(super) stage: Stage,
    pub(super) answers: Arc<Answers>,
    pub(super) hosting: Hosting,
    pub(super) metrics: Metrics,
    pub(super) defects: Defects,
    pub(super) told: mpsc::UnboundedSender<Told>,
}

/// The task.
pub(super) struct Epochs {
    parts: Parts,
    /// Nothing in a network without epochs.
    plans: Option<Plans>,
    beginning: Beginning,
    keepings: BTreeMap<ShardId, Keeping>,
    running: BTreeMap<Station, Instance>,
    ends: BTreeMap<Station, Closed>,
    /// The shards whose ends are being fetched.
    guests: BTreeSet<Station>,
    /// The epoch whose announcement the shards were given.
    told: Option<Epoch>,
    /// The epoch that clients are told of.
    shown: Option<Epoch>,
    roster: Roster,
    /// For how many looks there was no link.
    unlinked: u32,
    /// The epochs for which there is no key, which was said.
    keyless: BTreeSet<Epoch>,
    duties: Duties,
    ticks: u64,
    /// For the first instance that starts. Behind a lock only because it cannot be shared.
    meddler: Mutex<Option<Box<dyn Meddler>>>,
}

impl Epochs {
    pub(super) fn new(
        parts: Parts,
        plans: Option<Plans>,
        beginning: Beginning,
        meddler: Option<Box<dyn Meddler>>,
    ) -> Self {
        let duties = Duties::new(parts.consensus.clone(), parts.config.data.clone());
        let roster = Roster::open(&parts.genesis, &epochs_folder(&parts.config.data));
        Self {
            parts,
            plans,
            beginning,
            keepings: BTreeMap::new(),
            running: BTreeMap::new(),
            ends: BTreeMap::new(),
            guests: BTreeSet::new(),
            told: None,
            shown: None,
            roster,
            unlinked: 0,
            keyless: BTreeSet::new(),
            duties,
            ticks: 0,
            meddler: Mutex::new(meddler),
        }
    }

    /// Follows until it is told to stop, and gives back what runs.
    pub(super) async fn run(
        mut self,
        mut told: mpsc::UnboundedReceiver<Told>,
        mut stop: oneshot::Receiver<()>,
    ) -> Vec<Instance> {
        let mut duty = tokio::time::interval(DUTY_INTERVAL);
        duty.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let follows = self.plans.is_some();
        loop {
            tokio::select! {
                _ = &mut stop => break,
                Some(told) = told.recv() => self.hear(told).await,
                _ = duty.tick(), if follows => self.tick().await,
            }
        }
        self.parts.stage.part_all();
        self.running.into_values().collect()
    }

    async fn hear(&mut self, told: Told) {
        match told {
            Told::Closed { station, closed } => self.closed(station, *closed).await,
            Told::Proven { station, evidence } if station.shard != BEACON => {
                self.duties.proven(station, *evidence);
            }
            // The beacon judges its own members from its own blocks.
            Told::Proven { .. } => {}
            Told::Ahead { who, epoch } => {
                if self.plans.as_ref().is_some_and(|plans| plans.newest().epoch < epoch) {
                    self.ask_for_epochs(who);
                }
            }
            Told::Asked { by, above } => self.answer(by, above),
            Told::Announced { by, announcements } => self.announced_by(by, announcements).await,
        }
    }

    /// The epoch of a shard is over.
    async fn closed(&mut self, station: Station, closed: Closed) {
        self.guests.remove(&station);
        let lingers = self.running.get(&station).map(|instance| instance.post().clone());
        if let Some(post) = lingers {
            tokio::spawn(async move {
                tokio::time::sleep(LINGERS).await;
                post.put(Happening::Retire);
            });
        }
        let is_fetched = !self.running.contains_key(&station);
        if is_fetched && !self.keep_fetched(station, &closed).await {
            return;
        }
        let next = closed.plan.epoch;
        if station.shard == BEACON {
            // Who is admitted has to be let in at once, to fetch what it begins with.
            self.know(closed.ledger.beacon().map(Registered::of));
            let plan = closed.plan.as_ref().clone();
            let announcement = Announcement { certificate: closed.certificate.clone(), plan };
            self.announced(announcement);
        }
        self.ends.entry(station).or_insert(closed);
        if self.plans.as_ref().is_some_and(|plans| plans.newest().epoch < next) {
            self.ask_somebody();
        }
        self.pursue().await;
    }

    /// The beacon has certified the plan of an epoch.
    fn announced(&mut self, announcement: Announcement) {
        let Some(plans) = &mut self.plans else { return };
        let epoch = announcement.plan.epoch;
        match plans.take(announcement) {
            Ok(false) => return,
            Ok(true) => {}
            Err(error) if plans.newest().epoch == epoch => {
                tracing::error!(%error, "the announcement of epoch {} is not kept", epoch.0);
            }
            Err(error) => return tracing::warn!(%error, "an announcement was refused"),
        }
        tracing::info!(epoch = epoch.0, "the beacon has announced the next epoch");
        let keys = self.parts.consensus.iter().map(|key| key.public_key().clone());
        let number = number_of(plans, &keys.collect::<Vec<_>>());
        if number.is_some_and(|number| number != self.parts.own) {
            tracing::error!("this validator has another number now: start the node again");
        }
        self.duties.planned(plans.newest());
        self.parts.stage.plan(plans.newest());
    }

    /// Gives the newest announcement to the shards whose epoch it ends, once those who get a seat
    /// have had time to fetch the state. They may have it already.
    fn tell_shards(&mut self) {
        let Some(plans) = &self.plans else { return };
        let newest = plans.newest().epoch;
        let beacon = self.parts.genesis.beacon().and_then(|it| it.ledger.beacon());
        let epoch_ms = beacon.map_or(0, |state| state.parameters().epoch_ms);
        let lead_ms = pace::lead_us(epoch_ms.saturating_mul(1_000)) / 1_000;
        let due_ms = plans.announced_ms(newest).map(|at| at.saturating_add(lead_ms));
        let is_due = due_ms.is_some_and(|due| due <= core::now().0 / 1_000);
        let is_again = self.ticks.is_multiple_of(ASKS_EVERY);
        if !is_due || (self.told == Some(newest) && !is_again) {
            return;
        }
        self.told = Some(newest);
        let Some(before) = newest.0.checked_sub(1).map(Epoch) else { return };
        let open = self.running.iter().filter(|(station, _)| {
            station.epoch == before && station.shard != BEACON && !self.ends.contains_key(*station)
        });
        let open: Vec<(CommitteeKeys, Post)> =
            open.map(|(_, one)| (one.keys().clone(), one.post().clone())).collect();
        if open.is_empty() {
            return;
        }
        let announcements = plans.above(before);
        let Some(announcement) = announcements.first().cloned() else { return };
        rayon::spawn(move || {
            for (keys, post) in open {
                match keys.verify_announcement(announcement.clone()) {
                    Ok(verified) => post.put(Happening::Announce(Box::new(verified))),
                    Err(error) => tracing::error!(%error, "the own announcement is refused"),
                }
            }
        });
    }

    // ----- other validators -----

    fn ask_somebody(&self) {
        let others = self.parts.transport.peers();
        let others: Vec<_> = others.iter().filter(|peer| peer.connected).collect();
        let turn = (self.ticks / ASKS_EVERY) as usize + self.parts.own.position();
        if let Some(other) = turn.checked_rem(others.len()).and_then(|turn| others.get(turn)) {
            self.ask_for_epochs(ValidatorIndex(other.index));
        }
    }

    fn ask_for_epochs(&self, who: ValidatorIndex) {
        let Some(plans) = &self.plans else { return };
        self.parts.stage.asks(who);
        let frame = Bytes::from(encode(&Envelope::AskEpochs(plans.newest().epoch)));
        self.parts.transport.send(who, Class::Sync, frame);
    }

    fn answer(&self, by: ValidatorIndex, above: Epoch) {
        let Some(plans) = &self.plans else { return };
        let announcements = plans.above(above);
        if !announcements.is_empty() {
            let frame = Bytes::from(encode(&Envelope::Epochs(announcements)));
            self.parts.transport.send(by, Class::Sync, frame);
        }
    }

    async fn announced_by(&mut self, by: ValidatorIndex, announcements: Vec<Announcement>) {
        let newest = |one: &Self| one.plans.as_ref().map(|plans| plans.newest().epoch);
        let before = newest(self);
        for announcement in announcements {
            self.announced(announcement);
        }
        if newest(self) > before {
            // There may be more than one answer holds.
            self.ask_for_epochs(by);
            self.pursue().await;
        }
    }

    // ----- who the validators are -----

    /// Links to whom the register names, and shows the key that it names.
    fn know(&mut self, registered: Option<Registered>) {
        if !registered.is_some_and(|registered| self.roster.update(registered)) {
            return;
        }
        self.roster.keep();
        self.link();
    }

    /// Links to all that the roster has.
    pub(super) fn link(&mut self) {
        let validators = self.roster.all();
        self.parts.transport.set_validators(&validators);
        self.parts.hosting.set_validators(&validators);
        let named = self.roster.get(self.parts.own).map(|known| known.key.clone());
        let spare = self.parts.spare_transport.as_ref();
        if spare.is_some_and(|(spare, _)| named.as_ref() == Some(spare.public_key())) {
            self.show_other_key();
        }
    }

    /// Shows the other one of two transport keys.
    fn show_other_key(&mut self) {
        let Some((spare, shown)) = self.parts.spare_transport.take() else { return };
        match self.parts.transport.set_key(spare.clone()) {
            Ok(()) => {
                let key = spare.public_key().digest();
                tracing::info!(%key, "another transport key is shown from now on");
                self.parts.spare_transport = Some((shown, spare));
            }
            Err(error) => tracing::error!(%error, "the next transport key cannot be used"),
        }
    }

    /// Without any link for long, the others may have forgotten the key that is shown: the rotation
    /// may have taken effect while this node was down.
    fn look_for_links(&mut self) {
        let is_linked = self.parts.transport.peers().iter().any(|peer| peer.connected);
        self.unlinked = if is_linked { 0 } else { self.unlinked + 1 };
        if self.unlinked >= UNLINKED_TICKS {
            self.unlinked = 0;
            self.show_other_key();
        }
    }

    /// Looks at the register of the newest beacon that runs here.
    async fn look_at_register(&mut self) {
        let mut beacons = self.running.iter().rev();
        let beacon = beacons.find(|(station, _)| station.shard == BEACON);
        let Some(post) = beacon.map(|(_, one)| one.post().clone()) else { return };
        let registered = post.ask(|beacon| beacon.ledger().beacon().map(Registered::of)).await;
        self.know(registered.flatten());
    }

    // ----- duties -----

    async fn tick(&mut self) {
        self.ticks += 1;
        self.duties.tick();
        if self.ticks.is_multiple_of(ASKS_EVERY) {
            self.ask_somebody();
        }
        self.look_for_links();
        if self.ticks % ASKS_EVERY == 1 {
            self.look_at_register().await;
        }
        // Again and again: whoever came up anew has forgotten what it was told.
        self.tell_shards();
        self.pursue().await;
        self.do_duties().await;
    }

    /// Reports what there is to report to the beacon of the newest epoch that runs here.
    async fn do_duties(&mut self) {
        let mut beacons = self.running.iter().rev();
        let beacon = beacons.find(|(station, _)| station.shard == BEACON);
        let Some((post, keys)) = beacon.map(|(_, one)| (one.post().clone(), one.keys().clone()))
        else {
            return;
        };
        let own = u32::from(self.parts.own.0);
        let Some(known) = post.ask(move |beacon| Known::of(beacon, own)).await.flatten() else {
            return;
        };
        let mut reports = self.duties.reports(&known);
        for (shard, seat, members, post) in self.shards_of(known.epoch) {
            if self.duties.is_turn(seat.0, members) {
                let certificate = post.ask(Shard::newest_certificate).await.flatten();
                let wanted = certificate.filter(|it| known.wants(shard, it.checkpoint.time_ms));
                reports.extend(wanted.map(Report::Checkpoint));
            }
        }
        hand_in_reports(reports, keys, post);
    }

    /// The own instances of shards in an epoch, with the own seat and the number of all.
    fn shards_of(&self, epoch: Epoch) -> Vec<(ShardId, ValidatorIndex, usize, Post)> {
        let of_epoch = self.running.iter().filter(|(station, _)| station.epoch == epoch);
        let shards = of_epoch.filter(|(station, _)| station.shard != BEACON);
        shards
            .filter_map(|(station, one)| {
                let seat = one.seats().seat(self.parts.own)?;
                Some((station.shard, seat, one.seats().members().len(), one.post().clone()))
            })
            .collect()
    }
}

/// Has reports checked, and gives them to the beacon.
fn hand_in_reports(reports: Vec<Report>, keys: CommitteeKeys, post: Post) {
    if reports.is_empty() {
        return;
    }
    rayon::spawn(move || {
        for report in reports {
            match keys.verify_report(report) {
                Ok(report) => post.put(Happening::Report(Box::new(report))),
                Err(error) => tracing::debug!(%error, "an own report is refused"),
            }
        }
    });
}
