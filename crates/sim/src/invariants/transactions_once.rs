//! **Once** (DESIGN section 6): a transaction is applied at most once in the chain.

#![expect(clippy::disallowed_types, reason = "asked by key, never walked")]

use std::collections::HashSet;

use qcn_ledger::Outcome;
use qcn_types::{TransactionId, ValidatorIndex};

use super::Findings;

const NAME: &str = "transactions_once";

/// What was applied or has failed for good. Looked up only; never walked.
#[derive(Debug, Default)]
pub(crate) struct TransactionsOnce {
    settled: HashSet<TransactionId>,
}

impl TransactionsOnce {
    /// The outcomes of a height that nobody had executed before.
    pub(crate) fn executed(
        &mut self,
        findings: &mut Findings,
        validator: ValidatorIndex,
        outcomes: &[(TransactionId, Outcome)],
    ) {
        for (id, outcome) in outcomes {
            let settled = !matches!(outcome, Outcome::Skipped(_));
            if settled && !self.settled.insert(*id) {
                findings.report(NAME, Some(validator), format!("{id:?} took effect twice"));
            }
        }
    }
}
