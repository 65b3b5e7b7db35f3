//! Who the validators are, as the transport has to know them: from the genesis, and then from the
//! register of the beacon.
//!
//! Whoever serves in an epoch is known from the announcement of that epoch to the end of the next
//! one: its shards may still close, and others fetch their ends from it. So is a transport key that
//! was replaced.
//!
//! It is kept in the data folder: after a restart the validators of the genesis may all be gone.

use std::fs;
use std::path::{Path, PathBuf};

use qcn_crypto::PublicKey;
use qcn_ledger::{Beacon, RegisteredValidator};
use qcn_types::{Epoch, ValidatorIndex};

use super::known_validators;
use crate::document::{Overwrite, Readers, write_file};
use crate::genesis::Genesis;
use crate::transport::KnownValidator;

const FILE: &str = "validators";

/// What the register says for an epoch.
pub(super) struct Registered {
    epoch: Epoch,
    validators: Vec<KnownValidator>,
}

impl Registered {
    pub(super) fn of(state: &Beacon) -> Self {
        Self { epoch: state.plan().epoch, validators: state.register().flat_map(known).collect() }
    }
}

/// The validators that may be linked to.
pub(super) struct Roster {
    epoch: Epoch,
    now: Vec<KnownValidator>,
    before: Vec<KnownValidator>,
    file: PathBuf,
}

impl Roster {
    /// Those that a data folder remembers; those of the genesis, if it remembers nothing.
    pub(super) fn open(genesis: &Genesis, folder: &Path) -> Self {
        let file = folder.join(FILE);
        let (epoch, now, before) = match fs::read(&file).map(|bytes| borsh::from_slice(&bytes)) {
            Ok(Ok((epoch, now, before))) => (epoch, unpack(now), unpack(before)),
            Ok(Err(error)) => {
                tracing::warn!(%error, "{} is damaged: it is made anew", file.display());
                (Epoch(0), known_validators(genesis), Vec::new())
            }
            Err(_) => (Epoch(0), known_validators(genesis), Vec::new()),
        };
        Self { epoch, now, before, file }
    }

    /// Remembers them in the data folder.
    pub(super) fn keep(&self) {
        let bytes = qcn_types::encode(&(self.epoch, pack(&self.now), pack(&self.before)));
        if let Err(error) = write_file(&self.file, &bytes, Readers::Everyone, Overwrite::Replace) {
            tracing::warn!(%error, "who the validators are is not kept");
        }
    }

    /// Takes in what the register says. Says whether that is new.
    pub(super) fn update(&mut self, registered: Registered) -> bool {
        let Registered { epoch, validators } = registered;
        if epoch < self.epoch || (epoch == self.epoch && validators == self.now) {
            return false;
        }
        let now = std::mem::replace(&mut self.now, validators);
        if epoch.0 == self.epoch.0 + 1 {
            self.before = now;
        } else if epoch > self.epoch {
            self.before.clear();
        }
        self.epoch = epoch;
        true
    }

    /// All of them; one whose key is being replaced is there more than once.
    pub(super) fn all(&self) -> Vec<KnownValidator> {
        let before = self.before.iter().filter(|before| {
            let is_same =
                |now: &&KnownValidator| now.index == before.index && now.key == before.key;
            !self.now.iter().any(|now| is_same(&now))
        });
        self.now.iter().chain(before).cloned().collect()
    }

    /// One of them, as the register has it.
    pub(super) fn get(&self, validator: ValidatorIndex) -> Option<&KnownValidator> {
        self.now.iter().find(|known| known.index == validator)
    }
}

type Packed = Vec<(u16, String, PublicKey, Option<String>)>;

fn pack(known: &[KnownValidator]) -> Packed {
    let pack = |known: &KnownValidator| {
        let KnownValidator { index, name, key, address } = known.clone();
        (index.0, name, key, address)
    };
    known.iter().map(pack).collect()
}

fn unpack(packed: Packed) -> Vec<KnownValidator> {
    let unpack = |(index, name, key, address)| {
        let index = ValidatorIndex(index);
        KnownValidator { index, name, key, address }
    };
    packed.into_iter().map(unpack).collect()
}

/// A validator of the register, with the key that will replace the present one as well.
fn known(validator: &RegisteredValidator) -> impl Iterator<Item = KnownValidator> {
    let identity = &validator.identity;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let index = u16::try_from(validator.number).ok().map(ValidatorIndex);
    let keys = std::iter::once(&identity.transport).chain(&validator.next.transport);
    let known = keys.filter_map(move |key| {
        Some(KnownValidator {
            index: index?,
            name: text(&identity.name),
            key: key.clone(),
            address: identity.address.as_ref().map(|address| text(address)),
        })
    });
    known.collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use qcn_crypto::{Scheme, SigningKey};

    use super::*;
    use crate::testing::TestFolder;

    fn known(index: u16, key: &SigningKey) -> KnownValidator {
        KnownValidator {
            index: ValidatorIndex(index),
            name: format!("v{index}"),
            key: key.public_key().clone(),
            address: None,
        }
    }

    fn indices(roster: &Roster) -> Vec<u16> {
        roster.all().iter().map(|known| known.index.0).collect()
    }

    /// Who leaves is known for one epoch more, and a key that is replaced as well; after epochs
    /// that were missed only the newest register counts. A restart changes nothing.
    #[test]
    fn who_leaves_and_what_is_replaced_is_known_for_one_epoch_more() {
        let folder = TestFolder::new();
        let keys: Vec<SigningKey> =
            (0..4).map(|_| SigningKey::generate(Scheme::MlDsa65).unwrap()).collect();
        let file = folder.path().join(FILE);
        let mut roster = Roster { epoch: Epoch(3), now: Vec::new(), before: Vec::new(), file };
        let of = |epoch, validators: &[(u16, usize)]| Registered {
            epoch: Epoch(epoch),
            validators: validators.iter().map(|(index, key)| known(*index, &keys[*key])).collect(),
        };
        assert!(roster.update(of(3, &[(0, 0), (1, 1)])));
        assert!(!roster.update(of(3, &[(0, 0), (1, 1)])), "nothing is new");
        assert!(roster.update(of(4, &[(0, 2)])), "one has left, the other has another key");
        assert_eq!(indices(&roster), [0, 0, 1]);
        assert_eq!(roster.all()[0].key, *keys[2].public_key(), "the new key comes first");
        assert!(!roster.update(of(3, &[(0, 0), (1, 1)])), "an earlier register is old");

        roster.keep();
        let packed = borsh::from_slice(&fs::read(&roster.file).unwrap()).unwrap();
        let (epoch, now, before): (Epoch, Packed, Packed) = packed;
        assert_eq!(
            (epoch, unpack(now), unpack(before)),
            (roster.epoch, roster.now.clone(), roster.before.clone())
        );

        assert!(roster.update(of(5, &[(0, 2)])));
        assert_eq!(indices(&roster), [0], "the old key and who has left are forgotten");
        assert!(roster.update(of(8, &[(0, 2), (2, 3)])));
        assert_eq!(indices(&roster), [0, 2]);
    }
}
