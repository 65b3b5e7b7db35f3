//! How an operator joins a network that runs, and replaces the keys of its validator: documents
//! that are made where the keys are, and that members of the beacon hand in.
//!
//! A document holds nothing secret. Members keep those that they vote for in the data folder of
//! their nodes, `epochs/registrations` and `epochs/rotations`, under their digests.
//!
//! **Invariants**
//! - a [`RegistrationFile`] or a [`RotationFile`] exists only for what was checked against a genesis:
//!   chain, schemes, form and every proof;
//! - a new consensus key comes with the end of the hash chain that follows from it, since the
//!   validator could reveal nothing else.

mod file;
mod registration;
mod rotation;

use qcn_crypto::{ChainId, Digest, PublicKey, Role, Scheme};
use qcn_types::RegistrationError;

pub use self::file::MembershipFile;
pub use self::registration::{NewValidator, RegistrationFile};
pub use self::rotation::{NewValidatorKeys, RotationFile};
use crate::document::{DocumentError, Problem};
use crate::genesis::Genesis;

/// Only a network with epochs takes in validators, or lets them replace their keys.
fn need_epochs(genesis: &Genesis) -> Result<(), DocumentError> {
    if genesis.beacon().is_some() {
        return Ok(());
    }
    Err(DocumentError::new(
        &format!("the genesis of {}", genesis.name()),
        "shards.epochs",
        "there are no epochs in this network, so its validators and their keys are those of the \
         genesis",
        "make a new genesis, with `qcn genesis new --epoch-seconds`",
    ))
}

/// A proof is good in one network.
fn check_chain(chain: Digest, genesis: &Genesis) -> Result<(), Problem> {
    let ChainId(own) = genesis.chain();
    if chain == own {
        return Ok(());
    }
    Err(Problem::new(
        "chain_id",
        format!("it is for the network {chain}, and {} is {own}", genesis.name()),
        "let its operator make it with the genesis of this network",
    ))
}

/// The network takes keys of some schemes only.
fn check_scheme(key: &PublicKey, role: Role, genesis: &Genesis) -> Result<(), Problem> {
    if genesis.allows(role, key.scheme()) {
        return Ok(());
    }
    let allowed = Scheme::ALL.iter().filter(|scheme| genesis.allows(role, **scheme));
    let names: Vec<&str> = allowed.map(|scheme| scheme.name()).collect();
    Err(Problem::new(
        format!("{role}_key.scheme"),
        format!("{} is not allowed for {role} keys in this network", key.scheme()),
        format!("make a key of {}", names.join(" or ")),
    ))
}

/// Where the types say that a statement is none; `command` makes it again.
fn problem(error: &RegistrationError, command: &str) -> Problem {
    let again = format!(
        "let its operator run `{command}` again: a proof covers the whole document and the network"
    );
    let (place, remedy) = match error {
        RegistrationError::Name => ("name".to_owned(), "give another name".to_owned()),
        RegistrationError::NetworkAddress => {
            ("address".to_owned(), "write host:port, such as validator.example:7400".to_owned())
        }
        RegistrationError::Weight(_) => {
            ("weight".to_owned(), "give about 1000 for each unit of processing power".to_owned())
        }
        RegistrationError::Possession(role, _) => (format!("{role}_possession"), again),
        RegistrationError::Nothing => (String::new(), "name a new key".to_owned()),
        RegistrationError::Recovery(_) => ("signature".to_owned(), again),
    };
    Problem::new(place, error.to_string(), remedy)
}

#[cfg(test)]
mod tests;
