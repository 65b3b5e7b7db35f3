//! What a validator reports to the beacon, besides taking part in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use qcn_crypto::{Digest, SigningKey};
use qcn_ledger::{Beacon, Subject};
use qcn_light::Standing;
use qcn_shard::Shard;
use qcn_types::{Epoch, EpochPlan, Evidence, Layout, Report, ReportedOffence, ShardId, Weight};

use super::super::envelope::Station;
use crate::document::DocumentError;
use crate::membership::{RegistrationFile, RotationFile};
use crate::reveals::OwnReveals;
use crate::votes::{Registered, Vote, Votes};

/// In an epoch each shard's checkpoint is reported so many times, about: load is measured between
/// the first and the last of them.
const REPORTS_AN_EPOCH: u64 = 16;

/// The most offences that wait to be reported.
const MAX_OFFENCES: usize = 64;

/// A document is handed in by one in so many members at a time: it is long, and the beacon takes
/// it once.
const TURNS: u16 = 16;

/// What a validator has to do for the beacon.
pub(super) struct Duties {
    reveals: OwnReveals,
    /// What was proven in its shards and not seen reported.
    offences: Vec<ReportedOffence>,
    reported: BTreeSet<Digest>,
    ticks: u64,
    /// The number of the validator, once the beacon was asked.
    own: Option<u32>,
    data: PathBuf,
    /// What is wrong with the document of votes, if something is: said once.
    bad_votes: Option<DocumentError>,
    documents: Documents,
    /// The consensus key that the validator is to have and the node has not: said once.
    missing_key: Option<Digest>,
}

/// What the beacon knows, as far as its members' duties are concerned.
pub(super) struct Known {
    pub(super) epoch: Epoch,
    /// The number of the own validator.
    own: u32,
    /// What the register says of it; nothing if it is not there, or isolated.
    standing: Option<Own>,
    /// Of each shard the time of the newest checkpoint of this epoch, in milliseconds.
    reported_ms: Vec<(ShardId, u64)>,
    epoch_ms: u64,
    layout: Layout,
    next_shard: ShardId,
    /// All validators, by their numbers.
    register: BTreeMap<u32, Registered>,
    /// The digests of the registrations that the beacon has been given in this epoch.
    candidates: BTreeSet<Digest>,
    /// How the own validator votes in this epoch.
    votes: BTreeMap<Subject, Weight>,
}

/// What the register says of the own validator.
struct Own {
    name: String,
    /// The last value of its hash chain.
    anchor: Digest,
    has_revealed: bool,
    has_next_anchor: bool,
    is_leaving: bool,
    /// The digest of the consensus key that takes over at the end of the epoch.
    next_key: Option<Digest>,
    /// Its place among the members of the beacon, and their number.
    place: Option<(u16, usize)>,
}

impl Known {
    /// What the beacon's state says to a validator.
    pub(super) fn of(beacon: &Shard, own: u32) -> Option<Self> {
        let state = beacon.ledger().beacon()?;
        // The state after an epoch's last execution has the next plan. What is reported on it before
        // that is announced here would count there: a vote that the plan has brought about, say.
        (beacon.checkpoint().epoch == state.plan().epoch).then(|| Self::from_state(state, own))
    }

    fn from_state(state: &Beacon, own: u32) -> Self {
        let plan = state.plan();
        let reported = plan.layout.shards().iter().filter_map(|(_, shard)| {
            let standing = state.shard(*shard)?;
            (standing.latest.epoch == plan.epoch).then_some((*shard, standing.latest.time_ms))
        });
        let register = state.register().map(|one| {
            let consensus_key = one.identity.consensus.digest();
            (one.number, Registered { consensus_key, rotations: one.rotations })
        });
        Self {
            epoch: plan.epoch,
            own,
            standing: Own::from_state(state, own),
            reported_ms: reported.collect(),
            epoch_ms: state.parameters().epoch_ms,
            layout: plan.layout.clone(),
            next_shard: state.next_shard(),
            register: register.collect(),
            candidates: state.candidates().map(|(digest, _)| *digest).collect(),
            votes: state.votes(own).map(|(subject, weight)| (*subject, *weight)).collect(),
        }
    }

    /// Whether a checkpoint of a shard made at this time is worth a report.
    pub(super) fn wants(&self, shard: ShardId, time_ms: u64) -> bool {
        let last = self.reported_ms.iter().find(|(reported, _)| *reported == shard);
        last.is_none_or(|(_, last)| {
            time_ms.saturating_sub(*last) >= self.epoch_ms / REPORTS_AN_EPOCH
        })
    }

    /// Whether the beacon has been told by this validator in this epoch.
    fn has(&self, report: &Report) -> bool {
        let says = |subject, weight| self.votes.get(&subject) == Some(&weight);
        match report {
            Report::Reweigh { number, weight } => says(Subject::Weight(*number), *weight),
            Report::Approval { registration, weight } => {
                says(Subject::Admission(*registration), *weight)
            }
            Report::Reshard(resharding) => says(Subject::Resharding(*resharding), Weight(0)),
            Report::Leave => self.standing.as_ref().is_none_or(|own| own.is_leaving),
            _ => false,
        }
    }

    /// Whether the beacon would take the document of a vote.
    fn wants_document(&self, vote: &Vote) -> bool {
        match vote {
            Vote::Admit { registration, .. } => !self.candidates.contains(registration),
            Vote::Rotate { validator, counter, .. } => {
                let rotations = self.register.get(validator).map(|one| one.rotations);
                rotations.is_some_and(|rotations| rotations.checked_add(1) == Some(*counter))
            }
            Vote::Split { .. } | Vote::Merge { .. } | Vote::Weight { .. } | Vote::Leave => false,
        }
    }
}

impl Own {
    fn from_state(state: &Beacon, own: u32) -> Option<Self> {
        let validator = state.validator(own).filter(|it| !it.is_isolated())?;
        let members = &state.plan().validators;
        let place = members.iter().position(|planned| planned.number == own);
        let place = place.and_then(|place| u16::try_from(place).ok());
        Some(Self {
            name: String::from_utf8_lossy(&validator.identity.name).into_owned(),
            anchor: validator.identity.anchor,
            has_revealed: validator.revealed == Some(state.plan().epoch),
            has_next_anchor: validator.next.anchor.is_some(),
            is_leaving: validator.standing == Standing::Leaving,
            next_key: validator.next.consensus.as_ref().map(|key| key.digest()),
            place: place.map(|place| (place, members.len())),
        })
    }
}

impl Duties {
    /// Of a validator with these consensus keys: the present one, and the next one of a rotation.
    pub(super) fn new(keys: Vec<SigningKey>, data: PathBuf) -> Self {
        Self {
            reveals: OwnReveals::new(keys),
            offences: Vec::new(),
            reported: BTreeSet::new(),
            ticks: 0,
            own: None,
            data,
            bad_votes: None,
            documents: Documents::default(),
            missing_key: None,
        }
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
        self.own = Some(known.own);
        let mut reports = Vec::new();
        if let Some(own) = &known.standing {
            let value = (!own.has_revealed).then(|| self.reveals.after(&own.name, &own.anchor));
            reports.extend(value.flatten().map(Report::Reveal));
            let next = (!own.has_next_anchor).then(|| self.next_anchor(own));
            reports.extend(next.flatten().map(Report::Anchor));
            self.look_for_next_key(own);
        }
        let offences = std::mem::take(&mut self.offences).into_iter();
        reports.extend(offences.map(|offence| Report::Offence(Box::new(offence))));
        let votes = self.votes(|vote| vote.is_settled(&known.register, known.own));
        let said = votes.reports(&known.layout, known.next_shard);
        reports.extend(said.into_iter().filter(|report| !known.has(report)));
        self.documents.forget_others(&votes);
        let place = known.standing.as_ref().and_then(|own| own.place);
        if place.is_some_and(|(seat, members)| self.hands_in(seat, members)) {
            let wanted = votes.votes.iter().filter(|cast| known.wants_document(&cast.vote));
            let documents = wanted.filter_map(|cast| self.documents.of(&cast.vote, &self.data));
            reports.extend(documents);
        }
        reports
    }

    /// Whether it is this member's turn to hand in documents.
    fn hands_in(&self, seat: u16, members: usize) -> bool {
        self.is_turn(seat % TURNS, members.min(usize::from(TURNS)))
    }

    fn next_anchor(&mut self, own: &Own) -> Option<Digest> {
        self.reveals.next_anchor(&own.name, &own.anchor)
    }

    /// Says so if another key is to sign from the next epoch on, and the node does not have it.
    fn look_for_next_key(&mut self, own: &Own) {
        let missing = own.next_key.filter(|key| !self.reveals.has_key(key));
        if let Some(key) = missing.filter(|_| self.missing_key != missing) {
            tracing::error!(
                %key,
                "from the next epoch on this validator signs with a key that the node does not \
                 have: name it as next_consensus_key in the configuration and start the node again"
            );
        }
        self.missing_key = missing;
    }

    /// A plan is announced: what it brings about is voted for no more.
    pub(super) fn planned(&mut self, plan: &EpochPlan) {
        let own = self.own;
        self.votes(|vote| vote.is_brought_about(plan, own));
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

/// The documents that go with votes, each read once.
#[derive(Default)]
struct Documents {
    read: BTreeMap<Digest, Report>,
    /// Those that could not be read: said once.
    unreadable: BTreeSet<Digest>,
}

impl Documents {
    /// What is handed in for a vote.
    fn of(&mut self, vote: &Vote, data: &Path) -> Option<Report> {
        let digest = digest_of(vote)?;
        if let Some(report) = self.read.get(&digest) {
            return Some(report.clone());
        }
        let read = match vote {
            Vote::Admit { .. } => RegistrationFile::kept(data, &digest)
                .map(|registration| Report::Registration(Box::new(registration))),
            _ => RotationFile::kept(data, &digest)
                .map(|rotation| Report::Rotation(Box::new(rotation))),
        };
        match read {
            Ok(report) => {
                self.unreadable.remove(&digest);
                self.read.insert(digest, report.clone());
                Some(report)
            }
            Err(error) => {
                if self.unreadable.insert(digest) {
                    tracing::error!(%error, "a document that is voted for is not handed in");
                }
                None
            }
        }
    }

    /// Keeps nothing but what is voted for.
    fn forget_others(&mut self, votes: &Votes) {
        let named: BTreeSet<Digest> =
            votes.votes.iter().filter_map(|cast| digest_of(&cast.vote)).collect();
        self.read.retain(|digest, _| named.contains(digest));
        self.unreadable.retain(|digest| named.contains(digest));
    }
}

/// Under what the document of a vote is kept.
const fn digest_of(vote: &Vote) -> Option<Digest> {
    match vote {
        Vote::Admit { registration, .. } => Some(*registration),
        Vote::Rotate { rotation, .. } => Some(*rotation),
        Vote::Split { .. } | Vote::Merge { .. } | Vote::Weight { .. } | Vote::Leave => None,
    }
}

#[cfg(test)]
mod tests;
