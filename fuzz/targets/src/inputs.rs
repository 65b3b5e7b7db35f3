//! What people hand in: documents, and signatures of others.

use qcn_crypto::{Scheme, verify_raw as verify};

use crate::Bytes;

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
