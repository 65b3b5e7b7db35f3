//! Who the validators are, as the transport has to know them: from the genesis, and then from the
//! register of the beacon.
//!
//! Whoever serves in an epoch is known from the announcement of that epoch to the end of the next
//! one: its shards may still close, and others fetch their ends from it. So is a transport key that
//! was replaced.

use qcn_ledger::{Beacon, RegisteredValidator};
use qcn_types::{Epoch, ValidatorIndex};

use super::known_validators;
use crate::genesis::Genesis;
use crate::transport::KnownValidator;

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
}

impl Roster {
    /// Those of the genesis: nothing else is known at a start.
    pub(super) fn new(genesis: &Genesis) -> Self {
        Self { epoch: Epoch(0), now: known_validators(genesis), before: Vec::new() }
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
