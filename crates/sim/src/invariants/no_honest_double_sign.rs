//! **No honest double-sign** (DESIGN sections 5.1 and 5.3): of the blocks of an honest validator
//! that leave it, no two fill one slot, whatever it crashed through in between.

use std::collections::BTreeMap;
use std::sync::Arc;

use qcn_types::{BlockRef, CompactBlock, CompactParents, Round};

use super::Findings;

const NAME: &str = "no_honest_double_sign";

/// How many rounds of each validator are remembered.
const ROUNDS_KEPT: usize = 2_048;

/// What left each validator, by round.
#[derive(Debug)]
pub(crate) struct NoHonestDoubleSign {
    proposed: Vec<BTreeMap<Round, BlockRef>>,
    left: Vec<BTreeMap<Round, Arc<CompactBlock>>>,
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
    pub(crate) fn leaving(&mut self, findings: &mut Findings, block: &Arc<CompactBlock>) {
        let own = &mut self.left[block.author.position()];
        let known = own.entry(block.round).or_insert_with(|| Arc::clone(block));
        if !Arc::ptr_eq(known, block) && differ(known, block) {
            let detail = format!("sent a second block in its slot of round {}", block.round);
            findings.report(NAME, Some(block.author), detail);
        }
        while own.len() > ROUNDS_KEPT {
            own.pop_first();
        }
    }
}

/// Whether two blocks of one slot have different digests, as far as their packed forms tell.
fn differ(one: &CompactBlock, other: &CompactBlock) -> bool {
    let full = |block: &CompactBlock| matches!(block.parents, CompactParents::Full(_));
    let comparable = full(one) == full(other);
    one.signature != other.signature
        && (one.time_ms != other.time_ms
            || one.payload != other.payload
            || one.attestations != other.attestations
            || (comparable && one.parents != other.parents))
}
