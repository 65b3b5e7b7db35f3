//! **Agreement** (DESIGN section 5.2): no two honest validators have different checkpoints at
//! one height, whether executed, certified or synchronised.

use qcn_crypto::Digest;
use qcn_types::{Height, ValidatorIndex};

use super::Findings;

const NAME: &str = "agreement";

/// The checkpoint that somebody had first, by height from 1 on.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    executed: Vec<Option<(Digest, ValidatorIndex)>>,
    certified: Vec<Option<(Digest, ValidatorIndex)>>,
}

impl Agreement {
    pub(crate) fn executed(
        &mut self,
        findings: &mut Findings,
        validator: ValidatorIndex,
        height: Height,
        checkpoint: Digest,
    ) {
        compare(&mut self.executed, findings, validator, height, checkpoint, "executed");
        self.cross_check(findings, validator, height);
    }

    pub(crate) fn certified(
        &mut self,
        findings: &mut Findings,
        validator: ValidatorIndex,
        height: Height,
        checkpoint: Digest,
    ) {
        compare(&mut self.certified, findings, validator, height, checkpoint, "has certified");
        self.cross_check(findings, validator, height);
    }

    /// A validator stopped because a quorum attests something else than it executed.
    pub(crate) fn diverged(
        &mut self,
        findings: &mut Findings,
        validator: ValidatorIndex,
        height: Height,
        own: Digest,
        certified: Digest,
    ) {
        let detail = format!("executed {own:?} at height {height}, certified is {certified:?}");
        findings.report(NAME, Some(validator), detail);
    }

    fn cross_check(&self, findings: &mut Findings, validator: ValidatorIndex, height: Height) {
        let at = height.0 as usize;
        let known = |list: &Vec<Option<(Digest, ValidatorIndex)>>| list.get(at).copied().flatten();
        if let (Some((executed, _)), Some((certified, _))) =
            (known(&self.executed), known(&self.certified))
            && executed != certified
        {
            let detail = format!("height {height}: executed {executed:?}, certified {certified:?}");
            findings.report(NAME, Some(validator), detail);
        }
    }
}

fn compare(
    reference: &mut Vec<Option<(Digest, ValidatorIndex)>>,
    findings: &mut Findings,
    validator: ValidatorIndex,
    height: Height,
    checkpoint: Digest,
    verb: &str,
) {
    let at = height.0 as usize;
    if reference.len() <= at {
        reference.resize(at + 1, None);
    }
    match reference[at] {
        None => reference[at] = Some((checkpoint, validator)),
        Some((known, first)) if known != checkpoint => {
            let detail = format!(
                "{verb} {checkpoint:?} at height {height}, where validator {first} has {known:?}"
            );
            findings.report(NAME, Some(validator), detail);
        }
        Some(_) => {}
    }
}
