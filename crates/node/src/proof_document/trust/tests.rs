//! A network with a beacon, and proofs of its epochs.

use std::sync::LazyLock;

use qcn_crypto::{Digest, SigningKey, to_hex};
use qcn_ledger::{GenesisAccount, Ledger, Territory};
use qcn_types::{
    Address, Amount, Announcement, BEACON, BlockBody, Bounded, Certificate, Checkpoint, Evidence,
    Height, PlannedValidator, encode,
};
use serde_json::json;

use super::*;
use crate::genesis::{
    EpochsContent, GenesisContent, GenesisValidator, NamedAccount, ShardsContent, ValidatorKeys,
};
use crate::proof_document::{AnnouncementBoard, FORMAT, ProofKind};
use crate::testing::crossing::{certificate_by, signed_by};
use crate::testing::{bare_body, validator_key};

const OWNER: Address = Address(Digest([5; 32]));

/// Validators 0 to 3 begin; in each later epoch the first one leaves and another one comes.
struct Network {
    genesis: Genesis,
    trusted: Trusted,
    plans: Vec<EpochPlan>,
    announcements: Vec<Announcement>,
    board: AnnouncementBoard,
}

static NETWORK: LazyLock<Network> = LazyLock::new(Network::new);

const EPOCHS: EpochsContent =
    EpochsContent { epoch_ms: 60_000, shards_max: 2, split_above: 300, merge_below: 0 };

fn genesis(epochs: Option<EpochsContent>) -> Genesis {
    let validator = |index: u16| {
        let keys = ValidatorKeys {
            consensus: validator_key(index),
            transport: SigningKey::from_seed(Scheme::MlDsa65, &[100 + index as u8; 32]).unwrap(),
            recovery: None,
        };
        GenesisValidator::register(&format!("founder {index}"), 1_000, &keys, None).unwrap()
    };
    let accounts = vec![NamedAccount { address: OWNER, balance: 700, name: None }];
    let content = GenesisContent::new("test", 1, (0..4).map(validator).collect(), accounts);
    let shards = Some(ShardsContent { count: 2, seats: 4, epochs });
    Genesis::new(GenesisContent { shards, ..content }).unwrap()
}

impl Network {
    fn new() -> Self {
        let genesis = genesis(Some(EPOCHS));
        let trusted = Trusted::of(&genesis).unwrap();
        let mut plans = vec![EpochPlan::clone(&genesis.beacon().unwrap().plan)];
        let (mut announcements, board) = (Vec::new(), AnnouncementBoard::default());
        for epoch in 1..3 {
            let before: &EpochPlan = &plans[epoch - 1];
            let validator = |number: u32| PlannedValidator {
                number,
                key: validator_key(number as u16).public_key().clone(),
                weight: qcn_types::Weight(1_000),
            };
            let numbers = epoch as u32..epoch as u32 + 4;
            let validators = Bounded::truncated(numbers.map(validator).collect());
            let plan = EpochPlan { epoch: Epoch(epoch as u64), validators, ..before.clone() };
            let last = Checkpoint {
                next_epoch: plan.digest(),
                ..checkpoint(BEACON, Epoch(epoch as u64 - 1))
            };
            let certificate = certificate_in(&genesis, before, last);
            let announcement = Announcement { certificate, plan: plan.clone() };
            assert!(board.add(&announcement) && !board.add(&announcement));
            announcements.push(announcement);
            plans.push(plan);
        }
        Self { genesis, trusted, plans, announcements, board }
    }

    fn keys(&self, shard: ShardId, epoch: u64) -> CommitteeKeys {
        let plan = Arc::new(self.plans[epoch as usize].clone());
        let chain = EpochChain::new(self.genesis.chain(), Arc::clone(&plan)).unwrap();
        let keys = chain.keys(shard, Epoch(epoch)).unwrap();
        let named = named(&self.genesis.names(), &plan, keys.committee()).unwrap();
        keys.with_names_of(named)
    }

    /// That a checkpoint of shard 1 is final, with the announcements of all epochs up to its own.
    fn document(&self, epoch: u64) -> ProofDocument {
        let keys = self.keys(ShardId(1), epoch);
        let checkpoint = checkpoint(ShardId(1), Epoch(epoch));
        let certificate = certificate_in(&self.genesis, &self.plans[epoch as usize], checkpoint);
        let document = ProofDocument::checkpoint(&keys, &certificate, Vec::new());
        document.with_announcements(self.board.up_to(Epoch(epoch)))
    }

    fn refusal(&self, document: &ProofDocument) -> String {
        self.trusted.verify(document).unwrap_err().to_string()
    }
}

fn checkpoint(shard: ShardId, epoch: Epoch) -> Checkpoint {
    Checkpoint { shard, epoch, height: Height(9), ..Checkpoint::default() }
}

/// By three of the four validators of a plan, who serve everywhere.
fn certificate_in(genesis: &Genesis, plan: &EpochPlan, checkpoint: Checkpoint) -> Certificate {
    let numbers = plan.validators.iter().map(|validator| validator.number as u16);
    let authors: Vec<(u16, u16)> = (0..3).zip(numbers).collect();
    certificate_by(genesis.chain(), &authors, checkpoint)
}

const fn followed(epoch: u64, announcements: usize) -> Option<Followed> {
    Some(Followed { epoch: Epoch(epoch), announcements })
}

/// Given a genesis and the announcements of two epochs,
/// then proofs of all three epochs are checked with the genesis alone.
#[test]
fn proofs_of_every_epoch_follow_from_the_genesis() {
    for epoch in 0..3 {
        let verdict = NETWORK.trusted.verify(&NETWORK.document(epoch)).unwrap();
        assert_eq!(verdict.epochs, followed(epoch, epoch as usize));
        let Claims::Checkpoint(claims) = verdict.claims else { panic!() };
        assert_eq!((claims.certified.weight, claims.certified.height), (3_000, 9));
    }
    let old = NETWORK.document(0).with_announcements(NETWORK.board.up_to(Epoch(9)));
    assert_eq!(NETWORK.trusted.verify(&old).unwrap().epochs, followed(0, 2));
}

#[test]
fn a_later_epoch_without_its_announcements_is_refused_with_the_remedy() {
    for (epoch, known) in [(1, 0), (2, 1), (2, 0)] {
        let short = NETWORK.document(epoch).with_announcements(NETWORK.board.up_to(Epoch(known)));
        let refused = NETWORK.refusal(&short);
        assert!(refused.contains(&format!("is of epoch {epoch}")), "{refused}");
        assert!(
            refused.contains(&format!("lead to epoch {known} only: fetch it again")),
            "{refused}"
        );
    }
}

#[test]
fn announcements_that_lead_nowhere_are_refused() {
    let good = NETWORK.board.up_to(Epoch(2));
    let [first, second] = &good[..] else { panic!() };
    let mut of_another_plan = NETWORK.announcements[0].clone();
    of_another_plan.plan.seed = Digest([1; 32]);
    let mut by_successors = NETWORK.announcements[0].clone();
    by_successors.certificate =
        certificate_in(&NETWORK.genesis, &NETWORK.plans[2], by_successors.certificate.checkpoint);
    let cases: [(Vec<String>, &str); 9] = [
        (vec![second.clone()], "epoch 1 is missing before that of epoch 2"),
        (vec![first.clone(), first.clone()], "epoch 1 is given again"),
        (vec![second.clone(), first.clone()], "epoch 1 is missing"),
        (vec![first[..first.len() - 1].to_owned(), second.clone()], "announcements[0] is not hex"),
        (vec![first.clone(), second[..100].to_owned()], "announcements[1] does not decode"),
        (vec![first.clone(), String::new()], "announcements[1] does not decode"),
        (vec![String::new(); MAX_ANNOUNCEMENTS + 1], "4097 announcements are more than the 4096"),
        (vec![to_hex(&encode(&of_another_plan))], "its plan is not the one"),
        (vec![to_hex(&encode(&by_successors))], "signature is not that of validator"),
    ];
    for (announcements, reason) in cases {
        let refused = NETWORK.refusal(&NETWORK.document(2).with_announcements(announcements));
        assert!(refused.contains(reason), "{refused} does not say {reason}");
    }
}

/// The committees of two epochs have members in common, and still do not speak for each other.
#[test]
fn a_committee_certifies_nothing_in_another_epoch() {
    let epoch_1 = checkpoint(ShardId(1), Epoch(1));
    let later = certificate_in(&NETWORK.genesis, &NETWORK.plans[2], epoch_1);
    let mut document = NETWORK.document(1);
    document.certificate = Some(to_hex(&encode(&later)));
    assert!(NETWORK.refusal(&document).contains("signature is not that of validator"));
    let mut other_chain = NETWORK.document(1);
    other_chain.chain_id = "00".repeat(32);
    assert!(NETWORK.refusal(&other_chain).contains("another network"));
}

#[test]
fn without_a_beacon_nothing_is_followed() {
    let genesis = genesis(None);
    let trusted = Trusted::of(&genesis).unwrap();
    let keys = &genesis.shard_keys().unwrap()[1];
    let plan = &NETWORK.plans[0];
    let certificate = certificate_in(&genesis, plan, checkpoint(ShardId(1), Epoch(0)));
    let document = ProofDocument::checkpoint(keys, &certificate, Vec::new());
    assert_eq!(trusted.verify(&document).unwrap().epochs, None);
    let bare = serde_json::to_value(&document).unwrap();
    assert_eq!(bare.get("announcements"), None, "documents look as they did");
    assert_eq!((&bare["format"], &bare["kind"]), (&json!(FORMAT), &json!(ProofKind::Checkpoint)));
    let with = document.with_announcements(NETWORK.board.up_to(Epoch(1)));
    let refused = trusted.verify(&with).unwrap_err();
    assert_eq!(refused, ProofDocumentError::Unexpected("announcements"));
    let later = certificate_in(&genesis, plan, checkpoint(ShardId(1), Epoch(1)));
    let later = ProofDocument::checkpoint(keys, &later, Vec::new());
    assert!(matches!(trusted.verify(&later), Err(ProofDocumentError::Certificate(_))));
}

/// Other kinds of proofs find their committee, too: that of an accused block by its signature.
#[test]
fn accounts_and_accusations_of_a_later_epoch_are_proven() {
    let shard = NETWORK.plans[1].layout.shard_of(&OWNER);
    let territory = Territory::of(&NETWORK.plans[1], shard).unwrap();
    let opened = [GenesisAccount { address: OWNER, balance: Amount(700) }];
    let ledger = Ledger::genesis_of(NETWORK.genesis.chain(), territory, &opened).unwrap();
    let state_root = ledger.state_root();
    let certified = Checkpoint { state_root, ..checkpoint(shard, Epoch(1)) };
    let certificate = certificate_in(&NETWORK.genesis, &NETWORK.plans[1], certified);
    let keys = NETWORK.keys(shard, 1);
    let (proof, account) = (ledger.prove(&OWNER), ledger.account(&OWNER));
    let account = ProofDocument::account(&keys, &certificate, OWNER, &proof, account);

    let block = |time_ms: u64| {
        let chain = NETWORK.genesis.chain();
        let (shard, epoch) = (ShardId(1), Epoch(1));
        let body = BlockBody { chain, shard, epoch, time_ms, ..bare_body(2, time_ms) };
        // The third member of epoch 1 is validator 3.
        signed_by(3, body)
    };
    let keys = NETWORK.keys(ShardId(1), 1);
    let equivocation = Evidence::equivocation(&block(1), &block(2));
    let invalid = Evidence::invalid_block(&block(1));
    let [equivocation, invalid] =
        [equivocation, invalid].map(|it| ProofDocument::evidence(&keys, &it).unwrap());
    for document in [account, equivocation, invalid] {
        let document = document.with_announcements(NETWORK.board.up_to(Epoch(1)));
        let verdict = NETWORK.trusted.verify(&document).unwrap();
        assert_eq!(verdict.epochs, followed(1, 1), "{:?}", document.kind);
        let alone = document.with_announcements(Vec::new());
        assert!(NETWORK.trusted.verify(&alone).is_err(), "{:?}", alone.kind);
    }
}
