//! What opens, when, and with what; and what closes for good.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use qcn_crypto::SigningKey;
use qcn_shard::{Closed, Opening, Shard};
use qcn_types::{
    BEACON, Checkpoint, CommitteeKeys, Epoch, EpochPlan, LaneId, ShardId, Transaction,
};
use rayon::prelude::*;
use tokio::sync::oneshot;

use super::super::envelope::Station;
use super::super::folders::{end_folder, epochs_folder, folders_before, log_folder};
use super::super::inbox::{Checked, Happening, Post};
use super::super::instance::{Instance, Keeping, Place, Prepared};
use super::super::machine::Meddler;
use super::super::relay::{Relayer, RelayerParts};
use super::super::seats::Seats;
use super::super::{NodeError, facts};
use super::guests::Guest;
use super::{Epochs, Teller, hand_in_reports};
use crate::document::{Overwrite, Readers, write_file};
use crate::storage::{BlockLog, StorageError, keep_end, read_end};
use crate::view::SubmitError;

impl Epochs {
    /// Brings up what runs from the disk, before anything else. What is not there yet is fetched
    /// later.
    ///
    /// # Errors
    /// [`NodeError`], if something that is there cannot be used.
    pub(in super::super) async fn start(&mut self) -> Result<(), NodeError> {
        if self.plans.is_some() {
            self.link();
        }
        let Some(plans) = &self.plans else {
            return self.start_only_epoch();
        };
        let kept: Vec<Arc<EpochPlan>> = plans.kept().cloned().collect();
        for plan in &kept {
            self.parts.stage.plan(plan);
        }
        let newest = kept.last().map_or(Epoch(0), |plan| plan.epoch);
        for plan in &kept {
            for shard in self.own_shards(plan) {
                self.read_origins(plan, shard);
                let station = Station { shard, epoch: plan.epoch };
                let log = log_folder(&self.parts.genesis, &self.parts.config.data, station);
                // What ran in the first epoch is gone once two more have begun.
                if log.exists() || newest == Epoch(0) {
                    let opening = self.opening(plan, shard).await;
                    match self.open(plan, station, opening).await {
                        // The end of the epoch before is on no disk here any more: it is fetched.
                        Ok(()) | Err(NodeError::NoOpening(_)) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(())
    }

    /// What was fetched of the epoch before by somebody without a seat in it.
    fn read_origins(&mut self, plan: &EpochPlan, shard: ShardId) {
        let (Some(plans), Some(epoch)) = (&self.plans, plan.epoch.0.checked_sub(1).map(Epoch))
        else {
            return;
        };
        for shard in plan.origins(shard) {
            let station = Station { shard, epoch };
            let (Some(keys), Some(territory)) = (plans.keys(station), plans.territory(station))
            else {
                continue;
            };
            let folder = end_folder(&self.parts.genesis, &self.parts.config.data, station);
            match read_end(&folder, &keys, &territory) {
                Ok(Some(closed)) => {
                    self.ends.entry(station).or_insert(closed);
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "a kept end cannot be read: it is fetched"),
            }
        }
    }

    /// Keeps what a guest has fetched. Nothing opens with what is not on the disk: after a restart
    /// nobody may have it any more.
    pub(super) async fn keep_fetched(&self, station: Station, closed: &Closed) -> bool {
        let keys = self.plans.as_ref().and_then(|plans| plans.keys(station));
        let Some(keys) = keys else { return false };
        let folder = end_folder(&self.parts.genesis, &self.parts.config.data, station);
        let closed = closed.clone();
        let kept = tokio::task::spawn_blocking(move || keep_end(&folder, &keys, &closed)).await;
        match kept {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(%error, "what was fetched of shard {} is not kept", station.shard);
                false
            }
            Err(_) => false,
        }
    }

    fn start_only_epoch(&mut self) -> Result<(), NodeError> {
        let committees = self.parts.genesis.shard_keys()?;
        let genesis = self.parts.genesis.clone();
        for shard in genesis.shards() {
            self.parts.stage.seat(Seats::of(shard));
        }
        let mut prepared = Vec::new();
        for (shard, keys) in genesis.shards().iter().zip(&committees) {
            let Some(own) = shard.seat_of(self.parts.own) else { continue };
            let data = &self.parts.config.data;
            let place = Place::of_genesis(&genesis, data, shard, keys, own);
            let keeping = self.keeping(shard.id)?;
            // The logs first: they hold the locks of the folders, and say so best.
            prepared.push(Prepared::open(&genesis, place, keeping, None)?);
        }
        let signing = self.parts.consensus[0].clone();
        prepared.into_iter().try_for_each(|one| self.host(one, signing.clone()))
    }

    /// Opens what can be opened, and fetches what is missing for the rest.
    pub(super) async fn pursue(&mut self) {
        let Some(plans) = &self.plans else { return };
        let newest = Arc::clone(plans.newest());
        let before = newest.epoch.0.checked_sub(1).map(Epoch);
        let before = before.and_then(|epoch| plans.plan(epoch).cloned());
        let mut is_complete = true;
        for plan in before.iter().chain([&newest]) {
            for shard in self.own_shards(plan) {
                let station = Station { shard, epoch: plan.epoch };
                let is_over = plan.epoch < newest.epoch && self.ends.contains_key(&station);
                if is_over || self.running.contains_key(&station) {
                    continue;
                }
                if self.signing_key(plan).is_none() {
                    continue;
                }
                let opening = self.opening(plan, shard).await;
                if opening.is_none() && plan.epoch > Epoch(0) {
                    // That of the epoch before may be over: then nobody answers, and nothing waits
                    // for it. Or else it may be one that does not close without this validator.
                    self.fetch_origins(plan, shard);
                    is_complete &= plan.epoch != newest.epoch;
                    continue;
                }
                if let Err(error) = self.open(plan, station, opening).await {
                    tracing::error!(%error, shard = %shard, epoch = plan.epoch.0, "does not open");
                    is_complete = false;
                }
            }
        }
        if is_complete {
            self.let_go(&newest).await;
        }
    }

    /// The shards of a plan in which this validator has a seat, the beacon first.
    fn own_shards(&self, plan: &EpochPlan) -> Vec<ShardId> {
        let own = self.parts.own;
        let is_own = |shard: &ShardId| {
            Seats::planned(plan, *shard).is_some_and(|seats| seats.seat(own).is_some())
        };
        plan.shards().filter(is_own).collect()
    }

    /// What a shard begins an epoch with, if the ends of all its origins are here. The beacon has
    /// one at genesis, too.
    async fn opening(&self, plan: &Arc<EpochPlan>, shard: ShardId) -> Option<Opening> {
        let Some(before) = plan.epoch.0.checked_sub(1).map(Epoch) else {
            let beacon = self.parts.genesis.beacon().filter(|_| shard == BEACON)?;
            let state_root = beacon.ledger.state_root();
            let checkpoint = Checkpoint { shard: BEACON, state_root, ..Checkpoint::default() };
            let ledger = beacon.ledger.clone();
            return Some(Opening { checkpoint, ledger, received: Vec::new() });
        };
        let origins = plan.origins(shard).into_iter();
        let ends = origins.map(|shard| self.ends.get(&Station { shard, epoch: before }).cloned());
        let ends: Vec<Closed> = ends.collect::<Option<_>>()?;
        let plan = Arc::clone(plan);
        // Adding up the balances of half a shard takes time.
        let opened = tokio::task::spawn_blocking(move || Opening::after(&plan, shard, &ends)).await;
        match opened {
            Ok(Ok(opening)) => Some(opening),
            Ok(Err(error)) => {
                tracing::error!(%error, %shard, "the ends of the epoch before lead nowhere");
                None
            }
            Err(_) => None,
        }
    }

    /// Fetches the ends of the shards that a shard opens with, where nothing here will have them.
    fn fetch_origins(&mut self, plan: &EpochPlan, shard: ShardId) {
        let Some(epoch) = plan.epoch.0.checked_sub(1).map(Epoch) else { return };
        for shard in plan.origins(shard) {
            let station = Station { shard, epoch };
            let is_here = self.ends.contains_key(&station) || self.running.contains_key(&station);
            if is_here || !self.guests.insert(station) {
                continue;
            }
            let guest = self.guest(station, plan);
            if let Some(Err(error)) = guest.map(Guest::invite) {
                self.guests.remove(&station);
                tracing::error!(%error, "the state of shard {shard} cannot be fetched");
            }
        }
    }

    fn guest(&self, station: Station, plan: &EpochPlan) -> Option<Guest> {
        let plans = self.plans.as_ref()?;
        Some(Guest {
            seats: Seats::planned(plans.plan(station.epoch)?, station.shard)?,
            own: self.parts.own,
            keys: plans.keys(station)?,
            territory: plans.territory(station)?,
            plan: plan.digest(),
            transport: self.parts.transport.clone(),
            stage: self.parts.stage.clone(),
            teller: Teller { station, told: self.parts.told.clone() },
            defects: self.parts.defects.clone(),
        })
    }

    /// Opens a shard in an epoch, from its log if it was opened before.
    async fn open(
        &mut self,
        plan: &Arc<EpochPlan>,
        station: Station,
        opening: Option<Opening>,
    ) -> Result<(), NodeError> {
        let Some(place) = self.place(plan, station, opening) else { return Ok(()) };
        let Some(signing) = self.signing_key(plan) else { return Ok(()) };
        self.begin_log(&place, plan)?;
        let keeping = self.keeping(station.shard)?;
        let (genesis, told) = (self.parts.genesis.clone(), self.parts.told.clone());
        let prepared = tokio::task::spawn_blocking(move || {
            Prepared::open(&genesis, place, keeping, Some(told))
        });
        let prepared = prepared.await.map_err(std::io::Error::other)??;
        if let Some(end) = prepared.end() {
            self.ends.insert(station, end);
        }
        // Before the instance: so what was certified before can be told until it has something.
        self.show(station);
        self.host(prepared, signing)?;
        if station.epoch > Epoch(0) {
            tracing::info!(shard = %station.shard, epoch = station.epoch.0, "opened");
            self.hand_on(plan, station).await;
        }
        Ok(())
    }

    fn place(
        &self,
        plan: &Arc<EpochPlan>,
        station: Station,
        opening: Option<Opening>,
    ) -> Option<Place> {
        let plans = self.plans.as_ref()?;
        let seats = Seats::planned(plan, station.shard)?;
        let genesis = &self.parts.genesis;
        let first = genesis.shards().iter().find(|shard| shard.id == station.shard);
        let accounts =
            first.filter(|_| station.epoch == Epoch(0)).map(|it| Arc::clone(&it.accounts));
        Some(Place {
            own: seats.seat(self.parts.own)?,
            seats,
            keys: plans.keys(station)?,
            territory: plans.territory(station)?,
            seed: plan.seed,
            accounts: accounts.unwrap_or_else(|| Arc::from([])),
            opening,
            log: log_folder(genesis, &self.parts.config.data, station),
        })
    }

    /// The key with which this validator signs. Nothing if it is not at hand, which is said once.
    fn signing_key(&mut self, plan: &EpochPlan) -> Option<SigningKey> {
        let own = u32::from(self.parts.own.0);
        let key = &plan.validators.iter().find(|planned| planned.number == own)?.key;
        let found = self.parts.consensus.iter().find(|own| own.public_key() == key).cloned();
        let epoch = plan.epoch;
        if found.is_none() && self.keyless.insert(epoch) {
            tracing::error!(
                epoch = epoch.0,
                "the register has the consensus key {} for this validator, which is neither \
                 `consensus_key` nor `next_consensus_key` of the configuration: it signs nothing in \
                 this epoch",
                key.digest()
            );
        }
        found
    }

    /// Makes the log of an epoch in which these keys have signed nothing.
    ///
    /// A mark says that there is one, should it get lost. It is made after the log, and before
    /// anything is signed: without the mark a log that does not even have its own marker of a new
    /// one is what a crash has left of making it.
    fn begin_log(&self, place: &Place, plan: &EpochPlan) -> Result<(), NodeError> {
        let station = place.seats.station();
        let name = format!("{}-{}.opened", station.epoch.0, station.shard);
        let mark = epochs_folder(&self.parts.config.data).join(name);
        if mark.exists() {
            return Ok(());
        }
        let announced_ms = self.plans.as_ref().and_then(|plans| plans.announced_ms(plan.epoch));
        let is_new = announced_ms.is_some_and(|at| self.beginning.is_before(at));
        if is_new {
            match BlockLog::initialise(&place.log, &place.identity()?) {
                Ok(()) | Err(StorageError::NotEmpty { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        write_file(&mark, b"", Readers::Everyone, Overwrite::Replace)?;
        Ok(())
    }

    /// What stays of a shard from epoch to epoch.
    fn keeping(&mut self, shard: ShardId) -> Result<Keeping, NodeError> {
        if let Some(keeping) = self.keepings.get(&shard) {
            return Ok(keeping.clone());
        }
        let (genesis, config) = (&self.parts.genesis, &self.parts.config);
        let defects = self.parts.defects.clone();
        let keeping = Keeping::open(genesis, config, shard, &self.parts.metrics, defects)?;
        self.keepings.insert(shard, keeping.clone());
        Ok(keeping)
    }

    /// Runs an instance, with relayers of all lanes into it, and shows it to clients.
    fn host(&mut self, prepared: Prepared, signing: SigningKey) -> Result<(), NodeError> {
        let hosted = prepared.hosted();
        let meddler = self.take_meddler();
        let mut instance = prepared.start(&self.parts.transport, signing, meddler)?;
        let station = instance.seats().station();
        self.parts.stage.host(instance.on_stage());
        for relayer in self.relayers(&instance) {
            instance.spawn("a relayer", relayer.run());
        }
        self.running.insert(station, instance);
        let is_newest = |other: &&Station| other.shard == station.shard && **other > station;
        if !self.running.keys().any(|other| is_newest(&other)) {
            self.parts.hosting.host(hosted);
        }
        Ok(())
    }

    fn take_meddler(&mut self) -> Option<Box<dyn Meddler>> {
        self.meddler.get_mut().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn relayers(&self, destination: &Instance) -> Vec<Relayer> {
        let to = destination.seats();
        let mut relayers = Vec::new();
        for (from, lane) in self.lanes_into(to) {
            relayers.extend(Relayer::new(RelayerParts {
                seats: [&from, to],
                lane,
                own: self.parts.own,
                stage: self.parts.stage.clone(),
                transport: self.parts.transport.clone(),
                answers: Arc::clone(&self.parts.answers),
                destination: destination.post().clone(),
                keys: destination.keys().clone(),
                metrics: destination.keeping().metrics.clone(),
            }));
        }
        relayers
    }

    /// All lanes into a shard: from each shard of its epoch and of the epoch before, under all
    /// numbers for which the two act.
    fn lanes_into(&self, to: &Seats) -> Vec<(Seats, LaneId)> {
        if to.shard() == BEACON {
            return Vec::new();
        }
        let Some(plans) = &self.plans else {
            let shards = self.parts.genesis.shards().iter().map(Seats::of);
            let others = shards.filter(|from| from.shard() != to.shard());
            return others
                .map(|from| (LaneId { own: from.shard(), peer: to.shard() }, from))
                .map(|(lane, from)| (from, lane))
                .collect();
        };
        let epoch = to.station().epoch;
        let Some(plan) = plans.plan(epoch) else { return Vec::new() };
        let before = epoch.0.checked_sub(1).and_then(|epoch| plans.plan(Epoch(epoch)));
        let mut lanes = Vec::new();
        for source in [Some(plan), before].into_iter().flatten() {
            let shards = source.shards().filter(|shard| *shard != BEACON);
            for shard in shards.filter(|shard| plan.actor(*shard) != to.shard()) {
                let Some(from) = Seats::planned(source, shard) else { continue };
                for own in numbers(source, shard) {
                    let peers = numbers(plan, to.shard());
                    lanes.extend(peers.map(|peer| (from.clone(), LaneId { own, peer })));
                }
            }
        }
        lanes
    }

    /// What the closed shards had taken in and not executed goes into the one that has opened.
    async fn hand_on(&self, plan: &EpochPlan, station: Station) {
        let Some(epoch) = station.epoch.0.checked_sub(1).map(Epoch) else { return };
        let Some(instance) = self.running.get(&station) else { return };
        let (keys, post) = (instance.keys().clone(), instance.post().clone());
        let before = self.running.iter().filter(|(it, _)| it.epoch == epoch);
        for (old, one) in before {
            if (old.shard == BEACON) != (station.shard == BEACON) {
                continue;
            }
            if station.shard == BEACON {
                let reports = one.post().ask(Shard::pending_reports).await;
                hand_in_reports(reports.unwrap_or_default(), keys.clone(), post.clone());
                continue;
            }
            let mut pending = one.post().ask(Shard::pending).await.unwrap_or_default();
            pending.retain(|it| plan.layout.shard_of(&it.body.sender) == station.shard);
            hand_in_transactions(pending, keys.clone(), post.clone());
        }
    }

    /// Tells clients of the newest epoch, once something of it is about to run here. The beacon opens
    /// first, while its shards still go on in the epoch before.
    fn show(&mut self, opening: Station) {
        let Some(plans) = &self.plans else { return };
        let newest = plans.newest();
        let has_shard = self.own_shards(newest).iter().any(|shard| *shard != BEACON);
        let tells = opening.shard != BEACON || !has_shard;
        if tells && opening.epoch == newest.epoch && self.shown != Some(newest.epoch) {
            self.shown = Some(newest.epoch);
            let began_unix_ms = plans.announced_ms(newest.epoch).unwrap_or(0);
            let address = |validator| self.roster.get(validator)?.address.clone();
            let facts = facts::of_epoch(newest, began_unix_ms, address, |shard| {
                let keys = plans.keys(Station { shard, epoch: newest.epoch })?;
                Some(Arc::clone(keys.committee()))
            });
            self.parts.hosting.set_epoch(facts);
        }
    }

    /// Lets go of what nobody needs any more, once everything of the newest epoch runs.
    async fn let_go(&mut self, newest: &EpochPlan) {
        let Some(before) = newest.epoch.0.checked_sub(1).map(Epoch) else { return };
        let own: BTreeSet<ShardId> = self.own_shards(newest).into_iter().collect();
        let gone: Vec<ShardId> = self
            .running
            .keys()
            .filter(|station| !own.contains(&station.shard) && self.ends.contains_key(*station))
            .map(|station| station.shard)
            .collect();
        gone.into_iter().for_each(|shard| self.parts.hosting.leave(shard));
        if self.are_needed_before(before) {
            return;
        }
        let kept = self.running.split_off(&Station { shard: ShardId(0), epoch: Epoch(0) });
        let (old, kept) = kept.into_iter().partition(|(station, _)| station.epoch < before);
        self.running = kept;
        let old: BTreeMap<Station, Instance> = old;
        if old.is_empty() && !self.ends.keys().any(|station| station.epoch < before) {
            return;
        }
        self.parts.stage.forget_before(before);
        self.parts.answers.forget_before(before);
        self.ends.retain(|station, _| station.epoch >= before);
        self.guests.retain(|station| station.epoch >= before);
        self.duties.forget();
        for (station, instance) in old {
            self.parts.stage.drop_hosted(station);
            instance.tell_to_stop();
            instance.join().await;
        }
        let data = self.parts.config.data.clone();
        tokio::task::spawn_blocking(move || remove_before(&data, before));
    }

    /// Whether a shard of an epoch runs here that has not closed, so that what it opened with may
    /// be needed by those of its members who have not got it yet.
    fn are_needed_before(&self, epoch: Epoch) -> bool {
        let of_epoch = self.running.keys().filter(|station| station.epoch == epoch);
        of_epoch.into_iter().any(|station| !self.ends.contains_key(station))
    }
}

/// The numbers for which a shard acts in an epoch: its own, and those of shards that it absorbed.
fn numbers(plan: &EpochPlan, shard: ShardId) -> impl Iterator<Item = ShardId> {
    let absorbed = plan.heirs.iter().filter(move |(_, heir)| *heir == shard);
    std::iter::once(shard).chain(absorbed.map(|(closed, _)| *closed))
}

/// Removes what is left of epochs that are over for good. Nobody misses it if it stays.
fn remove_before(data: &Path, epoch: Epoch) {
    let folders = folders_before(data, epoch).unwrap_or_default();
    for folder in folders {
        if let Err(error) = fs::remove_dir_all(&folder) {
            tracing::warn!(%error, "{} is needed no more, and cannot be removed", folder.display());
        }
    }
}

/// Has transactions checked again, and hands them in. Nobody waits for the answers: whoever handed
/// them in at first follows them by their names.
fn hand_in_transactions(pending: Vec<Transaction>, keys: CommitteeKeys, post: Post) {
    if pending.is_empty() {
        return;
    }
    rayon::spawn(move || {
        let verified = pending.into_par_iter().map(|transaction| {
            keys.verify_transaction(transaction).map_err(|_| SubmitError::WrongSignature)
        });
        let (reply, _) = oneshot::channel();
        let checked = Checked { transactions: verified.collect(), reply };
        post.put(Happening::Submitted(checked));
    });
}
