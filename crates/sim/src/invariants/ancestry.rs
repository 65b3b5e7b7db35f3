//! **Ancestry** (DESIGN section 5.2): every honest validator executes a prefix of one global
//! sequence of blocks, height after height, and no block is in it twice.

#![expect(clippy::disallowed_types, reason = "asked by key, never walked")]

use std::collections::HashSet;

use qcn_types::{BlockRef, Height, ValidatorIndex};

use super::Findings;

const NAME: &str = "ancestry";

/// The global sequence as far as anybody has executed it.
#[derive(Debug)]
pub(crate) struct Ancestry {
    /// The blocks of each height, from height 1 on.
    sequence: Vec<Option<Vec<BlockRef>>>,
    /// Looked up only; never walked.
    committed: HashSet<BlockRef>,
    /// The next height of each process; none right after it came up.
    next: Vec<Option<Height>>,
}

impl Ancestry {
    pub(crate) fn new(processes: usize) -> Self {
        Self { sequence: Vec::new(), committed: HashSet::new(), next: vec![None; processes] }
    }

    /// Says whether the process is the first to execute this height.
    pub(crate) fn executed(
        &mut self,
        findings: &mut Findings,
        process: u16,
        validator: ValidatorIndex,
        height: Height,
        blocks: &[BlockRef],
    ) -> bool {
        let next = &mut self.next[process as usize];
        if let Some(expected) = next.replace(height.next())
            && expected != height
        {
            let detail = format!("executed height {height} where {expected} was due");
            findings.report(NAME, Some(validator), detail);
        }
        let at = height.0 as usize;
        if self.sequence.len() <= at {
            self.sequence.resize(at + 1, None);
        }
        match &self.sequence[at] {
            Some(known) => {
                if known != blocks {
                    let detail = describe_difference(height, known, blocks);
                    findings.report(NAME, Some(validator), detail);
                }
                false
            }
            None => {
                for block in blocks {
                    if !self.committed.insert(*block) {
                        let detail = format!("height {height} brings in {block:?} again");
                        findings.report(NAME, Some(validator), detail);
                    }
                }
                self.sequence[at] = Some(blocks.to_vec());
                true
            }
        }
    }

    pub(crate) fn synchronised(&mut self, process: u16, height: Height) {
        self.next[process as usize] = Some(height.next());
    }

    pub(crate) fn stopped(&mut self, process: u16) {
        self.next[process as usize] = None;
    }
}

fn describe_difference(height: Height, known: &[BlockRef], blocks: &[BlockRef]) -> String {
    let at = known.iter().zip(blocks).take_while(|(one, other)| one == other).count();
    format!(
        "height {height} differs from position {at} on: {:?} instead of {:?} ({} and {} blocks)",
        blocks.get(at),
        known.get(at),
        blocks.len(),
        known.len()
    )
}
