//! Blocks and certificates: their bytes, and the check of their signatures.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use qcn_benches::{Validators, genesis_parents, transaction};
use qcn_crypto::{Scheme, SigningKey};
use qcn_types::{
    Address, BlockBody, BlockRef, Bounded, Certificate, CompactBlock, Payload, Round,
    ValidatorIndex, decode, encode,
};

use crate::conditions;

const AUTHOR: ValidatorIndex = ValidatorIndex(3);
const MEMBERS: u16 = 100;

/// A block of round 2 over 100 parents of round 1, with so many transfers.
fn body(validators: &Validators, transfers: usize) -> BlockBody {
    let key = SigningKey::from_seed(Scheme::Falcon512, &[1; 32]).expect("a seed gives a key");
    let to = Address::default();
    let transactions = (0..transfers as u64).map(|nonce| transaction(&key, nonce, to)).collect();
    let payload = Payload { transactions: Bounded::truncated(transactions), ..Payload::default() };
    let first = |parent: BlockRef| BlockRef { round: Round(1), ..parent };
    let parents: Vec<BlockRef> =
        genesis_parents(validators.committee()).into_iter().map(first).collect();
    validators.body(AUTHOR, Round(2), 200, &parents, payload)
}

/// Encoding and decoding.
pub fn codec(criterion: &mut Criterion) {
    let validators = Validators::new(MEMBERS);
    conditions("canonical bytes in memory; blocks of 100 parents and 1 attestation; Falcon-512");
    let mut group = criterion.benchmark_group("codec");
    for transfers in [0, 500] {
        let block = CompactBlock::pack(&validators.sign(body(&validators, transfers)));
        let bytes = encode(&block);
        println!("a block with {transfers} transfers: {} bytes", bytes.len());
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format!("encode block/{transfers} transfers"), |bencher| {
            bencher.iter(|| encode(black_box(&block)));
        });
        group.bench_function(format!("decode block/{transfers} transfers"), |bencher| {
            bencher.iter(|| decode::<CompactBlock>(black_box(&bytes)));
        });
    }
    let certificate = validators.certificate();
    let bytes = encode(&certificate);
    println!(
        "a certificate of {} attestations: {} bytes",
        certificate.attestations.len(),
        bytes.len()
    );
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode certificate", |bencher| {
        bencher.iter(|| encode(black_box(&certificate)));
    });
    group.bench_function("decode certificate", |bencher| {
        bencher.iter(|| decode::<Certificate>(black_box(&bytes)));
    });
    group.finish();
}

/// Checking the signatures of blocks and certificates.
pub fn verification(criterion: &mut Criterion) {
    let validators = Validators::new(MEMBERS);
    conditions("blocks of 100 parents, digests included; keys of validators decoded before");
    let mut group = criterion.benchmark_group("verification");
    for transfers in [0, 100] {
        let block = validators.sign(body(&validators, transfers));
        group.bench_function(format!("block/{transfers} transfers"), |bencher| {
            bencher.iter_batched(
                || block.clone(),
                |block| validators.keys().verify_block(block).expect("it is valid"),
                BatchSize::SmallInput,
            );
        });
    }
    let certificate = validators.certificate();
    group.bench_function("certificate of 67", |bencher| {
        bencher.iter(|| qcn_light::verify_certificate(black_box(&certificate), validators.keys()));
    });
    group.finish();
}

/// Bytes that a validator sends in a round: no time is measured.
pub fn wire(_: &mut Criterion) {
    const PACKET_PAYLOAD_BYTES: usize = 1_200;
    const PACKET_OVERHEAD_BYTES: usize = 60;
    const TARGET_BYTES: usize = 120_000;
    let validators = Validators::new(MEMBERS);
    conditions(
        "its block to each other validator, empty payload, 1 attestation, all parents of the round before; 60 bytes of headers for each packet of 1,200",
    );
    let block = CompactBlock::pack(&validators.sign(body(&validators, 0)));
    let message = encode(&qcn_consensus::Message::Block(block.into())).len();
    let packets = message.div_ceil(PACKET_PAYLOAD_BYTES);
    let sent = usize::from(MEMBERS - 1) * (message + packets * PACKET_OVERHEAD_BYTES);
    println!(
        "bytes sent per validator and round at n = {MEMBERS}: {sent} ({message} bytes a message); \
         at most {TARGET_BYTES} are wanted"
    );
    assert!(sent <= TARGET_BYTES, "blocks have outgrown what DESIGN allows them");
}
