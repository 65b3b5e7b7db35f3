//! The JSON form of a key file, and the bytes that are authenticated.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{KEY_FORMAT, KeyFile, KeystoreError, MAX_KEY_FILE_BYTES, Protection, Sealed};
use crate::{PublicKey, Role, Scheme, SealingCost, from_hex, sha256, to_hex};

const KDF: &str = "argon2id";
const CIPHER: &str = "chacha20-poly1305";
const CHECKSUM_BYTES: usize = 16;

/// Stands in every unsealed file.
const WARNING: &str = "NOT ENCRYPTED: whoever reads this file has the key. For test networks only.";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    role: String,
    scheme: String,
    public_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<SealedMembers>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unsealed: Option<UnsealedMembers>,
    checksum: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedMembers {
    kdf: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
    cipher: String,
    nonce: String,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnsealedMembers {
    warning: String,
    seed: Secret,
}

/// Text that is wiped.
struct Secret(Zeroizing<String>);

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Zeroizing::new).map(Self)
    }
}

/// All that a sealed file says in clear, each part with a fixed or stated length.
pub(super) fn readable_part(role: Role, public_key: &PublicKey, sealed: &Sealed) -> Vec<u8> {
    let SealingCost { memory_kib, passes, lanes } = sealed.cost;
    let derivation = (KDF, memory_kib, passes, lanes, sealed.salt);
    canonical(&(KEY_FORMAT, role, public_key, derivation, (CIPHER, sealed.nonce)))
}

fn canonical<T: borsh::BorshSerialize>(value: &T) -> Vec<u8> {
    borsh::to_vec(value).expect("encoding into memory cannot fail")
}

/// Tells accidents from wrong passphrases.
fn checksum(file: &KeyFile) -> [u8; CHECKSUM_BYTES] {
    let covered = Zeroizing::new(match &file.protection {
        Protection::Sealed(sealed) => {
            let mut bytes = readable_part(file.role, &file.public_key, sealed);
            bytes.extend_from_slice(&sealed.ciphertext);
            bytes
        }
        Protection::Unsealed(seed) => {
            canonical(&(KEY_FORMAT, file.role, &file.public_key, WARNING, **seed))
        }
    });
    let mut short = [0; CHECKSUM_BYTES];
    short.copy_from_slice(&sha256(&covered)[..CHECKSUM_BYTES]);
    short
}

pub(super) fn to_json(file: &KeyFile) -> Zeroizing<String> {
    let (mut sealed, mut unsealed) = (None, None);
    match &file.protection {
        Protection::Sealed(parts) => {
            sealed = Some(SealedMembers {
                kdf: KDF.to_owned(),
                memory_kib: parts.cost.memory_kib,
                passes: parts.cost.passes,
                lanes: parts.cost.lanes,
                salt: to_hex(&parts.salt),
                cipher: CIPHER.to_owned(),
                nonce: to_hex(&parts.nonce),
                ciphertext: to_hex(&parts.ciphertext),
            });
        }
        Protection::Unsealed(seed) => {
            let seed = Secret(Zeroizing::new(to_hex(&**seed)));
            unsealed = Some(UnsealedMembers { warning: WARNING.to_owned(), seed });
        }
    }
    let document = Document {
        format: KEY_FORMAT.to_owned(),
        role: file.role.to_string(),
        scheme: file.public_key.scheme().to_string(),
        public_key: file.public_key.to_string(),
        sealed,
        unsealed,
        checksum: to_hex(&checksum(file)),
    };
    // Roomy from the start: a buffer that grows leaves copies of the secret behind.
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_KEY_FILE_BYTES));
    serde_json::to_writer_pretty(&mut *text, &document).expect("strings have a JSON form");
    text.push(b'\n');
    let text = String::from_utf8(std::mem::take(&mut *text)).expect("JSON is UTF-8");
    Zeroizing::new(text)
}

pub(super) fn parse(bytes: &[u8]) -> Result<KeyFile, KeystoreError> {
    if bytes.len() > MAX_KEY_FILE_BYTES {
        return Err(KeystoreError::TooLong { actual: bytes.len() });
    }
    check_format(bytes)?;
    let document: Document = from_json(bytes)?;
    let role: Role = document.role.parse().map_err(|error| member("role", error))?;
    let scheme: Scheme = document.scheme.parse().map_err(|error| member("scheme", error))?;
    let public_key =
        from_hex(&document.public_key).map_err(|error| member("public_key", error)).and_then(
            |bytes| PublicKey::new(scheme, &bytes).map_err(|error| member("public_key", error)),
        )?;
    let protection = match (document.sealed, document.unsealed) {
        (Some(sealed), None) => Protection::Sealed(sealed_part(&sealed)?),
        (None, Some(unsealed)) => Protection::Unsealed(unsealed_part(&unsealed)?),
        _ => {
            let reason = "it needs either `sealed` or `unsealed`".to_owned();
            return Err(KeystoreError::Malformed { reason });
        }
    };
    let file = KeyFile { role, public_key, protection };
    let found: [u8; CHECKSUM_BYTES] = array("checksum", &document.checksum)?;
    if found == checksum(&file) { Ok(file) } else { Err(KeystoreError::Damaged) }
}

/// Looks at the format alone, so that a newer file is not complained about in detail.
fn check_format(bytes: &[u8]) -> Result<(), KeystoreError> {
    #[derive(Deserialize)]
    struct Probe {
        format: String,
    }
    let found = from_json::<Probe>(bytes)?.format;
    if found == KEY_FORMAT {
        return Ok(());
    }
    Err(KeystoreError::UnknownFormat { found: found.chars().take(64).collect() })
}

fn from_json<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, KeystoreError> {
    serde_json::from_slice(bytes)
        .map_err(|error| KeystoreError::Malformed { reason: error.to_string() })
}

fn sealed_part(members: &SealedMembers) -> Result<Sealed, KeystoreError> {
    if members.kdf != KDF {
        return Err(member("sealed.kdf", format!("only {KDF:?} is known")));
    }
    if members.cipher != CIPHER {
        return Err(member("sealed.cipher", format!("only {CIPHER:?} is known")));
    }
    let SealedMembers { memory_kib, passes, lanes, .. } = *members;
    let cost = SealingCost { memory_kib, passes, lanes };
    cost.check()?;
    Ok(Sealed {
        cost,
        salt: array("sealed.salt", &members.salt)?,
        nonce: array("sealed.nonce", &members.nonce)?,
        ciphertext: array("sealed.ciphertext", &members.ciphertext)?,
    })
}

fn unsealed_part(members: &UnsealedMembers) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    if members.warning != WARNING {
        return Err(member("unsealed.warning", "the warning is not the usual one"));
    }
    array("unsealed.seed", &members.seed.0).map(Zeroizing::new)
}

fn array<const N: usize>(name: &'static str, text: &str) -> Result<[u8; N], KeystoreError> {
    let bytes = Zeroizing::new(from_hex(text).map_err(|error| member(name, error))?);
    let actual = bytes.len();
    bytes
        .as_slice()
        .try_into()
        .map_err(|_| member(name, format!("it has {actual} bytes instead of {N}")))
}

fn member(member: &'static str, reason: impl ToString) -> KeystoreError {
    KeystoreError::Member { member, reason: reason.to_string() }
}
