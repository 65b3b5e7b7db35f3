//! The plans that are known, with the keys of their committees, and the announcements on the disk.
//!
//! There is a file for each epoch but the first, and each is checked with the keys of the epoch
//! before, also when it is read again: a file that was damaged ends the list, and peers are asked
//! for the rest.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use qcn_crypto::{ChainId, Role, Scheme};
use qcn_ledger::Territory;
use qcn_types::{
    Announcement, AnnouncementError, BEACON, Bounded, CommitteeKeys, Epoch, EpochPlan, ShardId,
    encode, encoded_bytes,
};

use super::super::envelope::{MAX_ANNOUNCEMENTS, Station};
use crate::document::{DocumentError, Overwrite, Readers, write_file};
use crate::genesis::{Genesis, named};
use crate::proof_document::AnnouncementBoard;

/// The most bytes of announcements in one answer; one goes out whatever its length.
const MAX_ANSWER_BYTES: usize = 2 * 1024 * 1024;

/// The epochs whose keys are kept, the newest included: the one before is still served.
const KEPT: u64 = 3;

/// What the beacon has announced.
pub(in super::super) struct Plans {
    chain: ChainId,
    schemes: Vec<Scheme>,
    folder: PathBuf,
    names: Arc<[String]>,
    board: AnnouncementBoard,
    kept: BTreeMap<Epoch, Planned>,
}

/// An epoch.
struct Planned {
    plan: Arc<EpochPlan>,
    /// Of each shard and the beacon, without those whose certificates they take.
    keys: BTreeMap<ShardId, CommitteeKeys>,
    /// When the beacon announced it, in milliseconds of committed time; nothing of the first.
    announced_ms: Option<u64>,
}

/// Why an announcement is not taken.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum PlanRefused {
    /// It is not that of the next epoch, or nobody announced it.
    #[error(transparent)]
    Announcement(#[from] AnnouncementError),
    /// It names no committees: only a captured beacon does so.
    #[error("the plan of epoch {0} names keys or seats that make no committee")]
    Unusable(Epoch),
    /// It cannot be kept.
    #[error(transparent)]
    Disk(#[from] DocumentError),
}

impl Plans {
    /// The plan of the genesis, and those that follow it on the disk. Nothing if the network has no
    /// epochs.
    pub(in super::super) fn open(
        genesis: &Genesis,
        folder: PathBuf,
        board: AnnouncementBoard,
    ) -> Option<Self> {
        let beacon = genesis.beacon()?;
        let mut plans = Self {
            chain: genesis.chain(),
            schemes: genesis.content().schemes.of(Role::Account).iter().copied().collect(),
            folder,
            names: genesis.names(),
            board,
            kept: BTreeMap::new(),
        };
        let first = plans.planned(Arc::clone(&beacon.plan), None)?;
        plans.kept.insert(Epoch(0), first);
        loop {
            let next = Epoch(plans.newest().epoch.0 + 1);
            let Some(announcement) = plans.read(next) else { break };
            if let Err(error) = plans.check(announcement) {
                tracing::error!(
                    "{}: {error}; it is not used, and other validators are asked for it",
                    plans.file(next).display()
                );
                break;
            }
        }
        Some(plans)
    }

    /// The newest plan.
    pub(in super::super) fn newest(&self) -> &Arc<EpochPlan> {
        let (_, newest) = self.kept.last_key_value().expect("that of the genesis at least");
        &newest.plan
    }

    /// The plan of an epoch that is kept.
    pub(in super::super) fn plan(&self, epoch: Epoch) -> Option<&Arc<EpochPlan>> {
        self.kept.get(&epoch).map(|planned| &planned.plan)
    }

    /// All that are kept, the oldest first.
    pub(in super::super) fn kept(&self) -> impl Iterator<Item = &Arc<EpochPlan>> {
        self.kept.values().map(|planned| &planned.plan)
    }

    /// When an epoch was announced, in milliseconds of committed time.
    pub(in super::super) fn announced_ms(&self, epoch: Epoch) -> Option<u64> {
        self.kept.get(&epoch)?.announced_ms
    }

    /// Takes in the plan of the next epoch, and keeps it. Says whether it is new.
    pub(in super::super) fn take(
        &mut self,
        announcement: Announcement,
    ) -> Result<bool, PlanRefused> {
        let epoch = announcement.plan.epoch;
        if epoch <= self.newest().epoch {
            return Ok(false);
        }
        let bytes = encode(&announcement);
        self.check(announcement)?;
        let file = self.file(epoch);
        // It counts although the disk did not take it: it can be asked for again.
        write_file(&file, &bytes, Readers::Everyone, Overwrite::Replace)?;
        Ok(true)
    }

    /// The keys of a committee, with those whose certificates it takes: all others of its epoch,
    /// and all of the epoch before.
    pub(in super::super) fn keys(&self, station: Station) -> Option<CommitteeKeys> {
        let planned = self.kept.get(&station.epoch)?;
        let own = planned.keys.get(&station.shard)?.clone();
        let before = station.epoch.0.checked_sub(1).and_then(|epoch| self.kept.get(&Epoch(epoch)));
        let others = planned.keys.iter().filter(|(shard, _)| **shard != station.shard);
        let of_before = before.into_iter().flat_map(|before| before.keys.values());
        Some(own.with_sources(others.map(|(_, keys)| keys).chain(of_before).cloned()))
    }

    /// The addresses of a shard in an epoch.
    pub(in super::super) fn territory(&self, station: Station) -> Option<Territory> {
        let plan = self.plan(station.epoch)?;
        if station.shard == BEACON {
            return Some(Territory::beacon());
        }
        Territory::of(plan, station.shard)
    }

    /// The announcements that follow an epoch, as many as go into one answer.
    pub(in super::super) fn above(&self, epoch: Epoch) -> Bounded<Announcement, MAX_ANNOUNCEMENTS> {
        let mut announcements = Vec::new();
        let mut bytes = 0;
        let last = self.newest().epoch;
        let mut next = epoch.0.saturating_add(1);
        while next <= last.0 && announcements.len() < MAX_ANNOUNCEMENTS {
            let Some(announcement) = self.read(Epoch(next)) else { break };
            bytes += encoded_bytes(&announcement);
            if bytes > MAX_ANSWER_BYTES && !announcements.is_empty() {
                break;
            }
            announcements.push(announcement);
            next += 1;
        }
        Bounded::truncated(announcements)
    }

    fn read(&self, epoch: Epoch) -> Option<Announcement> {
        let bytes = fs::read(self.file(epoch)).ok()?;
        // Checked like one that comes from a peer.
        borsh::from_slice(&bytes).ok()
    }

    fn file(&self, epoch: Epoch) -> PathBuf {
        self.folder.join(format!("{}.announcement", epoch.0))
    }

    fn check(&mut self, announcement: Announcement) -> Result<(), PlanRefused> {
        let newest = self.newest().epoch;
        let beacon = self.kept.get(&newest).and_then(|planned| planned.keys.get(&BEACON));
        let beacon = beacon.ok_or(AnnouncementError::UnknownCommittee)?;
        beacon.check_announcement(&announcement)?;
        self.board.add(&announcement);
        let epoch = announcement.plan.epoch;
        let announced_ms = Some(announcement.certificate.checkpoint.time_ms);
        let planned = self.planned(Arc::new(announcement.plan), announced_ms);
        self.kept.insert(epoch, planned.ok_or(PlanRefused::Unusable(epoch))?);
        while self.kept.len() as u64 > KEPT {
            self.kept.pop_first();
        }
        Ok(())
    }

    fn planned(&self, plan: Arc<EpochPlan>, announced_ms: Option<u64>) -> Option<Planned> {
        let heirs: Arc<[(ShardId, ShardId)]> = plan.heirs.iter().copied().collect();
        let mut keys = BTreeMap::new();
        for shard in plan.shards() {
            let committee = named(&self.names, &plan, &plan.committee(shard).ok()?)?;
            let decoded = CommitteeKeys::decode(self.chain, Arc::new(committee)).ok()?;
            let decoded = decoded.with_account_schemes(self.schemes.iter().copied());
            keys.insert(shard, decoded.with_heirs(Arc::clone(&heirs)));
        }
        Some(Planned { plan, keys, announced_ms })
    }
}
