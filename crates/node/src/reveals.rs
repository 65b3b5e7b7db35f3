//! The hash chains from which a validator reveals one value an epoch (DESIGN section 7).
//!
//! A chain follows from the consensus key, so there is no further secret to keep, and whoever has
//! lost its disk goes on with the same chain. It is bound to the validator's name: whoever uses a
//! consensus key in two networks under one name tells in one of them what it will reveal in the
//! other. Once a chain is almost used up the next one of the key is registered. A new consensus key
//! brings its own chain, and while it waits for its epoch there are two ([`OwnReveals`]).

use std::collections::BTreeMap;

use qcn_crypto::{Digest, Domain, HashChain, SigningKey, hash};
use qcn_types::encode;

/// How many values a chain has: hourly epochs use one up in seven years.
const VALUES: u32 = 1 << 16;

/// A chain with so few values left is followed by the next one.
const LAST_VALUES: u32 = 64;

/// The most chains of one key.
const MAX_CHAINS: u32 = 8;

/// What a validator reveals, whichever of its keys the chain in use is of.
#[derive(Debug)]
pub(crate) struct OwnReveals {
    keys: Vec<SigningKey>,
    /// Of each key that was needed: a chain costs as many hashes as it has values.
    made: BTreeMap<usize, Reveals>,
    /// The place of the key whose chain was in use last.
    last: usize,
}

impl OwnReveals {
    /// Of a validator that has these consensus keys. Nothing is computed yet.
    pub(crate) const fn new(keys: Vec<SigningKey>) -> Self {
        Self { keys, made: BTreeMap::new(), last: 0 }
    }

    /// Whether it has the consensus key of this digest.
    pub(crate) fn has_key(&self, digest: &Digest) -> bool {
        self.keys.iter().any(|key| key.public_key().digest() == *digest)
    }

    /// What a validator of this name reveals after `known`, as [`Reveals::after`] has it.
    pub(crate) fn after(&mut self, name: &str, known: &Digest) -> Option<Digest> {
        self.of_chain(name, known)?.after(known)
    }

    /// The end of the next chain, as [`Reveals::next_anchor`] has it.
    pub(crate) fn next_anchor(&mut self, name: &str, known: &Digest) -> Option<Digest> {
        self.of_chain(name, known)?.next_anchor(known)
    }

    /// The one whose chain `known` is of.
    fn of_chain(&mut self, name: &str, known: &Digest) -> Option<&mut Reveals> {
        self.made.retain(|_, reveals| reveals.name == name);
        let others = (0..self.keys.len()).filter(|place| *place != self.last);
        for place in std::iter::once(self.last).chain(others) {
            let key = self.keys.get(place)?;
            let reveals = self.made.entry(place).or_insert_with(|| Reveals::new(key, name));
            if reveals.find(known).is_some() {
                self.last = place;
                break;
            }
        }
        self.made.get_mut(&self.last)
    }
}

/// A validator's chain in use, of one key.
#[derive(Debug)]
pub(crate) struct Reveals {
    consensus: SigningKey,
    name: String,
    number: u32,
    chain: HashChain,
    /// What was looked for last, and how many values had been revealed then: it costs the chain.
    found: Option<(Digest, u32)>,
    /// What was looked for in vain last: it costs all chains.
    unknown: Option<Digest>,
}

impl Reveals {
    /// The chains of a key, from the first one on.
    pub(crate) fn new(consensus: &SigningKey, name: &str) -> Self {
        let chain = chain(consensus, name, 0);
        let (consensus, name) = (consensus.clone(), name.to_owned());
        Self { consensus, name, number: 0, chain, found: None, unknown: None }
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
        if self.unknown == Some(*known) {
            return None;
        }
        if let Some((_, so_far)) = self.found.filter(|(found, _)| found == known) {
            return Some(so_far);
        }
        let so_far = self.chain.revealed_up_to(known).or_else(|| self.find_in_others(known));
        match so_far {
            Some(so_far) => self.found = Some((*known, so_far)),
            None => self.unknown = Some(*known),
        }
        so_far
    }

    /// It was another chain's turn: of a key that has been at it for long.
    fn find_in_others(&mut self, known: &Digest) -> Option<u32> {
        for number in (0..MAX_CHAINS).filter(|number| *number != self.number) {
            let chain = chain(&self.consensus, &self.name, number);
            if let Some(so_far) = chain.revealed_up_to(known) {
                (self.number, self.chain) = (number, chain);
                return Some(so_far);
            }
        }
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

    /// Given a validator with its present key and the next one.
    /// When the register goes on with the chain of the next key, and back.
    /// Then it reveals of whichever chain it is; what is of neither is not revealed.
    #[test]
    fn whichever_key_a_chain_is_of_it_is_revealed() {
        let [old, new] =
            [7, 8].map(|seed| SigningKey::from_seed(Scheme::Falcon512, &[seed; 32]).unwrap());
        let mut own = OwnReveals::new(vec![old.clone(), new.clone()]);
        assert!(own.made.is_empty(), "nobody has asked yet");
        for key in [&old, &new, &old] {
            let anchor = Reveals::anchor(key, "a");
            let value = own.after("a", &anchor).unwrap();
            assert_eq!(hash_chain_link(&value), anchor);
            assert_eq!(own.next_anchor("a", &value), None);
            assert_eq!(own.after("b", &anchor), None, "that of another name");
        }
        assert!(own.has_key(&new.public_key().digest()) && !own.has_key(&Digest::ZERO));
        assert_eq!(OwnReveals::new(Vec::new()).after("a", &Digest::ZERO), None);
    }
}
