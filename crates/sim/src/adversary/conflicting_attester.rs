//! Attests two different checkpoints for one height, in two blocks.

use qcn_crypto::Digest;
use qcn_shard::Output;
use qcn_types::{Attestation, Bounded};

use super::{Behaviour, Hands, own_broadcast};

/// What it attested truthfully and will contradict.
#[derive(Debug, Default)]
pub(super) struct ConflictingAttester {
    attested: Option<Attestation>,
    contradicted: bool,
}

impl Behaviour for ConflictingAttester {
    fn output(&mut self, mut output: Output, hands: &mut Hands<'_>) {
        if let Output::SignBlock(body) = &mut output {
            let mut attestations = body.attestations.to_vec();
            if let Some(attested) = self.attested.take() {
                let checkpoint = Digest([0x66; 32]);
                let contradiction = Attestation { height: attested.height, checkpoint };
                attestations.retain(|other| other.height != contradiction.height);
                attestations.push(contradiction);
                attestations.sort_unstable_by_key(|attestation| attestation.height);
                self.contradicted = true;
            } else {
                self.attested = attestations.first().copied();
            }
            body.attestations = Bounded::truncated(attestations);
        }
        if self.contradicted && own_broadcast(&output, hands.own).is_some() {
            hands.offend();
        }
        hands.emit(output);
    }
}
