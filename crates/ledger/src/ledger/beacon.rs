//! The beacon's part of the public face: genesis, reports, proofs.

use std::sync::Arc;

use qcn_crypto::ChainId;
use qcn_light::{ValidatorProof, ValidatorRecord};
use qcn_types::{EpochPlan, Payload, Report, ValidatorIndex};

use super::Ledger;
use crate::beacon::{self, Beacon, BeaconGenesis, BeaconGenesisError, Ignored, Reporting};
use crate::execution::Execution;
use crate::lanes::Territory;

impl Ledger {
    /// The state of the beacon before its first block, and who serves the first epoch.
    ///
    /// # Errors
    /// [`BeaconGenesisError`], naming what does not fit.
    ///
    /// # Panics
    /// Never: there are no accounts that could be at fault.
    pub fn beacon_genesis(
        chain: ChainId,
        genesis: &BeaconGenesis,
    ) -> Result<(Self, EpochPlan), BeaconGenesisError> {
        let beacon = Beacon::genesis(genesis)?;
        let plan = EpochPlan::clone(beacon.plan());
        let mut ledger = Self::genesis_of(chain, Territory::beacon(), &[])
            .expect("no accounts are no accounts at fault");
        ledger.tree.apply(beacon::changes(None, &beacon));
        ledger.beacon = Some(Arc::new(beacon));
        Ok((ledger, plan))
    }

    /// What the beacon's state says; nothing in the state of another shard.
    #[must_use]
    pub fn beacon(&self) -> Option<&Beacon> {
        self.beacon.as_deref()
    }

    /// Executes what the verified blocks of a commit carry, by author and in order, at the
    /// commit's time.
    ///
    /// In the beacon it is transactions, of which none finds an account, and then evidence and
    /// reports. If the epoch ends with this execution, it gives the plan of the next one, and the
    /// state is what that one begins with. In all other shards it is what
    /// [`Ledger::execute_payloads`] does, and neither authors nor the time have an effect.
    ///
    /// # Panics
    /// If the supply is not conserved, which no input can bring about.
    pub fn execute_commit<'a>(
        &mut self,
        payloads: impl IntoIterator<Item = (ValidatorIndex, &'a Payload)>,
        time_ms: u64,
    ) -> Execution {
        let Some(before) = self.beacon.clone() else {
            return self.execute_payloads(payloads.into_iter().map(|(_, payload)| payload));
        };
        let payloads: Vec<(ValidatorIndex, &Payload)> = payloads.into_iter().collect();
        let mut execution = self.execute(payloads.iter().flat_map(|(_, it)| &it.transactions));
        let mut after = Beacon::clone(&before);
        let mut reporting = Reporting::new(&mut after, self.chain);
        for (author, payload) in payloads {
            for evidence in &payload.evidence {
                // What proves nothing, or nothing new, changes nothing.
                let _ = reporting.take_evidence(evidence);
            }
            for report in &payload.reports {
                let _ = reporting.take(author, report);
            }
        }
        if after.end_execution(time_ms) {
            execution.closes = Some(Box::new(EpochPlan::clone(after.plan())));
        }
        if after != *before {
            let updates = beacon::changes(Some(&before), &after);
            execution.state_updates += updates.len() as u32;
            execution.hashes += self.tree.apply(updates);
            self.beacon = Some(Arc::new(after));
        }
        execution
    }

    /// Whether a report of a member would change something now. Its signatures are not looked at.
    ///
    /// # Errors
    /// The reason for which it would be ignored.
    pub fn admit_report(&self, author: ValidatorIndex, report: &Report) -> Result<(), Ignored> {
        let mut beacon = self.beacon().cloned().ok_or(Ignored::NotTheBeacon)?;
        Reporting::new(&mut beacon, self.chain).take(author, report)
    }

    /// Shows what the state says about a validator, to who knows the state root.
    #[must_use]
    pub fn prove_validator(&self, number: u32) -> ValidatorProof {
        ValidatorProof(self.tree.prove(&ValidatorRecord::state_key(number)))
    }
}
