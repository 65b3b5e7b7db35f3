//! What a validator reports to the beacon, besides taking part in it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use qcn_crypto::{Digest, SigningKey};
use qcn_shard::Shard;
use qcn_types::{Epoch, EpochPlan, Evidence, Layout, Report, ReportedOffence, ShardId};

use super::super::envelope::Station;
use crate::document::DocumentError;
use crate::reveals::Reveals;
use crate::votes::{Vote, Votes};

/// In an epoch each shard's checkpoint is reported so many times, about: load is measured between
/// the first and the last of them.
const REPORTS_AN_EPOCH: u64 = 16;

/// The most offences that wait to be reported.
const MAX_OFFENCES: usize = 64;

/// What a validator has to do for the beacon.
pub(super) struct Duties {
    reveals: Reveals,
    /// What was proven in its shards and not seen reported.
    offences: Vec<ReportedOffence>,
    reported: BTreeSet<Digest>,
    ticks: u64,
    data: PathBuf,
    /// What is wrong with the document of votes, if something is: said once.
    bad_votes: Option<DocumentError>,
}

/// What the beacon knows, as far as its members' duties are concerned.
pub(super) struct Known {
    pub(super) epoch: Epoch,
    /// The last value of the own hash chain, if none was revealed in this epoch.
    unrevealed: Option<Digest>,
    /// The last value of the own hash chain, if no new chain is registered.
    anchor: Option<Digest>,
    /// Of each shard the time of the newest checkpoint of this epoch, in milliseconds.
    reported_ms: Vec<(ShardId, u64)>,
    epoch_ms: u64,
    layout: Layout,
    next_shard: ShardId,
    /// The numbers of all validators.
    register: BTreeSet<u32>,
}

impl Known {
    /// What the beacon's state says to a validator.
    pub(super) fn of(beacon: &Shard, own: u32) -> Option<Self> {
        let state = beacon.ledger().beacon()?;
        let epoch = state.plan().epoch;
        // The state after an epoch's last execution has the next plan. What is reported on it before
        // that is announced here would count there: a vote that the plan has brought about, say.
        if beacon.checkpoint().epoch != epoch {
            return None;
        }
        let validator = state.validator(own).filter(|it| !it.is_isolated());
        let anchor = validator.map(|it| it.identity.anchor);
        let reported = state.plan().layout.shards().iter().filter_map(|(_, shard)| {
            let standing = state.shard(*shard)?;
            (standing.latest.epoch == epoch).then_some((*shard, standing.latest.time_ms))
        });
        Some(Self {
            epoch,
            unrevealed: validator.filter(|it| it.revealed != Some(epoch)).and(anchor),
            anchor: validator.filter(|it| it.next.anchor.is_none()).and(anchor),
            reported_ms: reported.collect(),
            epoch_ms: state.parameters().epoch_ms,
            layout: state.plan().layout.clone(),
            next_shard: state.next_shard(),
            register: state.register().map(|it| it.number).collect(),
        })
    }

    /// Whether a checkpoint of a shard made at this time is worth a report.
    pub(super) fn wants(&self, shard: ShardId, time_ms: u64) -> bool {
        let last = self.reported_ms.iter().find(|(reported, _)| *reported == shard);
        last.is_none_or(|(_, last)| {
            time_ms.saturating_sub(*last) >= self.epoch_ms / REPORTS_AN_EPOCH
        })
    }
}

impl Duties {
    pub(super) fn new(keys: Vec<SigningKey>, name: &str, data: PathBuf) -> Self {
        let reveals = Reveals::new(&keys[0], name);
        let (offences, reported) = (Vec::new(), BTreeSet::new());
        Self { reveals, offences, reported, ticks: 0, data, bad_votes: None }
    }

    /// A member of a shard has misbehaved. Of each piece of evidence once.
    pub(super) fn proven(&mut self, station: Station, evidence: Evidence) {
        let (shard, epoch) = (station.shard, station.epoch);
        let offence = ReportedOffence { shard, epoch, evidence };
        let digest = qcn_crypto::hash(qcn_crypto::Domain::Evidence, &qcn_types::encode(&offence));
        if self.offences.len() < MAX_OFFENCES && self.reported.insert(digest) {
            self.offences.push(offence);
        }
    }

    /// Begins a round of duties.
    pub(super) const fn tick(&mut self) {
        self.ticks += 1;
    }

    /// Whether it is this member's turn to report on a shard: one certificate at a time is enough.
    pub(super) const fn is_turn(&self, seat: u16, members: usize) -> bool {
        (self.ticks + seat as u64).is_multiple_of(members as u64)
    }

    /// What is to be reported besides checkpoints.
    pub(super) fn reports(&mut self, known: &Known) -> Vec<Report> {
        let mut reports = Vec::new();
        let value = known.unrevealed.and_then(|known| self.reveals.after(&known));
        reports.extend(value.map(Report::Reveal));
        let next = known.anchor.and_then(|known| self.reveals.next_anchor(&known));
        reports.extend(next.map(Report::Anchor));
        let offences = std::mem::take(&mut self.offences).into_iter();
        reports.extend(offences.map(|offence| Report::Offence(Box::new(offence))));
        let votes = self.votes(|vote| vote.is_about_nobody(&known.register));
        reports.extend(votes.reports(&known.layout, known.next_shard));
        reports
    }

    /// A plan is announced: what it brings about is voted for no more.
    pub(super) fn planned(&mut self, plan: &EpochPlan) {
        self.votes(|vote| vote.is_brought_about(plan));
    }

    /// What the operator votes for, without what is settled.
    fn votes(&mut self, is_settled: impl Fn(&Vote) -> bool) -> Votes {
        let read = Votes::read(&self.data).and_then(|mut votes| {
            if votes.tidy(is_settled) {
                votes.write(&self.data)?;
            }
            Ok(votes)
        });
        match read {
            Ok(votes) => {
                self.bad_votes = None;
                votes
            }
            Err(error) => {
                if self.bad_votes.as_ref() != Some(&error) {
                    tracing::error!(%error, "nothing is voted for");
                    self.bad_votes = Some(error);
                }
                Votes::default()
            }
        }
    }

    /// Nothing of earlier epochs than the one before counts any more.
    pub(super) fn forget(&mut self) {
        self.reported.clear();
    }
}
