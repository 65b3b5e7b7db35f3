//! What an operator wants its validator to vote for in the beacon.
//!
//! Besides votes it has what else an operator wants its validator to report: another validator's new
//! keys, or that it leaves.
//!
//! The votes are a document in the data folder of the node, `epochs/votes.json`: whoever may write
//! there may vote. A running node looks at it again and again, votes in every epoch, and takes out
//! what has come about or is too old. It needs more than two thirds of the beacon's weight, so the
//! other operators have to say the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use qcn_crypto::Digest;
use qcn_types::{EpochPlan, Layout, Report, Resharding, ShardId, Weight};
use serde::{Deserialize, Serialize};

use crate::document::{DocumentError, Overwrite, Readers, parse_json, read_text, write_file};
use crate::words;

const FORMAT: &str = "qcn-votes/1";

/// The longest document.
const MAX_BYTES: u64 = 64 << 10;

/// The most votes at a time; the beacon takes as many of one member in an epoch.
pub const MAX_VOTES: usize = qcn_ledger::MAX_VOTES_EACH;

/// What is voted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "lowercase", deny_unknown_fields)]
pub enum Vote {
    /// Splits a shard.
    Split {
        /// Which.
        shard: u32,
    },
    /// Merges a shard with its sibling, whichever of the two is named.
    Merge {
        /// One of them.
        shard: u32,
    },
    /// Gives a validator another weight; 0 removes it.
    Weight {
        /// Its number in the register; those of the genesis have their places in it.
        validator: u32,
        /// Its voting power.
        weight: u64,
    },
    /// Admits somebody who has registered. The document is kept beside this one.
    Admit {
        /// The digest of the registration.
        #[serde(with = "words::digest")]
        registration: Digest,
        /// Its voting power.
        weight: u64,
        /// The digest of its consensus key, by which it is found in the register.
        #[serde(with = "words::digest")]
        consensus_key: Digest,
    },
    /// Hands in new keys of a validator. The document is kept beside this one.
    Rotate {
        /// Its number in the register.
        validator: u32,
        /// Which of its rotations it is, counted from 1.
        counter: u64,
        /// The digest of the document.
        #[serde(with = "words::digest")]
        rotation: Digest,
    },
    /// The own validator leaves.
    Leave,
}

/// What the register says of a validator, as far as votes are concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Registered {
    /// The digest of its consensus key.
    pub(crate) consensus_key: Digest,
    /// How many rotations of its keys were taken.
    pub(crate) rotations: u64,
}

/// A vote, and until when it is cast.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cast {
    /// For what.
    #[serde(flatten)]
    pub vote: Vote,
    /// In milliseconds since the Unix epoch.
    pub until_unix_ms: u64,
}

/// The votes of one node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Votes {
    format: String,
    /// The oldest first.
    pub votes: Vec<Cast>,
}

impl Default for Votes {
    fn default() -> Self {
        Self { format: FORMAT.to_owned(), votes: Vec::new() }
    }
}

impl Votes {
    /// Where the votes of a node are.
    #[must_use]
    pub fn file(data: &Path) -> PathBuf {
        data.join("epochs").join("votes.json")
    }

    /// The votes of a node; none if it has no such document.
    ///
    /// # Errors
    /// [`DocumentError`], if there is one that cannot be read.
    pub fn read(data: &Path) -> Result<Self, DocumentError> {
        let file = Self::file(data);
        if !file.exists() {
            return Ok(Self::default());
        }
        parse_json(&read_text(&file, MAX_BYTES)?, &file.display().to_string(), FORMAT)
    }

    /// Writes the document.
    ///
    /// # Errors
    /// [`DocumentError`], if it cannot be written.
    pub fn write(&self, data: &Path) -> Result<(), DocumentError> {
        let mut text = serde_json::to_string_pretty(self).expect("it has a JSON form");
        text.push('\n');
        let file = Self::file(data);
        write_file(&file, text.as_bytes(), Readers::Everyone, Overwrite::Replace)
    }

    /// Votes for something for a while. What was voted for before on the same matter goes. Says
    /// whether there was room.
    pub fn cast(&mut self, vote: Vote, lasts: Duration) -> bool {
        self.votes.retain(|cast| !is_same_matter(&cast.vote, &vote));
        if self.votes.len() >= MAX_VOTES {
            return false;
        }
        let lasts_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        let until_unix_ms = now_unix_ms().saturating_add(lasts_ms);
        self.votes.push(Cast { vote, until_unix_ms });
        true
    }

    /// Votes for something no more. Says whether it did.
    pub fn withdraw(&mut self, vote: &Vote) -> bool {
        let before = self.votes.len();
        self.votes.retain(|cast| !is_same_matter(&cast.vote, vote));
        self.votes.len() < before
    }

    /// Takes out what is settled and what is too old. Says whether something was.
    pub(crate) fn tidy(&mut self, is_settled: impl Fn(&Vote) -> bool) -> bool {
        let (before, now) = (self.votes.len(), now_unix_ms());
        self.votes.retain(|cast| cast.until_unix_ms > now && !is_settled(&cast.vote));
        self.votes.len() < before
    }

    /// What the beacon is told, where its layout and the number of the next new shard are these.
    pub(crate) fn reports(&self, layout: &Layout, next_shard: ShardId) -> Vec<Report> {
        self.votes.iter().filter_map(|cast| report(&cast.vote, layout, next_shard)).collect()
    }
}

impl Vote {
    /// Whether it has come about with a new plan, for the validator `own` that casts it. A removal
    /// is not told from one by proven misbehaviour here: [`Self::is_settled`] tells it. Who has left
    /// does not see the next register, though.
    pub(crate) fn is_brought_about(&self, plan: &EpochPlan, own: Option<u32>) -> bool {
        match self {
            Self::Weight { validator, weight } => plan
                .validators
                .iter()
                .any(|planned| planned.number == *validator && planned.weight.0 == *weight),
            Self::Admit { .. } | Self::Rotate { .. } => false,
            Self::Leave => {
                own.is_some_and(|own| plan.validators.iter().all(|planned| planned.number != own))
            }
            Self::Split { .. } | Self::Merge { .. } => {
                plan.reshardings.iter().any(|done| is_done(self, done))
            }
        }
    }

    /// Whether nothing is left to do for it: `own` is the validator that casts it, and numbers are
    /// never given again.
    pub(crate) fn is_settled(&self, register: &BTreeMap<u32, Registered>, own: u32) -> bool {
        match self {
            Self::Split { .. } | Self::Merge { .. } => false,
            Self::Weight { validator, .. } => !register.contains_key(validator),
            Self::Admit { consensus_key, .. } => {
                register.values().any(|one| one.consensus_key == *consensus_key)
            }
            Self::Rotate { validator, counter, .. } => {
                register.get(validator).is_none_or(|one| one.rotations >= *counter)
            }
            Self::Leave => !register.contains_key(&own),
        }
    }
}

fn is_same_matter(one: &Vote, other: &Vote) -> bool {
    match (one, other) {
        (Vote::Weight { validator, .. }, Vote::Weight { validator: same, .. })
        | (Vote::Rotate { validator, .. }, Vote::Rotate { validator: same, .. }) => {
            validator == same
        }
        // Whoever registers anew, say with another address, does so with the same key.
        (
            Vote::Admit { registration, consensus_key, .. },
            Vote::Admit { registration: other, consensus_key: same, .. },
        ) => registration == other || consensus_key == same,
        _ => one == other,
    }
}

fn is_done(vote: &Vote, done: &Resharding) -> bool {
    match (vote, done) {
        (Vote::Split { shard }, Resharding::Split { shard: split, .. }) => *shard == split.0,
        (Vote::Merge { shard }, Resharding::Merge { into, closed }) => {
            [into.0, closed.0].contains(shard)
        }
        _ => false,
    }
}

fn report(vote: &Vote, layout: &Layout, next_shard: ShardId) -> Option<Report> {
    match *vote {
        Vote::Split { shard } => {
            let shard = ShardId(shard);
            let is_there = layout.contains(shard);
            is_there.then_some(Report::Reshard(Resharding::Split { shard, new: next_shard }))
        }
        Vote::Merge { shard } => {
            let own = layout.prefix(ShardId(shard))?;
            let [low, high] = own.parent()?.halves()?;
            let number = |wanted| {
                let mut shards = layout.shards().iter();
                shards.find(|(prefix, _)| *prefix == wanted).map(|(_, shard)| *shard)
            };
            let (into, closed) = (number(low)?, number(high)?);
            Some(Report::Reshard(Resharding::Merge { into, closed }))
        }
        Vote::Weight { validator, weight } => {
            Some(Report::Reweigh { number: validator, weight: Weight(weight) })
        }
        Vote::Admit { registration, weight, .. } => {
            Some(Report::Approval { registration, weight: Weight(weight) })
        }
        Vote::Leave => Some(Report::Leave),
        // Its document says all.
        Vote::Rotate { .. } => None,
    }
}

fn now_unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use qcn_types::{Bounded, PlannedValidator};

    use super::*;
    use crate::testing::TestFolder;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn votes_become_what_the_layout_makes_of_them() {
        // Shards 0 and 1 are halves; a third of number 2 is new.
        let layout = Layout::even(2).unwrap();
        let of = |vote| {
            let mut votes = Votes::default();
            assert!(votes.cast(vote, DAY));
            votes.reports(&layout, ShardId(2))
        };
        let split = Resharding::Split { shard: ShardId(1), new: ShardId(2) };
        assert_eq!(of(Vote::Split { shard: 1 }), [Report::Reshard(split)]);
        assert_eq!(of(Vote::Split { shard: 7 }), [], "there is no such shard");
        let merge = Resharding::Merge { into: ShardId(0), closed: ShardId(1) };
        for shard in [0, 1] {
            assert_eq!(of(Vote::Merge { shard }), [Report::Reshard(merge)]);
        }
        let split_once = layout.split(ShardId(1), ShardId(2)).unwrap();
        let mut votes = Votes::default();
        votes.cast(Vote::Merge { shard: 0 }, DAY);
        assert_eq!(votes.reports(&split_once, ShardId(3)), [], "its sibling is split");
        let reweigh = Report::Reweigh { number: 3, weight: Weight(0) };
        assert_eq!(of(Vote::Weight { validator: 3, weight: 0 }), [reweigh]);
    }

    #[test]
    fn votes_are_kept_in_a_file_and_end() {
        let folder = TestFolder::new();
        let data = folder.path();
        assert_eq!(Votes::read(data).unwrap(), Votes::default());
        let mut votes = Votes::default();
        votes.cast(Vote::Split { shard: 0 }, DAY);
        votes.cast(Vote::Weight { validator: 1, weight: 5 }, DAY);
        votes.cast(Vote::Weight { validator: 1, weight: 6 }, DAY);
        votes.cast(Vote::Merge { shard: 4 }, Duration::ZERO);
        assert_eq!(votes.votes.len(), 3, "the last word on a weight counts");
        votes.write(data).unwrap();
        let mut read = Votes::read(data).unwrap();
        assert_eq!(read, votes);

        assert!(read.tidy(|_| false), "one is too old");
        assert!(!read.tidy(|_| false));
        assert!(read.withdraw(&Vote::Weight { validator: 1, weight: 9 }));
        assert!(!read.withdraw(&Vote::Merge { shard: 4 }));
        assert_eq!(read.votes.len(), 1);
        std::fs::write(Votes::file(data), r#"{"format":"qcn-votes/1","votes":[{"for":"war"}]}"#)
            .unwrap();
        assert!(Votes::read(data).unwrap_err().to_string().contains("votes.json"));
    }

    /// Given votes for a weight, a removal and a split.
    /// When a plan has that weight and the register the validator no more, then the first two are
    /// settled; a plan with another weight settles nothing.
    #[test]
    fn what_has_come_about_is_voted_for_no_more() {
        let plan = |weight| EpochPlan {
            epoch: qcn_types::Epoch(1),
            seed: Digest::ZERO,
            layout: Layout::even(1).unwrap(),
            reshardings: Bounded::default(),
            heirs: Bounded::default(),
            validators: Bounded::new(vec![PlannedValidator {
                number: 2,
                key: qcn_crypto::SigningKey::generate(qcn_crypto::Scheme::MlDsa44)
                    .unwrap()
                    .public_key()
                    .clone(),
                weight: Weight(weight),
            }])
            .unwrap(),
            committees: Bounded::default(),
        };
        let mut votes = Votes::default();
        votes.cast(Vote::Weight { validator: 2, weight: 500 }, DAY);
        votes.cast(Vote::Weight { validator: 3, weight: 0 }, DAY);
        votes.cast(Vote::Split { shard: 0 }, DAY);
        assert!(!votes.tidy(|vote| vote.is_brought_about(&plan(1_000), None)));
        assert!(votes.tidy(|vote| vote.is_brought_about(&plan(500), None)));
        assert_eq!(votes.votes.len(), 2, "number 3 may be out for misbehaviour, and come back");
        assert!(!votes.tidy(|vote| vote.is_settled(&register([2, 3]), 2)));
        assert!(votes.tidy(|vote| vote.is_settled(&register([2]), 2)));
        assert_eq!(votes.votes.len(), 1);

        votes.cast(Vote::Leave, DAY);
        for own in [None, Some(2)] {
            assert!(!votes.tidy(|vote| vote.is_brought_about(&plan(500), own)));
        }
        assert!(votes.tidy(|vote| vote.is_brought_about(&plan(500), Some(3))));
        assert!(!votes.withdraw(&Vote::Leave));
    }

    /// Validators without rotations, whose consensus keys have their numbers for digests.
    fn register<const N: usize>(numbers: [u32; N]) -> BTreeMap<u32, Registered> {
        let one = |number| Registered { consensus_key: key(number), rotations: 0 };
        numbers.map(|number| (number, one(number))).into()
    }

    fn key(number: u32) -> Digest {
        Digest([number as u8; 32])
    }

    /// Given votes to admit number 9, for the first rotation of number 2, and to leave.
    /// When the register has 9's key, counts a rotation of 2, and has the own validator no more,
    /// then each is settled, and not before.
    #[test]
    fn who_is_admitted_rotated_or_gone_is_reported_no_more() {
        let registration = Digest([77; 32]);
        let admit = Vote::Admit { registration, weight: 5, consensus_key: key(9) };
        let rotate = Vote::Rotate { validator: 2, counter: 1, rotation: Digest([78; 32]) };
        let mut votes = Votes::default();
        for vote in [admit, rotate, Vote::Leave] {
            assert!(votes.cast(vote, DAY));
        }
        let text = serde_json::to_string(&votes).unwrap();
        assert_eq!(serde_json::from_str::<Votes>(&text).unwrap(), votes, "{text}");
        let layout = Layout::even(1).unwrap();
        let approval = Report::Approval { registration, weight: Weight(5) };
        assert_eq!(votes.reports(&layout, ShardId(1)), [approval, Report::Leave]);

        let now = |votes: &mut Votes, register: &BTreeMap<u32, Registered>| {
            votes.tidy(|vote| vote.is_settled(register, 1))
        };
        let mut known = register([0, 1, 2]);
        assert!(!now(&mut votes, &known));
        known.insert(3, Registered { consensus_key: key(9), rotations: 0 });
        assert!(now(&mut votes, &known));
        assert!(!votes.withdraw(&admit));
        known.get_mut(&2).unwrap().rotations = 1;
        assert!(now(&mut votes, &known));
        assert!(!votes.withdraw(&rotate));
        assert!(!now(&mut votes, &known));
        assert!(now(&mut votes, &register([0, 2])) && votes.votes.is_empty());
    }

    #[test]
    fn the_last_registration_of_a_key_is_voted_for() {
        let admit = |registration, key_number, weight| Vote::Admit {
            registration: key(registration),
            weight,
            consensus_key: key(key_number),
        };
        let mut votes = Votes::default();
        votes.cast(admit(1, 9, 5), DAY);
        votes.cast(admit(2, 9, 5), DAY);
        votes.cast(admit(2, 9, 6), DAY);
        votes.cast(admit(3, 8, 5), DAY);
        let cast: Vec<Vote> = votes.votes.iter().map(|cast| cast.vote).collect();
        assert_eq!(cast, [admit(2, 9, 6), admit(3, 8, 5)]);
        votes.cast(Vote::Rotate { validator: 2, counter: 1, rotation: key(1) }, DAY);
        votes.cast(Vote::Rotate { validator: 2, counter: 1, rotation: key(2) }, DAY);
        assert_eq!(votes.votes.len(), 3);
    }
}
