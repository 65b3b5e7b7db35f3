//! **Equal height, equal state** (DESIGN section 6): execution is a function of the commits.

use qcn_crypto::Digest;
use qcn_types::{Height, ValidatorIndex};

use super::Findings;

const NAME: &str = "state_equality";

/// The state root that somebody had first, by height.
#[derive(Debug, Default)]
pub(crate) struct StateEquality {
    roots: Vec<Option<(Digest, ValidatorIndex)>>,
}

impl StateEquality {
    pub(crate) fn executed(
        &mut self,
        findings: &mut Findings,
        validator: ValidatorIndex,
        height: Height,
        root: Digest,
    ) {
        let at = height.0 as usize;
        if self.roots.len() <= at {
            self.roots.resize(at + 1, None);
        }
        match self.roots[at] {
            None => self.roots[at] = Some((root, validator)),
            Some((known, first)) if known != root => {
                let detail = format!(
                    "state {root:?} at height {height}, where validator {first} has {known:?}"
                );
                findings.report(NAME, Some(validator), detail);
            }
            Some(_) => {}
        }
    }
}
