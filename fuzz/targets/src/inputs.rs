//! What people hand in: documents, and signatures of others.

use qcn_cli::crypto::{answer_line, parse_key};
use qcn_cli::dag::{Graph, decide, draw};
use qcn_crypto::{Scheme, SigningKey, verify_raw as verify};
use qcn_sim::scenario::Scenario;

use crate::Bytes;

/// What `qcn dag` does with a file.
pub(crate) fn dag_document(bytes: &[u8]) {
    let Ok(graph) = Graph::parse(bytes) else {
        return;
    };
    let text = decide(&graph).to_json(&graph);
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "it prints JSON");
    let _ = draw(&graph, true);
}

/// What `qcn crypto verify --batch` does with a line.
pub(crate) fn batch_line(bytes: &[u8]) {
    let answer = answer_line(bytes);
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("it prints JSON");
    let kind = [answer["valid"].is_boolean(), answer["error"].is_string()];
    assert_eq!(kind.iter().filter(|holds| **holds).count(), 1, "a verdict or an error: {answer}");
}

/// What `qcn crypto sign` does with a key file before it signs.
pub(crate) fn key_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(key) = parse_key(text) {
        let again = SigningKey::from_seed(key.scheme(), key.expose_seed()).expect("it was read");
        assert_eq!(again.public_key(), key.public_key(), "the file's key is the seed's");
    }
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
