//! **Bounded memory** (DESIGN section 5.6): whatever peers send, a validator holds no more than
//! its named limits allow.

use qcn_consensus::Config;
use qcn_consensus::limits::{
    HORIZON_ROUNDS, MAX_HELD_BACK, MAX_RETENTION_ROUNDS, MAX_SIBLINGS, MAX_VERIFYING_PER_PEER,
    MAX_WAITING_PER_PEER,
};
use qcn_shard::Status;
use qcn_types::ValidatorIndex;

use super::Findings;

const NAME: &str = "bounded_memory";

/// The bounds of a committee of some size.
#[derive(Debug)]
pub(crate) struct BoundedMemory {
    dag_blocks: usize,
    waiting_blocks: usize,
    wanted_slots: usize,
}

impl BoundedMemory {
    pub(crate) fn new(members: usize, config: &Config) -> Self {
        let open = (config.gc_depth + HORIZON_ROUNDS) as usize;
        let rounds = open + MAX_RETENTION_ROUNDS as usize;
        let waiting_blocks = members * (MAX_WAITING_PER_PEER + MAX_VERIFYING_PER_PEER);
        Self {
            dag_blocks: members * rounds * (1 + MAX_SIBLINGS),
            waiting_blocks,
            // Each waiting block misses at most a parent of every member.
            wanted_slots: waiting_blocks.saturating_mul(members).min(members * open * 2),
        }
    }

    pub(crate) fn check(
        &self,
        findings: &mut Findings,
        validator: ValidatorIndex,
        status: &Status,
    ) {
        let load = &status.load;
        let held = [
            ("blocks in the DAG", load.dag_blocks, self.dag_blocks),
            ("blocks that wait", load.waiting_blocks, self.waiting_blocks),
            ("slots that are asked for", load.wanted_slots, self.wanted_slots),
            ("blocks held back", load.held_back, MAX_HELD_BACK),
            ("transactions", status.mempool, MAX_TRANSACTIONS),
        ];
        for (what, count, bound) in held {
            if count > bound {
                let detail = format!("holds {count} {what}, more than {bound}");
                findings.report(NAME, Some(validator), detail);
            }
        }
    }
}

/// What a mempool holds at most, with what comes back from blocks that were not committed.
const MAX_TRANSACTIONS: usize = 200_000;
