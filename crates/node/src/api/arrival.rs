//! How a transfer to another shard went on.

use qcn_types::{ReceiptKind, ShardId, TransactionId};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use super::shared::{Chain, Hub, Shared};
use crate::archive::{Arrival, ArrivalRecord};

/// How a transfer to another shard went on.
#[derive(Debug, Serialize, ToSchema)]
pub struct ArrivalBody {
    /// The receiver's shard.
    pub shard: u32,
    /// `in_flight`, `arrived` (the receiver has it), `bounced` (the receiver cannot hold it: it goes
    /// back, less the fee), `burned` (nobody can hold it) or `elsewhere` (this node does not host
    /// the receiver's shard and cannot say).
    pub status: &'static str,
    /// The height of the receiver's shard at which that was so.
    pub height: Option<u64>,
    /// Whether that height is certified.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// The height at which the sender's shard gave back what bounced, if this node hosts it.
    pub returned_height: Option<u64>,
    /// Who can say more, where this node cannot.
    pub ask: Option<String>,
}

/// How a transfer went on that its own shard has sent.
pub fn of_sent(source: &Shared, id: TransactionId, to: ShardId) -> Result<ArrivalBody, Problem> {
    let hub = source.hub();
    let Some(destination) = hub.chain(to) else {
        let facts = hub.config.shards.iter().find(|one| one.id == to);
        return Ok(ArrivalBody {
            ask: facts.map(|facts| super::shards::hosts_of(&hub.config, facts)),
            ..bare(to, "elsewhere")
        });
    };
    let Some(record) = transfer(destination, id)? else {
        return Ok(bare(to, "in_flight"));
    };
    let back = source.archive.arrival(id)?.filter(|it| it.receipt.kind == ReceiptKind::Bounce);
    let returned_height = back.map(|record| record.height.0);
    Ok(ArrivalBody { returned_height, ..arrived(destination, &record) })
}

/// How a transfer went on that comes from a shard which this node does not host.
pub fn from_elsewhere(hub: &Hub, id: TransactionId) -> Result<Option<ArrivalBody>, Problem> {
    for chain in &hub.chains {
        if let Some(record) = transfer(chain, id)? {
            return Ok(Some(arrived(chain, &record)));
        }
    }
    Ok(None)
}

fn transfer(chain: &Chain, id: TransactionId) -> Result<Option<ArrivalRecord>, Problem> {
    let record = chain.archive.arrival(id)?;
    Ok(record.filter(|record| record.receipt.kind == ReceiptKind::Transfer))
}

fn arrived(destination: &Chain, record: &ArrivalRecord) -> ArrivalBody {
    ArrivalBody {
        height: Some(record.height.0),
        is_final: record.height <= destination.final_height(),
        ..bare(destination.view.shard(), word(record.arrival))
    }
}

/// What became of a transfer at its receiver's, in a word.
pub const fn word(arrival: Arrival) -> &'static str {
    match arrival {
        Arrival::Credited => "arrived",
        Arrival::SentOn(_) => "bounced",
        Arrival::Burned => "burned",
    }
}

const fn bare(shard: ShardId, status: &'static str) -> ArrivalBody {
    let shard = shard.0;
    ArrivalBody { shard, status, height: None, is_final: false, returned_height: None, ask: None }
}
