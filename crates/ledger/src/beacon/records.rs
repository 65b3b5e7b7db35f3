//! The beacon's records in the authenticated state.
//!
//! A record is an encoding cut into pieces that fit into the state, each of which says what it is a
//! piece of. So the whole follows from the records alone, and the records follow from the whole:
//! a state that was synchronised is read, written again and compared.
//!
//! Each validator has one record more, short enough for a proof ([`ValidatorRecord`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{Digest, Domain, hash};
use qcn_light::ValidatorRecord;
use qcn_light::state::{RecordKind, StateKey};
use qcn_types::{BEACON, Bounded, EpochPlan, ShardId, Weight, decode, encode};

use super::load::ShardStanding;
use super::parameters::BeaconParameters;
use super::register::RegisteredValidator;
use super::{Beacon, Candidate, Progress, Subject};
use crate::ledger::AuditError;
use crate::tree::{StateTree, Update};

/// With the name and the place of the piece it stays below the longest value of a state.
const PIECE_BYTES: usize = 900;

/// The name of a record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
enum Name {
    Parameters = 0,
    Plan = 1,
    PlanBefore = 2,
    Progress = 3,
    Validator(u32) = 4,
    Candidate(Digest) = 5,
    Votes(u32) = 6,
    Shard(ShardId) = 7,
}

/// What is recorded under a name. Comparing is cheaper than encoding, and mostly nothing differs.
#[derive(Clone, Copy, PartialEq)]
enum Content<'a> {
    Parameters(&'a BeaconParameters),
    Plan(&'a Arc<EpochPlan>),
    Progress(&'a Progress),
    Validator(&'a RegisteredValidator),
    Candidate(&'a Candidate),
    Votes(&'a BTreeMap<Subject, Weight>),
    Shard(&'a ShardStanding),
}

/// A part of a record.
#[derive(BorshSerialize, BorshDeserialize)]
struct Piece {
    name: Name,
    index: u16,
    pieces: u16,
    bytes: Bounded<u8, PIECE_BYTES>,
}

impl Content<'_> {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Parameters(parameters) => encode(parameters),
            Self::Plan(plan) => encode(&***plan),
            Self::Progress(progress) => encode(progress),
            Self::Validator(validator) => encode(validator),
            Self::Candidate(candidate) => encode(candidate),
            Self::Votes(votes) => encode(votes),
            Self::Shard(shard) => encode(shard),
        }
    }
}

impl Beacon {
    fn contents(&self) -> BTreeMap<Name, Content<'_>> {
        let mut contents = BTreeMap::from([
            (Name::Parameters, Content::Parameters(&self.parameters)),
            (Name::Plan, Content::Plan(&self.plan)),
            (Name::Progress, Content::Progress(&self.progress)),
        ]);
        contents.extend(self.before.iter().map(|plan| (Name::PlanBefore, Content::Plan(plan))));
        let validators = self.register.iter();
        contents.extend(validators.map(|(at, it)| (Name::Validator(*at), Content::Validator(it))));
        let candidates = self.candidates.iter();
        contents.extend(candidates.map(|(at, it)| (Name::Candidate(*at), Content::Candidate(it))));
        let votes = self.votes.iter();
        contents.extend(votes.map(|(at, it)| (Name::Votes(*at), Content::Votes(it))));
        let shards = self.shards.iter();
        contents.extend(shards.map(|(at, it)| (Name::Shard(*at), Content::Shard(it))));
        contents
    }
}

/// What leads from one state of the beacon to another, or from none, sorted by key.
pub(crate) fn changes(before: Option<&Beacon>, after: &Beacon) -> Vec<Update> {
    let old = before.map(Beacon::contents).unwrap_or_default();
    let new = after.contents();
    let names: BTreeSet<&Name> = old.keys().chain(new.keys()).collect();
    let mut updates: BTreeMap<StateKey, Option<Box<[u8]>>> = BTreeMap::new();
    for name in names.into_iter().filter(|name| old.get(name) != new.get(name)) {
        let gone = old.get(name).map(|content| records_of(*name, content)).unwrap_or_default();
        updates.extend(gone.into_iter().map(|(key, _)| (key, None)));
        let here = new.get(name).map(|content| records_of(*name, content)).unwrap_or_default();
        updates.extend(here.into_iter().map(|(key, value)| (key, Some(value))));
    }
    updates.into_iter().collect()
}

fn records_of(name: Name, content: &Content<'_>) -> Vec<(StateKey, Box<[u8]>)> {
    let bytes = content.bytes();
    let pieces = bytes.len().div_ceil(PIECE_BYTES) as u16;
    let mut records: Vec<(StateKey, Box<[u8]>)> = (0..)
        .zip(bytes.chunks(PIECE_BYTES))
        .map(|(index, part)| {
            let bytes = Bounded::truncated(part.to_vec());
            (piece_key(name, index), encode(&Piece { name, index, pieces, bytes }).into())
        })
        .collect();
    if let Content::Validator(validator) = content {
        let key = ValidatorRecord::state_key(validator.number);
        records.push((key, encode(&validator.record()).into()));
    }
    records
}

fn piece_key(name: Name, index: u16) -> StateKey {
    let id = hash(Domain::StateLeaf, &encode(&("beacon", name, index)));
    StateKey { id, kind: RecordKind::Beacon }
}

/// The beacon that a state has, if it has one.
pub(crate) fn read(tree: &StateTree) -> Result<Option<Beacon>, AuditError> {
    let is_ours = |key: &StateKey| matches!(key.kind, RecordKind::Beacon | RecordKind::Validator);
    let found: BTreeMap<StateKey, &[u8]> =
        tree.iter().filter(|(key, _)| is_ours(key)).map(|(key, value)| (*key, value)).collect();
    if found.is_empty() {
        return Ok(None);
    }
    let beacon = assemble(&found).ok_or(AuditError::MalformedRecord)?;
    let written = changes(None, &beacon);
    let is_what_it_says = written.len() == found.len()
        && written.iter().all(|(key, value)| found.get(key).copied() == value.as_deref());
    if !is_what_it_says {
        return Err(AuditError::WrongBeacon);
    }
    Ok(Some(beacon))
}

fn assemble(found: &BTreeMap<StateKey, &[u8]>) -> Option<Beacon> {
    let mut parts: BTreeMap<Name, BTreeMap<u16, Bounded<u8, PIECE_BYTES>>> = BTreeMap::new();
    for (_, value) in found.iter().filter(|(key, _)| key.kind == RecordKind::Beacon) {
        let piece: Piece = decode(value).ok()?;
        parts.entry(piece.name).or_default().insert(piece.index, piece.bytes);
    }
    let whole = |name: &Name| -> Option<Vec<u8>> {
        Some(parts.get(name)?.values().flat_map(|bytes| bytes.iter().copied()).collect())
    };
    let plan: EpochPlan = decode(&whole(&Name::Plan)?).ok()?;
    let before = match whole(&Name::PlanBefore) {
        Some(bytes) => Some(Arc::new(decode(&bytes).ok()?)),
        None => None,
    };
    let mut beacon = Beacon {
        parameters: decode(&whole(&Name::Parameters)?).ok()?,
        committee: Arc::new(plan.committee(BEACON).ok()?),
        plan: Arc::new(plan),
        before,
        register: BTreeMap::new(),
        candidates: BTreeMap::new(),
        votes: BTreeMap::new(),
        shards: BTreeMap::new(),
        progress: decode(&whole(&Name::Progress)?).ok()?,
    };
    for name in parts.keys() {
        let bytes = whole(name)?;
        match name {
            Name::Validator(number) => {
                beacon.register.insert(*number, decode(&bytes).ok()?);
            }
            Name::Candidate(digest) => {
                beacon.candidates.insert(*digest, decode(&bytes).ok()?);
            }
            Name::Votes(number) => {
                beacon.votes.insert(*number, decode(&bytes).ok()?);
            }
            Name::Shard(shard) => {
                beacon.shards.insert(*shard, decode(&bytes).ok()?);
            }
            Name::Parameters | Name::Plan | Name::PlanBefore | Name::Progress => {}
        }
    }
    is_sound(&beacon).then_some(beacon)
}

/// Whether every record is about what its name says, and the plan can be served.
fn is_sound(beacon: &Beacon) -> bool {
    let plan = &beacon.plan;
    beacon.parameters.check().is_ok()
        && beacon.register.iter().all(|(number, validator)| *number == validator.number)
        && beacon.register.keys().all(|number| *number < beacon.progress.next_number)
        && beacon.shards.iter().all(|(shard, standing)| *shard == standing.latest.shard)
        && plan.layout.shards().iter().all(|(_, shard)| shard.0 < beacon.progress.next_shard)
        && plan.shards().all(|shard| plan.committee(shard).is_ok())
}
