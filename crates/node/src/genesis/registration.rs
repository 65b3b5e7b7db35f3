//! How an operator registers a validator before there is a chain.
//!
//! A proof of possession is bound to a chain id, and the chain id is made from the proofs. So
//! these are bound to a digest of the registration in the place of the chain id: the validator's
//! name and all its keys together. Nobody's key can be put beside another's. The weight and the
//! address are not part of it: the coordinator may settle them.

use std::path::Path;

use qcn_crypto::{
    ChainId, Digest, Domain, PublicKey, Role, SigningError, SigningKey, hash, prove_possession,
    verify_possession,
};
use qcn_types::encode;
use serde::{Deserialize, Serialize};

use super::{GenesisFileError, GenesisValidator, check};
use crate::document::{Overwrite, Problem, Readers, parse_json, read_text, write_file};
use crate::reveals::Reveals;

/// The format of the document.
const VALIDATOR_FORMAT: &str = "qcn-validator/1";

/// The longest validator document that is read; one with a recovery key has 31,000 bytes.
const MAX_VALIDATOR_BYTES: u64 = 256 << 10;

/// Names the statement that the keys of a registration sign.
const REGISTRATION: &str = "qcn-registration/1";

/// The keys of a validator.
#[derive(Clone, Debug)]
pub struct ValidatorKeys {
    /// Signs blocks.
    pub consensus: SigningKey,
    /// Authenticates links.
    pub transport: SigningKey,
    /// Rotates the consensus key; best kept elsewhere.
    pub recovery: Option<SigningKey>,
}

impl GenesisValidator {
    /// The entry of a validator whose operator holds `keys`.
    ///
    /// # Errors
    /// [`SigningError`], if a key does not sign.
    pub fn register(
        name: &str,
        weight: u64,
        keys: &ValidatorKeys,
        address: Option<String>,
    ) -> Result<Self, SigningError> {
        let consensus_key = keys.consensus.public_key().clone();
        let transport_key = keys.transport.public_key().clone();
        let recovery_key = keys.recovery.as_ref().map(|key| key.public_key().clone());
        let anchor = Some(Reveals::anchor(&keys.consensus, name));
        let three = (&consensus_key, &transport_key, recovery_key.as_ref());
        let context = registration(name, three, anchor.as_ref());
        let recovery_possession = match &keys.recovery {
            Some(key) => Some(prove_possession(key, context, Role::Operator)?),
            None => None,
        };
        Ok(Self {
            name: name.to_owned(),
            weight,
            consensus_possession: prove_possession(&keys.consensus, context, Role::Consensus)?,
            consensus_key,
            transport_possession: prove_possession(&keys.transport, context, Role::Transport)?,
            transport_key,
            recovery_key,
            recovery_possession,
            address,
            anchor,
        })
    }
}

/// What stands in for the chain id in the proofs of a registration.
fn registration(
    name: &str,
    (consensus, transport, recovery): (&PublicKey, &PublicKey, Option<&PublicKey>),
    anchor: Option<&Digest>,
) -> ChainId {
    let mut statement = encode(&(REGISTRATION, name, consensus, transport, recovery));
    // An entry from before there were epochs has none, and is proven as it was then.
    statement.extend(anchor.map(encode).unwrap_or_default());
    ChainId(hash(Domain::PossessionProof, &statement))
}

/// Checks the proofs of one entry.
pub(super) fn verify(index: usize, validator: &GenesisValidator) -> Result<(), Problem> {
    let recovery_key = validator.recovery_key.as_ref();
    let three = (&validator.consensus_key, &validator.transport_key, recovery_key);
    let context = registration(&validator.name, three, validator.anchor.as_ref());
    let recovery = recovery_key.zip(validator.recovery_possession.as_ref());
    let proofs = [
        (
            "consensus",
            Role::Consensus,
            Some((&validator.consensus_key, &validator.consensus_possession)),
        ),
        (
            "transport",
            Role::Transport,
            Some((&validator.transport_key, &validator.transport_possession)),
        ),
        ("recovery", Role::Operator, recovery),
    ];
    for (word, role, proof) in proofs {
        let Some((key, possession)) = proof else { continue };
        verify_possession(key, context, role, possession).map_err(|error| {
            Problem::new(
                format!("validators[{index}].{word}_possession"),
                error.to_string(),
                "let its operator run `qcn genesis validator` again: a proof covers the name and \
                 all keys of the entry",
            )
        })?;
    }
    Ok(())
}

/// What an operator hands to whoever puts a genesis together.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorFile {
    format: String,
    /// The entry.
    pub validator: GenesisValidator,
}

impl ValidatorFile {
    /// A document of one entry.
    #[must_use]
    pub fn new(validator: GenesisValidator) -> Self {
        Self { format: VALIDATOR_FORMAT.to_owned(), validator }
    }

    /// Reads a file, and checks the entry with its proofs.
    ///
    /// # Errors
    /// [`GenesisFileError`], naming the file, the place and the remedy.
    pub fn read(path: &Path) -> Result<Self, GenesisFileError> {
        Self::parse(&read_text(path, MAX_VALIDATOR_BYTES)?, &path.display().to_string())
    }

    /// Checks a document; `name` stands for its file in errors.
    ///
    /// # Errors
    /// [`GenesisFileError`], naming the place and the remedy.
    pub fn parse(text: &str, name: &str) -> Result<Self, GenesisFileError> {
        let document: Self = parse_json(text, name, VALIDATOR_FORMAT)?;
        let entry = &document.validator;
        check::validator(0, entry)
            .and_then(|()| verify(0, entry))
            .map_err(|problem| problem.moved("validators[0]", "validator").in_file(name))?;
        Ok(document)
    }

    /// Writes the document to a file, whole or not at all.
    ///
    /// # Errors
    /// [`GenesisFileError`], if the file exists and may not be replaced, or cannot be written.
    pub fn write(&self, path: &Path, overwrite: Overwrite) -> Result<(), GenesisFileError> {
        write_file(path, self.to_json().as_bytes(), Readers::Everyone, overwrite)
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self)
            .expect("an entry of strings and numbers has a JSON form");
        text.push('\n');
        text
    }
}
