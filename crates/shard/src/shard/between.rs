//! What relayers ask a shard for (DESIGN section 7).

use qcn_types::{Delivery, LaneEnd, LaneHead, ShardId};

use super::Shard;
use crate::checkpoints::collect_certificate;

impl Shard {
    /// How far the lane from another shard will be applied once the blocks in the DAG are
    /// executed, and how far the lane to it is known to be acknowledged then: what a relayer asks
    /// the destination before it asks the source.
    #[must_use]
    pub fn expected(&self, source: ShardId) -> (LaneHead, LaneHead) {
        self.exchange.expected(source, &self.ledger, self.machine.round())
    }

    /// The end of the lane to another shard in the newest certified outbox.
    #[must_use]
    pub fn lane_end(&self, peer: ShardId) -> Option<&LaneEnd> {
        self.exchange.certified_end(peer)
    }

    /// What a relayer is to carry to a destination that expects this; `None` while there is
    /// nothing new that is certified.
    pub fn delivery(&mut self, to: ShardId, expected: (LaneHead, LaneHead)) -> Option<Delivery> {
        let (dag, committee) = (self.machine.dag(), self.config.keys.committee());
        let certify = |checkpoint| collect_certificate(dag, committee, checkpoint);
        self.exchange.delivery(&self.ledger, to, &expected.0, &expected.1, certify)
    }
}
