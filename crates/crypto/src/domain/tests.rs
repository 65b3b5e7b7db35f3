use super::*;
use crate::{from_hex, to_hex};

#[test]
fn no_domain_name_begins_another() {
    for a in Domain::ALL {
        assert!(a.name().is_ascii() && a.name().starts_with("qcn/v1/") && a.name().len() > 7);
        for b in Domain::ALL {
            assert!(a == b || !b.name().starts_with(a.name()), "{a:?} begins {b:?}");
        }
    }
}

#[test]
fn keys_stand_in_the_order_of_the_domains() {
    assert_eq!(DOMAIN_KEYS.len(), Domain::ALL.len());
    for domain in Domain::ALL {
        assert_eq!(*domain_key(*domain), blake3::derive_key(domain.name(), &[]));
    }
}

/// The official vectors for empty input, and the words of FIPS 180-4 and 202.
#[test]
fn the_hash_functions_are_the_standard_ones() {
    let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    assert_eq!(to_hex(blake3::hash(&[]).as_bytes()), empty);
    let keyed = "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26";
    let key = b"whats the Elvish word for friend";
    assert_eq!(to_hex(blake3::keyed_hash(key, &[]).as_bytes()), keyed);
    let derived = "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d";
    let context = "BLAKE3 2019-12-27 16:29:52 test vectors context";
    assert_eq!(to_hex(&blake3::derive_key(context, &[])), derived);
    assert_eq!(
        to_hex(&sha256(b"abc")),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(
        to_hex(&sha3_256(b"abc")),
        "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"
    );
    assert_eq!(
        to_hex(&sha256(&[])),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    assert_eq!(
        to_hex(&sha3_256(&[])),
        "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"
    );
}

/// A change of these is a fork of every network.
#[test]
fn domain_digests_stay_what_they_were() {
    let digests =
        HashAlgorithm::ALL.map(|algorithm| domain_hash_with(algorithm, Domain::Block, b"abc"));
    let expected = [
        "f93aa0484d1e7976da0f35aa60f3d97e0b98b2cd842252005b1f5153302b2078",
        "658d77d414e79e80d691cfba54550b8bfeeac848302c9c9e9c125957724f2e43",
        "48d1e7ae217358151d9a4300af7a64b058eba620d23ee9a13745b25a1857f864",
    ];
    assert_eq!(digests.map(|digest| digest.to_string()), expected);
}

#[test]
fn parts_are_hashed_as_their_whole() {
    let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
    for split in [0, 1, 63, 64, 65, 1024, 4999, 5000] {
        let mut hasher = Hasher::new(Domain::Payload);
        hasher.update(&bytes[..split]).update(&bytes[split..]);
        assert_eq!(hasher.finalize(), hash(Domain::Payload, &bytes));
    }
    let [left, right] = [Digest([1; 32]), Digest([2; 32])];
    let joined = [left.0, right.0].concat();
    assert_eq!(hash_pair(Domain::MerkleNode, &left, &right), hash(Domain::MerkleNode, &joined));
}

#[test]
fn domains_and_algorithms_never_give_the_same_digest() {
    let mut digests: Vec<Digest> = HashAlgorithm::ALL
        .into_iter()
        .flat_map(|algorithm| {
            Domain::ALL.iter().map(move |domain| domain_hash_with(algorithm, *domain, b"same"))
        })
        .collect();
    let count = digests.len();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), count);
}

/// The length in front keeps the end of a name apart from the start of the input.
#[test]
fn nist_digests_see_the_name_with_its_length() {
    let name = Domain::Block.name();
    let input = [&[12], name.as_bytes(), b"abc"].concat();
    assert_eq!(name.len(), 12);
    assert_eq!(domain_hash_with(HashAlgorithm::Sha256, Domain::Block, b"abc").0, sha256(&input));
    let digest = domain_hash_with(HashAlgorithm::Sha3_256, Domain::Block, b"abc");
    assert_eq!(from_hex(&digest.to_string()).unwrap(), sha3_256(&input));
}
