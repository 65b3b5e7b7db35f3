//! **No honest double-sign** (DESIGN sections 5.1 and 5.3): of the blocks of an honest validator
//! that leave it, no two fill one slot, whatever it crashed through in between.

use std::collections::BTreeMap;

use qcn_crypto::{Digest, Domain, hash};
use qcn_types::{BlockRef, CompactBlock, CompactParents, Round, encode};

use super::Findings;

const NAME: &str = "no_honest_double_sign";

/// How many rounds of each validator are remembered.
const ROUNDS_KEPT: usize = 2_048;

/// What left each validator, by round.
#[derive(Debug)]
pub(crate) struct NoHonestDoubleSign {
    proposed: Vec<BTreeMap<Round, BlockRef>>,
    left: Vec<BTreeMap<Round, Contents>>,
}

/// What a block that left says, by the form in which its parents travelled: the two forms
/// cannot be compared without the DAG.
#[derive(Clone, Copy, Debug, Default)]
struct Contents {
    by_slot: Option<Digest>,
    in_full: Option<Digest>,
}

impl NoHonestDoubleSign {
    pub(crate) fn new(members: usize) -> Self {
        Self { proposed: vec![BTreeMap::new(); members], left: vec![BTreeMap::new(); members] }
    }

    /// A validator says that it proposes a block.
    pub(crate) fn proposed(&mut self, findings: &mut Findings, block: &BlockRef) {
        let own = &mut self.proposed[block.author.position()];
        let known = *own.entry(block.round).or_insert(*block);
        if known != *block {
            let detail = format!("proposed {block:?} after {known:?}");
            findings.report(NAME, Some(block.author), detail);
        }
        while own.len() > ROUNDS_KEPT {
            own.pop_first();
        }
    }

    /// An own block leaves its author, in whatever message.
    pub(crate) fn leaving(&mut self, findings: &mut Findings, block: &CompactBlock) {
        let own = &mut self.left[block.author.position()];
        let contents = own.entry(block.round).or_default();
        let same_form = match block.parents {
            CompactParents::Slots { .. } => &mut contents.by_slot,
            CompactParents::Full(_) => &mut contents.in_full,
        };
        let says = says(block);
        if *same_form.get_or_insert(says) != says {
            let detail = format!("sent a second block in its slot of round {}", block.round);
            findings.report(NAME, Some(block.author), detail);
        }
        while own.len() > ROUNDS_KEPT {
            own.pop_first();
        }
    }
}

/// All but the signature: two signatures of one block are no second block.
fn says(block: &CompactBlock) -> Digest {
    let said = encode(&(block.time_ms, &block.parents, &block.payload, &block.attestations));
    hash(Domain::Block, &said)
}
