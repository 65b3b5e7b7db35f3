//! Amounts, and where all of them are.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// An amount, which a node writes as a string so that no reader rounds it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(pub u64);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Text(String),
            Number(u64),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(number) => Ok(Self(number)),
            Either::Text(text) => text.parse().map(Self).map_err(serde::de::Error::custom),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What one shard has sent to others, less what it received from them; written as [`Amount`] is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Balance(pub i128);

impl<'de> Deserialize<'de> for Balance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Where all units of the currency are.
#[derive(Debug, Deserialize)]
pub struct Supply {
    /// On accounts.
    pub balances: Amount,
    /// Paid as fees.
    pub fees: Amount,
    /// Ever sent to other shards, less what was received from them.
    pub in_flight: Balance,
    /// What was on accounts that went to other shards as shards split and merged, less what came.
    #[serde(default)]
    pub resharded: Balance,
    /// What there was at genesis.
    pub genesis: Amount,
    /// The certified height it is read at.
    pub height: Option<u64>,
    /// The shard that it is about.
    pub shard: Option<u64>,
    /// The same over all shards of the node, where there are several.
    pub all: Option<TotalSupply>,
}

/// Where all units of several shards are.
#[derive(Debug, Deserialize)]
pub struct TotalSupply {
    /// Which shards.
    pub shards: Vec<u64>,
    /// Whether these are all of the network.
    pub complete: bool,
    /// On accounts.
    pub balances: Amount,
    /// Paid as fees.
    pub fees: Amount,
    /// On their way between shards.
    pub in_flight: Balance,
    /// What was on accounts that went to other shards as shards split and merged, less what came.
    #[serde(default)]
    pub resharded: Balance,
    /// What there was at genesis.
    pub genesis: Amount,
}

impl TotalSupply {
    /// Whether nothing was created or destroyed.
    pub fn is_conserved(&self) -> bool {
        is_conserved(self.balances, self.fees, [self.in_flight, self.resharded], self.genesis)
    }
}

fn is_conserved(balances: Amount, fees: Amount, elsewhere: [Balance; 2], genesis: Amount) -> bool {
    let [in_flight, resharded] = elsewhere.map(|one| one.0);
    let parts = [i128::from(balances.0), i128::from(fees.0), in_flight, resharded];
    let sum = parts.iter().try_fold(0_i128, |sum, part| sum.checked_add(*part));
    sum == Some(i128::from(genesis.0))
}

impl Supply {
    /// Whether nothing was created or destroyed.
    pub fn is_conserved(&self) -> bool {
        is_conserved(self.balances, self.fees, [self.in_flight, self.resharded], self.genesis)
    }
}
