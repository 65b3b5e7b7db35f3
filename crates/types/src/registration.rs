//! How a validator registers on a running chain, and how its keys are replaced (DESIGN sections 4
//! and 7).
//!
//! Every key proves that its holder consents. A proof is bound to all of the statement that it is
//! part of, and to the chain: nobody's key can be put beside another's, and no statement is good on
//! two networks. (At genesis there is no chain id yet; there the statement alone is covered.)

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{
    ChainId, Digest, Domain, KeyError, PublicKey, Role, SeededRandomness, Signature,
    SignatureError, SigningContext, SigningError, SigningKey, VerifyingKey, hash, prove_possession,
    prove_possession_seeded, verify_possession,
};

use crate::{Bounded, Committee, Weight, encode};

/// The longest name of a validator, in bytes.
pub const MAX_VALIDATOR_NAME_BYTES: usize = 64;

/// The longest network address of a validator, in bytes: a host name and a port.
pub const MAX_NETWORK_ADDRESS_BYTES: usize = 262;

/// Names the statement that the keys of a registration sign.
const REGISTRATION: &str = "qcn-registration/2";

/// Names the statement that the keys of a rotation sign.
const ROTATION: &str = "qcn-rotation/1";

/// A key, and that its holder consents to what is said of it.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ProvenKey {
    /// The key.
    pub key: PublicKey,
    /// Signed by it.
    pub possession: Signature,
}

impl ProvenKey {
    fn prove(
        key: &SigningKey,
        context: ChainId,
        role: Role,
        stream: Stream<'_>,
    ) -> Result<Self, SigningError> {
        let possession = prove(key, context, role, stream)?;
        Ok(Self { key: key.public_key().clone(), possession })
    }

    fn verify(&self, context: ChainId, role: Role) -> Result<(), RegistrationError> {
        verify_possession(&self.key, context, role, &self.possession)
            .map(|_| ())
            .map_err(|error| RegistrationError::Possession(role, error))
    }
}

/// What signatures draw from: a seeded stream in simulations, else the operating system.
type Stream<'a> = Option<&'a mut SeededRandomness>;

fn prove(
    key: &SigningKey,
    context: ChainId,
    role: Role,
    stream: Stream<'_>,
) -> Result<Signature, SigningError> {
    match stream {
        Some(stream) => prove_possession_seeded(key, context, role, stream),
        None => prove_possession(key, context, role),
    }
}

/// Why a registration or a rotation is none. Each is the fault of whoever made it up.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RegistrationError {
    /// A name that cannot be shown.
    #[error(
        "the name must be printable text of 1 to {MAX_VALIDATOR_NAME_BYTES} bytes without blanks at its ends"
    )]
    Name,
    /// An address that nobody can dial.
    #[error(
        "the network address must be 1 to {MAX_NETWORK_ADDRESS_BYTES} visible ASCII characters"
    )]
    NetworkAddress,
    /// A weight that no committee can have.
    #[error(
        "the weight {} is not between 1 and {}", .0.0, Committee::MAX_TOTAL
    )]
    Weight(Weight),
    /// The holder of a key does not consent, or the key is none.
    #[error("the {0} key is not proven: {1}")]
    Possession(Role, KeyError),
    /// A rotation that replaces nothing.
    #[error("the rotation replaces neither a key nor the anchor")]
    Nothing,
    /// The recovery key did not sign the rotation.
    #[error("the rotation is not signed by its recovery key: {0}")]
    Recovery(SignatureError),
}

/// A validator that wants to be admitted. It is a claim until [`Registration::check`] has passed.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Registration {
    /// A name for people; it decides nothing.
    pub name: Bounded<u8, MAX_VALIDATOR_NAME_BYTES>,
    /// Signs blocks.
    pub consensus: ProvenKey,
    /// Authenticates links.
    pub transport: ProvenKey,
    /// Rotates the other two; best kept elsewhere.
    pub recovery: Option<ProvenKey>,
    /// What it asks for. What it gets is what the members agree on.
    pub weight: Weight,
    /// The end of its hash chain.
    pub anchor: Digest,
    /// Where others reach it.
    pub address: Option<Bounded<u8, MAX_NETWORK_ADDRESS_BYTES>>,
}

/// What an operator registers.
#[derive(Clone, Copy, Debug)]
pub struct Applicant<'a> {
    /// A name for people.
    pub name: &'a str,
    /// Signs blocks.
    pub consensus: &'a SigningKey,
    /// Authenticates links.
    pub transport: &'a SigningKey,
    /// Rotates the other two.
    pub recovery: Option<&'a SigningKey>,
    /// What to ask for.
    pub weight: Weight,
    /// The end of the hash chain.
    pub anchor: Digest,
    /// Where others reach it.
    pub address: Option<&'a str>,
}

impl Registration {
    /// Registers a validator on a chain. Names and addresses are cut where they are too long.
    ///
    /// # Errors
    /// [`SigningError`], if a key does not sign.
    pub fn sign(chain: ChainId, applicant: &Applicant<'_>) -> Result<Self, SigningError> {
        Self::drawn(chain, applicant, None)
    }

    /// The same with a seeded stream, as [`SigningKey::sign_seeded`]. **For simulations only.**
    ///
    /// # Errors
    /// [`SigningError`], if a key does not sign.
    pub fn sign_seeded(
        chain: ChainId,
        applicant: &Applicant<'_>,
        stream: &mut SeededRandomness,
    ) -> Result<Self, SigningError> {
        Self::drawn(chain, applicant, Some(stream))
    }

    fn drawn(
        chain: ChainId,
        applicant: &Applicant<'_>,
        mut stream: Stream<'_>,
    ) -> Result<Self, SigningError> {
        let unsigned = |key: &SigningKey| ProvenKey {
            key: key.public_key().clone(),
            possession: Signature::new([]).expect("no bytes are few enough"),
        };
        let mut registration = Self {
            name: Bounded::truncated(applicant.name.as_bytes().to_vec()),
            consensus: unsigned(applicant.consensus),
            transport: unsigned(applicant.transport),
            recovery: applicant.recovery.map(unsigned),
            weight: applicant.weight,
            anchor: applicant.anchor,
            address: applicant.address.map(|text| Bounded::truncated(text.as_bytes().to_vec())),
        };
        let context = registration.context(chain);
        let mut prove = |key, role| ProvenKey::prove(key, context, role, stream.as_deref_mut());
        registration.consensus = prove(applicant.consensus, Role::Consensus)?;
        registration.transport = prove(applicant.transport, Role::Transport)?;
        registration.recovery =
            applicant.recovery.map(|key| prove(key, Role::Operator)).transpose()?;
        Ok(registration)
    }

    /// By what members approve of it. The proofs are not part of it: there are many of one key.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::Beacon, &self.statement(ChainId::default()))
    }

    /// Checks form and proofs.
    ///
    /// # Errors
    /// The first defect; the proofs come last.
    pub fn check(&self, chain: ChainId) -> Result<(), RegistrationError> {
        if !is_name(&self.name) {
            return Err(RegistrationError::Name);
        }
        if self.address.as_ref().is_some_and(|address| !is_network_address(address)) {
            return Err(RegistrationError::NetworkAddress);
        }
        check_weight(self.weight)?;
        let context = self.context(chain);
        self.consensus.verify(context, Role::Consensus)?;
        self.transport.verify(context, Role::Transport)?;
        self.recovery.iter().try_for_each(|recovery| recovery.verify(context, Role::Operator))
    }

    /// What stands in for the chain id in the proofs.
    fn context(&self, chain: ChainId) -> ChainId {
        ChainId(hash(Domain::PossessionProof, &self.statement(chain)))
    }

    fn statement(&self, chain: ChainId) -> Vec<u8> {
        let keys = (&self.consensus.key, &self.transport.key);
        let recovery = self.recovery.as_ref().map(|recovery| &recovery.key);
        let rest = (&self.name, self.weight, &self.anchor, &self.address);
        encode(&(REGISTRATION, chain, keys, recovery, rest))
    }
}

/// Whether a weight may be voted on or asked for.
pub(crate) fn check_weight(weight: Weight) -> Result<(), RegistrationError> {
    if weight.0 == 0 || weight.0 > Committee::MAX_TOTAL {
        return Err(RegistrationError::Weight(weight));
    }
    Ok(())
}

fn is_name(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|name| {
        !name.is_empty() && name.trim() == name && !name.chars().any(char::is_control)
    })
}

fn is_network_address(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic)
}

/// What a rotation replaces, as of the next epoch.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct RotationBody {
    /// The validator's number in the register.
    pub number: u32,
    /// One above the number of its rotations so far: a rotation is applied once.
    pub counter: u64,
    /// Signs blocks from then on.
    pub consensus: Option<PublicKey>,
    /// Authenticates links from then on.
    pub transport: Option<PublicKey>,
    /// The end of a new hash chain.
    pub anchor: Option<Digest>,
    /// Which key decides this. The beacon compares it with the registered one, so that the
    /// signature can be checked by everybody, and before execution.
    pub recovery: PublicKey,
}

/// New keys for a validator, by its recovery key. It is a claim until [`KeyRotation::check`] has
/// passed, and changes nothing unless the beacon knows the recovery key.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct KeyRotation {
    /// What is replaced.
    pub body: RotationBody,
    /// That the new consensus key consents; none without one.
    pub consensus_possession: Option<Signature>,
    /// That the new transport key consents; none without one.
    pub transport_possession: Option<Signature>,
    /// Signed by the recovery key.
    pub signature: Signature,
}

/// What an operator wants to replace.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewKeys<'a> {
    /// The validator's number in the register.
    pub number: u32,
    /// One above the number of its rotations so far.
    pub counter: u64,
    /// Signs blocks from then on.
    pub consensus: Option<&'a SigningKey>,
    /// Authenticates links from then on.
    pub transport: Option<&'a SigningKey>,
    /// The end of a new hash chain.
    pub anchor: Option<Digest>,
}

impl KeyRotation {
    /// Replaces the keys of a validator.
    ///
    /// # Errors
    /// [`SigningError`], if a key does not sign.
    pub fn sign(
        chain: ChainId,
        new: &NewKeys<'_>,
        recovery: &SigningKey,
    ) -> Result<Self, SigningError> {
        Self::drawn(chain, new, recovery, None)
    }

    /// The same with a seeded stream, as [`SigningKey::sign_seeded`]. **For simulations only.**
    ///
    /// # Errors
    /// [`SigningError`], if a key does not sign.
    pub fn sign_seeded(
        chain: ChainId,
        new: &NewKeys<'_>,
        recovery: &SigningKey,
        stream: &mut SeededRandomness,
    ) -> Result<Self, SigningError> {
        Self::drawn(chain, new, recovery, Some(stream))
    }

    fn drawn(
        chain: ChainId,
        new: &NewKeys<'_>,
        recovery: &SigningKey,
        mut stream: Stream<'_>,
    ) -> Result<Self, SigningError> {
        let public = |key: &SigningKey| key.public_key().clone();
        let body = RotationBody {
            number: new.number,
            counter: new.counter,
            consensus: new.consensus.map(public),
            transport: new.transport.map(public),
            anchor: new.anchor,
            recovery: recovery.public_key().clone(),
        };
        let context = body.context(chain);
        let mut prove = |key: Option<&SigningKey>, role| {
            key.map(|key| prove(key, context, role, stream.as_deref_mut())).transpose()
        };
        let consensus_possession = prove(new.consensus, Role::Consensus)?;
        let transport_possession = prove(new.transport, Role::Transport)?;
        let (context, message) = (signing_context(chain), encode(&body));
        let signature = match stream {
            Some(stream) => recovery.sign_seeded(&context, &message, stream)?,
            None => recovery.sign(&context, &message)?,
        };
        Ok(Self { body, consensus_possession, transport_possession, signature })
    }

    /// Checks form, proofs and signature.
    ///
    /// # Errors
    /// The first defect; the signature comes last.
    pub fn check(&self, chain: ChainId) -> Result<(), RegistrationError> {
        let body = &self.body;
        if body.consensus.is_none() && body.transport.is_none() && body.anchor.is_none() {
            return Err(RegistrationError::Nothing);
        }
        let context = body.context(chain);
        let keys = [
            (Role::Consensus, &body.consensus, &self.consensus_possession),
            (Role::Transport, &body.transport, &self.transport_possession),
        ];
        for (role, key, possession) in keys {
            match (key, possession) {
                (None, None) => {}
                (Some(key), Some(possession)) => {
                    verify_possession(key, context, role, possession)
                        .map_err(|error| RegistrationError::Possession(role, error))?;
                }
                _ => {
                    let error = KeyError::Possession(SignatureError::Mismatch);
                    return Err(RegistrationError::Possession(role, error));
                }
            }
        }
        VerifyingKey::decode(&body.recovery)
            .map_err(SignatureError::from)
            .and_then(|key| key.verify(&signing_context(chain), &encode(body), &self.signature))
            .map_err(RegistrationError::Recovery)
    }
}

impl RotationBody {
    /// What stands in for the chain id in the proofs.
    fn context(&self, chain: ChainId) -> ChainId {
        ChainId(hash(Domain::PossessionProof, &encode(&(ROTATION, chain, self))))
    }
}

const fn signing_context(chain: ChainId) -> SigningContext {
    SigningContext::new(Domain::KeyRotation, chain, Role::Operator)
}

#[cfg(test)]
mod tests;
