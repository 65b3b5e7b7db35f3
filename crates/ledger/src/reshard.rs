//! What a shard opens an epoch with (DESIGN section 7).

use qcn_types::{EpochPlan, ShardId};

use crate::Ledger;

/// Why no state follows.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OpenError {
    /// Not so many origins.
    #[error("wrong origins")]
    Origins,
}

impl Ledger {
    /// Placeholder on this branch.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        plan: &EpochPlan,
        shard: ShardId,
        mut origins: Vec<Self>,
    ) -> Result<Self, OpenError> {
        if plan.origins(shard) != [shard] || origins.len() != 1 {
            return Err(OpenError::Origins);
        }
        origins.pop().ok_or(OpenError::Origins)
    }
}
