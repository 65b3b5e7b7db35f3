//! The original specification's tests, by its names. Each proves the real thing: signatures are
//! real and post-quantum, and nothing is mocked but time and the network.

mod attacker;

use std::collections::BTreeSet;
use std::sync::Arc;

use qcn_crypto::{
    ChainId, Digest, Domain, HashAlgorithm, MerkleTree, PublicKey, Role, Scheme, SeededRandomness,
    Signature, SigningContext, SigningKey, VerifyingKey, domain_hash_with, hash, layered_hash,
    sha3_256, sha256, to_hex,
};
use qcn_ledger::MIN_FEE;
use qcn_sim::sharding::sweep::SweepPlan;
use qcn_sim::{
    Adversary, DiskFault, Fault, LatencyModel, LinkModel, QuantumNetworkSimulator, Violation,
    milliseconds, seconds,
};
use qcn_types::{
    Action, Address, Amount, BlockHeader, CompactBlock, Time, Transaction, TransactionBody,
    Verified,
};

use attacker::QuantumAttacker;

const CHAIN: ChainId = ChainId(Digest([3; 32]));

/// Runs one body over several seeds; a failure names the seed.
fn for_each_seed(seeds: std::ops::Range<u64>, body: impl Fn(u64)) {
    for seed in seeds {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| body(seed)));
        if let Err(panic) = outcome {
            eprintln!("failed with seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

fn assert_no_violations(violations: &[Violation]) {
    assert!(violations.is_empty(), "{violations:#?}");
}

/// Hashing is layered as the specification's Python does it, separated by domain, and strong.
///
/// Given records as JSON and byte strings,
/// when they are hashed,
/// then the layered digest equals Python's and ignores key order and the member `hash`; any
/// change of content changes about half of the bits; no domain or algorithm shares a digest with
/// another; and a Merkle proof holds for its leaf alone.
#[test]
fn test_quantum_resistant_hashing() {
    // hashlib.sha256((hashlib.sha256(json.dumps(...)).hexdigest() + "quantum_salt")...) in Python.
    let first = sha256(br#"{"amount": 1.5, "to": "b\u00e4r"}"#);
    let expected = to_hex(&sha256(format!("{}quantum_salt", to_hex(&first)).as_bytes()));
    for record in [
        r#"{"amount": 1.5, "to": "bär"}"#,
        r#"{"to":"b\u00e4r","amount":15e-1,"hash":"anything"}"#,
        r#"{"amount": 9, "amount": 1.5, "to": "bär"}"#,
    ] {
        assert_eq!(layered_hash(record).unwrap(), expected, "{record}");
    }
    assert_ne!(layered_hash(r#"{"amount": 1.6, "to": "bär"}"#).unwrap(), expected);

    let content = b"the content of a block";
    let reference = hash(Domain::Block, content);
    for bit in 0..content.len() * 8 {
        let mut changed = *content;
        changed[bit / 8] ^= 1 << (bit % 8);
        let digest = hash(Domain::Block, &changed);
        let distance: u32 =
            digest.0.iter().zip(reference.0).map(|(a, b)| (a ^ b).count_ones()).sum();
        assert!((80..=176).contains(&distance), "bit {bit} changed {distance} of 256");
    }

    let mut digests = BTreeSet::new();
    for algorithm in [HashAlgorithm::Blake3, HashAlgorithm::Sha256, HashAlgorithm::Sha3_256] {
        for domain in Domain::ALL {
            assert!(digests.insert(domain_hash_with(algorithm, *domain, content)));
        }
    }
    assert_eq!(to_hex(&sha256(b"abc"))[..16], *"ba7816bf8f01cfea");
    assert_eq!(to_hex(&sha3_256(b"abc"))[..16], *"3a985da74fe225b2");

    let leaves: Vec<Digest> = (0_u8..13).map(|leaf| hash(Domain::Transaction, &[leaf])).collect();
    let tree = MerkleTree::new(&leaves);
    for (index, leaf) in leaves.iter().enumerate() {
        let proof = tree.prove(index as u64).unwrap();
        for (other, claimed) in leaves.iter().enumerate() {
            assert_eq!(proof.verify(&tree.root(), claimed).is_ok(), other == index);
        }
        assert!(proof.verify(&hash(Domain::Block, b"another root"), leaf).is_err());
    }
}

/// A signature holds for its key, message, domain, chain and role, and for nothing else.
///
/// Given a key of each scheme (Falcon, ML-DSA, SLH-DSA) and a signature,
/// when the message, the signature, the key, the domain, the chain or the role is another,
/// then it is refused; and keys that nobody can sign with are refused at registration.
#[test]
fn test_quantum_signature_verification() {
    let context = SigningContext { domain: Domain::Transaction, chain: CHAIN, role: Role::Account };
    let message = b"thirty to Bob";
    for scheme in Scheme::ALL.iter().copied().filter(|scheme| !is_slow(*scheme)) {
        let key = SigningKey::from_seed(scheme, &[1; 32]).unwrap();
        let other = SigningKey::from_seed(scheme, &[2; 32]).unwrap();
        let signature = key.sign(&context, message).unwrap();
        let verifying = VerifyingKey::decode(key.public_key()).unwrap();
        verifying.verify(&context, message, &signature).unwrap();

        for bit in (0..message.len() * 8).step_by(7) {
            let mut changed = *message;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(verifying.verify(&context, &changed, &signature).is_err());
        }
        for bit in (0..signature.len() * 8).step_by(97) {
            let mut changed = signature.as_bytes().to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            let changed = Signature::new(changed).unwrap();
            assert!(verifying.verify(&context, message, &changed).is_err(), "{scheme} bit {bit}");
        }
        let others = VerifyingKey::decode(other.public_key()).unwrap();
        assert!(others.verify(&context, message, &signature).is_err());
        for wrong in [
            SigningContext { domain: Domain::Block, ..context },
            SigningContext { chain: ChainId(Digest([4; 32])), ..context },
            SigningContext { role: Role::Consensus, ..context },
        ] {
            assert!(verifying.verify(&wrong, message, &signature).is_err(), "{scheme}");
        }

        let possession = qcn_crypto::prove_possession(&key, CHAIN, Role::Consensus).unwrap();
        qcn_crypto::verify_possession(key.public_key(), CHAIN, Role::Consensus, &possession)
            .unwrap();
        for degenerate in [0x00, 0xff] {
            let bytes = vec![degenerate; scheme.public_key_bytes()];
            let accepted = PublicKey::new(scheme, &bytes).is_ok_and(|key| {
                qcn_crypto::verify_possession(&key, CHAIN, Role::Consensus, &possession).is_ok()
            });
            assert!(!accepted, "{scheme}: a key of {degenerate:#04x} was accepted");
        }
    }
}

/// Signing takes long with these; the crypto crate's own tests cover them.
fn is_slow(scheme: Scheme) -> bool {
    matches!(scheme, Scheme::SlhDsaSha2_192s | Scheme::SlhDsaSha2_256s)
}

/// Blocks reach other validators when latency and bandwidth say they must.
///
/// Given 20 validators with latencies between 5 and 120 ms and 10 Mbit/s uplinks,
/// when they run for 10 virtual seconds,
/// then no copy of a block is faster than its link, none slower than jitter and the copies queued
/// before it explain, and the percentiles over all copies are those that the model predicts.
#[test]
fn test_block_propagation_latency() {
    const VALIDATORS: usize = 20;
    const BITS_PER_SECOND: u64 = 10_000_000;
    let model = LatencyModel::Between { low: 5_000, high: 120_000 };
    let matrix = model.matrix(VALIDATORS, 5).unwrap();
    let links = LinkModel {
        jitter_permille: 20,
        bandwidth_bits_per_second: Some(BITS_PER_SECOND),
        ..LinkModel::default()
    };
    let mut network = QuantumNetworkSimulator::new(5)
        .validators(VALIDATORS)
        .latency(LatencyModel::Matrix(Arc::clone(&matrix)))
        .links(links)
        .build()
        .unwrap();
    network.record_propagation();
    network.run_for(seconds(10));
    assert_no_violations(&network.check_consensus());

    let mut measured = Vec::new();
    let mut predicted = Vec::new();
    for copy in network.propagation() {
        let link_us = u64::from(matrix[copy.from.position() * VALIDATORS + copy.to.position()]);
        let copy_us = copy.bytes * 8 * 1_000_000 / BITS_PER_SECOND;
        let most_us = link_us + link_us * 20 / 1_000 + copy_us * VALIDATORS as u64;
        assert!(copy.elapsed_us >= link_us, "{copy:?} is faster than its link, {link_us} us");
        // What else the author sends in between is a few answers to requests.
        assert!(copy.elapsed_us <= most_us + 20_000, "{copy:?} is later than {most_us} us");
        measured.push(copy.elapsed_us);
        // On average half of the copies go out before, and half of the jitter is drawn.
        predicted.push(link_us + link_us * 10 / 1_000 + copy_us * VALIDATORS as u64 / 2);
    }
    assert!(measured.len() > 5_000, "{} copies", measured.len());
    for percentile in [10, 50, 90, 99] {
        let (measured, predicted) = (at(&mut measured, percentile), at(&mut predicted, percentile));
        let off = measured.abs_diff(predicted) * 100 / predicted;
        assert!(off <= 8, "p{percentile}: measured {measured} us, predicted {predicted} us");
    }
}

fn at(values: &mut [u64], percentile: usize) -> u64 {
    values.sort_unstable();
    values[(values.len() - 1) * percentile / 100]
}

/// Votes weigh what their validators can process, and nobody else decides.
///
/// Given validators with processing powers from 0.5 to 2.0,
/// when they run, then leaders are as frequent as their weight, and all agree;
/// when a third of the weight, the slowest, gets ten times slower, then the rest finalizes on;
/// when the heavy are cut off from the light, then only a quorum by weight, however few validators
/// it has, finalizes;
/// when one of them equivocates, then all resolve the conflict alike.
#[test]
fn test_consensus_with_varying_processing_power() {
    let powers = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.0, 1.25, 1.0];
    let weights: Vec<u64> = powers.iter().map(|power| (power * 1_000.0) as u64).collect();
    let total: u64 = weights.iter().sum();

    // Leaders follow weight.
    let config = qcn_consensus::Config {
        leaders_per_round: 1,
        min_round_interval_us: 25_000,
        idle_round_interval_us: 25_000,
        ..qcn_consensus::Config::default()
    };
    let mut network = QuantumNetworkSimulator::new(11)
        .processing_powers(&powers)
        .latency(LatencyModel::Constant(5_000))
        .config(config)
        .build()
        .unwrap();
    network.run_for(seconds(40));
    assert_no_violations(&network.check_consensus());
    let result = network.result(0);
    let slots: u64 = result.validators.iter().map(|validator| validator.leader_slots).sum();
    assert!(slots > 1_000, "{slots} leader slots");
    for (validator, weight) in result.validators.iter().zip(&weights) {
        let share = *weight as f64 / total as f64;
        let expected = share * slots as f64;
        let deviation = (expected * (1.0 - share)).sqrt();
        let off = (validator.leader_slots as f64 - expected).abs();
        assert!(off < 4.5 * deviation, "{}: {} slots", validator.name, validator.leader_slots);
    }

    // A slow third does not stop finality.
    let slow: Vec<usize> = vec![0, 1, 2, 3, 9];
    let slow_weight: u64 = slow.iter().map(|validator| weights[*validator]).sum();
    assert!(slow_weight * 3 <= total + 1_000 && slow_weight * 3 >= total);
    let mut network =
        QuantumNetworkSimulator::new(12).processing_powers(&powers).load(20, 20).build().unwrap();
    network.run_for(seconds(5));
    let before = network.certified_height(6).0;
    network.fault(Fault::LatencySpike {
        validators: vec![0, 1, 2, 9],
        permille: 10_000,
        duration_us: seconds(20),
    });
    network.run_for(seconds(20));
    assert!(network.certified_height(6).0 > before + 50);
    network.run_for(seconds(15));
    assert_no_violations(&network.check_consensus());

    // Four heavy validators of seven are a quorum; three of seven light ones are not.
    let weights = vec![4_000, 4_000, 4_000, 4_000, 1_500, 1_500, 1_500];
    let mut network = QuantumNetworkSimulator::new(13).weights(weights).build().unwrap();
    network.run_for(seconds(3));
    network.partition(&[&[0, 1, 2, 3], &[4, 5, 6]]);
    network.run_for(seconds(1));
    let (heavy, light) = (network.height(0).0, network.height(4).0);
    network.run_for(seconds(10));
    assert!(network.height(0).0 > heavy + 20, "the heavy side is a quorum");
    assert!(network.height(4).0 <= light + 1, "the light side is none");
    network.heal();
    network.run_for(seconds(20));
    assert_no_violations(&network.check_consensus());

    // Conflicting blocks are resolved alike by all.
    for_each_seed(14..17, |seed| {
        let mut network = QuantumNetworkSimulator::new(seed)
            .processing_powers(&powers)
            .adversary(6, Adversary::Equivocator)
            .load(20, 20)
            .build()
            .unwrap();
        network.run_for(seconds(15));
        assert_no_violations(&network.check_consensus());
        assert_eq!(network.isolated(), vec![6]);
    });
}

/// A network that splits never forks, and heals by itself.
///
/// Given ten validators under load of which 40% of the weight is cut off,
/// when both sides run on for 20 seconds,
/// then the side without a quorum finalizes nothing and the other goes on;
/// and when the cut heals, all catch up, agree on every height and balance, and finalize again.
#[test]
fn test_network_partition_recovery() {
    for_each_seed(21..23, |seed| {
        let mut network =
            QuantumNetworkSimulator::new(seed).validators(10).load(20, 30).build().unwrap();
        network.run_for(seconds(5));
        network.partition(&[&[0, 1, 2, 3, 4, 5], &[6, 7, 8, 9]]);
        network.run_for(seconds(1));
        // Six of ten are no quorum of ten: nobody may finalize.
        let stalled: Vec<u64> = (0..10).map(|validator| network.height(validator).0).collect();
        network.run_for(seconds(10));
        for (validator, before) in stalled.iter().enumerate() {
            assert!(network.height(validator).0 <= before + 2, "{validator} went on");
        }
        network.heal();
        network.run_for(seconds(10));
        let healed = network.certified_height(0).0;
        assert!(healed > stalled[0] + 20, "healed at {healed}, stalled at {}", stalled[0]);

        // Seven of ten are one: they go on, and 40% of the others' copies are late for ever.
        network.partition(&[&[0, 1, 2, 3, 4, 5, 6], &[7, 8, 9]]);
        network.run_for(seconds(1));
        let (with, without) = (network.height(0).0, network.height(8).0);
        network.run_for(seconds(20));
        assert!(network.height(0).0 > with + 100, "the quorum goes on");
        assert!(network.height(8).0 <= without + 2, "the others do not");
        network.heal();
        network.run_for(seconds(20));
        let heights: Vec<u64> =
            (0..10).map(|validator| network.certified_height(validator).0).collect();
        let highest = heights.iter().max().unwrap();
        assert!(heights.iter().all(|height| height + 20 > *highest), "{heights:?}");
        assert_no_violations(&network.check_consensus());
    });
}

/// More validators cost what the design promises, and no more.
///
/// Given 4 to 100 validators on the same range of latencies,
/// when each network runs for some virtual seconds without load,
/// then finality does not grow with their number, bytes per validator and round grow linearly and
/// stay below 120 kB at 100, and processor time per validator and round grows linearly.
#[test]
fn test_scalability_with_increasing_nodes() {
    let mut before: Option<(f64, f64, f64, f64)> = None;
    for validators in [4_usize, 10, 25, 50, 100] {
        let config = qcn_consensus::Config {
            min_round_interval_us: 140_000,
            idle_round_interval_us: 140_000,
            ..qcn_consensus::Config::default()
        };
        let mut network = QuantumNetworkSimulator::new(31)
            .validators(validators)
            .latency(LatencyModel::Between { low: 20_000, high: 100_000 })
            .config(config)
            .load(2, 20)
            .build()
            .unwrap();
        network.run_for(seconds(12));
        assert_no_violations(&network.check_consensus());
        let result = network.result(seconds(3));
        let count = validators as f64;
        let bytes = result.validators.iter().map(|v| v.bytes_sent_per_round).sum::<f64>() / count;
        let cpu = result.validators.iter().map(|v| v.cpu_ms_per_round).sum::<f64>() / count;
        let finality = result.finality_ms.p50.expect("transactions were finalized");
        println!(
            "{validators:4} validators: finality {finality:6.1} ms, {bytes:9.0} bytes and \
             {cpu:6.2} ms of processor per validator and round"
        );
        assert!(bytes < 1_212.0 * count, "{bytes} bytes per round with {validators}");
        if let Some((fewer, bytes_before, cpu_before, finality_before)) = before {
            let growth = count / fewer;
            assert!(bytes < bytes_before * growth * 1.3, "bytes grow faster than linearly");
            assert!(cpu < cpu_before * growth * 1.3, "processor time grows faster than linearly");
            assert!(finality < finality_before * 1.35, "finality grows with the validators");
        }
        before = Some((count, bytes, cpu, finality));
    }
}

/// Throughput grows with the number of shards, and transfers between them arrive.
///
/// Given shards of five seats with small processors, neighbours sharing a cross-validator, and
/// clients that offer more than the processors can do,
/// when there are one, two and four of them,
/// then each does at least nine tenths of what a single one does where nothing crosses, and where
/// a fifth crosses not less than the extra work on receipts explains; every receipt is applied
/// once, and no money is made or lost.
#[test]
fn test_quantum_sharding_scalability() {
    let plan = SweepPlan {
        seed: 51,
        key_ring: qcn_sim::keys::KeyRing::default(),
        shards: vec![1, 2, 4],
        cross_percents: vec![0, 20],
        validators: 5,
        power_permille: 10,
        accounts: 4,
        offered_per_second: 1_000,
        latency_per_second: 10,
        latency: LatencyModel::Between { low: 10_000, high: 40_000 },
        latency_source: "drawn".to_owned(),
        consensus: qcn_consensus::Config::default(),
        warm_up_us: seconds(5),
        measured_us: seconds(6),
    };
    let mut single = None;
    for (shards, across) in plan.points() {
        let point = plan.run(shards, across, single, &mut |_, _| {}).unwrap();
        assert!(point.violations.is_empty(), "{:#?}", point.violations);
        println!(
            "{shards} shards, {across:2}% across: {:7.1} transfers/s, {:6.1} each, {:.3} of one; \
             by the model {:.3}",
            point.final_per_second, point.per_shard, point.of_single_shard, point.model
        );
        single = single.or(Some(point.per_shard));
        assert!(point.busiest_percent > 80.0, "the processors are the limit");
        if shards > 1 {
            let explained = if across == 0 { 1.0 } else { point.model };
            assert!(point.of_single_shard > 0.9 * explained, "{}", point.of_single_shard);
            assert_eq!(point.across_ms.samples > 0, across > 0);
        }
    }
    let calm = plan.run_for_latency(&mut |_, _| {}).unwrap();
    let (across, within) = (calm.applied_ms.p50.unwrap(), calm.within_ms.p50.unwrap());
    println!("within a shard {within:.0} ms, applied across {across:.0} ms");
    assert!(across < 2.5 * within, "{across} ms across, {within} ms within");
}

/// An attacker with a quantum computer gets nothing accepted.
///
/// Given an attacker that forges every classical signature and searches hashes with Grover's
/// algorithm at stated budgets,
/// when it tampers content under an old digest, downgrades the scheme, or replays what was signed
/// in another domain, chain or role,
/// then nothing is accepted; while the same attacker breaks the short hashes and the classical
/// scheme that it is tried on first.
#[test]
fn test_quantum_attack_resistance() {
    let mut attacker = QuantumAttacker::new(41);
    attacker.breaks_what_it_should();

    let account = SigningKey::from_seed(Scheme::Falcon512, &[7; 32]).unwrap();
    let thief = SigningKey::from_seed(Scheme::Falcon512, &[8; 32]).unwrap();
    let mut randomness = SeededRandomness::from_u64(41, "attack");
    let body = TransactionBody {
        sender: Address::of(account.public_key()),
        nonce: 0,
        fee: MIN_FEE,
        action: Action::Transfer { to: Address::of(account.public_key()), amount: Amount(5) },
    };
    let bytes = qcn_types::encode(&body);
    let context = TransactionBody::signing_context(CHAIN);
    let signature = account.sign_seeded(&context, &bytes, &mut randomness).unwrap();
    let genuine = Transaction { body, key: account.public_key().clone(), signature };
    Verified::check(genuine.clone(), CHAIN).unwrap();

    // Tampered content under the old signature and digest, at every budget.
    let stolen = TransactionBody {
        action: Action::Transfer { to: Address::of(thief.public_key()), amount: Amount(5) },
        ..genuine.body.clone()
    };
    for budget_log2 in [40, 64, 80, 100] {
        let chance = QuantumAttacker::preimage_chance_log2(budget_log2, 256);
        assert!(chance <= -50.0, "2^{budget_log2} Grover steps succeed with 2^{chance}");
    }
    assert_ne!(stolen.id(), genuine.body.id());
    let tampered = Transaction { body: stolen.clone(), ..genuine.clone() };
    assert!(Verified::check(tampered, CHAIN).is_err());

    // Forged with what a quantum computer does forge, under every scheme byte there is.
    for scheme_byte in 0..=u8::MAX {
        let forged = attacker.forge_transaction(scheme_byte, &stolen);
        if let Ok(transaction) = qcn_types::decode::<Transaction>(&forged) {
            assert!(Verified::check(transaction, CHAIN).is_err(), "scheme byte {scheme_byte}");
        }
    }
    // A weaker or other scheme for the same account: the scheme is part of the address.
    for scheme in [Scheme::MlDsa44, Scheme::Falcon1024, Scheme::SlhDsaSha2_128f] {
        let key = SigningKey::from_seed(scheme, &[9; 32]).unwrap();
        let signature = key.sign(&context, &qcn_types::encode(&stolen)).unwrap();
        let downgraded =
            Transaction { body: stolen.clone(), key: key.public_key().clone(), signature };
        let accounts = [qcn_ledger::GenesisAccount {
            address: Address::of(account.public_key()),
            balance: Amount(1_000),
        }];
        let mut ledger = qcn_ledger::Ledger::genesis(CHAIN, &accounts).unwrap();
        let before = ledger.state_root();
        assert!(ledger.admit(&downgraded).is_err());
        ledger.execute([&downgraded]);
        assert_eq!(ledger.state_root(), before, "{scheme} moved another key's money");
    }

    // Replayed across chains, roles and domains.
    assert!(Verified::check(genuine.clone(), ChainId(Digest([4; 32]))).is_err());
    let verifying = VerifyingKey::decode(account.public_key()).unwrap();
    for replayed in [
        BlockHeader::signing_context(CHAIN),
        SigningContext { role: Role::Operator, ..context },
        SigningContext { domain: Domain::Checkpoint, ..context },
    ] {
        assert!(verifying.verify(&replayed, &bytes, &genuine.signature).is_err());
    }

    tampered_blocks_are_refused();
}

/// Blocks of a running network, tampered with or taken to another chain.
fn tampered_blocks_are_refused() {
    let mut network = QuantumNetworkSimulator::new(42)
        .validators(4)
        .load(5, 8)
        .build()
        .expect("valid parameters");
    network.run_for(seconds(3));
    let keys = network.keys().clone();
    let shard = network.shard(0).expect("it runs");
    let round = shard.status().round.minus(4);
    let layer = shard.consensus().dag().layer(round).expect("a recent round");
    for author in layer.present().iter() {
        let node = layer.first(author).expect("present");
        let block = CompactBlock::in_full(&node.content);
        let parents = node.content.body.parents.clone();
        let rebuild = |block: CompactBlock, chain| {
            keys.verify_block(block.with_parents(chain, keys.committee(), parents.clone()))
        };
        assert!(rebuild(block.clone(), keys.chain()).is_ok());
        assert!(rebuild(block.clone(), ChainId(Digest([4; 32]))).is_err());
        let later = CompactBlock { time_ms: block.time_ms + 1, ..block.clone() };
        assert!(rebuild(later, keys.chain()).is_err());
        let moved = CompactBlock { round: block.round.next(), ..block };
        assert!(rebuild(moved, keys.chain()).is_err());
    }
}

/// Nothing that less than a third of the weight does stops or splits the others.
///
/// Given networks in which adversaries hold the largest weight below one third, of each kind
/// alone and of all kinds mixed,
/// when they run under load,
/// then the honest agree and go on, who equivocates is proven and isolated, and no honest key is.
#[test]
fn test_byzantine_fault_tolerance() {
    for adversary in Adversary::ALL {
        let mut network = QuantumNetworkSimulator::new(51)
            .validators(7)
            .adversary(1, adversary)
            .adversary(4, adversary)
            .load(20, 20)
            .build()
            .unwrap();
        // Twins need a network in which each half is heard by some.
        network.run_for(seconds(4));
        network.partition(&[&[0, 1, 2, 3, 4], &[5, 6]]);
        network.run_for(seconds(4));
        network.heal();
        network.run_for(seconds(20));
        assert_no_violations(&network.check_consensus());
        let proven = matches!(
            adversary,
            Adversary::Equivocator
                | Adversary::InvalidPayloadAuthor
                | Adversary::Twins
                | Adversary::ConflictingAttester
        );
        if proven {
            assert_eq!(network.isolated(), vec![1, 4], "{}", adversary.name());
        } else {
            assert!(network.isolated().iter().all(|validator| !network.is_honest(*validator)));
        }
    }
    for_each_seed(54..56, |seed| {
        let mut builder = QuantumNetworkSimulator::new(seed).validators(31).load(20, 30);
        for (number, adversary) in Adversary::ALL.into_iter().enumerate() {
            builder = builder.adversary(number * 3, adversary);
        }
        let mut network = builder.build().unwrap();
        network.run_for(seconds(10));
        network.crash(1, DiskFault::LoseUnsynced);
        network.restart(1);
        network.run_for(seconds(20));
        let height = network.certified_height(2).0;
        assert!(height > 40, "{height}");
        assert_no_violations(&network.check_consensus());
        let honest_isolated: Vec<usize> =
            network.isolated().into_iter().filter(|one| network.is_honest(*one)).collect();
        assert!(honest_isolated.is_empty(), "{honest_isolated:?}");
    });
}

/// One second more of virtual time costs nothing but processor time: the run is reproducible.
#[test]
fn the_same_seed_gives_the_same_trace() {
    let run = |seed| {
        let mut network =
            QuantumNetworkSimulator::new(seed).validators(5).load(10, 10).build().unwrap();
        network.fault_at(Time(seconds(2)), Fault::Isolate { validator: 2 });
        network.fault_at(Time(seconds(4)), Fault::Heal);
        network.run_for(seconds(8) + milliseconds(1));
        network.trace_hash()
    };
    assert_eq!(run(61), run(61));
    assert_ne!(run(61), run(62));
}
