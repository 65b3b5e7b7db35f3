//! Each invariant is shown a broken history and must say so; a sound one, and must not.

use std::sync::Arc;

use qcn_consensus::{BrokenRule, Config};
use qcn_crypto::{ChainId, Digest, Signature};
use qcn_ledger::{Outcome, Refusal, Supply};
use qcn_shard::Status;
use qcn_types::{
    Amount, Attestation, Block, BlockBody, BlockHeader, BlockRef, Bounded, CommitteeKeys,
    CompactBlock, Epoch, Height, Member, Payload, Round, ShardId, Time, TransactionId, Weight,
};

use super::*;
use crate::keys::KeyRing;
use crate::{
    Adversary, CrashMoment, DiskFault, Fault, OutputKind, QuantumNetworkSimulator, SimulatorBuilder,
};
use crate::{milliseconds, seconds};

const A: ValidatorIndex = ValidatorIndex(0);
const B: ValidatorIndex = ValidatorIndex(1);

fn digest(byte: u8) -> Digest {
    Digest([byte; 32])
}

fn block(round: u64, author: u16) -> BlockRef {
    BlockRef { round: Round(round), author: ValidatorIndex(author), digest: digest(round as u8) }
}

fn names(findings: &Findings) -> Vec<&'static str> {
    findings.violations.iter().map(|violation| violation.invariant).collect()
}

fn set(members: &[u16]) -> AuthorSet {
    members.iter().map(|member| ValidatorIndex(*member)).collect()
}

#[test]
fn agreement_fires_on_two_checkpoints_of_one_height() {
    let mut findings = Findings::default();
    let mut agreement = Agreement::default();
    agreement.executed(&mut findings, A, Height(1), digest(1));
    agreement.executed(&mut findings, B, Height(1), digest(1));
    agreement.certified(&mut findings, B, Height(1), digest(1));
    agreement.certified(&mut findings, B, Height(2), digest(2));
    assert!(findings.violations.is_empty());
    agreement.executed(&mut findings, A, Height(2), digest(3));
    assert_eq!(names(&findings), ["agreement"], "executed something else than certified");
    agreement.executed(&mut findings, B, Height(1), digest(9));
    assert!(findings.violations.len() >= 2);
    assert_eq!(findings.violations[1].validator, Some(B));
}

#[test]
fn ancestry_fires_on_another_order_a_repeated_block_and_a_gap() {
    let sound = || {
        let mut ancestry = Ancestry::new(2);
        let mut findings = Findings::default();
        let first = [block(1, 0), block(1, 1)];
        assert!(ancestry.executed(&mut findings, 0, A, Height(1), &first));
        assert!(!ancestry.executed(&mut findings, 1, B, Height(1), &first));
        assert!(ancestry.executed(&mut findings, 0, A, Height(2), &[block(2, 0)]));
        assert!(findings.violations.is_empty());
        (ancestry, findings)
    };
    let (mut ancestry, mut findings) = sound();
    ancestry.executed(&mut findings, 1, B, Height(2), &[block(2, 1)]);
    assert_eq!(names(&findings), ["ancestry"]);
    let (mut ancestry, mut findings) = sound();
    ancestry.executed(&mut findings, 0, A, Height(3), &[block(1, 1)]);
    assert_eq!(names(&findings), ["ancestry"]);
    let (mut ancestry, mut findings) = sound();
    ancestry.executed(&mut findings, 1, B, Height(3), &[block(3, 0)]);
    assert_eq!(names(&findings), ["ancestry"]);
}

#[test]
fn ancestry_allows_a_restart_and_a_synchronised_state() {
    let mut ancestry = Ancestry::new(1);
    let mut findings = Findings::default();
    ancestry.executed(&mut findings, 0, A, Height(1), &[block(1, 0)]);
    ancestry.stopped(0);
    ancestry.executed(&mut findings, 0, A, Height(1), &[block(1, 0)]);
    ancestry.synchronised(0, Height(10));
    ancestry.executed(&mut findings, 0, A, Height(11), &[block(11, 0)]);
    assert!(findings.violations.is_empty());
}

#[test]
fn state_equality_fires_on_two_roots_of_one_height() {
    let mut findings = Findings::default();
    let mut state = StateEquality::default();
    state.executed(&mut findings, A, Height(3), digest(1));
    state.executed(&mut findings, B, Height(3), digest(1));
    assert!(findings.violations.is_empty());
    state.executed(&mut findings, B, Height(3), digest(2));
    assert_eq!(names(&findings), ["state_equality"]);
}

#[test]
fn conservation_fires_when_money_appears() {
    let mut findings = Findings::default();
    let sound = Supply { balances: 90, fees: 10, genesis: Amount(100), ..Supply::default() };
    Conservation.executed(&mut findings, A, Height(1), &sound);
    assert!(findings.violations.is_empty());
    let inflated = Supply { balances: 91, ..sound };
    Conservation.executed(&mut findings, A, Height(2), &inflated);
    assert_eq!(names(&findings), ["conservation"]);
}

#[test]
fn transactions_once_fires_on_a_repetition_but_not_on_a_skipped_one() {
    let mut findings = Findings::default();
    let mut once = TransactionsOnce::default();
    let id = TransactionId(digest(1));
    let skipped = Outcome::Skipped(Refusal::NonceTooLow { expected: 1 });
    once.executed(&mut findings, A, &[(id, Outcome::Applied), (id, skipped)]);
    assert!(findings.violations.is_empty());
    once.executed(&mut findings, A, &[(id, Outcome::Applied)]);
    assert_eq!(names(&findings), ["transactions_once"]);
}

#[test]
fn bounded_memory_fires_above_a_bound() {
    let mut findings = Findings::default();
    let memory = BoundedMemory::new(4, &Config::default());
    let mut status = Status::default();
    memory.check(&mut findings, A, &status);
    assert!(findings.violations.is_empty());
    status.load.held_back = 1_000_000;
    memory.check(&mut findings, A, &status);
    assert_eq!(names(&findings), ["bounded_memory"]);
    status.load.dag_blocks = usize::MAX;
    memory.check(&mut findings, A, &status);
    assert!(findings.violations.iter().any(|it| it.detail.contains("blocks in the DAG")));
}

#[test]
fn no_honest_accused_fires_on_an_honest_name_only() {
    let mut findings = Findings::default();
    let accused = NoHonestAccused::new(set(&[3]));
    accused.accused(&mut findings, A, ValidatorIndex(3));
    assert!(findings.violations.is_empty());
    accused.accused(&mut findings, A, B);
    assert_eq!(names(&findings), ["no_honest_accused"]);
}

fn packed(round: u64, time_ms: u64, signature: u8) -> Arc<CompactBlock> {
    let body = BlockBody {
        chain: ChainId::default(),
        shard: ShardId(0),
        epoch: Epoch(0),
        round: Round(round),
        author: A,
        time_ms,
        parents: Vec::new(),
        payload: Payload::default(),
        attestations: Bounded::default(),
    };
    let signature = Signature::new(vec![signature; 3]).unwrap();
    Arc::new(CompactBlock::pack(&Block { body, signature }))
}

#[test]
fn no_honest_double_sign_fires_on_a_second_block_of_a_slot() {
    let mut findings = Findings::default();
    let mut double_sign = NoHonestDoubleSign::new(4);
    double_sign.proposed(&mut findings, &block(5, 0));
    double_sign.proposed(&mut findings, &block(5, 0));
    double_sign.proposed(&mut findings, &block(6, 0));
    double_sign.leaving(&mut findings, &packed(5, 100, 1));
    double_sign.leaving(&mut findings, &packed(5, 100, 1));
    double_sign.leaving(&mut findings, &packed(5, 100, 2));
    double_sign.leaving(&mut findings, &packed(6, 101, 3));
    assert!(findings.violations.is_empty(), "two signatures of one block are no second block");
    double_sign.leaving(&mut findings, &packed(6, 102, 4));
    assert_eq!(names(&findings), ["no_honest_double_sign"]);
    double_sign.proposed(&mut findings, &BlockRef { digest: digest(99), ..block(6, 0) });
    assert_eq!(findings.violations.len(), 2);
}

fn committee_keys() -> CommitteeKeys {
    let members = (0..4).map(|index| Member {
        name: format!("v{index}"),
        key: KeyRing::default().validator(index).public_key().clone(),
        weight: Weight(1),
    });
    let committee = Committee::new(ShardId(0), Epoch(0), members.collect()).unwrap();
    CommitteeKeys::decode(ChainId::default(), Arc::new(committee)).unwrap()
}

/// A signed block on the given parents.
fn on(keys: &CommitteeKeys, round: u64, author: u16, parents: &[&VerifiedBlock]) -> VerifiedBlock {
    let body = BlockBody {
        chain: keys.chain(),
        shard: ShardId(0),
        epoch: Epoch(0),
        round: Round(round),
        author: ValidatorIndex(author),
        time_ms: 0,
        parents: parents.iter().map(|parent| parent.reference()).collect(),
        payload: Payload::default(),
        attestations: Bounded::truncated(vec![Attestation {
            height: Height(1),
            checkpoint: digest(author as u8),
        }]),
    };
    let context = BlockHeader::signing_context(keys.chain());
    let key = KeyRing::default().validator(author as usize);
    let mut randomness = qcn_crypto::SeededRandomness::from_u64(1, "invariants");
    let signature = key.sign_seeded(&context, body.digest().as_bytes(), &mut randomness).unwrap();
    keys.verify_block(Block { body, signature }).unwrap()
}

/// A small history: a leader of author 0, `voters` of four authors that vote for it, and
/// certificates by `certifiers` of four authors; what process 0 accepted of it.
fn history(keys: &CommitteeKeys, voters: u16, certifiers: u16) -> (QuorumByWeight, BlockRef) {
    let leader = on(keys, 1, 0, &[]);
    let other = on(keys, 1, 1, &[]);
    let votes: Vec<VerifiedBlock> = (0..4)
        .map(|author| on(keys, 2, author, &[if author < voters { &leader } else { &other }]))
        .collect();
    let all: Vec<&VerifiedBlock> = votes.iter().collect();
    let certificates: Vec<VerifiedBlock> =
        (0..certifiers).map(|author| on(keys, 3, author, &all)).collect();
    let mut quorum = QuorumByWeight::new(Committee::clone(keys.committee()));
    for block in votes.iter().chain(&certificates).chain([&leader, &other]) {
        quorum.kept(block);
        quorum.accepted(0, &block.reference());
    }
    (quorum, leader.reference())
}

#[test]
fn quorum_by_weight_fires_on_a_commit_with_too_few_votes_or_certificates() {
    let keys = committee_keys();
    let cases = [(2, 4, false), (3, 4, true), (4, 3, true), (4, 2, false)];
    for (voters, certifiers, sound) in cases {
        let mut findings = Findings::default();
        let (mut quorum, leader) = history(&keys, voters, certifiers);
        quorum.executed(&mut findings, 0, A, &[leader]);
        assert_eq!(
            findings.violations.is_empty(),
            sound,
            "{voters} votes, {certifiers} certificates"
        );
    }
}

/// Given too few certificates, when an anchor may have decided, then one is enough.
#[test]
fn quorum_by_weight_allows_an_indirect_commit_with_a_certificate() {
    let keys = committee_keys();
    for (certifiers, sound) in [(1, true), (0, false)] {
        let mut findings = Findings::default();
        let (mut quorum, leader) = history(&keys, 3, certifiers);
        for author in 0..3 {
            let late = on(&keys, 6, author, &[]);
            quorum.kept(&late);
            quorum.accepted(0, &late.reference());
        }
        quorum.executed(&mut findings, 0, A, &[leader]);
        assert_eq!(findings.violations.is_empty(), sound);
    }
}

#[test]
fn quorum_by_weight_fires_on_a_skip_with_too_few_non_votes() {
    let keys = committee_keys();
    for (voters, sound) in [(0, true), (1, true), (2, false), (4, false)] {
        let mut findings = Findings::default();
        let (mut quorum, leader) = history(&keys, voters, 0);
        quorum.skipped(&mut findings, 0, A, leader.slot());
        assert_eq!(findings.violations.is_empty(), sound, "{voters} votes");
    }
}

/// Only what the deciding validator has accepted counts.
#[test]
fn quorum_by_weight_counts_what_was_accepted_there() {
    let keys = committee_keys();
    let mut findings = Findings::default();
    let (mut quorum, leader) = history(&keys, 4, 4);
    quorum.executed(&mut findings, 1, B, &[leader]);
    assert_eq!(names(&findings), ["quorum_by_weight"]);
}

#[test]
fn quorum_by_weight_fires_on_a_proposal_without_a_quorum_below() {
    let keys = committee_keys();
    let quorum = QuorumByWeight::new(Committee::clone(keys.committee()));
    let below: Vec<VerifiedBlock> = (0..3).map(|author| on(&keys, 1, author, &[])).collect();
    let mut findings = Findings::default();
    quorum.proposed(&mut findings, &on(&keys, 2, 0, &[&below[0], &below[1], &below[2]]));
    assert!(findings.violations.is_empty());
    quorum.proposed(&mut findings, &on(&keys, 2, 1, &[&below[0], &below[1]]));
    assert_eq!(names(&findings), ["quorum_by_weight"]);
}

#[test]
fn progress_after_healing_fires_on_who_stands_still() {
    let keys = committee_keys();
    let all = set(&[0, 1, 2, 3]);
    let judged = |moved: &[u16], live: &AuthorSet, whole: bool, until: u64| {
        let mut findings = Findings::default();
        let mut progress = ProgressAfterHealing::new(keys.committee());
        for validator in all.iter() {
            progress.certified(0, validator, Height(5));
        }
        progress.fault_until(seconds(10));
        for validator in moved {
            progress.certified(seconds(11), ValidatorIndex(*validator), Height(6));
        }
        let judged = progress.at_end(&mut findings, until, live, whole);
        (judged, findings.violations.len())
    };
    let late = seconds(10) + progress_after_healing::BOUND_US;
    assert_eq!(judged(&[0, 1, 2, 3], &all, true, late), (true, 0));
    assert_eq!(judged(&[0, 1], &all, true, late), (true, 2));
    assert_eq!(judged(&[0, 1], &all, true, late - 1), (false, 0), "too early to say");
    let later = seconds(11) + progress_after_healing::BOUND_US;
    assert_eq!(judged(&[0, 1, 2, 3], &all, true, later - 1), (true, 0));
    assert_eq!(judged(&[0, 1, 2, 3], &all, true, later), (true, 4), "it moved on once only");
    assert_eq!(judged(&[0, 1], &all, false, late), (false, 0), "still cut");
    assert_eq!(judged(&[], &set(&[0, 1]), true, late), (false, 0), "no quorum runs");
}

#[test]
fn isolation_fires_on_the_guilty_who_keeps_its_seat() {
    let guilty = ValidatorIndex(3);
    let late = seconds(100);
    let judge = |isolation: &Isolation, isolated: &[u16]| {
        let mut findings = Findings::default();
        isolation.at_end(&mut findings, late, &[(A, set(isolated)), (B, set(&[3]))]);
        findings.violations.len()
    };
    let mut offended = Isolation::default();
    offended.offended(guilty, seconds(1));
    assert_eq!(judge(&offended, &[3]), 0);
    assert_eq!(judge(&offended, &[]), 1);
    let mut proven = Isolation::default();
    proven.proven(seconds(1), A, guilty);
    assert_eq!(judge(&proven, &[]), 1);
    proven.stopped(A);
    assert_eq!(judge(&proven, &[]), 0, "the proof was lost with its holder's memory");
    let mut recent = Isolation::default();
    recent.offended(guilty, late - 1);
    assert_eq!(judge(&recent, &[]), 0, "it takes a while");
}

/// Runs seeds until an invariant notices the broken rule; says which. The same networks with all
/// rules whole must be sound, or it would not be the rule that is noticed.
fn caught(
    rule: BrokenRule,
    seeds: u64,
    network: impl Fn(u64) -> SimulatorBuilder,
) -> Vec<&'static str> {
    let names = |network: SimulatorBuilder| -> Vec<&'static str> {
        let mut network = network.build().unwrap();
        network.run_for(seconds(5));
        network.check_consensus().iter().map(|violation| violation.invariant).collect()
    };
    for seed in 0..seeds {
        assert_eq!(names(network(seed)), [""; 0], "seed {seed} with all rules whole");
        let noticed = names(network(seed).break_rule(rule));
        if !noticed.is_empty() {
            return noticed;
        }
    }
    Vec::new()
}

/// A quorum of more than a third is noticed.
#[test]
fn a_small_quorum_is_caught() {
    let names = caught(BrokenRule::SmallQuorum, 20, |seed| {
        QuantumNetworkSimulator::new(seed).validators(7).load(5, 7)
    });
    assert!(names.contains(&"quorum_by_weight"), "{names:?}");
}

/// Counting an equivocator's blocks instead of the equivocator is noticed.
#[test]
fn counting_votes_twice_is_caught() {
    let names = caught(BrokenRule::NoVoteDeduplication, 40, |seed| {
        QuantumNetworkSimulator::new(seed)
            .validators(7)
            .adversary(5, Adversary::Equivocator)
            .adversary(6, Adversary::Equivocator)
            .load(5, 7)
    });
    assert!(names.contains(&"quorum_by_weight"), "{names:?}");
}

/// A crash of validator 1 at some moment of its work, from which it comes back at once.
fn crash(after: OutputKind, disk: DiskFault, restart_after_us: u64) -> Fault {
    let moment = CrashMoment::After(after);
    Fault::Crash { validator: 1, moment, disk, restart_after_us: Some(restart_after_us) }
}

/// Forgetting what one has signed is noticed.
///
/// Given a validator that crashes after it has sent a block and comes back soon from its log,
/// when it does not read there what it has signed, then it signs the round again.
#[test]
fn a_missing_round_log_is_caught() {
    let names = caught(BrokenRule::NoRoundLog, 20, |seed| {
        let back_after = milliseconds(1 + 5 * seed);
        let crash = crash(OutputKind::Broadcast, DiskFault::LoseUnsynced, back_after);
        QuantumNetworkSimulator::new(seed).validators(4).fault(Time(seconds(1)), crash).load(5, 4)
    });
    assert!(names.contains(&"no_honest_double_sign"), "{names:?}");
}

/// Not asking the committee for what one has signed, after the disk was lost, is noticed.
#[test]
fn a_missing_recovery_is_caught() {
    let names = caught(BrokenRule::NoRoundLog, 20, |seed| {
        let crash = crash(OutputKind::Broadcast, DiskFault::Wipe, milliseconds(1 + 5 * seed));
        QuantumNetworkSimulator::new(seed).validators(4).fault(Time(seconds(2)), crash).load(5, 4)
    });
    assert!(names.contains(&"no_honest_double_sign"), "{names:?}");
}
