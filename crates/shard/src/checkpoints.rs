//! The chain of checkpoints and the attestations for them (DESIGN section 6).

use std::collections::BTreeMap;

use qcn_consensus::dag::Dag;
use qcn_crypto::Digest;
use qcn_types::{
    Attestation, AttestationProof, AuthorSet, Bounded, Certificate, Checkpoint, Committee,
    Evidence, Height, MAX_ATTESTATIONS, ValidatorIndex, VerifiedBlock,
};

/// Attestations for heights this far above the own height are not counted yet.
pub const MAX_HEIGHTS_AHEAD: u64 = 1_024;

/// Heights this far below the certified one are still watched for contradictions.
const WATCHED_HEIGHTS: u64 = 64;

/// Own checkpoints of this many heights are kept by digest.
const KEPT_DIGESTS: u64 = 2 * MAX_HEIGHTS_AHEAD;

/// The most own checkpoints that are remembered until they are certified.
const MAX_UNCERTIFIED: usize = 256;

/// Who attests what for one height.
#[derive(Clone, Debug, Default)]
struct Tally {
    by_digest: Vec<(Digest, AuthorSet, u64)>,
}

/// What an attestation led to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Attested {
    /// Counted.
    Counted,
    /// A quorum attests this digest for this height now.
    Quorum(Height, Digest),
    /// The author attested something else for this height before.
    Contradicts(Digest),
}

/// The checkpoints of one validator.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    last: Checkpoint,
    last_digest: Digest,
    certified: Height,
    /// The newest own checkpoint that a quorum attests, if it is none that this chain began with.
    newest_certified: Option<Checkpoint>,
    /// Own checkpoints that are not certified yet.
    uncertified: BTreeMap<Height, Checkpoint>,
    /// The own digests of recent heights.
    own: BTreeMap<Height, Digest>,
    /// Quorums for heights that are not executed here yet.
    quorums: BTreeMap<Height, Digest>,
    tallies: BTreeMap<Height, Tally>,
    unsaid: Vec<Attestation>,
}

impl Checkpoints {
    /// A chain whose newest checkpoint is `last`, which needs no more attestations.
    #[must_use]
    pub fn new(last: Checkpoint) -> Self {
        let last_digest = last.digest();
        Self {
            last,
            last_digest,
            certified: last.height,
            newest_certified: None,
            uncertified: BTreeMap::new(),
            own: BTreeMap::from([(last.height, last_digest)]),
            quorums: BTreeMap::new(),
            tallies: BTreeMap::new(),
            unsaid: Vec::new(),
        }
    }

    /// The newest checkpoint.
    #[must_use]
    pub const fn last(&self) -> &Checkpoint {
        &self.last
    }

    /// The digest of the newest checkpoint.
    #[must_use]
    pub const fn last_digest(&self) -> Digest {
        self.last_digest
    }

    /// The highest certified height that was executed here.
    #[must_use]
    pub const fn certified(&self) -> Height {
        self.certified
    }

    /// The newest checkpoint that was executed here and is certified.
    #[must_use]
    pub const fn newest_certified(&self) -> Option<Checkpoint> {
        self.newest_certified
    }

    /// Appends a checkpoint, to be attested. A quorum may have been there before: then it is
    /// given back, whether or not it fits.
    pub fn append(&mut self, checkpoint: Checkpoint) -> Option<(Height, Digest)> {
        let digest = checkpoint.digest();
        self.last = checkpoint;
        self.last_digest = digest;
        self.own.insert(checkpoint.height, digest);
        self.uncertified.insert(checkpoint.height, checkpoint);
        if self.uncertified.len() > MAX_UNCERTIFIED {
            self.uncertified.pop_first();
        }
        self.own.retain(|height, _| height.0 + KEPT_DIGESTS > checkpoint.height.0);
        self.unsaid.push(Attestation { height: checkpoint.height, checkpoint: digest });
        self.quorums.get(&checkpoint.height).map(|certified| (checkpoint.height, *certified))
    }

    /// The attestations for the next own block, oldest first.
    pub fn take_attestations(&mut self) -> Bounded<Attestation, MAX_ATTESTATIONS> {
        let rest = self.unsaid.split_off(self.unsaid.len().min(MAX_ATTESTATIONS));
        Bounded::truncated(std::mem::replace(&mut self.unsaid, rest))
    }

    /// The own digest for a height.
    #[must_use]
    pub fn own_digest(&self, height: Height) -> Option<Digest> {
        self.own.get(&height).copied()
    }

    /// Counts an attestation.
    pub fn count(
        &mut self,
        author: ValidatorIndex,
        attestation: Attestation,
        committee: &Committee,
    ) -> Attested {
        let Attestation { height, checkpoint } = attestation;
        // An author may claim any height: nothing is added to it.
        let ahead = height.0.saturating_sub(self.last.height.0);
        if !is_watched(height, self.certified) || ahead > MAX_HEIGHTS_AHEAD {
            return Attested::Counted;
        }
        let tally = self.tallies.entry(height).or_default();
        let other = tally
            .by_digest
            .iter()
            .find(|(digest, authors, _)| *digest != checkpoint && authors.contains(author));
        if let Some((other, _, _)) = other {
            return Attested::Contradicts(*other);
        }
        let at = tally.by_digest.iter().position(|(digest, _, _)| *digest == checkpoint);
        let at = at.unwrap_or_else(|| {
            tally.by_digest.push((checkpoint, AuthorSet::EMPTY, 0));
            tally.by_digest.len() - 1
        });
        let (_, authors, weight) = &mut tally.by_digest[at];
        let before = *weight;
        if authors.insert(author) {
            *weight += committee.weight(author);
        }
        let quorum = committee.quorum_weight();
        if before < quorum && *weight >= quorum {
            self.quorums.insert(height, checkpoint);
            return Attested::Quorum(height, checkpoint);
        }
        Attested::Counted
    }

    /// A quorum attests what was executed here, too. Says whether this is the highest so far.
    pub fn certify(&mut self, height: Height) -> bool {
        let higher = height > self.certified;
        while let Some(entry) = self.uncertified.first_entry()
            && *entry.key() <= height
        {
            self.newest_certified = Some(entry.remove());
        }
        self.certified = self.certified.max(height);
        let certified = self.certified;
        self.tallies.retain(|height, _| is_watched(*height, certified));
        self.quorums.retain(|height, _| is_watched(*height, certified));
        higher
    }
}

/// Whether attestations of a height are still counted.
const fn is_watched(height: Height, certified: Height) -> bool {
    certified.0.saturating_sub(height.0) < WATCHED_HEIGHTS
}

/// Collects a certificate from the attestations in the DAG.
#[must_use]
pub fn collect_certificate(
    dag: &Dag<VerifiedBlock>,
    committee: &Committee,
    checkpoint: Checkpoint,
) -> Option<Certificate> {
    let wanted = Attestation { height: checkpoint.height, checkpoint: checkpoint.digest() };
    let mut by_author: BTreeMap<ValidatorIndex, AttestationProof> = BTreeMap::new();
    let mut weight = 0;
    // The attestation for a leader of round r is never in a block below r+2.
    let mut round = checkpoint.leader.round;
    while round <= dag.highest_round() && weight < committee.quorum_weight() {
        for author in committee.indices() {
            let node = dag.layer(round).and_then(|layer| layer.first(author));
            let Some(block) = node.map(|node| &node.content) else {
                continue;
            };
            if by_author.contains_key(&author) || !block.body.attestations.contains(&wanted) {
                continue;
            }
            weight += committee.weight(author);
            by_author.insert(author, attestation_proof(block));
        }
        round = round.next();
    }
    if weight < committee.quorum_weight() {
        return None;
    }
    let attestations = Bounded::truncated(by_author.into_values().collect());
    Some(Certificate { checkpoint, attestations })
}

/// Proves that an author attested two checkpoints for one height, from its blocks in the DAG.
#[must_use]
pub fn prove_contradiction(
    dag: &Dag<VerifiedBlock>,
    block: &VerifiedBlock,
    height: Height,
    other: Digest,
) -> Option<Evidence> {
    let author = block.reference().author;
    let wanted = Attestation { height, checkpoint: other };
    let mut round = dag.highest_round();
    while round > qcn_types::Round::GENESIS {
        let layer = dag.layer(round)?;
        if let Some(node) = layer.first(author)
            && node.content.body.attestations.contains(&wanted)
        {
            return Some(Evidence::conflicting_attestations(&node.content, block));
        }
        round = round.previous();
    }
    None
}

fn attestation_proof(block: &VerifiedBlock) -> AttestationProof {
    AttestationProof {
        author: block.reference().author,
        header: block.header_digest(),
        attestations: block.body.attestations.clone(),
        signature: block.signature.clone(),
    }
}

#[cfg(test)]
mod tests;
