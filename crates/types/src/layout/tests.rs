use super::*;
use crate::{decode, encode};

fn address(leading: u32) -> Address {
    let mut bytes = [0x5A; 32];
    bytes[..4].copy_from_slice(&leading.to_be_bytes());
    Address(Digest(bytes))
}

#[test]
fn every_address_has_one_shard() {
    for count in [1, 2, 3, 5, 16, 100, MAX_SHARDS] {
        let layout = Layout::even(count).unwrap();
        assert_eq!(layout.shards().len(), count);
        let lengths = layout.shards().iter().map(|(prefix, _)| prefix.length);
        assert!(lengths.clone().max().unwrap() - lengths.min().unwrap() <= 1, "{count}");
        for leading in (0..=u32::MAX).step_by(9_999_991).chain([u32::MAX]) {
            let address = address(leading);
            let covering: Vec<ShardId> = layout
                .shards()
                .iter()
                .filter(|(prefix, _)| prefix.covers(&address))
                .map(|(_, shard)| *shard)
                .collect();
            assert_eq!(covering, [layout.shard_of(&address)], "{count} shards, {leading:#x}");
        }
    }
}

#[test]
fn prefixes_show_their_bits() {
    let layout = Layout::even(3).unwrap();
    let shown: Vec<String> = layout.shards().iter().map(|(it, _)| it.to_string()).collect();
    assert_eq!(shown, ["00*", "01*", "1*"]);
    assert_eq!(Layout::whole(ShardId(7)).shards()[0].0.to_string(), "*");
}

#[test]
fn what_is_no_partition_is_refused() {
    let [low, high] = Prefix::EMPTY.halves().unwrap();
    let [low_low, low_high] = low.halves().unwrap();
    let shard = |number| ShardId(number);
    for (shards, expected) in [
        (vec![], LayoutError::Count(0)),
        (vec![(low, shard(0))], LayoutError::NoPartition(low)),
        (vec![(high, shard(0))], LayoutError::NoPartition(high)),
        (vec![(high, shard(0)), (low, shard(1))], LayoutError::NoPartition(high)),
        (
            vec![(low, shard(0)), (low_high, shard(1)), (high, shard(2))],
            LayoutError::NoPartition(low_high),
        ),
        (vec![(low_low, shard(0)), (high, shard(1))], LayoutError::NoPartition(high)),
        (vec![(low, shard(3)), (high, shard(3))], LayoutError::Repeated(shard(3))),
    ] {
        assert_eq!(Layout::new(shards.clone()), Err(expected), "{shards:?}");
        let bytes = encode(&Bounded::<_, MAX_SHARDS>::truncated(shards));
        assert!(decode::<Layout>(&bytes).is_err(), "nor decoded");
    }
    assert_eq!(Layout::even(0), Err(LayoutError::Count(0)));
    assert_eq!(Layout::even(MAX_SHARDS + 1), Err(LayoutError::Count(MAX_SHARDS + 1)));
}

#[test]
fn a_layout_has_one_encoding() {
    let layout = Layout::even(5).unwrap();
    assert_eq!(decode::<Layout>(&encode(&layout)).unwrap(), layout);
}

#[test]
fn a_prefix_has_one_encoding() {
    let [low, high] = Prefix::EMPTY.halves().unwrap();
    for prefix in [Prefix::EMPTY, low, high] {
        assert_eq!(decode::<Prefix>(&encode(&prefix)).unwrap(), prefix);
    }
    for (bits, length) in [(1, 0), (1, 31), (1 << 30, 1), (0, 33), (0, u8::MAX)] {
        assert!(decode::<Prefix>(&encode(&(bits, length))).is_err(), "{bits} {length}");
    }
    assert!(decode::<Prefix>(&encode(&(1_u32, 32_u8))).is_ok());
}
