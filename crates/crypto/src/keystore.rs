//! Keys at rest: a seed sealed under a passphrase, as a small JSON document.
//!
//! The format `qcn-key/1` holds the role, the scheme and the public key in clear, and the 32-byte
//! seed encrypted with ChaCha20-Poly1305 under a key that Argon2id makes from the passphrase. All
//! that stands in clear is authenticated with it, so a file whose role or public key was changed
//! does not open. A checksum tells a damaged file from a wrong passphrase; it is no protection
//! against somebody who recomputes it, the authentication is.
//!
//! For networks that are thrown away there is an *unsealed* form, which says in the file that it
//! protects nothing.
//!
//! **Invariants**
//! - bytes in, bytes out: files, prompts and permissions are the drivers' business;
//! - what a file asks of memory and time is bounded before anything is allocated;
//! - a key that opens is the one whose public key stands in the file;
//! - seeds, passphrases and derived keys are wiped when they are dropped.

mod format;
mod sealing;

use std::fmt;

use zeroize::Zeroizing;

use crate::randomness::fill_from_system;
use crate::{KeyError, PublicKey, Role, SigningKey};

pub use sealing::SealingCost;
use sealing::{NONCE_BYTES, SALT_BYTES, SEALED_BYTES};

/// The format of the document.
pub const KEY_FORMAT: &str = "qcn-key/1";

/// The longest key file that is read; the largest of ours has about 6,000 bytes.
pub const MAX_KEY_FILE_BYTES: usize = 64 << 10;

/// The longest passphrase, in bytes.
pub const MAX_PASSPHRASE_BYTES: usize = 1_024;

/// Why a key file is not made, read or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeystoreError {
    /// Longer than [`MAX_KEY_FILE_BYTES`].
    #[error(
        "a key file has at most {MAX_KEY_FILE_BYTES} bytes, this one has {actual}; give a file that `qcn key new` wrote"
    )]
    TooLong {
        /// Bytes that were given.
        actual: usize,
    },
    /// No JSON object with these members: truncated, damaged, or another file.
    #[error(
        "this is no whole key file ({reason}); give a file that `qcn key new` wrote, or restore it from a backup"
    )]
    Malformed {
        /// What the parser stumbled over, and where.
        reason: String,
    },
    /// A format that this version does not know.
    #[error("the format is {found:?}, not {KEY_FORMAT:?}; use the version of qcn that wrote it")]
    UnknownFormat {
        /// What the file says.
        found: String,
    },
    /// A member whose value cannot be.
    #[error("{member}: {reason}; restore the file from a backup")]
    Member {
        /// The member's name.
        member: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Deriving the key would take too much, or too little to be a derivation.
    #[error("sealed: {reason}; a file that asks for this was not written by qcn")]
    Cost {
        /// Which parameter, and its bound.
        reason: String,
    },
    /// The checksum does not fit: a transmission or disk error, or an edit.
    #[error("the key file is damaged, its checksum does not fit; restore it from a backup")]
    Damaged,
    /// The authentication fails.
    #[error(
        "wrong passphrase, or the file was altered on purpose; try again, or restore it from a backup"
    )]
    WrongPassphrase,
    /// The file is sealed and no passphrase was given.
    #[error("the key is sealed with a passphrase; give it")]
    PassphraseNeeded,
    /// A passphrase that cannot be used.
    #[error(
        "a passphrase has 1 to {MAX_PASSPHRASE_BYTES} bytes, this one has {actual}; choose another"
    )]
    BadPassphrase {
        /// Bytes that were given.
        actual: usize,
    },
    /// The key serves for something else.
    #[error(
        "this is a key for the role {found}, and one for {expected} is needed; give another file, or make a key with `qcn key new --role {expected}`"
    )]
    WrongRole {
        /// What it is needed for.
        expected: Role,
        /// What the file says.
        found: Role,
    },
    /// The seed opens and gives another key than the file says.
    #[error("the public key in the file is not that of the secret; restore the file from a backup")]
    ForeignPublicKey,
    /// The memory that the derivation needs is not there.
    #[error("deriving the key takes {memory_kib} KiB of memory, which are not free")]
    OutOfMemory {
        /// What the derivation needs.
        memory_kib: u32,
    },
    /// The key itself is at fault.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A passphrase, wiped when it is dropped and never shown.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// A passphrase as it was given: no blanks are taken off and no letters folded.
    ///
    /// # Errors
    /// [`KeystoreError::BadPassphrase`] if it is empty or too long.
    pub fn new(text: Zeroizing<String>) -> Result<Self, KeystoreError> {
        match text.len() {
            1..=MAX_PASSPHRASE_BYTES => Ok(Self(text)),
            actual => Err(KeystoreError::BadPassphrase { actual }),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// So that one can ask twice and compare. Whoever types both learns nothing from the time it takes.
impl PartialEq for Passphrase {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Passphrase(..)")
    }
}

/// A key file: what it says in clear, and the secret as it is protected.
#[derive(Clone)]
pub struct KeyFile {
    role: Role,
    public_key: PublicKey,
    protection: Protection,
}

#[derive(Clone)]
enum Protection {
    Sealed(Sealed),
    Unsealed(Zeroizing<[u8; 32]>),
}

#[derive(Clone)]
struct Sealed {
    cost: SealingCost,
    salt: [u8; SALT_BYTES],
    nonce: [u8; NONCE_BYTES],
    ciphertext: [u8; SEALED_BYTES],
}

impl KeyFile {
    /// Seals a key under a passphrase, with salt and nonce from the operating system.
    ///
    /// # Errors
    /// [`KeystoreError`], if there is no entropy or not enough memory, or the cost is out of bounds.
    pub fn seal(
        key: &SigningKey,
        role: Role,
        passphrase: &Passphrase,
        cost: SealingCost,
    ) -> Result<Self, KeystoreError> {
        let mut salt = [0; SALT_BYTES];
        let mut nonce = [0; NONCE_BYTES];
        fill_from_system(&mut salt).map_err(|_| KeyError::Entropy)?;
        fill_from_system(&mut nonce).map_err(|_| KeyError::Entropy)?;
        Self::seal_with(key, role, passphrase, Sealed { cost, salt, nonce, ciphertext: [0; _] })
    }

    fn seal_with(
        key: &SigningKey,
        role: Role,
        passphrase: &Passphrase,
        mut sealed: Sealed,
    ) -> Result<Self, KeystoreError> {
        let readable = format::readable_part(role, key.public_key(), &sealed);
        let derived = sealing::derive(passphrase, &sealed.salt, sealed.cost)?;
        sealed.ciphertext = sealing::seal(key.expose_seed(), &derived, &sealed.nonce, &readable);
        let public_key = key.public_key().clone();
        Ok(Self { role, public_key, protection: Protection::Sealed(sealed) })
    }

    /// A key file that protects nothing, for networks that are thrown away.
    #[must_use]
    pub fn unsealed(key: &SigningKey, role: Role) -> Self {
        let seed = Zeroizing::new(*key.expose_seed());
        let public_key = key.public_key().clone();
        Self { role, public_key, protection: Protection::Unsealed(seed) }
    }

    /// Reads a document. The secret stays sealed.
    ///
    /// # Errors
    /// [`KeystoreError`], naming the member at fault.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeystoreError> {
        format::parse(bytes)
    }

    /// The document. It holds the secret in clear if the file is unsealed.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        format::to_json(self)
    }

    /// What the key is for. Of a sealed file it is certain only once the file was opened.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The public key. Of a sealed file it is certain only once the file was opened.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Whether a passphrase protects the secret.
    #[must_use]
    pub const fn is_sealed(&self) -> bool {
        matches!(self.protection, Protection::Sealed(_))
    }

    /// What opening costs; nothing for an unsealed file.
    #[must_use]
    pub const fn cost(&self) -> Option<SealingCost> {
        match &self.protection {
            Protection::Sealed(sealed) => Some(sealed.cost),
            Protection::Unsealed(_) => None,
        }
    }

    /// Opens the key for a role. An unsealed file needs no passphrase and ignores one.
    ///
    /// # Errors
    /// [`KeystoreError`]: the wrong role is found out before anything is derived.
    pub fn open(
        &self,
        role: Role,
        passphrase: Option<&Passphrase>,
    ) -> Result<SigningKey, KeystoreError> {
        self.check_role(role)?;
        let seed = match (&self.protection, passphrase) {
            (Protection::Unsealed(seed), _) => seed.clone(),
            (Protection::Sealed(_), None) => return Err(KeystoreError::PassphraseNeeded),
            (Protection::Sealed(sealed), Some(passphrase)) => {
                let readable = format::readable_part(self.role, &self.public_key, sealed);
                let derived = sealing::derive(passphrase, &sealed.salt, sealed.cost)?;
                sealing::open(&sealed.ciphertext, &derived, &sealed.nonce, &readable)
                    .ok_or(KeystoreError::WrongPassphrase)?
            }
        };
        let key = SigningKey::from_seed(self.public_key.scheme(), &seed)?;
        if key.public_key() == &self.public_key {
            Ok(key)
        } else {
            Err(KeystoreError::ForeignPublicKey)
        }
    }

    /// Refuses a file for another role.
    ///
    /// # Errors
    /// [`KeystoreError::WrongRole`].
    pub fn check_role(&self, expected: Role) -> Result<(), KeystoreError> {
        if self.role == expected {
            Ok(())
        } else {
            Err(KeystoreError::WrongRole { expected, found: self.role })
        }
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sealed = if self.is_sealed() { "sealed" } else { "unsealed" };
        write!(formatter, "KeyFile({}, {:?}, {sealed})", self.role, self.public_key)
    }
}

#[cfg(test)]
mod tests;
