//! **Isolation** (DESIGN section 5.6): whoever gave honest validators a proof against itself is
//! isolated by every honest validator that runs.

use std::collections::BTreeMap;

use qcn_types::{AuthorSet, ValidatorIndex};

use super::Findings;

const NAME: &str = "isolation";

/// How long after the offence it must have happened, in microseconds.
const BOUND_US: u64 = 30_000_000;

/// Who offended when, and who holds proof.
#[derive(Debug, Default)]
pub(crate) struct Isolation {
    /// Since when everybody can know.
    due: BTreeMap<ValidatorIndex, u64>,
    /// Adversaries whose fault must come out whoever crashes.
    offended: AuthorSet,
    proven_by: BTreeMap<ValidatorIndex, AuthorSet>,
}

impl Isolation {
    /// An adversary signed what proves its fault, and sent it to honest validators.
    pub(crate) fn offended(&mut self, validator: ValidatorIndex, now: u64) {
        self.offended.insert(validator);
        self.due.entry(validator).or_insert(now);
    }

    pub(crate) fn proven(&mut self, now: u64, by: ValidatorIndex, accused: ValidatorIndex) {
        self.proven_by.entry(accused).or_default().insert(by);
        self.due.entry(accused).or_insert(now);
    }

    /// A validator has lost what proof it had not passed on.
    pub(crate) fn stopped(&mut self, validator: ValidatorIndex) {
        for by in self.proven_by.values_mut() {
            by.remove(validator);
        }
    }

    /// Whoever is proven guilty must be isolated everywhere, and whoever offended must be
    /// proven guilty. `live` has whom each of the honest validators that run has isolated.
    pub(crate) fn at_end(
        &self,
        findings: &mut Findings,
        now: u64,
        live: &[(ValidatorIndex, AuthorSet)],
    ) {
        for (guilty, since) in &self.due {
            let holders = self.proven_by.get(guilty).map_or(0, AuthorSet::len);
            let certain = self.offended.contains(*guilty) || holders > 0;
            if now < since + BOUND_US || !certain {
                continue;
            }
            let missing: Vec<ValidatorIndex> = live
                .iter()
                .filter(|(_, isolated)| !isolated.contains(*guilty))
                .map(|(validator, _)| *validator)
                .collect();
            if !missing.is_empty() {
                let detail = format!(
                    "offended at {} ms, {holders} validators hold proof, not isolated by {missing:?}",
                    since / 1_000
                );
                findings.report(NAME, Some(*guilty), detail);
            }
        }
    }
}
