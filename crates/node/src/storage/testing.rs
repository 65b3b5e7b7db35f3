//! A committee that signs, blocks and snapshots of it, and folders that go away.

pub(crate) mod memory;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use qcn_consensus::CommitRecord;
use qcn_crypto::{ChainId, Digest, Domain, Scheme, SeededRandomness, SigningKey, hash};
use qcn_ledger::{GenesisAccount, Ledger, Territory};
use qcn_shard::{Record, SyncPackage};
use qcn_types::{
    Address, Amount, Attestation, AttestationProof, AuthorSet, Block, BlockBody, BlockHeader,
    BlockRef, Bounded, Certificate, Checkpoint, Committee, CommitteeKeys, Epoch, EpochPlan, Height,
    Layout, Member, Payload, Round, ShardId, ValidatorIndex, VerifiedBlock, Weight, decode, encode,
    genesis_ref,
};

use super::StoreIdentity;

pub(crate) const CHAIN: ChainId = ChainId(Digest([7; 32]));
const SHARD: ShardId = ShardId(3);
const EPOCH: Epoch = Epoch(5);
/// Whose store it is.
pub(crate) const OWN: ValidatorIndex = ValidatorIndex(1);
/// Who else makes blocks.
pub(crate) const OTHER: ValidatorIndex = ValidatorIndex(2);

static SIGNERS: LazyLock<Vec<SigningKey>> = LazyLock::new(|| {
    let key = |seed: u8| SigningKey::from_seed(Scheme::Falcon512, &[seed; 32]);
    (1..=4).map(|seed| key(seed).unwrap()).collect()
});

/// Of the only shard.
pub(crate) static TERRITORY: LazyLock<Territory> = LazyLock::new(|| Territory::whole(SHARD));

pub(crate) static KEYS: LazyLock<CommitteeKeys> = LazyLock::new(|| {
    let member = |(index, signer): (usize, &SigningKey)| Member {
        name: format!("v{index}"),
        key: signer.public_key().clone(),
        weight: Weight(1),
    };
    let members = SIGNERS.iter().enumerate().map(member).collect();
    let committee = Committee::new(SHARD, EPOCH, members).unwrap();
    CommitteeKeys::decode(CHAIN, Arc::new(committee)).unwrap()
});

pub(crate) fn identity() -> StoreIdentity {
    StoreIdentity::of(&KEYS, OWN).unwrap()
}

/// A block of a round, with attestations that make it longer.
pub(crate) fn block(author: ValidatorIndex, round: u64, attestations: usize) -> VerifiedBlock {
    let attestation = |height: usize| Attestation {
        height: Height(height as u64 + 1),
        checkpoint: hash(Domain::Simulation, &round.to_le_bytes()),
    };
    let body = BlockBody {
        chain: CHAIN,
        shard: SHARD,
        epoch: EPOCH,
        round: Round(round),
        author,
        time_ms: 1_000 * round,
        parents: vec![genesis_ref(CHAIN, SHARD, EPOCH, author)],
        payload: Payload::default(),
        attestations: Bounded::truncated((0..attestations).map(attestation).collect()),
    };
    KEYS.verify_block(sign(body)).unwrap()
}

fn sign(body: BlockBody) -> Block {
    let digest = body.digest();
    let mut randomness = SeededRandomness::from_seed(digest.as_bytes());
    let context = BlockHeader::signing_context(CHAIN);
    let signature = SIGNERS[body.author.position()]
        .sign_seeded(&context, digest.as_bytes(), &mut randomness)
        .unwrap();
    Block { body, signature }
}

/// A ledger with this many accounts of one unit.
pub(crate) fn ledger(accounts: usize) -> Ledger {
    let account = |number: usize| GenesisAccount {
        address: Address(hash(Domain::Simulation, &number.to_le_bytes())),
        balance: Amount(1),
    };
    let accounts: Vec<_> = (0..accounts).map(account).collect();
    Ledger::genesis(CHAIN, &accounts).unwrap()
}

/// A certified snapshot.
pub(crate) fn snapshot(height: u64, floor: u64, ledger: &Ledger) -> Record {
    let leader = BlockRef { round: Round(floor + 1), ..BlockRef::default() };
    let schedule = decode(&encode(&(vec![1024_u16; 4], AuthorSet::EMPTY))).unwrap();
    let commit = CommitRecord {
        index: height,
        previous: Digest::ZERO,
        leader,
        blocks: Bounded::truncated(vec![leader]),
        undecided_leaders: Bounded::default(),
        schedule: Digest::ZERO,
    };
    let checkpoint = Checkpoint {
        shard: SHARD,
        epoch: EPOCH,
        height: Height(height),
        state_root: ledger.state_root(),
        commit: commit.digest(),
        ..Checkpoint::default()
    };
    let package = SyncPackage {
        certificate: certificate(checkpoint),
        commits: Bounded::truncated(vec![commit]),
        schedule,
        plan: Bounded::default(),
    };
    Record::Snapshot {
        package: Arc::new(package),
        ledger: Box::new(ledger.clone()),
        floor: Round(floor),
    }
}

/// The certified end of an epoch.
pub(crate) fn last_snapshot(height: u64, floor: u64, ledger: &Ledger) -> Record {
    let plan = EpochPlan {
        epoch: Epoch(EPOCH.0 + 1),
        seed: Digest([3; 32]),
        layout: Layout::whole(SHARD),
        reshardings: Bounded::default(),
        heirs: Bounded::default(),
        validators: Bounded::default(),
        committees: Bounded::default(),
    };
    let checkpoint = Checkpoint {
        shard: SHARD,
        epoch: EPOCH,
        height: Height(height),
        state_root: ledger.state_root(),
        next_epoch: plan.digest(),
        ..Checkpoint::default()
    };
    let package = SyncPackage::last(certificate(checkpoint), plan);
    Record::Snapshot {
        package: Arc::new(package),
        ledger: Box::new(ledger.clone()),
        floor: Round(floor),
    }
}

fn certificate(checkpoint: Checkpoint) -> Certificate {
    let proof = |author: u16| {
        let attested = Attestation { height: checkpoint.height, checkpoint: checkpoint.digest() };
        let body = BlockBody {
            chain: CHAIN,
            shard: SHARD,
            epoch: EPOCH,
            round: Round(checkpoint.height.0 + 1),
            author: ValidatorIndex(author),
            time_ms: 0,
            parents: Vec::new(),
            payload: Payload::default(),
            attestations: Bounded::truncated(vec![attested]),
        };
        let header = body.header().digest();
        let Block { body, signature } = sign(body);
        let author = ValidatorIndex(author);
        AttestationProof { author, header, attestations: body.attestations, signature }
    };
    Certificate { checkpoint, attestations: Bounded::truncated((0..3).map(proof).collect()) }
}

/// A folder for one test, removed at its end.
#[derive(Debug)]
pub(crate) struct TestFolder(PathBuf);

impl TestFolder {
    pub(crate) fn new(name: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("qcn-storage-{}-{count}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
