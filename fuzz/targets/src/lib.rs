//! What the fuzzer calls. Each [`Target`] takes any bytes and must not panic.
//!
//! `fuzz/fuzz_targets` has one program for each; `tests/smoke.rs` tries all of them on mutated
//! valid inputs, so that they are run wherever the tests are.

mod bytes;
mod decoders;
mod door;
mod inputs;
mod samples;

pub use bytes::Bytes;
pub use door::commits_of_quiet_rounds;
pub use samples::samples;

/// A property that must hold for any bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its program.
    pub name: &'static str,
    /// Panics if the property does not hold.
    pub check: fn(&[u8]),
    /// What the smoke test tries for each sample; costly targets get less.
    pub smoke_runs: u32,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    target("account_proof", decoders::account_proof),
    target("certificate", decoders::certificate),
    target("committee", decoders::committee),
    target("compact_block", decoders::compact_block),
    target("consensus_message", decoders::consensus_message),
    target("evidence", decoders::evidence),
    target("inclusion_proof", decoders::inclusion_proof),
    target("public_key", decoders::public_key),
    target("shard_message", decoders::shard_message),
    target("signature", decoders::signature),
    target("state_chunk", decoders::state_chunk),
    target("sync_package", decoders::sync_package),
    target("transaction", decoders::transaction),
    Target { name: "dag_document", check: inputs::dag_document, smoke_runs: 100 },
    target("batch_line", inputs::batch_line),
    Target { name: "key_file", check: inputs::key_file, smoke_runs: 100 },
    target("layered_hash", inputs::layered_hash),
    target("verify_raw", inputs::verify_raw),
    Target { name: "machine", check: door::machine, smoke_runs: 40 },
    Target { name: "scenario", check: inputs::scenario, smoke_runs: 100 },
];

const fn target(name: &'static str, check: fn(&[u8])) -> Target {
    Target { name, check, smoke_runs: 300 }
}

/// Checks one target by name.
///
/// # Panics
/// If its property does not hold, or there is no such target.
pub fn check(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target of this name").check)(bytes);
}
