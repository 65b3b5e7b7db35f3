//! New keys for a validator, by its recovery key.

use std::path::Path;

use qcn_crypto::{Digest, Domain, PublicKey, Role, Signature, SigningKey, hash};
use qcn_types::{KeyRotation, RotationBody, encode};
use serde::{Deserialize, Serialize};

use super::{MAX_BYTES, check_chain, check_scheme, kept_file, need_epochs, problem};
use crate::document::{
    DocumentError, Overwrite, Problem, Readers, parse_json, read_text, write_file,
};
use crate::genesis::Genesis;
use crate::reveals::Reveals;
use crate::words;

const FORMAT: &str = "qcn-rotation/1";

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
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RotationFile {
    chain: Digest,
    rotation: KeyRotation,
}

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
        let file = Self { chain: genesis.chain().0, rotation };
        // As whoever hands it in will check it, so that the operator hears of a mistake first.
        file.check(genesis).map_err(|problem| problem.in_file(NAME))?;
        Ok(file)
    }

    /// Reads a file, and checks it against the genesis of a network.
    ///
    /// # Errors
    /// [`DocumentError`], naming the file, the place and the remedy.
    pub fn read(path: &Path, genesis: &Genesis) -> Result<Self, DocumentError> {
        Self::parse(&read_text(path, MAX_BYTES)?, &path.display().to_string(), genesis)
    }

    /// Checks a document; `name` stands for its file in errors.
    ///
    /// # Errors
    /// [`DocumentError`], naming the place and the remedy.
    pub fn parse(text: &str, name: &str, genesis: &Genesis) -> Result<Self, DocumentError> {
        need_epochs(genesis)?;
        let file = Self::formed(text, name)?;
        file.check(genesis).map_err(|problem| problem.in_file(name))?;
        Ok(file)
    }

    /// Writes the document to a file, whole or not at all.
    ///
    /// # Errors
    /// [`DocumentError`], if the file exists and may not be replaced, or cannot be written.
    pub fn write(&self, path: &Path, overwrite: Overwrite) -> Result<(), DocumentError> {
        write_file(path, self.to_json().as_bytes(), Readers::Everyone, overwrite)
    }

    /// Keeps the document in the data folder of a node, which hands it in.
    ///
    /// # Errors
    /// [`DocumentError`], if it cannot be written.
    pub fn keep(&self, data: &Path) -> Result<(), DocumentError> {
        self.write(&kept_file(data, "rotations", &self.digest()), Overwrite::Replace)
    }

    /// What a node keeps under a digest. It was checked when it was put there, and will be by
    /// everybody to whom it is handed.
    ///
    /// # Errors
    /// [`DocumentError`], if there is no such rotation.
    pub fn kept(data: &Path, digest: &Digest) -> Result<KeyRotation, DocumentError> {
        let path = kept_file(data, "rotations", digest);
        let name = path.display().to_string();
        let file = Self::formed(&read_text(&path, MAX_BYTES)?, &name)?;
        if file.digest() != *digest {
            let what = format!("its digest is {}", file.digest());
            return Err(DocumentError::new(&name, "", what, "run `qcn vote rotate` again"));
        }
        Ok(file.rotation)
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> String {
        let document = Document::of(self);
        let mut text = serde_json::to_string_pretty(&document).expect("it has a JSON form");
        text.push('\n');
        text
    }

    /// Under what a node keeps it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::Beacon, &encode(&("rotation", &self.rotation)))
    }

    /// What it says.
    #[must_use]
    pub const fn rotation(&self) -> &KeyRotation {
        &self.rotation
    }

    /// A document of the right form, of which nothing else was checked.
    fn formed(text: &str, name: &str) -> Result<Self, DocumentError> {
        let document: Document = parse_json(text, name, FORMAT)?;
        Ok(document.into_file())
    }

    fn check(&self, genesis: &Genesis) -> Result<(), Problem> {
        check_chain(self.chain, genesis)?;
        let body = &self.rotation.body;
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
        self.rotation.check(genesis.chain()).map_err(|error| problem(&error, COMMAND))
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
struct Document {
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

impl Document {
    fn of(file: &RotationFile) -> Self {
        let RotationFile { chain, rotation } = file.clone();
        Self {
            format: FORMAT.to_owned(),
            chain_id: chain,
            number: rotation.body.number,
            counter: rotation.body.counter,
            consensus_key: rotation.body.consensus,
            consensus_possession: rotation.consensus_possession,
            transport_key: rotation.body.transport,
            transport_possession: rotation.transport_possession,
            anchor: rotation.body.anchor,
            recovery_key: rotation.body.recovery,
            signature: rotation.signature,
        }
    }

    fn into_file(self) -> RotationFile {
        let rotation = KeyRotation {
            body: RotationBody {
                number: self.number,
                counter: self.counter,
                consensus: self.consensus_key,
                transport: self.transport_key,
                anchor: self.anchor,
                recovery: self.recovery_key,
            },
            consensus_possession: self.consensus_possession,
            transport_possession: self.transport_possession,
            signature: self.signature,
        };
        RotationFile { chain: self.chain_id, rotation }
    }
}
