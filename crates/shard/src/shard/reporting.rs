//! What a member of the beacon tells it (DESIGN section 7).

use std::collections::VecDeque;

use qcn_ledger::Ledger;
use qcn_types::{
    Bounded, Certificate, MAX_BLOCK_REPORTS, Report, Round, ValidatorIndex, encoded_bytes,
};

use super::{PATIENCE_ROUNDS, Shard};
use crate::checkpoints::collect_certificate;

/// The most reports that wait; the oldest go first.
const MAX_WAITING: usize = 256;

/// The most bytes of one report. Evidence of more is reported by nobody, and its offender is only
/// refused.
const MAX_REPORT_BYTES: usize = 4 * 1024 * 1024 + 1_024;

/// The reports of one member.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// Each is not made before a round: again and again until it would change nothing any more.
    waiting: VecDeque<(Round, Report)>,
}

impl Reports {
    /// Takes in a report whose signatures were checked. What is there already is not taken twice,
    /// and of a shard's checkpoints the newest takes the place of those before it.
    pub(super) fn add(&mut self, report: Report) {
        let is_known = self.waiting.iter().any(|(_, other)| *other == report);
        if is_known || encoded_bytes(&report) > MAX_REPORT_BYTES {
            return;
        }
        self.waiting.retain(|(_, other)| !replaces(&report, other));
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((Round::GENESIS, report));
    }

    /// What the own block of a round reports. What would change nothing is dropped.
    pub(super) fn take(
        &mut self,
        round: Round,
        own: ValidatorIndex,
        ledger: &Ledger,
        room: usize,
    ) -> Bounded<Report, MAX_BLOCK_REPORTS> {
        // One that was made lately is judged when it is due again: judging costs.
        self.waiting
            .retain(|(due, report)| *due > round || ledger.admit_report(own, report).is_ok());
        let mut taken = Vec::new();
        let mut carried = 0;
        for (due, report) in &mut self.waiting {
            let bytes = encoded_bytes(report);
            let fits = carried + bytes <= room;
            if *due <= round && fits && taken.len() < MAX_BLOCK_REPORTS {
                *due = round.plus(PATIENCE_ROUNDS);
                carried += bytes;
                taken.push(report.clone());
            }
        }
        Bounded::truncated(taken)
    }

    /// Whether the own block of a round would report something.
    pub(super) fn is_due(&self, round: Round) -> bool {
        self.waiting.iter().any(|(due, _)| *due <= round)
    }
}

fn replaces(report: &Report, other: &Report) -> bool {
    let (Report::Checkpoint(new), Report::Checkpoint(old)) = (report, other) else {
        return false;
    };
    let place = |certificate: &Certificate| {
        let checkpoint = &certificate.checkpoint;
        (checkpoint.shard, checkpoint.epoch)
    };
    place(new) == place(old) && new.checkpoint.height >= old.checkpoint.height
}

impl Shard {
    /// What was to be reported and would still change something, for the beacon's next epoch.
    #[must_use]
    pub fn pending_reports(&self) -> Vec<Report> {
        self.reports.waiting.iter().map(|(_, report)| report.clone()).collect()
    }

    /// The certificate of the newest certified checkpoint of this epoch, while the blocks that
    /// attest it are kept: what is reported to the beacon.
    #[must_use]
    pub fn newest_certificate(&self) -> Option<Certificate> {
        let checkpoint = self.checkpoints.newest_certified()?;
        collect_certificate(self.machine.dag(), self.config.keys.committee(), checkpoint)
    }
}
