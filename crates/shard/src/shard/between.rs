//! What relayers ask a shard for (DESIGN section 7).

use qcn_types::{Delivery, LaneEnd, LaneId, ShardId};

use super::Shard;
use crate::Expected;
use crate::checkpoints::collect_certificate;

impl Shard {
    /// Whether the shard answers for a number: its own, or that of one that it has absorbed.
    #[must_use]
    pub fn acts_for(&self, number: ShardId) -> bool {
        self.config.territory.acts_for(number)
    }

    /// How far what comes on a lane will be applied once the blocks in the DAG are executed, and
    /// how far what goes is known to be acknowledged then: what a relayer asks the destination
    /// before it asks the source. Each names the lane as it sees it.
    #[must_use]
    pub fn expected(&self, lane: LaneId) -> Expected {
        self.exchange.expected(lane, &self.ledger, self.machine.round())
    }

    /// The ends of all lanes in the newest certified outbox, in order.
    #[must_use]
    pub fn lane_ends(&self) -> &[LaneEnd] {
        self.exchange.certified_ends()
    }

    /// The end of a lane in the newest certified outbox.
    #[must_use]
    pub fn lane_end(&self, lane: LaneId) -> Option<&LaneEnd> {
        self.exchange.certified_end(lane)
    }

    /// What a relayer is to carry on a lane whose destination expects this; `None` while there is
    /// nothing new that is certified.
    pub fn delivery(&mut self, lane: LaneId, expected: &Expected) -> Option<Delivery> {
        let (dag, committee) = (self.machine.dag(), self.config.keys.committee());
        let certify = |checkpoint| collect_certificate(dag, committee, checkpoint);
        self.exchange.delivery(&self.ledger, lane, expected, certify)
    }
}
