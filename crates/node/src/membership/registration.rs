//! Somebody who wants to become a validator.

use std::path::Path;

use qcn_crypto::{Digest, PublicKey, Role, Signature};
use qcn_types::{
    Applicant, Bounded, MAX_VALIDATOR_NAME_BYTES, ProvenKey, Registration, RegistrationError,
    Weight,
};
use serde::{Deserialize, Serialize};

use super::{MAX_BYTES, check_chain, check_scheme, kept_file, need_epochs, problem};
use crate::document::{
    DocumentError, Overwrite, Problem, Readers, check_endpoint, parse_json, read_text, write_file,
};
use crate::genesis::{Genesis, ValidatorKeys};
use crate::reveals::Reveals;
use crate::words;

const FORMAT: &str = "qcn-registration/1";

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

/// What an operator hands to those who admit it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegistrationFile {
    chain: Digest,
    registration: Registration,
}

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
        let file = Self { chain: genesis.chain().0, registration };
        // As the members will check it, so that the operator hears of a mistake first.
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
        self.write(&kept_file(data, "registrations", &self.digest()), Overwrite::Replace)
    }

    /// What a node keeps under a digest. It was checked when it was put there, and will be by
    /// everybody to whom it is handed.
    ///
    /// # Errors
    /// [`DocumentError`], if there is no such registration.
    pub fn kept(data: &Path, digest: &Digest) -> Result<Registration, DocumentError> {
        let path = kept_file(data, "registrations", digest);
        let name = path.display().to_string();
        let Self { registration, .. } = Self::formed(&read_text(&path, MAX_BYTES)?, &name)?;
        if registration.digest() != *digest {
            let what = format!("its digest is {}", registration.digest());
            return Err(DocumentError::new(&name, "", what, "run `qcn vote admit` again"));
        }
        Ok(registration)
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> String {
        let document = Document::of(self);
        let mut text = serde_json::to_string_pretty(&document).expect("it has a JSON form");
        text.push('\n');
        text
    }

    /// By what members approve of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.registration.digest()
    }

    /// What it says.
    #[must_use]
    pub const fn registration(&self) -> &Registration {
        &self.registration
    }

    /// The validator's name.
    #[must_use]
    pub fn name(&self) -> String {
        String::from_utf8_lossy(&self.registration.name).into_owned()
    }

    /// A document of the right form, of which nothing else was checked.
    fn formed(text: &str, name: &str) -> Result<Self, DocumentError> {
        let document: Document = parse_json(text, name, FORMAT)?;
        document.into_file().map_err(|problem| problem.in_file(name))
    }

    fn check(&self, genesis: &Genesis) -> Result<(), Problem> {
        check_chain(self.chain, genesis)?;
        let registration = &self.registration;
        let keys = [
            (Role::Consensus, Some(&registration.consensus)),
            (Role::Transport, Some(&registration.transport)),
            (Role::Operator, registration.recovery.as_ref()),
        ];
        for (role, proven) in keys {
            proven.map_or(Ok(()), |proven| check_scheme(&proven.key, role, genesis))?;
        }
        if let Some(address) = &registration.address {
            check_endpoint("address", &String::from_utf8_lossy(address))?;
        }
        registration.check(genesis.chain()).map_err(|error| problem(&error, COMMAND))
    }
}

/// How it stands in a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
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

impl Document {
    fn of(file: &RegistrationFile) -> Self {
        let RegistrationFile { chain, registration } = file.clone();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (recovery_key, recovery_possession) =
            registration.recovery.map(|proven| (proven.key, proven.possession)).unzip();
        Self {
            format: FORMAT.to_owned(),
            chain_id: chain,
            name: text(&registration.name),
            weight: registration.weight.0,
            consensus_key: registration.consensus.key,
            consensus_possession: registration.consensus.possession,
            transport_key: registration.transport.key,
            transport_possession: registration.transport.possession,
            recovery_key,
            recovery_possession,
            anchor: registration.anchor,
            address: registration.address.as_ref().map(|address| text(address)),
        }
    }

    fn into_file(self) -> Result<RegistrationFile, Problem> {
        let name = Bounded::new(self.name.into_bytes())
            .map_err(|_| problem(&RegistrationError::Name, COMMAND))?;
        let address = self.address.map(|address| Bounded::new(address.into_bytes())).transpose();
        let address = address.map_err(|_| problem(&RegistrationError::NetworkAddress, COMMAND))?;
        let recovery = match (self.recovery_key, self.recovery_possession) {
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
        let registration = Registration {
            name,
            consensus: proven(self.consensus_key, self.consensus_possession),
            transport: proven(self.transport_key, self.transport_possession),
            recovery,
            weight: Weight(self.weight),
            anchor: self.anchor,
            address,
        };
        Ok(RegistrationFile { chain: self.chain_id, registration })
    }
}
