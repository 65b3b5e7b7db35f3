//! **Conservation** (DESIGN section 7): balances + fees + sent = genesis + received.

use qcn_ledger::Supply;
use qcn_types::{Height, ValidatorIndex};

use super::Findings;

const NAME: &str = "conservation";

/// Judges every executed checkpoint by itself.
#[derive(Debug)]
pub(crate) struct Conservation;

impl Conservation {
    pub(crate) fn executed(
        &self,
        findings: &mut Findings,
        validator: ValidatorIndex,
        height: Height,
        supply: &Supply,
    ) {
        if !supply.is_conserved() {
            let detail = format!("the supply changed at height {height}: {supply:?}");
            findings.report(NAME, Some(validator), detail);
        }
    }
}
