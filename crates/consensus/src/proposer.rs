//! When to propose and on which parents (DESIGN section 5.3).

use qcn_types::{AuthorSet, BlockRef, Round, Time, ValidatorIndex, VerifiedBlock};

use crate::Config;
use crate::dag::Dag;
use crate::limits::MAX_PARENT_DEPTH;

/// The pacemaker of one validator.
#[derive(Clone, Debug)]
pub struct Proposer {
    own: ValidatorIndex,
    /// The highest round r such that a quorum of blocks of r-1 is accepted.
    round: Round,
    /// Whether that quorum is in the DAG; after a jump to a later state it is not.
    grounded: bool,
    /// Since when.
    round_since: Time,
    /// The newest own block, or the own genesis reference.
    last: BlockRef,
    last_at: Time,
    /// The lowest round that may be signed: above everything that may have been.
    may_sign_from: Round,
    /// The round of each author's newest block that own blocks reference.
    referenced: Vec<Round>,
    /// What is on its way through payload and signature.
    in_progress: Option<Round>,
    /// Own proposals since the last commit.
    proposals_without_commit: u32,
}

/// What the proposer waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readiness {
    /// Propose in this round, now.
    Now(Round),
    /// Nothing before this time, unless something arrives.
    At(Time),
    /// Nothing until something arrives.
    Idle,
}

impl Proposer {
    /// Proposals without a commit that are normal: it takes three rounds to commit.
    const PATIENCE: u32 = 6;

    /// A proposer that has signed nothing yet.
    #[must_use]
    pub fn new(own: ValidatorIndex, genesis: BlockRef, members: usize, now: Time) -> Self {
        Self {
            own,
            round: Round(1),
            grounded: true,
            round_since: now,
            last: genesis,
            last_at: Time::ZERO,
            may_sign_from: Round(1),
            referenced: vec![Round::GENESIS; members],
            in_progress: None,
            proposals_without_commit: 0,
        }
    }

    /// The local round.
    #[must_use]
    pub const fn round(&self) -> Round {
        self.round
    }

    /// The newest own block.
    #[must_use]
    pub const fn last(&self) -> BlockRef {
        self.last
    }

    /// The lowest round that may be signed.
    #[must_use]
    pub fn may_sign_from(&self) -> Round {
        self.may_sign_from.max(self.last.round.next())
    }

    /// Forbids all rounds below.
    pub fn sign_only_from(&mut self, round: Round) {
        self.may_sign_from = self.may_sign_from.max(round);
    }

    /// The local round rose.
    pub fn enter(&mut self, round: Round, now: Time) {
        if round > self.round {
            self.round = round;
            self.grounded = true;
            self.round_since = now;
        }
    }

    /// The DAG was left for an empty one, in which blocks from around `round` on are to come: no
    /// proposal before a higher round is entered, for there are no parents.
    pub const fn resume(&mut self, round: Round) {
        self.round = round;
        self.grounded = false;
    }

    /// An own block exists: signed just now, or read back from the log or from peers.
    pub fn note_own(&mut self, block: &VerifiedBlock, now: Time) {
        let reference = block.reference();
        if reference.round <= self.last.round {
            return;
        }
        self.last = reference;
        self.last_at = now;
        if self.in_progress.is_some_and(|round| round <= reference.round) {
            self.in_progress = None;
        }
        for parent in &block.body.parents {
            let referenced = &mut self.referenced[parent.author.position()];
            *referenced = (*referenced).max(parent.round);
        }
    }

    /// A leader was committed.
    pub const fn note_commit(&mut self) {
        self.proposals_without_commit = 0;
    }

    /// The leader timeout: it doubles while nothing commits, up to a cap.
    #[must_use]
    pub fn leader_timeout_us(&self, config: &Config) -> u64 {
        let doublings = self.proposals_without_commit.saturating_sub(Self::PATIENCE).min(20);
        config
            .leader_timeout_us
            .max(1_000)
            .saturating_mul(1 << doublings)
            .min(config.leader_timeout_max_us)
    }

    /// Whether to propose now, or when to look again.
    #[must_use]
    pub fn readiness(
        &self,
        now: Time,
        config: &Config,
        leaders_here: bool,
        busy: bool,
    ) -> Readiness {
        let may_sign = self.grounded && self.round >= self.may_sign_from();
        if self.in_progress.is_some() || !may_sign {
            return Readiness::Idle;
        }
        let interval = if busy {
            config.min_round_interval_us
        } else {
            config.idle_round_interval_us.max(config.min_round_interval_us)
        };
        let mut at = if self.last.round == Round::GENESIS && self.last_at == Time::ZERO {
            Time::ZERO
        } else {
            self.last_at.plus_us(interval)
        };
        if !leaders_here {
            at = at.max(self.round_since.plus_us(self.leader_timeout_us(config)));
        }
        if at <= now { Readiness::Now(self.round) } else { Readiness::At(at) }
    }

    /// A proposal for `round` begins.
    pub fn begin(&mut self, round: Round) {
        self.in_progress = Some(round);
        self.proposals_without_commit = self.proposals_without_commit.saturating_add(1);
    }

    /// The round in progress.
    #[must_use]
    pub const fn in_progress(&self) -> Option<Round> {
        self.in_progress
    }

    /// Gives up the proposal in progress.
    pub const fn abandon(&mut self) {
        self.in_progress = None;
    }

    /// The parents of an own block of `round`: the own previous block (or the genesis reference,
    /// once that is too far below), all blocks of the round before, and of everybody else the
    /// newest block not referenced yet. Nothing of those who are `left_out`.
    #[must_use]
    pub fn parents<B>(
        &self,
        dag: &Dag<B>,
        round: Round,
        left_out: &AuthorSet,
        genesis: impl Fn(ValidatorIndex) -> BlockRef,
    ) -> Vec<BlockRef> {
        let lowest = round.minus(MAX_PARENT_DEPTH).max(dag.floor().next());
        let own_previous = if self.last.round >= lowest { self.last } else { genesis(self.own) };
        let mut covered = left_out.union(&AuthorSet::from_iter([self.own]));
        let mut others: Vec<BlockRef> = Vec::new();
        let mut below = round.previous();
        while below >= lowest && below > Round::GENESIS {
            if let Some(layer) = dag.layer(below) {
                for author in layer.present().difference(&covered).iter() {
                    let newer = below > self.referenced[author.position()];
                    if let Some(node) = layer.first(author)
                        && (newer || below == round.previous())
                    {
                        others.push(node.reference);
                    }
                }
                covered = covered.union(layer.present());
            }
            below = below.previous();
        }
        if round == Round(1) {
            let members = self.referenced.len() as u16;
            others =
                (0..members).map(ValidatorIndex).filter(|a| *a != self.own).map(genesis).collect();
        }
        others.sort_unstable_by_key(|parent| parent.author);
        let mut parents = vec![own_previous];
        parents.extend(others);
        parents
    }
}

#[cfg(test)]
mod tests;
