//! The safety rules of consensus, each a predicate (DESIGN section 5.2).
//!
//! Every decision of the commit rule goes through one of these. Weights are sums over
//! *authors*: an equivocator with three blocks in a round counts once.

use qcn_types::{Committee, Round};

use crate::BrokenRule;

/// The weight thresholds of a committee.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thresholds {
    quorum: u64,
    validity: u64,
}

impl Thresholds {
    /// Q and V of a committee. Tests can make the quorum too small, to see it noticed.
    #[must_use]
    pub fn of(committee: &Committee, broken: Option<BrokenRule>) -> Self {
        let quorum = match broken {
            Some(BrokenRule::SmallQuorum) => committee.total_weight() / 3 + 1,
            _ => committee.quorum_weight(),
        };
        Self { quorum, validity: committee.validity_weight() }
    }

    /// Q and V of authors whose weights add up to `total`, which is above zero.
    #[must_use]
    pub const fn of_total(total: u64) -> Self {
        let fault = total.saturating_sub(1) / 3;
        Self { quorum: total - fault, validity: fault + 1 }
    }

    /// Q, the weight of a quorum.
    #[must_use]
    pub const fn quorum(&self) -> u64 {
        self.quorum
    }

    /// Whether `weight` is a quorum: any two quorums share an honest validator.
    #[must_use]
    pub const fn is_quorum(&self, weight: u64) -> bool {
        weight >= self.quorum
    }

    /// Whether `weight` contains an honest validator.
    #[must_use]
    pub const fn contains_honest(&self, weight: u64) -> bool {
        weight >= self.validity
    }

    /// A block of round r+2 certifies a leader block of round r if those of its parents in
    /// round r+1 that vote for it carry a quorum.
    #[must_use]
    pub const fn certifies(&self, voting_parents_weight: u64) -> bool {
        self.is_quorum(voting_parents_weight)
    }

    /// A leader block is committed directly once authors of a quorum certified it in round r+2.
    #[must_use]
    pub const fn commits_directly(&self, certifying_weight: u64) -> bool {
        self.is_quorum(certifying_weight)
    }

    /// A leader slot is skipped directly once, for every block in it, authors of a quorum have
    /// a block in round r+1 that does not vote for it.
    #[must_use]
    pub const fn skips_directly(&self, least_non_voting_weight: u64) -> bool {
        self.is_quorum(least_non_voting_weight)
    }

    /// A validator may propose in round r once it has accepted blocks of round r-1 by a quorum.
    #[must_use]
    pub const fn may_propose(&self, previous_round_weight: u64) -> bool {
        self.is_quorum(previous_round_weight)
    }
}

/// The anchor of a slot of round r that is not decided directly lies in round r+3 or above:
/// only there does every block see a certificate of whatever was committed directly.
#[must_use]
pub const fn first_anchor_round(slot_round: Round) -> Round {
    slot_round.plus(3)
}

/// Blocks at or below this round are not committed any more after a leader of `leader_round`.
#[must_use]
pub const fn collection_floor(leader_round: Round, gc_depth: u64) -> Round {
    leader_round.minus(gc_depth)
}

/// The first round that a validator may sign after its disk was lost: it cannot have signed r
/// without a quorum of blocks of r-1, and any quorum of answers contains an honest author of one
/// of them, so r is at most one above the highest answer (section 5.3).
#[must_use]
pub const fn first_round_after_loss(highest_answer: Round) -> Round {
    highest_answer.plus(2)
}
