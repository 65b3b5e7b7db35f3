//! A committee and its quorum arithmetic (DESIGN section 5).

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::PublicKey;

use crate::{AuthorSet, Bounded, Epoch, ShardId, ValidatorIndex, Weight};

/// The largest committee.
pub const MAX_MEMBERS: usize = 512;

/// The longest name of a member, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// A validator of a committee.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// A name for people; it decides nothing.
    pub name: String,
    /// The consensus key.
    pub key: PublicKey,
    /// Voting power, above zero.
    pub weight: Weight,
}

/// The ordered validators of one shard for one epoch.
///
/// Member i has weight w_i > 0; W is their sum, f = (W - 1) / 3 rounded down, a
/// quorum is Q = W - f and validity V = f + 1. Any two sets of weight Q share more
/// than f, so they share an honest validator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committee {
    shard: ShardId,
    epoch: Epoch,
    members: Vec<Member>,
    weights: Vec<u64>,
    total: u64,
}

/// A weight that formation lowered because one member may not weigh more than f.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cap {
    /// Whose weight.
    pub member: ValidatorIndex,
    /// What it asked for.
    pub asked: Weight,
    /// What it got.
    pub given: Weight,
}

/// Why a committee could not be formed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommitteeError {
    /// No members at all.
    #[error("a committee needs at least one member")]
    Empty,
    /// More than [`MAX_MEMBERS`].
    #[error("{0} members are more than the {MAX_MEMBERS} a committee may have")]
    TooMany(usize),
    /// A weight of zero.
    #[error("member {0} has weight 0: leave it out or give it a weight above zero")]
    ZeroWeight(String),
    /// The sum of the weights does not fit.
    #[error("the weights add up to more than {limit}: scale all of them down", limit = Committee::MAX_TOTAL)]
    WeightOverflow,
    /// Two members with one key.
    #[error("members {0} and {1} have the same key: every validator needs its own")]
    SharedKey(String, String),
    /// A name that is too long.
    #[error("a member's name may have at most {MAX_NAME_BYTES} bytes")]
    LongName,
}

impl Committee {
    /// The largest total weight; sums of a few totals still fit 64 bits.
    pub const MAX_TOTAL: u64 = 1 << 60;

    /// A committee of exactly these members and weights.
    ///
    /// # Errors
    /// [`CommitteeError`], naming the member at fault.
    pub fn new(shard: ShardId, epoch: Epoch, members: Vec<Member>) -> Result<Self, CommitteeError> {
        if members.is_empty() {
            return Err(CommitteeError::Empty);
        }
        if members.len() > MAX_MEMBERS {
            return Err(CommitteeError::TooMany(members.len()));
        }
        let mut total = 0_u64;
        for member in &members {
            if member.weight.0 == 0 {
                return Err(CommitteeError::ZeroWeight(member.name.clone()));
            }
            if member.name.len() > MAX_NAME_BYTES {
                return Err(CommitteeError::LongName);
            }
            total = total
                .checked_add(member.weight.0)
                .filter(|total| *total <= Self::MAX_TOTAL)
                .ok_or(CommitteeError::WeightOverflow)?;
        }
        let mut by_key: Vec<&Member> = members.iter().collect();
        by_key.sort_by(|a, b| a.key.cmp(&b.key));
        if let Some(pair) = by_key.windows(2).find(|pair| pair[0].key == pair[1].key) {
            return Err(CommitteeError::SharedKey(pair[0].name.clone(), pair[1].name.clone()));
        }
        let weights = members.iter().map(|member| member.weight.0).collect();
        Ok(Self { shard, epoch, members, weights, total })
    }

    /// Forms a committee of four or more so that no member weighs more than f, lowering
    /// weights to the fixpoint and naming what was lowered. Smaller ones stay as they are.
    ///
    /// # Errors
    /// [`CommitteeError`], naming the member at fault.
    pub fn form(
        shard: ShardId,
        epoch: Epoch,
        mut members: Vec<Member>,
    ) -> Result<(Self, Vec<Cap>), CommitteeError> {
        // Checked first, so that the arithmetic below cannot overflow.
        let asked = Self::new(shard, epoch, members.clone())?;
        let mut weights = asked.weights.clone();
        cap_weights(&mut weights);
        let mut caps = Vec::new();
        for (position, member) in members.iter_mut().enumerate() {
            let given = Weight(weights[position]);
            if given != member.weight {
                let index = ValidatorIndex(position as u16);
                caps.push(Cap { member: index, asked: member.weight, given });
                member.weight = given;
            }
        }
        Ok((Self::new(shard, epoch, members)?, caps))
    }

    /// The shard it serves.
    #[must_use]
    pub const fn shard(&self) -> ShardId {
        self.shard
    }

    /// The epoch for which it serves.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The members in order.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// How many members there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a committee is never empty")]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// All indices in order.
    pub fn indices(&self) -> impl Iterator<Item = ValidatorIndex> + use<> {
        (0..self.members.len() as u16).map(ValidatorIndex)
    }

    /// The member at `index`.
    #[must_use]
    pub fn member(&self, index: ValidatorIndex) -> Option<&Member> {
        self.members.get(index.position())
    }

    /// Whether `index` is a member.
    #[must_use]
    pub fn contains(&self, index: ValidatorIndex) -> bool {
        index.position() < self.members.len()
    }

    /// The weight of a member; zero for who is none.
    #[must_use]
    pub fn weight(&self, index: ValidatorIndex) -> u64 {
        self.weights.get(index.position()).copied().unwrap_or(0)
    }

    /// The weight of a set of members.
    #[must_use]
    pub fn weight_of(&self, authors: &AuthorSet) -> u64 {
        authors.iter().map(|author| self.weight(author)).sum()
    }

    /// W, the sum of all weights.
    #[must_use]
    pub const fn total_weight(&self) -> u64 {
        self.total
    }

    /// f = (W - 1) / 3: the largest faulty weight that the protocol tolerates.
    #[must_use]
    pub const fn fault_weight(&self) -> u64 {
        (self.total - 1) / 3
    }

    /// Q = W - f: the weight of a quorum.
    #[must_use]
    pub const fn quorum_weight(&self) -> u64 {
        self.total - self.fault_weight()
    }

    /// V = f + 1: a weight that contains an honest validator.
    #[must_use]
    pub const fn validity_weight(&self) -> u64 {
        self.fault_weight() + 1
    }

    /// Whether some member alone may fail without stopping the committee.
    #[must_use]
    pub fn tolerates_a_fault(&self) -> bool {
        let lightest = self.weights.iter().min().copied().unwrap_or(0);
        lightest <= self.fault_weight()
    }
}

/// Lowers weights until none is above f of their own sum, for four members or more.
///
/// Lowering one weight lowers f, so it repeats; every pass lowers the sum, so it ends. With
/// four members or more the equal split is a fixpoint, so no weight falls to zero. This is what
/// [`Committee::form`] does to the weights of its members.
///
/// # Panics
/// If the sum of four weights or more is zero or does not fit 64 bits.
pub fn cap_weights(weights: &mut [u64]) {
    if weights.len() < 4 {
        return;
    }
    loop {
        let total: u64 = weights.iter().sum();
        let fault = ((total - 1) / 3).max(1);
        if weights.iter().all(|weight| *weight <= fault) {
            return;
        }
        for weight in weights.iter_mut() {
            *weight = (*weight).min(fault);
        }
    }
}

#[derive(BorshSerialize, BorshDeserialize)]
struct WireMember {
    name: Bounded<u8, MAX_NAME_BYTES>,
    key: PublicKey,
    weight: Weight,
}

impl BorshSerialize for Committee {
    fn serialize<W: std::io::Write>(&self, writer: &mut W) -> std::io::Result<()> {
        let members = self.members.iter().map(|member| WireMember {
            name: Bounded::truncated(member.name.clone().into_bytes()),
            key: member.key.clone(),
            weight: member.weight,
        });
        let members: Bounded<WireMember, MAX_MEMBERS> = Bounded::truncated(members.collect());
        (self.shard, self.epoch, members).serialize(writer)
    }
}

impl BorshDeserialize for Committee {
    fn deserialize_reader<R: std::io::Read>(reader: &mut R) -> std::io::Result<Self> {
        let invalid = |reason: String| std::io::Error::new(std::io::ErrorKind::InvalidData, reason);
        let shard = ShardId::deserialize_reader(reader)?;
        let epoch = Epoch::deserialize_reader(reader)?;
        let wire = Bounded::<WireMember, MAX_MEMBERS>::deserialize_reader(reader)?;
        let mut members = Vec::with_capacity(wire.len());
        for member in wire.into_inner() {
            let name = String::from_utf8(member.name.into_inner())
                .map_err(|_| invalid("a member's name is not UTF-8".to_owned()))?;
            members.push(Member { name, key: member.key, weight: member.weight });
        }
        Self::new(shard, epoch, members).map_err(|error| invalid(error.to_string()))
    }
}

#[cfg(test)]
mod tests;
