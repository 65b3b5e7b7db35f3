//! New keys for a validator, by its recovery key.

use qcn_crypto::{Digest, Domain, PublicKey, Role, Signature, SigningKey, hash};
use qcn_types::{KeyRotation, RotationBody, encode};
use serde::{Deserialize, Serialize};

use super::file::{MembershipFile, Statement};
use super::{check_scheme, need_epochs, problem};
use crate::document::{DocumentError, Problem};
use crate::genesis::Genesis;
use crate::reveals::Reveals;
use crate::words;

const COMMAND: &str = "qcn validator rotate";

/// What to replace, and of whom.
#[derive(Clone, Copy, Debug)]
pub struct NewValidatorKeys<'a> {
    /// The validator's number in the register.
    pub number: u32,
    /// One above the number of its rotations so far.
    pub counter: u64,
    /// The name with which it is registered: its hash chain follows from it.
    pub name: &'a str,
    /// Signs blocks from the next epoch on.
    pub consensus: Option<&'a SigningKey>,
    /// Authenticates links from the next epoch on.
    pub transport: Option<&'a SigningKey>,
}

/// What the holder of a recovery key hands to a member of the beacon.
pub type RotationFile = MembershipFile<KeyRotation>;

impl RotationFile {
    /// Replaces keys of a validator in the network of a genesis.
    ///
    /// # Errors
    /// [`DocumentError`], if the network has no epochs or would not take it, or a key does not
    /// sign.
    pub fn sign(
        genesis: &Genesis,
        new: &NewValidatorKeys<'_>,
        recovery: &SigningKey,
    ) -> Result<Self, DocumentError> {
        const NAME: &str = "the rotation";
        need_epochs(genesis)?;
        check_name(genesis, new).map_err(|problem| problem.in_file(NAME))?;
        let keys = qcn_types::NewKeys {
            number: new.number,
            counter: new.counter,
            consensus: new.consensus,
            transport: new.transport,
            anchor: new.consensus.map(|key| Reveals::anchor(key, new.name)),
        };
        let rotation = KeyRotation::sign(genesis.chain(), &keys, recovery).map_err(|error| {
            DocumentError::new(NAME, "", error.to_string(), "make another key with `qcn key new`")
        })?;
        Self::made(rotation, NAME, genesis)
    }

    /// What it says.
    #[must_use]
    pub const fn rotation(&self) -> &KeyRotation {
        &self.statement
    }
}

impl Statement for KeyRotation {
    const FORMAT: &'static str = "qcn-rotation/1";
    const FOLDER: &'static str = "rotations";
    const HAND_IN: &'static str = "qcn vote rotate";
    type Document = Document;

    fn document(self, chain: Digest) -> Document {
        Document {
            format: Self::FORMAT.to_owned(),
            chain_id: chain,
            number: self.body.number,
            counter: self.body.counter,
            consensus_key: self.body.consensus,
            consensus_possession: self.consensus_possession,
            transport_key: self.body.transport,
            transport_possession: self.transport_possession,
            anchor: self.body.anchor,
            recovery_key: self.body.recovery,
            signature: self.signature,
        }
    }

    fn of_document(document: Document) -> Result<(Digest, Self), Problem> {
        let rotation = Self {
            body: RotationBody {
                number: document.number,
                counter: document.counter,
                consensus: document.consensus_key,
                transport: document.transport_key,
                anchor: document.anchor,
                recovery: document.recovery_key,
            },
            consensus_possession: document.consensus_possession,
            transport_possession: document.transport_possession,
            signature: document.signature,
        };
        Ok((document.chain_id, rotation))
    }

    fn kept_under(&self) -> Digest {
        hash(Domain::Beacon, &encode(&("rotation", self)))
    }

    fn check(&self, genesis: &Genesis) -> Result<(), Problem> {
        let body = &self.body;
        let keys = [
            (Role::Consensus, body.consensus.as_ref()),
            (Role::Transport, body.transport.as_ref()),
            (Role::Operator, Some(&body.recovery)),
        ];
        for (role, key) in keys {
            key.map_or(Ok(()), |key| check_scheme(key, role, genesis))?;
        }
        if body.consensus.is_some() && body.anchor.is_none() {
            return Err(Problem::new(
                "anchor",
                "a new consensus key needs the end of the hash chain that follows from it",
                format!("let its operator run `{COMMAND}` again"),
            ));
        }
        if body.counter == 0 {
            return Err(Problem::new(
                "counter",
                "rotations are counted from 1",
                "give one more than `rotations` of the validator in /v1/beacon",
            ));
        }
        self.check(genesis.chain()).map_err(|error| problem(&error, COMMAND))
    }
}

/// The hash chain of a wrong name is nobody's, and names of the genesis do not change.
fn check_name(genesis: &Genesis, new: &NewValidatorKeys<'_>) -> Result<(), Problem> {
    let validators = genesis.validators();
    let founder = usize::try_from(new.number).ok().and_then(|number| validators.get(number));
    match founder {
        Some(founder) if new.consensus.is_some() && founder.name != new.name => Err(Problem::new(
            "name",
            format!("validator {} is registered as {}", new.number, founder.name),
            "give the name and the number that belong together",
        )),
        _ => Ok(()),
    }
}

/// How it stands in a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    format: String,
    #[serde(with = "words::digest")]
    chain_id: Digest,
    number: u32,
    counter: u64,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "words::public_key_option")]
    consensus_key: Option<PublicKey>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "words::signature_option")]
    consensus_possession: Option<Signature>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "words::public_key_option")]
    transport_key: Option<PublicKey>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "words::signature_option")]
    transport_possession: Option<Signature>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "words::digest_option")]
    anchor: Option<Digest>,
    #[serde(with = "words::public_key")]
    recovery_key: PublicKey,
    #[serde(with = "words::signature")]
    signature: Signature,
}
