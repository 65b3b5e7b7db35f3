//! The hash chains from which a validator reveals one value an epoch (DESIGN section 7).
//!
//! A chain follows from the consensus key, so there is no further secret to keep, and whoever has
//! lost its disk goes on with the same chain. It is bound to the validator's name: whoever uses a
//! consensus key in two networks under one name tells in one of them what it will reveal in the
//! other. Once a chain is almost used up the next one of the key is registered.

use qcn_crypto::{Digest, Domain, HashChain, SigningKey, hash};
use qcn_types::encode;

/// How many values a chain has: hourly epochs use one up in seven years.
const VALUES: u32 = 1 << 16;

/// A chain with so few values left is followed by the next one.
const LAST_VALUES: u32 = 64;

/// The most chains of one key.
const MAX_CHAINS: u32 = 8;

/// A validator's chain in use.
#[derive(Debug)]
pub(crate) struct Reveals {
    consensus: SigningKey,
    name: String,
    number: u32,
    chain: HashChain,
    /// What was looked for in vain last: it costs all chains.
    unknown: Option<Digest>,
}

impl Reveals {
    /// The chains of a key, from the first one on.
    pub(crate) fn new(consensus: &SigningKey, name: &str) -> Self {
        let chain = chain(consensus, name, 0);
        let (consensus, name) = (consensus.clone(), name.to_owned());
        Self { consensus, name, number: 0, chain, unknown: None }
    }

    /// The end of the first chain, which is registered.
    pub(crate) fn anchor(consensus: &SigningKey, name: &str) -> Digest {
        chain(consensus, name, 0).anchor()
    }

    /// What is revealed after `known`, the last value that the beacon knows; nothing if that is of
    /// none of the chains, or if the chain ends there.
    pub(crate) fn after(&mut self, known: &Digest) -> Option<Digest> {
        self.find(known).and_then(|so_far| self.chain.reveal(so_far))
    }

    /// The end of the next chain, once the one that `known` is of is almost used up.
    pub(crate) fn next_anchor(&mut self, known: &Digest) -> Option<Digest> {
        let so_far = self.find(known)?;
        let is_late = self.chain.length() - so_far <= LAST_VALUES;
        is_late.then(|| chain(&self.consensus, &self.name, self.number + 1).anchor())
    }

    fn find(&mut self, known: &Digest) -> Option<u32> {
        if let Some(so_far) = self.chain.revealed_up_to(known) {
            return Some(so_far);
        }
        if self.unknown == Some(*known) {
            return None;
        }
        // It was another chain's turn: of a key that has been at it for long.
        for number in (0..MAX_CHAINS).filter(|number| *number != self.number) {
            let chain = chain(&self.consensus, &self.name, number);
            if let Some(so_far) = chain.revealed_up_to(known) {
                (self.number, self.chain) = (number, chain);
                return Some(so_far);
            }
        }
        self.unknown = Some(*known);
        None
    }
}

fn chain(consensus: &SigningKey, name: &str, number: u32) -> HashChain {
    const SEED: &str = "seed of a hash chain";
    let seed = encode(&(SEED, consensus.expose_seed(), name, number));
    HashChain::new(&hash(Domain::Beacon, &seed).0, VALUES).expect("a length that may be")
}

#[cfg(test)]
mod tests {
    use qcn_crypto::{Scheme, hash_chain_link};

    use super::*;

    #[test]
    fn what_is_revealed_leads_to_what_was_registered_and_on_to_the_next_chain() {
        let key = SigningKey::from_seed(Scheme::Falcon512, &[7; 32]).unwrap();
        let mut reveals = Reveals::new(&key, "a");
        let mut known = Reveals::anchor(&key, "a");
        assert_ne!(known, Reveals::anchor(&key, "b"), "another name, another chain");
        for _ in 0..3 {
            let value = reveals.after(&known).unwrap();
            assert_eq!(hash_chain_link(&value), known);
            assert_eq!(reveals.next_anchor(&known), None);
            known = value;
        }
        let late = reveals.chain.reveal(VALUES - LAST_VALUES).unwrap();
        let next = reveals.next_anchor(&late).unwrap();
        let first = reveals.after(&next).unwrap();
        assert_eq!(hash_chain_link(&first), next);
        assert!(reveals.after(&late).is_some(), "and back, as after a restart");
        assert_eq!(Reveals::new(&key, "a").after(&Digest([1; 32])), None, "of nobody's chain");
    }
}
