//! Every fuzz target on mutated valid inputs: the same few thousand on every machine.

use qcn_crypto::SeededRandomness;
use qcn_fuzz_targets::{TARGETS, Target, commits_of_quiet_rounds, samples};

fn try_mutations(target: &Target) {
    for (number, sample) in samples(target.name).iter().enumerate() {
        (target.check)(sample);
        let mut randomness = SeededRandomness::from_u64(number as u64, target.name);
        for _ in 0..target.smoke_runs {
            (target.check)(&mutated(sample, &mut randomness));
        }
    }
}

/// A sample with one to four changes.
fn mutated(sample: &[u8], randomness: &mut SeededRandomness) -> Vec<u8> {
    let mut bytes = sample.to_vec();
    for _ in 0..=randomness.below(4) {
        let place = randomness.below(bytes.len() as u64 + 1) as usize;
        let byte = randomness.below(256) as u8;
        match randomness.below(6) {
            0 if place < bytes.len() => bytes[place] ^= 1 << (byte % 8),
            1 if place < bytes.len() => bytes[place] = byte,
            2 => bytes.truncate(place),
            3 => bytes.insert(place, byte),
            4 if place < bytes.len() => drop(bytes.remove(place)),
            _ => {
                let end = (place + 1 + usize::from(byte % 64)).min(bytes.len());
                let copied = bytes[place..end].to_vec();
                bytes.splice(place..place, copied);
            }
        }
    }
    bytes
}

macro_rules! smoke_tests {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            let target = TARGETS.iter().find(|target| target.name == stringify!($name));
            try_mutations(target.expect("a target of this name"));
        })*

        #[test]
        fn every_target_is_tried() {
            let tried = [$(stringify!($name)),*];
            for target in TARGETS {
                assert!(tried.contains(&target.name), "{} is not tried here", target.name);
            }
        }
    };
}

smoke_tests![
    account_proof,
    batch_line,
    certificate,
    committee,
    compact_block,
    consensus_message,
    dag_document,
    evidence,
    inclusion_proof,
    key_file,
    layered_hash,
    machine,
    public_key,
    scenario,
    shard_message,
    signature,
    state_chunk,
    sync_package,
    transaction,
    verify_raw,
];

/// Every target has a program for the fuzzer, and the other way round.
#[test]
fn every_target_has_a_program() {
    let manifest = include_str!("../../Cargo.toml");
    let programs: Vec<&str> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""))
        .collect();
    let mut names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    names.sort_unstable();
    assert_eq!(programs, names);
}

/// The well-behaved part of the machine's world gets somewhere, or nothing deep is tried.
#[test]
fn quiet_rounds_commit() {
    let commits = commits_of_quiet_rounds(30);
    assert!(commits > 20, "{commits} commits in 30 rounds");
}
