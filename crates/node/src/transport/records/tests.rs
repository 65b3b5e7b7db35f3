use qcn_crypto::{Digest, Scheme};
use qcn_types::{decode, encode};

use super::*;

const CHAIN: ChainId = ChainId(Digest([3; 32]));

fn key(index: u8) -> SigningKey {
    SigningKey::from_seed(Scheme::MlDsa65, &[index; 32]).unwrap()
}

fn record(signer: u8, validator: u16, sequence: u64, address: &str) -> PeerRecord {
    PeerRecord::sign(CHAIN, &key(signer), ValidatorIndex(validator), sequence, address).unwrap()
}

fn store() -> RecordStore {
    let verifying = |index: u8| VerifyingKey::decode(key(index).public_key()).unwrap();
    let keys = (0..2).map(|index| (ValidatorIndex(index.into()), vec![verifying(index)])).collect();
    RecordStore::new(CHAIN, keys)
}

#[test]
fn the_newest_genuine_record_wins() {
    let (mut store, start) = (store(), Instant::now());
    let at = |millis| start + Duration::from_millis(millis);
    let offers = [
        (0, record(0, 0, 5, "a:1"), Offered::Kept),
        (100, record(0, 0, 5, "b:1"), Offered::Old),
        (100, record(0, 0, 4, "b:1"), Offered::Old),
        (100, record(1, 0, 6, "b:1"), Offered::Forged),
        (100, record(0, 2, 6, "b:1"), Offered::Unknown),
        (100, record(0, 0, 6, "no port"), Offered::Forged),
        (100, record(0, 0, u64::MAX - 1, "c:1"), Offered::Kept),
        (101, record(0, 0, u64::MAX, "d:1"), Offered::TooSoon),
        (200, record(0, 0, u64::MAX, "d:1"), Offered::Kept),
        (200, record(1, 1, 0, "e:1"), Offered::Kept),
    ];
    for (millis, record, expected) in offers {
        assert_eq!(store.offer(at(millis), record.clone()), expected, "{record:?}");
    }
    assert_eq!(store.get(ValidatorIndex(0)).and_then(PeerRecord::address), Some("d:1"));
    assert_eq!(store.sequences().len(), 2);
}

#[test]
fn every_part_of_a_record_is_signed() {
    let genuine = record(0, 0, 5, "host:1");
    let bytes = encode(&genuine);
    for position in 0..bytes.len() {
        let mut bent = bytes.clone();
        bent[position] ^= 1;
        let Ok(bent) = decode::<PeerRecord>(&bent) else { continue };
        let offered = store().offer(Instant::now(), bent);
        assert!(matches!(offered, Offered::Forged | Offered::Unknown), "byte {position}");
    }
    let mut elsewhere = store();
    elsewhere.chain = ChainId(Digest([4; 32]));
    assert_eq!(elsewhere.offer(Instant::now(), genuine), Offered::Forged);
}

#[test]
fn only_what_the_other_lacks_is_sent_to_it() {
    let mut store = store();
    store.offer(Instant::now(), record(0, 0, 5, "a:1"));
    store.offer(Instant::now(), record(1, 1, 5, "b:1"));
    let newer = |zero, one| {
        let theirs = [(ValidatorIndex(0), zero), (ValidatorIndex(1), one)].into();
        store.newer_than(&theirs, 10).len()
    };
    assert_eq!((newer(5, 5), newer(4, 5), newer(4, 4), newer(6, 6)), (0, 1, 2, 0));
    assert_eq!(store.newer_than(&BTreeMap::new(), 1).len(), 1);
}

#[test]
fn addresses_are_a_host_and_a_port() {
    for address in ["1.2.3.4:5", "[::1]:65535", "v-0.qcn_net:1", "[fe80::1%eth0]:9"] {
        assert!(is_address(address), "{address}");
    }
    let long = format!("{}:1", "a".repeat(MAX_ADDRESS_BYTES));
    for no_address in ["", ":1", "host", "host:", "host:0", "host:65536", "a b:1", "a/b:1", &long] {
        assert!(!is_address(no_address), "{no_address}");
    }
}
