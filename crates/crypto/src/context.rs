//! What a signature is for: domain, chain and role (DESIGN section 4).

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::domain::name_length;
use crate::{Digest, Domain};

/// Names one network: the digest of its genesis.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize, Default,
)]
pub struct ChainId(pub Digest);

impl fmt::Display for ChainId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for ChainId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ChainId({:?})", self.0)
    }
}

/// What a key is used for. One key used in two roles cannot be played against itself.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Role {
    /// Signs blocks.
    Consensus = 1,
    /// Signs transactions.
    Account = 2,
    /// Registers and rotates consensus keys.
    Operator = 3,
    /// Authenticates links between validators.
    Transport = 4,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Consensus, Self::Account, Self::Operator, Self::Transport];

    /// The name in files and commands. A key of the operator's is called after what it is for.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consensus => "consensus",
            Self::Account => "account",
            Self::Operator => "recovery",
            Self::Transport => "transport",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A name that no role has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown role {name:?}; use one of {}", Role::ALL.map(Role::name).join(", "))]
pub struct UnknownRole {
    /// The name that was given, cut to a printable length.
    pub name: String,
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == name)
            .ok_or_else(|| UnknownRole { name: name.chars().take(64).collect() })
    }
}

/// Everything that a signature is bound to besides the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SigningContext {
    /// What kind of statement is signed.
    pub domain: Domain,
    /// The network it is made for.
    pub chain: ChainId,
    /// The role of the key that makes it.
    pub role: Role,
}

impl SigningContext {
    /// A context from its three parts.
    pub const fn new(domain: Domain, chain: ChainId, role: Role) -> Self {
        Self { domain, chain, role }
    }

    /// The byte string that is signed:
    /// `length of the domain's name (1 byte) || name || chain id (32) || role (1) || message`.
    ///
    /// All but the message has a fixed or stated length, so two different
    /// statements never give the same bytes.
    pub fn signed_bytes(&self, message: &[u8]) -> Vec<u8> {
        let name = self.domain.name();
        let mut bytes = Vec::with_capacity(1 + name.len() + 32 + 1 + message.len());
        bytes.push(name_length(self.domain));
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(self.chain.0.as_bytes());
        bytes.push(self.role as u8);
        bytes.extend_from_slice(message);
        bytes
    }
}

#[cfg(test)]
mod tests;
