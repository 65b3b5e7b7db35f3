//! **No honest validator accused** (DESIGN section 5.6): proof names only who misbehaved.

use qcn_types::{AuthorSet, ValidatorIndex};

use super::Findings;

const NAME: &str = "no_honest_accused";

/// Knows who the adversaries are.
#[derive(Debug)]
pub(crate) struct NoHonestAccused {
    faulty: AuthorSet,
}

impl NoHonestAccused {
    pub(crate) const fn new(faulty: AuthorSet) -> Self {
        Self { faulty }
    }

    /// An honest validator holds proof against `accused`.
    pub(crate) fn accused(
        &self,
        findings: &mut Findings,
        validator: ValidatorIndex,
        accused: ValidatorIndex,
    ) {
        if !self.faulty.contains(accused) {
            let detail = format!("accuses validator {accused}, which is honest");
            findings.report(NAME, Some(validator), detail);
        }
    }
}
