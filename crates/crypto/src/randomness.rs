//! Randomness: a stream that a seed decides, and the operating system's.

use blake3::OutputReader;
use fn_dsa::{CryptoRng, RngCore, RngError};
use zeroize::Zeroize;

/// How much of the stream is computed ahead; BLAKE3 makes several blocks at once.
const BUFFER_BYTES: usize = 512;

/// An endless stream of bytes that its seed decides, the same on every machine.
///
/// It is BLAKE3 in its extendable-output form, keyed with the seed. Simulations
/// draw everything from it, and keys are expanded with it.
#[derive(Clone)]
pub struct SeededRandomness {
    stream: OutputReader,
    buffer: [u8; BUFFER_BYTES],
    used: usize,
}

impl SeededRandomness {
    /// The stream of a 32-byte seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self::labelled(seed, "")
    }

    /// The stream of a number and a label; different labels give unrelated streams.
    pub fn from_u64(seed: u64, label: &str) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Self::labelled(&key, label)
    }

    /// The stream of a seed and a label; the empty label is [`Self::from_seed`].
    pub fn labelled(seed: &[u8; 32], label: &str) -> Self {
        let stream = blake3::Hasher::new_keyed(seed)
            .update(b"qcn/v1/randomness/")
            .update(label.as_bytes())
            .finalize_xof();
        Self { stream, buffer: [0; BUFFER_BYTES], used: BUFFER_BYTES }
    }

    /// Fills `bytes` with the next bytes of the stream.
    pub fn fill(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            if self.used == BUFFER_BYTES {
                self.stream.fill(&mut self.buffer);
                self.used = 0;
            }
            let ready = &self.buffer[self.used..];
            let count = ready.len().min(bytes.len());
            let (now, later) = bytes.split_at_mut(count);
            now.copy_from_slice(&ready[..count]);
            self.used += count;
            bytes = later;
        }
    }

    /// The next eight bytes as a number.
    pub fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A number below `bound`, each with exactly the same chance.
    ///
    /// # Panics
    /// If `bound` is 0: no number is below it.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "no number is below 0");
        // The 128-bit product of a random word and the bound has the answer in
        // its upper half. The lowest `2^64 mod bound` lower halves would make
        // some answers likelier, so those words are drawn again.
        let surplus = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            let (upper, lower) = ((product >> 64) as u64, product as u64);
            if lower >= surplus {
                return upper;
            }
        }
    }
}

/// The buffer holds bytes that may become a key.
impl Drop for SeededRandomness {
    fn drop(&mut self) {
        self.buffer.zeroize();
        self.stream.zeroize();
    }
}

impl std::fmt::Debug for SeededRandomness {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SeededRandomness(..)")
    }
}

/// Gives a [`SeededRandomness`] to the signature libraries, which ask for this trait.
pub(crate) struct SeededSource<'a>(pub &'a mut SeededRandomness);

impl RngCore for SeededSource<'_> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), RngError> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl CryptoRng for SeededSource<'_> {}

/// The operating system gave no entropy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntropyError;

/// Fills `bytes` from the operating system.
#[expect(clippy::disallowed_methods, reason = "the one place where entropy is drawn")]
pub(crate) fn fill_from_system(bytes: &mut [u8]) -> Result<(), EntropyError> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| EntropyError)
}

/// A stream that a fresh seed of the operating system decides: for one signature.
pub(crate) fn fresh_randomness() -> Result<SeededRandomness, EntropyError> {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    fill_from_system(&mut *seed)?;
    Ok(SeededRandomness::from_seed(&seed))
}

#[cfg(test)]
mod tests;
