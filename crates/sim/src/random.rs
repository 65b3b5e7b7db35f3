//! The simulator's own stream of random numbers: fast, integer only, decided by the seed.
//!
//! It is xoshiro256++ (Blackman and Vigna, 2018), seeded from
//! [`SeededRandomness`]. It drives delays and faults only;
//! keys and signatures draw from the cryptographic stream itself.

use qcn_crypto::SeededRandomness;

/// One million: the denominator of probabilities, which are given in parts of it.
pub const MILLION: u64 = 1_000_000;

/// A stream of random numbers that its seed and label decide.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The stream of a seed and a label; different labels give unrelated streams.
    #[must_use]
    pub fn new(seed: u64, label: &str) -> Self {
        let mut source = SeededRandomness::from_u64(seed, label);
        let mut state = [0; 4];
        for word in &mut state {
            *word = source.next_u64();
        }
        // The all-zero state would stay zero for ever.
        state[0] |= 1;
        Self { state }
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// A number below `bound`; 0 if the bound is 0. The bias is below 2^-32 for bounds that
    /// a simulation uses.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// Whether something happens that does so in `per_million` of a million cases.
    pub fn chance(&mut self, per_million: u64) -> bool {
        per_million > 0 && self.below(MILLION) < per_million
    }

    /// Puts items into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }

    /// One of the items, or nothing if there is none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len() as u64) as usize)
    }
}

#[cfg(test)]
mod tests;
