//! Who the validators are while a network runs: somebody joins, replaces its key, leaves, or is
//! given another weight (DESIGN section 7).
//!
//! What happens is described before the run ([`MembershipEvent`]). It comes about as it does between
//! nodes: members of the beacon say in every epoch what they are for, until a plan has it. Validators
//! have two numbers: the one by which a description names them, which those of the genesis keep, and
//! the one of the register, which newcomers get as they are admitted.

mod checks;
mod matters;
mod people;

use qcn_crypto::ChainId;
use qcn_types::Time;

pub(super) use checks::Checks;
pub(super) use matters::Matters;
#[cfg(test)]
pub(super) use matters::State;
pub(super) use people::{People, chain_of};

use crate::keys::KeyRing;

/// The most that anybody can be made to weigh: a thousand times a validator of the genesis.
const WEIGHT_MAX: u64 = 1_000_000;

/// The highest number that a description may give a newcomer.
const NUMBER_MAX: usize = 999;

/// The most new keys of one validator.
const ROTATIONS_MAX: usize = 16;

/// What happens to a validator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It registers with proofs of possession, and all members are for admitting it.
    Join,
    /// Its recovery key replaces its consensus key.
    Rotate,
    /// It wants to leave.
    Leave,
    /// All members are for giving it this weight; 0 votes it out.
    Weigh(u64),
    /// Once it is isolated all members are for giving it this weight, with which it comes back.
    TakeBack(u64),
}

impl Change {
    /// What is counted together, in the order of [`Tallies`].
    const fn kind(self) -> usize {
        match self {
            Self::Join => 0,
            Self::Rotate => 1,
            Self::Leave => 2,
            Self::Weigh(0) => 3,
            Self::Weigh(_) => 4,
            Self::TakeBack(_) => 5,
        }
    }
}

/// Something that happens to who the validators are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MembershipEvent {
    /// When it begins, in microseconds.
    pub at: u64,
    /// To whom, by the number in the description.
    pub who: usize,
    /// What.
    pub change: Change,
}

impl MembershipEvent {
    /// It in words.
    #[must_use]
    pub fn describe(&self) -> String {
        let Self { at, who, change } = self;
        let what = match change {
            Change::Join => "registers and is to be admitted".to_owned(),
            Change::Rotate => "is to have another consensus key".to_owned(),
            Change::Leave => "wants to leave".to_owned(),
            Change::Weigh(0) => "is to be voted out".to_owned(),
            Change::Weigh(weight) => format!("is to weigh {weight}"),
            Change::TakeBack(weight) => {
                format!("is to be taken back with weight {weight} once it is isolated")
            }
        };
        format!("from {} ms on validator {who} {what}", at / 1_000)
    }
}

/// Why something cannot happen to who the validators are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MembershipError {
    /// Only a beacon keeps a register.
    #[error("validators come and go only where there is a beacon: give the network one")]
    NoBeacon,
    /// Nobody has this number.
    #[error(
        "there is no validator {who}: the network begins with 0 to {last}, and nobody joins as {who}"
    )]
    Unknown {
        /// Who was named.
        who: usize,
        /// The last of the genesis.
        last: usize,
    },
    /// Somebody joins who is there.
    #[error(
        "validator {who} is there from the beginning and cannot join: take a number above {last}"
    )]
    Founder {
        /// Who was named.
        who: usize,
        /// The last of the genesis.
        last: usize,
    },
    /// A number above all that there are.
    #[error("validator {0} cannot join: the highest number is {NUMBER_MAX}")]
    Number(usize),
    /// One newcomer two times.
    #[error("validator {0} joins twice: take another number for the second one")]
    JoinsTwice(usize),
    /// One validator leaves two times.
    #[error("validator {0} leaves twice: leave one of them out")]
    LeavesTwice(usize),
    /// Something happens to a newcomer before it joins.
    #[error(
        "validator {who} joins at {joins_ms} ms, and nothing can happen to it at {at_ms} ms: let it join earlier"
    )]
    BeforeJoining {
        /// Who was named.
        who: usize,
        /// When, in milliseconds.
        at_ms: u64,
        /// When it joins.
        joins_ms: u64,
    },
    /// A weight that nobody is given.
    #[error("validator {who} cannot be given the weight {weight}: give 1 to {WEIGHT_MAX}")]
    Weight {
        /// Who was named.
        who: usize,
        /// What it should weigh.
        weight: u64,
    },
    /// More new keys than a run makes.
    #[error("validator {0} has more than {ROTATIONS_MAX} new keys: leave some out")]
    TooManyKeys(usize),
}

/// Checks that everything can happen in a network that begins with so many validators.
pub(crate) fn check(events: &[MembershipEvent], founders: usize) -> Result<(), MembershipError> {
    let last = founders.saturating_sub(1);
    let joins = |who: usize| {
        events.iter().find(|it| it.who == who && it.change == Change::Join).map(|it| it.at)
    };
    for event in events {
        let MembershipEvent { at, who, change } = *event;
        let same = events.iter().filter(|it| it.who == who && it.change == change).count();
        match change {
            Change::Join if who < founders => return Err(MembershipError::Founder { who, last }),
            Change::Join if who > NUMBER_MAX => return Err(MembershipError::Number(who)),
            Change::Join if same > 1 => return Err(MembershipError::JoinsTwice(who)),
            Change::Leave if same > 1 => return Err(MembershipError::LeavesTwice(who)),
            Change::Rotate if same > ROTATIONS_MAX => {
                return Err(MembershipError::TooManyKeys(who));
            }
            Change::Weigh(weight) if weight > WEIGHT_MAX => {
                return Err(MembershipError::Weight { who, weight });
            }
            Change::TakeBack(weight) if weight == 0 || weight > WEIGHT_MAX => {
                return Err(MembershipError::Weight { who, weight });
            }
            _ => {}
        }
        match joins(who) {
            None if who >= founders => return Err(MembershipError::Unknown { who, last }),
            Some(joins_at) if at < joins_at => {
                let (at_ms, joins_ms) = (at / 1_000, joins_at / 1_000);
                return Err(MembershipError::BeforeJoining { who, at_ms, joins_ms });
            }
            _ => {}
        }
    }
    Ok(())
}

/// How often something was to happen, and how often it did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// It was to happen.
    pub asked: u64,
    /// It has come about.
    pub done: u64,
}

/// What became of all changes of who the validators are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tallies {
    kinds: [Tally; 6],
    /// Departures that were asked for and not made, as the seats could not have been filled.
    pub refused: u64,
}

impl Tallies {
    /// Every kind with its name, in a fixed order.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, Tally)> {
        let names = ["joined", "new keys", "left", "voted out", "other weights", "taken back"];
        names.into_iter().zip(self.kinds)
    }

    const fn kind_mut(&mut self, change: Change) -> &mut Tally {
        &mut self.kinds[change.kind()]
    }
}

impl std::ops::AddAssign for Tallies {
    fn add_assign(&mut self, other: Self) {
        for (own, other) in self.kinds.iter_mut().zip(other.kinds) {
            own.asked += other.asked;
            own.done += other.done;
        }
        self.refused += other.refused;
    }
}

/// All that a network keeps of it.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) people: People,
    pub(super) matters: Matters,
    /// Nothing where nothing happens to who the validators are.
    pub(super) checks: Option<Checks>,
}

impl Membership {
    /// Of a network that begins with so many validators. `calm` is when nothing goes wrong any
    /// more.
    pub(super) fn new(
        chain: ChainId,
        keys: KeyRing,
        founders: usize,
        events: &[MembershipEvent],
        calm: Time,
    ) -> Self {
        let people = People::new(keys, founders, events);
        let checks = (!events.is_empty()).then(Checks::default);
        Self { matters: Matters::new(chain, events, calm), people, checks }
    }
}
