//! **Progress after healing** (DESIGN section 5.5): once the last fault is over, every honest
//! validator that runs holds certificates of new checkpoints within a bound, and goes on to.

use qcn_types::{AuthorSet, Committee, Height, ValidatorIndex};

use super::Findings;

const NAME: &str = "progress_after_healing";

/// How long after the last fault everybody must have moved on, in microseconds.
pub(crate) const BOUND_US: u64 = 30_000_000;

/// How far everybody is, and since when nothing was wrong.
#[derive(Debug)]
pub(crate) struct ProgressAfterHealing {
    committee: Committee,
    certified: Vec<Height>,
    /// When that last rose.
    moved_at: Vec<u64>,
    faulty_until: u64,
    /// The highest certified height when the last fault was over, once that is past.
    at_healing: Option<Height>,
}

impl ProgressAfterHealing {
    pub(crate) fn new(committee: &Committee) -> Self {
        Self {
            certified: vec![Height(0); committee.len()],
            moved_at: vec![0; committee.len()],
            committee: committee.clone(),
            faulty_until: 0,
            at_healing: Some(Height(0)),
        }
    }

    pub(crate) fn fault_until(&mut self, until: u64) {
        self.faulty_until = self.faulty_until.max(until);
        self.at_healing = None;
    }

    pub(crate) fn certified(&mut self, now: u64, validator: ValidatorIndex, height: Height) {
        if now >= self.faulty_until && self.at_healing.is_none() {
            self.at_healing = self.certified.iter().max().copied();
        }
        let own = &mut self.certified[validator.position()];
        if height > *own {
            *own = height;
            self.moved_at[validator.position()] = now;
        }
    }

    /// Judges those who run; says whether there was time enough to judge.
    pub(crate) fn at_end(
        &self,
        findings: &mut Findings,
        now: u64,
        live: &AuthorSet,
        whole: bool,
    ) -> bool {
        let quorum = self.committee.weight_of(live) >= self.committee.quorum_weight();
        if !whole || !quorum || now < self.faulty_until + BOUND_US {
            return false;
        }
        let before = self.at_healing.or(self.certified.iter().max().copied()).unwrap_or_default();
        for validator in live.iter() {
            let height = self.certified[validator.position()];
            if height <= before {
                let detail = format!(
                    "certified height {height} is not above {before}, {} ms after the last fault",
                    (now - self.faulty_until) / 1_000
                );
                findings.report(NAME, Some(validator), detail);
                continue;
            }
            let still_for = now.saturating_sub(self.moved_at[validator.position()]);
            if still_for >= BOUND_US {
                let detail = format!(
                    "stands still at certified height {height}, for {} ms",
                    still_for / 1_000
                );
                findings.report(NAME, Some(validator), detail);
            }
        }
        true
    }
}
