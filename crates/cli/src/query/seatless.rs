//! Where a node stands whose validator has no seat in any shard.
//!
//! `/v1/status` is about a shard, so such a node refuses it. It runs all the same: it has its links,
//! and, where there are epochs, takes part in the beacon.

use serde::Deserialize;
use serde_json::json;

use crate::client::responses::{Peers, Status};
use crate::client::{Client, ClientError};
use crate::output::Table;

/// The code with which a node refuses that has no seat.
pub const CODE: &str = "no_shard_here";

/// The path of the beacon's status, where there is one.
const BEACON_STATUS: &str = "/v1/shards/4294967295/status";

/// What such a node tells.
pub struct Standing {
    version: String,
    epoch: u64,
    peers_connected: usize,
    /// Nothing in a network without epochs.
    beacon: Option<Status>,
}

#[derive(Deserialize)]
struct Shards {
    epoch: u64,
}

#[derive(Deserialize)]
struct Description {
    info: About,
}

#[derive(Deserialize)]
struct About {
    version: String,
}

impl Standing {
    /// Asks a node for everything but what is about a shard.
    pub fn ask(client: &Client) -> Result<Self, ClientError> {
        let beacon = match client.get(BEACON_STATUS) {
            Ok(status) => Some(status),
            Err(ClientError::Refused { .. }) => None,
            Err(error) => return Err(error),
        };
        let peers: Peers = client.get("/v1/peers")?;
        Ok(Self {
            version: client.get::<Description>("/openapi.json")?.info.version,
            epoch: client.get::<Shards>("/v1/shards")?.epoch,
            peers_connected: peers.peers.iter().filter(|peer| peer.connected).count(),
            beacon,
        })
    }

    fn stopped(&self) -> Option<&str> {
        self.beacon.as_ref().and_then(|beacon| beacon.stopped.as_deref())
    }

    /// The members that `/v1/status` has too have the same names.
    pub fn json(&self) -> String {
        let of_beacon = |beacon: &Status| json!({"round": beacon.round, "height": beacon.height, "certified_height": beacon.certified_height});
        let body = json!({
            "version": self.version,
            "chain_id": self.beacon.as_ref().map(|beacon| &beacon.chain_id),
            "chain_name": self.beacon.as_ref().map(|beacon| &beacon.chain_name),
            "shard": null,
            "epoch": self.epoch,
            "beacon": self.beacon.as_ref().map(of_beacon),
            "stopped": self.stopped(),
            "peers_connected": self.peers_connected,
        });
        format!("{body}\n")
    }

    /// The same as a table.
    pub fn table(&self) -> String {
        let state = match self.stopped() {
            Some(why) => format!("stopped: {why}"),
            None => "running".to_owned(),
        };
        let mut fields = vec![
            ("state", state),
            ("seat", "no seat in this epoch".to_owned()),
            ("epoch", self.epoch.to_string()),
            ("peers", format!("{} connected", self.peers_connected)),
        ];
        if let Some(beacon) = &self.beacon {
            fields.insert(1, ("network", format!("{} ({})", beacon.chain_name, beacon.chain_id)));
            let height = beacon.certified_height;
            fields.push(("beacon", format!("round {}, final height {height}", beacon.round)));
        }
        fields.push(("version", self.version.clone()));
        Table::of_fields(&fields).render()
    }
}
