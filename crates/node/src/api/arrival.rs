//! How a transfer to another shard went on.

use qcn_types::{ReceiptKind, ShardId, TransactionId};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use super::shared::{Chain, Hub, Shared};
use crate::archive::{Arrival, ArrivalRecord};

/// How often a transfer is followed to another shard: layouts change seldom, and it arrives soon.
const MAX_FORWARDED: usize = 8;

/// How a transfer to another shard went on.
#[derive(Debug, Serialize, ToSchema)]
pub struct ArrivalBody {
    /// The receiver's shard.
    pub shard: u32,
    /// `in_flight`, `arrived` (the receiver has it), `forwarded` (the receiver belongs to another
    /// shard now, and it goes there), `bounced` (the receiver cannot hold it: it goes back, less the
    /// fee), `burned` (nobody can hold it) or `elsewhere` (this node does not host the receiver's
    /// shard and cannot say).
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

/// How a transfer went on that its own shard has sent. Where the receiver belongs to another shard
/// by now, it is followed there.
pub fn of_sent(source: &Shared, id: TransactionId, to: ShardId) -> Result<ArrivalBody, Problem> {
    let shown = source.hub().shown();
    let mut to = to;
    for _ in 0..=MAX_FORWARDED {
        let acting = shown.actor(to);
        let elsewhere = || {
            let there = shown.facts.shard(acting);
            let ask = there.map(|there| super::shards::hosts_of(&shown.facts, there));
            ArrivalBody { ask, ..bare(to, "elsewhere") }
        };
        let Some(destination) = shown.chain(acting) else { return Ok(elsewhere()) };
        let Some(record) = transfer(destination, id)? else {
            // It may have arrived before the shard was closed, whose history is not its heir's.
            return Ok(if acting == to { bare(to, "in_flight") } else { elsewhere() });
        };
        if let Arrival::Forwarded(next) = record.arrival {
            to = next;
            continue;
        }
        let back = source.archive.arrival(id)?.filter(|it| it.receipt.kind == ReceiptKind::Bounce);
        let returned_height = back.map(|record| record.height.0);
        return Ok(ArrivalBody { returned_height, ..arrived(destination, &record) });
    }
    Ok(bare(to, "in_flight"))
}

/// How a transfer went on that comes from a shard which this node does not host.
pub fn from_elsewhere(hub: &Hub, id: TransactionId) -> Result<Option<ArrivalBody>, Problem> {
    let mut forwarded = None;
    for chain in &hub.shown().chains {
        match transfer(chain, id)? {
            None => {}
            // It may have arrived where it was sent on to.
            Some(record) if matches!(record.arrival, Arrival::Forwarded(_)) => {
                forwarded = Some(arrived(chain, &record));
            }
            Some(record) => return Ok(Some(arrived(chain, &record))),
        }
    }
    Ok(forwarded)
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
        Arrival::Bounced(_) => "bounced",
        Arrival::Forwarded(_) => "forwarded",
        Arrival::Burned => "burned",
    }
}

const fn bare(shard: ShardId, status: &'static str) -> ArrivalBody {
    let shard = shard.0;
    ArrivalBody { shard, status, height: None, is_final: false, returned_height: None, ask: None }
}
