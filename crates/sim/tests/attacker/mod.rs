//! An attacker with a large quantum computer.
//!
//! It runs Shor's algorithm, so it signs for every classical key, and Grover's, so `2^k` steps
//! find a preimage among `2^(2k)` candidates. Its successes on what it should break are real:
//! the searches are done, on digests short enough to be searched here.

use qcn_crypto::{Domain, SeededRandomness, hash};
use qcn_types::TransactionBody;

/// The attacker.
pub struct QuantumAttacker {
    randomness: SeededRandomness,
}

impl QuantumAttacker {
    /// An attacker whose choices come from a seed.
    pub fn new(seed: u64) -> Self {
        Self { randomness: SeededRandomness::from_u64(seed, "attacker") }
    }

    /// The base-2 logarithm of the chance that `2^budget_log2` Grover steps find a preimage of a
    /// digest of `bits`: about 4 * steps^2 / 2^bits while that is small (Boyer et al. 1998).
    pub fn preimage_chance_log2(budget_log2: u32, bits: u32) -> f64 {
        (2.0 + 2.0 * f64::from(budget_log2) - f64::from(bits)).min(0.0)
    }

    /// Shows that the attacker is one: it finds preimages of digests cut to 16 bits, with the
    /// number of trials that 2^8 Grover steps stand for, and signs for a classical key.
    pub fn breaks_what_it_should(&mut self) {
        assert!(Self::preimage_chance_log2(8, 16) >= 0.0);
        let target = hash(Domain::Block, b"genuine").0;
        let found = (0_u64..1 << 22).find(|candidate| {
            let digest = hash(Domain::Block, &candidate.to_le_bytes()).0;
            digest[..2] == target[..2]
        });
        let found = found.expect("sixteen bits are searched");
        assert_ne!(&found.to_le_bytes()[..], b"genuine");
        assert_ne!(hash(Domain::Block, &found.to_le_bytes()).0, target, "256 bits are not");

        // Textbook RSA with a modulus that this machine factors, as Shor's algorithm any.
        let (modulus, exponent) = (3_233_u64, 17_u64);
        let factor = (2..modulus).find(|factor| modulus.is_multiple_of(*factor));
        let factor = factor.expect("a composite modulus");
        let order = (factor - 1) * (modulus / factor - 1);
        let secret = (1..order).find(|secret| secret * exponent % order == 1);
        let secret = secret.expect("an invertible exponent");
        let message = 65;
        let forged = power(message, secret, modulus);
        assert_eq!(power(forged, exponent, modulus), message, "the classical key is broken");
    }

    /// A transaction with a forged key and signature under some scheme byte: 32 and 64 bytes as
    /// Ed25519 has them, or as many as the scheme asks for.
    pub fn forge_transaction(&mut self, scheme_byte: u8, body: &TransactionBody) -> Vec<u8> {
        let scheme = qcn_crypto::Scheme::ALL.iter().find(|scheme| **scheme as u8 == scheme_byte);
        let (key_bytes, signature_bytes) =
            scheme.map_or((32, 64), |scheme| (scheme.public_key_bytes(), scheme.signature_bytes()));
        let mut key = vec![0; key_bytes];
        let mut signature = vec![0; signature_bytes];
        self.randomness.fill(&mut key);
        self.randomness.fill(&mut signature);
        let mut bytes = qcn_types::encode(body);
        bytes.push(scheme_byte);
        bytes.extend_from_slice(&key);
        bytes.extend_from_slice(&qcn_types::encode(&signature));
        bytes
    }
}

fn power(base: u64, exponent: u64, modulus: u64) -> u64 {
    (0..exponent).fold(1, |product, _| product * base % modulus)
}
