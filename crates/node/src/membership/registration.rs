//! Somebody who wants to become a validator.

use qcn_crypto::{Digest, PublicKey, Role, Signature};
use qcn_types::{
    Applicant, Bounded, MAX_VALIDATOR_NAME_BYTES, ProvenKey, Registration, RegistrationError,
    Weight,
};
use serde::{Deserialize, Serialize};

use super::file::{MembershipFile, Statement};
use super::{check_scheme, need_epochs, problem};
use crate::document::{DocumentError, Problem, check_endpoint};
use crate::genesis::{Genesis, ValidatorKeys};
use crate::reveals::Reveals;
use crate::words;

const COMMAND: &str = "qcn validator register";

/// Whom to register.
#[derive(Clone, Copy, Debug)]
pub struct NewValidator<'a> {
    /// A name for people.
    pub name: &'a str,
    /// The voting power to ask for.
    pub weight: u64,
    /// Its keys.
    pub keys: &'a ValidatorKeys,
    /// Where others reach it, as `host:port`.
    pub address: Option<&'a str>,
}

/// What an operator hands to those who admit it; they approve of its digest.
pub type RegistrationFile = MembershipFile<Registration>;

impl RegistrationFile {
    /// Registers a validator in the network of a genesis.
    ///
    /// # Errors
    /// [`DocumentError`], if the network has no epochs or would not take it, or a key does not
    /// sign.
    pub fn sign(genesis: &Genesis, new: &NewValidator<'_>) -> Result<Self, DocumentError> {
        const NAME: &str = "the registration";
        need_epochs(genesis)?;
        if let Some(address) = new.address {
            check_endpoint("address", address).map_err(|problem| problem.in_file(NAME))?;
        }
        // Signing would cut it.
        if new.name.len() > MAX_VALIDATOR_NAME_BYTES {
            return Err(problem(&RegistrationError::Name, COMMAND).in_file(NAME));
        }
        let applicant = Applicant {
            name: new.name,
            consensus: &new.keys.consensus,
            transport: &new.keys.transport,
            recovery: new.keys.recovery.as_ref(),
            weight: Weight(new.weight),
            anchor: Reveals::anchor(&new.keys.consensus, new.name),
            address: new.address,
        };
        let registration = Registration::sign(genesis.chain(), &applicant).map_err(|error| {
            DocumentError::new(NAME, "", error.to_string(), "make another key with `qcn key new`")
        })?;
        Self::made(registration, NAME, genesis)
    }

    /// What it says.
    #[must_use]
    pub const fn registration(&self) -> &Registration {
        &self.statement
    }

    /// The validator's name.
    #[must_use]
    pub fn name(&self) -> String {
        text(&self.statement.name)
    }
}

impl Statement for Registration {
    const FORMAT: &'static str = "qcn-registration/1";
    const FOLDER: &'static str = "registrations";
    const HAND_IN: &'static str = "qcn vote admit";
    type Document = Document;

    fn document(self, chain: Digest) -> Document {
        let (recovery_key, recovery_possession) =
            self.recovery.map(|proven| (proven.key, proven.possession)).unzip();
        Document {
            format: Self::FORMAT.to_owned(),
            chain_id: chain,
            name: text(&self.name),
            weight: self.weight.0,
            consensus_key: self.consensus.key,
            consensus_possession: self.consensus.possession,
            transport_key: self.transport.key,
            transport_possession: self.transport.possession,
            recovery_key,
            recovery_possession,
            anchor: self.anchor,
            address: self.address.as_ref().map(|address| text(address)),
        }
    }

    fn of_document(document: Document) -> Result<(Digest, Self), Problem> {
        let name = Bounded::new(document.name.into_bytes())
            .map_err(|_| problem(&RegistrationError::Name, COMMAND))?;
        let address =
            document.address.map(|address| Bounded::new(address.into_bytes())).transpose();
        let address = address.map_err(|_| problem(&RegistrationError::NetworkAddress, COMMAND))?;
        let recovery = match (document.recovery_key, document.recovery_possession) {
            (Some(key), Some(possession)) => Some(ProvenKey { key, possession }),
            (None, None) => None,
            _ => {
                return Err(Problem::new(
                    "recovery_possession",
                    "a recovery key and its proof of possession go together",
                    "give both or neither",
                ));
            }
        };
        let proven = |key, possession| ProvenKey { key, possession };
        let registration = Self {
            name,
            consensus: proven(document.consensus_key, document.consensus_possession),
            transport: proven(document.transport_key, document.transport_possession),
            recovery,
            weight: Weight(document.weight),
            anchor: document.anchor,
            address,
        };
        Ok((document.chain_id, registration))
    }

    fn kept_under(&self) -> Digest {
        self.digest()
    }

    fn check(&self, genesis: &Genesis) -> Result<(), Problem> {
        let keys = [
            (Role::Consensus, Some(&self.consensus)),
            (Role::Transport, Some(&self.transport)),
            (Role::Operator, self.recovery.as_ref()),
        ];
        for (role, proven) in keys {
            proven.map_or(Ok(()), |proven| check_scheme(&proven.key, role, genesis))?;
        }
        if let Some(address) = &self.address {
            check_endpoint("address", &String::from_utf8_lossy(address))?;
        }
        self.check(genesis.chain()).map_err(|error| problem(&error, COMMAND))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// How it stands in a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    format: String,
    #[serde(with = "words::digest")]
    chain_id: Digest,
    name: String,
    weight: u64,
    #[serde(with = "words::public_key")]
    consensus_key: PublicKey,
    #[serde(with = "words::signature")]
    consensus_possession: Signature,
    #[serde(with = "words::public_key")]
    transport_key: PublicKey,
    #[serde(with = "words::signature")]
    transport_possession: Signature,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "words::public_key_option")]
    recovery_key: Option<PublicKey>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "words::signature_option")]
    recovery_possession: Option<Signature>,
    #[serde(with = "words::digest")]
    anchor: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
}
