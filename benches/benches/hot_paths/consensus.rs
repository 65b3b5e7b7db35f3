//! The commit rule alone, and the whole machine.

use std::cell::LazyCell;
use std::time::Duration;

use criterion::Criterion;
use qcn_benches::{ROUND_INTERVAL_MS, Recording, Validators, cpu_time};
use qcn_consensus::Config;
use qcn_consensus::commit_rule::{CommitRule, Outcome};
use qcn_consensus::dag::Dag;
use qcn_crypto::{Domain, hash};
use qcn_types::{BlockRef, Committee, Round, ValidatorIndex};

use crate::conditions;

const SIZES: [u16; 4] = [4, 16, 64, 100];
/// A DAG is followed for so many rounds before it is measured: by then collection runs.
const WARM_UP_ROUNDS: u64 = 80;
const ROUNDS: u64 = 160;

/// Inserting a round into the DAG and deciding its leaders.
pub fn commit_rule(criterion: &mut Criterion) {
    let leaders = Config::default().leaders_per_round;
    conditions(&format!(
        "one round of n blocks that reference all blocks of the round before; {leaders} leader \
         slots a round, or n if fewer; a bare DAG and the commit rule; processor time"
    ));
    let mut group = criterion.benchmark_group("commit-rule per round");
    for members in SIZES {
        let validators = LazyCell::new(|| Validators::new(members));
        let leaders = leaders.min(members);
        group.bench_function(format!("n = {members}"), |bencher| {
            bencher.iter_custom(|rounds| follow(validators.committee(), leaders, rounds));
        });
    }
    group.finish();
}

/// Follows so many full rounds and gives the time they took.
fn follow(committee: &Committee, leaders_per_round: u16, rounds: u64) -> Duration {
    let mut dag: Dag<()> = Dag::new(committee);
    let mut rule = CommitRule::new(committee, None, Round::GENESIS);
    let mut parents: Vec<BlockRef> = Vec::new();
    let mut commits = 0;
    let members = committee.len() as u64;
    let start = cpu_time();
    for round in (1..=rounds).map(Round) {
        let blocks: Vec<BlockRef> = committee.indices().map(|author| name(round, author)).collect();
        let first = round.0 % members;
        let leaders: Vec<ValidatorIndex> = (first..first + u64::from(leaders_per_round))
            .map(|index| ValidatorIndex((index % members) as u16))
            .collect();
        rule.schedule_round(&dag, &leaders);
        for block in &blocks {
            let vertex = dag.insert(*block, &parents, round.0, ()).expect("its parents are in");
            rule.observe(&dag, vertex);
            rule.decide_indirectly(&dag);
            while let Some(decision) = rule.next_decision() {
                commits += u64::from(matches!(decision.outcome, Outcome::Commit(_)));
            }
        }
        let floor = round.minus(Config::default().gc_depth);
        dag.raise_floor(floor, floor);
        parents = blocks;
    }
    let spent = cpu_time().saturating_sub(start);
    let expected = rounds.saturating_sub(2) * u64::from(leaders_per_round);
    assert_eq!(commits, expected, "every leader commits after three rounds");
    spent
}

fn name(round: Round, author: ValidatorIndex) -> BlockRef {
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&round.0.to_le_bytes());
    bytes[8..].copy_from_slice(&author.0.to_le_bytes());
    BlockRef { round, author, digest: hash(Domain::Simulation, &bytes) }
}

/// The whole machine of one validator, signatures apart.
pub fn machine(criterion: &mut Criterion) {
    conditions(&format!(
        "one validator's machine, from its input door to its output door, for one round: n - 1 \
         blocks arrive, one is proposed; empty payloads, 1 attestation a block, a round every \
         {ROUND_INTERVAL_MS} ms, no loss; signing and verifying happen outside and are not in it; \
         processor time; at most 1 ms at n = 100 is wanted"
    ));
    let mut group = criterion.benchmark_group("machine per round");
    for members in SIZES {
        // Made only if it is measured: recording signs n * ROUNDS blocks.
        let recording = LazyCell::new(|| Recording::new(Validators::new(members), ROUNDS));
        group.bench_function(format!("n = {members}"), |bencher| {
            bencher.iter_custom(|rounds| {
                let measured = ROUNDS - WARM_UP_ROUNDS;
                let replays = rounds.div_ceil(measured);
                let spent: Duration = (0..replays).map(|_| replay(&recording)).sum();
                // The time of as many rounds as were asked for.
                spent.mul_f64(rounds as f64 / (replays * measured) as f64)
            });
        });
    }
    group.finish();
}

fn replay(recording: &Recording) -> Duration {
    let (spent, commits) = recording.replay(WARM_UP_ROUNDS);
    assert!(commits > ROUNDS, "every leader commits");
    spent
}
