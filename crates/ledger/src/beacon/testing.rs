//! A beacon whose validators say what a test wants. Execution does not look at signatures, so only
//! keys and evidence are real.

use std::sync::LazyLock;

use qcn_crypto::{HashChain, PublicKey, Scheme, SeededRandomness, Signature, SigningKey};
use qcn_types::{
    Block, BlockBody, BlockHeader, Bounded, Certificate, Checkpoint, Delivery, Epoch, EpochPlan,
    Evidence, Height, KeyRotation, LaneEnd, LaneHead, Layout, Payload, ProvenKey, Registration,
    Report, ReportedOffence, RotationBody, Round, ShardId, ValidatorIndex, Weight, genesis_ref,
    outbox_root, outbox_tree,
};

use super::{
    Beacon, BeaconGenesis, BeaconParameters, Founder, Identity, Ignored, KeySchemes,
    RegisteredValidator,
};
use crate::testing::{CHAIN, digest, signing_key};
use crate::{Execution, Ledger};

static SIGNERS: LazyLock<Vec<SigningKey>> =
    LazyLock::new(|| (1..=24).map(|seed| signing_key(Scheme::Falcon512, seed)).collect());

pub(super) const EPOCH_MS: u64 = 1_000;

/// The consensus key of a founder, or of whoever comes later.
pub(super) fn consensus_key(number: u32) -> PublicKey {
    SIGNERS[number as usize].public_key().clone()
}

/// A transport key that nobody holds.
pub(super) fn transport_key(number: u32) -> PublicKey {
    let mut bytes = vec![0; Scheme::MlDsa65.public_key_bytes()];
    SeededRandomness::from_seed(&[number as u8; 32]).fill(&mut bytes);
    PublicKey::new(Scheme::MlDsa65, &bytes).unwrap()
}

/// A recovery key that nobody holds.
fn recovery_key(number: u32) -> PublicKey {
    let bytes: Vec<u8> = (0..32).map(|place| place + number as u8).collect();
    PublicKey::new(Scheme::SlhDsaSha2_128f, &bytes).unwrap()
}

pub(super) fn chain(number: u32) -> HashChain {
    HashChain::new(&[number as u8; 32], 100).unwrap()
}

pub(super) fn identity(number: u32) -> Identity {
    Identity {
        name: Bounded::truncated(format!("validator {number}").into_bytes()),
        consensus: consensus_key(number),
        transport: transport_key(number),
        recovery: Some(recovery_key(number)),
        anchor: chain(number).anchor(),
        address: Some(Bounded::truncated(b"example.org:4000".to_vec())),
    }
}

pub(super) fn parameters() -> BeaconParameters {
    BeaconParameters {
        seats: 4,
        epoch_ms: EPOCH_MS,
        shards_max: 4,
        split_above: 100,
        merge_below: 30,
        schemes: KeySchemes::all(),
    }
}

/// Validators 0, 1, 2, ... of weight 10.
pub(super) fn genesis(validators: u32, shards: usize) -> BeaconGenesis {
    let founder = |number| Founder { identity: identity(number), weight: Weight(10) };
    BeaconGenesis {
        parameters: parameters(),
        seed: digest("seed"),
        layout: Layout::even(shards).unwrap(),
        validators: (0..validators).map(founder).collect(),
    }
}

/// Somebody with the keys of this number.
pub(super) fn registration(number: u32) -> Registration {
    let Identity { name, consensus, transport, recovery, anchor, address } = identity(number);
    let unproven = |key| ProvenKey { key, possession: Signature::new([]).unwrap() };
    Registration {
        name,
        consensus: unproven(consensus),
        transport: unproven(transport),
        recovery: recovery.map(unproven),
        weight: Weight(10),
        anchor,
        address,
    }
}

/// A rotation to the consensus key of number `to`.
pub(super) fn rotation(number: u32, counter: u64, to: u32) -> KeyRotation {
    let body = RotationBody {
        number,
        counter,
        consensus: Some(consensus_key(to)),
        transport: None,
        anchor: None,
        recovery: recovery_key(number),
    };
    let nothing = Signature::new([]).unwrap();
    KeyRotation { body, consensus_possession: None, transport_possession: None, signature: nothing }
}

pub(super) fn certified(checkpoint: Checkpoint) -> Report {
    Report::Checkpoint(Certificate { checkpoint, attestations: Bounded::default() })
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) ledger: Ledger,
    pub(super) time_ms: u64,
    height: u64,
    executed: u64,
}

impl World {
    pub(super) fn new(validators: u32, shards: usize) -> Self {
        Self::of(&genesis(validators, shards))
    }

    pub(super) fn of(genesis: &BeaconGenesis) -> Self {
        let (ledger, plan) = Ledger::beacon_genesis(CHAIN, genesis).unwrap();
        assert_eq!(&plan, &**ledger.beacon().unwrap().plan());
        Self { ledger, time_ms: 5_000_000, height: 0, executed: 0 }
    }

    pub(super) fn beacon(&self) -> &Beacon {
        self.ledger.beacon().unwrap()
    }

    pub(super) fn plan(&self) -> EpochPlan {
        EpochPlan::clone(self.beacon().plan())
    }

    pub(super) fn validator(&self, number: u32) -> &RegisteredValidator {
        self.beacon().validator(number).unwrap()
    }

    /// The numbers with a seat in the epoch.
    pub(super) fn seated(&self) -> Vec<u32> {
        self.plan().validators.iter().map(|it| it.number).collect()
    }

    pub(super) fn weight(&self, number: u32) -> Option<Weight> {
        let plan = self.plan();
        plan.validators.iter().find(|it| it.number == number).map(|it| it.weight)
    }

    fn member(&self, number: u32) -> ValidatorIndex {
        let plan = self.plan();
        let position = plan.validators.iter().position(|it| it.number == number);
        ValidatorIndex(position.unwrap_or(usize::from(u16::MAX)) as u16)
    }

    /// One execution at the time of the world.
    pub(super) fn execute(&mut self, payloads: &[(u32, Payload)]) -> Execution {
        let authors: Vec<_> = payloads.iter().map(|(number, _)| self.member(*number)).collect();
        let payloads = authors.into_iter().zip(payloads.iter().map(|(_, payload)| payload));
        self.ledger.execute_commit(payloads, self.time_ms)
    }

    /// One execution with one report.
    pub(super) fn report(&mut self, number: u32, report: Report) -> Result<(), Ignored> {
        let verdict = self.ledger.admit_report(self.member(number), &report);
        let root = self.ledger.state_root();
        let started = self.beacon().started_ms();
        let reports = Bounded::truncated(vec![report]);
        self.execute(&[(number, Payload { reports, ..Payload::default() })]);
        if verdict.is_err() && started.is_some() {
            assert_eq!(self.ledger.state_root(), root, "what is ignored changes nothing");
        }
        if verdict.is_ok() {
            assert_ne!(self.ledger.state_root(), root, "what is taken changes something");
        }
        verdict
    }

    pub(super) fn reports(&mut self, numbers: &[u32], report: &Report) {
        for number in numbers {
            self.report(*number, report.clone()).unwrap();
        }
    }

    /// Somebody whose reports are taken, if there is anybody.
    pub(super) fn speaker(&self) -> u32 {
        let seated = self.seated();
        let mut heard = seated.iter().filter(|number| !self.validator(**number).is_isolated());
        heard.next().copied().unwrap_or(0)
    }

    /// A checkpoint of a shard in this epoch, above all others.
    pub(super) fn checkpoint(&mut self, shard: ShardId) -> Checkpoint {
        self.height += 1;
        Checkpoint {
            shard,
            epoch: self.plan().epoch,
            height: Height(self.height),
            time_ms: self.time_ms,
            executed: self.executed,
            ..Checkpoint::default()
        }
    }

    /// Reports a checkpoint of every shard.
    pub(super) fn all_shards_report(&mut self) {
        let author = self.speaker();
        for (_, shard) in self.plan().layout.shards() {
            let checkpoint = self.checkpoint(*shard);
            self.report(author, certified(checkpoint)).unwrap();
        }
    }

    /// Ends the epoch, in which every shard has executed so much per second in its first half.
    pub(super) fn end_epoch_under(&mut self, load: impl Fn(ShardId) -> u64) -> EpochPlan {
        let author = self.speaker();
        self.execute(&[]);
        self.all_shards_report();
        self.time_ms += EPOCH_MS / 2;
        for (_, shard) in self.plan().layout.shards() {
            let mut checkpoint = self.checkpoint(*shard);
            checkpoint.executed += load(*shard) * (EPOCH_MS / 2) / 1_000;
            self.report(author, certified(checkpoint)).unwrap();
        }
        self.executed += 1_000_000;
        self.end_due_epoch(EPOCH_MS / 2)
    }

    /// Ends the epoch without measurable load.
    pub(super) fn end_epoch(&mut self) -> EpochPlan {
        self.execute(&[]);
        self.all_shards_report();
        self.end_due_epoch(EPOCH_MS)
    }

    fn end_due_epoch(&mut self, rest_ms: u64) -> EpochPlan {
        let epoch = self.plan().epoch;
        self.time_ms += rest_ms;
        let closes = self.execute(&[]).closes;
        let plan = self.plan();
        assert_eq!(closes.as_deref(), Some(&plan), "the execution says that the epoch ends");
        assert_eq!(plan.epoch, Epoch(epoch.0 + 1));
        plan
    }
}

/// Two blocks in one slot of a member of a committee, signed with the key of `signer`.
pub(super) fn equivocation(shard: ShardId, epoch: Epoch, member: u16, signer: u32) -> Evidence {
    let block = |time_ms| {
        let body = BlockBody {
            chain: CHAIN,
            shard,
            epoch,
            round: Round(3),
            author: ValidatorIndex(member),
            time_ms,
            parents: vec![],
            payload: Payload::default(),
            attestations: Bounded::default(),
        };
        signed(body, signer)
    };
    Evidence::equivocation(&block(1), &block(2))
}

/// The first block of the first member of a committee of four, with a delivery to `peer`.
pub(super) fn carrier(shard: ShardId, epoch: Epoch, signer: u32, peer: ShardId) -> Block {
    let (sent, received) = (LaneHead::default(), LaneHead::default());
    let ends = [LaneEnd { own: ShardId(7), peer, sent, received }];
    let checkpoint = Checkpoint {
        shard: ShardId(7),
        epoch,
        outbox_root: outbox_root(&ends),
        ..Checkpoint::default()
    };
    let delivery = Delivery {
        certificate: Certificate { checkpoint, attestations: Bounded::default() },
        end: ends[0],
        inclusion: outbox_tree(&ends).prove(0).unwrap(),
        before: sent,
        batches: Bounded::default(),
        links: Bounded::default(),
    };
    let deliveries = Bounded::truncated(vec![delivery]);
    let members = (0..4).map(ValidatorIndex);
    let body = BlockBody {
        chain: CHAIN,
        shard,
        epoch,
        round: Round(1),
        author: ValidatorIndex(0),
        time_ms: 1,
        parents: members.map(|member| genesis_ref(CHAIN, shard, epoch, member)).collect(),
        payload: Payload { deliveries, ..Payload::default() },
        attestations: Bounded::default(),
    };
    signed(body, signer)
}

fn signed(body: BlockBody, signer: u32) -> Block {
    let digest = body.digest();
    let mut randomness = SeededRandomness::from_seed(digest.as_bytes());
    let context = BlockHeader::signing_context(CHAIN);
    let signature =
        SIGNERS[signer as usize].sign_seeded(&context, digest.as_bytes(), &mut randomness);
    Block { body, signature: signature.unwrap() }
}

pub(super) fn offence(shard: ShardId, epoch: Epoch, member: u16, signer: u32) -> Report {
    let evidence = equivocation(shard, epoch, member, signer);
    Report::Offence(Box::new(ReportedOffence { shard, epoch, evidence }))
}
