//! Argon2id (RFC 9106) and ChaCha20-Poly1305 (RFC 8439) around one seed.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::{KeystoreError, Passphrase};

/// Long enough that no two files ever share a derived key.
pub(super) const SALT_BYTES: usize = 16;

/// As ChaCha20-Poly1305 has it. The derived key is new with every salt, so no nonce meets one twice.
pub(super) const NONCE_BYTES: usize = 12;

const SEED_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// The sealed seed with its tag.
pub(super) const SEALED_BYTES: usize = SEED_BYTES + TAG_BYTES;

/// What deriving the key from the passphrase costs, for us as for whoever guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealingCost {
    /// Working memory in KiB.
    pub memory_kib: u32,
    /// How often the memory is gone through.
    pub passes: u32,
    /// How many parts of the memory could be worked on at once.
    pub lanes: u32,
}

impl SealingCost {
    /// The most memory a file may ask for: 1 GiB.
    pub const MAX_MEMORY_KIB: u32 = 1 << 20;
    /// The most lanes a file may ask for.
    pub const MAX_LANES: u32 = 16;
    /// The most KiB a file may have written over all passes, 4 GiB: some seconds.
    pub const MAX_WRITTEN_KIB: u64 = 4 << 20;

    /// Checks the bounds.
    ///
    /// # Errors
    /// [`KeystoreError::Cost`], naming the parameter.
    pub fn check(self) -> Result<(), KeystoreError> {
        let Self { memory_kib, passes, lanes } = self;
        let reason = if lanes == 0 || lanes > Self::MAX_LANES {
            format!("{lanes} lanes are not between 1 and {}", Self::MAX_LANES)
        } else if memory_kib < 8 * lanes || memory_kib > Self::MAX_MEMORY_KIB {
            let least = 8 * lanes;
            format!("memory_kib {memory_kib} is not between {least} and {}", Self::MAX_MEMORY_KIB)
        } else if passes == 0 || u64::from(memory_kib) * u64::from(passes) > Self::MAX_WRITTEN_KIB {
            format!("{passes} passes over {memory_kib} KiB are none, or too many")
        } else {
            return Ok(());
        };
        Err(KeystoreError::Cost { reason })
    }
}

/// RFC 9106's second recommendation, for machines without gigabytes to spare: about 0.1 s.
impl Default for SealingCost {
    fn default() -> Self {
        Self { memory_kib: 64 << 10, passes: 3, lanes: 1 }
    }
}

/// The key that a passphrase gives with a salt.
pub(super) fn derive(
    passphrase: &Passphrase,
    salt: &[u8; SALT_BYTES],
    cost: SealingCost,
) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    cost.check()?;
    let SealingCost { memory_kib, passes, lanes } = cost;
    let refused = |error: argon2::Error| KeystoreError::Cost { reason: error.to_string() };
    let parameters = Params::new(memory_kib, passes, lanes, Some(32)).map_err(refused)?;
    let mut memory = Zeroizing::new(Vec::new());
    memory
        .try_reserve_exact(parameters.block_count())
        .map_err(|_| KeystoreError::OutOfMemory { memory_kib })?;
    memory.resize(parameters.block_count(), Block::new());
    let mut derived = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
        .hash_password_into_with_memory(
            passphrase.as_bytes(),
            salt,
            &mut *derived,
            memory.as_mut_slice(),
        )
        .map_err(refused)?;
    Ok(derived)
}

/// Seals a seed; `readable` is authenticated with it.
pub(super) fn seal(
    seed: &[u8; SEED_BYTES],
    key: &[u8; 32],
    nonce: &[u8; NONCE_BYTES],
    readable: &[u8],
) -> [u8; SEALED_BYTES] {
    let mut sealed = [0; SEALED_BYTES];
    let (body, tag) = sealed.split_at_mut(SEED_BYTES);
    body.copy_from_slice(seed);
    let made = cipher(key)
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(*nonce), Aad::from(readable), body)
        .expect("32 bytes are not too long for the cipher");
    tag.copy_from_slice(made.as_ref());
    sealed
}

/// Opens what [`seal`] made; nothing if key, nonce, readable part or sealed bytes differ.
pub(super) fn open(
    sealed: &[u8; SEALED_BYTES],
    key: &[u8; 32],
    nonce: &[u8; NONCE_BYTES],
    readable: &[u8],
) -> Option<Zeroizing<[u8; SEED_BYTES]>> {
    let mut bytes = Zeroizing::new(*sealed);
    let opened = cipher(key)
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(readable),
            bytes.as_mut_slice(),
        )
        .ok()?;
    let mut seed = Zeroizing::new([0; SEED_BYTES]);
    seed.copy_from_slice(opened);
    Some(seed)
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key).expect("the cipher's keys have 32 bytes");
    LessSafeKey::new(key)
}
