//! What people hand in: documents, and signatures of others.

use qcn_crypto::{Scheme, verify_raw as verify};
use qcn_sim::scenario::Scenario;

use crate::Bytes;
use crate::dag::graph::Graph;
use crate::dag::{decide, document, draw};

/// What `qcn dag` does with a file.
pub(crate) fn dag_document(bytes: &[u8]) {
    let Ok(document) = document::parse(bytes) else {
        return;
    };
    let Ok(graph) = Graph::check(document) else {
        return;
    };
    let text = decide::decide(&graph).to_json(&graph);
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "it prints JSON");
    let _ = draw::draw(&graph, true);
}

/// What `qcn sim` does with a file before anything runs.
pub(crate) fn scenario(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(scenario) = Scenario::parse("fuzz.toml", text) else {
        return;
    };
    let _ = scenario.plan(1);
    if let Ok(written) = scenario.to_toml() {
        assert!(Scenario::parse("fuzz.toml", &written).is_ok(), "what it writes, it reads");
    }
}

pub(crate) fn layered_hash(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(hash) = qcn_crypto::layered_hash(text) else {
        return;
    };
    assert_eq!(hash.len(), 64);
    // The canonical text is a document of the same hash.
    let canonical = qcn_crypto::layered::canonical_json(text).expect("it has a hash");
    assert!(canonical.is_ascii(), "Python escapes everything else");
    assert_eq!(qcn_crypto::layered_hash(&canonical), Ok(hash));
}

/// A scheme, the lengths of key and context, then key, context, signature and message. Lengths
/// of zero mean those that the scheme has.
pub(crate) fn verify_raw(bytes: &[u8]) {
    let mut bytes = Bytes::new(bytes);
    let scheme = Scheme::ALL[bytes.below(Scheme::ALL.len())];
    let or = |given: u16, usual: usize| if given == 0 { usual } else { usize::from(given) };
    let key_bytes = or(bytes.short(), scheme.public_key_bytes());
    let signature_bytes = or(bytes.short(), scheme.signature_bytes());
    let context_bytes = usize::from(bytes.short() % 300);
    let key = bytes.take(key_bytes);
    let signature = bytes.take(signature_bytes);
    let context = bytes.take(context_bytes);
    let _ = verify(scheme, key, bytes.rest(), context, signature);
}
